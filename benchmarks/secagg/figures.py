"""From clocks to figures: what a session cost, the ratios of two sides, and the targets they are held to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from report import Check

from secagg.case import SERVER, Case, Session

PEER, HYBRID, X25519, MALICIOUS = "flower", "hybrid", "x25519", "malicious"

Targets = Mapping[str, tuple[float, float]]
"""check -> (floor, goal)"""

TARGETS: Mapping[tuple[int, int], Targets] = {
    (100, 100_000): {
        "client_ratio_hybrid": (25, 35),
        "client_ratio_x25519": (30, 35),
        "client_ratio_malicious": (20, 35),
        "server_ratio": (100, 100),
        "upload_ratio_hybrid": (0.6, 0.5),
        "upload_ratio_x25519": (0.5, 0.5),
    },
    (100, 1_000_000): {"upload_ratio_hybrid": (0.5, 0.5), "upload_ratio_x25519": (0.5, 0.5)},
}
"""By clients, all of them neighbours, and coordinates."""
SERVER_TARGET_DROPOUT = 0.3


@dataclass(frozen=True, slots=True)
class Figures:
    """What one session cost; a client is the median one of those that stayed to the end."""

    client_ms: float
    steps_ms: list[float]
    server_s: float
    upload_bytes: float
    error: float


Rounds = Mapping[str, Sequence[Figures]]
"""side -> its figures, round by round"""


def figures(case: Case, session: Session) -> Figures:
    """Of a session that finished."""
    spent = session.watch.seconds
    steps = sorted({step for u in case.kept for step in spent[u]})
    return Figures(
        client_ms=1e3 * median(sum(spent[u].values()) for u in case.kept),
        steps_ms=[1e3 * median(spent[u][step] for u in case.kept) for step in steps],
        server_s=sum(spent[SERVER].values()),
        upload_bytes=median(session.uploaded[u] for u in case.kept),
        error=case.error(session.result()),
    )


def checks(case: Case, rounds: Rounds) -> list[Check]:
    """The ratios with their targets, then the figures they come from."""
    targets = targets_of(case)
    ratios = [
        *(_speed(f"client_ratio_{side}", rounds, side, _client, targets) for side in (HYBRID, X25519, MALICIOUS)),
        _speed("server_ratio", rounds, HYBRID, _server, targets),
        *(_size(f"upload_ratio_{side}", rounds, side, targets) for side in (HYBRID, X25519)),
    ]
    return [check for check in ratios if check] + [check for side, ones in rounds.items() for check in _of(side, ones)]


def targets_of(case: Case) -> Targets:
    """Those that were set for this cell; none for most."""
    found = TARGETS.get((case.clients, case.dim), {}) if case.complete else {}
    return {name: t for name, t in found.items() if name != "server_ratio" or case.dropout == SERVER_TARGET_DROPOUT}


def table(rounds: Rounds) -> str:
    """A row for each side: where its time and bytes go."""
    lines = [f"{'':10} {'client ms':>10} {'server s':>9} {'upload KB':>10}  client ms by step"]
    for side, ones in rounds.items():
        steps = " + ".join(f"{median(column):.1f}" for column in zip(*(one.steps_ms for one in ones), strict=True))
        costs = (median(map(_client, ones)), median(map(_server, ones)), median(map(_upload, ones)) / 1e3)
        lines.append(f"{side:10} {costs[0]:10.1f} {costs[1]:9.3f} {costs[2]:10.1f}  {steps}")
    return "\n".join(lines)


def _client(one: Figures) -> float:
    return one.client_ms


def _server(one: Figures) -> float:
    return one.server_s


def _upload(one: Figures) -> float:
    return one.upload_bytes


def _speed(name: str, rounds: Rounds, side: str, cost: Callable[[Figures], float], targets: Targets) -> Check | None:
    """The peer's cost over ours, round by round; None unless both finished every round."""
    ratios = [cost(peer) / cost(ours) for peer, ours in _pairs(rounds, side)]
    floor, goal = targets.get(name, (None, None))
    return Check(name, median(ratios), "x", floor, goal) if ratios else None


def _size(name: str, rounds: Rounds, side: str, targets: Targets) -> Check | None:
    """Our bytes over the peer's."""
    ratios = [_upload(ours) / _upload(peer) for peer, ours in _pairs(rounds, side)]
    floor, goal = targets.get(name, (None, None))
    return Check(name, median(ratios), "x", floor, goal, "<=") if ratios else None


def _pairs(rounds: Rounds, side: str) -> list[tuple[Figures, Figures]]:
    peer, ours = rounds.get(PEER, ()), rounds.get(side, ())
    return list(zip(peer, ours, strict=True)) if len(peer) == len(ours) else []


def _of(side: str, ones: Sequence[Figures]) -> list[Check]:
    """What one side cost."""
    return [
        Check(f"client_ms_{side}", median(map(_client, ones)), "ms", direction="<="),
        Check(f"server_s_{side}", median(map(_server, ones)), "s", direction="<="),
        Check(f"upload_bytes_{side}", median(map(_upload, ones)), "bytes", direction="<="),
        Check(f"error_{side}", max(one.error for one in ones), "steps", 1, 1, "<="),
    ]
