"""The union of a round: what its size may be, what lengths tell, and who hears of its making. Attacks D3 and D4."""

from __future__ import annotations

import numpy as np
import pytest
from rounds import EVERYTHING, ITEMS, SEVEN_EIGHTHS, make_plan, play, union_plan

from securefl.errors import RemoteProtocolError
from securefl.secagg import Aborted
from securefl.secagg.messages import MaskedInput, Unmasking
from securefl.submodel import UNION, UPDATE, indexset, to_server
from securefl.submodel.messages import Claim, Submodel, UnionAnnounced

SIX = {1: [0, 1, 2], 2: [0, 1], 3: [5, 6, 7], 4: [0, 11], 5: [5], 6: [1, 10]}

KINDS = pytest.mark.parametrize("kind", ["bitmap", "filter"])


@KINDS
def test_d4_one_client_that_sets_every_cell_ends_the_round_before_the_union_is_told(kind: str) -> None:
    plan, heard = make_plan(union=union_plan(kind).to_bytes()), []
    played = play(plan, 3, {**SIX, 6: range(ITEMS)}, max_union=ITEMS - 1, on_tested=lambda *step: heard.append(step))
    assert type(played.outcome) is RemoteProtocolError
    assert f"a union of more than max_union={ITEMS - 1} indices is not opened: a client may have set every cell" in str(
        played.outcome
    )
    assert isinstance(played.server.state, Aborted)
    assert played.server.union is None
    assert heard == []
    assert not played.told(UnionAnnounced)
    assert not played.messages(Claim)


def test_d4_every_cell_set_is_a_union_of_everything_if_the_server_accepts_it() -> None:
    """It costs bytes and fillers, and reveals nothing: who set the cells is not seen."""
    played = play(make_plan(response=SEVEN_EIGHTHS), 3, {**SIX, 6: range(ITEMS)}, max_union=ITEMS)
    assert played.server.union.tolist() == list(range(ITEMS))
    assert played.is_exact(SIX.keys())


@KINDS
def test_the_server_tells_how_far_the_test_of_the_universe_is(kind: str) -> None:
    heard: list[tuple[int, int]] = []
    play(make_plan(union=union_plan(kind).to_bytes()), 3, SIX, on_tested=lambda *step: heard.append(step))
    assert heard == [(ITEMS, ITEMS)]


@KINDS
def test_d3_lengths_of_all_messages_are_those_of_clients_with_other_sets(kind: str) -> None:
    """Where claims are equal, a client that holds nothing sends and gets as many bytes as one that holds everything."""
    held = {**SIX, 4: [], 5: range(ITEMS)}
    played = play(make_plan(union=union_plan(kind).to_bytes(), response=EVERYTHING), 3, held)
    assert played.is_exact(held.keys())
    for name in (UNION, UPDATE):
        assert len({tuple(map(len, m.segments)) for m in played.messages(MaskedInput, name).values()}) == 1
        assert len({len(to_server.encode(m)) for m in played.messages(Unmasking, name).values()}) == 1
    assert len({len(m.positions) for m in played.messages(Claim).values()}) == 1
    told = [
        (len(m.dense), *((len(t.rows), len(t.claimants)) for t in m.tables)) for m in played.told(Submodel).values()
    ]
    assert len(told) == 6
    assert len(set(told)) == 1


def test_d3_an_upload_is_as_long_as_the_claim_and_the_floor_make_it() -> None:
    """Rows that are claimed but not held are zeros under masks; rows held but not claimed are not there."""
    held = {u: [u, 11] for u in range(1, 7)}
    played = play(make_plan(response=SEVEN_EIGHTHS, row_floor=2), 3, held)
    union, above = played.server.union, played.above_the_floor()
    for u, message in played.messages(MaskedInput, UPDATE).items():
        claimed = union[indexset.decode(played.messages(Claim)[u].positions, union.size)]
        assert len(message.segments[1]) == np.isin(claimed, above["items"]).sum() * 3 * played.plan.ring_bits // 8
