"""The messages of a submodel round beyond those of secure aggregation. Protocol sections 3 to 5."""

from __future__ import annotations

from securefl.secagg import Params, messages
from securefl.secagg.messages import Ids
from securefl.submodel.plan import SubmodelPlan
from securefl.wire import Bytes32, Codec, Message


class RoundInvitation(Message, frozen=True, tag=20):
    """Server to client: a session with its parameters and the plan whose hash they carry."""

    session: Bytes32
    params: Params
    plan: SubmodelPlan


class UnionAnnounced(Message, frozen=True, tag=21):
    """Server to client: the union of everybody's indices, as an index set of the universe."""

    union: bytes


class Claim(Message, frozen=True, tag=22):
    """Client to server: the rows it asks for, as an index set of positions in the union. Deniable."""

    positions: bytes


class TableSlice(Message, frozen=True):
    """The claimed rows of one table, ascending.

    `rows`: 16-bit floats, little-endian, row by row. `claimants`: for each row a bit for each of `Submodel.live`,
    LSB first, row after row without gaps.
    """

    rows: bytes
    claimants: bytes


class Submodel(Message, frozen=True, tag=23):
    """Server to client: the dense layers, the claimed rows of every table, and who else claims each."""

    live: Ids
    dense: bytes
    tables: list[TableSlice]


ToClient = (
    RoundInvitation
    | UnionAnnounced
    | Submodel
    | messages.Roster
    | messages.Delivery
    | messages.Survivors
    | messages.Consistency
    | messages.Abort
)
ToServer = (
    Claim
    | messages.AdvertiseKeys
    | messages.ShareKeys
    | messages.MaskedInput
    | messages.ConsistencyCheck
    | messages.Unmasking
)

to_client: Codec[ToClient] = Codec(ToClient)
to_server: Codec[ToServer] = Codec(ToServer)
