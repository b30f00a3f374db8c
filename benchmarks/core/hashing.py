"""Batch MurmurHash3 beside mmh3: 2^13 keys, words on our side and strings on theirs.

murmur_ratio: against the quickest of mmh3's calls, which gives 16 bytes. murmur_halves_ratio: against the quickest that
gives the two 64-bit halves as numbers, as ours does. Neither side converts keys within the clock, and neither takes new
memory for the hashes: ours go to one array, mmh3's are dropped one by one. In a turn ours runs 64 times, theirs once,
which takes about as long.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial

import mmh3
import numpy as np
from report import Check, Report

from core.turns import medians
from native.hashing import murmur3_x64_128

PEERS = ("mmh3",)
KEYS, TIMES = 1 << 13, 64
BYTES = (mmh3.hash_bytes, mmh3.mmh3_x64_128_digest)
HALVES = (mmh3.hash64, mmh3.mmh3_x64_128_utupledigest)


def measure(report: Report, rounds: int) -> None:
    """Add the checks of this family."""
    words = np.random.default_rng(0).integers(0, 2**64 - 1, KEYS, np.uint64, endpoint=True)
    keys = [word.to_bytes(8, "little") for word in words.tolist()]
    hashes = np.empty((KEYS, 2), np.uint64)

    def ours() -> None:
        for _ in range(TIMES):
            murmur3_x64_128(words, out=hashes)

    peers = {call.__name__: partial(_each, call, keys) for call in BYTES + HALVES}
    seconds = medians({"ours": ours, **peers}, rounds)
    mine = seconds["ours"] / TIMES
    if hashes.tobytes() != b"".join(map(mmh3.hash_bytes, keys)):
        raise SystemExit("hashing: the two sides differ")
    quickest = {calls: min(seconds[call.__name__] for call in calls) for calls in (BYTES, HALVES)}
    report.checks += [
        Check("murmur_ratio", quickest[BYTES] / mine, "x", 20, 100),
        Check("murmur_halves_ratio", quickest[HALVES] / mine, "x"),
        Check("murmur_time", 1e9 * mine / KEYS, "ns"),
        Check("mmh3_time", 1e9 * quickest[BYTES] / KEYS, "ns"),
    ]


def _each(call: Callable[[bytes], object], keys: list[bytes]) -> None:
    deque(map(call, keys), maxlen=0)
