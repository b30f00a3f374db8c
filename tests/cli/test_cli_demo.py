"""``securefl demo`` around the engine: options in; table, files, sentences and exit codes out."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest
from msgspec.structs import replace

from securefl.config import load_preset, override
from securefl.errors import ConfigurationError, FaultyServerError, TooFewSurvivorsError, TransportError
from securefl.federation.records import RunSummary

if TYPE_CHECKING:
    from conftest import Engine, Outcome

    Command = Callable[..., Outcome]


def one_sentence(outcome: Outcome) -> str:
    """The last line of standard error, which must be the only one that is not progress."""
    lines = [line for line in outcome.err.splitlines() if not re.match(r"round \d+ of|warning: ", line)]
    assert len(lines) == 1, outcome.err
    assert lines[0].startswith("securefl: ")
    return lines[0]


def aborted(summary: RunSummary) -> RunSummary:
    rounds = [
        replace(summary.per_round[0], completed=False, abort="66 clients left, 68 needed"),
        *summary.per_round[1:],
    ]
    return replace(summary, rounds_completed=4, per_round=rounds)


def test_the_plain_demo_is_the_small_preset(engine: Engine, command: Command) -> None:
    outcome = command("demo")
    assert outcome.code == 0
    assert engine.configs == [load_preset("small")]
    assert engine.users[0] >= 100
    assert "5 of 5 rounds exact" in outcome.out
    assert "round 5 of 5: exact, 91 of 100 clients, AUC 0.5866" in outcome.err


def test_every_option_reaches_the_engine(engine: Engine, command: Command) -> None:
    cohort = ("--clients", "40", "--rounds", "3", "--dropout", "0.2", "--seed", "7")
    protection = (
        "--setting",
        "malicious",
        "--kem",
        "x25519",
        "--privacy",
        "3/4",
        "--set",
        "privacy.honest_claimants = 3",
    )
    assert command("demo", *cohort, *protection, "--set", "training.batch=4").code == 0
    assert engine.configs == [
        override(
            load_preset("small"),
            {
                "cohort.clients": 40,
                "cohort.rounds": 3,
                "cohort.dropout": 0.2,
                "cohort.seed": 7,
                "secagg.setting": "malicious",
                "secagg.kem": "x25519",
                "privacy.response": "3/4",
                "privacy.honest_claimants": 3,
                "training.batch": 4,
            },
        )
    ]


def test_a_seed_of_zero_and_none_are_different(engine: Engine, command: Command) -> None:
    command("demo", "--seed", "0")
    command("demo", "--seed", "none")
    assert [config.cohort.seed for config in engine.configs] == [0, None]


def test_settings_come_from_a_file(engine: Engine, command: Command, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("[cohort]\nclients = 30\nrounds = 2\n", encoding="utf-8")
    assert command("demo", "--config", path, "--rounds", "9").code == 0
    assert (engine.configs[0].cohort.clients, engine.configs[0].cohort.rounds) == (30, 9)
    assert "give one of the two" in one_sentence(command("demo", "--config", path, "--preset", "small"))


def test_json_on_standard_output_is_alone_there(engine: Engine, command: Command) -> None:
    outcome = command("demo", "--json", "-")
    assert outcome.code == 0
    assert msgspec.json.decode(outcome.out, type=RunSummary) == engine.summary
    assert "5 of 5 rounds exact" in outcome.err


@pytest.mark.needs("matplotlib")
def test_files_are_written_beside_the_table(engine: Engine, command: Command, tmp_path: Path) -> None:
    outcome = command("demo", "--json", tmp_path / "run.json", "--report", tmp_path / "run.html")
    assert outcome.code == 0
    assert "5 of 5 rounds exact" in outcome.out
    assert json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))["rounds"] == 5
    assert "<h1>" in (tmp_path / "run.html").read_text(encoding="utf-8")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run.html", "run.json"]


def test_a_round_that_failed_is_exit_code_3_after_everything_was_written(
    engine: Engine, command: Command, tmp_path: Path
) -> None:
    engine.summary = aborted(engine.summary)
    outcome = command("demo", "--json", tmp_path / "run.json")
    assert outcome.code == 3
    assert "4 of 5 rounds finished" in outcome.out
    assert json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))["rounds_completed"] == 4
    assert one_sentence(outcome) == "securefl: 1 of 5 rounds could not finish: 66 clients left, 68 needed"


def test_a_wrong_sum_is_never_exit_code_0(engine: Engine, command: Command) -> None:
    engine.summary = replace(engine.summary, exact=False)
    outcome = command("demo")
    assert outcome.code == 3
    assert "differs from the clear one" in one_sentence(outcome)


@pytest.mark.parametrize(
    ("error", "code", "sentence"),
    [
        (ConfigurationError("cohort.clients: too many"), 2, "cohort.clients: too many"),
        (TooFewSurvivorsError(3, 5), 3, "3 clients left, 5 needed"),
        (FaultyServerError("a lie"), 3, "a lie"),
        (TransportError("no line"), 3, "no line"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_an_error_is_one_sentence_and_its_exit_code(
    engine: Engine, command: Command, error: BaseException, code: int, sentence: str
) -> None:
    engine.error = error
    outcome = command("demo")
    assert outcome.code == code
    assert one_sentence(outcome) == f"securefl: {sentence}"
    assert outcome.out == ""


def test_a_defect_is_not_dressed_up(engine: Engine, command: Command) -> None:
    engine.error = ZeroDivisionError()
    with pytest.raises(ZeroDivisionError):
        command("demo")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("--preset large", "preset: there is no 'large'; use one of paper, small, taobao"),
        ("--clients 2", "cohort.clients: got 2; use a whole number of at least 3"),
        ("--clients 129", "cohort.clients: 129 clients are too many"),
        ("--rounds 0", "cohort.rounds: got 0"),
        ("--dropout 1", "cohort.dropout: got 1.0"),
        ("--dropout nan", "cohort.dropout: got nan"),
        ("--setting honest", "secagg.setting: got 'honest'; use 'malicious' or 'semi_honest'"),
        ("--privacy 1/8,7/8,7/8,1/8", "privacy.response: p1=1/8 is below p2=7/8"),
        ("--kem rsa", "secagg.kem: got 'rsa'"),
        ("--privacy 9/10", "privacy.response: '9/10' is no randomized response"),
        ("--seed -1", "--seed: got '-1'"),
        ("--seed 1e3", "--seed: got '1e3'"),
        ("--seed 99999999999999999999", "cohort.seed: got 99999999999999999999"),
        ("--set secagg.treshold=60", "secagg.treshold: no such setting; the nearest one is secagg.threshold"),
        ("--set secagg.threshold", "--set: got 'secagg.threshold'; use section.key=value"),
        ("--set secagg.threshold=99", "secagg.threshold: 99 shares"),
        ("--set secagg.threshold=100", "secagg.threshold: 100 of the 99 others cannot be; use at most 99"),
        ("--set secagg.ring_bits=16", "secagg.ring_bits: 16 bits carry at most 0 clients"),
        ("--set privacy.honest_claimants=80", "privacy.honest_claimants: a row floor of 85"),
        ("--config nowhere.toml", "configuration nowhere.toml: cannot be read"),
        ("--json /proc/run.json", "--json: /proc/run.json cannot be written"),
        ("--json .", "--json: . is a folder"),
        ("--report nowhere/run.html", "--report: nowhere/run.html cannot be written"),
        ("--report -", "--report: the page needs a file of its own"),
        ("--report same --json same", "--report: the page needs a file of its own"),
    ],
)
def test_bad_settings_are_refused_before_the_work_starts(
    engine: Engine, command: Command, arguments: str, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = command("demo", *arguments.split())
    assert outcome.code == 2
    assert one_sentence(outcome).startswith(f"securefl: {sentence}")
    assert engine.configs == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "user,item\n",
        "user,thing,label\n1,2,1\n",
        "user,item,label\n1,2,nan\n",
        "user,item,label\n-1,2,1\n",
        "user,item,label\n1,2,7\n",
    ],
)
def test_a_bad_click_log_is_refused_by_name(engine: Engine, command: Command, text: str, tmp_path: Path) -> None:
    path = tmp_path / "clicks.csv"
    path.write_text(text, encoding="utf-8")
    outcome = command("demo", "--data", path)
    assert outcome.code == 2
    assert "clicks.csv" in one_sentence(outcome)
    assert engine.configs == []


def test_a_missing_click_log_is_refused_by_name(engine: Engine, command: Command, tmp_path: Path) -> None:
    outcome = command("demo", "--data", tmp_path / "none.csv")
    assert outcome.code == 2
    assert "none.csv" in one_sentence(outcome)


def test_more_clients_than_users_are_refused(command: Command, tmp_path: Path) -> None:
    """No stand-in here: the engine itself refuses before it starts."""
    path = tmp_path / "clicks.csv"
    rows = [f"{user},{item},{(user + item) % 2}" for user in range(20) for item in range(10)]
    path.write_text("\n".join(["user,item,label", *rows]), encoding="utf-8")
    outcome = command("demo", "--data", path, "--clients", "40")
    assert outcome.code == 2
    assert "cohort.clients: 40 clients, but the data has only 20 users" in one_sentence(outcome)


def test_a_missing_matplotlib_is_found_before_the_work_starts(
    engine: Engine, command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    outcome = command("demo", "--report", tmp_path / "run.html")
    assert outcome.code == 2
    assert "pip install '.[report]'" in one_sentence(outcome)
    assert engine.configs == []
    assert command("demo").code == 0


def test_a_risky_configuration_is_warned_of_and_runs(engine: Engine, command: Command) -> None:
    outcome = command("demo", "--dropout", "0.4")
    assert outcome.code == 0
    assert "warning: cohort.dropout: a round fails with probability 0.94" in outcome.err


SMALL = ("--clients", "8", "--rounds", "2", "--kem", "x25519", "--set", "privacy.honest_claimants=2")


def test_the_real_engine_behind_the_command(command: Command, tmp_path: Path) -> None:
    outcome = command("demo", *SMALL, "--dropout", "0", "--json", tmp_path / "run.json")
    assert outcome.code == 0, outcome.err
    assert "2 of 2 rounds exact" in outcome.out
    run = msgspec.json.decode((tmp_path / "run.json").read_bytes(), type=RunSummary)
    assert (run.exact, run.rounds_completed, run.private, run.dropouts["union"]) == (True, 2, False, 0)
    assert run.per_round[0].clients == run.per_round[0].finishers == 8


def test_the_real_engine_with_too_many_losses_is_exit_code_3(command: Command) -> None:
    outcome = command("demo", *SMALL, "--dropout", "0.95")
    assert outcome.code == 3
    assert "No round could finish" in outcome.out
    assert "2 of 2 rounds could not finish" in one_sentence(outcome)
