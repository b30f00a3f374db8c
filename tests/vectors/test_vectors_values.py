"""The library agrees with the vectors of everything below a session."""

from __future__ import annotations

from itertools import combinations
from typing import Any, get_args

import msgspec
import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from library import DIRECTIONS, fields_of, load, params_of

import bloom
import psu
from native import field, ring
from securefl import secagg, submodel
from securefl.crypto import CryptoError, Identity, suite, verify
from securefl.errors import ConfigurationError, MessageError
from securefl.secagg import Graph, Opening, Params
from securefl.secagg.bundles import check_bundle, check_bundles, sign_bundles
from securefl.secagg.consistency import View
from securefl.secagg.dealing import half, value_hash
from securefl.secagg.keys import check_advert, commitment
from securefl.secagg.masking import Masks
from securefl.secagg.messages import AdvertiseKeys, Bundle, SignedBundle
from securefl.secagg.setup import SetUp
from securefl.secagg.tree import Tree
from securefl.secagg.uploading import pad_key, xor
from securefl.submodel import SubmodelPlan, indexset, map_hash
from securefl.submodel.rows import ClaimedRows, pack_claimants, row_digests, unpack_claimants, update_opening
from securefl.transcript import Label, derive, digest, encode, transcript_hash

TRANSCRIPT, FRAMES, SHAMIR, SETUP, MASKS, ROUNDS = (
    load(f"{name}.json") for name in ("transcript", "frames", "shamir", "setup", "masks", "rounds")
)
SENTENCES = {
    "length": "bytes; 2 to",
    "version": "unknown version",
    "malformed": "no message of this protocol",
    "not canonical": "not in canonical form",
}


def each(vectors: list[dict[str, Any]], name: str = "why") -> pytest.MarkDecorator:
    """One test for each vector."""
    return pytest.mark.parametrize("vector", vectors, ids=[str(v.get(name, i)) for i, v in enumerate(vectors)])


def raw(vector: dict[str, Any], *keys: str) -> list[bytes]:
    return [bytes.fromhex(vector[key]) for key in keys]


# ---- transcript.json ----


def test_the_labels() -> None:
    assert TRANSCRIPT["labels"] == {label.name: label.value.hex() for label in Label}


@each(TRANSCRIPT["cases"], "label")
def test_transcript(vector: dict[str, Any]) -> None:
    label = Label(b"securefl/v1/" + vector["label"].encode())
    parts = [bytes.fromhex(v) if t == "bytes" else v for part in vector["parts"] for t, v in part.items()]
    assert encode(label, *parts).hex() == vector["encode"]
    assert digest(label, *parts).hex() == vector["digest"]
    assert transcript_hash(label, *parts).hex() == vector["transcript_hash"]
    for size, derived in vector["derive"].items():
        assert derive(bytes.fromhex(vector["key"]), label, *parts, size=int(size)).hex() == derived


# ---- frames.json ----


@each(FRAMES["accepted"], "message")
def test_a_frame_and_its_fields(vector: dict[str, Any]) -> None:
    codec, frame = DIRECTIONS[vector["direction"]][0], bytes.fromhex(vector["frame"])
    message = codec.decode(frame)
    assert type(message).__name__ == vector["message"]
    assert fields_of(message) == vector["fields"]
    assert codec.encode(message) == frame


def test_every_message_and_direction_has_a_frame() -> None:
    kinds = {direction: {kind.__name__ for kind in get_args(union)} for direction, (_, union) in DIRECTIONS.items()}
    assert kinds == {direction: set(names) for direction, names in FRAMES["directions"].items()}
    assert {v["message"] for v in FRAMES["accepted"]} == {m for ms in FRAMES["directions"].values() for m in ms}


@each(FRAMES["refused"])
def test_a_frame_that_is_none(vector: dict[str, Any]) -> None:
    assert vector["error"] == "MessageError"
    with pytest.raises(MessageError, match=SENTENCES[vector["reason"]]):
        DIRECTIONS[vector["direction"]][0].decode(bytes.fromhex(vector["frame"]))


# ---- shamir.json ----


def words_of(shares: list[str]) -> np.ndarray:
    return np.frombuffer(bytes.fromhex("".join(shares)), "<u8").astype(np.uint64).reshape(1, len(shares), 5)


