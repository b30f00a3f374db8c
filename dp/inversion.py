"""Exact samples of any law on 0, 1, 2, ... whose distribution function can be bounded as tightly as asked.

Inversion with bits drawn as needed (Knuth and Yao 1976; Devroye 1986, II.2): a sample is the first k with U < F(k),
U uniform in [0, 1). A word of U nearly always decides; where a bound of F(k) falls into the same word, more words of U
and tighter bounds do. Not constant-time.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from dp.errors import PrivacyError
from dp.sampling import Rng, uniform

__all__ = ["Bounds", "Inversion"]

Bounds = tuple[int, Sequence[int], Sequence[int]]
"""A number `first` with 2^bits F(first - 1) < 1, then for k = first, first + 1, ..., as many as one likes, an integer
below or at 2^bits F(k), and one above or at it."""
MAX_WORDS = 16


class Inversion:
    """A law, by `bounds(bits)` of its distribution function. `word` is how many bits of U are drawn at a time."""

    def __init__(self, bounds: Callable[[int], Bounds], word: int = 64) -> None:
        self._bounds, self._word = bounds, word
        self._first, below, above = bounds(word)
        self._below = np.array(below, np.uint64)
        before = [int(self._first > 0), *above]
        self._above = np.array([min(bound, 2**word - 1) for bound in before], np.uint64)  # the last word is the tail's

    def sample(self, count: int, rng: Rng = os.urandom) -> NDArray[np.int64]:
        """`count` independent samples, int64. Raises PrivacyError if `rng` fails."""
        words = uniform(2**self._word, count, rng)
        samples = np.searchsorted(self._below, words, side="right")
        for place in np.flatnonzero(self._unsure(words, samples)):
            samples[place] = self._refine(int(words[place]), rng) - self._first
        return samples + self._first

    def _unsure(self, words: NDArray[np.uint64], samples: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Where U may lie below F(k - 1) after all, or in the tail that the bounds leave out."""
        unsure: NDArray[np.bool_] = (words < self._above[samples]) | (samples == len(self._below))
        return unsure

    def _refine(self, drawn: int, rng: Rng) -> int:
        for words in range(2, MAX_WORDS):
            drawn = drawn << self._word | int(uniform(2**self._word, 1, rng)[0])
            first, below, above = self._bounds(words * self._word)
            k = bisect_right(below, drawn)
            if k < len(below) and drawn >= (above[k - 1] if k else int(first > 0)):
                return first + k
        raise PrivacyError("rng keeps returning the same bytes; use a source that works, such as os.urandom")
