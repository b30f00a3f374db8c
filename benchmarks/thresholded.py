"""What a `thresholded` union would find: noisy counts over direct cells, of which those above a threshold are kept.

    python benchmarks/thresholded.py --clients 100,1000,10000

Nothing is timed: the numbers are computed for decision record 0005. Each client adds 1 to the cells of at most D of its
indices, scaled by a public factor, and a share of discrete Gaussian noise (Kairouz, Liu, Steinke 2021). Epsilon is by
the Rényi bound at the honest shares that are sure, for one client's contribution replaced by nothing (L2 sensitivity
sqrt(D)), delta = 1e-6, one round. The threshold leaves 100 false indices; all shares are there, and noise that is not
sure is in the way too. Index sets are those of the synthetic Taobao log. Columns: standard deviation of the noise and
threshold, in holders; KB up for a client; indices of the cohort's union; share of them that is found; share of all
(client, index) pairs whose index is found.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, erfc, log2, sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from dp import DiscreteGaussian, PrivacyError, Sensitivity, calibrate, sure_shares
from securefl.datasets.synthetic import synthetic_click_log
from securefl.secagg import default_threshold

CELLS, DELTA, FALSE = 143_534, Fraction(1, 10**6), 100
EPSILONS, MOST = (1, 4, 10), (10, 100)
SCALES = [1 << k for k in range(11)]
TAIL = 10
"""Standard deviations that must not wrap."""


@dataclass(frozen=True)
class Mode:
    """One setting: everything in units of one holder."""

    clients: int
    scale: int
    deviation: float
    """Of the noise of all clients."""

    @property
    def threshold(self) -> float:
        """The least count that at most `FALSE` empty cells reach."""
        quantile = NormalDist().inv_cdf(1 - FALSE / CELLS)
        return ceil(quantile * self.deviation * self.scale + 0.5) / self.scale

    @property
    def bytes_up(self) -> int:
        """Of one client."""
        largest = self.scale * (self.clients + 2 * TAIL * self.deviation)
        return CELLS * ceil(log2(largest + 1)) // 8

    def found(self, holders: NDArray[np.int64]) -> NDArray[np.float64]:
        """P[kept] of cells with so many contributions; the noise of hundreds of shares has a normal tail."""
        reach = (self.threshold - 0.5 / self.scale - holders) / self.deviation
        return np.array([erfc(x / sqrt(2)) / 2 for x in reach])


def mode(clients: int, epsilon: float, most: int) -> Mode:
    """The smallest scale beyond which noise hardly falls: shares below one unit would lose their accounting."""
    sure = sure_shares(default_threshold(clients), clients // 20)
    best = None
    for scale in SCALES:
        sensitivity = Sensitivity(Fraction(scale * most), Fraction(scale**2 * most), CELLS)
        share = calibrate(lambda sigma2: DiscreteGaussian(sigma2, sure), sensitivity, epsilon, DELTA)
        deviation = sqrt(clients * share) / scale
        if best is not None and deviation > 0.97 * best.deviation:
            return best
        best = Mode(clients, scale, deviation)
    raise PrivacyError(f"no scale up to {SCALES[-1]} is enough")


def rows(clients: int) -> list[str]:
    """The table's rows for a cohort of this size."""
    log, generator = synthetic_click_log("taobao"), np.random.default_rng(clients)
    sets = [log.index_set(int(user)) for user in generator.choice(log.users, clients, replace=False)]
    held = np.bincount(np.concatenate(sets), minlength=CELLS)
    in_union, lines = held > 0, []
    for epsilon in EPSILONS:
        for most in MOST:
            contributed = np.concatenate([generator.permutation(own)[:most] for own in sets])
            made = mode(clients, epsilon, most)
            kept = made.found(np.bincount(contributed, minlength=CELLS))
            shares = kept[in_union].mean(), (kept * held).sum() / held.sum()
            lines.append(
                f"| {clients:,} | {epsilon} | {most} | {made.deviation:.1f} | {made.threshold:.1f} | "
                f"{made.bytes_up / 1000:.0f} | {in_union.sum():,} | {shares[0]:.2%} | {shares[1]:.1%} |"
            )
    return lines


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", default="100,1000,10000", help="cohort sizes, comma-separated")
    print("| clients | epsilon | D | noise | threshold | KB up | union | found | pairs |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for clients in map(int, parser.parse_args().clients.split(",")):
        print("\n".join(rows(clients)), flush=True)


if __name__ == "__main__":
    main()
