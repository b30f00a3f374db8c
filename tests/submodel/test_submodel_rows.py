"""Rows: their bytes, who claims them, and the hash that binds a mask to them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rounds import CATEGORY_OF, agree, make_plan

from securefl.errors import MessageError
from securefl.submodel import UPDATE
from securefl.submodel.rows import (
    ClaimedRows,
    followed,
    pack_claimants,
    row_digests,
    to_wire,
    unpack_claimants,
    update_opening,
)
from securefl.transcript import Label, digest

SESSION = bytes(range(32))
UPDATE_SUM = agree(make_plan(), 5, 3).sum(UPDATE)


def bools(rows: int, live: int, bits: int) -> np.ndarray:
    return np.array([bits >> i & 1 for i in range(rows * live)], np.bool_).reshape(rows, live)


@given(st.integers(0, 9), st.integers(1, 9), st.data())
def test_claimants_come_back(rows: int, live: int, data: st.DataObject) -> None:
    claimants = bools(rows, live, data.draw(st.integers(0, (1 << rows * live) - 1)))
    packed = pack_claimants(claimants)
    assert int.from_bytes(packed, "little") == sum(int(bit) << i for i, bit in enumerate(claimants.reshape(-1)))
    found = unpack_claimants(packed, rows, live)
    assert found.dtype == np.bool_
    assert (found == claimants).all()


@pytest.mark.parametrize(
    ("data", "rows", "live"),
    [(b"", 1, 3), (b"\0\0", 1, 3), (b"\x08", 1, 3), (b"\xff\x02", 3, 3), (b"\0", 0, 3), (b"\0", 3, 3)],
    ids=["empty", "too long", "a bit too many", "a bit too many in two bytes", "of no rows", "too short"],
)
def test_e3_other_claimants_are_refused(data: bytes, rows: int, live: int) -> None:
    with pytest.raises(MessageError, match="claimants of the wrong length"):
        unpack_claimants(data, rows, live)


def some_rows(count: int, *, alike: bool = False) -> ClaimedRows:
    values = np.ones((count, 3)) if alike else np.arange(3.0 * count).reshape(count, 3)
    return ClaimedRows(np.arange(count, dtype=np.int64) * 7, to_wire(values), np.ones((count, 4), np.bool_))


def test_a_row_is_hashed_with_session_sum_table_index_and_bytes() -> None:
    rows = some_rows(5)
    found = row_digests(SESSION, "items", rows)
    for i, index in enumerate(rows.indices.tolist()):
        own = rows.data[i].tobytes()
        assert found[i].tobytes() == digest(Label.ROW, SESSION, UPDATE, "items", index, own)


def test_b3_no_two_rows_have_one_hash() -> None:
    """Whatever a server chooses for their bytes: by index, table and session they differ."""
    hashes = [
        row.tobytes()
        for session in (SESSION, bytes(32))
        for table in ("items", "categories")
        for row in row_digests(session, table, some_rows(9, alike=True))
    ]
    assert len(set(hashes)) == len(hashes) == 36


def test_no_rows_have_no_hashes() -> None:
    assert row_digests(SESSION, "items", some_rows(0)).shape == (0, 32)


@given(st.lists(st.floats(width=32, allow_nan=False), min_size=1, max_size=9))
def test_numbers_travel_in_16_bits_and_never_as_infinity(values: list[float]) -> None:
    sent = to_wire(np.array([values], np.float32))
    assert sent.shape == (1, 2 * len(values))
    top = float(np.finfo(np.float16).max)
    expected = np.clip(np.array(values, np.float32), -top, top).astype("<f2")
    rows = ClaimedRows(np.zeros(1, np.int64), sent, np.ones((1, 1), np.bool_))
    assert rows.values().dtype == np.float32
    assert (rows.values()[0] == expected.astype(np.float32)).all()
    assert np.isfinite(rows.values()).all()


@given(st.sets(st.integers(0, 11)).map(sorted))
def test_what_follows_is_the_set_of_images(claimed: list[int]) -> None:
    found = followed(np.array(claimed, np.int64), CATEGORY_OF)
    assert found.tolist() == sorted({int(CATEGORY_OF[item]) for item in claimed})


@pytest.mark.parametrize("floor", range(1, 6))
def test_d1_rows_with_fewer_claimants_than_the_floor_are_not_opened(floor: int) -> None:
    """Four live clients; row j of five has j claimants."""
    claimants = np.arange(4) < np.arange(5)[:, None]
    table = ClaimedRows(np.arange(5, dtype=np.int64), some_rows(5).data[:, :4], claimants)
    opening = update_opening(SESSION, floor, UPDATE_SUM, (1, 2, 3, 4), b"union", b"dense", {"items": table})
    assert opening.rows is not None
    kept = opening.rows["items"]
    assert kept.claimants.sum(axis=1).tolist() == [count for count in range(5) if count >= floor]
    assert kept.digests.tobytes() == row_digests(SESSION, "items", table)[floor:].tobytes()


def test_a14_an_opening_is_bound_to_the_union_and_to_the_dense_bytes() -> None:
    views = [(b"union", b"dense"), (b"uniond", b"ense"), (b"dense", b"union"), (b"union", b""), (b"", b"dense")]
    bindings = {update_opening(SESSION, 1, UPDATE_SUM, (1,), *view, {}).binding for view in views}
    assert len(bindings) == len(views)
    assert digest(Label.BINDING, digest(Label.UNION, b"union"), digest(Label.DENSE, b"dense")) in bindings
