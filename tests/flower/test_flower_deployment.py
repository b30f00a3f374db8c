"""Real processes: TLS, authenticated nodes, real data, a node killed in the middle of a round; no network at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("flwr", reason="needs flwr: not an importable package")

from flwr.app import Context, RecordDict
from safetensors.numpy import load_file
from witnessed import alone, noted, watched

from securefl.engine import local
from securefl.federation.progress import Silent
from securefl.federation.training import State, Training
from securefl.submodel import UPDATE

ROOT = Path(__file__).parents[2]
APP = ROOT / "examples" / "flower_submodel"


def expected(folder: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the local engine makes of the same configuration, with user 3 lost in round 2 before its update."""
    monkeypatch.syspath_prepend(str(APP))
    import deploy
    from flower_submodel.world import setup as world

    settings = {"preset": "small", "union.bits": 32, "secagg.colluders": 0} | deploy.SETTINGS | {"data.path": str(data)}
    setup = world(Context(1, 1, {}, RecordDict(), settings))

    class LosesTheKilled(local.Losses):
        def __call__(self, client: bytes, message: Any) -> bool:
            return number[0] == 2 and client == names[3] and getattr(message, "sum", None) == UPDATE

    number, names, weights = [1], dict[int, bytes](), list[Any]()
    monkeypatch.setattr(local, "Losses", LosesTheKilled)

    def after(state: State) -> None:
        weights.append((state.weights.dense.copy(), {n: t.copy() for n, t in state.weights.tables.items()}))
        number[0] += 1

    training = Training(setup)
    with local.fleet(setup, training.state.strategy.weigh, 2) as phones:  # workers have one math thread, as nodes do
        begin = phones.begin

        def remember(*arguments: Any) -> dict[int, bytes]:
            names.update(begin(*arguments))
            return dict(names)

        monkeypatch.setattr(phones, "begin", remember)
        summary = training.run(local.LocalEngine(setup, phones), Silent(), after)
    assert [record.finishers for record in summary.per_round] == [4, 3]
    return weights


PING = "from flwr.supercore.telemetry import EventType, event; print(event(EventType.PING).result())"


@pytest.mark.needs("network namespace", "flwr")
def test_the_witness_sees_what_telemetry_would_send_and_that_it_is_off(tmp_path: Path, unshared: list[str]) -> None:
    """Or the deployment's silence would prove nothing."""
    for setting, heard in (("1", {"https://telemetry.flower.ai/api/v1/event", "telemetry.flower.ai"}), ("0", set())):
        notes = tmp_path / setting
        home = {"FLWR_HOME": str(tmp_path), "FLWR_TELEMETRY_ENABLED": setting}
        done = alone(unshared, "-c", PING, environment=watched(notes, **home))
        assert done.stdout.strip() == "disabled", done.stderr  # Flower says so of a failed attempt, too
        assert noted(notes)[1] == heard


@pytest.mark.slow
@pytest.mark.needs("data", "flwr", "network namespace")
def test_a_deployment_trains_what_the_local_engine_trains_and_survives_a_kill(
    tmp_path: Path, data_folder: Path, unshared: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of it with no network but loopback, and without as much as an attempt to reach another."""
    data, notes = data_folder / "ml-100k" / "ml100k.npz", tmp_path / "notes"
    command = [APP / "deploy.py", tmp_path / "run", "--data", data, "--kill"]
    done = alone(unshared, *command, environment=watched(notes))
    assert done.returncode == 0, done.stdout + done.stderr
    programs, elsewhere = noted(notes)
    assert not elsewhere
    assert programs["flower-superlink"] == 1
    assert programs["flower-supernode"] == 4
    assert programs["flwr-serverapp"] == 1
    assert programs["flwr-clientapp"] >= 4 * (1 + 7) + 3  # enrolment and two rounds, the last three messages to three
    log = (tmp_path / "run" / "run.log").read_text()
    assert "round 1: done, 4 of 4 finished" in log
    assert "round 2: done, 3 of 4 finished" in log
    for number, (dense, tables) in enumerate(expected(tmp_path, data, monkeypatch), 1):
        trained = load_file(tmp_path / "run" / f"round-{number}.safetensors")
        assert trained.pop("dense").tobytes() == dense.tobytes()
        assert {name.removeprefix("table."): table.tobytes() for name, table in trained.items()} == {
            name: table.tobytes() for name, table in tables.items()
        }
        assert np.abs(dense).max() > 0
    metrics = (tmp_path / "run" / "metrics.prom").read_text()
    lost = 'securefl_losses_total{session="round",message="Submodel",reason="%s"} 1'
    assert lost % "late" in metrics or lost % "failed" in metrics
    assert 'securefl_sessions_total{session="round",outcome="finished"} 2' in metrics
