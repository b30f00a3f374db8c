"""Every transition of a session, as data.

Nothing runs on these tables. A test walks client and server through every pair of state and message and compares, and
docs/explanation/states.md is drawn from them.

What a table does not hold is refused: a client that is told it is `Aborted`, a server drops the sender from the step.
A message that belongs to its state but is wrong in itself ends the same way.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from securefl.secagg.client import Aborted, Invited
from securefl.secagg.consistency import ViewSigned
from securefl.secagg.dealing import KeysShared
from securefl.secagg.keys import KeysAdvertised
from securefl.secagg.messages import (
    Abort,
    AdvertiseKeys,
    Consistency,
    ConsistencyCheck,
    Delivery,
    Invitation,
    MaskedInput,
    OpenSum,
    Roster,
    ShareKeys,
    Survivors,
    Unmasking,
)
from securefl.secagg.params import Setting
from securefl.secagg.server import (
    AwaitingAdverts,
    AwaitingConsistency,
    AwaitingInputs,
    AwaitingShares,
    AwaitingUnmasking,
    Resting,
)
from securefl.secagg.uploading import InputMasked, Ready


class At(NamedTuple):
    """A state where the sum it is about decides what may follow."""

    state: type
    sum: str


Place = type | At
"""A state class, alone or with its sum."""


class Transition(NamedTuple):
    """Where a message leads. A server goes there once everybody it awaits has answered or was dropped."""

    place: Place
    message: type
    next: Place


Table = tuple[Transition, ...]


def table(*rows: tuple[Place, type, Place]) -> Table:
    """Rows of (place, message, next place)."""
    return tuple(Transition(*row) for row in rows)


def client_table(*rows: tuple[Place, type, Place]) -> Table:
    """A client's steps, and the `Abort` that a server may send at any of their places."""
    steps = table(*rows)
    return steps + table(*((place, Abort, Aborted) for place in places(steps)))


def places(of: Table) -> tuple[Place, ...]:
    """Every place of a table, once, in the order of its rows."""
    return tuple(dict.fromkeys(place for row in of for place in (row.place, row.next)))


def following(of: Table, place: Place, message: type) -> frozenset[Place]:
    """Where a message that is right may lead; empty if it does not belong to this place."""
    return frozenset(row.next for row in of if (row.place, row.message) == (place, message))


_KEYS: Final = table(
    (Invited, Invitation, KeysAdvertised),
    (KeysAdvertised, Roster, KeysShared),
    (KeysShared, Delivery, InputMasked),
)
_NEXT_SUM: Final = table(
    (InputMasked, OpenSum, InputMasked),
    (Ready, OpenSum, InputMasked),
)

CLIENT: Final[dict[Setting, Table]] = {
    "semi_honest": client_table(
        *_KEYS,
        (InputMasked, Survivors, Ready),
        *_NEXT_SUM,
    ),
    "malicious": client_table(
        *_KEYS,
        (InputMasked, Survivors, ViewSigned),
        (ViewSigned, Consistency, Ready),
        *_NEXT_SUM,
        (ViewSigned, OpenSum, InputMasked),
    ),
}
"""A client of plain sums. `OpenSum` is right for a sum of the session that the client has not entered yet."""

_ROSTER: Final = table(
    (AwaitingAdverts, AdvertiseKeys, AwaitingShares),
    (AwaitingShares, ShareKeys, AwaitingInputs),
)
_OPENED: Final = table(
    (AwaitingUnmasking, Unmasking, AwaitingInputs),
    (AwaitingUnmasking, Unmasking, Resting),
)

SERVER: Final[dict[Setting, Table]] = {
    "semi_honest": table(
        *_ROSTER,
        (AwaitingInputs, MaskedInput, AwaitingUnmasking),
        *_OPENED,
    ),
    "malicious": table(
        *_ROSTER,
        (AwaitingInputs, MaskedInput, AwaitingConsistency),
        (AwaitingConsistency, ConsistencyCheck, AwaitingUnmasking),
        *_OPENED,
    ),
}
"""The server of plain sums, from its start (`Created` leads to `AwaitingAdverts`) to the last sum (`Resting`)."""
