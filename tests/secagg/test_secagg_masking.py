"""Masks: bit for bit those of the protocol's text, cancelling between equal views only, and never the same twice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import permutations
from typing import Any

import numpy as np
import oracle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sessions import IDENTITIES, A, B, agree, make_client, public, values_of

from securefl.errors import LocalProtocolError
from securefl.secagg import Opening, Params, Participant, Rows, Segment, Server, Sum, cut, signed
from securefl.secagg.masking import Masks, residues, words
from securefl.secagg.recovery import Recovered
from securefl.secagg.setup import HALF, SetUp
from securefl.secagg.spool import InMemorySpool
from securefl.secagg.summing import RunningSum
from securefl.secagg.uploading import Ready, mask_input
from securefl.transcript import Label, digest

LIVE = (1, 2, 3, 4)
DENSE, TABLE, TABLE64 = Segment("dense", 64, 6), Segment("table", 20, 7, True), Segment("table64", 64, 4, True)
MIXED = Sum("mixed", (DENSE, TABLE, TABLE64))
CLAIMS = np.array([[1, 1, 1, 1], [1, 0, 1, 0], [0, 1, 1, 1], [1, 1, 0, 0], [1, 1, 1, 0]], np.bool_)
"""Which of the five rows each of the four clients uploads."""


class Idle(Participant):
    """A client that is done once the keys are shared."""

    def _on_ready(self, _ready: Ready) -> list[Any]:
        return []


class Knowing(Server):
    """A server that could tell who uploads which rows."""

    rows_are_known = True


def set_up(agreed: Params) -> dict[int, Ready]:
    """What every client holds when the keys are shared."""
    registry = [public(u) for u in range(1, agreed.clients + 1)]
    clients = {identity.public: Idle(identity, registry) for identity in IDENTITIES[: agreed.clients]}
    server = Knowing(agreed, registry)
    outgoing = server.start()
    while outgoing:
        following: dict[bytes, Any] = {}
        for name, message in outgoing.items():
            for answer in clients[name].receive(message):
                following |= server.receive(name, answer)
        outgoing = following
    return {u: clients[public(u)].state for u in range(1, agreed.clients + 1)}


def digests(count: int, salt: bytes = b"") -> np.ndarray:
    rows = b"".join(digest(Label.ROW, salt, row) for row in range(count))
    return np.frombuffer(rows, np.uint8).reshape(count, 32)


def opening_of(one: Sum = MIXED, **others: Any) -> Opening:
    rows = {s.name: Rows(digests(5), CLAIMS, LIVE) for s in one.segments if s.by_rows}
    return replace(Opening(one, LIVE, b"binding", rows), **others)


def own(view: Opening, client: int) -> Opening:
    """A view as its client has it: with its own rows only."""
    rows = {
        name: Rows(known.digests[known.of(client)], known.claimants[known.of(client)], known.live)
        for name, known in (view.rows or {}).items()
    }
    return replace(view, rows=rows)


def inputs_of(client: int, opening: Opening) -> list[np.ndarray]:
    """Values that fill the ring, one array for each segment."""
    rng = np.random.default_rng(client)
    shapes = [(len(opening.rows_of(s).of(client)), s.words) if s.by_rows else (s.words,) for s in opening.sum.segments]
    tops = [(1 << s.bits) - 1 for s in opening.sum.segments]
    return [rng.integers(0, top, shape, np.uint64, endpoint=True) for top, shape in zip(tops, shapes, strict=True)]


def clear(opening: Opening) -> dict[str, list[list[int]]]:
    """The sums of `inputs_of` everybody in big integers, by segment and row."""
    out = {}
    for i, s in enumerate(opening.sum.segments):
        totals = [[0] * s.words for _ in range(5 if s.by_rows else 1)]
        for u in LIVE:
            own = inputs_of(u, opening)[i].reshape(-1, s.words).tolist()
            for row, values in zip(opening.rows_of(s).of(u) if s.by_rows else [0], own, strict=True):
                totals[row] = [(a + b) % (1 << s.bits) for a, b in zip(totals[row], values, strict=True)]
        out[s.name] = totals
    return out


def open_all(ready: Mapping[int, Ready], views: Mapping[int, Opening]) -> dict[str, list[list[int]]]:
    """What the server opens if each client masks in its own view; the server's is that of client 1."""
    inputs = {u: mask_input(ready[u], own(views[u], u), inputs_of(u, views[u]))[1] for u in LIVE}
    selves = {u: ready[u].keys.secrets[views[u].sum.name, "b"] for u in LIVE}
    running = RunningSum(views[1], InMemorySpool())
    for u, message in inputs.items():
        running.add(u, message.segments)
    totals = running.unmask(ready[1].keys.setup, Recovered(selves, {}))
    return {s.name: cut(s, totals[s.name]).reshape(-1, s.words).tolist() for s in views[1].sum.segments}


