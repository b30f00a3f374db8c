"""A whole round in both settings, by clients that exist as bytes between any two messages."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import dp
import psu
from securefl.crypto import Identity
from securefl.engine.exchange import Exchange
from securefl.secagg import Aborted
from securefl.secagg.journal import InMemoryJournal
from securefl.submodel import (
    Quantization,
    QuantizedUpdate,
    SubmodelClient,
    SubmodelPlan,
    SubmodelServer,
    Table,
    map_hash,
    to_client,
    to_server,
)
from securefl.submodel.messages import Submodel

N, ITEMS, CATEGORIES, DENSE, WIDTH, FLOOR = 8, 30, 5, 10, 3, 2
RNG = np.random.default_rng(0)
MAP = RNG.integers(0, CATEGORIES, ITEMS)
SETS = [np.unique(RNG.choice(ITEMS, 8)).astype(np.int64) for _ in range(N)]
HOW = Quantization(16, 1.0, 16)
PLAN = SubmodelPlan(
    psu.plan_union(ITEMS, ITEMS, clients=N).to_bytes(),
    ("7/8", "1/8", "7/8", "1/8"),
    (Table("items", ITEMS, WIDTH), Table("categories", CATEGORIES, WIDTH, map_hash(MAP))),
    DENSE,
    FLOOR,
    32,
    HOW,
    HOW,
)
IDENTITIES = [Identity.generate() for _ in range(N)]
REGISTRY = frozenset(i.public for i in IDENTITIES)


class Sleeper:
    """Suspended after every message, and between the download and the upload; trains to a row of ones."""

    def __init__(self, number: int) -> None:
        self._number, self._journal, self._memo = number, InMemoryJournal(), dp.InMemoryMemo()
        self._bytes: bytes | None = None
        self.update: QuantizedUpdate | None = None

    def _awake(self) -> SubmodelClient:
        held = SETS[self._number]
        client = SubmodelClient(
            IDENTITIES[self._number], REGISTRY, held, self._memo, maps={"categories": MAP}, journal=self._journal
        )
        if self._bytes is not None:
            client.resume(self._bytes)
        return client

    def receive(self, message: Any) -> list[Any]:
        client = self._awake()
        answers = client.receive(message)
        if isinstance(message, Submodel):
            self._bytes = client.suspend()
            client = self._awake()
            answers = client.upload(self._train(client))
        self._bytes = client.suspend()
        assert isinstance(client.state, Aborted)
        return answers

    def _train(self, client: SubmodelClient) -> QuantizedUpdate:
        rows = {name: client.download.rows(name)[0] for name in ("items", "categories")}
        ones = {name: (own, np.ones((own.size, WIDTH + 1), np.int64)) for name, own in rows.items()}
        self.update = QuantizedUpdate(np.arange(DENSE + 1) * (self._number + 1), ones)
        return self.update


@pytest.mark.parametrize(
    ("setting", "threshold", "min_survivors", "spare"),
    [("semi_honest", 4, None, 0), ("malicious", 6, None, 1), ("malicious", 5, 7, 1), ("malicious", 5, 8, 0)],
)
def test_d1_a_round_sums_exactly_the_rows_whose_claimants_cannot_be_declared_lost(
    setting: Any, threshold: int, min_survivors: int | None, spare: int
) -> None:
    params = PLAN.params(
        clients=N, threshold=threshold, colluders=1, kem="x25519", setting=setting, min_survivors=min_survivors
    )
    weights = {"items": np.zeros((ITEMS, WIDTH), np.float32), "categories": np.zeros((CATEGORIES, WIDTH), np.float32)}
    server = SubmodelServer(params, PLAN, np.zeros(DENSE, np.float32), weights, REGISTRY, maps={"categories": MAP})
    nodes = {identity.public: Sleeper(number) for number, identity in enumerate(IDENTITIES)}
    exchange = Exchange(server, nodes, to_client, to_server)
    exchange.run()
    assert not exchange.refusals
    opened = server.sums
    assert opened.dense.tolist() == [36 * i for i in range(DENSE)]  # 1 + 2 + ... + 8 = 36
    for name, table in opened.tables.items():
        claimed = [node.update.tables[name][0] for node in nodes.values() if node.update is not None]
        claimants = np.bincount(np.concatenate(claimed), minlength=weights[name].shape[0])
        assert table.indices.tolist() == np.flatnonzero(claimants >= FLOOR + spare).tolist()
        assert (table.counts == claimants[table.indices]).all()
        assert (table.sums == table.counts[:, None]).all()
