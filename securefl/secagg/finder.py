"""The cheapest sparse graph that is safe: how many neighbours each client needs, and how many shares open a secret.

Source: Bell et al. 2020, section 3, for what a graph must hold:

    E1  no client has so many corrupt neighbours that they open its secrets    (security)
    E2  the honest clients that stay are connected                             (security)
    E3  every client keeps enough neighbours to open what must be opened       (the sum comes out)

Its bounds are asymptotic. Here every probability is a hypergeometric tail (HG(n, K, k): how many of K marked clients
are among k that are drawn from n), summed over the clients, as in the finder of google-parfait/federated-compute.
Floating point decides only what it can: within MARGIN of a bound, integers do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor, inf, log, log2, sqrt
from typing import Literal, get_args

import numpy as np
from gmpy2 import comb  # type: ignore[import-untyped]  # ships no annotations
from numpy.typing import NDArray

from securefl.errors import ConfigurationError

__all__ = ["MAX_CLIENTS", "Adversary", "FailureExponents", "degree_and_threshold", "failure_exponents"]

MAX_CLIENTS = 1 << 20
"""The largest cohort."""

Adversary = Literal["none", "semi_honest", "semi_malicious"]
"""Nobody; a curious server with corrupt clients; the same with a server that tells some clients that another survived,
and some that it was lost, to open both its self-mask and its pair secret."""

MAX_BITS = 256
MARGIN = 1e-9
"""Relative error that no load reaches: 10^6 products round to 3e-10 at most, and less than 2^-CUT_BITS is cut off."""
CUT_BITS = 40


@dataclass(frozen=True, slots=True)
class FailureExponents:
    """log2 of what can go wrong with any client: 0 if it must be expected, -inf if it cannot happen."""

    unmasked: float
    """E1."""
    disconnected: float
    """E2."""
    aborted: float
    """E3."""


def degree_and_threshold(
    n: int, gamma: Fraction | float, delta: Fraction | float, model: Adversary, sigma: int = 40, eta: int = 20
) -> tuple[int, int]:
    """The smallest even degree k of a Harary graph over `n` clients that meets E1 to E3, and the smallest threshold t.

    `gamma` and `delta` are the shares of corrupt and of lost clients, in [0, 1): floor(gamma n) and floor(delta n)
    clients. A float counts as the decimal it prints as; write a third as Fraction(1, 3). Under "none", gamma is void.
    Security (E1 or E2) fails with probability 2^-sigma at most, a sum is lost (E3) with 2^-eta at most.
    t is at least 2. Where t = 1 would do (nobody corrupt, not "semi_malicious") E3 is asked of 1, as in the finder that
    the known answers come from: if then k = lost + 1, a client can be left with one neighbour, t = 2 may miss eta (one
    lost client always does), and `failure_exponents` says so.
    Raises ConfigurationError if no degree below the complete graph's will do, or if an argument is out of range.
    """
    corrupt, lost = _crowd(n, gamma, delta, model)
    for name, bits in (("sigma", sigma), ("eta", eta)):
        if not 1 <= bits <= MAX_BITS:
            raise ConfigurationError(f"{name}: {bits} is no usable number of bits; use 1 to {MAX_BITS}")
    opened, last = _opened(model), n - 2 - n % 2
    k = _connected_from(n, min(corrupt + lost, n), sigma)
    if k > last:
        raise _infeasible(n, corrupt, lost, opened, "every sparse graph may fall apart (E2)")
    while True:
        colluding, silent = _rare(n, corrupt, k, sigma + 1), _rare(n, lost, k, eta)
        needed, answering = -(-((opened - 1) * k + colluding) // opened), k + 1 - silent
        if needed <= answering:
            return k, max(2, needed)
        if k == last:
            what = f"collusion asks for a threshold of {needed} (E1) but only {answering} of {k} neighbours are sure"
            raise _infeasible(n, corrupt, lost, opened, f"{what} to answer (E3), even on the densest sparse graph")
        # `colluding` and `silent` never fall as k grows, so a neighbour more narrows the gap by one at most. They grow
        # unevenly: k + 2 may fail where k does not. Bisection may miss the answer; steps as long as the gap cannot.
        gap = colluding + opened * silent - opened - k
        k = min(k + gap + gap % 2, last)


def failure_exponents(
    n: int, k: int, t: int, gamma: Fraction | float, delta: Fraction | float, model: Adversary = "semi_honest"
) -> FailureExponents:
    """log2 of the bounds on E1, E2 and E3 for degree `k` and threshold `t`; arguments as in `degree_and_threshold`.

    `k` is even, or n - 1 for the complete graph. Within 1e-4 of the exact values for any n.
    Raises ConfigurationError if an argument is out of range.
    """
    corrupt, lost = _crowd(n, gamma, delta, model)
    if not (2 <= k < n and (k % 2 == 0 or k == n - 1)):
        raise ConfigurationError(f"degree: {k} is no degree of a graph over {n} clients; use an even one below {n}")
    if not 1 <= t <= k:
        raise ConfigurationError(f"threshold: {t} of {k} neighbours cannot be; use 1 to {k}")
    opened = _opened(model)
    return FailureExponents(
        unmasked=min(0.0, log2(n) + _log2_tail(n, corrupt, k, opened * t - (opened - 1) * k)),
        disconnected=min(0.0, _log2_cut(n, min(corrupt + lost, n), k)),
        aborted=min(0.0, log2(n) + _log2_tail(n, lost, k, k - t + 1)),
    )


def _opened(model: Adversary) -> int:
    """How many secrets of a client the adversary has to open: of two, each honest neighbour gives a share of one only.

    So one takes t corrupt neighbours, and two take 2t - k.
    """
    return 2 if model == "semi_malicious" else 1


def _crowd(n: int, gamma: Fraction | float, delta: Fraction | float, model: Adversary) -> tuple[int, int]:
    """How many clients are corrupt and how many are lost."""
    if model not in get_args(Adversary):
        raise ConfigurationError(f"model: {model!r} is not known; use one of {', '.join(get_args(Adversary))}")
    if not 4 <= n <= MAX_CLIENTS:
        raise ConfigurationError(f"clients: no sparse graph over {n}; use 4 to {MAX_CLIENTS}, or the complete graph")
    corrupt, lost = floor(_rate("gamma", gamma) * n), floor(_rate("delta", delta) * n)
    return 0 if model == "none" else corrupt, lost


def _rate(name: str, rate: Fraction | float) -> Fraction:
    """The decimal that `rate` prints as: 0.29 of 100 clients are 29, where the float's own value gives 28."""
    if not 0 <= rate < 1:  # refuses nan as well
        raise ConfigurationError(f"{name}: {rate} is no share of the clients; use 0 or more and less than 1")
    return Fraction(str(rate))