# ---- bit for bit ----


def expected_mask(
    seed: bytes, setup: SetUp, opening: Opening, segment: Segment, rows: np.ndarray
) -> dict[int, list[int]]:
    """The mask of a seed by row (a dense segment is one row)."""
    one = opening.sum.name
    k0, k1 = oracle.keys(seed, setup.session, setup.root, setup.params, one, segment.name, opening.binding)
    if not segment.by_rows:
        return {0: oracle.dense_mask(k1, segment)}
    known = opening.rows_of(segment).digests
    return {int(row): oracle.row_mask(k0, k1, bytes(known[row]), segment) for row in rows}


@pytest.mark.parametrize("client", LIVE)
def test_a_masked_input_is_that_of_the_protocol(client: int) -> None:
    """The whole message of a client: self-mask, every pair's stream with its sign, packing, and pads."""
    ready, opening = set_up(agree(4, 3, MIXED))[client], opening_of()
    _, message = mask_input(ready, own(opening, client), inputs_of(client, opening))
    setup, m = ready.keys.setup, ready.keys.secrets["mixed", "m"]
    own_half = {v: oracle.half(m, setup.root, "mixed", v) for v in LIVE if v != client}
    seeds = {v: own_half[v] if client < v else ready.dealt[v].values["mixed", HALF] for v in own_half}
    for s, values, sent in zip(opening.sum.segments, inputs_of(client, opening), message.segments, strict=True):
        rows = opening.rows_of(s).of(client) if s.by_rows else np.zeros(1, int)
        total = dict(zip(rows.tolist(), values.reshape(-1, s.words).tolist(), strict=True))
        masks = [(1, expected_mask(ready.keys.secrets["mixed", "b"], setup, opening, s, rows))]
        for v, seed in seeds.items():
            shared = opening.rows_of(s).shared(client, v) if s.by_rows else rows
            masks.append((1 if client < v else -1, expected_mask(seed, setup, opening, s, shared)))
        for sign, mask in masks:
            for row, stream in mask.items():
                total[row] = [a + sign * b for a, b in zip(total[row], stream, strict=True)]
        assert sent == oracle.pack([value for row in rows for value in total[row]], s.bits)
    dealt = {v: ready.dealt[v].values["mixed", HALF] for v in seeds}
    assert message.pads == {v: oracle.pad(seed, dealt[v]) for v, seed in seeds.items() if v > client}
    assert message.refused == []


SETUP = SetUp(bytes(range(32)), agree(4, 3, MIXED), bytes(range(32, 64)), 4)
seeds = st.binary(min_size=32, max_size=32)


@settings(max_examples=40)
@given(seed=seeds, bits=st.integers(2, 64), count=st.integers(1, 70), by_rows=st.booleans(), binding=st.binary())
def test_b2_streams_are_those_of_the_protocol(
    seed: bytes, bits: int, count: int, by_rows: bool, binding: bytes
) -> None:
    segment = Segment("s", bits, count, by_rows)
    opening = opening_of(Sum("one", (segment,)), binding=binding)
    total = words(segment, 5)
    Masks(SETUP, opening).apply([total], {2: seed}, {})
    rows = opening.rows_of(segment).of(2) if by_rows else np.zeros(1, int)
    mask = expected_mask(seed, SETUP, opening, segment, rows)
    found = cut(segment, total).reshape(-1, count).tolist()
    assert found == [mask.get(row, [0] * count) for row in range(len(found))]


def test_b2_masks_are_spread_over_the_whole_ring() -> None:
    """4,096 words of 4 bits: each value 256 times, within 7.7 standard deviations, the top value included."""
    segment = Segment("s", 4, 4096)
    total = words(segment)
    Masks(SETUP, Opening(Sum("one", (segment,)), LIVE)).apply([total], {1: bytes(32)}, {})
    counts = np.bincount(cut(segment, total).astype(int), minlength=16)
    assert counts.size == 16
    assert (abs(counts - 256) < 120).all()


@given(seed=seeds, pair=st.sampled_from(list(permutations(LIVE, 2))))
def test_the_two_masks_of_a_pair_cancel(seed: bytes, pair: tuple[int, int]) -> None:
    opening = opening_of()
    totals = [words(s, 5) for s in MIXED.segments]
    masks = Masks(SETUP, opening)
    masks.apply(totals, {}, {pair: seed})
    assert all(total.any() for total in totals)
    masks.apply(totals, {}, {pair[::-1]: seed})
    assert not any(total.any() for total in totals)


@given(seed=seeds)
def test_what_was_applied_can_be_removed(seed: bytes) -> None:
    totals = [words(s, 5) for s in MIXED.segments]
    masks = Masks(SETUP, opening_of())
    masks.apply(totals, {3: seed}, {(3, 2): seed, (2, 4): seed})
    masks.apply(totals, {}, {(2, 4): seed}, remove=True)
    masks.apply(totals, {3: seed}, {(3, 2): seed}, remove=True)
    assert not any(total.any() for total in totals)


