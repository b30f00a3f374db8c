"""Submodel rounds over a hostile network: one union, one claim and one update a client, exact sums of rows or none.

Attacks A3, A5, A11, D1, D8, E1, E2 and E4.
"""

from __future__ import annotations

from functools import cache
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from network import QUIET, C, Letter, Network
from rounds import (
    CATEGORY_OF,
    DENSE_LAYERS,
    MAPS,
    SEVEN_EIGHTHS,
    TABLES,
    make_client,
    make_plan,
    play,
    public,
    train,
)

import dp
from securefl.secagg import Opening, Params, Sum
from securefl.secagg.params import Setting
from securefl.secagg.server import AwaitingInputs
from securefl.secagg.states import Place
from securefl.submodel import UNION, QuantizedUpdate, SubmodelClient, SubmodelServer, to_client, to_server
from securefl.submodel.messages import Claim, Submodel, UnionAnnounced
from securefl.submodel.rows import row_floor
from securefl.submodel.server import AwaitingClaims
from securefl.submodel.states import CLIENT, SERVER, place_of

PLAN = make_plan(row_floor=2, response=SEVEN_EIGHTHS)
HELD = {1: [0, 1, 2], 2: [0, 1], 3: [5, 6, 7], 4: [0, 11], 5: [5], 6: [1, 10]}


@cache
def another_session(agreed: Params) -> tuple[Letter, ...]:
    held = {u: HELD[u] for u in range(1, agreed.clients + 1)}
    past = play(PLAN, agreed.threshold, held, setting=agreed.setting)
    assert past.outcome is None
    up = [Letter(u, True, to_server.encode(message), False) for u, message in past.sent]
    return (*up, *(Letter(u, False, to_client.encode(message), False) for u, message in past.shown))


class Round(Network):
    """One round. Who was told another union or model, or claimed in vain, spoils the sum: its masks do not cancel."""

    to_client, to_server, client_tables, server_tables = to_client, to_server, CLIENT, SERVER
    deceptive = (UnionAnnounced, Submodel)

    def invite(self, clients: int, threshold: int, setting: Setting) -> SubmodelServer:
        agreed = PLAN.params(clients=clients, threshold=threshold, colluders=C, kem="x25519", setting=setting)
        self.memos = {u: dp.InMemoryMemo() for u in range(1, clients + 1)}
        self.updates: dict[int, QuantizedUpdate] = {}
        self.claimed: dict[int, Any] = {}
        self.live: list[int] = []
        """Whose claim the server took."""
        return SubmodelServer(agreed, PLAN, DENSE_LAYERS, TABLES, [public(u) for u in self.memos], maps=MAPS)

    def public(self, client: int) -> bytes:
        return public(client)

    def fresh(self, client: int) -> SubmodelClient:
        own = {"journal": self.journals[client], "memo": self.memos[client], "rng": Random(client).randbytes}
        return make_client(client, HELD[client], self.agreed.clients, **own)

    def another_session(self) -> tuple[Letter, ...]:
        return another_session(self.agreed)

    def place_of(self, state: object) -> Place:
        return place_of(state)

    def tell(self, client: int, message: Any) -> list[Any]:
        """A client that has downloaded its rows trains at once."""
        answers = super().tell(client, message)
        if not isinstance(message, Submodel):
            return answers
        self.updates[client] = train(client, HELD[client], self.clients[client].download)
        return self.step_of(client, self.updates[client], self.clients[client].upload)

    def note(self, u: int, before: object, answer: Any) -> None:
        """It claims once, and only while nothing of its update is out; a claim ends its part in the union."""
        super().note(u, before, answer)
        if isinstance(answer, Claim):
            assert u not in self.claimed
            self.claimed[u] = self.clients[u].state.indices
        elif getattr(answer, "sum", None) == UNION:
            assert u not in self.claimed

    def note_arrival(self, letter: Letter, message: Any) -> None:
        super().note_arrival(letter, message)
        match self.server.state:
            case AwaitingClaims() if not letter.genuine:
                self.deceived.add(letter.client)
            case AwaitingInputs(opening=Opening(sum=Sum(name="update"), live=live)):
                self.live = [self.numbers[self.server.name_of(u)] for u in live]

    # ---- what opens ----

    def check_sum(self, name: str, survivors: list[int]) -> None:
        if self.forged:
            return  # of a blinded cell or a lone row nothing can be told then
        if name == UNION:
            assert self.server.union.tolist() == sorted({i for u in survivors for i in HELD[u]})
        elif not self.deceived.intersection(self.live):
            self.check_rows(survivors)

    def check_rows(self, survivors: list[int]) -> None:
        sums = self.server.sums
        assert sums.dense.tolist() == sum(self.updates[u].dense[:-1] for u in survivors).tolist()
        assert sums.dense_count == sum(int(self.updates[u].dense[-1]) for u in survivors)
        floor = row_floor(PLAN, self.agreed, len(self.live))
        for name, of_item in (("items", np.arange(len(CATEGORY_OF))), ("categories", CATEGORY_OF)):
            rows = [np.unique(of_item[self.claimed[u]]) for u in self.live]
            number, claimants = np.unique(np.concatenate(rows), return_counts=True)
            opened, expected = sums.tables[name], self.clear_rows(name, survivors)
            assert opened.indices.tolist() == number[claimants >= floor].tolist()
            assert np.column_stack([opened.sums, opened.counts]).tolist() == expected[opened.indices].tolist()

    def clear_rows(self, table: str, survivors: list[int]) -> np.ndarray:
        """The sum of these clients' updates in the clear, a line for each row of a table."""
        total = np.zeros((len(TABLES[table]), TABLES[table].shape[1] + 1), np.int64)
        for u in survivors:
            rows, values = self.updates[u].tables[table]
            total[rows] += values
        return total


TestRoundNetwork = Round.TestCase
TestRoundNetwork.settings = settings(max_examples=50, stateful_step_count=30, suppress_health_check=QUIET)


class Busier(Round):
    """The same for longer."""


TestRoundNetworkAtLength = pytest.mark.slow(Busier.TestCase)
TestRoundNetworkAtLength.settings = settings(max_examples=600, stateful_step_count=60, suppress_health_check=QUIET)
