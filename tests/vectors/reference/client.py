"""A client, step by step. docs/spec/session.md, section 3. Each method is one numbered step."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from reference import boxes, shamir
from reference.errors import CryptoError, FaultyServerError, TooFewSurvivorsError, UnexpectedMessageError
from reference.masks import pack
from reference.messages import Fields
from reference.params import Secret, names, needed, sum_of
from reference.setup import (
    Opening,
    SetUp,
    add,
    advert_parts,
    check_advert,
    check_ranks,
    commitment,
    half,
    mask,
    pad,
    public_identity,
    roster_root,
    sign,
    verify,
)


class Client:
    """`identity`: an Ed25519 private key; `registry`: the identities that are clients, from somebody not the server."""

    def __init__(self, identity: bytes, registry: Collection[bytes]) -> None:
        self.identity, self.registry = identity, registry
        self.closed: set[str] = set()

    def advertise_keys(self, session: bytes, params: Fields, channel: bytes, secrets: Mapping[Secret, bytes]) -> Fields:
        """Step 1. `channel`: a fresh private key of the suite; `secrets`: 32 fresh bytes for each name."""
        self.session, self.params, self.channel, self.secrets = session, params, channel, secrets
        name, public = public_identity(self.identity), boxes.public_key(params["kem"], channel)
        commitments = b"".join(commitment(session, name, s, secrets[s]) for s in names(params, "m", "b"))
        signature = sign(self.identity, "advert", *advert_parts(session, params, name, public, commitments))
        self.advert = {"identity": name, "channel": public, "commitments": commitments, "signature": signature}
        return self.advert

    def share_keys(
        self,
        roster: Fields,
        coefficients: Mapping[Secret, shamir.Coefficients],
        ephemeral: Mapping[int, bytes],
    ) -> Fields:
        """Step 2. `ephemeral`: by neighbour, a fresh X25519 key for its box."""
        self.check_roster(roster)
        adverts = roster["adverts"]
        self.setup = SetUp(self.session, self.params, roster["root"], roster["size"])
        self.peers = {v: adverts[v] for v in sorted(adverts) if v != self.id}
        bundles = {v: self.bundle(v, coefficients, ephemeral[v]) for v in self.peers}
        return self.setup.sign_bundles(self.id, self.identity, bundles)

    def check_roster(self, roster: Fields) -> None:
        adverts, size = roster["adverts"], roster["size"]
        mine = [v for v, advert in adverts.items() if advert == self.advert]
        if len(mine) != 1:
            raise FaultyServerError("the roster does not show this client's advert exactly once")
        check_ranks(adverts)
        self.id = mine[0]
        setup = SetUp(self.session, self.params, roster["root"], size)
        if not self.id <= size <= self.params["clients"]:
            raise FaultyServerError("the roster has the wrong size")
        if setup.complete and roster_root(self.session, self.params, adverts) != setup.root:
            raise FaultyServerError("the roster does not hash to its root")
        if set(adverts) != {self.id, *setup.neighbours(self.id)}:
            raise FaultyServerError("the roster does not show exactly the neighbours")
        if len(adverts) - 1 < self.params["threshold"]:
            raise TooFewSurvivorsError("neighbours")
        for advert in adverts.values():
            try:
                check_advert(self.session, self.params, self.registry, advert)
            except CryptoError as error:
                raise FaultyServerError(str(error)) from None

    def bundle(self, holder: int, coefficients: Mapping[Secret, shamir.Coefficients], ephemeral: bytes) -> Fields:
        setup, values = self.setup, self.values_for(holder, coefficients)
        info, plain = setup.box_info(self.id, holder), b"".join(values.values())
        try:
            box = boxes.seal(self.params["kem"], self.peers[holder]["channel"], info, plain, ephemeral)
        except CryptoError as error:
            raise FaultyServerError(str(error)) from None
        hashes = b"".join(setup.value_hash(self.id, holder, name, value) for name, value in values.items())
        return {"box": box, "hashes": hashes}

    def values_for(self, holder: int, coefficients: Mapping[Secret, shamir.Coefficients]) -> dict[Secret, bytes]:
        """What a box holds, in order: for each sum the share of m, the share of b, the half of the pair."""
        values = {}
        for one, kind in names(self.params, "m", "b", "half"):
            if kind == "half":
                values[one, kind] = half(self.secrets[one, "m"], self.setup.root, one, holder)
            else:
                values[one, kind] = shamir.share(self.secrets[one, kind], coefficients[one, kind], holder)
        return values

    def receive_shares(self, delivery: Fields) -> None:
        """Step 3, before any mask exists."""
        bundles = delivery["bundles"]
        if not bundles.keys() <= self.peers.keys():
            raise FaultyServerError("a bundle of somebody who is no neighbour")
        self.dealt: dict[int, dict[Secret, bytes]] = {}
        self.refused: set[int] = set()
        for dealer, bundle in bundles.items():
            try:
                self.setup.check_bundle(dealer, self.id, self.peers[dealer]["identity"], bundle)
            except CryptoError as error:
                raise FaultyServerError(str(error)) from None
            try:
                self.dealt[dealer] = self.open_bundle(dealer, bundle)
            except CryptoError:
                self.refused.add(dealer)
        if len(self.refused) > self.params["colluders"]:
            raise FaultyServerError("more unusable bundles than corrupt clients")
        if len(self.dealt) < self.params["threshold"]:
            raise TooFewSurvivorsError("live neighbours")

    def open_bundle(self, dealer: int, bundle: Fields) -> dict[Secret, bytes]:
        plain = boxes.open_box(self.params["kem"], self.channel, self.setup.box_info(dealer, self.id), bundle["box"])
        values, at = {}, 0
        for name in names(self.params, "m", "b", "half"):
            size = 32 if name[1] == "half" else 40
            values[name], at = plain[at : at + size], at + size
        if at != len(plain):
            raise CryptoError("the box holds the wrong number of bytes")
        hashed = b"".join(self.setup.value_hash(dealer, self.id, name, value) for name, value in values.items())
        if hashed != bundle["hashes"]:
            raise CryptoError("a dealt value misses its hash")
        return values

    def mask_input(self, opening: Opening, inputs: Sequence[Sequence[Sequence[int]]]) -> Fields:
        """Step 4. `inputs`: for each segment its rows that this client uploads, ascending; a dense one has one row."""
        self.check_live(opening)
        self.opening, one = opening, opening.sum
        self.closed.add(one)
        usable = sorted(set(opening.live) - self.refused - {self.id})
        segments = []
        for segment, rows in zip(sum_of(self.params, one)["segments"], inputs, strict=True):
            bits, own = segment["bits"], opening.own(segment, self.id)
            total = dict(zip(own, map(list, rows), strict=True))
            add(total, mask(self.setup, opening, segment, self.secrets[one, "b"], self.id), 1, bits)
            for v in usable:
                stream = mask(self.setup, opening, segment, self.pair_seed(one, v), self.id, v)
                add(total, stream, 1 if self.id < v else -1, bits)
            segments.append(pack([word for j in own for word in total[j]], bits))
        pads = {v: self.pad_for(one, v) for v in usable if v > self.id}
        return {"sum": one, "segments": segments, "pads": pads, "refused": sorted(self.refused & set(opening.live))}

    def check_live(self, opening: Opening) -> None:
        live, neighbours = set(opening.live), self.dealt.keys() | self.refused
        if opening.sum in self.closed:
            raise UnexpectedMessageError("this sum is closed")
        if len(live) != len(opening.live) or self.id not in live or not live <= neighbours | {self.id}:
            raise FaultyServerError("the live clients are not this one and distinct neighbours that dealt")
        if len(live - self.refused) - 1 < self.params["threshold"]:
            raise TooFewSurvivorsError("live neighbours")

    def pair_seed(self, one: str, v: int) -> bytes:
        """The half of the lower id."""
        if self.id < v:
            return half(self.secrets[one, "m"], self.setup.root, one, v)
        return self.dealt[v][one, "half"]

    def pad_for(self, one: str, v: int) -> bytes:
        return pad(self.pair_seed(one, v), self.dealt[v][one, "half"])

    def receive_survivors(self, message: Fields) -> None:
        """Step 5."""
        survivors, opening = set(message["survivors"]), self.opening
        if message["sum"] != opening.sum:
            raise UnexpectedMessageError("another sum")
        if len(survivors) != len(message["survivors"]) or not survivors <= set(opening.live):
            raise FaultyServerError("the survivors are not distinct live clients")
        if self.id not in survivors:
            raise FaultyServerError("this client is asked to answer and listed as lost")
        if len(survivors) - 1 < self.params["threshold"]:
            raise TooFewSurvivorsError("surviving neighbours")
        if self.params["degree"] is None and len(survivors) < needed(self.params):
            raise TooFewSurvivorsError("survivors")
        self.survivors = survivors

    def sign_view(self) -> Fields:
        """Step 6, malicious setting."""
        parts = self.setup.view_parts(self.opening, self.survivors)
        return {"sum": self.opening.sum, "signature": sign(self.identity, "consistency", *parts)}

    def check_consistency(self, message: Fields) -> None:
        """Step 7, malicious setting."""
        signatures = message["signatures"]
        if message["sum"] != self.opening.sum:
            raise UnexpectedMessageError("another sum")
        if not signatures.keys() <= self.survivors - {self.id}:
            raise FaultyServerError("a signature of somebody who is no other survivor")
        if len(signatures) < self.params["threshold"]:
            raise FaultyServerError("too few other survivors signed")
        for v, signature in signatures.items():
            try:
                parts = self.setup.view_parts(self.opening, self.survivors)
                verify(self.peers[v]["identity"], signature, "consistency", *parts)
            except CryptoError:
                raise FaultyServerError(f"client {v} did not sign this view") from None

    def unmask(self) -> Fields:
        """Step 8: once per sum, for ever."""
        one, others = self.opening.sum, sorted(set(self.opening.live) - self.refused - {self.id})
        return {"sum": one, "shares": {v: self.dealt[v][one, "b" if v in self.survivors else "m"] for v in others}}