def test_only_the_rows_of_a_pair_are_touched() -> None:
    totals = [words(s, 5) for s in MIXED.segments]
    Masks(SETUP, opening_of()).apply(totals, {}, {(2, 3): bytes(32)})
    for total in totals[1:]:
        assert total.any(axis=1).tolist() == (CLAIMS[:, 1] & CLAIMS[:, 2]).tolist()


# ---- B3: no block twice ----


def blocks(setup: SetUp, opening: Opening, seed: bytes) -> list[bytes]:
    """Every AES block of a seed's streams: segments of 64-bit words in pairs show them whole."""
    totals = [words(s, 5) for s in opening.sum.segments]
    Masks(setup, opening).apply(totals, {3: seed}, {})
    stream = b"".join(total[total.any(axis=-1)].tobytes() if total.ndim == 2 else total.tobytes() for total in totals)
    return [stream[at : at + 16] for at in range(0, len(stream), 16)]


def test_b3_no_block_is_shared() -> None:
    """By two sessions, rosters, plans, sums, segments, views, rows or seeds, whatever else is equal."""
    dense, rows = [Segment(name, 64, 8) for name in "xy"], [Segment(name, 64, 8, True) for name in "zw"]
    wide = (*dense, *rows)
    setups = [
        SETUP,
        replace(SETUP, session=bytes(32)),
        replace(SETUP, root=bytes(32)),
        replace(SETUP, params=agree(4, 3, MIXED, plan=b"another plan")),
    ]
    views = [opening_of(Sum(name, wide), binding=binding) for name in ("a", "b") for binding in (b"", b"union")]
    found = [
        block for s in setups for view in views for seed in (bytes(32), b"\1" * 32) for block in blocks(s, view, seed)
    ]
    assert len(found) == 4 * 4 * 2 * (2 * 4 + 2 * 4 * 4)
    assert len(set(found)) == len(found)


def test_b3_no_seed_is_shared_by_sums_pairs_or_directions() -> None:
    ready = set_up(agree(4, 3, A, B))
    halves = [r.keys.halves[one, v] for r in ready.values() for one in "ab" for v in LIVE if v != r.keys.id]
    secrets = [secret for r in ready.values() for secret in r.keys.secrets.values()]
    assert len(halves) == 2 * 4 * 3
    assert len(secrets) == 2 * 2 * 4
    assert len({*halves, *secrets}) == len(halves) + len(secrets)


def test_b8_the_same_input_looks_new_in_every_sum() -> None:
    """Alone in its rows, with nobody to share a mask with, a client still wears its own."""
    lonely = np.array([[0, 0, 1, 0]] * 5, np.bool_)
    table = Segment("table", 64, 4, True)
    ready = set_up(agree(4, 3, Sum("a", (table,)), Sum("b", (table,))))[3]
    sent = []
    for one in ready.keys.setup.params.sums:
        opening = Opening(one, LIVE, b"", {"table": Rows(digests(5), lonely, LIVE)})  # five rows of its own
        _, message = mask_input(ready, opening, [np.zeros((5, 4), np.int64)])
        sent += [message.segments[0][at : at + 16] for at in range(0, 160, 16)]
    assert len(set(sent)) == 20


# ---- A14: different views do not cancel ----


def changed_digest(row: int) -> Rows:
    known = digests(5).copy()
    known[row, 31] ^= 1
    return Rows(known, CLAIMS, LIVE)


def wrong(opened: dict[str, list[list[int]]], truth: dict[str, list[list[int]]]) -> set[tuple[str, int]]:
    """(segment, row) that differ."""
    return {(s, row) for s in truth for row in range(len(truth[s])) if opened[s][row] != truth[s][row]}


EVERYWHERE = {("dense", 0)} | {(table, row) for table in ("table", "table64") for row in (0, 1, 2, 4)}
"""Where client 3 has something in the sum: not in row 3."""


@pytest.mark.parametrize(
    ("view", "where"),
    [
        (opening_of(), set()),
        (opening_of(binding=b"other dense bytes"), EVERYWHERE),
        (opening_of(rows={"table": changed_digest(1), "table64": Rows(digests(5), CLAIMS, LIVE)}), {("table", 1)}),
        (opening_of(rows={"table": Rows(digests(5), CLAIMS, LIVE), "table64": changed_digest(4)}), {("table64", 4)}),
        (opening_of(rows={"table": changed_digest(3), "table64": changed_digest(3)}), set()),
    ],
    ids=["equal", "other dense bytes", "other row", "other row of another table", "a row it does not claim"],
)
def test_a14_who_was_shown_something_else_spoils_the_sum(view: Opening, where: set[tuple[str, int]]) -> None:
    views = dict.fromkeys(LIVE, opening_of()) | {3: view}
    assert wrong(open_all(set_up(agree(4, 3, MIXED)), views), clear(opening_of())) == where


