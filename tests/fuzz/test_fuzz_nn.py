"""Steps of inference with buffers of exactly the sizes they ask for: no geometry makes a kernel leave them.

A step that is refused says which buffer has how many items, and how many it takes; so it is made again until all fit.
What leaves a buffer is seen by ``.ci/harden sanitize``.
"""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from native import _native

WINDOW = 13
KINDS: dict[str, tuple[tuple[str, ...], int, int]] = {  # buffers, number of sizes and of floats
    "linear": (("out", "x", "weights", "bias", "alpha", "scales", "scratch"), 4, 2),
    "conv": (("out", "x", "weights", "bias", "add", "scratch"), WINDOW + 1, 2),
    "winograd": (("out", "x", "weights", "bias", "add", "scratch", "input", "output"), WINDOW + 3, 2),
    "depthwise": (("out", "x", "weights", "bias"), WINDOW, 2),
    "pool": (("out", "x"), WINDOW + 1, 0),
    "convert": (("out", "x"), 4, 0),
    "copy": (("out", "x"), 6, 0),
    "lookup": (("out", "rows", "scales", "index"), 3, 0),
    "locate": (("out", "sorted", "keys", "found"), 2, 0),
}
WIDE = {"index", "sorted", "keys"}  # items of 8 bytes
POOL = _native.nn_pool(3)
ASKED = re.compile(r"(\w+) (?:has \d+ items, not (\d+)|is missing|has not items)")
MOST = 1 << 16


@st.composite
def windows(draw: st.DrawFn, kind: str) -> list[int]:
    """Sizes of a window that slides over images, its last place still in touch with the image."""
    square = kind == "winograd"
    channels, filters = draw(st.integers(1, 20)), draw(st.integers(1, 20))
    image = draw(st.tuples(st.integers(1, 9), st.integers(1, 9)))
    kernel = [draw(st.integers(1, 4))] * 2 if square else draw(st.lists(st.integers(1, 4), min_size=2, max_size=2))
    stride = [1, 1] if square else draw(st.lists(st.integers(1, 3), min_size=2, max_size=2))
    pad = [draw(st.integers(0, k - 1)) for k in kernel]
    out = [draw(st.integers(1, (n + p - 1) // s + 1)) for n, p, s in zip(image, pad, stride, strict=True)]
    filters = filters if kind in ("conv", "winograd") else channels
    more = draw(st.lists(st.integers(0, 4), min_size=KINDS[kind][1] - WINDOW, max_size=KINDS[kind][1] - WINDOW))
    return [draw(st.integers(1, 2)), channels, *image, filters, *out, *kernel, *stride, *pad, *more]


def sizes_of(kind: str) -> st.SearchStrategy[list[int]]:
    count = KINDS[kind][1]
    anything = st.lists(st.integers(0, 20), min_size=count, max_size=count)
    return anything if count < WINDOW else st.one_of(windows(kind), windows(kind), anything)


def buffer(kind: str, name: str, count: int, rng: np.random.Generator) -> np.ndarray:
    if name in WIDE or (kind, name) == ("locate", "out"):
        return np.sort(rng.integers(-3, 9, count))
    return rng.standard_normal(count, np.float32)


def fitted(
    kind: str, sizes: list[int], backend: str, rng: np.random.Generator, parts: int = 1, **held: np.ndarray | None
) -> tuple[object, dict[str, np.ndarray | None]] | None:
    """The step and its buffers, or None when the sizes themselves are refused or take too much memory."""
    names, _, numbers = KINDS[kind]
    optional = {"alpha", "scales", "add", "found"}
    held = held or {name: None if name in optional else buffer(kind, name, 0, rng) for name in names}
    for _ in range(2 * len(names)):
        try:
            step = _native.nn_step(backend, kind, tuple(held.values()), tuple(sizes), (-1.0, 1.0)[:numbers], parts)
        except ValueError as error:
            asked = ASKED.match(str(error))
            count = int(asked[2] or 0) if asked else MOST
            if not asked or count >= MOST:
                return None
            held[asked[1]] = buffer(kind, asked[1], count, rng)
        else:
            return step, held
    raise AssertionError("a step that never has enough")


@pytest.mark.parametrize("backend", [name for name, *_ in _native.nn_backends()])
@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data(), seed=st.integers(0, 9))
def test_a_step_stays_in_its_buffers(kind: str, backend: str, data: st.DataObject, seed: int) -> None:
    made = fitted(kind, data.draw(sizes_of(kind)), backend, np.random.default_rng(seed))
    event("runs" if made else "refused")
    if made:
        step, held = made
        _native.nn_run(_native.nn_program((step,), None))
        assert np.isfinite(held["out"]).all()


@pytest.mark.parametrize("backend", [name for name, *_ in _native.nn_backends()])
@pytest.mark.parametrize("kind", sorted(KINDS.keys() - {"pack", "filters"}))
@given(data=st.data(), seed=st.integers(0, 9), parts=st.integers(2, 5))
def test_parts_make_what_the_whole_makes(kind: str, backend: str, data: st.DataObject, seed: int, parts: int) -> None:
    """Bit for bit, with fewer threads than parts, into buffers that held something else."""
    sizes, rng = data.draw(sizes_of(kind)), np.random.default_rng(seed)
    made = fitted(kind, sizes, backend, rng)
    event("runs" if made else "refused")
    if made:
        whole, held = made
        out = held["out"]
        out[...] = -7
        _native.nn_run(_native.nn_program((whole,), None))
        wanted = out.copy()
        out[...] = -7
        again = fitted(kind, sizes, backend, rng, parts, **held)
        assert again is not None
        _native.nn_run(_native.nn_program((again[0],), POOL))
        assert out.tobytes() == wanted.tobytes()


@pytest.mark.parametrize("threads", [0, 65, -1, 2**64, 1.5, "2", None])
def test_a_pool_takes_a_number_of_threads(threads: object) -> None:
    with pytest.raises((ValueError, TypeError, OverflowError)):
        _native.nn_pool(threads)


def test_a_program_takes_a_pool_and_nothing_else() -> None:
    step, _ = fitted("copy", [1, 4, 4, 4, 0, 0], "portable", np.random.default_rng(0)) or (None, {})
    for pool in (step, 3, "pool"):
        with pytest.raises((ValueError, TypeError)):
            _native.nn_program((step,), pool)
    assert _native.nn_run(_native.nn_program((step,), POOL)) is None
