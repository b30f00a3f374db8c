"""Store files with damage anywhere: used as they are, or refused in the family of our errors, never a raw one. E3."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dp import Budget, PrivacyError, Release, Sensitivity, Skellam, TwoStage
from securefl.errors import ConfigurationError, SecureFLError
from securefl.store import (
    Checkpoint,
    Disclosure,
    SqliteCheckpoints,
    SqliteDisclosures,
    SqliteEventLog,
    SqliteJournal,
    SqliteLedger,
    SqliteMemo,
    SqliteUpdates,
)

ITEMS, BITS = np.arange(40), (np.arange(40) % 2).astype(np.int8)
BUDGET = Budget(TwoStage.parse("7/8"), set_size=3)
ONE, OTHER = b"1" * 32, b"2" * 32


class Store(NamedTuple):
    """How a store is opened, filled, and then read and written again."""

    open: Callable[[Path], Any]
    fill: Callable[[Any], object]
    use: Callable[[Any], object]


def fill_journal(journal: SqliteJournal) -> None:
    journal.open(ONE)
    journal.answer(ONE, "a")
    journal.suspend(ONE)


def use_journal(journal: SqliteJournal) -> None:
    journal.open(OTHER)
    journal.answer(OTHER, "a")
    journal.resume(ONE, 1)


def use_memo(memo: SqliteMemo) -> None:
    memo.recall(ITEMS)
    memo.remember(ITEMS + 40, BITS)


def charge(ledger: SqliteLedger) -> None:
    ledger.charge_claim(ITEMS, ITEMS > 20)
    ledger.charge_release(Release(Skellam(Fraction(400)), Sensitivity.scalar(3)))


def disclose(rounds: SqliteDisclosures) -> None:
    run = rounds.begin({"clients": 9}, private=True)
    rounds.append(run, Disclosure(0, True, ("a", "b"), {"a": "m"}, ITEMS, ("a",)))


def fill_updates(updates: SqliteUpdates) -> None:
    updates.begin(ONE)
    updates.propose(OTHER, ITEMS)


def use_updates(updates: SqliteUpdates) -> None:
    updates.recall()
    updates.settle(included=True)
    updates.recall()


def fill_checkpoints(run: SqliteCheckpoints) -> None:
    run.begin({"settings": {"cohort": {"clients": 9}}})
    run.save(Checkpoint(1, "model", ONE, {"auc_start": 0.5}, ONE), ["{}"], {3: ONE})


def use_checkpoints(run: SqliteCheckpoints) -> None:
    run.origin(), run.latest(), run.records(), run.phones()
    run.save(Checkpoint(2, "model", ONE, {}, ONE), ["{}"], {3: OTHER, 4: ONE})


STORES = {
    "journal": Store(SqliteJournal, fill_journal, use_journal),
    "memo": Store(lambda path: SqliteMemo(path, "me"), lambda memo: memo.remember(ITEMS, BITS), use_memo),
    "ledger": Store(lambda path: SqliteLedger(path, "me", BUDGET), charge, charge),
    "event log": Store(SqliteEventLog, lambda log: log.append(("drop", ONE, b"")), list),
    "updates": Store(SqliteUpdates, fill_updates, use_updates),
    "checkpoints": Store(SqliteCheckpoints, fill_checkpoints, use_checkpoints),
    "disclosures": Store(SqliteDisclosures, disclose, lambda rounds: (rounds.runs(), list(rounds))),
}


@pytest.fixture(scope="module")
def wholes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """A good file of each kind."""
    folder, made = tmp_path_factory.mktemp("stores"), {}
    for name, store in STORES.items():
        with store.open(folder / name) as opened:
            store.fill(opened)
        made[name] = (folder / name).read_bytes()
    return made


@pytest.mark.parametrize("name", STORES)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(random=st.randoms(use_true_random=False))
def test_e3_a_damaged_store_is_used_as_it_is_or_refused(
    tmp_path: Path, wholes: dict[str, bytes], name: str, random: Any
) -> None:
    """Most of a file is empty pages: the damage is where something stands, and sometimes the end is missing."""
    store, content = STORES[name], bytearray(wholes[name])
    written = [at for at, byte in enumerate(content) if byte]
    for _ in range(random.randint(1, 3)):
        content[random.choice(written)] = random.randrange(256)
    kept = random.choice([len(content)] * 4 + [random.randrange(len(content))])
    for left in tmp_path.iterdir():
        left.unlink()
    (tmp_path / "store").write_bytes(content[:kept])
    try:
        with store.open(tmp_path / "store") as opened:
            store.use(opened)
    except (SecureFLError, PrivacyError) as error:
        assert "\n" not in str(error)  # noqa: PT017 - some damage goes unseen


OTHER_TYPE = {"BLOB": 1.5, "TEXT": b"\0", "INTEGER": b"\0"}


def forbidden(path: Path) -> list[tuple[str, str, object]]:
    """Table, column and a value that the schema has no place for: of the columns that are no keys."""
    with closing(sqlite3.connect(path)) as database:
        tables = [table for (table,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        columns = [(table, *fact) for table in tables for fact in database.execute(f"PRAGMA table_info({table})")]
        filled = {table for table in tables if database.execute(f"SELECT 1 FROM {table}").fetchone()}  # noqa: S608
    values = [(table, name, OTHER_TYPE[kind]) for table, _, name, kind, _, _, key in columns if not key]
    values += [(table, name, None) for table, _, name, _, needed, _, key in columns if needed and not key]
    return [value for value in values if value[0] in filled]


def put(path: Path, table: str, column: str, value: object) -> None:
    """Write it nevertheless, as damage to the head of a row does: the schema is another meanwhile."""
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("PRAGMA writable_schema = ON")
        ((strict,),) = database.execute("SELECT sql FROM sqlite_master WHERE name = ?", (table,))
        loose = strict.replace(" NOT NULL", "").replace(", STRICT", "").replace(" STRICT", "")
        database.execute("UPDATE sqlite_master SET sql = ? WHERE name = ?", (loose, table))
        database.execute("PRAGMA writable_schema = RESET")
        database.execute("PRAGMA ignore_check_constraints = ON")
        database.execute(f"UPDATE {table} SET {column} = ?", (value,))  # noqa: S608
        database.execute("PRAGMA writable_schema = ON")
        database.execute("UPDATE sqlite_master SET sql = ? WHERE name = ?", (strict, table))


@pytest.mark.parametrize("name", STORES)
def test_e3_a_value_of_another_type_is_damage(tmp_path: Path, wholes: dict[str, bytes], name: str) -> None:
    """In every column of every store: what is read from one has its type."""
    (tmp_path / "whole").write_bytes(wholes[name])
    values = forbidden(tmp_path / "whole")
    assert values
    for number, value in enumerate(values):
        path = tmp_path / str(number)
        path.write_bytes(wholes[name])
        put(path, *value)
        with pytest.raises(ConfigurationError, match=f"cannot be used as a store: damaged: .*{value[1]}"):
            STORES[name].open(path)
