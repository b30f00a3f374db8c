"""LeNet for 32 x 32 colour images, and local SGD of many clients: `lenet.c`, built for this very processor."""

from __future__ import annotations

import ctypes
import hashlib
import os
import subprocess
import tempfile
from functools import cache
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

SHAPES = ((6, 3, 5, 5), (6,), (16, 6, 5, 5), (16,), (400, 120), (120,), (120, 84), (84,), (84, 10), (10,))
SIZE = sum(map(prod, SHAPES))
LARGEST_BATCH = 8
SOURCE = Path(__file__).with_name("lenet.c")
RELAXED = ("-fassociative-math", "-fno-signed-zeros", "-fno-trapping-math", "-fno-math-errno", "-freciprocal-math")
"""What -ffast-math allows; that flag itself would make the whole process flush subnormal numbers to zero."""
BUILD = ("cc", "-O3", "-march=native", *RELAXED, "-shared", "-fPIC")


def init(seed: int) -> NDArray[np.float32]:
    """(SIZE,): uniform within 1 / sqrt(fan-in), as torch initialises these layers."""
    generator, parts, bound = np.random.default_rng([seed, 2]), [], 0.0
    for shape in SHAPES:
        if len(shape) > 1:
            bound = 1 / np.sqrt(prod(shape[1:]) if len(shape) == 4 else shape[0])
        parts.append(generator.uniform(-bound, bound, prod(shape)))
    return np.concatenate(parts).astype(np.float32)


def descend(
    start: NDArray[np.float32],
    inputs: NDArray[np.float32],
    labels: NDArray[np.int64],
    rate: float,
    scale: NDArray[np.float32],
    proximal: float,
) -> NDArray[np.float32]:
    """(start - end) / rate of m clients, (m, SIZE). inputs (m, steps, b, 3, 32, 32), labels (m, steps, b), b <= 8."""
    m, steps, b = labels.shape
    if b > LARGEST_BATCH:
        raise ValueError(f"a batch of {b} images; at most {LARGEST_BATCH}")
    start, inputs, labels, scale = (np.ascontiguousarray(a) for a in (start, inputs, labels, scale))
    ends = np.empty((m, SIZE), np.float32)
    numbers = ctypes.c_float(rate), ctypes.c_float(proximal), m, steps, b
    if _library().descend(_at(start), _at(inputs), _at(labels), _at(scale), *numbers, _at(ends)):
        raise MemoryError
    return ends


def accuracy(model: NDArray[np.float32], inputs: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """Percent of the images, (n, 3, 32, 32), that one model, (SIZE,), labels right."""
    right: int = _library().right(_at(model), _at(inputs), _at(labels), len(labels))
    if right < 0:
        raise MemoryError
    return 100 * right / len(labels)


def _at(array: NDArray[Any]) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)


@cache
def _library() -> ctypes.CDLL:
    """Built once for each version of source and flags, and kept among the temporary files of this user."""
    name = hashlib.sha256(" ".join(BUILD).encode() + SOURCE.read_bytes()).hexdigest()[:16]
    library = Path(tempfile.gettempdir()) / f"securefl-lenet-{os.getuid()}-{name}.so"
    if not library.exists() or library.stat().st_uid != os.getuid():
        with tempfile.TemporaryDirectory(dir=library.parent) as folder:
            fresh = Path(folder) / library.name
            subprocess.run([*BUILD, SOURCE, "-o", fresh, "-lm"], check=True)
            fresh.replace(library)
    return ctypes.CDLL(str(library))
