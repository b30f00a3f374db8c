"""From wishes to parameters: threshold, degree, ring, union plan and odds, what they cost, and what else there was."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property
from math import exp
from typing import Any

import msgspec

import psu
from psu.plan import MAX_UNIVERSE
from securefl.config import (
    Config,
    abort_probability,
    least_malicious_threshold,
    override,
    uploaded_share,
    validate,
)
from securefl.config.chances import at_least
from securefl.config.checks import COMPLETE_GRAPH_MAX, NEGLIGIBLE_SHARE
from securefl.errors import ConfigurationError
from securefl.federation.planning import round_params, union_plan
from securefl.models.interface import TableSpec
from securefl.models.network import dense_size
from securefl.secagg.finder import degree_and_threshold
from securefl.secagg.sizes import Traffic
from securefl.submodel import Quantization, SubmodelPlan, Table
from securefl.submodel.sizes import Load, round_traffic

__all__ = ["Wish", "Advice", "Offer", "advise"]

ABORT = 1e-3
"""A round may open nothing this often."""
GOES_UP = 0.9
"""Share of the rows with one holder that should reach the row floor."""
DENOMINATOR, FINEST = 64, 2**20
EPSILONS = (0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0)


SETTINGS = {
    "cohort": ("clients", "dropout"),
    "secagg": ("setting", "threshold", "min_survivors", "colluders", "ring_bits"),
    "union": ("expected",),
    "privacy": ("response", "honest_claimants"),
    "training": ("dim", "quantization_bits", "weight_max"),
}
"""What a proposal sets."""


@dataclass(frozen=True)
class Wish:
    """What is wanted, and of whom. Raises ConfigurationError."""

    clients: int
    dropout: float
    corrupt: int
    epsilon: float
    """Of an index, ever, from claims."""
    universe: int
    typical_set: int
    union: int | None = None
    """Indices of a cohort together; None = as many as if no two clients shared one."""
    categories: int = 0
    malicious: bool = False
    dim: int = 18

    def __post_init__(self) -> None:
        ranges = (
            ("clients", self.clients, 4, 1 << 20),
            ("dropout", self.dropout, 0, 0.9),
            ("corrupt", self.corrupt, 0, self.clients - 2),
            ("epsilon", self.epsilon, 1e-5, 30),
            ("universe", self.universe, 1, MAX_UNIVERSE),
            ("typical-set", self.typical_set, 1, self.universe),
            ("union", self.union or self.typical_set, self.typical_set, self.universe),
            ("categories", self.categories, 0, self.universe),
            ("dim", self.dim, 1, 1024),
        )
        for name, value, low, high in ranges:
            if not low <= value <= high:
                raise ConfigurationError(f"--{name}: got {value}; use {low:,} to {high:,}")

    @property
    def shards(self) -> int:
        """Complete graphs that the cohort is split into; each must bear all the corrupt clients."""
        return -(-self.clients // COMPLETE_GRAPH_MAX)

    @property
    def shard(self) -> int:
        """Clients of the smallest shard."""
        return self.clients // self.shards

    @property
    def expected_union(self) -> int:
        """Indices of a shard's clients together."""
        return min(self.universe, self.union or self.shard * self.typical_set)


