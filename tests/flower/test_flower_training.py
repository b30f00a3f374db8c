"""Training over Flower ends in the very model that the local engine trains from the same configuration and seed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("flwr", reason="needs flwr: not an importable package")

from flwr.clientapp import ClientApp
from grid import make_grid

from securefl.config import load_preset, override
from securefl.datasets import ClickLog
from securefl.engine.flower import Post, SecureClient, Terms, enrol
from securefl.engine.flower.training import Device, FlowerEngine
from securefl.engine.local import Trained, run
from securefl.federation.progress import Silent
from securefl.federation.setup import Setup
from securefl.federation.training import Training

USERS = 8
SETTINGS: dict[str, Any] = {
    "cohort.clients": 6,
    "cohort.rounds": 3,
    "cohort.dropout": 0.2,
    "cohort.seed": 5,
    "secagg.threshold": 3,
    "secagg.colluders": 0,
    "secagg.kem": "x25519",
    "union.bits": 32,
    "privacy.honest_claimants": 1,
    "training.dim": 4,
}


def clicks() -> ClickLog:
    """Few users with many clicks on few items, so that everybody shares rows."""
    draw = np.random.default_rng(1)
    user = np.repeat(np.arange(USERS), 30)
    item, label = draw.integers(0, 40, user.size), draw.random(user.size) < 0.5
    names = np.arange(USERS).astype(str), np.arange(40).astype(str), np.arange(4).astype(str)
    return ClickLog("few", user, item.astype(np.int64), label, np.arange(40) % 4, *names, False)


@pytest.mark.parametrize(
    ("setting", "noise"), [("semi_honest", 0), ("malicious", 0), ("semi_honest", 1)], ids=["", "malicious", "noise"]
)
def test_the_model_is_the_local_engines_bit_for_bit(setting: str, noise: float) -> None:
    chosen = {"secagg.setting": setting, "privacy.noise_multiplier": noise, "training.quantization_bits": 10}
    config = override(load_preset("small"), SETTINGS | chosen)
    log = clicks()
    kept: list[Trained] = []
    local = run(config, log, Silent(), keep=kept.append)
    apps = []
    for user in range(USERS):
        apps.append(ClientApp())
        SecureClient(rounds=Device(Setup.of(config, log), user)).register(apps[-1])
    grid = make_grid(apps)
    terms = Terms(deadline=1.0)
    setup = Setup.of(config, log)
    training = Training(setup)
    engine = FlowerEngine(grid, setup, enrol(Post(grid), grid.nodes, 5.0), terms)
    flower = training.run(engine, Silent())
    assert sum(local.dropouts.values()) > 0
    for one, other in zip(local.per_round, flower.per_round, strict=True):
        assert (one.completed, one.abort, one.dropouts) == (other.completed, other.abort, other.dropouts)
        assert (one.finishers, one.union_size, one.rows_uploaded, one.rows_left_out) == (
            other.finishers,
            other.union_size,
            other.rows_uploaded,
            other.rows_left_out,
        )
    assert any(record.completed for record in flower.per_round)
    assert training.state.weights.dense.tobytes() == kept[0].weights.dense.tobytes()
    for name, table in kept[0].weights.tables.items():
        assert training.state.weights.tables[name].tobytes() == table.tobytes()
