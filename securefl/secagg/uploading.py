"""Steps 3 and 4 of a client, once per sum: MaskedInput, then Unmasking."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from native import ring
from securefl.crypto import CryptoError, Private
from securefl.errors import FaultyServerError, LocalProtocolError, TooFewSurvivorsError, UnexpectedMessageError
from securefl.secagg.dealing import Dealt, KeysShared, open_bundle
from securefl.secagg.masking import Masks, Opening, residues
from securefl.secagg.messages import Delivery, MaskedInput, Survivors, Unmasking
from securefl.secagg.setup import HALF
from securefl.transcript import Label, derive


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Ready(Private):
    """State between sums: everything the neighbours dealt is in hand."""

    keys: KeysShared
    dealt: Mapping[int, Dealt]
    """What each usable live neighbour dealt."""
    refused: frozenset[int]
    """Live neighbours whose signed bundle was unusable: their edges carry no mask."""
    closed: frozenset[str] = frozenset()
    """Sums that took an input of this client, or can take none any more: never entered again."""

    @property
    def neighbours(self) -> frozenset[int]:
        """Neighbours that dealt: the most that any later sum can be live with."""
        return frozenset(self.dealt) | self.refused


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class InputMasked(Private):
    """State after MaskedInput: one answer to one list of survivors is owed, to no other."""

    ready: Ready
    sum: str
    live: frozenset[int]
    """Live neighbours of this sum, without the client itself."""
    binding: bytes
    """What the masks were bound to, see `Opening`."""


def receive_shares(state: KeysShared, delivery: Delivery) -> Ready:
    """Open what every live neighbour dealt, before any mask exists."""
    if not set(delivery.bundles) <= set(state.peers):
        raise FaultyServerError("bundles were delivered from clients that are no neighbours")
    dealt, refused = {}, set()
    for dealer, bundle in delivery.bundles.items():
        try:
            dealt[dealer] = open_bundle(state, dealer, bundle)
        except CryptoError:
            refused.add(dealer)
    params = state.setup.params
    if len(refused) > params.colluders:
        raise FaultyServerError(
            f"{len(refused)} bundles are unusable, more than the {params.colluders} assumed corrupt"
        )
    if len(dealt) < params.threshold:
        raise TooFewSurvivorsError(len(dealt), params.threshold, "live neighbours")
    return Ready(state, dealt, frozenset(refused))


def mask_input(
    ready: Ready, opening: Opening, values: Sequence[NDArray[np.integer]]
) -> tuple[InputMasked, MaskedInput]:
    """Mask `values`, one integer array for each segment: (words,), or (own rows, words) by rows.

    `opening.live` are the ids told live for this sum; it must hold this client's. `opening.rows` are this client's own.
    """
    keys, name = ready.keys, opening.sum.name
    live = _check_live(ready, opening)
    if len(values) != len(opening.sum.segments):
        raise LocalProtocolError(f"{len(opening.sum.segments)} segments take as many inputs, not {len(values)}")
    masks = Masks(keys.setup, opening)
    totals = [
        residues(segment, value, len(opening.rows_of(segment).of(keys.id)) if segment.by_rows else None)
        for segment, value in zip(opening.sum.segments, values, strict=True)
    ]
    usable = live - ready.refused
    pairs = {(keys.id, v): _pair_seed(ready, name, v) for v in usable}
    masks.apply(totals, {keys.id: keys.secrets[name, "b"]}, pairs)
    pads = {v: _pad(ready, name, v) for v in sorted(usable) if v > keys.id}
    packed = [ring.pack(total.reshape(-1), s.bits) for s, total in zip(opening.sum.segments, totals, strict=True)]
    state = InputMasked(replace(ready, closed=ready.closed | {name}), name, live, opening.binding)
    return state, MaskedInput(name, packed, pads, sorted(ready.refused & live))


def check_survivors(state: InputMasked, message: Survivors) -> frozenset[int]:
    """The survivors, if this client may answer to them."""
    me, params = state.ready.keys.id, state.ready.keys.setup.params
    survivors = frozenset(message.survivors)
    if message.sum != state.sum:
        raise UnexpectedMessageError("survivors of another sum than the one this client sent an input to")
    if len(survivors) != len(message.survivors) or not survivors <= state.live | {me}:
        raise FaultyServerError("the survivors are not distinct live clients")
    if me not in survivors:
        raise FaultyServerError("this client is listed as lost although it is asked to answer")
    if len(survivors) - 1 < params.threshold:
        raise TooFewSurvivorsError(len(survivors) - 1, params.threshold, "surviving neighbours")
    if params.degree is None and len(survivors) < params.needed:
        raise TooFewSurvivorsError(len(survivors), params.needed)
    return survivors


def unmask(state: InputMasked, survivors: frozenset[int]) -> tuple[Ready, Unmasking]:
    """Release for each live neighbour one share: its self-mask's, or its pair secret's if it is lost."""
    ready = state.ready
    shares = {
        v: ready.dealt[v].values[state.sum, "b" if v in survivors else "m"] for v in sorted(state.live - ready.refused)
    }
    return ready, Unmasking(state.sum, shares)


def _check_live(ready: Ready, opening: Opening) -> frozenset[int]:
    """The live neighbours of a sum this client may enter."""
    keys, live = ready.keys, frozenset(opening.live)
    if opening.sum.name in ready.closed:
        raise UnexpectedMessageError("this sum is closed for this client: it takes one input only")
    if len(live) != len(opening.live) or keys.id not in live or not live <= ready.neighbours | {keys.id}:
        raise FaultyServerError("the live clients are not this client and distinct neighbours that dealt to it")
    if len(live - ready.refused) - 1 < keys.setup.params.threshold:
        raise TooFewSurvivorsError(len(live - ready.refused) - 1, keys.setup.params.threshold, "live neighbours")
    return live - {keys.id}


def _pair_seed(ready: Ready, name: str, neighbour: int) -> bytes:
    """The half of the lower id."""
    if ready.keys.id < neighbour:
        return ready.keys.halves[name, neighbour]
    return ready.dealt[neighbour].values[name, HALF]


def _pad(ready: Ready, name: str, neighbour: int) -> bytes:
    """The pair seed under the higher neighbour's half: if that neighbour is lost, its m opens this pad and no other."""
    return xor(ready.keys.halves[name, neighbour], pad_key(ready.dealt[neighbour].values[name, HALF]))


def pad_key(half_of_higher: bytes) -> bytes:
    """The key that hides a pair seed."""
    return derive(half_of_higher, Label.PAD)


def xor(a: bytes, b: bytes) -> bytes:
    """Two strings of 32 bytes, added bit by bit."""
    return (int.from_bytes(a, "big") ^ int.from_bytes(b, "big")).to_bytes(32, "big")
