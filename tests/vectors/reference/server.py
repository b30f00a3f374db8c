"""The server, step by step. docs/spec/session.md, section 4. Who fails a check is dropped; the session goes on."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from reference import boxes, shamir
from reference.errors import (
    FaultyClientError,
    TooFewSurvivorsError,
    UnexpectedMessageError,
)
from reference.masks import unpack
from reference.messages import Fields
from reference.params import names, needed, sum_of
from reference.setup import (
    Opening,
    SetUp,
    add,
    check_advert,
    commitment,
    half,
    mask,
    pad,
    roster_root,
    verify,
)

Rows = dict[int, list[int]]


class Server:
    """`invited`: the identities of the cohort."""

    def __init__(self, session: bytes, params: Fields, invited: Collection[bytes]) -> None:
        self.session, self.params, self.invited = session, params, invited

    def receive_adverts(self, heard: Mapping[bytes, Fields]) -> dict[int, Fields]:
        """Step 1: adverts by sender, each checked by `check_advert`. Returns a Roster for each id."""
        self.enough(len(heard))
        self.adverts = dict(enumerate((heard[name] for name in sorted(heard)), start=1))
        root = roster_root(self.session, self.params, self.adverts)
        self.setup = SetUp(self.session, self.params, root, len(self.adverts))
        return {
            u: {
                "size": self.setup.size,
                "root": root,
                "adverts": {v: self.adverts[v] for v in sorted([u, *self.setup.neighbours(u)])},
            }
            for u in self.adverts
        }

    def check_advert(self, sender: bytes, advert: Fields, others: Collection[Fields]) -> None:
        if advert["identity"] != sender:
            raise UnexpectedMessageError("an advert of another identity")
        check_advert(self.session, self.params, self.invited, advert)
        boxes.seal(self.params["kem"], advert["channel"], b"", b"", ephemeral=b"\x01" * 32)  # is the key usable?
        if any(advert["channel"] == other["channel"] for other in others):
            raise UnexpectedMessageError("a channel key that another client has shown")

    def receive_shares(self, heard: Mapping[int, Fields]) -> dict[int, Fields]:
        """Step 2: ShareKeys by id, each checked by `check_shares`. Returns a Delivery for each live id."""
        self.enough(len(heard))
        self.live = self.connected(set(heard))
        self.enough(len(self.live))
        self.bundles = {u: heard[u]["bundles"] for u in self.live}
        return {v: {"bundles": {u: self.setup.shown(u, v, heard[u]) for u in self.peers(v)}} for v in sorted(self.live)}

    def check_shares(self, dealer: int, message: Fields) -> None:
        if sorted(message["bundles"]) != self.setup.neighbours(dealer):
            raise FaultyClientError(dealer, "it did not deal to exactly its neighbours")
        self.setup.check_bundles(dealer, self.adverts[dealer]["identity"], message)

    def connected(self, live: set[int]) -> set[int]:
        """Clients with fewer than t live neighbours go, until none is left: nobody could open their masks."""
        kept = {u for u in live if len(live & set(self.setup.neighbours(u))) >= self.params["threshold"]}
        return kept if kept == live else self.connected(kept)

    def receive_inputs(self, opening: Opening, heard: Mapping[int, Fields]) -> dict[int, Fields]:
        """Step 3: inputs by id, each checked by `check_input`. Returns Survivors for each survivor.

        A dealer whose signed bundle was unusable is left out.
        """
        refused = {dealer for message in heard.values() for dealer in message["refused"]}
        self.inputs = {u: message for u, message in heard.items() if u not in refused}
        if len(self.inputs) < needed(self.params):
            raise TooFewSurvivorsError("inputs")
        for v in () if self.setup.complete else self.live:
            holders = [u for u in self.peers(v) if u in self.inputs]
            if len(holders) < self.params["threshold"] and (holders or v in self.inputs):
                raise TooFewSurvivorsError("holders of a secret that must be opened")
        return {
            u: {"sum": opening.sum, "survivors": sorted({u, *self.peers(u)} & self.inputs.keys())}
            for u in sorted(self.inputs)
        }

    def check_input(self, opening: Opening, u: int, message: Fields) -> None:
        others = {v for v in self.peers(u) if v in opening.live}
        refused = set(message["refused"])
        if message["sum"] != opening.sum or not refused <= others:
            raise UnexpectedMessageError("an input to another sum")
        if len(refused) < len(message["refused"]):
            raise FaultyClientError(u, "it refuses one bundle twice")
        if len(refused) > self.params["colluders"]:
            raise FaultyClientError(u, "it refuses more bundles than clients are assumed corrupt")
        if message["pads"].keys() != {v for v in others - refused if v > u}:
            raise FaultyClientError(u, "its pads are not those of its live neighbours of higher id")
        self.uploaded(opening, u, message)

    def uploaded(self, opening: Opening, u: int, message: Fields) -> list[Rows]:
        """By segment and row, the words of an input."""
        segments = sum_of(self.params, opening.sum)["segments"]
        if len(message["segments"]) != len(segments):
            raise FaultyClientError(u, "its input has the wrong number of segments")
        rows = []
        for segment, data in zip(segments, message["segments"], strict=True):
            own, width = opening.own(segment, u), segment["words"]
            try:
                words = unpack(data, segment["bits"], len(own) * width)
            except ValueError as error:
                raise FaultyClientError(u, str(error)) from None
            rows.append({j: words[width * i : width * i + width] for i, j in enumerate(own)})
        return rows

    def check_statement(self, opening: Opening, u: int, message: Fields) -> None:
        """Malicious setting."""
        if message["sum"] != opening.sum:
            raise UnexpectedMessageError("a statement about another sum")
        parts = self.setup.view_parts(opening, self.inputs)
        verify(self.adverts[u]["identity"], message["signature"], "consistency", *parts)

    def receive_statements(self, opening: Opening, heard: Mapping[int, Fields]) -> dict[int, Fields]:
        """Step 4, malicious setting: to each who signed, the signatures of t others, in the order they came."""
        self.enough(len(heard))
        told = {}
        for u in heard:
            others = [v for v in heard if v != u][: self.params["threshold"]]
            told[u] = {"sum": opening.sum, "signatures": {v: heard[v]["signature"] for v in others}}
        return told

    def check_unmasking(self, opening: Opening, u: int, message: Fields) -> None:
        if message["sum"] != opening.sum or not message["shares"].keys() <= set(self.peers(u)):
            raise UnexpectedMessageError("an answer to another question")

    def open_sum(self, opening: Opening, heard: Mapping[int, Fields]) -> dict[str, list[list[int]]]:
        """Step 5: Unmasking messages by id. Returns by segment the summed rows, as residues; a dense one has one."""
        self.enough(len(heard))
        one, inputs = opening.sum, self.inputs
        seeds = [((u,), 1, self.secret(opening, u, "b", heard)) for u in sorted(inputs)]
        for lost in sorted(set(opening.live) - inputs.keys()):
            if survivors := self.masked_with(lost):
                m = self.secret(opening, lost, "m", heard)
                seeds += [((u, lost), 1 if u < lost else -1, self.pair_seed(one, u, lost, m)) for u in survivors]
        uploads = {u: self.uploaded(opening, u, message) for u, message in inputs.items()}
        opened = {}
        for i, segment in enumerate(sum_of(self.params, one)["segments"]):
            name, bits = segment["name"], segment["bits"]
            total = {j: [0] * segment["words"] for j in opening.own(segment)}
            for rows in uploads.values():
                add(total, rows[i], 1, bits)
            for clients, sign, seed in seeds:
                add(total, mask(self.setup, opening, segment, seed, *clients), -sign, bits)
            opened[name] = list(total.values())
        return opened

    def secret(self, opening: Opening, owner: int, kind: str, heard: Mapping[int, Fields]) -> bytes:
        """The secret from the first t shares that match their hashes; its owner is named if it is none."""
        name = opening.sum, kind
        good = {
            v: heard[v]["shares"][owner]
            for v in self.peers(owner)
            if v in heard and owner in heard[v]["shares"] and self.matches(owner, v, name, heard[v]["shares"][owner])
        }
        if len(good) < self.params["threshold"]:
            raise TooFewSurvivorsError("good shares")
        try:
            secret = shamir.reconstruct(dict(list(good.items())[: self.params["threshold"]]))
        except ValueError as error:
            raise FaultyClientError(owner, str(error)) from None
        advert, at = self.adverts[owner], 32 * names(self.params, "m", "b").index(name)
        if commitment(self.session, advert["identity"], name, secret) != advert["commitments"][at : at + 32]:
            raise FaultyClientError(owner, "its shares give another secret than it committed to")
        return secret

    def pair_seed(self, one: str, survivor: int, lost: int, m: bytes) -> bytes:
        """The seed of a pair from the lost end's m: its half, or what its half finds under the survivor's pad."""
        own = half(m, self.setup.root, one, survivor)
        if not self.matches(lost, survivor, (one, "half"), own):
            raise FaultyClientError(lost, "the half it dealt is not derived from its secret")
        if lost < survivor:
            return own
        seed = pad(self.inputs[survivor]["pads"][lost], own)
        if not self.matches(survivor, lost, (one, "half"), seed):
            raise FaultyClientError(survivor, "its pad does not hold the half it dealt")
        return seed

    def matches(self, dealer: int, holder: int, name: tuple[str, str], value: bytes) -> bool:
        """Whether a value is the one whose hash its dealer signed."""
        if dealer not in self.bundles:
            return False
        at = 32 * names(self.params, "m", "b", "half").index(name)
        hashes = self.bundles[dealer][holder]["hashes"]
        return self.setup.value_hash(dealer, holder, name, value) == hashes[at : at + 32]

    def masked_with(self, lost: int) -> list[int]:
        """Survivors whose input carries a mask with a lost client."""
        return [u for u in self.peers(lost) if u in self.inputs and lost not in self.inputs[u]["refused"]]

    def peers(self, client: int) -> list[int]:
        """Its live neighbours, ascending."""
        return [v for v in self.setup.neighbours(client) if v in self.live]

    def enough(self, count: int) -> None:
        if count <= self.params["threshold"]:
            raise TooFewSurvivorsError("clients")
