"""The reproductions run: LeNet in C is LeNet, a run put aside goes on the same, and short runs write their figures."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from securefl.federation.availability import Alternating
from securefl.models.softmax import SoftmaxRegression

ROOT = Path(__file__).parents[2]


@pytest.mark.needs("torch", "cc")
def test_lenet_in_c_is_a_plain_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two proximal steps of three clients, each against autograd; then the accuracy."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import torch
    from reproduce import lenet
    from torch import nn

    draw, scale, rate, pull = np.random.default_rng(0), np.array([1, 0.5, 2], np.float32), 0.05, 0.3
    inputs = draw.normal(size=(3, 2, 4, 3, 32, 32)).astype(np.float32)
    labels, start = draw.integers(0, 10, (3, 2, 4)), lenet.init(0)
    updates = lenet.descend(start, inputs, labels, rate, scale, pull)
    plain = nn.Sequential(
        *(nn.Conv2d(3, 6, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10)),
    )
    cuts = np.cumsum([np.prod(shape) for shape in lenet.SHAPES])[:-1]
    first = [torch.tensor(part.reshape(shape)) for part, shape in zip(np.split(start, cuts), lenet.SHAPES, strict=True)]
    for u in range(3):
        with torch.no_grad():
            for own, part in zip(plain.parameters(), first, strict=True):
                own.copy_(part.T if part.dim() == 2 else part)
        for x, y in zip(inputs[u], labels[u], strict=True):
            plain.zero_grad()
            (scale[u] * nn.functional.cross_entropy(plain(torch.tensor(x)), torch.tensor(y))).backward()
            with torch.no_grad():
                for own, part in zip(plain.parameters(), first, strict=True):
                    assert own.grad is not None
                    own -= rate * (own.grad + pull * (own - (part.T if part.dim() == 2 else part)))
        ends = [own.detach().T if own.dim() == 2 else own.detach() for own in plain.parameters()]
        moved = torch.cat([((a - b) / rate).reshape(-1) for a, b in zip(first, ends, strict=True)])
        assert updates[u] == pytest.approx(moved.numpy(), abs=2e-5)
    model = torch.cat([part.reshape(-1) for part in ends]).numpy()
    best, flat = plain(torch.tensor(inputs[0].reshape(-1, 3, 32, 32))).argmax(1).numpy(), labels[0].reshape(-1)
    assert lenet.accuracy(model, inputs[0], flat) == 100 * (best == flat).mean()
    with pytest.raises(ValueError, match="at most 8"):
        lenet.descend(start, inputs.reshape(1, 2, 12, 3, 32, 32), labels.reshape(1, 2, 12), rate, scale[:1], 0)


class Points:
    """Two classes of points, a class for each half of 8 clients."""

    def __init__(self) -> None:
        self.draw, self.samples, self._model = np.random.default_rng(3), np.full(8, 4), SoftmaxRegression(2, 2)

    def init(self) -> NDArray[np.float32]:
        return self._model.init()

    def updates(self, model: NDArray[np.float32], cohort: NDArray[np.int64], rate: float, strategy: Any) -> Any:
        labels = np.repeat(cohort % 2, 4).reshape(-1, 2, 2)
        inputs = self.draw.normal(labels[..., None], size=(*labels.shape, 2)).astype(np.float32)
        scale = strategy.loss_scale(self.samples[cohort])
        return self._model.descend(model, inputs, labels, rate, loss_scale=scale, proximal=strategy.proximal)

    def accuracy(self, model: NDArray[np.float32]) -> float:
        return float(np.abs(model).sum())


@pytest.mark.parametrize("name", ["FedAvg", "FedProx", "FedLaAvg", "MIFA"])
def test_a_run_put_aside_goes_on_the_same(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    from reproduce.course import Course, Kept, Run

    def fresh() -> Run:
        return Run(Points(), name, Alternating(np.arange(8) % 2, (3, 2)), Course(1, lambda n: 0.1 / n, 3), 7)

    whole = fresh()
    whole.advance(12, lambda _: None)
    for goal in (5, 12):  # the second is another process's: nothing of the first but its files
        curve = Kept(tmp_path / "runs.json", 2).curve(name, goal, fresh)
    assert curve == whole.curve
    assert Kept(tmp_path / "runs.json").curve(name, 5, fresh) == {n: a for n, a in whole.curve.items() if n <= 5}


@pytest.mark.slow
@pytest.mark.needs("data")
def test_the_availability_table(data_folder: Path, tmp_path: Path) -> None:
    runs, file = tmp_path / "runs.json", tmp_path / "figures.json"
    command = [sys.executable, "benchmarks/reproduce/mnist.py", "--data", data_folder / "mnist" / "mnist.npz"]
    command += ["--rounds", "20", "--runs", runs, "--json", file]
    said = [subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout for _ in range(2)]  # noqa: S603
    checks = {check["name"]: check["value"] for check in json.loads(file.read_text())["checks"]}
    assert {"E100_D1_FedLaAvg", "E100_D1_lead_off_paper", "always_FedAvg"} <= checks.keys()
    assert len(json.loads(runs.read_text())) == 23
    assert ("round 20," in said[0], "round 20," in said[1]) == (True, False)


@pytest.mark.slow
@pytest.mark.needs("data", "cc")
def test_the_lead_on_pictures(data_folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    command = [sys.executable, "benchmarks/reproduce/cifar.py", "--runs", tmp_path / "runs.json", "--json", file]
    data = ["--data", data_folder / "cifar10" / "cifar10_jpegpack.npz", "--rounds", "10", "--seeds", "1"]
    subprocess.run([*command, *data], cwd=ROOT, capture_output=True, check=True)  # noqa: S603
    subprocess.run([*command, "--finished"], cwd=ROOT, capture_output=True, check=True)  # noqa: S603
    report = json.loads(file.read_text())
    checks = {check["name"]: check["value"] for check in report["checks"]}
    assert checks["rounds_seed1"] == 10
    assert checks["lead_mean"] == checks["FedLaAvg_seed1"] - checks["FedAvg_seed1"]
    assert {"seed 2: not run", "seed 3: not run"} <= set(report["notes"])
