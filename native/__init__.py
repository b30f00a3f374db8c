"""Vector kernels in C, without any knowledge of protocols: masks, packing, finite fields, hashing, Bloom filters,
layers of neural networks.

``native.ring``, ``native.field``, ``native.hashing``, ``native.filters`` and ``native.nn`` are the faces;
``native.reference`` says in plain Python what each of the exact ones computes.
"""

from __future__ import annotations

__all__ = ["Modulus", "backends"]

try:
    import native._native  # noqa: F401 - only to see whether it is there
except ModuleNotFoundError as error:
    if error.name != "native._native":
        raise
    raise ImportError(
        "securefl's C extension is not built: run `pip install .` (or `pip install -e .`) in the source folder; "
        "it needs a C compiler and CMake 3.25 or later."
    ) from None

from native.field import Modulus
from native.ring import backends