@each(SHAMIR["shared"], "threshold")
def test_shares(vector: dict[str, Any]) -> None:
    secret, threshold = np.frombuffer(bytes.fromhex(vector["secret"]), np.uint8), vector["threshold"]
    points, shares = np.array([int(x) for x in vector["shares"]], np.uint64), list(vector["shares"].values())
    drawn = b"".join(c.to_bytes(8, "little") for row in vector["coefficients"] for c in row)
    assert (field.share(secret[None], threshold, points, lambda _: drawn) == words_of(shares)).all()
    for chosen in map(list, combinations(range(points.size), threshold)):
        words = words_of([shares[i] for i in chosen])
        assert (field.reconstruct(points[chosen], words, threshold) == secret).all()


@each(SHAMIR["refused"])
def test_shares_of_no_secret(vector: dict[str, Any]) -> None:
    points, words = np.array([int(x) for x in vector["shares"]], np.uint64), words_of(list(vector["shares"].values()))
    with pytest.raises(field.FieldError):
        field.reconstruct(points, words, points.size)


# ---- setup.json ----


def key_of(private: str) -> Identity:
    return Identity(Ed25519PrivateKey.from_private_bytes(bytes.fromhex(private)))


def setup_of(vector: dict[str, Any], size: int = 4) -> SetUp:
    session, root = raw(vector, "session", "root")
    return SetUp(session, params_of(vector["params"]), root, size)


@each(SETUP["params"], "hash")
def test_params(vector: dict[str, Any]) -> None:
    params = params_of(vector["params"])
    assert msgspec.msgpack.encode(params).hex() == vector["packed"]
    assert params.hash.hex() == vector["hash"]


@each(SETUP["kept"], "clients")
def test_params_that_can_be_kept(vector: dict[str, Any]) -> None:
    assert params_of(vector).check().clients == vector["clients"]


@each(SETUP["not_kept"])
def test_params_that_cannot_be_kept(vector: dict[str, Any]) -> None:
    assert vector["error"] == "ConfigurationError"
    with pytest.raises(ConfigurationError, match=f"^{vector['setting']}: "):
        params_of(vector["params"]).check()


def test_a_signature() -> None:
    vector = SETUP["signatures"]["accepted"]
    public, signature = raw(vector, "public", "signature")
    verify(public, signature, Label.DEALING, vector["part"])


@each(SETUP["signatures"]["refused"])
def test_a_signature_that_is_refused(vector: dict[str, Any]) -> None:
    public, signature = raw(vector, "public", "signature")
    assert (vector["label"], vector["error"]) == ("dealing", "CryptoError")
    with pytest.raises(CryptoError):
        verify(public, signature, Label.DEALING, vector["part"])


def test_an_advert() -> None:
    v = SETUP["advert"]
    params, identity, (session,) = params_of(v["params"]), key_of(v["identity"]), raw(v, "session")
    assert identity.public.hex() == v["public_identity"]
    assert suite("x25519").restore(bytes.fromhex(v["channel"])).public.hex() == v["public_channel"]
    for name, secret in v["secrets"].items():
        one, kind = name.split()
        made = commitment(session, identity.public, (one, kind), bytes.fromhex(secret))
        assert made.hex() == v["commitments"][name]
    channel, signature = raw(v, "public_channel", "signature")
    commitments = bytes.fromhex("".join(v["commitments"].values()))
    assert identity.sign(Label.ADVERT, session, params.hash, identity.public, channel, commitments) == signature
    check_advert(session, params, {identity.public}, AdvertiseKeys(identity.public, channel, commitments, signature))


@each(SETUP["graph"], "size")
def test_the_graph(vector: dict[str, Any]) -> None:
    graph = Graph(vector["size"], vector["degree"], bytes.fromhex(vector["root"]))
    assert {str(u): list(graph.neighbours(u)) for u in range(1, graph.size + 1)} == vector["neighbours"]


def test_a_bundle() -> None:
    v = SETUP["dealt"]
    setup, dealer, holder, identity = setup_of(v), v["dealer"], v["holder"], key_of(v["identity"])
    box, signature, m = raw(v, "box", "signature", "m")
    assert [" ".join(name) for name in setup.dealt] == list(v["values"])
    for name, value in v["values"].items():
        one, kind = name.split()
        made = value_hash(setup.session, dealer, holder, (one, kind), bytes.fromhex(value))
        assert made.hex() == v["hashes"][name]
        if kind == "half":
            assert half(m, setup.root, one, holder).hex() == value
    path = bytes.fromhex(v["paths"][str(holder)])
    bundle = SignedBundle(box, bytes.fromhex("".join(v["hashes"].values())), path, signature)
    assert encode(Label.BOX, setup.session, setup.root, dealer, holder).hex() == v["info"]
    check_bundle(setup, dealer, holder, identity.public, bundle)
    for others in ((holder, dealer), (dealer, holder + 1), (dealer + 1, holder)):
        with pytest.raises(CryptoError):
            check_bundle(setup, *others, identity.public, bundle)


