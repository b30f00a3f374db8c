"""Shamir's sharing beside pycryptodome, whose field arithmetic is pure Python: a 32-byte secret, any 51 of 101 shares.

pycryptodome shares 16 bytes at a time, over GF(2^128), so it runs twice. Fresh randomness, weights and every check are
within the clock on both sides. Ours runs 64 times in a turn: once would measure a cold cache.
"""

from __future__ import annotations

import os

import numpy as np
from Crypto.Protocol.SecretSharing import Shamir
from report import Check, Report

from core.turns import medians
from native.field import reconstruct, share

PEERS = ("pycryptodome",)
THRESHOLD, HOLDERS, TIMES = 51, 101, 64
POINTS = np.arange(1, HOLDERS + 1, dtype=np.uint64)


def measure(report: Report, rounds: int) -> None:
    """Add the checks of this family."""
    secret = os.urandom(32)
    words = np.frombuffer(secret, np.uint8).reshape(1, 32)
    chosen = np.random.default_rng(0).permutation(HOLDERS)[:THRESHOLD]
    points, shares = POINTS[chosen], np.ascontiguousarray(share(words, THRESHOLD, POINTS)[:, chosen])
    halves = [[dealt[i] for i in chosen] for dealt in split(secret)]
    if not reconstruct(points, shares, THRESHOLD).tobytes() == combine(halves) == secret:
        raise SystemExit("shamir: a side does not give its secret back")

    def sharing() -> None:
        for _ in range(TIMES):
            share(words, THRESHOLD, POINTS)

    def reconstructing() -> None:
        for _ in range(TIMES):
            reconstruct(points, shares, THRESHOLD)

    sides = {
        "share": sharing,
        "split": lambda: split(secret),
        "open": reconstructing,
        "combine": lambda: combine(halves),
    }
    seconds = medians(sides, rounds)
    ours = {name: seconds[name] / TIMES for name in ("share", "open")}
    report.checks += [
        Check("shamir_share_ratio", seconds["split"] / ours["share"], "x", 1000, 2000),
        Check("shamir_reconstruct_ratio", seconds["combine"] / ours["open"], "x", 5000, 10000),
        Check("shamir_share_time", 1e6 * ours["share"], "us"),
        Check("shamir_reconstruct_time", 1e6 * ours["open"], "us"),
        Check("pycryptodome_share_time", 1e3 * seconds["split"], "ms"),
        Check("pycryptodome_reconstruct_time", 1e3 * seconds["combine"], "ms"),
    ]
    report.notes.append("pycryptodome's Shamir is pure Python: its ratios compare languages as well as algorithms")


def split(secret: bytes) -> list[list[tuple[int, bytes]]]:
    """Shares of both halves."""
    return [Shamir.split(THRESHOLD, HOLDERS, half) for half in (secret[:16], secret[16:])]


def combine(halves: list[list[tuple[int, bytes]]]) -> bytes:
    """The way back."""
    return b"".join(map(Shamir.combine, halves))