@dataclass(frozen=True)
class Offer:
    """One choice of odds, and what follows."""

    config: Config
    wish: Wish = field(repr=False)

    @property
    def epsilon_round(self) -> float:
        """Of an index, one round."""
        return float(self.config.response.epsilon_round())

    @property
    def epsilon_ever(self) -> float:
        """Of an index, ever."""
        return float(self.config.response.epsilon_ever())

    @property
    def guess_rate(self) -> float:
        """The best guess from one round's claims, prior 1/2."""
        return float(self.config.response.pair(1).guess_rate())

    @property
    def goes_up(self) -> float:
        """P[a row with one holder reaches the floor]."""
        return uploaded_share(self.config)

    @cached_property
    def union(self) -> psu.UnionPlan:
        """How sets are encoded."""
        return union_plan(self.config, TableSpec("items", self.wish.universe, self.wish.dim), self.wish.expected_union)

    @property
    def claims(self) -> float:
        """Indices a client claims, on average: held ones and fillers."""
        how, wish = self.config.response, self.wish
        others = self.union.expected_union + self.union.expected_false - wish.typical_set
        return float(how.q1) * wish.typical_set + float(how.q0) * max(0.0, others)

    @cached_property
    def traffic(self) -> Traffic:
        """Bytes of a client and round."""
        categories = _distinct(self.claims, self.wish.categories)
        down = {"items": self.claims} | ({"categories": categories} if self.wish.categories else {})
        up = down | {"items": self.claims * self.goes_up}
        load = Load(self.union.expected_union + self.union.expected_false, self.claims, down, up)
        plan = _plan(self.config, self.wish, self.union)
        return round_traffic(round_params(self.config, plan), plan, load)


def _distinct(draws: float, kinds: int) -> float:
    """Of so many kinds, how many come up, on average."""
    return kinds * (1 - (1 - 1 / kinds) ** draws) if kinds else 0.0


def _plan(config: Config, wish: Wish, union: psu.UnionPlan) -> SubmodelPlan:
    how, training = config.response, config.training
    tables = [Table("items", wish.universe, wish.dim)]
    tables += [Table("categories", wish.categories, wish.dim, bytes(32))] if wish.categories else []
    cut = Quantization(training.quantization_bits, training.scale, training.weight_max)
    return SubmodelPlan(
        union=union.to_bytes(),
        response=(str(how.p1), str(how.p2), str(how.p3), str(how.p4)),
        tables=tuple(tables),
        dense=dense_size(wish.dim),
        row_floor=config.row_floor,
        ring_bits=config.secagg.ring_bits,
        row_quantization=cut,
        dense_quantization=cut,
    )


@dataclass(frozen=True)
class Advice:
    """What is proposed, the other odds there were, and a sparse graph for plain sums if one is safe."""

    wish: Wish
    proposed: Offer
    others: tuple[Offer, ...]
    sparse: tuple[int, int] | None

    @property
    def failure(self) -> float:
        """P[a round opens nothing]."""
        return abort_probability(self.proposed.config)

    @property
    def settings(self) -> dict[str, dict[str, Any]]:
        """What the proposal sets, by section and name; the rest keeps its default."""
        tables = {section: msgspec.to_builtins(getattr(self.proposed.config, section)) for section in SETTINGS}
        return {section: {name: tables[section][name] for name in names} for section, names in SETTINGS.items()}

    @property
    def toml(self) -> str:
        """The proposal as a file that demo and audit take."""
        return "".join(_lines(self))


def advise(wish: Wish) -> Advice:
    """The safest parameters that keep the wish's epsilon, at the least bytes. Raises ConfigurationError."""
    base = _base(wish)
    _check_floor(wish)
    odds = {_odds(epsilon) for epsilon in (*EPSILONS, wish.epsilon)}
    offers = {one: Offer(_with_floor(override(base, {"privacy.response": one})), wish) for one in odds}
    proposed = offers[_odds(wish.epsilon)]
    validate(proposed.config)
    return Advice(wish, proposed, tuple(sorted(offers.values(), key=lambda one: one.epsilon_ever)), _sparse(wish))


def _check_floor(wish: Wish) -> None:
    """Refuse a wish whose row floor no odds of its epsilon reach, in the words of the wish."""
    if _reaches_floor(wish):
        return
    fewer = next((c for c in range(wish.corrupt - 1, -1, -1) if _reaches_floor(replace(wish, corrupt=c))), None)
    ways = [] if fewer is None else [f"use at most {fewer}"]
    ways += [f"--epsilon {e:g}, for more claimants" for e in EPSILONS[:1] if _reaches_floor(replace(wish, epsilon=e))]
    raise ConfigurationError(
        f"--corrupt: {wish.corrupt} corrupt of {wish.shard} clients{' in each shard' * (wish.shards > 1)} put the row "
        f"floor where hardly a row reaches it; {', or '.join(ways) or 'invite more clients'}"
    )


