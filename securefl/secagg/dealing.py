"""Step 2, ShareKeys: each client deals to each neighbour shares of its secrets and its half of every pair seed.

The box is sealed to the neighbour. Hashes of everything dealt let the holder find a bad box at once, and the server a
bad share later.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from native import field
from securefl.crypto import ChannelKey, CryptoError, Identity, Private, suite
from securefl.errors import FaultyServerError, TooFewSurvivorsError
from securefl.secagg.bundles import check_bundle, sign_bundles
from securefl.secagg.graph import Graph
from securefl.secagg.keys import KeysAdvertised, Rng, SecretName, check_advert, check_ranks, roster_root
from securefl.secagg.messages import SHARE_BYTES, AdvertiseKeys, Bundle, Roster, ShareKeys, SignedBundle
from securefl.secagg.setup import HALF, SetUp
from securefl.transcript import Label, derive, encode, length_prefixed


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class KeysShared(Private):
    """State after step 2: everything but what the neighbours dealt."""

    setup: SetUp
    id: int
    identity: Identity
    channel: ChannelKey
    secrets: Mapping[SecretName, bytes]
    halves: Mapping[tuple[str, int], bytes]
    """(sum, neighbour) -> own half"""
    peers: Mapping[int, AdvertiseKeys]


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Dealt(Private):
    """The content of one opened bundle: by (sum, kind) the share bytes, by (sum, "half") the dealer's half."""

    values: Mapping[SecretName, bytes]


def half(pair_secret: bytes, root: bytes, one: str, neighbour: int) -> bytes:
    """A client's half of its pair with `neighbour` in sum `one`: a function of its m, so t shares open it."""
    return derive(pair_secret, Label.HALF, root, one, neighbour)


def value_hash(session: bytes, dealer: int, holder: int, name: SecretName, value: bytes) -> bytes:
    """The published hash of a dealt share or half: `digest(SHARE, session, sum, kind, dealer, holder, value)`."""
    state = _dealt_by(session, *name, dealer).copy()
    state.update(length_prefixed(holder.to_bytes(8, "big")) + length_prefixed(value))
    return state.digest()


@lru_cache(maxsize=4096)
def _dealt_by(session: bytes, one: str, kind: str, dealer: int) -> hashlib._Hash:
    """The hash of what all values of one kind from one dealer begin with. All of it is public."""
    return hashlib.sha256(encode(Label.SHARE, session, one, kind, dealer))


def share_keys(
    state: KeysAdvertised, roster: Roster, registry: Collection[bytes], rng: Rng = os.urandom
) -> tuple[KeysShared, ShareKeys]:
    """Check the roster against one's own view, then deal to every neighbour."""
    me = _check_roster(state, roster, registry)
    setup = SetUp(state.session, state.params, roster.root, roster.size)
    peers = {v: a for v, a in roster.adverts.items() if v != me}
    halves = {
        (s.name, v): half(state.secrets[s.name, "m"], setup.root, s.name, v) for s in setup.params.sums for v in peers
    }
    shared = KeysShared(setup, me, state.identity, state.channel, state.secrets, halves, peers)
    shares = _shares(state.secrets, setup.params.threshold, sorted(peers), rng)
    return shared, sign_bundles(setup, me, state.identity, {v: _bundle(shared, v, shares[v]) for v in sorted(peers)})


def hash_of(setup: SetUp, hashes: bytes, name: SecretName) -> bytes:
    """The hash of one dealt value in the `hashes` of a checked bundle."""
    at = 32 * setup.dealt.index(name)
    return hashes[at : at + 32]


def open_bundle(state: KeysShared, dealer: int, bundle: SignedBundle) -> Dealt:
    """Open and check what a neighbour dealt.

    A missing signature is the server's fault (`FaultyServerError`). A signed bundle that does not open, or misses
    its hashes, is the dealer's (`CryptoError`).
    """
    setup = state.setup
    try:
        check_bundle(setup, dealer, state.id, state.peers[dealer].identity, bundle)
    except CryptoError:
        raise FaultyServerError(f"the bundle of client {dealer} is not signed by it") from None
    plain = state.channel.open(bundle.box, _info(setup, dealer, state.id))
    values = _split(plain, setup.dealt)
    for name, value in values.items():
        if value_hash(setup.session, dealer, state.id, name, value) != hash_of(setup, bundle.hashes, name):
            raise CryptoError("a dealt value misses its hash")
    return Dealt(values)


def _check_roster(state: KeysAdvertised, roster: Roster, registry: Collection[bytes]) -> int:
    """The client's own id in a roster it accepts."""
    params, adverts = state.params, roster.adverts
    mine = [v for v, advert in adverts.items() if advert == state.advert]
    if len(mine) != 1:
        raise FaultyServerError("the roster does not show this client's own keys exactly once")
    check_ranks(adverts)
    me = mine[0]
    if not me <= roster.size <= params.clients:
        raise FaultyServerError("the roster is larger than the session's parameters allow")
    graph = Graph(roster.size, params.degree, roster.root)
    if graph.complete and roster_root(state.session, params, adverts) != roster.root:
        raise FaultyServerError("the roster does not hash to its root")
    if set(adverts) != {me, *graph.neighbours(me)}:
        raise FaultyServerError("the roster does not show exactly this client's neighbours")
    if len(adverts) - 1 < params.threshold:
        raise TooFewSurvivorsError(len(adverts) - 1, params.threshold, "neighbours")
    for v, advert in adverts.items():
        try:
            check_advert(state.session, params, registry, advert)
        except CryptoError as error:
            raise FaultyServerError(f"the advert of client {v}: {error}") from None
    return me


def _shares(
    secrets: Mapping[SecretName, bytes], threshold: int, holders: list[int], rng: Rng
) -> dict[int, dict[SecretName, bytes]]:
    """Shamir shares of every secret, by holder."""
    stacked = np.frombuffer(b"".join(secrets.values()), np.uint8).reshape(-1, 32)
    words = field.share(stacked, threshold, np.array(holders, np.uint64), rng).astype("<u8", copy=False)
    return {v: {name: words[s, i].tobytes() for s, name in enumerate(secrets)} for i, v in enumerate(holders)}


def _bundle(state: KeysShared, holder: int, shares: Mapping[SecretName, bytes]) -> Bundle:
    setup = state.setup
    values = [(name, state.halves[name[0], holder] if name[1] == HALF else shares[name]) for name in setup.dealt]
    channel = state.peers[holder].channel
    try:
        box = suite(setup.params.kem).seal(channel, _info(setup, state.id, holder), b"".join(v for _, v in values))
    except CryptoError as error:
        raise FaultyServerError(f"the advert of client {holder}: {error}") from None
    hashes = b"".join(value_hash(setup.session, state.id, holder, name, v) for name, v in values)
    return Bundle(box, hashes)


def _split(plain: bytes, names: tuple[SecretName, ...]) -> dict[SecretName, bytes]:
    sizes = [32 if kind == HALF else SHARE_BYTES for _, kind in names]
    if len(plain) != sum(sizes):
        raise CryptoError("the box holds the wrong number of bytes")
    starts = [sum(sizes[:i]) for i in range(len(sizes))]
    return {name: plain[at : at + size] for name, at, size in zip(names, starts, sizes, strict=True)}


def _info(setup: SetUp, dealer: int, holder: int) -> bytes:
    return encode(Label.BOX, setup.session, setup.root, dealer, holder)
