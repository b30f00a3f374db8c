"""Every transition of a submodel round, as data. See `securefl.secagg.states`.

A round's states of masking and unmasking occur twice, and what may follow differs: a union may be announced to whoever
entered the sum `union`, never to one that entered `update`.
"""

from __future__ import annotations

from typing import Final

from securefl.secagg.client import Invited
from securefl.secagg.consistency import ViewSigned
from securefl.secagg.dealing import KeysShared
from securefl.secagg.keys import KeysAdvertised
from securefl.secagg.messages import (
    AdvertiseKeys,
    Consistency,
    ConsistencyCheck,
    Delivery,
    MaskedInput,
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
from securefl.secagg.states import At, Place, Table, client_table, table
from securefl.secagg.uploading import InputMasked, Ready
from securefl.submodel.client import Claimed, Downloaded
from securefl.submodel.messages import Claim, RoundInvitation, Submodel, UnionAnnounced
from securefl.submodel.plan import UNION, UPDATE
from securefl.submodel.server import AwaitingClaims
from securefl.submodel.update import QuantizedUpdate

_KEYS: Final = table(
    (Invited, RoundInvitation, KeysAdvertised),
    (KeysAdvertised, Roster, KeysShared),
    (KeysShared, Delivery, At(InputMasked, UNION)),
)
_CLAIM: Final = table(
    (At(InputMasked, UNION), UnionAnnounced, Claimed),
    (At(Ready, UNION), UnionAnnounced, Claimed),
    (Claimed, Submodel, Downloaded),
    (Downloaded, QuantizedUpdate, At(InputMasked, UPDATE)),
)

CLIENT: Final[dict[Setting, Table]] = {
    "semi_honest": client_table(
        *_KEYS,
        (At(InputMasked, UNION), Survivors, At(Ready, UNION)),
        *_CLAIM,
        (At(InputMasked, UPDATE), Survivors, At(Ready, UPDATE)),
    ),
    "malicious": client_table(
        *_KEYS,
        (At(InputMasked, UNION), Survivors, At(ViewSigned, UNION)),
        (At(ViewSigned, UNION), Consistency, At(Ready, UNION)),
        (At(ViewSigned, UNION), UnionAnnounced, Claimed),
        *_CLAIM,
        (At(InputMasked, UPDATE), Survivors, At(ViewSigned, UPDATE)),
        (At(ViewSigned, UPDATE), Consistency, At(Ready, UPDATE)),
    ),
}
"""A client of a round. `QuantizedUpdate` is no message: it is what its own training hands to `upload`."""

_ROSTER: Final = table(
    (AwaitingAdverts, AdvertiseKeys, AwaitingShares),
    (AwaitingShares, ShareKeys, At(AwaitingInputs, UNION)),
)
_OPENED: Final = table(
    (At(AwaitingUnmasking, UNION), Unmasking, AwaitingClaims),
    (AwaitingClaims, Claim, At(AwaitingInputs, UPDATE)),
    (At(AwaitingUnmasking, UPDATE), Unmasking, Resting),
)

SERVER: Final[dict[Setting, Table]] = {
    "semi_honest": table(
        *_ROSTER,
        (At(AwaitingInputs, UNION), MaskedInput, At(AwaitingUnmasking, UNION)),
        (At(AwaitingInputs, UPDATE), MaskedInput, At(AwaitingUnmasking, UPDATE)),
        *_OPENED,
    ),
    "malicious": table(
        *_ROSTER,
        (At(AwaitingInputs, UNION), MaskedInput, At(AwaitingConsistency, UNION)),
        (At(AwaitingConsistency, UNION), ConsistencyCheck, At(AwaitingUnmasking, UNION)),
        (At(AwaitingInputs, UPDATE), MaskedInput, At(AwaitingConsistency, UPDATE)),
        (At(AwaitingConsistency, UPDATE), ConsistencyCheck, At(AwaitingUnmasking, UPDATE)),
        *_OPENED,
    ),
}
"""The server of a round, from its start (`Created` leads to `AwaitingAdverts`) to its end (`Resting`)."""


def place_of(state: object) -> Place:
    """The place of a client's or server's state in these tables."""
    match state:
        case InputMasked(sum=name) | ViewSigned(masked=InputMasked(sum=name)):
            return At(type(state), name)
        case Ready(closed=closed):
            return At(Ready, UPDATE if UPDATE in closed else UNION)
        case AwaitingInputs(opening=opening) | AwaitingUnmasking(opening=opening):
            return At(type(state), opening.sum.name)
        case AwaitingConsistency(view=view):
            return At(AwaitingConsistency, view.sum)
    return type(state)
