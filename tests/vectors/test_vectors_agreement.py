"""The library and the reference in lockstep, on random small sessions: every frame, every result and every failure.

Each client is two, a library's and a reference's with the same secrets; so is the server. All of them see the same
frames. What only one of them can have sealed is that one's bundle: chance says whose goes out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from cases.plain import plain
from hypothesis import event, given, settings
from hypothesis import strategies as st
from library import DIRECTIONS, LibraryHost, LibraryNode, LibraryRoundNode, array, fields_of, load, params_of
from reference import masks, rounds, shamir, transcript
from reference.errors import ProtocolError
from reference.messages import Fields, frame, parse
from reference.union import UnionPlan, murmur3
from runs import About, Host, Material, Node, Part, RoundHost, RoundNode, fresh, losing, materials, play

import psu
from native import field, ring
from native.hashing import murmur3_x64_128
from securefl import errors, secagg, submodel
from securefl.secagg import Server
from securefl.submodel import SubmodelServer, indexset
from securefl.transcript import Label, derive, digest, encode, transcript_hash

INPUTS, SHARES = "MaskedInput", "ShareKeys"


# ---- a client and a server that are two ----


@dataclass
class Pair:
    """One client in both implementations."""

    reference: Node
    library: LibraryNode
    kind: str
    sends_library: bool
    """Whose ShareKeys goes out."""
    spoils: int | None = None
    """A neighbour that gets a signed box which does not open."""

    def answer(self, name: str, m: Fields) -> tuple[str, Fields]:
        try:
            answers, ours = self.reference.answer(name, m)
        except ProtocolError as error:
            with pytest.raises(getattr(errors, type(error).__name__)):
                self.library.answer(frame(name, m))
            raise
        _, theirs = parse(self.library.answer(frame(name, m)), f"{self.kind}, to the server")
        if answers == SHARES:
            self.check_bundles(ours, theirs)
            return answers, self.spoilt(theirs if self.sends_library else ours)
        assert frame(answers, theirs) == frame(answers, ours)
        return answers, ours

    def check_bundles(self, ours: Fields, theirs: Fields) -> None:
        """The same values are hashed."""
        hashes = [{v: bundle["hashes"] for v, bundle in m["bundles"].items()} for m in (ours, theirs)]
        assert hashes[0] == hashes[1]

    def spoilt(self, m: Fields) -> Fields:
        if self.spoils not in m["bundles"]:
            return m
        client, bundle = self.reference.client, m["bundles"][self.spoils]
        box = bundle["box"][:-1] + bytes((bundle["box"][-1] ^ 1,))
        bundles = m["bundles"] | {self.spoils: bundle | {"box": box}}
        return client.setup.sign_bundles(client.id, client.identity, bundles)


class PairHost:
    """The server in both implementations, in the place of a `Host`."""

    def __init__(self, reference: Host, library: LibraryHost) -> None:
        self.reference, self.library = reference, library
        self.check = reference.check
        self.survivors: dict[str, list[int]] = {}

    def start(self) -> Any:
        name, told = self.reference.start()
        self.asked = list(told)
        assert self.library.start() == {u: frame(name, m) for u, m in told.items()}
        return name, told

    def close(self, name: str, heard: Mapping[int, Fields]) -> Any:
        """Both servers go on alike, or fail alike."""
        up = {u: frame(name, heard[u]) if u in heard else b"" for u in self.asked}
        try:
            told = self.reference.close(name, heard)
        except ProtocolError as error:
            with pytest.raises(getattr(errors, type(error).__name__)):
                self.library.close(up, up.keys() - heard.keys())
            raise
        asks, messages = told or ("", {})
        assert self.library.close(up, up.keys() - heard.keys()) == {u: frame(asks, m) for u, m in messages.items()}
        if name == INPUTS:
            self.survivors[self.reference.opening.sum] = sorted(self.reference.server.inputs)
        self.asked = list(messages)
        return told


def both_play(host: PairHost, pairs: Mapping[int, Pair], kind: str, lost: Mapping[int, Sequence[Any]]) -> bool:
    """Whether the session came to its end; then both servers have the same results."""
    try:
        play(host, pairs, kind, losing(lost))  # type: ignore[arg-type]
    except ProtocolError as error:
        event(type(error).__name__)
        return False
    event("finished" if not any(lost.values()) else "finished with losses")
    assert host.library.results() == host.reference.results
    assert not host.library.server.faults
    return True


# ---- plain sums ----

SEGMENT = st.builds(
    lambda bits, words: {"bits": bits, "words": words, "by_rows": False}, st.integers(2, 64), st.integers(1, 9)
)


@st.composite
def plain_params(draw: st.DrawFn) -> Fields:
    malicious, sparse = draw(st.sampled_from([(False, False), (True, False), (False, True)]))
    clients = draw(st.integers(6, 8) if sparse else st.integers(3, 5))
    colluders = draw(st.integers(0, 1))
    least = (clients - 1 + colluders) // 2 + 1 if malicious else 2
    sums = [
        {"name": f"sum {name}", "segments": [{"name": f"{i}"} | g for i, g in enumerate(segments)]}
        for name, segments in enumerate(
            draw(st.lists(st.lists(SEGMENT, min_size=1, max_size=3), min_size=1, max_size=2))
        )
    ]
    return {
        "clients": clients,
        "threshold": draw(st.integers(least, 4 if sparse else clients - 1)),
        "colluders": colluders,
        "kem": draw(st.sampled_from(["x25519", "x25519", "x25519-mlkem768"])),
        "sums": sums,
        "degree": 4 if sparse else None,
        "plan": draw(st.binary(max_size=32)),
        "setting": "malicious" if malicious else "semi_honest",
        "min_survivors": draw(st.none() | st.integers(1, clients)),
    }


@st.composite
def losses(draw: st.DrawFn, clients: int, events: Sequence[tuple[str, Any]]) -> dict[int, list[tuple[str, Any]]]:
    """Seldom, and at any step but the first: there, ids would change."""
    return {u: [e for e in events if draw(st.integers(0, 9)) == 9] for u in range(1, clients + 1)}


def events_of(params: Fields, *more: tuple[str, Any]) -> list[tuple[str, Any]]:
    kinds = (INPUTS, "ConsistencyCheck", "Unmasking")
    return [(SHARES, None), *((kind, s["name"]) for s in params["sums"] for kind in kinds), *more]


def values(draw: st.DrawFn, bits: int, words: int) -> list[int]:
    return draw(st.lists(st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1), min_size=words, max_size=words))


def clear(inputs: Sequence[Sequence[int]], bits: int) -> list[int]:
    return [sum(column) % 2**bits for column in zip(*inputs, strict=True)]


def check_plain_sums(data: st.DataObject) -> None:
    params = data.draw(plain_params())
    name, lost = data.draw(st.text(max_size=9)), data.draw(losses(params["clients"], events_of(params)))
    drawn = materials(name, params, params["clients"])
    invited = {u: m.public for u, m in drawn.items()}
    inputs = {
        u: {s["name"]: [[values(data.draw, g["bits"], g["words"])] for g in s["segments"]] for s in params["sums"]}
        for u in drawn
    }
    spoiler = data.draw(st.sampled_from([None, (1, 2), (3, 1)]))
    pairs = {
        u: Pair(
            Node(m, invited.values(), inputs[u]),
            LibraryNode(m, params, invited.values(), inputs[u]),
            "plain sums",
            data.draw(st.booleans()),
            spoiler[1] if spoiler and spoiler[0] == u and params["colluders"] else None,
        )
        for u, m in drawn.items()
    }
    session = fresh(32, name)
    server = Server(params_of(params).check(), invited.values(), session=session)
    host = PairHost(Host(session, params, invited), LibraryHost(server, (secagg.to_client, secagg.to_server), invited))
    if not both_play(host, pairs, "plain sums", lost):
        return
    for s in params["sums"]:
        for i, g in enumerate(s["segments"]):
            summed = clear([inputs[u][s["name"]][i][0] for u in host.survivors[s["name"]]], g["bits"])
            assert host.reference.results[s["name"]][g["name"]] == [summed]


test_plain_sums_in_lockstep = settings(max_examples=40)(given(st.data())(check_plain_sums))
test_plain_sums_at_length = pytest.mark.slow(settings(max_examples=300)(given(st.data())(check_plain_sums)))

# ---- submodel rounds ----

ITEMS, CATEGORY_OF = 6, [0, 0, 1, 1, 1, 2]
WIDTHS = {"items": 2, "categories": 1}
UNION = UnionPlan("bitmap", ITEMS, expected_union=3, clients=16, cells=ITEMS, bits=8, hashes=1)


def round_params(draw: st.DrawFn) -> tuple[Fields, Fields]:
    clients, malicious = draw(st.integers(3, 5)), draw(st.booleans())
    threshold = draw(st.integers((clients - 1) // 2 + 1 if malicious else 2, clients - 1))
    ring_bits = draw(st.sampled_from([18, 32, 33, 64]))
    how = {"bits": 8, "clip": 1.0, "weight_max": 10}
    rows = {"items": ITEMS, "categories": max(CATEGORY_OF) + 1}
    hashes = {"items": b"", "categories": rounds.map_hash(CATEGORY_OF)}
    plan = {
        "union": UNION.to_bytes(),
        "response": ["1", "0", "1", "0"],
        "tables": [{"name": t, "rows": rows[t], "width": WIDTHS[t], "map_hash": hashes[t]} for t in WIDTHS],
        "dense": draw(st.integers(1, 3)),
        "row_floor": draw(st.integers(1, 3)),
        "ring_bits": ring_bits,
        "row_quantization": how,
        "dense_quantization": how,
        "training": [],
        "noise": None,
    }
    segments = [{"name": "dense", "bits": ring_bits, "words": plan["dense"] + 1, "by_rows": False}]
    segments += [{"name": t, "bits": ring_bits, "words": WIDTHS[t] + 1, "by_rows": True} for t in WIDTHS]
    cells = {"name": "cells", "bits": 8, "words": ITEMS, "by_rows": False}
    params = {
        "clients": clients,
        "threshold": threshold,
        "colluders": 0,
        "kem": "x25519",
        "sums": [{"name": "union", "segments": [cells]}, {"name": "update", "segments": segments}],
        "degree": None,
        "plan": rounds.plan_hash(plan),
        "setting": "malicious" if malicious else "semi_honest",
        "min_survivors": draw(st.none() | st.integers(1, clients)),
    }
    return params, plan


def part(draw: st.DrawFn, plan: Fields) -> Part:
    """Cells that cannot cancel; a claim; an update of some claimed rows."""
    claims = sorted(draw(st.sets(st.integers(0, ITEMS - 1))))
    cells = [1 if i in claims else 0 for i in range(ITEMS)]
    trained = sorted(i for i in claims if draw(st.booleans()))
    touched = {"items": trained, "categories": rounds.followed(trained, CATEGORY_OF)}
    rows = {t: {j: values(draw, plan["ring_bits"], WIDTHS[t] + 1) for j in touched[t]} for t in WIDTHS}
    return Part(cells, claims, values(draw, plan["ring_bits"], plan["dense"] + 1), rows)


def check_rounds(data: st.DataObject) -> None:
    params, plan = round_params(data.draw)
    name, lost = (
        data.draw(st.text(max_size=9)),
        data.draw(losses(params["clients"], events_of(params, ("Claim", None)))),
    )
    lost = {u: [e for e in events if e != (INPUTS, "union")] for u, events in lost.items()}  # its claims stay in it
    drawn: dict[int, Material] = materials(name, params, params["clients"])
    invited = {u: m.public for u, m in drawn.items()}
    model = {"items": 2 * ITEMS, "categories": max(CATEGORY_OF) + 1}
    halves = {t: np.frombuffer(fresh(2 * size, t), "<u2") & 0x3FFF for t, size in model.items()}
    dense = np.arange(plan["dense"], dtype="<f2")
    about = About(plan, {"categories": CATEGORY_OF}, dense.tobytes(), {t: h.tobytes() for t, h in halves.items()})
    parts = {u: part(data.draw, plan) for u in drawn}
    pairs = {
        u: Pair(
            RoundNode(m, invited.values(), about, parts[u]),
            LibraryRoundNode(m, params, invited.values(), about.maps, parts[u]),
            "submodel round",
            data.draw(st.booleans()),
        )
        for u, m in drawn.items()
    }
    session = fresh(32, name)
    invitation = frame("RoundInvitation", {"session": session, "params": params, "plan": plan})
    server = SubmodelServer(
        params_of(params).check(),
        submodel.to_client.decode(invitation).plan,
        dense.astype(np.float32),
        {t: h.view("<f2").astype(np.float32).reshape(-1, WIDTHS[t]) for t, h in halves.items()},
        invited.values(),
        maps={"categories": array(CATEGORY_OF)},
        session=session,
    )
    library = LibraryHost(server, (submodel.to_client, submodel.to_server), invited)
    host = PairHost(RoundHost(session, params, invited, about), library)
    if both_play(host, pairs, "submodel round", lost):
        check_update(host, params, plan, parts)


def check_update(host: PairHost, params: Fields, plan: Fields, parts: Mapping[int, Part]) -> None:
    """The dense sum and that of every row that went up, in the clear."""
    survivors, bits = host.survivors["update"], plan["ring_bits"]
    opened = host.reference.results["update"]
    assert opened["dense"] == [clear([parts[u].dense for u in survivors], bits)]
    live, floor = host.reference.opening.live, rounds.row_floor(params, plan, len(host.reference.opening.live))
    for table, public_map in (("items", None), ("categories", CATEGORY_OF)):
        claimed = {u: rounds.followed(parts[u].claims, public_map) for u in live}
        up = [j for j in range(ITEMS) if sum(j in rows for rows in claimed.values()) >= floor]
        zeros = [0] * (WIDTHS[table] + 1)
        summed = [clear([parts[u].rows[table].get(j, zeros) for u in survivors] or [zeros], bits) for j in up]
        assert opened[table] == summed


test_rounds_in_lockstep = settings(max_examples=40)(given(st.data())(check_rounds))
test_rounds_at_length = pytest.mark.slow(settings(max_examples=300)(given(st.data())(check_rounds)))

# ---- frames ----

FRAMES = [(v["direction"], bytes.fromhex(v["frame"])) for v in load("frames.json")["accepted"]]
CODES = (
    0x00,
    0x7F,
    0x80,
    0x90,
    0xA0,
    0xC0,
    0xC2,
    0xC3,
    0xC4,
    0xC5,
    0xCA,
    0xCB,
    0xCC,
    0xCD,
    0xCE,
    0xCF,
    0xD9,
    0xDC,
    0xDE,
)


def check_frames(data: st.DataObject) -> None:
    """A changed frame is the same message to both, or none to both. (Why it is none, they may say differently.)"""
    direction, original = data.draw(st.sampled_from(FRAMES))
    start = data.draw(st.integers(0, min(len(original), 90) - 1))
    end = start + data.draw(st.integers(0, 3))
    piece = data.draw(st.binary(max_size=3) | st.sampled_from(CODES).map(lambda code: bytes((code,))))
    changed = original[:start] + piece + original[end:]
    codec, _ = DIRECTIONS[direction]
    try:
        name, fields = parse(changed, direction)
    except ProtocolError:
        with pytest.raises(errors.MessageError):
            codec.decode(changed)
        return
    message = codec.decode(changed)
    assert (type(message).__name__, fields_of(message)) == (name, plain(fields))


test_changed_frames = settings(max_examples=300)(given(st.data())(check_frames))
test_changed_frames_at_length = pytest.mark.slow(settings(max_examples=5000)(given(st.data())(check_frames)))

# ---- single functions ----


@given(st.sampled_from(Label), st.lists(st.binary(max_size=9) | st.text(max_size=5) | st.integers(0, 2**64 - 1)))
def test_transcripts_agree(label: Label, parts: list[bytes | str | int]) -> None:
    name = label.value.decode().removeprefix("securefl/v1/")
    assert transcript.encode(name, *parts) == encode(label, *parts)
    assert transcript.digest(name, *parts) == digest(label, *parts)
    assert transcript.transcript_hash(name, *parts) == transcript_hash(label, *parts)
    assert transcript.derive(bytes(32), name, *parts, size=64) == derive(bytes(32), label, *parts, size=64)


@given(st.integers(1, 64), st.lists(st.integers(0, 2**64 - 1), max_size=20))
def test_packing_agrees(bits: int, numbers: list[int]) -> None:
    words = np.array(numbers, np.uint64)
    assert masks.pack(numbers, bits) == ring.pack(words, bits)
    assert masks.unpack(masks.pack(numbers, bits), bits, len(numbers)) == [n % 2**bits for n in numbers]


@given(st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32), st.integers(1, 64), st.integers(1, 40))
def test_streams_agree(key: bytes, row: bytes, bits: int, words: int) -> None:
    dtype = np.uint32 if bits <= 32 else np.uint64
    dense, rows = np.zeros(words, dtype), np.zeros((1, words), dtype)
    ring.add_streams(dense, key)
    ring.add_row_streams(rows, row + key, np.frombuffer(row, np.uint8)[None])
    assert masks.dense_mask(key, words, bits) == [word % 2**bits for word in dense.tolist()]
    assert masks.row_mask(row, key, row, words, bits) == [word % 2**bits for word in rows[0].tolist()]


@given(st.binary(min_size=32, max_size=32), st.integers(1, 5), st.data())
def test_sharing_agrees(secret: bytes, threshold: int, data: st.DataObject) -> None:
    points = data.draw(st.lists(st.integers(1, 2**24), min_size=threshold, max_size=6, unique=True))
    numbers = st.lists(st.integers(0, shamir.PRIME - 1), min_size=5, max_size=5)
    rows = data.draw(st.lists(numbers, min_size=threshold - 1, max_size=threshold - 1))
    random = b"".join(number.to_bytes(8, "little") for row in rows for number in row)
    shared = field.share(
        np.frombuffer(secret, np.uint8)[None], threshold, np.array(points, np.uint64), lambda _: random
    )
    ours = {x: shamir.share(secret, rows, x) for x in points}
    assert list(ours.values()) == [words.astype("<u8").tobytes() for words in shared[0]]
    assert shamir.reconstruct(dict(list(ours.items())[:threshold])) == secret


@given(st.integers(0, 2**64 - 1))
def test_hashes_agree(index: int) -> None:
    assert list(murmur3(index)) == murmur3_x64_128(np.array([index], np.uint64))[0].tolist()


@given(st.sampled_from(["bitmap", "filter"]), st.integers(1, 60), st.integers(2, 32), st.integers(1, 32), st.data())
def test_unions_agree(kind: str, universe: int, bits: int, hashes: int, data: st.DataObject) -> None:
    cells = universe if kind == "bitmap" else data.draw(st.integers(1, 90))
    numbers = (kind, universe, 1, 2, cells, bits, 1 if kind == "bitmap" else hashes)
    ours, theirs = UnionPlan(*numbers), psu.UnionPlan(*numbers)
    assert ours.to_bytes() == theirs.to_bytes()
    indices = sorted(data.draw(st.sets(st.integers(0, universe - 1))))
    encoded = psu.encode(theirs, indices)
    assert np.flatnonzero(encoded).tolist() == ours.occupied(indices)
    assert ours.decode(encoded.tolist()) == psu.decode(theirs, encoded).tolist()


@given(st.integers(0, 300), st.data())
def test_index_sets_agree(size: int, data: st.DataObject) -> None:
    indices = sorted(data.draw(st.sets(st.integers(0, size - 1)))) if size else []
    encoded = rounds.encode_index_set(indices, size)
    assert encoded == indexset.encode(np.array(indices, np.int64), size)
    assert rounds.decode_index_set(encoded, size) == indices


@given(st.integers(1, 64), st.binary(max_size=12))
def test_what_is_no_index_set_is_none_for_both(size: int, encoded: bytes) -> None:
    try:
        ours = rounds.decode_index_set(encoded, size)
    except ProtocolError:
        with pytest.raises(errors.MessageError):
            indexset.decode(encoded, size)
    else:
        assert indexset.decode(encoded, size).tolist() == ours