def _connected_from(n: int, gone: int, sigma: int) -> int:
    """The smallest even k that meets E2, if one up to n - 2 does. Its bound falls as k grows, to 0 above `gone`.

    A Harary graph falls apart only where k/2 clients in a row are gone in two places: n (n - k - 1) / 2 pairs, each
    with probability C(gone, k) / C(n, k).
    """
    drawn = np.arange(min(gone, n - 2))
    degrees = drawn[1::2] + 1
    loads = n * (n - degrees - 1) * 2.0**sigma * np.cumprod((gone - drawn) / (n - drawn))[degrees - 1]

    def exact(at: int) -> bool:
        k = 2 * at + 2
        return bool(n * (n - k - 1) * comb(gone, k) << sigma <= comb(n, k))

    return 2 * _first_met(loads, exact) + 2


def _rare(n: int, marked: int, k: int, bits: int) -> int:
    """The smallest x such that n Pr[HG(n, marked, k) >= x] <= 2^-bits.

    Masses are relative to that of the mean, and taken so far to both sides that those outside sum to 2^-CUT_BITS of the
    bound at most (Hoeffding 1963, section 6: draws without replacement; of four ways to read HG the narrowest counts).
    """
    mean = k * marked // n
    reach = 2 + ceil(sqrt(min(k, marked, n - k, n - marked) * log(2) * (bits + log2(n) + 1 + CUT_BITS) / 2))
    low, high = max(0, k + marked - n, mean - reach), min(k, marked, mean + reach)
    ratios = _ratios(n, marked, k, low, high)
    up, down = np.cumprod(ratios[mean - low :]), np.cumprod(1 / ratios[: mean - low][::-1])
    tails = np.cumsum(np.concatenate((down[::-1], [1.0], up))[::-1])[::-1]
    loads = n * 2.0**bits * tails / tails[0]
    return low + _first_met(loads, lambda at: _is_rare(n, marked, k, bits, low + at))


def _is_rare(n: int, marked: int, k: int, bits: int, x: int) -> bool:
    """Whether n Pr[HG(n, marked, k) >= x] <= 2^-bits, in integers; x is in the support."""
    room, mass = comb(n, k), n * comb(marked, x) * comb(n - marked, k - x) << bits
    while mass <= room:
        room -= mass
        up, down = (marked - x) * (k - x), (x + 1) * (n - marked - k + x + 1)
        mass, x = mass * up // down, x + 1
        if mass * down <= room * (down - up):  # masses shrink ever faster: the rest is below a geometric series
            return True
    return False


def _first_met(loads: NDArray[np.float64], exact: Callable[[int], bool]) -> int:
    """Index of the first load (they fall) that is 1 or less; their number if none is. `exact` decides close ones."""
    at = int(np.count_nonzero(loads > 1 + MARGIN))
    while at < len(loads) and loads[at] > 1 - MARGIN and not exact(at):
        at += 1
    return at


def _ratios(n: int, marked: int, k: int, low: int, high: int) -> NDArray[np.float64]:
    """Pr[HG = x + 1] / Pr[HG = x] for x in low..high - 1: positive, as both lie in the support. (high - low,)"""
    x = np.arange(low, high, dtype=np.float64)
    return (marked - x) * (k - x) / ((x + 1) * (n - marked - k + 1 + x))


def _log2_tail(n: int, marked: int, k: int, x: int) -> float:
    """log2 Pr[HG(n, marked, k) >= x], however small."""
    low, high = max(0, k + marked - n), min(k, marked)
    if x > high:
        return -inf
    masses = np.concatenate(([0.0], np.cumsum(np.log2(_ratios(n, marked, k, low, high)))))
    return float(np.logaddexp2.reduce(masses[max(x - low, 0) :]) - np.logaddexp2.reduce(masses))


def _log2_cut(n: int, gone: int, k: int) -> float:
    """log2 of the bound on E2 that `_connected_from` keeps."""
    if k > min(gone, n - 2):
        return -inf
    drawn = np.arange(k)
    return log2(n * (n - k - 1) / 2) + float(np.log2((gone - drawn) / (n - drawn)).sum())


def _infeasible(n: int, corrupt: int, lost: int, opened: int, what: str) -> ConfigurationError:
    """What cannot be met, and what to change. The complete graph can keep corrupt + opened * lost <= n - 2."""
    advice = "lower gamma or delta"
    if corrupt + opened * lost <= n - 2:
        advice += ", invite more clients or use the complete graph"
    return ConfigurationError(f"gamma, delta: with {corrupt} corrupt and {lost} lost of {n} clients {what}; {advice}")
