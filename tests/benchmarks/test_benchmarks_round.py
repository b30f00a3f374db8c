"""The benchmark of a submodel round tells every step of a client and of the server once."""

from __future__ import annotations

from pathlib import Path

import pytest

from securefl.config import load_preset, override
from securefl.datasets.synthetic import synthetic_click_log

ROOT = Path(__file__).parents[2]


def test_every_step_takes_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import submodel_round

    few = {"cohort.clients": 6, "cohort.dropout": 0.0, "privacy.honest_claimants": 2, "secagg.colluders": 0}
    checks = submodel_round.steps(override(load_preset("small"), few), synthetic_click_log("small", seed=3))
    found = {check.name: check.value for check in checks}
    steps = set(submodel_round.STEPS.values())
    assert {f"client_{step}" for step in steps} <= found.keys()
    assert {f"server_{step}" for step in steps} <= found.keys()
    clients = sum(found[f"client_{step}"] for step in steps)
    assert found["client_all"] == pytest.approx(clients)
    assert found["round_processor_seconds"] == pytest.approx(6 * clients / 1e3 + found["server_all"])
    assert min(found.values()) > 0
    assert found["client_train_and_mask"] > found["client_claim"]
