"""What a client refuses of a union and a submodel, and what a different view does to the sums. Attacks A14 and D8."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pytest
from rounds import (
    DENSE,
    FIVE,
    ITEMS,
    OTHERS,
    PLAN,
    VICTIM,
    Change,
    Round,
    downloaded,
    indices,
    make_client,
    play,
    stopped_at,
    told,
)

from securefl.errors import (
    FaultyServerError,
    LocalProtocolError,
    MessageError,
    ProtocolError,
    TooFewSurvivorsError,
    UnexpectedMessageError,
)
from securefl.secagg import Aborted
from securefl.secagg.messages import Survivors
from securefl.submodel import UPDATE, SubmodelClient, SubmodelLimits, indexset
from securefl.submodel.messages import Claim, Submodel, TableSlice, UnionAnnounced
from securefl.submodel.rows import pack_claimants


def announce(encoded: bytes) -> Change:
    return told(VICTIM, UnionAnnounced, lambda _: UnionAnnounced(encoded))


UNIONS: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "not an index set of this universe"),
    "too long": (b"\0" + bytes(3), "not an index set of this universe"),
    "d4 an index beyond the universe": (b"\0\0\xf0", "a bitmap of the wrong length"),
    "a longer form": (b"\0\1\0", "not in canonical form"),
}


@pytest.mark.parametrize(("encoded", "sentence"), UNIONS.values(), ids=list(UNIONS))
def test_e3_a_malformed_union_is_not_answered(encoded: bytes, sentence: str) -> None:
    played = play(PLAN, 3, FIVE, down=announce(encoded))
    assert played.refused(VICTIM, MessageError, sentence, after=4)
    assert played.is_exact(OTHERS)


def test_d4_a_union_beyond_the_clients_limit_is_not_answered() -> None:
    client = make_client(VICTIM, FIVE[VICTIM], 5, submodel_limits=SubmodelLimits(max_union=5))
    played = play(PLAN, 3, FIVE, clients={VICTIM: client})
    assert played.refused(VICTIM, FaultyServerError, "a union of 6 indices is refused; at most 5", after=4)
    assert played.is_exact(OTHERS)


UNION = indices({0, 1, 2, 6, 7, 11})
EVERYWHERE = {"dense", "items 0", "items 6", "items 7", "categories 0", "categories 1", "categories 2"}
"""All that the victim has something in."""


def wrong(played: Round) -> set[str]:
    """What is not the clear sum of all: "dense", or a table with the row."""
    clear, opened = played.clear(FIVE), played.opened()
    tables = {
        f"{name} {row}"
        for name in played.server.sums.tables
        for row in clear[name]
        if clear[name][row] != opened[name][row]
    }
    return tables | ({"dense"} if clear["dense"] != opened["dense"] else set())


def test_d8_a_client_that_was_told_another_union_spoils_the_sum() -> None:
    """One index more, which nobody claims: the bytes of the union are bound into every mask."""
    longer = indices({*UNION.tolist(), 5})

    def as_the_server_reads_it(client: int, message: Any) -> Any:
        if client != VICTIM or not isinstance(message, Claim):
            return message
        rows = longer[indexset.decode(message.positions, longer.size)]
        return Claim(indexset.encode(np.flatnonzero(np.isin(UNION, rows)).astype(np.int64), UNION.size))

    played = play(PLAN, 3, FIVE, down=announce(indexset.encode(longer, ITEMS)), up=as_the_server_reads_it)
    assert not played.errors
    assert wrong(played) == EVERYWHERE


def finished() -> SubmodelClient:
    client = make_client(VICTIM, FIVE[VICTIM], 5)
    assert play(PLAN, 3, FIVE, clients={VICTIM: client}).is_exact(FIVE.keys())
    return client


@pytest.mark.parametrize(
    "reach",
    [
        lambda: stopped_at(Submodel)[0],
        downloaded,
        lambda: stopped_at(Survivors, UPDATE)[0],
        finished,
    ],
    ids=["claimed", "downloaded", "uploaded", "unmasked"],
)
def test_d8_a_second_union_is_refused_in_every_state(reach: Callable[[], SubmodelClient]) -> None:
    """A second claim would be a second draw, and a second upload would open by difference."""
    client = reach()
    with pytest.raises(UnexpectedMessageError):
        client.receive(UnionAnnounced(indexset.encode(UNION, ITEMS)))
    assert isinstance(client.state, Aborted)


def test_d8_a_round_is_not_run_again_after_the_upload() -> None:
    client, survivors = stopped_at(Survivors, UPDATE)
    with pytest.raises(UnexpectedMessageError):
        client.receive(Submodel([1, 2, 3, 4, 5], bytes(2 * DENSE), []))
    with pytest.raises(LocalProtocolError, match="this session is over"):
        client.receive(survivors)


def shown(change: Callable[[Submodel], dict[str, Any]]) -> Change:
    return told(VICTIM, Submodel, lambda m: msgspec.structs.replace(m, **change(m)))


def items(**change: Callable[[TableSlice], Any]) -> Callable[[Submodel], dict[str, Any]]:
    """The slice of the first table with some fields changed."""
    return lambda m: {
        "tables": [msgspec.structs.replace(m.tables[0], **{k: f(m.tables[0]) for k, f in change.items()}), m.tables[1]]
    }


def claimed_by(live: int, *columns: int) -> Callable[[TableSlice], bytes]:
    """The victim's three items, all claimed by the clients of these columns."""
    claimants = np.zeros((3, live), np.bool_)
    claimants[:, list(columns)] = True
    return lambda _: pack_claimants(claimants)


