"""The reproductions run: grouped LeNet is LeNet, and a short run of each writes its figures and keeps its curves."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.needs("torch")
def test_a_cohort_in_one_computation_is_its_clients_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    from reproduce import lenet

    draw, scale = np.random.default_rng(0), np.array([1, 0.5, 2], np.float32)
    inputs = draw.normal(size=(3, 2, 4, 3, 32, 32)).astype(np.float32)
    labels, start = draw.integers(0, 10, (3, 2, 4)), lenet.init(0)
    together = lenet.descend(start, inputs, labels, 0.05, scale, 0.3)
    for u in range(3):
        alone = lenet.descend(start, inputs[u : u + 1], labels[u : u + 1], 0.05, scale[u : u + 1], 0.3)
        assert together[u] == pytest.approx(alone[0], abs=1e-4)
    assert not np.allclose(together[0], together[1], atol=1e-2)


@pytest.mark.needs("torch")
def test_grouped_lenet_is_a_plain_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import torch
    from reproduce import lenet
    from torch import nn

    plain = nn.Sequential(
        *(nn.Conv2d(3, 6, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10)),
    )
    parts = [p.detach().T if p.dim() == 2 else p.detach() for p in plain.parameters()]
    model = torch.cat([part.reshape(-1) for part in parts])
    inputs = torch.randn(7, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    scores = lenet.logits(lenet.parameters(model[None]), inputs)[0]
    assert scores.tolist() == pytest.approx(plain(inputs).detach().numpy(), abs=1e-4)
    assert model.numel() == lenet.SIZE


@pytest.mark.slow
@pytest.mark.needs("data")
def test_the_availability_table(data_folder: Path, tmp_path: Path) -> None:
    runs, file = tmp_path / "runs.json", tmp_path / "figures.json"
    command = [sys.executable, "benchmarks/reproduce/mnist.py", "--data", data_folder / "mnist" / "mnist.npz"]
    command += ["--rounds", "20", "--runs", runs, "--json", file]
    said = [subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout for _ in range(2)]  # noqa: S603
    checks = {check["name"]: check["value"] for check in json.loads(file.read_text())["checks"]}
    assert {"E100_D1_FedLaAvg", "E100_D1_lead_off_paper", "always_FedAvg"} <= checks.keys()
    assert len(json.loads(runs.read_text())) == 22
    assert ("round 20 of 20" in said[0], "round 20 of 20" in said[1]) == (True, False)
