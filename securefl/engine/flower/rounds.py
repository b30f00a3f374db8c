"""Secure submodel rounds over Flower: union, claims, rows and their sums, in seven message rounds (malicious: nine)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from flwr.app import RecordDict
from flwr.serverapp import Grid
from numpy.typing import NDArray

from securefl import submodel
from securefl.engine.exchange import keep_everything
from securefl.engine.flower.driver import Attached, Driver, Session
from securefl.engine.flower.enrolment import Enrolled, enrol
from securefl.engine.flower.sums import Terms
from securefl.errors import ProtocolError
from securefl.secagg import Params
from securefl.submodel import UPDATE, RoundSums, SubmodelPlan, SubmodelServer
from securefl.submodel.messages import RoundInvitation
from securefl.submodel.plan import PublicMap


@dataclass(frozen=True, eq=False)
class SecureRound:
    """How a round went. `sums` is None if it could not finish, and `failure` says why."""

    sums: RoundSums | None
    survivors: frozenset[int]
    """Nodes whose update is in the sums."""
    lost: Mapping[int, str]
    """By node whose update is not, why."""
    silent: frozenset[int]
    """Survivors that were not heard to the end."""
    failure: ProtocolError | None
    server: SubmodelServer
    """The machine itself: what it learned of the union, who is who."""


@dataclass(frozen=True, eq=False)
class Global:
    """The model of a round: `dense` float32 (D,), `tables` float32 (rows, width) by name, and the public maps."""

    dense: NDArray[np.float32]
    tables: Mapping[str, NDArray[np.float32]]
    maps: Mapping[str, PublicMap]


def secure_round(
    grid: Grid,
    nodes: Iterable[int],
    params: Params,
    plan: SubmodelPlan,
    model: Global,
    *,
    request: RecordDict | None = None,
    terms: Terms | None = None,
    enrolled: Enrolled | None = None,
    loses: Callable[[bytes, Any], bool] = keep_everything,
    on_sent: Callable[[bytes, Any, int, bool], None] = lambda *_: None,
) -> SecureRound:
    """One round with the nodes' `SecureClient(rounds=...)`. The model is not changed: that is a strategy's business.

    `params`: from `plan.params`, for as many clients as there are nodes, or more. Of `terms` only deadline, patience,
    `max_bytes`, registry and watch are used. `request`: small records of the application that go with every message;
    no mask is bound to them, what clients must agree on belongs in `plan.training`. `loses`, `on_sent`: see
    `driver.Session`. Raises `ConfigurationError` for what cannot be kept, `TransportError` if the SuperLink is
    gone.
    """
    terms = terms or Terms()
    post, wanted = terms.post(grid), frozenset(nodes)
    enrolled = enrolled or enrol(post, sorted(wanted), terms.deadline, terms.registry)
    chosen = enrolled.chosen(wanted, params.needed, params.clients)
    server = SubmodelServer(params, plan, model.dense, model.tables, chosen.keys(), maps=model.maps)
    registry = enrolled.believed(chosen)

    def attach(message: Any) -> Attached:
        return Attached(registry=registry if isinstance(message, RoundInvitation) else b"", request=request)

    session = Session("round", server, chosen, submodel.to_client, submodel.to_server, attach, terms.max_bytes)
    session.loses, session.on_sent = loses, on_sent
    Driver(post, terms.deadline, terms.watch).run([session])
    return _result(session, server, enrolled)


def _result(session: Session, server: SubmodelServer, enrolled: Enrolled) -> SecureRound:
    sums = server.sums if UPDATE in server.results else None
    survivors = frozenset(session.nodes[server.name_of(u)] for u in sums.survivors) if sums else frozenset[int]()
    lost = {
        node: session.left.get(name, "the round could not finish")
        for name, node in session.nodes.items()
        if node not in survivors
    }
    silent = survivors & {session.nodes[name] for name in session.left}
    return SecureRound(sums, survivors, enrolled.refused | lost, silent, session.outcome, server)