@pytest.mark.parametrize(
    "other", [{"params": agree(4, 3, MIXED, plan=b"another rate")}, {"root": bytes(32)}, {"session": bytes(32)}]
)
def test_a14_who_was_told_another_plan_spoils_the_sum(other: dict[str, Any]) -> None:
    """Beyond the signatures, which end such a session at once."""
    ready = set_up(agree(4, 3, MIXED))
    keys = ready[3].keys
    ready[3] = replace(ready[3], keys=replace(keys, setup=replace(keys.setup, **other)))
    assert wrong(open_all(ready, dict.fromkeys(LIVE, opening_of())), clear(opening_of())) == EVERYWHERE


# ---- values and residues ----


@given(st.integers(2, 64), st.data())
def test_signed_values_come_back_from_their_residues(bits: int, data: st.DataObject) -> None:
    half = 1 << (bits - 1)
    values = data.draw(st.lists(st.integers(-half, half - 1), min_size=1, max_size=9))
    segment = Segment("s", bits, len(values))
    found = residues(segment, np.array(values, np.int64))
    assert found.dtype == (np.uint32 if bits <= 32 else np.uint64)
    assert signed(segment, found).tolist() == values
    assert cut(segment, found).tolist() == [value % (1 << bits) for value in values]


@given(st.integers(2, 64), st.data())
def test_unsigned_values_come_back_from_their_residues(bits: int, data: st.DataObject) -> None:
    values = data.draw(st.lists(st.integers(0, (1 << bits) - 1), min_size=1, max_size=9))
    segment = Segment("s", bits, len(values))
    assert cut(segment, residues(segment, np.array(values, np.uint64))).tolist() == values


@pytest.mark.parametrize("bits", [2, 8, 31, 32, 33, 63])
def test_c1_values_outside_the_ring_are_refused(bits: int) -> None:
    segment = Segment("s", bits, 1)
    for inside in (-(1 << (bits - 1)), (1 << bits) - 1):
        residues(segment, np.array([inside]))
    for outside in (-(1 << (bits - 1)) - 1, 1 << bits):
        with pytest.raises(LocalProtocolError, match=f"outside its ring of {bits} bits"):
            residues(segment, np.array([outside]))


@pytest.mark.parametrize(
    "values",
    [np.zeros(3), np.zeros(2, int), np.zeros((3, 1), int), np.array(0), np.zeros(3, bool), np.array(["a"] * 3)],
    ids=["floats", "too short", "2-D", "0-d", "bools", "text"],
)
def test_c2_what_is_no_vector_of_integers_is_refused(values: np.ndarray) -> None:
    with pytest.raises(LocalProtocolError, match=r"takes integers of shape \(3,\)"):
        residues(Segment("s", 8, 3), values)


@pytest.mark.parametrize(
    "values", [np.array([3, 5, 8], ">i8"), np.array([3, 0, 5, 0, 8])[::2], np.array([3, 5, 8], np.int8), [3, 5, 8]]
)
def test_c2_integers_of_every_form_give_the_same_residues(values: np.ndarray) -> None:
    assert residues(Segment("s", 8, 3), values).tolist() == [3, 5, 8]


@pytest.mark.parametrize("values", [np.arange(-3, 3).reshape(3, 2).T, np.arange(-3, 3, dtype=">i4").reshape(2, 3)])
def test_c2_residues_lie_row_by_row(values: np.ndarray) -> None:
    found = residues(Segment("s", 8, 3, True), values, 2)
    assert found.flags.carray
    assert signed(Segment("s", 8, 3, True), found).tolist() == values.tolist()


def test_a_wrong_number_of_inputs_is_refused() -> None:
    ready = set_up(agree(4, 3, B))[1]
    for values in ([], [values_of(1, B.segments[0])], [values_of(1, s) for s in B.segments] * 2):
        with pytest.raises(LocalProtocolError, match="2 segments take as many inputs"):
            mask_input(ready, Opening(B, LIVE), values)


def test_a_sum_by_rows_opens_only_with_its_rows() -> None:
    ready = set_up(agree(4, 3, MIXED))[1]
    with pytest.raises(LocalProtocolError, match="'table' is by rows: say which rows"):
        mask_input(ready, Opening(MIXED, LIVE), [np.zeros(6, int), np.zeros((5, 7), int), np.zeros((5, 4), int)])


def test_no_sum_is_entered_before_the_keys_are_shared() -> None:
    client = make_client(1, agree(4, 3, A))
    with pytest.raises(LocalProtocolError, match="before the keys are shared"):
        client._enter(Opening(A, LIVE), [])
