"""Plain secure sums over Flower: a drop-in for the aggregation of an app that exists."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
from flwr.app import RecordDict
from flwr.serverapp import Grid
from numpy.typing import NDArray

from securefl import secagg
from securefl.engine.flower.arrays import ArraySpec, ArraysPlan, request_hash
from securefl.engine.flower.driver import NOTHING, Attached, Driver, Session
from securefl.engine.flower.enrolment import Enrolled, enrol
from securefl.engine.flower.post import Post
from securefl.engine.flower.watching import Unwatched, Watch
from securefl.errors import ProtocolError
from securefl.secagg import Params, Server, default_threshold, shards
from securefl.secagg.messages import Delivery, Invitation
from securefl.secagg.params import COMPLETE_GRAPH_CLIENTS, Setting
from securefl.wire import MAX_BYTES

MAX_NODES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Terms:
    """What every session of a run has in common.

    `threshold`: shares that open a secret; None = two thirds of the neighbours. `degree`: neighbours on a sparse graph,
    from `secagg.degree_and_threshold`; without it, more than `shard` clients are split into shards.
    """

    threshold: int | None = None
    colluders: int = 0
    setting: Setting = "semi_honest"
    kem: str = "x25519-mlkem768"
    min_survivors: int | None = None
    degree: int | None = None
    shard: int = COMPLETE_GRAPH_CLIENTS
    deadline: float = 120.0
    """Seconds that a step may take; a node that takes longer is dropped from it."""
    patience: float = 60.0
    """Seconds without a word of the SuperLink after which it counts as gone."""
    max_bytes: int = MAX_BYTES
    """Of one reply; a node that sends more is dropped."""
    registry: Collection[bytes] | None = None
    """Identity keys the server invites; None = every identity that answers. Clients ask their own list in any case."""
    watch: Watch = field(default_factory=Unwatched)

    def post(self, grid: Grid) -> Post:
        """The grid with these bounds."""
        return Post(grid, patience=self.patience, lifetime=max(600.0, 2 * self.deadline))

    def params(self, clients: int, plan: ArraysPlan) -> Params:
        """The parameters of a session of plain sums; `ConfigurationError` if they cannot be kept."""
        threshold = default_threshold(clients) if self.threshold is None else self.threshold
        return Params(
            clients,
            threshold,
            self.colluders,
            self.kem,
            plan.sums,
            self.degree,
            plan.hash,
            self.setting,
            self.min_survivors,
        ).check()


@dataclass(frozen=True, eq=False)
class Aggregate:
    """What the server learned. `arrays` by name: sums int64, weighted means float64."""

    arrays: Mapping[str, NDArray[Any]]
    survivors: Mapping[str, frozenset[int]]
    """By sum, the nodes whose input is in it."""
    lost: Mapping[int, str]
    """By node that is not in every sum, why."""
    failures: Sequence[ProtocolError]
    """Shards that could not finish, and why; their nodes are in no sum."""


def secure_aggregate(
    grid: Grid,
    nodes: Iterable[int],
    arrays: Sequence[ArraySpec],
    *,
    request: RecordDict | None = None,
    terms: Terms | None = None,
    enrolled: Enrolled | None = None,
) -> Aggregate:
    """Sum what the nodes' `SecureClient(arrays=...)` give, so that this process sees only the sums.

    `request`: the application's records (a model, settings) that every node's function gets, the same for all.
    `enrolled`: from `enrol`; without it the nodes are asked first, which costs a message round.
    Four message rounds, two more for each further sum, one more for each in the malicious setting. Raises
    `ConfigurationError` for terms that cannot be kept, `TooFewSurvivorsError` if no shard could finish a sum,
    `TransportError` if the SuperLink is gone.
    """
    terms, request = terms or Terms(), request or RecordDict()
    post = terms.post(grid)
    wanted = frozenset(nodes)
    enrolled = enrolled or enrol(post, sorted(wanted), terms.deadline, terms.registry)
    chosen = enrolled.chosen(wanted, 3, MAX_NODES)
    plan = ArraysPlan(tuple(arrays), len(chosen), request_hash(request))
    parts = [list(chosen)] if terms.degree else shards.split(list(chosen), terms.shard)
    sessions = [_session(terms, plan, {name: chosen[name] for name in part}, enrolled, request) for part in parts]
    Driver(post, terms.deadline, terms.watch).run(sessions)
    return _collect(plan, sessions, enrolled)


def _session(
    terms: Terms, plan: ArraysPlan, nodes: Mapping[bytes, int], enrolled: Enrolled, request: RecordDict
) -> Session:
    server = Server(terms.params(len(nodes), plan), nodes.keys())
    invitation = Attached(msgspec.msgpack.encode(plan), enrolled.believed(nodes))

    def attach(message: Any) -> Attached:
        if isinstance(message, Invitation):
            return invitation
        return Attached(request=request) if isinstance(message, Delivery) else NOTHING

    return Session("sums", server, nodes, secagg.to_client, secagg.to_server, attach, terms.max_bytes)


def _collect(plan: ArraysPlan, sessions: Sequence[Session], enrolled: Enrolled) -> Aggregate:
    arrays: dict[str, NDArray[Any]] = {}
    survivors: dict[str, frozenset[int]] = {}
    for one in plan.sums:
        opened = [s.server for s in sessions if one.name in s.server.results]
        if not opened:
            raise next(s.outcome for s in sessions if s.outcome is not None)
        arrays |= plan.decode(one.name, shards.add([server.results[one.name] for server in opened]))
        names = [server.name_of(client) for server in opened for client in server.survivors[one.name]]
        survivors[one.name] = frozenset(enrolled.nodes[name] for name in names)
    left = {s.nodes[name]: reason for s in sessions for name, reason in s.left.items()}
    everywhere = frozenset.intersection(*survivors.values())
    lost = {node: left.get(node, "its shard could not finish") for s in sessions for node in s.nodes.values()}
    lost = {node: reason for node, reason in lost.items() if node not in everywhere}
    failures = [s.outcome for s in sessions if s.outcome is not None]
    return Aggregate(arrays, survivors, enrolled.refused | lost, failures)
