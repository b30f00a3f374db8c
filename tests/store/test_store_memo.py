import os
import signal
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dp import InMemoryMemo, MemoError, TwoStage, privatize
from securefl.errors import ConfigurationError
from securefl.store import SqliteMemo
from securefl.store.memo import APPLICATION_ID

PERMANENT_ONLY = TwoStage.parse("1/2,1/2,1,0")  # a claim shows the permanent answer itself
BATCHES = st.lists(st.dictionaries(st.integers(0, 2**63 - 1) | st.integers(0, 20), st.integers(0, 1), max_size=6))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "memo.sqlite"


def told(batch):
    return np.array(sorted(batch), np.int64), np.array([batch[i] for i in sorted(batch)], np.int8)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=BATCHES)
def test_it_behaves_as_the_memo_in_memory(tmp_path, batches):
    model, name = InMemoryMemo(), os.urandom(8).hex()
    with SqliteMemo(tmp_path / "memo.sqlite", name) as memo:
        for batch in batches:
            errors = []
            for each in (memo, model):
                try:
                    each.remember(*told(batch))
                except MemoError as error:
                    errors.append(str(error))
            assert len(errors) in (0, 2)
            asked = np.unique([*batch, *range(21), 2**63 - 1]).astype(np.int64)
            assert np.array_equal(memo.recall(asked), model.recall(asked))


def test_d6_permanent_answers_survive_a_restart(path):
    union, claims = np.arange(300), []
    for held in (union[:100], [], union):
        with SqliteMemo(path, "u") as memo:
            claims.append(privatize(PERMANENT_ONLY, union, held, memo))
    assert 0 < claims[0].sum() < 300
    assert np.array_equal(claims[0], claims[1])
    assert np.array_equal(claims[0], claims[2])


