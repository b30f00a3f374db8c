"""What both sides compute from public values, and the small keys. docs/spec/derivations.md, sections 3 to 8 and 10."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from reference import tree
from reference.boxes import PUBLIC_BYTES
from reference.errors import CryptoError, FaultyServerError
from reference.masks import dense_mask, row_mask, stream_keys
from reference.messages import Fields
from reference.params import Secret, names, params_hash
from reference.transcript import Part, derive, digest, encode, transcript_hash, xor

Row = tuple[bytes, frozenset[int]]
"""A row's hash, and the ids that upload it."""


# ---- signatures and adverts ----


def sign(identity: bytes, label: str, *parts: Part) -> bytes:
    """Ed25519 (RFC 8032) over the encoding. `identity`: the private key, 32 bytes."""
    return Ed25519PrivateKey.from_private_bytes(identity).sign(encode(label, *parts))


def public_identity(identity: bytes) -> bytes:
    return Ed25519PrivateKey.from_private_bytes(identity).public_key().public_bytes_raw()


def verify(public: bytes, signature: bytes, label: str, *parts: Part) -> None:
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, encode(label, *parts))
    except (InvalidSignature, ValueError):
        raise CryptoError("the signature does not verify") from None


def commitment(session: bytes, identity: bytes, name: Secret, secret: bytes) -> bytes:
    return digest("commitment", session, identity, *name, secret)


def advert_parts(session: bytes, params: Fields, identity: bytes, channel: bytes, commitments: bytes) -> list[Part]:
    return [session, params_hash(params), identity, channel, commitments]


def check_advert(session: bytes, params: Fields, registry: Collection[bytes], advert: Fields) -> None:
    identity, channel, commitments = advert["identity"], advert["channel"], advert["commitments"]
    if identity not in registry:
        raise CryptoError("the identity is not registered")
    if len(channel) != PUBLIC_BYTES[params["kem"]]:
        raise CryptoError("the channel key has the wrong length")
    if len(commitments) != 32 * len(names(params, "m", "b")):
        raise CryptoError("the commitments have the wrong length")
    verify(identity, advert["signature"], "advert", *advert_parts(session, params, identity, channel, commitments))


def check_ranks(adverts: Mapping[int, Fields]) -> None:
    identities = [adverts[u]["identity"] for u in sorted(adverts)]
    if identities != sorted(set(identities)):
        raise FaultyServerError("ids are not the ranks of distinct identities")
    if len({advert["channel"] for advert in adverts.values()}) < len(adverts):
        raise FaultyServerError("one channel key under two ids")


def roster_root(session: bytes, params: Fields, adverts: Mapping[int, Fields]) -> bytes:
    fields = ("identity", "channel", "commitments", "signature")
    entries = [digest("entry", *(adverts[u][name] for name in fields)) for u in sorted(adverts)]
    return transcript_hash("roster", session, params_hash(params), *entries)


# ---- a set-up, its bundles and its views ----


