"""Whole sessions of the reference, message by message. Randomness comes from a name, never from the system."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from reference import rounds, shamir
from reference.client import Client
from reference.messages import Fields, frame, parse
from reference.params import Secret, names
from reference.server import Server
from reference.setup import Opening, public_identity

Rows = Sequence[Sequence[int]]
Inputs = Mapping[str, Sequence[Rows]]
"""By sum, for each segment the rows a client uploads; a dense segment is one row."""
Results = dict[str, dict[str, list[list[int]]]]
"""By sum and segment, the summed rows."""
Told = tuple[str, dict[int, Fields]]
"""A message of the server: its name, and its fields by client."""

# ---- what is drawn at random ----


def fresh(size: int, *name: object) -> bytes:
    """Bytes that look random and are the same every time."""
    return hashlib.shake_256(repr(name).encode()).digest(size)


def identities(count: int) -> list[bytes]:
    """Private keys in the order of their public keys: if all are invited and answer, the first is client 1."""
    return sorted((fresh(32, "identity", i) for i in range(count)), key=public_identity)


@dataclass(frozen=True)
class Material:
    """All that a client draws in a session."""

    identity: bytes
    channel: bytes
    secrets: Mapping[Secret, bytes]
    coefficients: Mapping[Secret, shamir.Coefficients]
    ephemeral: Mapping[int, bytes]
    """By neighbour, the X25519 key of its box."""

    @property
    def public(self) -> bytes:
        return public_identity(self.identity)


def materials(name: str, params: Fields, count: int) -> dict[int, Material]:
    keys = dict(enumerate(identities(count), start=1))
    return {u: _material(f"{name}, client {u}", key, params, keys.keys() - {u}) for u, key in keys.items()}


def _material(name: str, identity: bytes, params: Fields, neighbours: Collection[int]) -> Material:
    drawn = names(params, "m", "b")
    return Material(
        identity,
        fresh(32 if params["kem"] == "x25519" else 96, name, "channel"),
        {s: fresh(32, name, "secret", s) for s in drawn},
        {s: [coefficients(name, s, power) for power in range(1, params["threshold"])] for s in drawn},
        {v: fresh(32, name, "ephemeral", v) for v in sorted(neighbours)},
    )


def coefficients(*name: object) -> list[int]:
    drawn = fresh(8 * len(shamir.LIMBS), *name, "coefficients")
    return [int.from_bytes(drawn[at : at + 8], "little") % shamir.PRIME for at in range(0, len(drawn), 8)]


# ---- plain sums ----


class Node:
    """A client of plain sums: a message in, its answer out."""

    def __init__(self, drawn: Material, registry: Collection[bytes], inputs: Inputs) -> None:
        self.client, self.drawn, self.inputs = Client(drawn.identity, registry), drawn, inputs

    def answer(self, name: str, m: Fields) -> tuple[str, Fields]:
        client, drawn = self.client, self.drawn
        match name:
            case "Invitation":
                advert = client.advertise_keys(m["session"], m["params"], drawn.channel, drawn.secrets)
                return "AdvertiseKeys", advert
            case "Roster":
                return "ShareKeys", client.share_keys(m, drawn.coefficients, drawn.ephemeral)
            case "Delivery":
                client.receive_shares(m)
                return self.enter(Opening(client.params["sums"][0]["name"], [client.id, *sorted(m["bundles"])]))
            case "OpenSum":
                return self.enter(Opening(m["sum"], m["live"]))
            case "Survivors":
                client.receive_survivors(m)
                if client.params["setting"] == "malicious":
                    return "ConsistencyCheck", client.sign_view()
                return "Unmasking", client.unmask()
            case "Consistency":
                client.check_consistency(m)
                return "Unmasking", client.unmask()
        raise LookupError(name)

    def enter(self, opening: Opening) -> tuple[str, Fields]:
        return "MaskedInput", self.client.mask_input(opening, self.inputs[opening.sum])


class Host:
    """The server of plain sums: answers in, the next message out."""

    def __init__(self, session: bytes, params: Fields, invited: Mapping[int, bytes]) -> None:
        self.server, self.invited = Server(session, params, invited.values()), invited
        self.results: Results = {}
        self.opening: Opening

    def start(self) -> Told:
        invitation = {"session": self.server.session, "params": self.server.params}
        return "Invitation", dict.fromkeys(self.invited, invitation)

    def check(self, u: int, name: str, m: Fields, heard: Mapping[int, Fields]) -> None:
        """Raise if u sent what drops it. `heard`: who has answered this step."""
        server = self.server
        match name:
            case "AdvertiseKeys":
                server.check_advert(self.invited[u], m, heard.values())
            case "ShareKeys":
                server.check_shares(u, m)
            case "MaskedInput":
                server.check_input(self.opening, u, m)
            case "ConsistencyCheck":
                server.check_statement(self.opening, u, m)
            case "Unmasking":
                server.check_unmasking(self.opening, u, m)

    def close(self, name: str, heard: Mapping[int, Fields]) -> Told | None:
        """The next message, once a step is over."""
        server = self.server
        match name:
            case "AdvertiseKeys":
                return "Roster", server.receive_adverts({self.invited[u]: m for u, m in heard.items()})
            case "ShareKeys":
                deliveries = server.receive_shares(heard)
                self.opening = Opening(server.params["sums"][0]["name"], sorted(server.live))
                return "Delivery", deliveries
            case "MaskedInput":
                return "Survivors", server.receive_inputs(self.opening, heard)
            case "ConsistencyCheck":
                return "Consistency", server.receive_statements(self.opening, heard)
            case "Unmasking":
                self.results[self.opening.sum] = server.open_sum(self.opening, heard)
                return self.next()
        raise LookupError(name)

    def next(self) -> Told | None:
        waiting = [s["name"] for s in self.server.params["sums"] if s["name"] not in self.results]
        if not waiting:
            return None
        self.opening = Opening(waiting[0], sorted(self.server.live))
        peers = {u: sorted([u, *self.server.peers(u)]) for u in self.opening.live}
        return "OpenSum", {u: {"sum": waiting[0], "live": live} for u, live in peers.items()}


# ---- a submodel round ----


@dataclass(frozen=True)
class About:
    """What a round is about. Its union plan is a bitmap."""

    plan: Fields
    maps: rounds.Maps
    dense: bytes
    model: Mapping[str, bytes]
    """By table, all its rows."""


@dataclass(frozen=True)
class Part:
    """What one client brings to a round."""

    cells: Sequence[int]
    claims: Sequence[int]
    """Indices, each in the union."""
    dense: Sequence[int]
    rows: Mapping[str, Mapping[int, Sequence[int]]]
    """By table and index; zeros for other rows that go up."""


class RoundNode(Node):
    """A client of a submodel round."""

    def __init__(self, drawn: Material, registry: Collection[bytes], about: About, part: Part) -> None:
        super().__init__(drawn, registry, {"union": [[part.cells]]})
        self.about, self.part = about, part

    def answer(self, name: str, m: Fields) -> tuple[str, Fields]:
        match name:
            case "RoundInvitation":
                return super().answer("Invitation", m)
            case "UnionAnnounced":
                self.union = m["union"]
                members = rounds.decode_index_set(self.union, len(self.part.cells))
                claimed = [members.index(i) for i in self.part.claims]
                return "Claim", {"positions": rounds.encode_index_set(claimed, len(members))}
            case "Submodel":
                return self.upload(m)
        return super().answer(name, m)

    def upload(self, m: Fields) -> tuple[str, Fields]:
        client, about = self.client, self.about
        seen = rounds.read_submodel(client.id, about.plan, about.maps, self.part.claims, m)
        opening = rounds.update_opening(client.setup, about.plan, m["live"], self.union, m["dense"], seen)
        floor = rounds.row_floor(client.params, about.plan, len(m["live"]))
        widths = {table["name"]: table["width"] for table in about.plan["tables"]}
        rows = [
            [self.part.rows[name].get(j, [0] * (widths[name] + 1)) for j, _, who in table if len(who) >= floor]
            for name, table in seen.items()
        ]
        return "MaskedInput", client.mask_input(opening, [[self.part.dense], *rows])


class RoundHost(Host):
    """The server of a submodel round."""

    def __init__(self, session: bytes, params: Fields, invited: Mapping[int, bytes], about: About) -> None:
        super().__init__(session, params, invited)
        self.about = about

    def start(self) -> Told:
        _, told = super().start()
        return "RoundInvitation", {u: m | {"plan": self.about.plan} for u, m in told.items()}

    def next(self) -> Told | None:
        if "update" in self.results:
            return None
        (cells,) = self.results["union"]["cells"]
        self.members = [i for i, cell in enumerate(cells) if cell]
        self.union = rounds.encode_index_set(self.members, len(cells))
        return "UnionAnnounced", {u: {"union": self.union} for u in sorted(self.server.live)}

    def check(self, u: int, name: str, m: Fields, heard: Mapping[int, Fields]) -> None:
        super().check(u, name, m, heard)
        if name == "Claim":
            rounds.decode_index_set(m["positions"], len(self.members))

    def close(self, name: str, heard: Mapping[int, Fields]) -> Told | None:
        if name != "Claim":
            return super().close(name, heard)
        live, about = sorted(heard), self.about
        self.server.enough(len(live))
        positions = {u: rounds.decode_index_set(heard[u]["positions"], len(self.members)) for u in live}
        claims = {u: [self.members[i] for i in at] for u, at in positions.items()}
        tables = rounds.claimed_tables(about.plan, about.maps, about.model, claims)
        self.opening = rounds.update_opening(self.server.setup, about.plan, live, self.union, about.dense, tables)
        return "Submodel", {u: rounds.submodel_of(u, live, about.dense, tables) for u in live}


# ---- a session ----


@dataclass
class Step:
    """What the server tells each client, and what each answers, as frames. `lost` answers do not arrive."""

    name: str
    down: dict[int, bytes] = field(default_factory=dict)
    up: dict[int, bytes] = field(default_factory=dict)
    lost: list[int] = field(default_factory=list)


def play(host: Host, nodes: Mapping[int, Node], kind: str, loses: Callable[[int, str, Fields], bool]) -> list[Step]:
    """Run a session to its end. `kind`: plain sums or submodel round; `loses`: is this client's answer lost?"""
    steps, told = [], host.start()
    while told:
        asks, messages = told
        step, heard = Step(asks), {}
        for u, fields in messages.items():
            step.down[u] = frame(asks, fields)
            answers, answer = nodes[u].answer(*parse(step.down[u], f"{kind}, to the client"))
            step.up[u] = frame(answers, answer)
            if loses(u, answers, answer):
                step.lost.append(u)
                continue
            _, answer = parse(step.up[u], f"{kind}, to the server")
            host.check(u, answers, answer, heard)
            heard[u] = answer
        steps.append(step)
        told = host.close(answers, heard)
    return steps


def losing(lost: Mapping[int, Collection[tuple[str, Any]]]) -> Callable[[int, str, Fields], bool]:
    """By client, the (message, sum) that are lost."""
    return lambda u, name, m: (name, m.get("sum")) in lost.get(u, ())
