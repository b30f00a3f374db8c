"""From the rounds of a run to its summary."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import inf
from statistics import fmean

from securefl.federation.records import PHASES, RoundRecord, RunSummary


def summarize(
    rounds: Sequence[RoundRecord],
    *,
    auc_start: float | None,
    full_model_bytes: int,
    epsilon_ever: float,
    private: bool,
    data: Mapping[str, int | float | str],
    settings: Mapping[str, object],
) -> RunSummary:
    """Means are over the rounds that completed; counts and seconds are sums over all of them."""
    done = [r for r in rounds if r.completed]
    return RunSummary(
        exact=all(r.exact for r in rounds),
        rounds=len(rounds),
        rounds_completed=len(done),
        auc_start=auc_start,
        auc_end=rounds[-1].auc if rounds else auc_start,
        bytes_up_per_client=_mean(done, lambda r: r.bytes_up_per_client),
        bytes_down_per_client=_mean(done, lambda r: r.bytes_down_per_client),
        full_model_bytes=full_model_bytes,
        union_size=_mean(done, lambda r: r.union_size),
        rows_left_out=_mean(done, lambda r: r.rows_left_out),
        epsilon_claims_round=max((r.epsilon_claims_round for r in rounds), default=inf),
        epsilon_claims_ever=epsilon_ever,
        dropouts={phase: sum(r.dropouts[phase] for r in rounds) for phase in PHASES},
        seconds={phase: sum(r.seconds[phase] for r in rounds) for phase in PHASES},
        private=private,
        data=dict(data),
        settings=dict(settings),
        per_round=list(rounds),
    )


def _mean(rounds: Sequence[RoundRecord], of: Callable[[RoundRecord], float]) -> float:
    return fmean(map(of, rounds)) if rounds else 0.0
