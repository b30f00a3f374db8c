"""Bytes of a session's messages before it runs: real frames with empty contents, as the codec writes them."""

from __future__ import annotations

from dataclasses import dataclass

from securefl.crypto import suite
from securefl.secagg.keys import KINDS
from securefl.secagg.messages import (
    SHARE_BYTES,
    AdvertiseKeys,
    Bundle,
    Consistency,
    ConsistencyCheck,
    Delivery,
    Invitation,
    MaskedInput,
    Roster,
    ShareKeys,
    SignedBundle,
    Survivors,
    ToClient,
    ToServer,
    Unmasking,
)
from securefl.secagg.params import Params, Sum
from securefl.secagg.setup import SetUp
from securefl.secagg.summing import packed_bytes
from securefl.secagg.tree import Tree
from securefl.wire import Codec


@dataclass(frozen=True, slots=True)
class Traffic:
    """Bytes of one client in one session without losses."""

    up: int
    down: int

    @property
    def total(self) -> int:
        """Both ways."""
        return self.up + self.down


def plain_session(params: Params) -> Traffic:
    """A session of dense sums in which everybody answers (mean over clients of the pads that only lower ids send)."""
    peers = range(2, params.neighbours + 2)
    advert = AdvertiseKeys(bytes(32), bytes(suite(params.kem).public_bytes), bytes(64 * len(params.sums)), bytes(64))
    bundle = _bundle(params)
    shown = SignedBundle(bundle.box, bundle.hashes, Tree([bytes(32)] * len(peers)).path(0), bytes(64))
    up: list[ToServer] = [advert, ShareKeys(dict.fromkeys(peers, bundle), bytes(64))]
    down: list[ToClient] = [
        Invitation(bytes(32), params),
        Roster(params.clients, bytes(32), dict.fromkeys((1, *peers), advert)),
        Delivery(dict.fromkeys(peers, shown)),
    ]
    for one in params.sums:
        up += [_masked(one, params.neighbours // 2), Unmasking(one.name, dict.fromkeys(peers, bytes(SHARE_BYTES)))]
        down += [Survivors(one.name, [1, *peers])]
        if params.malicious:
            up += [ConsistencyCheck(one.name, bytes(64))]
            down += [Consistency(one.name, dict.fromkeys(range(2, params.threshold + 2), bytes(64)))]
    return Traffic(sum(map(_up, up)), sum(map(_down, down)))


def _bundle(params: Params) -> Bundle:
    dealt = SetUp(b"", params, b"", 0).dealt
    values = len(params.sums) * (len(KINDS) * SHARE_BYTES + 32)
    return Bundle(bytes(suite(params.kem).overhead + values), bytes(32 * len(dealt)))


def _masked(one: Sum, pads: int) -> MaskedInput:
    segments = [bytes(packed_bytes(segment)) for segment in one.segments]
    return MaskedInput(one.name, segments, {2 + i: bytes(32) for i in range(pads)}, [])


_TO_SERVER: Codec[ToServer] = Codec(ToServer)
_TO_CLIENT: Codec[ToClient] = Codec(ToClient)


def _up(message: ToServer) -> int:
    return len(_TO_SERVER.encode(message))


def _down(message: ToClient) -> int:
    return len(_TO_CLIENT.encode(message))
