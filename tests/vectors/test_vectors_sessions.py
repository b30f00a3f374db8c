"""The library plays the recorded sessions byte for byte, and both implementations refuse what must be refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from library import LibraryHost, LibraryNode, LibraryRoundNode, load, params_of
from reference import errors as reference_errors
from reference.boxes import open_box
from reference.messages import parse
from reference.setup import SetUp
from runs import Host, Material, Node, Part

from securefl import errors, secagg, submodel
from securefl.secagg import Aborted, Server
from securefl.submodel import SubmodelServer

PLAIN, ROUND, REFUSALS = load("session_plain.json"), load("session_round.json"), load("refusals.json")
SIZE = 4


def material(fields: Mapping[str, Any]) -> Material:
    def named(values: Mapping[str, Any]) -> dict[Any, Any]:
        return {tuple(name.split()): value for name, value in values.items()}

    return Material(
        bytes.fromhex(fields["identity"]),
        bytes.fromhex(fields["channel"]),
        named({name: bytes.fromhex(secret) for name, secret in fields["secrets"].items()}),
        named(fields["coefficients"]),
        {int(v): bytes.fromhex(key) for v, key in fields["ephemeral"].items()},
    )


def frames(by_id: Mapping[str, str]) -> dict[int, bytes]:
    return {int(u): bytes.fromhex(frame) for u, frame in by_id.items()}


def by_number(of: Mapping[str, Any]) -> dict[int, Any]:
    return {int(key): value for key, value in of.items()}


def drawn(session: Mapping[str, Any]) -> dict[int, Material]:
    return {int(u): material(fields) for u, fields in session["clients"].items()}


def invited(session: Mapping[str, Any]) -> dict[int, bytes]:
    return {u: m.public for u, m in drawn(session).items()}


def fields_of_params(session: Mapping[str, Any]) -> dict[str, Any]:
    return session["params"] | {"plan": bytes.fromhex(session["params"]["plan"])}


def plain_node(u: int) -> LibraryNode:
    inputs = {one: by_number(by_client)[u] for one, by_client in PLAIN["inputs"].items()}
    return LibraryNode(drawn(PLAIN)[u], fields_of_params(PLAIN), invited(PLAIN).values(), inputs)


def part_of(u: int) -> Part:
    part = ROUND["parts"][str(u)]
    rows = {table: by_number(updates) for table, updates in part["rows"].items()}
    return Part(part["cells"], part["claims"], part["dense"], rows)


def round_node(u: int) -> LibraryRoundNode:
    return LibraryRoundNode(
        drawn(ROUND)[u], fields_of_params(ROUND), invited(ROUND).values(), ROUND["maps"], part_of(u)
    )


def plain_host() -> LibraryHost:
    names = invited(PLAIN)
    server = Server(params_of(PLAIN["params"]).check(), names.values(), session=bytes.fromhex(PLAIN["session"]))
    return LibraryHost(server, (secagg.to_client, secagg.to_server), names)


def round_host() -> LibraryHost:
    names, plan = invited(ROUND), submodel.to_client.decode(frames(ROUND["steps"][0]["down"])[1]).plan
    halves = {name: np.frombuffer(bytes.fromhex(data), "<f2") for name, data in ROUND["model"].items()}
    server = SubmodelServer(
        params_of(ROUND["params"]).check(),
        plan,
        np.frombuffer(bytes.fromhex(ROUND["dense"]), "<f2").astype(np.float32),
        {t.name: halves[t.name].astype(np.float32).reshape(t.rows, t.width) for t in plan.tables},
        names.values(),
        maps={name: np.array(public_map, np.int64) for name, public_map in ROUND["maps"].items()},
        session=bytes.fromhex(ROUND["session"]),
    )
    return LibraryHost(server, (submodel.to_client, submodel.to_server), names)


def same_bundles(setup: SetUp, dealer: int, cast: Mapping[int, Material], up: bytes, recorded: bytes) -> bool:
    """Whether two ShareKeys hash the same values, and the first is signed and its boxes hold what the second's do."""
    (_, ours), (_, theirs) = (parse(frame, "plain sums, to the server") for frame in (up, recorded))
    setup.check_bundles(dealer, cast[dealer].public, ours)
    for holder, bundle in ours["bundles"].items():
        other = theirs["bundles"][holder]
        info = setup.box_info(dealer, holder)
        plain = [open_box("x25519", cast[holder].channel, info, b["box"]) for b in (bundle, other)]
        if plain[0] != plain[1] or bundle["hashes"] != other["hashes"]:
            return False
    return ours["bundles"].keys() == theirs["bundles"].keys()


SESSIONS = [pytest.param(PLAIN, plain_node, id="plain"), pytest.param(ROUND, round_node, id="round")]


