"""Whatever a node, the network or the server sends wrong: a named error or a dropped node, and nothing that waits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

pytest.importorskip("flwr", reason="needs flwr: not an importable package")

from flwr.app import ConfigRecord, Context, Message, RecordDict
from flwr.supercore import date
from grid import FakeGrid, make_grid
from hypothesis import given, settings
from hypothesis import strategies as st
from test_flower_sums import FAST, SPECS, N, app, counts, grid, total

from securefl.engine.flower import FOLDER, ArraySpec, Metrics, Post, Terms, enrol, secure_aggregate
from securefl.engine.flower.arrays import ArraysPlan
from securefl.engine.flower.carriage import MESSAGE_TYPE, RECORD
from securefl.errors import ConfigurationError
from securefl.store import NodeStore, read_registry, write_registry


def aggregate(nodes: FakeGrid, terms: Terms = FAST) -> Any:
    return secure_aggregate(nodes, nodes.nodes, SPECS, terms=terms)


def drops(nodes: FakeGrid, sentence: str, terms: Terms = FAST) -> bool:
    """Whether node 102 is out for this reason, and the sum of the others exact."""
    result = aggregate(nodes, terms)
    others = [number for number in range(1, N + 1) if number != 2]
    exact = (result.arrays["counts"] == total(counts, others)).all()
    return bool(exact and sentence in result.lost[102])


def changed(step: str, change: Any) -> FakeGrid:
    """The reply of node 102 at one step is another."""
    return grid(lambda node, name, _: change if (node, name) == (102, step) else None)


def with_frames(*frames: bytes) -> Any:
    def change(reply: Message) -> Message:
        reply.content[RECORD] = ConfigRecord({"frames": list(frames)})
        return reply

    return change


@pytest.mark.parametrize(
    ("frames", "sentence"),
    [
        ((), "0 answers to one message"),
        ((b"",), "a frame of 0 bytes"),
        ((b"\x02\x90",), "a frame of an unknown version"),
        ((b"\x01garbage",), "no message of this protocol"),
        ((b"\x01\x90", b"\x01\x90"), "no message of this protocol"),
    ],
    ids=["none", "empty", "another version", "garbage", "two"],
)
def test_e3_a_reply_that_is_none_drops_its_sender(frames: Any, sentence: str) -> None:
    assert drops(changed("Roster", with_frames(*frames)), sentence)


def test_e3_a_reply_without_a_record_drops_its_sender() -> None:
    def change(reply: Message) -> Message:
        del reply.content[RECORD]
        return reply

    assert drops(changed("Delivery", change), "a message without a record")


def test_e3_a_message_too_large_drops_its_sender() -> None:
    terms = Terms(threshold=3, kem="x25519", deadline=0.5, max_bytes=20_000)
    assert drops(changed("Delivery", with_frames(b"\x01" + bytes(30_000))), "a reply of 30001 bytes", terms)


def test_e3_a_message_too_large_for_a_node_is_refused_by_it() -> None:
    nodes = grid()
    nodes.nodes[102].app = app(max_bytes=500)
    assert drops(nodes, "MessageError: a frame of")


def test_a_server_of_another_version_is_refused_by_every_node() -> None:
    nodes = grid()

    def older(_node: int, step: str, message: Message) -> None:
        record = message.content[RECORD]
        record["frame"] = b"\x02" + record["frame"][1:]

    nodes.fault = older
    with pytest.raises(ConfigurationError, match="another version of this protocol; this node speaks 1"):
        aggregate(nodes)


def test_a_node_whose_clock_is_ahead_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    nodes = grid()
    ahead = nodes.nodes[102].app

    class Ahead:
        def __call__(self, message: Message, context: Context) -> Message:
            with monkeypatch.context() as patch:
                later = date.now().timestamp() + 3600
                patch.setattr("flwr.app.message.message.now", lambda: date.datetime.datetime.fromtimestamp(later))
                return ahead(message, context)

    nodes.nodes[102].app = Ahead()  # type: ignore[assignment]
    assert drops(nodes, "no answer in 0.5 s")


def test_an_identity_at_two_nodes_counts_once(tmp_path: Path) -> None:
    keys = [NodeStore.create(tmp_path / str(number)) for number in range(1, N)]
    for number in range(1, N):
        write_registry(tmp_path / str(number) / "registry.txt", keys)
    nodes = make_grid(
        [app() for _ in range(N)], node_config=lambda i: {FOLDER: str(tmp_path / str(i if i < N else 1))}, run_config={}
    )
    result = aggregate(nodes)
    assert len(result.survivors["sum"]) == N - 1
    assert "an identity that answers at another node as well" in next(iter(result.lost.values()))


def test_a_copied_enrolment_is_refused() -> None:
    nodes, seen = grid(), []

    def copies(node: int, step: str, _message: Message) -> Any:
        if step != "Enrolment":
            return None
        if node == 101:
            return lambda reply: (seen.append(reply.content[RECORD]["frames"]), reply)[1]
        return with_frames(*seen[0]) if node == 102 else None

    nodes.fault = copies
    assert drops(nodes, "whose signature does not verify")


def test_a_node_without_a_folder_refuses_unless_it_is_a_simulation() -> None:
    nodes = grid(run_config={})
    with pytest.raises(ConfigurationError, match="node-config: securefl-home is missing"):
        aggregate(nodes)


def test_a_lost_store_is_named_and_never_made_anew(tmp_path: Path) -> None:
    keys = [NodeStore.create(tmp_path / str(number)) for number in range(1, N + 1)]
    for number in range(1, N + 1):
        write_registry(tmp_path / str(number) / "registry.txt", keys)
    (tmp_path / "2" / "journal.sqlite").unlink()
    nodes = make_grid([app() for _ in range(N)], node_config=lambda i: {FOLDER: str(tmp_path / str(i))}, run_config={})
    result = aggregate(nodes)
    assert "the file is missing. Without it this client could be made to answer a session twice" in result.lost[102]
    assert not (tmp_path / "2" / "journal.sqlite").exists()


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda home: (home / "identity.pem").chmod(0o644), "others may read it"),
        (lambda home: (home / "identity.pem").write_text("no key"), "cannot be read as a private key"),
        (lambda home: (home / "stores.json").write_text("{"), "damaged"),
        (lambda home: (home / "stores.json").unlink(), "there is none"),
    ],
)
def test_a_damaged_folder_is_refused(tmp_path: Path, damage: Any, sentence: str) -> None:
    NodeStore.create(tmp_path / "home")
    damage(tmp_path / "home")
    with pytest.raises(ConfigurationError, match=sentence):
        NodeStore(tmp_path / "home")
    with pytest.raises(ConfigurationError, match="there is one already"):
        NodeStore.create(tmp_path / "home")


def test_a_registry_is_a_list_of_keys(tmp_path: Path) -> None:
    path = tmp_path / "registry.txt"
    path.write_text(f"# ours\n{'ab' * 32}  # one\n\n{'CD' * 32}\n")
    assert read_registry(path) == {b"\xab" * 32, b"\xcd" * 32}
    path.write_text("ab")
    with pytest.raises(ConfigurationError, match="key 1 is not 64 hexadecimal digits"):
        read_registry(path)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_registry(tmp_path / "nowhere")


values = st.one_of(st.integers(-9, 9), st.binary(max_size=40), st.text(max_size=9), st.lists(st.binary(), max_size=2))


@settings(max_examples=30)
@given(st.dictionaries(st.sampled_from(["kind", "session", "frame", "plan", "registry"]), values))
def test_e3_any_record_is_an_answer_or_a_refusal(fields: dict[str, Any]) -> None:
    nodes = grid()
    fields = {"kind": "sums", "session": bytes(32)} | fields
    message = Message(RecordDict({RECORD: ConfigRecord(fields)}), 101, MESSAGE_TYPE)
    reply = nodes.nodes[101].handle(message)
    assert reply.has_error()
    assert reply.error.code == 200
    assert "Error: " in reply.error.reason


def test_e3_a_plan_that_is_another_is_refused() -> None:
    other = msgspec.msgpack.encode(ArraysPlan((ArraySpec("counts", (2, 3), 7),), N, bytes(32)))
    sentences = {b"": "a plan that is none", b"garbage": "a plan that is none", other: "the arrays are not those whose"}
    for tampered, sentence in sentences.items():

        def tampers(node: int, step: str, message: Message, tampered: bytes = tampered) -> None:
            if (node, step) == (102, "Invitation"):
                message.content[RECORD]["plan"] = tampered

        assert drops(grid(tampers), sentence)


def test_metrics_and_logs_hold_nothing_private(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "securefl.engine.flower")
    nodes = grid(lambda node, step, _: "lost" if (node, step) == (102, "Delivery") else None)
    metrics = Metrics(tmp_path / "metrics.prom")
    terms = Terms(threshold=3, kem="x25519", deadline=0.5, watch=metrics)
    identities = enrol(Post(nodes), nodes.nodes, 1.0).nodes
    aggregate(nodes, terms)
    text = (tmp_path / "metrics.prom").read_text()
    assert text == metrics.text()
    assert 'securefl_losses_total{session="sums",message="Delivery",reason="late"} 1\n' in text
    assert 'securefl_answers_total{session="sums",message="Delivery"} 5\n' in text
    assert 'securefl_sessions_total{session="sums",outcome="finished"} 1\n' in text
    assert 'securefl_step_seconds_count{session="sums",message="Roster"} 1\n' in text
    for line in text.splitlines():
        name, _, value = line.rpartition(" ")
        assert name.startswith("# TYPE securefl_") or (name.startswith("securefl_") and float(value) >= 0)
    events = [record.message for record in caplog.records if record.name == "securefl.engine.flower"]
    assert msgspec.json.decode(events[-1])["event"] == "session"
    for everything in (text, *events):
        assert not any(str(node) in everything for node in nodes.nodes)
        assert not any(identity.hex() in everything for identity in identities)
