"""The messages of secure aggregation. Protocol sections 1 and 2; client ids are 1-based ranks of identity keys."""

from __future__ import annotations

from typing import Annotated

import msgspec

from securefl.secagg.params import Params
from securefl.wire import Bytes32, Bytes64, ClientId, Message, Name

SHARE_BYTES = 40
"""A Shamir share of a 32-byte secret: five field elements of 8 bytes, little-endian."""

Share = Annotated[bytes, msgspec.Meta(min_length=SHARE_BYTES, max_length=SHARE_BYTES)]
ShortBytes = Annotated[bytes, msgspec.Meta(max_length=4096)]
Ids = list[ClientId]


class Invitation(Message, frozen=True, tag=1):
    """Server to client: a session and its public parameters."""

    session: Bytes32
    params: Params


class AdvertiseKeys(Message, frozen=True, tag=2):
    """Client to server, then to all: the keys of one client for one session, signed by its identity.

    `commitments`: for each sum in order, the commitment to its pair secret m, then to its self-mask b.
    """

    identity: Bytes32
    channel: ShortBytes
    commitments: ShortBytes
    signature: Bytes64


class Roster(Message, frozen=True, tag=3):
    """Server to client: the adverts of its neighbours and its own. `root` is the hash of all `size` signed adverts."""

    size: Annotated[int, msgspec.Meta(ge=1, le=1 << 24)]
    root: Bytes32
    adverts: dict[ClientId, AdvertiseKeys]


class Bundle(Message, frozen=True):
    """What one client deals to one neighbour: a sealed box, and the hashes of its content."""

    box: ShortBytes
    hashes: ShortBytes


class SignedBundle(Bundle, frozen=True):
    """A bundle with its path in the tree of all its dealer's bundles, and the dealer's signature on the root."""

    path: ShortBytes
    signature: Bytes64


class ShareKeys(Message, frozen=True, tag=4):
    """Client to server: one bundle for each neighbour, and a signature on the root of their tree."""

    bundles: dict[ClientId, Bundle]
    signature: Bytes64


class Delivery(Message, frozen=True, tag=5):
    """Server to client: the bundles its neighbours dealt to it. The neighbours named here are live."""

    bundles: dict[ClientId, SignedBundle]


class OpenSum(Message, frozen=True, tag=6):
    """Server to client: a further plain sum of the session begins among the live neighbours."""

    sum: Name
    live: Ids


class MaskedInput(Message, frozen=True, tag=7):
    """Client to server: packed residues under every mask, one entry for each segment.

    `pads` holds, for each live neighbour of higher id, the pair seed under that neighbour's half.
    `refused` names dealers whose signed bundle was unusable: their edges carry no mask.
    """

    sum: Name
    segments: list[bytes]
    pads: dict[ClientId, Bytes32]
    refused: Ids


class Survivors(Message, frozen=True, tag=8):
    """Server to client: which live neighbours (and the client itself) are in the sum."""

    sum: Name
    survivors: Ids


class ConsistencyCheck(Message, frozen=True, tag=11):
    """Client to server (malicious setting): its signature over its whole view of a sum."""

    sum: Name
    signature: Bytes64


class Consistency(Message, frozen=True, tag=12):
    """Server to client: signatures of other survivors over, as must turn out, the same view."""

    sum: Name
    signatures: dict[ClientId, Bytes64]


class Unmasking(Message, frozen=True, tag=9):
    """Client to server: for each live neighbour one share: of its self-mask if it survived, of its pair secret if not.

    The type cannot hold both.
    """

    sum: Name
    shares: dict[ClientId, Share]


class Abort(Message, frozen=True, tag=10):
    """Server to client: the session is over; forget its secrets."""

    reason: Annotated[str, msgspec.Meta(max_length=256)]


ToClient = Invitation | Roster | Delivery | OpenSum | Survivors | Consistency | Abort
ToServer = AdvertiseKeys | ShareKeys | MaskedInput | ConsistencyCheck | Unmasking
