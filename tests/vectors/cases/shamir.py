"""Shares of secrets, with the coefficients they were made from, and shares that encode none."""

from __future__ import annotations

from functools import partial
from itertools import combinations
from typing import Any

from reference import shamir
from runs import coefficients, fresh

from cases.plain import refusal

SECRETS = [bytes(32), b"\xff" * 32, bytes(range(32))]
CASES = [(1, [1]), (2, [1, 2, 3]), (3, [2, 5, 2**24, 7, shamir.PRIME - 1])]
"""(threshold, points)"""


def vectors() -> dict[str, Any]:
    return {"shared": [shared(t, points, secret) for t, points in CASES for secret in SECRETS], "refused": refused()}


def shared(threshold: int, points: list[int], secret: bytes) -> dict[str, Any]:
    polynomials = [coefficients("vector", secret, power) for power in range(1, threshold)]
    shares = {x: shamir.share(secret, polynomials, x) for x in points}
    for chosen in combinations(points, threshold):
        if shamir.reconstruct({x: shares[x] for x in chosen}) != secret:
            raise RuntimeError("the reference does not reconstruct what it shared")
    return {"threshold": threshold, "secret": secret, "coefficients": polynomials, "shares": shares}


def refused() -> list[dict[str, Any]]:
    good = {x: shamir.share(fresh(32, "secret"), [coefficients("refused")], x) for x in (1, 2)}
    prime = shamir.PRIME.to_bytes(8, "little")
    cases = {
        "a word that is the prime": {1: prime + good[1][8:], 2: good[2]},
        "a word of 64 ones": {1: good[1][:32] + b"\xff" * 8, 2: good[2]},
        "a limb of 2^56": {x: (2**56).to_bytes(8, "little") + bytes(32) for x in (1, 2)},
        "a last limb of 2^32": {x: bytes(32) + (2**32).to_bytes(8, "little") for x in (1, 2)},
        "a share at another point": {1: good[2], 2: good[1]},
    }
    return [
        {"why": why, "error": "FaultyClientError", "of": "the dealer", "shares": shares}
        for why, shares in cases.items()
        if refusal(partial(shamir.reconstruct, shares)) == "ValueError"
    ]
