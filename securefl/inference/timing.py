"""How long a session takes, in the figures that matter on a device."""

from __future__ import annotations

import msgspec
import numpy as np

from .planning import Row
from .session import Session

__all__ = ["Timing", "time_session"]


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds and bytes of one session; percentiles are over the runs after the first."""

    instructions: str
    threads: int
    precision: str
    creation: float
    first_run: float
    p10: float
    p50: float
    p90: float
    runs: int
    arena_bytes: int
    activation_bytes: int
    weight_bytes: int
    conversions: int
    transfers: int
    operations: list[Row]

    def to_json(self) -> str:
        """As JSON, readable."""
        return msgspec.json.format(msgspec.json.encode(self), indent=1).decode() + "\n"

    def lines(self) -> list[tuple[str, str]]:
        """For a reader."""
        unit, scale = ("ms", 1e3) if self.p50 >= 1e-3 else ("us", 1e6)
        times = " / ".join(f"{scale * seconds:.2f}" for seconds in (self.p10, self.p50, self.p90))
        return [
            ("p10 / p50 / p90", f"{times} {unit} over {self.runs} runs"),
            ("creation, first run", f"{1e3 * self.creation:.1f} ms, {1e3 * self.first_run:.1f} ms"),
            ("instructions, threads", f"{self.instructions}, {self.precision}, {self.threads}"),
            ("activations", f"{self.arena_bytes / 1e6:.2f} MB, of {self.activation_bytes / 1e6:.2f} without sharing"),
            ("prepared weights", f"{self.weight_bytes / 1e6:.2f} MB"),
            ("layout conversions, transfers", f"{self.conversions}, {self.transfers}"),
        ]


def time_session(session: Session, runs: int, *, profile: bool = False) -> Timing:
    """Run a session on example inputs; with `profile`, each operation by itself as well."""
    inputs = session.example()
    first = session.seconds(inputs)
    taken = [session.seconds(inputs) for _ in range(runs)]
    p10, p50, p90 = (float(value) for value in np.percentile(taken, [10, 50, 90]))
    memory = session.memory
    return Timing(
        instructions=session.instructions,
        threads=session.settings.threads,
        precision=session.settings.precision,
        creation=session.creation_seconds,
        first_run=first,
        p10=p10,
        p50=p50,
        p90=p90,
        runs=runs,
        arena_bytes=memory.arena,
        activation_bytes=memory.activations,
        weight_bytes=memory.weights,
        conversions=session.conversions,
        transfers=session.transfers,
        operations=list(session.profile(inputs) if profile else session.plan()),
    )
