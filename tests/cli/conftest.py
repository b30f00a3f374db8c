"""The command in this process, and a stand-in for the engine: it returns a finished run without running one."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", ".*removed in Click 9", DeprecationWarning)  # typer 0.20 under click 8.5
    from securefl.cli import run as securefl
from securefl.config import Config
from securefl.federation.progress import Progress
from securefl.federation.records import PHASES, RunSummary

SAMPLE = Path(__file__).parents[1] / "report" / "sample_run.json"


@dataclass
class Engine:
    """What the command asked for, and what it is told."""

    summary: RunSummary
    error: BaseException | None = None
    configs: list[Config] = field(default_factory=list)
    users: list[int] = field(default_factory=list)
    processes: list[int] = field(default_factory=list)
    disclosures: list[object] = field(default_factory=list)

    def run(
        self,
        config: Config,
        log: object,
        progress: Progress,
        *,
        processes: int = 1,
        disclosures: object = None,
        **_rest: object,
    ) -> RunSummary:
        self.disclosures.append(disclosures)
        self.configs.append(config)
        self.processes.append(processes)
        self.users.append(log.users)  # type: ignore[attr-defined]  # a ClickLog
        for record in self.summary.per_round:
            progress.round_started(record.round, self.summary.rounds)
            for name in PHASES:
                progress.phase(name, record.finishers, record.clients)
            progress.round_finished(record)
            if self.error is not None:
                raise self.error
        return self.summary


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Engine:
    from securefl.engine import local

    stand_in = Engine(msgspec.json.decode(SAMPLE.read_bytes(), type=RunSummary))
    monkeypatch.setattr(local, "run", stand_in.run)
    return stand_in


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    def call(*arguments: str | Path) -> Outcome:
        code = securefl([str(argument) for argument in arguments])
        return Outcome(code, *capsys.readouterr())

    return call