def test_a_dealing() -> None:
    v = SETUP["dealt"]
    setup, dealer, identity = setup_of(v), v["dealer"], key_of(v["identity"])
    bundles = {int(u): Bundle(*raw(other, "box", "hashes")) for u, other in v["others"].items()}
    bundles[v["holder"]] = Bundle(*raw(v, "box"), bytes.fromhex("".join(v["hashes"].values())))
    message = sign_bundles(setup, dealer, identity, bundles)
    assert message.signature.hex() == v["signature"]
    shown = check_bundles(setup, dealer, identity.public, message)
    assert {str(u): bundle.path.hex() for u, bundle in shown.items()} == v["paths"]
    for u, bundle in shown.items():
        check_bundle(setup, dealer, u, identity.public, bundle)
    assert Tree([bytes.fromhex(leaf) for leaf in v["leaves"]]).root.hex() == v["tree_root"]


@each(SETUP["boxes"], "kem")
def test_a_box_opens(vector: dict[str, Any]) -> None:
    private, public, info, plaintext, box = raw(vector, "private", "public", "info", "plaintext", "box")
    key = suite(vector["kem"]).restore(private)
    assert key.public == public
    assert key.open(box, info) == plaintext
    assert len(box) == len(plaintext) + suite(vector["kem"]).overhead


@each(SETUP["refused_boxes"])
def test_a_box_that_does_not_open(vector: dict[str, Any]) -> None:
    key = suite("x25519").restore(bytes.fromhex(SETUP["boxes"][0]["private"]))
    info, box = raw(vector, "info", "box")
    assert vector["error"] == "CryptoError"
    with pytest.raises(CryptoError):
        key.open(box, info)


@each(SETUP["pads"], "pad")
def test_pads(vector: dict[str, Any]) -> None:
    seed, half_of_higher, pad = raw(vector, "pair_seed", "half_of_higher", "pad")
    assert xor(seed, pad_key(half_of_higher)) == pad


def test_a_view() -> None:
    v = SETUP["view"]
    live, survivors, identity = frozenset(v["live"]), frozenset(v["survivors"]), key_of(v["identity"])
    view = View(setup_of(v, 300), v["sum"], bytes.fromhex(v["binding"]), live, survivors)
    assert [p.hex() if isinstance(p, bytes) else p for p in view.signed()] == v["parts"]
    assert view.sign(identity).signature.hex() == v["signature"]
    with pytest.raises(CryptoError):
        verify(identity.public, bytes.fromhex(v["signature"]), Label.BUNDLE, *view.signed())


# ---- masks.json ----


@each(MASKS["contexts"], "sum")
def test_a_context(vector: dict[str, Any]) -> None:
    binding, context = raw(vector, "binding", "context")
    one = secagg.Sum(vector["sum"], (secagg.Segment(vector["segment"], 2, 1),))
    masks = Masks(setup_of(vector), Opening(one, (), binding))
    seed, zeros = bytes(32), np.zeros(1, np.uint32)
    masks.apply([zeros], {1: seed}, {})
    expected = np.zeros(1, np.uint32)
    ring.add_streams(expected, derive(seed, Label.STREAM, context, size=64)[32:])
    assert (zeros == expected).all()


@each(MASKS["keys"], "seed")
def test_stream_keys(vector: dict[str, Any]) -> None:
    seed, context = raw(vector, "seed", "context")
    assert derive(seed, Label.STREAM, context, size=64).hex() == vector["k0"] + vector["k1"]


def ring_dtype(bits: int) -> type[np.uint32] | type[np.uint64]:
    return np.uint32 if bits <= 32 else np.uint64


def cut(words: np.ndarray, bits: int) -> list[int]:
    return [word % 2**bits for word in words.tolist()]


@pytest.mark.parametrize("backend", ring.backends())
@each(MASKS["dense"], "bits")
def test_dense_streams(vector: dict[str, Any], backend: str) -> None:
    skipped = vector["first_block"] * 16 // ring_dtype(vector["bits"])().itemsize
    words = np.zeros(skipped + len(vector["words"]), ring_dtype(vector["bits"]))
    ring.add_streams(words, bytes.fromhex(vector["k1"]), backend=backend)
    assert cut(words[skipped:], vector["bits"]) == vector["words"]


