"""Step 1, AdvertiseKeys: a client's keys for one session, and the roster that binds everybody's.

A client holds one channel key and, for each sum, two 32-byte secrets: m, from which its halves of all pair seeds
are derived, and b, the seed of its self-mask. Either can be opened by t shares, so neither serves two sums.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

from securefl.crypto import ChannelKey, CryptoError, Identity, Private, suite, verify
from securefl.errors import FaultyServerError, LocalProtocolError
from securefl.secagg.messages import AdvertiseKeys
from securefl.secagg.params import Params
from securefl.transcript import Label, Part, digest, transcript_hash

Rng = Callable[[int], bytes]

KINDS = ("m", "b")
"""m: pair secret, opened when its owner is lost. b: self-mask, opened when its owner survives."""

SecretName = tuple[str, str]
"""(sum, kind)"""


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class KeysAdvertised(Private):
    """State after step 1."""

    session: bytes
    params: Params
    identity: Identity
    channel: ChannelKey
    secrets: Mapping[SecretName, bytes]
    advert: AdvertiseKeys


def secret_names(params: Params) -> Iterator[SecretName]:
    """Every secret of a client, in the order of the wire."""
    return ((s.name, kind) for s in params.sums for kind in KINDS)


def commitment(session: bytes, identity: bytes, name: SecretName, secret: bytes) -> bytes:
    """What a client publishes of a secret, so that a reconstructed one can be checked."""
    return digest(Label.COMMITMENT, session, identity, *name, secret)


def commitment_of(advert: AdvertiseKeys, params: Params, name: SecretName) -> bytes:
    """The commitment to secret `name` in a checked advert."""
    at = 32 * list(secret_names(params)).index(name)
    return advert.commitments[at : at + 32]


def advertise_keys(
    session: bytes, params: Params, identity: Identity, rng: Rng = os.urandom
) -> tuple[KeysAdvertised, AdvertiseKeys]:
    """Draw the keys of a session and sign what is public of them."""
    channel = suite(params.kem).generate()
    secrets = {name: rng(32) for name in secret_names(params)}
    if len(set(secrets.values())) < len(secrets) or any(len(secret) != 32 for secret in secrets.values()):
        raise LocalProtocolError("rng repeats itself or gives too few bytes; use one that works, such as os.urandom")
    commitments = b"".join(commitment(session, identity.public, name, s) for name, s in secrets.items())
    signature = identity.sign(Label.ADVERT, *_signed(session, params, identity.public, channel.public, commitments))
    advert = AdvertiseKeys(identity.public, channel.public, commitments, signature)
    return KeysAdvertised(session, params, identity, channel, secrets, advert), advert


def check_advert(session: bytes, params: Params, registry: Collection[bytes], advert: AdvertiseKeys) -> None:
    """Raise `CryptoError` unless a registered identity signed this advert for this session and these parameters."""
    if advert.identity not in registry:
        raise CryptoError("the identity is not registered")
    if len(advert.channel) != suite(params.kem).public_bytes:
        raise CryptoError("the channel key has the wrong length")
    if len(advert.commitments) != 32 * len(KINDS) * len(params.sums):
        raise CryptoError("the commitments have the wrong length")
    signed = _signed(session, params, advert.identity, advert.channel, advert.commitments)
    verify(advert.identity, advert.signature, Label.ADVERT, *signed)


def roster_root(session: bytes, params: Params, adverts: Mapping[int, AdvertiseKeys]) -> bytes:
    """Hash of every signed advert in the order of ids 1, 2, ...: the name of this set-up."""
    return transcript_hash(Label.ROSTER, session, params.hash, *(_entry(adverts[client]) for client in sorted(adverts)))


def check_ranks(adverts: Mapping[int, AdvertiseKeys]) -> None:
    """Raise `FaultyServerError` unless ids rise with identity keys, and no identity or channel key comes twice."""
    names = [adverts[client].identity for client in sorted(adverts)]
    if any(a >= b for a, b in pairwise(names)):
        raise FaultyServerError("the roster's ids are not the ranks of distinct identity keys")
    if len({a.channel for a in adverts.values()}) != len(adverts):
        raise FaultyServerError("the roster shows one channel key under two ids")


def _entry(a: AdvertiseKeys) -> bytes:
    """SHA-256 takes in a large cohort's adverts several times as fast as the transcript's hash would."""
    return digest(Label.ENTRY, a.identity, a.channel, a.commitments, a.signature)


def _signed(session: bytes, params: Params, identity: bytes, channel: bytes, commitments: bytes) -> tuple[Part, ...]:
    return session, params.hash, identity, channel, commitments
