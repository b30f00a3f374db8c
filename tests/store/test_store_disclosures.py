"""The ledger of a run in a file: what was appended comes back, and a foreign or damaged file is refused by name."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from securefl.errors import ConfigurationError
from securefl.store import Disclosure, Rows, SqliteDisclosures, SqliteMemo
from securefl.store.disclosures import _packed, _unpacked

INDICES = st.lists(st.integers(0, 2**40), unique=True, max_size=8).map(lambda own: np.array(sorted(own), np.int64))
NAMES = st.lists(st.text(max_size=5), unique=True, max_size=4)


@st.composite
def rows(draw: st.DrawFn) -> Rows:
    own = draw(INDICES)
    counts = st.lists(st.integers(0, 100), min_size=own.size, max_size=own.size).map(lambda c: np.array(c, np.int64))
    return Rows(own, draw(counts), draw(counts), draw(st.none() | counts))


DISCLOSURES = st.builds(
    Disclosure,
    round=st.integers(1, 1000),
    finished=st.booleans(),
    cohort=NAMES.map(tuple),
    claimed=st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=4),
    union=INDICES,
    survivors=NAMES.map(tuple),
    left_out=st.integers(0, 10**6),
    rows=st.dictionaries(st.text(max_size=5), rows(), max_size=3),
    release=st.text(max_size=9),
)


@given(DISCLOSURES)
def test_a_round_comes_back_as_it_was(told: Disclosure) -> None:
    assert _packed(_unpacked(_packed(told))) == _packed(told)
    back = _unpacked(_packed(told))
    assert (back.round, back.finished, back.cohort, dict(back.claimed)) == (
        told.round, told.finished, told.cohort, dict(told.claimed),
    )  # fmt: skip
    assert back.release == told.release
    assert np.array_equal(back.union, told.union)
    assert all(np.array_equal(back.rows[name].counts, told.rows[name].counts) for name in told.rows)


def test_rounds_of_several_runs_survive_the_process(tmp_path: Path) -> None:
    one = Disclosure(1, True, ("a",), {"a": "m"}, np.array([3, 9]), ("a",))
    for number in (1, 2):
        with SqliteDisclosures(tmp_path / "run.db") as ledger:
            assert ledger.begin({"privacy": {"response": "7/8"}}, private=number == 2) == number
            ledger.append(number, one)
    with SqliteDisclosures(tmp_path / "run.db") as ledger:
        assert [(run.number, run.private) for run in ledger.runs()] == [(1, False), (2, True)]
        assert [told.union.tolist() for told in ledger] == [[3, 9], [3, 9]]


def test_another_store_is_no_ledger(tmp_path: Path) -> None:
    SqliteMemo(tmp_path / "memo.db", "a").close()
    with pytest.raises(ConfigurationError, match=r"ledger .*memo\.db: a database of another program or purpose"):
        SqliteDisclosures(tmp_path / "memo.db")


@pytest.mark.parametrize("body", [b"", b"not zlib", _packed(Disclosure(1, True, (), {}, np.array([1])))])
def test_a_damaged_round_is_refused(tmp_path: Path, body: bytes) -> None:
    with SqliteDisclosures(tmp_path / "run.db") as ledger:
        ledger.append(ledger.begin({}, private=True), Disclosure(1, True, (), {}, np.array([1])))
    with closing(sqlite3.connect(tmp_path / "run.db")) as database:
        database.execute("UPDATE disclosure SET body = ?", (body,))
        database.commit()
    with SqliteDisclosures(tmp_path / "run.db") as ledger, pytest.raises(ConfigurationError, match="a damaged round"):
        list(ledger)
