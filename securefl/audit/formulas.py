"""Where every number of an audit comes from: an id, what is computed, and who said so."""

from __future__ import annotations

from typing import NamedTuple

import dp

__all__ = ["Formula", "FORMULAS"]


class Formula(NamedTuple):
    """What is computed, in letters that the source uses."""

    text: str
    source: str


NIU = "Niu et al. 2020 (arXiv 1911.02254), section 4"
RAPPOR = "Erlingsson et al. 2014 (RAPPOR), section 3"
BELL = "Bell et al. 2020 (SecAgg+), section 3"
BONAWITZ = "Bonawitz et al. 2017, sections 4 to 6"
OWN, CLAIMS = "docs/explanation/audit.md", "docs/explanation/privacy.md"

_SOURCES = {
    "rr-rounds": f"{RAPPOR}; {NIU}; {CLAIMS}",
    "rr-ever": f"{RAPPOR}; {NIU}; {CLAIMS}",
    "rr-truth": CLAIMS,
    "rr-set": CLAIMS,
    "hockey-stick": "Barthe and Olmedo 2013; Balle et al. 2018",
    "clopper-pearson": "Clopper and Pearson 1934; Jagielski et al. 2020",
    "ledger-index": CLAIMS,
    "ledger-set": CLAIMS,
    "noise-scalar": "Balle and Wang 2018, section 3",
    "noise-renyi": "Mironov 2017; Canonne et al. 2020; Agarwal et al. 2021",
    "noise-pld": "Koskela et al. 2020",
}

FORMULAS: dict[str, Formula] = {
    **{name: Formula(text, _SOURCES.get(name, OWN)) for name, text in dp.FORMULAS.items()},
    "rr-fresh": Formula("r eps_1: answers drawn anew each round add up", RAPPOR),
    "rr-lost": Formula("max over a of the losses of a and r - a claims from two independent permanent answers", OWN),
    "rr-guess": Formula("sum_k max(P1(k), P0(k)) / 2: the best guess, prior 1/2", f"Kairouz et al. 2015; {CLAIMS}"),
    "rr-posterior": Formula("K q1 / (K q1 + (n - K) q0): a claimant of a row with K holders is one of them", OWN),
    "rr-claimants": Formula("K q1 + (n - K) q0 claimants of a row with K holders of n clients", OWN),
    "shares": Formula("c <= t - 1; malicious: c <= 2 t - n", f"{BONAWITZ}; docs/explanation/audit.md"),
    "honest-inputs": Formula("max(t + 1, min_survivors) - c", BONAWITZ),
    "graph-e1": Formula("n Pr[HG(n, A, k) >= t]; two views: >= 2 t - k", BELL),
    "graph-e2": Formula("n (n - k - 1) / 2 * C(n - k, A + D - k) / C(n, A + D)", BELL),
    "graph-e3": Formula("n Pr[HG(n, S, k) < t]", BELL),
    "graph-finder": Formula("the smallest k, then t, with E1, E2 <= 2^-41 and E3 <= 2^-20", BELL),
    "dropout": Formula("P[Binomial(n, 1 - rate) < max(t + 1, min_survivors)]", BONAWITZ),
    "ring": Formula("2^b >= n w (2^q - 1) + 1", BONAWITZ),
    "quantization": Formula("step s = scale / (2^(q-1) - 1); sum of n: root mean square <= s sqrt(n) / 2", OWN),
    "clipping": Formula("rate * clip: the farthest one step can move a coordinate, over the scale", OWN),
    "bloom": Formula("E[(X / m)^h], X of m cells occupied", "Bose et al. 2008; Christensen et al. 2010"),
    "union-false": Formula("(universe - union) * rate", OWN),
    "union-loss": Formula("1 - (1 - (1/R)(1 + (R-1)(-1/(R-1))^2))^h, R = 2^b", OWN),
    "union-holders": Formula("share of a cohort's union with one holder, mean of drawn cohorts", OWN),
    "union-exact": Formula("ln P[j in union | held] / P[j in union | not held], no other holder", OWN),
    "lone": Formula("K q1 (1 - q1)^(K - 1): one holder claims, fillers add zero", CLAIMS),
    "row-up": Formula("P[claimants >= floor]", OWN),
    "row-shrinks": Formula("P[claimants >= floor, fewer than m + c left after losses]", OWN),
    "noise-none": Formula("ln P[sum | x] / P[sum | x'] of an exact sum", "Dwork et al. 2006"),
    "noise-ball": Formula("2 R, and at most 2 R sqrt(D) in L1, after rounding; deviation z R", f"{OWN}; {CLAIMS}"),
    "row-shares": Formula("m of at least m + c + live - min_survivors claimants", OWN),
    "frames": Formula("bytes of real frames with empty contents, and of the rows of drawn rounds", OWN),
    "coins": Formula("bits of a claim's coins that an outsider does not know", OWN),
    "suite": Formula("bits of security of the key exchange against a quantum computer", "FIPS 203; RFC 9180"),
    "guess-rate": Formula("(P[guess held | held] + P[guess not held | not held]) / 2, played on drawn cohorts", OWN),
    "ledger": Formula("counted in the ledger of a run", OWN),
    "span": Formula("the smallest group that sums of whole rounds single out", "So et al. 2023; Pasquini et al. 2022"),
}
"""What each formula id stands for."""