KILLED = """
import os, signal, sys
import numpy as np
from securefl.store import SqliteMemo
memo = SqliteMemo(sys.argv[1], "u")
memo.remember(np.arange(100), np.arange(100) % 2)
memo._database.execute("BEGIN IMMEDIATE")
memo._database.executemany(
    "INSERT INTO answer (client, item, bit) VALUES ('u', ?, 1)", [(item,) for item in range(100, 50_000)]
)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_d6_a_kill_keeps_what_was_remembered_and_nothing_of_an_open_transaction(path):
    died = subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False)  # noqa: S603 - our own text
    assert died.returncode == -signal.SIGKILL
    with SqliteMemo(path, "u") as memo:
        assert memo.recall(np.arange(100)).tolist() == [item % 2 for item in range(100)]
        assert (memo.recall(np.arange(100, 50_000)) == -1).all()


def test_d6_a_lost_memo_is_detected(path):
    with SqliteMemo(path, "u") as memo:
        marker = memo.store_id
    with SqliteMemo(path, "u", expected_store=marker) as memo:
        assert memo.store_id == marker
    path.unlink()
    with pytest.raises(ConfigurationError, match=r"missing.*charge every index a second time"):
        SqliteMemo(path, "u", expected_store=marker)
    assert not path.exists()


def test_d6_a_replaced_memo_is_detected(path, tmp_path):
    with SqliteMemo(tmp_path / "other.sqlite", "u") as other:
        marker = other.store_id
    SqliteMemo(path, "u").close()
    with pytest.raises(ConfigurationError, match="not the store used before"):
        SqliteMemo(path, "u", expected_store=marker)


def test_d6_an_emptied_memo_is_detected_and_left_empty(path):
    with SqliteMemo(path, "u") as memo:
        marker = memo.store_id
    path.write_bytes(b"")
    with pytest.raises(ConfigurationError, match="not the store used before"):
        SqliteMemo(path, "u", expected_store=marker)
    assert path.read_bytes() == b""


def test_a_conflicting_batch_is_refused_whole(path):
    with SqliteMemo(path, "u") as memo:
        memo.remember(np.array([5]), np.array([1], np.int8))
        with pytest.raises(MemoError, match="already"):
            memo.remember(np.array([4, 5, 6]), np.array([0, 0, 0], np.int8))
        assert memo.recall(np.array([4, 5, 6])).tolist() == [-1, 1, -1]
        memo.remember(np.array([4, 5]), np.array([0, 1], np.int8))
        assert memo.recall(np.array([4, 5, 6])).tolist() == [0, 1, -1]


def test_clients_in_one_file_know_nothing_of_each_other(path):
    with SqliteMemo(path, "u") as one, SqliteMemo(path, "v") as two:
        one.remember(np.array([7]), np.array([1], np.int8))
        two.remember(np.array([7]), np.array([0], np.int8))
        assert (one.recall(np.array([7]))[0], two.recall(np.array([7]))[0]) == (1, 0)
        assert one.store_id == two.store_id


@pytest.mark.parametrize(
    ("indices", "answers"), [([1, 2], [1]), ([1], [2]), ([2, 1], [0, 0]), ([-1], [0]), ([0.5], [0])], ids=str
)
def test_d7_what_is_no_answer_is_refused(path, indices, answers):
    with SqliteMemo(path, "u") as memo, pytest.raises(MemoError):
        memo.remember(np.array(indices), np.array(answers))


def test_d9_empty_batches_are_fine(path):
    with SqliteMemo(path, "u") as memo:
        memo.remember(np.array([], np.int64), np.array([], np.int8))
        assert memo.recall(np.array([], np.int64)).shape == (0,)


def test_a_large_batch_is_one_question_and_one_transaction(path):
    items, statements = np.arange(0, 200_000, 2), []
    with SqliteMemo(path, "u") as memo:
        memo._database.set_trace_callback(lambda text: statements.append(text.split()[0]))
        memo.remember(items, items % 4 // 2)
        assert (statements.count("BEGIN"), statements.count("COMMIT"), statements.count("SELECT")) == (1, 1, 1)
        assert np.array_equal(memo.recall(items), items % 4 // 2)


def test_only_the_owner_may_read_it(path):
    with SqliteMemo(path, "u") as memo:
        memo.remember(np.array([7]), np.array([1], np.int8))
        files = list(path.parent.glob("memo.sqlite*"))
        assert len(files) == 3  # the database, its write-ahead log and the log's index
        assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_every_commit_reaches_the_disk(path):
    with SqliteMemo(path, "u") as memo:
        assert memo._scalar("PRAGMA journal_mode") == "wal"
        assert memo._scalar("PRAGMA synchronous") == 2  # FULL: also after a power cut


def foreign(path, *statements):
    with closing(sqlite3.connect(path)) as database:
        for statement in statements:
            database.execute(statement)
        database.commit()


@pytest.mark.parametrize(
    ("statements", "reason"),
    [
        (["CREATE TABLE t (x)"], "another program"),
        (["PRAGMA application_id = 7"], "another program"),
        ([f"PRAGMA application_id = {APPLICATION_ID}", "PRAGMA user_version = 2"], "format 2"),
        ([f"PRAGMA application_id = {APPLICATION_ID}", "PRAGMA user_version = 1"], "cannot be used"),
    ],
    ids=["tables", "application", "newer format", "no tables"],
)
def test_a_database_that_is_no_memo_is_refused_and_left_alone(path, statements, reason):
    foreign(path, *statements)
    before = path.read_bytes()
    with pytest.raises(ConfigurationError, match=reason):
        SqliteMemo(path, "u")
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [b"a letter to my bank", b"SQLite format 3\x00" + bytes(200)])
def test_a_file_that_is_no_database_is_refused_and_left_alone(path, content):
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match="memo"):
        SqliteMemo(path, "u")
    assert path.read_bytes() == content


def test_a_place_that_cannot_hold_a_file_is_refused(tmp_path):
    for path in (tmp_path, tmp_path / "absent" / "memo.sqlite"):
        with pytest.raises(ConfigurationError, match="cannot be used as a store"):
            SqliteMemo(path, "u")


def test_a_closed_memo_says_so(path):
    memo = SqliteMemo(path, "u")
    memo.close()
    with pytest.raises(ConfigurationError, match="closed"):
        memo.recall(np.array([1]))


def test_repr_and_errors_tell_no_answer(path):
    with SqliteMemo(path, "u") as memo:
        empty = repr(memo)
        memo.remember(np.array([12345]), np.array([1], np.int8))
        assert repr(memo) == empty
        with pytest.raises(MemoError) as caught:
            memo.remember(np.array([12345]), np.array([0], np.int8))
        assert "12345" not in str(caught.value)
