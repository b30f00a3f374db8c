"""Small runs that are kept in folders, and what of them must be the same after any number of kills."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec
import numpy as np

from securefl.config import Config, load_preset, override
from securefl.datasets import ClickLog
from securefl.datasets.synthetic import SyntheticPlan, synthetic_click_log
from securefl.engine import kept
from securefl.federation.progress import Progress, Silent
from securefl.federation.records import RunSummary, read_line

PLAN = SyntheticPlan(users=40, items=300, categories=10, clicks=8, exponent=1.0, favourites=3)


def tiny(**settings: object) -> Config:
    """Eight clients of forty, six rounds, a checkpoint every second one."""
    base = {
        "cohort.clients": 8,
        "cohort.rounds": 6,
        "cohort.dropout": 0.1,
        "cohort.seed": 7,
        "cohort.selection": "longest_out",
        "secagg.kem": "x25519",
        "secagg.threshold": 4,
        "privacy.honest_claimants": 2,
        "training.strategy": "FedSubAvg",
        "run.checkpoint_every": 2,
    }
    return override(load_preset("small"), base | settings)


def tiny_log() -> ClickLog:
    return synthetic_click_log(PLAN, seed=3)


def go(
    folder: Path,
    *,
    progress: Progress | None = None,
    plain: bool = False,
    processes: int = 1,
    ledger: Path | None = None,
    log: ClickLog | None = None,
    **settings: object,
) -> RunSummary:
    config = tiny(**settings)
    return kept.train(
        config, log or tiny_log(), folder, progress or Silent(), plain=plain, processes=processes, ledger=ledger
    )


def model(folder: Path) -> bytes:
    """The one model file."""
    (file,) = folder.glob("model-*.safetensors")
    return file.read_bytes()


def metrics(folder: Path) -> list[dict[str, object]]:
    """Every line, without seconds and bytes: pads go to higher ids, and ids are fresh."""
    found = []
    for line in (folder / "metrics.jsonl").read_text().splitlines():
        plain = msgspec.to_builtins(read_line(line))
        found.append({k: v for k, v in plain.items() if k != "seconds" and not k.startswith("bytes_")})
    return found


def phones(folder: Path) -> dict[int, bytes]:
    with closing(sqlite3.connect(folder / "run.db")) as database:
        return dict(database.execute("SELECT user, state FROM phone"))


def answers(folder: Path) -> dict[tuple[str, int], int]:
    """Permanent answers on disk, by client and index."""
    with closing(sqlite3.connect(folder / "memo.db")) as database:
        return {(client, item): bit for client, item, bit in database.execute("SELECT client, item, bit FROM answer")}


def same(one: Path, other: Path) -> None:
    """The same model, metrics and memories, and nothing left over."""
    assert model(one) == model(other)
    assert metrics(one) == metrics(other)
    assert phones(one) == phones(other)
    names = [sorted(p.name for p in folder.iterdir() if not p.name.startswith("run.db-")) for folder in (one, other)]
    assert names[0] == names[1]
    assert [record["round"] for record in metrics(one)] == list(np.arange(1, len(metrics(one)) + 1))