@dataclass(frozen=True)
class SetUp:
    """What the roster fixes."""

    session: bytes
    params: Fields
    root: bytes
    size: int

    @property
    def complete(self) -> bool:
        degree = self.params["degree"]
        return degree is None or degree >= self.size - 1

    def neighbours(self, client: int) -> list[int]:
        everybody = range(1, self.size + 1)
        if self.complete:
            return [v for v in everybody if v != client]
        ring = sorted(everybody, key=lambda v: digest("graph", self.root, v))
        at, reach = ring.index(client), self.params["degree"] // 2
        return sorted(ring[(at + step) % self.size] for step in range(-reach, reach + 1) if step)

    def value_hash(self, dealer: int, holder: int, name: Secret, value: bytes) -> bytes:
        return digest("share", self.session, *name, dealer, holder, value)

    def box_info(self, dealer: int, holder: int) -> bytes:
        return encode("box", self.session, self.root, dealer, holder)

    def leaf(self, dealer: int, holder: int, bundle: Fields) -> bytes:
        if len(bundle["hashes"]) != 32 * len(names(self.params, "m", "b", "half")):
            raise CryptoError("the hashes have the wrong length")
        return digest("bundle", self.session, self.root, dealer, holder, bundle["box"], bundle["hashes"])

    def leaves(self, dealer: int, bundles: Mapping[int, Fields]) -> list[bytes]:
        return [self.leaf(dealer, v, bundles[v]) for v in sorted(bundles)]

    def dealing_parts(self, dealer: int, tree_root: bytes) -> list[Part]:
        return [self.session, self.root, dealer, tree_root]

    def sign_bundles(self, dealer: int, identity: bytes, bundles: Mapping[int, Fields]) -> Fields:
        """ShareKeys."""
        top = tree.root(self.leaves(dealer, bundles))
        return {"bundles": bundles, "signature": sign(identity, "dealing", *self.dealing_parts(dealer, top))}

    def check_bundles(self, dealer: int, identity: bytes, message: Fields) -> None:
        top = tree.root(self.leaves(dealer, message["bundles"]))
        verify(identity, message["signature"], "dealing", *self.dealing_parts(dealer, top))

    def shown(self, dealer: int, holder: int, message: Fields) -> Fields:
        """A bundle as its holder sees it."""
        at = sorted(message["bundles"]).index(holder)
        path = tree.path(at, self.leaves(dealer, message["bundles"]))
        return message["bundles"][holder] | {"path": b"".join(path), "signature": message["signature"]}

    def check_bundle(self, dealer: int, holder: int, identity: bytes, shown: Fields) -> None:
        leaf, holders, path = self.leaf(dealer, holder, shown), self.neighbours(dealer), shown["path"]
        if len(path) % 32:
            raise CryptoError("the path has the wrong length")
        siblings = [path[at : at + 32] for at in range(0, len(path), 32)]
        top = tree.root_above(leaf, holders.index(holder), len(holders), siblings)
        verify(identity, shown["signature"], "dealing", *self.dealing_parts(dealer, top))

    def view_parts(self, opening: Opening, survivors: Collection[int]) -> list[Part]:
        known = [self.session, params_hash(self.params), self.root, opening.sum, opening.binding]
        return [*known, ids(opening.live), ids(survivors)]


def ids(clients: Collection[int]) -> bytes:
    """Ascending, 4 bytes each, little-endian."""
    return b"".join(u.to_bytes(4, "little") for u in sorted(clients))


def half(m: bytes, root: bytes, one: str, neighbour: int) -> bytes:
    return derive(m, "half", root, one, neighbour)


def pad(seed: bytes, half_of_higher: bytes) -> bytes:
    """Hides a pair seed under the other half, or shows it again."""
    return xor(seed, derive(half_of_higher, "pad"))


# ---- masks of a sum ----


@dataclass(frozen=True)
class Opening:
    """A sum as one party sees it open. `rows`: for each segment by rows its rows in order."""

    sum: str
    live: Sequence[int]
    binding: bytes = b""
    rows: Mapping[str, Sequence[Row]] = field(default_factory=dict)

    def own(self, segment: Fields, *clients: int) -> list[int]:
        """Rows that all these clients upload; a dense segment is one row that everybody does."""
        if not segment["by_rows"]:
            return [0]
        rows = self.rows[segment["name"]]
        return [j for j, (_, claimants) in enumerate(rows) if claimants.issuperset(clients)]


def mask_context(setup: SetUp, opening: Opening, segment: Fields) -> bytes:
    known = [setup.session, setup.root, params_hash(setup.params)]
    return transcript_hash("mask", *known, opening.sum, segment["name"], opening.binding)


def mask(setup: SetUp, opening: Opening, segment: Fields, seed: bytes, *clients: int) -> dict[int, list[int]]:
    """By row, the stream of a seed over the rows that all `clients` upload."""
    k0, k1 = stream_keys(seed, mask_context(setup, opening, segment))
    words, bits = segment["words"], segment["bits"]
    if not segment["by_rows"]:
        return {0: dense_mask(k1, words, bits)}
    rows = opening.rows[segment["name"]]
    return {j: row_mask(k0, k1, rows[j][0], words, bits) for j in opening.own(segment, *clients)}


def add(total: dict[int, list[int]], rows: Mapping[int, Sequence[int]], sign: int, bits: int) -> None:
    """total += sign * rows, modulo 2^bits, for the rows given."""
    for j, words in rows.items():
        total[j] = [(a + sign * b) % 2**bits for a, b in zip(total[j], words, strict=True)]
