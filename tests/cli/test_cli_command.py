"""The command itself: help that teaches, version, usage errors, a fast start, progress."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec
import pytest
from rich.console import Console

import securefl
from securefl.cli.console import TerminalProgress
from securefl.config import override, preset_names
from securefl.config.schema import Config

if TYPE_CHECKING:
    from conftest import Engine, Outcome

    Command = Callable[..., Outcome]


def test_version(command: Command) -> None:
    assert command("--version").out == f"securefl {securefl.__version__}\n"


@pytest.mark.parametrize("arguments", [("--help",), ("demo", "--help"), ("demo", "-h")])
def test_help_lists_the_exit_codes(command: Command, arguments: tuple[str, ...]) -> None:
    outcome = command(*arguments)
    assert outcome.code == 0
    for part in (
        "0 done",
        "1 an unexpected crash",
        "2 bad input",
        "3 the protocol could not finish",
        "130 interrupted",
    ):
        assert part in " ".join(outcome.out.split())


def test_help_of_the_demo_shows_examples_presets_and_the_defaults_that_hold(command: Command) -> None:
    text = " ".join(command("demo", "--help").out.replace("│", " ").split())
    assert "securefl demo --clients 40" in text
    assert all(name in text for name in preset_names())
    small = override(Config(), {"cohort.seed": 0})
    for part in (
        f"Clients in a round. preset: {small.cohort.clients}",
        f"Rounds. preset: {small.cohort.rounds}",
        f"preset: {small.cohort.dropout}",
        f"preset: {small.privacy.response}",
    ):
        assert part in text


def test_no_command_is_a_usage_error_that_shows_the_help(command: Command) -> None:
    outcome = command()
    assert outcome.code == 2
    assert "demo" in outcome.out + outcome.err


@pytest.mark.parametrize(
    "arguments", [("demo", "--nothing"), ("nothing",), ("demo", "--clients", "many"), ("demo", "extra")]
)
def test_a_usage_error_is_exit_code_2(engine: Engine, command: Command, arguments: tuple[str, ...]) -> None:
    outcome = command(*arguments)
    assert outcome.code == 2
    assert outcome.out == ""
    assert "Traceback" not in outcome.err
    assert engine.configs == []


def test_the_command_starts_without_the_heavy_libraries() -> None:
    heavy = "{'numpy', 'matplotlib', 'jinja2', 'cryptography', 'msgspec', 'dp', 'rich.progress'}"
    code = f"import sys, securefl.cli; print(sorted({heavy} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)  # noqa: S603
    assert found.stdout == "[]\n"


def test_progress_moves_over_rounds_and_phases_although_clients_get_lost(engine: Engine) -> None:
    console = Console(file=io.StringIO(), force_terminal=True, highlight=False, width=100)
    with TerminalProgress(console) as progress:
        engine.run(Config(), type("Log", (), {"users": 0}), progress)
        whole, phase = progress._bars.tasks
        assert whole.description == "round 5 of 5"
        assert 29.8 < whole.completed < 30
        assert (phase.description, phase.completed, phase.total) == ("update", 91, 100)
    text = console.file.getvalue()  # type: ignore[attr-defined]  # a StringIO, as made above
    assert "round 1 of 5: exact, 91 of 100 clients, AUC 0.5312" in text


def test_progress_shows_how_far_the_server_is_with_the_universe() -> None:
    with TerminalProgress(Console(file=io.StringIO(), force_terminal=True)) as progress:
        progress.round_started(1, 2)
        progress.phase("union", 9, 10)
        progress.decoding(250, 1000)
        whole, phase = progress._bars.tasks
        assert (phase.description, phase.completed, phase.total) == ("testing the universe", 250, 1000)
        assert whole.completed == pytest.approx(2.9)


def test_progress_shows_a_failed_round_as_text(engine: Engine) -> None:
    console = Console(file=io.StringIO())
    record = msgspec.structs.replace(engine.summary.per_round[0], completed=False, abort="[red]few[/]")
    TerminalProgress(console).round_finished(record)
    text = console.file.getvalue()  # type: ignore[attr-defined]  # a StringIO, as made above
    assert "not finished, [red]few[/]" in text