@pytest.mark.parametrize("u", range(1, SIZE + 1))
@pytest.mark.parametrize(("session", "make"), SESSIONS)
def test_the_library_answers_as_recorded(session: dict[str, Any], make: Callable[[int], LibraryNode], u: int) -> None:
    """But for the boxes of ShareKeys, which nobody seals twice alike."""
    node, cast = make(u), drawn(session)
    for step in session["steps"]:
        down, up = frames(step["down"]), frames(step["up"])
        if u not in down:
            continue
        answer = node.answer(down[u])
        if step["name"] != "Roster":
            assert answer == up[u]
            continue
        _, roster = parse(down[u], "plain sums, to the client")
        setup = SetUp(bytes.fromhex(session["session"]), fields_of_params(session), roster["root"], roster["size"])
        assert same_bundles(setup, u, cast, answer, up[u])


@pytest.mark.parametrize(
    ("session", "make"), [pytest.param(PLAIN, plain_host, id="plain"), pytest.param(ROUND, round_host, id="round")]
)
def test_the_library_serves_as_recorded(session: dict[str, Any], make: Callable[[], LibraryHost]) -> None:
    host = make()
    told = host.start()
    for step in session["steps"]:
        assert told == frames(step["down"])
        told = host.close(frames(step["up"]), step["lost"])
    assert told == {}
    assert host.results() == session["results"]
    assert not host.server.faults


# ---- refusals.json ----


def refused_frame(vector: dict[str, Any], way: str) -> bytes:
    step = next(s for s in PLAIN["steps"] if s["name"] == vector["asks"])
    recorded = frames(step[way])[2]
    return recorded[: vector["start"]] + bytes.fromhex(vector["with"]) + recorded[vector["end"] :]


def named(way: str) -> pytest.MarkDecorator:
    vectors = REFUSALS[way]
    return pytest.mark.parametrize("vector", vectors, ids=[f"{v['asks']}: {v['why']}" for v in vectors])


def until(asks: str) -> list[dict[str, Any]]:
    """The steps before the one in which the server asks this."""
    names = [step["name"] for step in PLAIN["steps"]]
    return PLAIN["steps"][: names.index(asks)]


@named("to_client")
def test_the_library_client_refuses(vector: dict[str, Any]) -> None:
    node = plain_node(2)
    for step in until(vector["asks"]):
        node.answer(frames(step["down"])[2])
    with pytest.raises(errors.ProtocolError) as caught:
        node.answer(refused_frame(vector, "down"))
    assert caught.type.__name__ == vector["error"]
    assert isinstance(node.client.state, Aborted)


@named("to_client")
def test_the_reference_client_refuses(vector: dict[str, Any]) -> None:
    inputs = {one: by_number(by_client)[2] for one, by_client in PLAIN["inputs"].items()}
    node = Node(drawn(PLAIN)[2], list(invited(PLAIN).values()), inputs)
    for step in until(vector["asks"]):
        node.answer(*parse(frames(step["down"])[2], "plain sums, to the client"))
    with pytest.raises(reference_errors.ProtocolError) as caught:
        node.answer(*parse(refused_frame(vector, "down"), "plain sums, to the client"))
    assert caught.type.__name__ == vector["error"]


@named("to_server")
def test_the_library_server_drops(vector: dict[str, Any]) -> None:
    host = plain_host()
    host.start()
    for step in until(vector["asks"]):
        host.close(frames(step["up"]), step["lost"])
    step = next(s for s in PLAIN["steps"] if s["name"] == vector["asks"])
    host.close({1: frames(step["up"])[1]}, [])
    host.close({2: refused_frame(vector, "up")}, [])
    assert list(host.server.faults) == [host.invited[2]]
    assert host.invited[2] not in host.server.awaited


@named("to_server")
def test_the_reference_server_drops(vector: dict[str, Any]) -> None:
    host = Host(bytes.fromhex(PLAIN["session"]), fields_of_params(PLAIN), invited(PLAIN))
    host.start()
    for step in until(vector["asks"]):
        answers = {
            u: parse(f, "plain sums, to the server") for u, f in frames(step["up"]).items() if u not in step["lost"]
        }
        (name,) = {name for name, _ in answers.values()}
        host.close(name, {u: m for u, (_, m) in answers.items()})
    step = next(s for s in PLAIN["steps"] if s["name"] == vector["asks"])
    name, first = parse(frames(step["up"])[1], "plain sums, to the server")
    _, refused = parse(refused_frame(vector, "up"), "plain sums, to the server")
    with pytest.raises(reference_errors.ProtocolError) as caught:
        host.check(2, name, refused, {1: first})
    assert caught.type.__name__ == vector["error"]
