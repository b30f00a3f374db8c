"""The benchmark of the union: its workload is that of the protocol's costs, and every target has its figure."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from securefl.config import override
from securefl.federation.planning import round_params, round_plan, union_plan
from securefl.models import DIN

ROOT = Path(__file__).parents[2]
TARGETS = {
    "filters": {"bloom_insert_ratio", "bloom_query_ratio", "bloom_issuperset_ratio", "bloom_false_positives"},
    "universe": {"universe_1e7_seconds"},
    "workload": {"taobao_bytes_x25519", "taobao_bytes_hybrid"},
}


@pytest.fixture
def workload(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """benchmarks/union/workload.py; what it imports by the way is forgotten again."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    yield importlib.import_module("union.workload")
    for name in {name for name in sys.modules if name.partition(".")[0] in ("union", "core", "report")} - before:
        del sys.modules[name]


def test_the_workload_is_the_reference_one(workload: ModuleType) -> None:
    """Taobao tables, 100 clients, complete graph, 7/8, 100 items each, union 5,300, cells of 8 bits, rings of 32."""
    config = workload.configuration("x25519", workload.UNION)
    category, categories = workload.public_map()
    model = DIN(category, categories, width=config.training.dim)
    union = union_plan(config, model.tables[0], workload.UNION)
    plan = round_plan(config, model, {"categories": category}, union)
    params = round_params(config, plan)
    assert [(t.rows, t.width) for t in plan.tables] == [(143_534, 18), (4_815, 18)]
    assert np.bincount(category).min() >= 1
    assert (plan.dense, plan.ring_bits, plan.response) == (64_327, 32, ("7/8", "1/8", "7/8", "1/8"))
    cells = plan.union_plan
    assert (cells.kind, cells.cells, cells.bits, cells.expected_union) == ("bitmap", 143_534, 8, 5_300)
    assert (params.clients, params.neighbours, params.setting, params.kem) == (100, 99, "semi_honest", "x25519")
    assert workload.LIMITS == {"x25519": 1_000_000, "x25519-mlkem768": 1_400_000}
    assert workload.configuration("x25519-mlkem768", 9).secagg.kem == "x25519-mlkem768"


@pytest.mark.parametrize("union", [5_300, 10_000, 30_000])
def test_index_sets_have_exactly_this_union(workload: ModuleType, union: int) -> None:
    sets = workload.index_sets(union)
    assert {s.size for s in sets} == {max(100, union // 100)}
    assert len(np.unique(np.concatenate(sets))) == union
    assert all((np.diff(s) > 0).all() and s[0] >= 0 and s[-1] < 143_534 for s in sets)


def test_bytes_of_a_round_are_those_of_its_encoded_messages(workload: ModuleType) -> None:
    """Where all claim all of the union, lengths are known: cells, parameters, rows; the rest are keys and heads."""
    settings = {"cohort.clients": 5, "privacy.honest_claimants": 1, "secagg.colluders": 0, "privacy.response": "union"}
    config = override(workload.configuration("x25519", workload.UNION), settings)
    sets = workload.index_sets(120, clients=5)
    union = np.unique(np.concatenate(sets))
    rows = 120 + len(np.unique(workload.public_map()[0][union]))
    lengths = 143_534 + 2 * 64_327 + 4 * 64_328 + rows * (2 * 18 + 4 * 19)
    assert 3_000 < workload.round_bytes(config, sets) - lengths < 8_000


@pytest.mark.slow
@pytest.mark.needs("rbloom")
@pytest.mark.parametrize("family", TARGETS)
def test_every_target_has_its_figure(family: str, tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    command = [sys.executable, "benchmarks/union.py", "--only", family, "--rounds", "1", "--json", file]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)  # noqa: S603
    assert done.returncode == 0, done.stderr
    checks = {check["name"]: check for check in json.loads(file.read_text())["checks"]}
    assert {name for name, check in checks.items() if check["floor"] is not None} == TARGETS[family]
    assert all(check["value"] > 0 for check in checks.values())
    for check in checks.values():
        if check["direction"] == "<=" and check["floor"] is not None and check["unit"] != "s":
            assert check["value"] <= check["floor"]  # lengths and rates do not depend on the machine


@pytest.mark.slow
def test_the_decision_on_thresholds_shows_what_is_computed() -> None:
    command = [sys.executable, "benchmarks/thresholded.py", "--clients", "100"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)  # noqa: S603
    assert done.returncode == 0, done.stderr
    assert done.stdout in (ROOT / "docs" / "decisions" / "0005-no-thresholded-union.md").read_text()