@pytest.mark.parametrize("backend", ring.backends())
@each(MASKS["rows"], "bits")
def test_row_streams(vector: dict[str, Any], backend: str) -> None:
    k0, k1, row, tag = raw(vector, "k0", "k1", "digest", "tag")
    words = np.zeros((1, len(vector["words"])), ring_dtype(vector["bits"]))
    ring.add_row_streams(words, k0 + k1, np.frombuffer(row, np.uint8)[None], backend=backend)
    assert cut(words[0], vector["bits"]) == vector["words"]
    assert len(tag) == 14


@each(MASKS["packed"], "bits")
def test_packing(vector: dict[str, Any]) -> None:
    bits, values, data = vector["bits"], vector["values"], bytes.fromhex(vector["data"])
    assert ring.pack(np.array([v % 2**bits for v in values], ring_dtype(bits)), bits) == data
    assert ring.unpack(data, bits, len(values)).tolist() == [v % 2**bits for v in values]


@each(MASKS["refused"])
def test_packed_bytes_that_are_refused(vector: dict[str, Any]) -> None:
    with pytest.raises(ring.RingError):
        ring.unpack(bytes.fromhex(vector["data"]), vector["bits"], vector["count"])


# ---- rounds.json ----


@each(ROUNDS["unions"], "bytes")
def test_unions(vector: dict[str, Any]) -> None:
    plan = psu.UnionPlan(**vector["plan"])
    assert plan.to_bytes().hex() == vector["bytes"]
    if plan.kind == "filter":
        for index, cells in vector["positions"].items():
            assert bloom.positions([int(index)], plan.cells, plan.hashes)[0].tolist() == cells
    cells = np.array(vector["cells"], np.uint32)
    assert np.flatnonzero(psu.encode(plan, vector["indices"])).tolist() == np.flatnonzero(cells).tolist()
    assert psu.decode(plan, cells).tolist() == vector["decoded"]


@each(ROUNDS["index_sets"], "data")
def test_index_sets(vector: dict[str, Any]) -> None:
    indices, data = np.array(vector["indices"], np.int64), bytes.fromhex(vector["data"])
    assert indexset.encode(indices, vector["size"]) == data
    assert indexset.decode(data, vector["size"]).tolist() == vector["indices"]


@each(ROUNDS["refused_index_sets"])
def test_index_sets_that_are_refused(vector: dict[str, Any]) -> None:
    assert vector["error"] == "MessageError"
    with pytest.raises(MessageError):
        indexset.decode(bytes.fromhex(vector["data"]), vector["size"])


@each(ROUNDS["claimants"], "data")
def test_claimants(vector: dict[str, Any]) -> None:
    live, rows, data = vector["live"], vector["rows"], bytes.fromhex(vector["data"])
    table = np.array([[u in row for u in live] for row in rows], np.bool_).reshape(len(rows), len(live))
    assert pack_claimants(table) == data
    assert (unpack_claimants(data, len(rows), len(live)) == table).all()


@each(ROUNDS["rows"], "table")
def test_row_hashes(vector: dict[str, Any]) -> None:
    session, data = raw(vector, "session", "data")
    rows = ClaimedRows(np.array([vector["index"]]), np.frombuffer(data, np.uint8)[None], np.ones((1, 1), np.bool_))
    assert row_digests(session, vector["table"], rows).tobytes().hex() == vector["digest"]


def test_the_binding() -> None:
    union, dense, binding = raw(ROUNDS["binding"], "union", "dense", "binding")
    one = secagg.Sum("update", (secagg.Segment("dense", 24, 4),))
    assert update_opening(bytes(32), 1, one, (1, 2, 3), union, dense, {}).binding == binding


def test_the_plan_and_the_map() -> None:
    frame = next(v["frame"] for v in FRAMES["accepted"] if v["message"] == "RoundInvitation")
    plan = submodel.to_client.decode(bytes.fromhex(frame)).plan
    assert isinstance(plan, SubmodelPlan)
    assert fields_of(plan) == ROUNDS["plan"]["plan"]
    assert plan.hash.hex() == ROUNDS["plan"]["hash"]
    assert map_hash(np.array(ROUNDS["map"]["map"])).hex() == ROUNDS["map"]["hash"]


def test_params_are_read_back_from_the_wire() -> None:
    for vector in SETUP["params"]:
        assert msgspec.msgpack.decode(bytes.fromhex(vector["packed"]), type=Params) == params_of(vector["params"])
