"""A short measurement of this machine for the cost model, kept for the user so that it is made once."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

import msgspec
import numpy as np

from native.nn import Floats, Kernels, Program, Step, Window

from .cost import Rates
from .winograd import floats, winograd

__all__ = ["calibrated", "measure"]

VERSION = 1
"""Of the measurement: files of another one are not read."""
TURNS = 5
DEPTH, COLUMNS = 256, 128
LARGE = 1 << 24
"""Floats that no cache of one core holds."""


def calibrated(kernels: Kernels) -> Rates:
    """The rates of these kernels on this machine: from the user's cache, else measured (a tenth of a second) and kept.

    The cache is a convenience: one that cannot be read or written is passed over. It lies in XDG_CACHE_HOME.
    """
    path = _folder() / f"inference-{VERSION}-{kernels.name}-{_machine()}.json"
    try:
        rates = msgspec.json.decode(path.read_bytes(), type=Rates)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        rates = measure(kernels)
        _keep(path, rates)
    return rates if len(rates.product) == kernels.tile_rows else measure(kernels)


def _folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "securefl"


def _machine() -> str:
    """The processor's model, as a word."""
    info = Path("/proc/cpuinfo")
    named = (
        [line for line in info.read_text().splitlines() if line.startswith(("model", "CPU part"))]
        if info.exists()
        else []
    )
    text = "-".join(dict.fromkeys(line.partition(":")[2].strip() for line in named)) or platform.processor()
    return "".join(letter if letter.isalnum() else "-" for letter in f"{platform.machine()}-{text}")[:80]


def _keep(path: Path, rates: Rates) -> None:
    draft = path.with_suffix(f".{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.write_bytes(msgspec.json.encode(rates))
        draft.replace(path)
    except OSError:
        return


def measure(kernels: Kernels) -> Rates:
    """Best of a few turns of each piece."""
    product = tuple(_linear(kernels, rows, DEPTH, COLUMNS) for rows in range(1, kernels.tile_rows + 1))
    weight = _linear(kernels, 1, LARGE // 1024, 1024) / 4
    small, large = np.zeros((1, 16), np.float32), np.zeros((1, 1 << 15), np.float32)
    step = _best(kernels.activate(small, small))
    moved = _best(kernels.activate(large, large)) / large.nbytes
    exponential = _best(kernels.activate(large, large, activation="sigmoid")) / large.size
    rates = Rates(product=product, weight=weight, moved=moved, transformed=0.0, exponential=exponential, step=step)
    return msgspec.structs.replace(rates, transformed=_transform(kernels, rates))


def _best(step: Step) -> float:
    """Seconds of one run, when it is repeated for some microseconds."""
    program = Program([step])
    once = _timed(program.run, 1)
    count = max(1, min(200, int(2e-4 / once)))
    return min(_timed(program.run, count) for _ in range(TURNS))


def _timed(run: Callable[[], None], count: int) -> float:
    began = perf_counter()
    for _ in range(count):
        run()
    return max(perf_counter() - began, 1e-9) / count


def _linear(kernels: Kernels, rows: int, depth: int, columns: int) -> float:
    """Seconds a multiplication of a product."""
    x, out = np.zeros((rows, depth), np.float32), np.zeros((rows, columns), np.float32)
    weights = np.ones(depth * columns, np.float32)  # zeros would all be one page of memory
    return _best(kernels.linear(out, x, weights, np.zeros(columns, np.float32))) / (rows * depth * columns)


def _transform(kernels: Kernels, rates: Rates) -> float:
    """Seconds a multiplication in the transforms of F(4, 3): what its products do not explain."""
    f, width, side, tiles = winograd(4, 3), kernels.width, 24, 36
    channels = 4 * width
    w = Window(1, channels, (side, side), channels, (side, side), (3, 3), (1, 1), (1, 1))
    x: Floats = np.zeros(kernels.blocked_size((1, channels, side, side)), np.float32)
    weights, bias = np.zeros(f.size**2 * channels * channels, np.float32), np.zeros(channels, np.float32)
    scratch = np.zeros(kernels.winograd_scratch(w, f.size, tiles), np.float32)
    matrices = (floats(f.input), floats(f.output))
    step = kernels.winograd(w, x.copy(), x, weights, bias, scratch, matrices, pairs=f.pairs, tiles=tiles)
    products = f.size**2 * tiles * channels * channels * rates.rows(tiles)
    turned = tiles * channels * (2 * f.size**3 + (f.size + f.tile) * f.size * f.tile)
    return max(_best(step) - products, 0.1 * products) / turned
