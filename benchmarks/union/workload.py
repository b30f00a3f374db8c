"""The reference workload of a submodel round: what one client moves up and down, on encoded messages, keys included.

The tables of Niu et al.'s Taobao log (143,534 items, 4,815 categories, width 18, 64,327 dense parameters), 100 clients
on the complete graph, 7/8 claims, 100 items a client, a union of 5,300, cells of 8 bits, rings of 32, 16-bit floats
down. Nobody is lost. Clients upload zeros: training would change no length. `planned` is the same with the cells that
the plan picks by itself; larger unions are told with X25519, to which the hybrid suite adds the same at every size.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from report import Check, Report

import dp
from securefl.config import load_preset, override
from securefl.config.schema import Config
from securefl.crypto import Identity
from securefl.datasets.synthetic import SyntheticPlan, synthetic_click_log
from securefl.engine.exchange import Exchange
from securefl.federation.planning import round_params, round_plan, union_plan
from securefl.models import DIN
from securefl.submodel import QuantizedUpdate, SubmodelClient, SubmodelServer, to_client, to_server
from securefl.submodel.messages import Submodel

PRESET, HELD, UNION = "taobao", 100, 5_300
LARGER = (10_000, 20_000, 30_000)
LIMITS = {"x25519": 1_000_000, "x25519-mlkem768": 1_400_000}
"""Bytes, by suite."""
NAMES = {"x25519": "x25519", "x25519-mlkem768": "hybrid"}

Indices = NDArray[np.int64]


def measure(report: Report, _rounds: int) -> None:
    """Add the checks of this family: one round each, whose lengths hardly vary."""
    for kem, limit in LIMITS.items():
        value = round_bytes(configuration(kem, UNION), index_sets(UNION))
        report.checks.append(Check(f"taobao_bytes_{NAMES[kem]}", value, "bytes", limit, direction="<="))
    planned = override(configuration("x25519", UNION), {"union.bits": None})
    report.checks.append(Check("taobao_bytes_x25519_planned", round_bytes(planned, index_sets(UNION)), "bytes"))
    for union in LARGER:
        value = round_bytes(configuration("x25519", union), index_sets(union))
        report.checks.append(Check(f"taobao_bytes_x25519_union_{union}", value, "bytes"))
    report.notes.append(f"bytes: mean over {planned.cohort.clients} clients, up and down together")


def configuration(kem: str, union: int) -> Config:
    """The preset with this suite and this union expected, in a bitmap with cells of 8 bits."""
    return override(load_preset(PRESET), {"secagg.kem": kem, "union.expected": union, "union.bits": 8})


def index_sets(union: int, *, clients: int = 100, items: int = 143_534) -> list[Indices]:
    """One index set a client, of `HELD` items or what the union needs, which together are exactly `union` items.

    Each item has one sure holder; the rest of a set is drawn by popularity (Zipf), so that some have many.
    """
    generator = np.random.default_rng(union)
    chosen = generator.permutation(items)[:union]
    popular = 1 / np.arange(1, union + 1)
    sets = []
    for client in range(clients):
        sure = np.arange(client, union, clients)
        weight = popular.copy()
        weight[sure] = 0
        more = generator.choice(union, max(0, HELD - sure.size), replace=False, p=weight / weight.sum())
        sets.append(np.sort(chosen[np.concatenate([sure, more])]))
    return sets


def round_bytes(config: Config, sets: list[Indices]) -> float:
    """Mean bytes of a client, both ways, in one round over these index sets; raises unless the round is complete."""
    category, categories = public_map()
    model = DIN(category, categories, width=config.training.dim)
    maps = {"categories": category}
    cells = union_plan(config, model.tables[0], UNION if config.union.expected is None else config.union.expected)
    plan = round_plan(config, model, maps, cells)
    weights = model.init(0)
    identities = [Identity.generate() for _ in sets]
    names = frozenset(identity.public for identity in identities)
    server = SubmodelServer(round_params(config, plan), plan, weights.dense, weights.tables, names, maps=maps)
    clients = {
        identity.public: Silent(SubmodelClient(identity, names, held, dp.InMemoryMemo(), maps=maps))
        for identity, held in zip(identities, sets, strict=True)
    }
    sizes: list[int] = []
    exchange = Exchange(
        server, clients, to_client, to_server, on_sent=lambda _who, _what, size, _up: sizes.append(size)
    )
    exchange.run()
    if len(server.sums.survivors) < len(sets):
        raise SystemExit("workload: a client was lost")
    return sum(sizes) / len(sets)


def public_map() -> tuple[Indices, int]:
    """Category of each item, and their number: large and small ones, as in the synthetic log."""
    plan = SyntheticPlan(users=1, items=143_534, categories=4_815, clicks=1, exponent=1.0, favourites=1)
    return synthetic_click_log(plan).category, plan.categories


class Silent:
    """A client that answers, and uploads zeros."""

    def __init__(self, client: SubmodelClient) -> None:
        self._client = client

    def receive(self, message: object) -> list[object]:
        """See `exchange.Node`."""
        answers = self._client.receive(message)
        return self._client.upload(nothing(self._client)) if isinstance(message, Submodel) else answers


def nothing(client: SubmodelClient) -> QuantizedUpdate:
    """An update of zeros."""
    download = client.download
    widths = {name: download.rows(name)[1].shape[1] + 1 for name in download.tables}
    rows = {name: (np.zeros(0, np.int64), np.zeros((0, width), np.int64)) for name, width in widths.items()}
    return QuantizedUpdate(np.zeros(download.dense.size + 1, np.int64), rows)