def with_live(*live: int) -> Callable[[Submodel], dict[str, Any]]:
    """Another list of live clients, with claimants that fit it."""
    packed = pack_claimants(np.ones((3, len(live)), np.bool_))
    return lambda m: {"live": list(live), "tables": [TableSlice(part.rows, packed) for part in m.tables]}


SHAPES = "the submodel does not have the plan's shapes"
NO_LIVE = "the live clients are not ascending ids that include this client's"
SUBMODELS: dict[str, tuple[Callable[[Submodel], dict[str, Any]], type[ProtocolError], str]] = {
    "dense layers too short": (lambda m: {"dense": m.dense[:-2]}, FaultyServerError, SHAPES),
    "dense layers too long": (lambda m: {"dense": m.dense + b"\0"}, FaultyServerError, SHAPES),
    "a table too few": (lambda m: {"tables": m.tables[:1]}, FaultyServerError, SHAPES),
    "a table too many": (lambda m: {"tables": m.tables * 2}, FaultyServerError, SHAPES),
    "a row too few": (items(rows=lambda t: t.rows[:-4]), FaultyServerError, "not as many as were claimed"),
    "a row too many": (items(rows=lambda t: t.rows + bytes(4)), FaultyServerError, "not as many as were claimed"),
    "half a row": (items(rows=lambda t: t.rows[:-2]), FaultyServerError, "not as many as were claimed"),
    "claimants too few": (items(claimants=lambda t: t.claimants[:-1]), FaultyServerError, "claimants of the wrong len"),
    "claimants too many": (items(claimants=lambda t: t.claimants + b"\0"), FaultyServerError, "claimants of the wrong"),
    "a bit too many": (items(claimants=lambda _: b"\xff\xff"), FaultyServerError, "claimants of the wrong length"),
    "itself no claimant": (items(claimants=claimed_by(5, 0, 1)), FaultyServerError, "without this client among its"),
    "no claimant": (items(claimants=claimed_by(5)), FaultyServerError, "without this client among its claimants"),
    "itself not live": (with_live(1, 2, 4, 5), FaultyServerError, NO_LIVE),
    "nobody live": (with_live(), FaultyServerError, NO_LIVE),
    "a client live twice": (with_live(1, 2, 3, 3, 4), FaultyServerError, NO_LIVE),
    "ids out of order": (with_live(2, 1, 3, 4, 5), FaultyServerError, NO_LIVE),
    "a5 an unknown client live": (with_live(1, 2, 3, 4, 6), FaultyServerError, "distinct neighbours that dealt to it"),
    "a6 too few live": (with_live(1, 2, 3), TooFewSurvivorsError, "2 live neighbours left, 3 needed"),
}


@pytest.mark.parametrize(("lie", "error", "sentence"), SUBMODELS.values(), ids=list(SUBMODELS))
def test_a_submodel_of_another_shape_is_not_trained_on(
    lie: Callable[[Submodel], dict[str, Any]], error: type[ProtocolError], sentence: str
) -> None:
    played = play(PLAN, 3, FIVE, down=shown(lie))
    assert played.refused(VICTIM, error, sentence, after=5)
    assert played.is_exact(OTHERS)


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes((data[at] ^ 1,)) + data[at + 1 :]


@pytest.mark.parametrize(
    ("lie", "where"),
    [
        (lambda m: {"dense": flipped(m.dense, 0)}, EVERYWHERE),
        (items(rows=lambda t: flipped(t.rows, 1)), {"items 0"}),
        (items(rows=lambda t: flipped(t.rows, 11)), {"items 7"}),
        (items(claimants=claimed_by(5, 0, 2)), {"items 0", "items 6", "items 7"}),
        (lambda _: {}, set()),
    ],
    ids=["other dense layers", "a row of all", "a row of its own", "other claimants", "nothing"],
)
def test_a14_who_was_shown_something_else_spoils_the_sum_there(
    lie: Callable[[Submodel], dict[str, Any]], where: set[str]
) -> None:
    played = play(PLAN, 3, FIVE, down=shown(lie))
    assert not played.errors
    assert wrong(played) == where
