"""The consistency step (malicious setting): nobody releases a share before t others signed the same view.

A server that tells two clients different survivors could ask some for b and others for m of the same client, and read
it. With t >= floor((n - 1 + c) / 2) + 1 two different views never both find t signatures. Protocol section 2;
Bonawitz et al. 2017, figure 2, round 3.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from securefl.crypto import CryptoError, Identity, Private, verify
from securefl.errors import FaultyServerError, UnexpectedMessageError
from securefl.secagg.messages import AdvertiseKeys, Consistency, ConsistencyCheck
from securefl.secagg.setup import SetUp
from securefl.secagg.uploading import InputMasked
from securefl.transcript import Label, Part


@dataclass(frozen=True, slots=True)
class View:
    """What a party was told, or told, of one sum. `live` and `survivors` are all ids, oneself included."""

    setup: SetUp
    sum: str
    binding: bytes
    live: frozenset[int]
    survivors: frozenset[int]

    def signed(self) -> tuple[Part, ...]:
        """The parts that a survivor signs."""
        setup = self.setup
        known = (setup.session, setup.params.hash, setup.root, self.sum, self.binding)
        return (*known, _ids(self.live), _ids(self.survivors))

    def sign(self, identity: Identity) -> ConsistencyCheck:
        """A survivor's statement."""
        return ConsistencyCheck(self.sum, identity.sign(Label.CONSISTENCY, *self.signed()))

    def verify(self, identity: bytes, signature: bytes) -> None:
        """Raise `CryptoError` unless `identity` signed this very view."""
        verify(identity, signature, Label.CONSISTENCY, *self.signed())


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class ViewSigned(Private):
    """State after ConsistencyCheck: the survivors are settled, nothing is released yet."""

    masked: InputMasked
    view: View


def sign_view(state: InputMasked, survivors: frozenset[int]) -> tuple[ViewSigned, ConsistencyCheck]:
    """Sign one's own view; `survivors` are checked already."""
    keys = state.ready.keys
    view = View(keys.setup, state.sum, state.binding, state.live | {keys.id}, survivors)
    return ViewSigned(state, view), view.sign(keys.identity)


def check_consistency(state: ViewSigned, message: Consistency) -> None:
    """Raise `FaultyServerError` unless at least t other survivors signed this client's view."""
    keys, view = state.masked.ready.keys, state.view
    if message.sum != view.sum:
        raise UnexpectedMessageError("signatures for another sum than the one this client waits for")
    if not set(message.signatures) <= view.survivors - {keys.id}:
        raise FaultyServerError("signatures of clients that are no other survivors")
    if len(message.signatures) < keys.setup.params.threshold:
        raise FaultyServerError(
            f"{len(message.signatures)} other survivors signed, {keys.setup.params.threshold} are needed"
        )
    _verify_all(view, message.signatures, keys.peers)


def _verify_all(view: View, signatures: Mapping[int, bytes], peers: Mapping[int, AdvertiseKeys]) -> None:
    for signer, signature in signatures.items():
        try:
            view.verify(peers[signer].identity, signature)
        except CryptoError:
            raise FaultyServerError(f"client {signer} did not sign what this client was told") from None


def _ids(ids: Iterable[int]) -> bytes:
    return np.array(sorted(ids), "<u4").tobytes()