def _reaches_floor(wish: Wish) -> bool:
    config = _with_floor(override(_base(wish), {"privacy.response": _odds(wish.epsilon)}))
    return config.row_floor_of(wish.shard) <= wish.shard and uploaded_share(config) >= NEGLIGIBLE_SHARE


def _base(wish: Wish) -> Config:
    n, survivors = wish.shard, _survivors(wish)
    training = Config().training
    largest = n * training.weight_max * (2**training.quantization_bits - 1)
    return override(
        Config(),
        {
            "cohort.clients": n,
            "cohort.dropout": wish.dropout,
            "secagg.setting": "malicious" if wish.malicious else "semi_honest",
            "secagg.threshold": survivors - 1,
            "secagg.min_survivors": survivors,
            "secagg.colluders": wish.corrupt,
            "secagg.ring_bits": largest.bit_length(),
            "union.expected": wish.expected_union,
            "privacy.honest_claimants": 2,
            "training.dim": wish.dim,
        },
    )


def _survivors(wish: Wish) -> int:
    """As many as losses allow: each is one more honest input, and one more share that collusion lacks."""
    n, c = wish.shard, wish.corrupt
    least = 1 + max(2, least_malicious_threshold(n, c) if wish.malicious else c + 1)
    most = n - 1 if wish.dropout else n
    reachable = [s for s in range(least, most + 1) if at_least(n, wish.dropout, n - s + 1) <= ABORT]
    if not reachable:
        fails = at_least(n, wish.dropout, n - least + 1) if least <= most else 1.0
        raise ConfigurationError(
            f"--corrupt: {c} of {n} clients ask for {least} survivors, and at {wish.dropout:g} loss a round then fails "
            f"with probability {fails:.2g}; allow for fewer corrupt or lost clients, or invite more"
        )
    return max(reachable)


def _odds(epsilon: float) -> str:
    """p, 1 - p, p, 1 - p with the largest p of a small denominator for which ln (p / (1 - p)) <= epsilon."""
    denominator, wanted = DENOMINATOR, Fraction(exp(epsilon)) / (1 + Fraction(exp(epsilon)))
    while int(wanted * denominator) * 2 <= denominator and denominator < FINEST:
        denominator *= 4
    p = min(Fraction(int(wanted * denominator), denominator), Fraction(denominator - 1, denominator))
    return f"{p},{1 - p},{p},{1 - p}"


def _with_floor(config: Config) -> Config:
    """The most honest claimants with which rows of one holder still go up, and 2 at least."""
    tried: Iterator[Config] = (
        override(config, {"privacy.honest_claimants": m})
        for m in range(config.cohort.clients - config.colluders, 1, -1)
    )
    return next((one for one in tried if uploaded_share(one) >= GOES_UP), config)


def _sparse(wish: Wish) -> tuple[int, int] | None:
    share, model = Fraction(wish.corrupt, wish.clients), "semi_malicious" if wish.malicious else "semi_honest"
    try:
        return degree_and_threshold(wish.clients, share, wish.dropout, model)  # type: ignore[arg-type]  # one of them
    except ConfigurationError:
        return None


def _lines(advice: Advice) -> Iterator[str]:
    wish = advice.wish
    yield f"# {wish.clients} clients, {wish.corrupt} corrupt, {wish.dropout:g} lost, epsilon {wish.epsilon:g} ever.\n"
    if wish.shards > 1:
        yield f"# One of {wish.shards} shards.\n"
    for section, table in advice.settings.items():
        yield f"\n[{section}]\n"
        yield from (f"{name} = {_toml(value)}\n" for name, value in table.items())


def _toml(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)
