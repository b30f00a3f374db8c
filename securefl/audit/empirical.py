"""An attack on the sampler that ships: what trials prove that it reveals, beside what is claimed of it.

Many indices that are held, as many that are not, one client, the planned rounds: for each event an attacker could wait
for (claimed in every round, claimed in none) Clopper-Pearson bounds give an epsilon that the sampler has at least.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from math import inf
from typing import Any

import numpy as np
from numpy.typing import NDArray

import dp
from securefl.audit.findings import Figure, Finding
from securefl.audit.subject import Subject
from securefl.federation.randomness import Randomness

__all__ = ["TRIALS", "Sampler", "Attack", "attack", "sampler"]

TRIALS = 100_000
ALPHA = Fraction(1, 20)
"""How often a bound may be wrong: all events and directions together."""
ROUNDS = 10
"""More rounds than this prove no more: the permanent answer is plain by then."""

Sampler = Callable[..., NDArray[np.bool_]]
"""Called as `dp.privatize` is."""


@dataclass(frozen=True)
class Attack:
    """The event that proves most."""

    epsilon: dp.Bound
    event: str
    likely: int
    """How often it was seen in the world that it speaks for."""
    unlikely: int
    trials: int
    rounds: int
    seed: int

    @property
    def witness(self) -> str:
        """The event, how often it was seen, and the seed that repeats it."""
        return f"{self.event}: {self.likely} against {self.unlikely} of {self.trials} trials, seed {self.seed}"


def attack(
    how: dp.TwoStage, rounds: int, *, trials: int = TRIALS, seed: int | None = None, sampler: Sampler = dp.privatize
) -> Attack:
    """The best attack by either event, either way. The same seed gives the same attack; None draws one."""
    chosen = secrets.randbits(48) if seed is None else seed
    held, absent = (_claims(how, rounds, trials, world, chosen, sampler) for world in (True, False))
    seen = []
    for k, name in ((rounds, "all"), (0, "none")):
        counts = int((held == k).sum()), int((absent == k).sum())
        event = f"claimed in {name} of {rounds} rounds"
        seen += [(*counts, f"{event}, for held"), (*counts[::-1], f"{event}, for not held")]
    likely, unlikely, event = max(seen, key=lambda one: (one[0] + 1) / (one[1] + 1))
    epsilon = dp.epsilon_at_least((likely, trials), (unlikely, trials), ALPHA / len(seen))  # whichever it had been
    return Attack(epsilon, event, likely, unlikely, trials, rounds, chosen)


def _claims(how: dp.TwoStage, rounds: int, trials: int, held: bool, seed: int, sampler: Sampler) -> NDArray[np.int64]:
    """Claims of each index over the rounds, (trials,), of a client that holds all of them or none."""
    rng = Randomness(seed).stream("audit", int(held))
    memo, union = dp.InMemoryMemo(), np.arange(trials)
    own = union if held else union[:0]
    total: Any = sum(sampler(how, union, own, memo, rng).astype(np.int64) for _ in range(rounds))
    return np.asarray(total, np.int64)


def sampler(
    subject: Subject, *, trials: int = TRIALS, seed: int | None = None, shipped: Sampler = dp.privatize
) -> Finding:
    """Whether the sampler reveals more than its formula says. `shipped` is what is attacked."""
    how, rounds = subject.config.response, min(subject.rounds, ROUNDS)
    found = attack(how, rounds, trials=trials, seed=seed, sampler=shipped)
    claimed = how.loss_rounds(rounds)
    broken = found.epsilon > claimed.epsilon
    limit = "no finite epsilon" if claimed.epsilon == inf else f"{claimed.epsilon:.4f}"
    return Finding(
        id="sampler",
        title="The sampler, attacked",
        verdict="fail" if broken else "pass",
        value=Figure.of(f"epsilon proved, {rounds} rounds", found.epsilon, found.witness),
        says=f"{trials:,} trials of the best event prove at least {found.epsilon:.4f}; the formula says {limit}. "
        + ("The sampler reveals more than it should." if broken else "Nothing shows that it reveals more."),
        change=("do not use this build: report the witness and its seed",) if broken else (),
        figures=(
            Figure.of(f"epsilon by the formula, {rounds} rounds", claimed.epsilon, claimed.witness.event),
            Figure("chance that the bound is wrong", float(ALPHA), "probability", "upper", "clopper-pearson"),
        ),
    )
