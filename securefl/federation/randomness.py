"""Where a simulation takes its randomness: the operating system, or labelled streams of a seed.

With a seed, claims, blinding, rounding, cohorts and losses repeat; keys and masks never do. Such a run is a
simulation, not private, and says so.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from securefl.errors import LocalProtocolError
from securefl.transcript import Label, Part, derive, digest

Rng = Callable[[int], bytes]


class Randomness:
    """Independent streams by name, e.g. ``stream("claims", round, client)``."""

    def __init__(self, seed: int | None, key: bytes | None = None) -> None:
        """`key`: of an earlier run without a seed that is to go on; 32 bytes."""
        self.private = seed is None
        self.key = digest(Label.SIMULATION, seed) if seed is not None else key or os.urandom(32)
        """What `generator` and `integer` follow from, with a seed or without."""

    def stream(self, *name: Part) -> Rng:
        """The byte stream of a name; the operating system's for every name if there is no seed."""
        return os.urandom if self.private else self._follow(*name)

    def generator(self, *name: Part) -> np.random.Generator:
        """For what need not be secret: cohorts, losses, the order of samples."""
        return np.random.default_rng(int.from_bytes(self._follow(*name)(16), "big"))

    def integer(self, *name: Part) -> int:
        """A 63-bit number for a library that takes a seed. Not secret either."""
        return int.from_bytes(self._follow(*name)(8), "big") >> 1

    def _follow(self, *name: Part) -> Rng:
        return _Stream(derive(self.key, Label.SIMULATION, *name))


class _Stream:
    """AES-256-CTR keystream under the key of a name."""

    def __init__(self, key: bytes) -> None:
        self._keystream = Cipher(algorithms.AES(key), modes.CTR(bytes(16))).encryptor()

    def __call__(self, size: int) -> bytes:
        """The next `size` bytes."""
        return self._keystream.update(bytes(size))


class Tape:
    """Hands out bytes and remembers them, so that the simulation can compute in clear what a client computed."""

    def __init__(self, rng: Rng) -> None:
        self._rng, self._record = rng, list[bytes]()

    def __call__(self, size: int) -> bytes:
        """Draw and remember `size` bytes."""
        self._record.append(self._rng(size))
        return self._record[-1]

    def replay(self) -> Rng:
        """The same answers again, to the same questions."""
        record = iter(self._record)

        def rng(size: int) -> bytes:
            data = next(record, b"")
            if len(data) != size:
                raise LocalProtocolError("a replay asked for other random bytes than were drawn")
            return data

        return rng
