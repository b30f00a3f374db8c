"""The public parameters of a session: which can be kept, and what stands for them. docs/spec/session.md, section 2."""

from __future__ import annotations

from itertools import pairwise
from math import comb

from reference.boxes import KEMS
from reference.errors import ConfigurationError
from reference.masks import block_count
from reference.messages import PARAMS, Fields
from reference.transcript import transcript_hash
from reference.wire import pack

Secret = tuple[str, str]
"""(sum, kind): kind is "m", the pair secret, or "b", the self-mask; of what is dealt also "half"."""


def params_hash(params: Fields) -> bytes:
    return transcript_hash("params", pack(PARAMS.write(params)))


def needed(params: Fields) -> int:
    """Clients that must be in a sum: nobody holds a share of its own secrets."""
    return max(params["threshold"] + 1, params["min_survivors"] or 0)


def sum_of(params: Fields, name: str) -> Fields:
    (one,) = (s for s in params["sums"] if s["name"] == name)
    return one


def names(params: Fields, *kinds: str) -> list[Secret]:
    """In the order of the wire: sum by sum."""
    return [(s["name"], kind) for s in params["sums"] for kind in kinds]


def check_params(params: Fields) -> None:
    """ConfigurationError names the setting that cannot be kept."""
    n, t, c, degree = params["clients"], params["threshold"], params["colluders"], params["degree"]
    malicious = params["setting"] == "malicious"
    rules = [
        ("kem", params["kem"] in KEMS),
        ("degree", degree is None or (degree % 2 == 0 and degree < n)),
        ("threshold", t <= (n - 1 if degree is None else degree)),
        ("colluders", c <= n - 2),
        ("threshold", t > c or degree not in (None, n - 1)),
        ("degree", degree is None or not malicious),
        ("threshold", not malicious or t >= (n - 1 + c) // 2 + 1),
        ("degree", degree is None or n < 4 or is_safe(n, degree, t, min(c, n))),
        ("min_survivors", needed(params) <= n),
        ("sums", distinct(params["sums"])),
        ("sums", all(distinct(one["segments"]) for one in params["sums"])),
    ]
    for segment in (g for one in params["sums"] for g in one["segments"] if g["by_rows"]):
        rules.append(("words", block_count(segment["words"], segment["bits"]) <= 2**16))
        rules.append(("degree", degree is None))
    for setting, kept in rules:
        if not kept:
            raise ConfigurationError(setting)


def is_safe(n: int, k: int, t: int, c: int) -> bool:
    """Whether corrupt clients open a client of a random sparse graph, or cut the graph, with 2^-41 each at most."""
    opened = n * sum(comb(c, x) * comb(n - c, k - x) for x in range(t, k + 1))
    cut = n * (n - k - 1) * comb(c, k)  # twice: pairs of places
    return opened << 41 <= comb(n, k) and cut << 40 <= comb(n, k)


def distinct(named: list[Fields]) -> bool:
    return all(a != b for a, b in pairwise(sorted(one["name"] for one in named)))
