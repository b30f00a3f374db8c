"""From the rounds of a run to its summary."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import inf
from statistics import fmean
from typing import Any, TypedDict, Unpack

from dp import TwoStage
from securefl.federation.records import PHASES, RoundRecord, RunSummary


class About(TypedDict):
    """What of a summary does not come from its rounds."""

    auc_start: float | None
    full_model_bytes: int
    epsilon_ever: float
    private: bool
    plain: bool
    data: Mapping[str, int | float | str]
    settings: Mapping[str, Any]


def summarize(rounds: Sequence[RoundRecord], **about: Unpack[About]) -> RunSummary:
    """Means are over the rounds that completed; counts and seconds are sums over all of them."""
    done = [r for r in rounds if r.completed]
    return RunSummary(
        exact=all(r.exact for r in rounds),
        rounds=len(rounds),
        rounds_completed=len(done),
        auc_start=about["auc_start"],
        auc_end=next((r.auc for r in reversed(rounds) if r.auc is not None), None if rounds else about["auc_start"]),
        bytes_up_per_client=_mean(done, lambda r: r.bytes_up_per_client),
        bytes_down_per_client=_mean(done, lambda r: r.bytes_down_per_client),
        full_model_bytes=about["full_model_bytes"],
        union_size=_mean(done, lambda r: r.union_size),
        rows_left_out=_mean(done, lambda r: r.rows_left_out),
        epsilon_claims_round=max((r.epsilon_claims_round for r in rounds), default=inf),
        epsilon_claims_ever=about["epsilon_ever"],
        dropouts={phase: sum(r.dropouts[phase] for r in rounds) for phase in PHASES},
        seconds={phase: sum(r.seconds[phase] for r in rounds) for phase in PHASES},
        private=about["private"] and not about["plain"],
        plain=about["plain"],
        data=dict(about["data"]),
        settings=dict(about["settings"]),
        per_round=list(rounds),
    )


def not_begun(number: int, clients: int, available: int, response: TwoStage) -> RoundRecord:
    """The record of a round to which nobody was invited, since fewer than `clients` were available."""
    nothing = dict.fromkeys(PHASES, 0.0)
    return RoundRecord(
        round=number,
        exact=True,
        completed=False,
        abort=f"{available} of {clients} clients were available, so the round was not begun",
        auc=None,
        clients=0,
        finishers=0,
        bytes_up_per_client=0.0,
        bytes_down_per_client=0.0,
        bytes_up=nothing,
        bytes_down=nothing,
        union_size=0,
        union_false=0,
        union_lost=0,
        rows_uploaded=0,
        rows_left_out=0,
        epsilon_claims_round=float(response.epsilon_round()),
        epsilon_claims_ever=float(response.epsilon_ever()),
        dropouts=dict.fromkeys(PHASES, 0),
        seconds=nothing,
    )


def _mean(rounds: Sequence[RoundRecord], of: Callable[[RoundRecord], float]) -> float:
    return fmean(map(of, rounds)) if rounds else 0.0
