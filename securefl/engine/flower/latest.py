"""FedLaAvg over Flower: the session of `federation.latest_session`, a client's memory in its node's own folder.

Between two sessions a node may be away, killed or made anew from its folder; the next invitation settles what became
of its last update. See docs/explanation/availability.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flwr.app import RecordDict
from flwr.serverapp import Grid

from securefl.engine.flower.driver import Attached, Driver, Session
from securefl.engine.flower.enrolment import Enrolled, enrol
from securefl.engine.flower.sums import MAX_NODES, Terms
from securefl.errors import ProtocolError
from securefl.federation.latest import OpenedSum, RunningSum
from securefl.federation.latest_session import LatestInvitation, LatestServer, to_client, to_server
from securefl.secagg import Params, default_threshold, shards

__all__ = ["LatestRound", "latest_round"]


@dataclass(frozen=True, eq=False)
class LatestRound:
    """How a round went: without `survivors` nothing was counted, and the model is as it was."""

    survivors: frozenset[int]
    """Nodes whose latest update is in the running sum now."""
    lost: Mapping[int, str]
    """By node that was asked and is not, why."""
    failures: Sequence[ProtocolError]
    """Shards that could not finish, and why."""


def latest_round(
    grid: Grid,
    nodes: Iterable[int],
    running: RunningSum,
    rate: float,
    *,
    request: RecordDict | None = None,
    terms: Terms | None = None,
    enrolled: Enrolled | None = None,
) -> LatestRound:
    """One round with the nodes' `SecureClient(latest=...)`, and a step of `running.model`: x -= rate * G / N.

    Write `running.to_bytes()` down, in one piece, before the next round: a round that is not kept never happened, for
    the nodes neither. `request`: small records of the application that go with every message; what clients must agree
    on belongs in the plan's `training`. Of `terms` all but `degree` is used. Raises `ConfigurationError` for what
    cannot be kept, `TransportError` if the SuperLink is gone.
    """
    terms, wanted = terms or Terms(), frozenset(nodes)
    post = terms.post(grid)
    enrolled = enrolled or enrol(post, sorted(wanted), terms.deadline, terms.registry)
    chosen = enrolled.chosen(wanted, 3, MAX_NODES)
    parts = shards.split(list(chosen), terms.shard)
    servers = [LatestServer(_params(terms, running, len(part)), running, part) for part in parts]
    sessions = [_session(server, chosen, enrolled, terms, request) for server in servers]
    Driver(post, terms.deadline, terms.watch).run(sessions)
    opened = [one for one in (server.opened for server in servers) if one is not None]
    if opened:
        running.count(opened, rate)
    return _result(sessions, opened, enrolled)


def _params(terms: Terms, running: RunningSum, clients: int) -> Params:
    return running.plan.params(
        clients=clients,
        threshold=default_threshold(clients) if terms.threshold is None else terms.threshold,
        colluders=terms.colluders,
        kem=terms.kem,
        setting=terms.setting,
        min_survivors=terms.min_survivors,
    )


def _session(
    server: LatestServer, chosen: Mapping[bytes, int], enrolled: Enrolled, terms: Terms, request: RecordDict | None
) -> Session:
    nodes = {name: chosen[name] for name in server.invited}
    believed = enrolled.believed(nodes)

    def attach(message: Any) -> Attached:
        return Attached(registry=believed if isinstance(message, LatestInvitation) else b"", request=request)

    return Session("latest", server, nodes, to_client, to_server, attach, terms.max_bytes)


def _result(sessions: Sequence[Session], opened: Sequence[OpenedSum], enrolled: Enrolled) -> LatestRound:
    survivors = frozenset(enrolled.nodes[name] for one in opened for name in one.told)
    lost = {
        node: session.left.get(name, "its shard could not finish")
        for session in sessions
        for name, node in session.nodes.items()
        if node not in survivors
    }
    failures = [session.outcome for session in sessions if session.outcome is not None]
    return LatestRound(survivors, enrolled.refused | lost, failures)
