"""A hostile network between honest parties: it loses, doubles, replays, reorders, swaps and corrupts, and phones crash.

Whatever it does, nobody enters, masks or releases more than once, nothing opens below the threshold, and what opens is
the sum of what arrived. Subclasses say what a session is about. Attacks A3, A5, A11, E1, E2 and E4.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import HealthCheck
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from native import ring
from securefl.errors import FaultyClientError, LocalProtocolError, MessageError, ProtocolError, TooFewSurvivorsError
from securefl.secagg import Aborted, Participant, Segment, Server
from securefl.secagg.consistency import ViewSigned
from securefl.secagg.journal import InMemoryJournal
from securefl.secagg.messages import AdvertiseKeys, MaskedInput, Survivors, Unmasking
from securefl.secagg.params import Setting
from securefl.secagg.server import AwaitingInputs, AwaitingUnmasking
from securefl.secagg.states import Place, Table, Transition
from securefl.secagg.uploading import InputMasked, Ready
from securefl.wire import Codec

C = 1
QUIET = [HealthCheck.too_slow, HealthCheck.filter_too_much]


@dataclass(frozen=True)
class Letter:
    """A frame on its way from a client (up) or to it."""

    client: int
    up: bool
    frame: bytes
    genuine: bool = True
    """Whether it is, to the bit, what was sent in this session, and from or to this client."""


class Network(RuleBasedStateMachine):
    """One session. Letters of the `victims` are meddled with, and nothing is promised of those it happened to."""

    to_client: Codec[Any]
    to_server: Codec[Any]
    client_tables: Mapping[Setting, Table]
    server_tables: Mapping[Setting, Table]
    deceptive: tuple[type, ...] = ()
    """What makes whoever believes a false one mask something else than the others: nobody can tell."""

    # ---- what a session is about ----

    def invite(self, clients: int, threshold: int, setting: Setting) -> Server:
        """A server that waits to be started; client u has the identity `public(u)`."""
        raise NotImplementedError

    def public(self, client: int) -> bytes:
        raise NotImplementedError

    def fresh(self, client: int) -> Participant:
        """A client that remembers what is in its journal."""
        raise NotImplementedError

    def another_session(self) -> Sequence[Letter]:
        """Everything that the same clients said and were told once before."""
        raise NotImplementedError

    def check_sum(self, name: str, survivors: list[int]) -> None:
        """What opened is the sum of what these clients sent, and of what was added on the way."""
        raise NotImplementedError

    def place_of(self, state: object) -> Place:
        return type(state)

    def tell(self, client: int, message: Any) -> list[Any]:
        """Give a client a message of the server, and take its answers."""
        return self.step_of(client, message, self.clients[client].receive)

    # ---- the beginning ----

    @initialize(
        n=st.integers(4, 6),
        spare=st.integers(0, 3),
        setting=st.sampled_from(["semi_honest", "malicious"]),
        order=st.permutations(range(1, 7)),
        merciless=st.sampled_from([False, False, True]),
        calm=st.sampled_from(range(16)),
    )
    def begin(self, n: int, spare: int, setting: Any, order: list[int], merciless: bool, calm: int) -> None:
        least = (n - 1 + C) // 2 + 1 if setting == "malicious" else 2
        self.server = self.invite(n, max(least, n - 1 - spare), setting)
        self.agreed = self.server.params
        self.client_table, self.server_table = self.client_tables[setting], self.server_tables[setting]
        self.numbers = {self.public(u): u for u in range(1, n + 1)}
        can_be_lost = [u for u in order if u <= n][: n - self.agreed.needed]
        self.victims, self.hurt = set(order if merciless else can_be_lost) & {*self.numbers.values()}, set[int]()
        self.journals = {u: InMemoryJournal() for u in self.numbers.values()}
        self.clients = {u: self.fresh(u) for u in self.numbers.values()}
        self.wire: list[Letter] = []
        self.past = list(self.another_session())
        self.suspended: list[tuple[int, bytes]] = []
        self.misled: set[int] = set()
        """Clients that believed a list of survivors which was not the server's."""
        self.deceived: set[int] = set()
        """Clients that believed something else that makes them mask differently."""
        self.entered: set[tuple[int, bytes]] = set()
        self.masked: dict[tuple[int, str], MaskedInput] = {}
        self.answered: set[tuple[int, str]] = set()
        self.released: dict[tuple[str, int, str], set[int]] = defaultdict(set)
        """(sum, owner, kind) -> who released a share of it"""
        self.arrived: dict[tuple[int, str, type], tuple[Any, bool]] = {}
        """(client, sum, kind) -> what an awaiting server was given as its message, and whether it is genuine"""
        self.checked: set[str] = set()
        self.call(self.server.start)
        self.deliver_waves(calm)

    # ---- what the network does ----

    @precondition(lambda self: self.wire)
    @rule(at=st.integers(0, 99))
    def deliver(self, at: int) -> None:
        self.hand_over(self.wire.pop(at % len(self.wire)))

    @precondition(lambda self: self.wire)
    @rule(random=st.randoms(use_true_random=False), times=st.integers(1, 3))
    def deliver_all(self, random: Any, times: int) -> None:
        self.deliver_waves(times, random.shuffle)

    def deliver_waves(self, times: int, order: Callable[[list[Letter]], None] = lambda _: None) -> None:
        """What is on its way now, then what that has set off, and so on."""
        for _ in range(times):
            arriving = [*self.wire]
            order(arriving)  # draws, and may be cut short there: nothing has happened yet
            self.wire = []
            for letter in arriving:
                self.hand_over(letter)

    @precondition(lambda self: self.meddled)
    @rule(at=st.integers(0, 99))
    def lose(self, at: int) -> None:
        self.wire.pop(self.victims_letter(at))

    @precondition(lambda self: self.meddled)
    @rule(at=st.integers(0, 99))
    def double(self, at: int) -> None:
        self.wire.append(self.wire[self.victims_letter(at)])

    @precondition(lambda self: self.victims)
    @rule(at=st.integers(0, 999))
    def replay(self, at: int) -> None:
        past = [letter for letter in self.past if letter.client in self.victims]
        self.wire.append(past[-1 - at % len(past)])
        self.hurt.add(self.wire[-1].client)

    @precondition(lambda self: self.meddled)
    @rule(at=st.integers(0, 99), place=st.integers(0, 9999), bit=st.integers(0, 7))
    def corrupt(self, at: int, place: int, bit: int) -> None:
        at = self.victims_letter(at)
        frame = bytearray(self.wire[at].frame)
        frame[place % len(frame)] ^= 1 << bit
        self.wire[at] = replace(self.wire[at], frame=bytes(frame), genuine=False)

    @precondition(lambda self: self.meddled)
    @rule(one=st.integers(0, 99), other=st.integers(0, 99))
    def swap(self, one: int, other: int) -> None:
        one, other = self.victims_letter(one), self.victims_letter(other)
        a, b = self.wire[one], self.wire[other]
        if a.up == b.up and a.client != b.client:
            self.wire[one] = replace(a, client=b.client, genuine=False)
            self.wire[other] = replace(b, client=a.client, genuine=False)

    @precondition(lambda self: self.victims)
    @rule(at=st.integers(0, 99))
    def crash(self, at: int) -> None:
        """The client is gone and a new one starts, which remembers what is in its journal."""
        u = self.victim(at)
        self.clients[u] = self.fresh(u)

    @rule(at=st.integers(0, 99))
    def sleep(self, at: int) -> None:
        """The client goes on in another process. This wrongs nobody."""
        u = at % self.agreed.clients + 1
        asleep = self.clients[u]
        try:
            data = asleep.suspend()
        except LocalProtocolError:
            return  # not begun, or over
        assert isinstance(asleep.state, Aborted)
        self.clients[u] = self.fresh(u)
        self.clients[u].resume(data)
        self.suspended.append((u, data))

    @precondition(lambda self: self.suspended)
    @rule(at=st.integers(0, 99))
    def wake_again(self, at: int) -> None:
        u, data = self.suspended[at % len(self.suspended)]
        with pytest.raises(LocalProtocolError):
            self.fresh(u).resume(data)

    @precondition(lambda self: self.server.awaited and self.late <= self.victims)
    @rule()
    def advance(self) -> None:
        self.hurt |= self.late
        self.call(self.server.advance)

    @precondition(lambda self: self.victims and self.server.awaited)
    @rule(at=st.integers(0, 99))
    def give_up(self, at: int) -> None:
        """The server hears that a client is gone, whether it is or not."""
        self.call(self.server.drop, self.public(self.victim(at)))

    @property
    def meddled(self) -> list[int]:
        """Which letters on their way are to or from a victim."""
        return [at for at, letter in enumerate(self.wire) if letter.client in self.victims]

    def victims_letter(self, at: int) -> int:
        at = self.meddled[at % len(self.meddled)]
        self.hurt.add(self.wire[at].client)
        return at

    def victim(self, at: int) -> int:
        u = sorted(self.victims)[at % len(self.victims)]
        self.hurt.add(u)
        return u

    @property
    def late(self) -> set[int]:
        """Whom the server waits for."""
        return {self.numbers[name] for name in self.server.awaited}

    # ---- the two ends ----

    def hand_over(self, letter: Letter) -> None:
        self.past.append(letter)
        try:
            message: Any = (self.to_server if letter.up else self.to_client).decode(letter.frame)
        except MessageError:
            assert not letter.genuine
            return
        (self.up if letter.up else self.down)(letter, message)

    def down(self, letter: Letter, message: Any) -> None:
        """A client takes a step of its table, or its part is over."""
        u = letter.client
        try:
            answers = self.tell(u, message)
        except ProtocolError:
            assert isinstance(self.clients[u].state, Aborted)
            assert u in self.hurt
            return
        if isinstance(message, Survivors) and not letter.genuine:
            self.misled.add(u)
        if isinstance(message, self.deceptive) and not letter.genuine:
            self.deceived.add(u)
        self.wire += [Letter(u, True, self.to_server.encode(answer)) for answer in answers]

    def step_of(self, client: int, message: Any, step: Callable[[Any], list[Any]]) -> list[Any]:
        """What a client answers to one message, once that is noted and found in its table."""
        before = self.clients[client].state
        answers = step(message)
        after = self.clients[client].state
        assert Transition(self.place_of(before), type(message), self.place_of(after)) in self.client_table
        for answer in answers:
            self.note(client, before, answer)
        return answers

    def note(self, u: int, before: object, answer: Any) -> None:
        """A client enters a session once, masks a sum once and answers it once, over all its lives."""
        match before, answer:
            case _, AdvertiseKeys():
                session = self.clients[u].state.session
                assert (u, session) not in self.entered
                self.entered.add((u, session))
            case _, MaskedInput(name):
                assert (u, name) not in self.masked
                self.masked[u, name] = answer
            case ((InputMasked(ready, live=live) | ViewSigned(InputMasked(ready, live=live))), Unmasking(name, shares)):
                assert (u, name) not in self.answered
                self.answered.add((u, name))
                assert shares.keys() == live
                self.note_shares(u, ready, name, shares)

    def note_shares(self, u: int, ready: Ready, name: str, shares: dict[int, bytes]) -> None:
        """Of each neighbour one share, of b or of m; never below the threshold."""
        kinds = {v: [k for k in "bm" if ready.dealt[v].values[name, k] == share] for v, share in shares.items()}
        for v, (kind,) in kinds.items():
            self.released[name, v, kind].add(u)
        assert sum(kind == ["b"] for kind in kinds.values()) >= self.agreed.needed - 1

    def up(self, letter: Letter, message: Any) -> None:
        server, name = self.server, self.public(letter.client)
        if isinstance(server.state, Aborted):
            return
        if name in server.awaited:
            self.note_arrival(letter, message)
        self.call(server.receive, name, message)

    def note_arrival(self, letter: Letter, message: Any) -> None:
        match self.server.state, message:
            case (AwaitingInputs(opening=opening), MaskedInput()) | (AwaitingUnmasking(opening=opening), Unmasking()):
                self.arrived[letter.client, opening.sum.name, type(message)] = message, letter.genuine

    def call(self, step: Callable[..., dict[bytes, Any]], *arguments: Any) -> None:
        """The server stays, goes on as its table says, or ends the session; only then it raises."""
        before = self.place_of(self.server.state)
        allowed = {before, *(row.next for row in self.server_table if row.place == before)}
        try:
            outgoing = step(*arguments)
        except TooFewSurvivorsError:
            allowed, outgoing = {Aborted}, {}
        except FaultyClientError:  # a pad was needed, and was not its sender's
            allowed, outgoing = {Aborted} if self.forged else set(), {}
        assert self.place_of(self.server.state) in allowed or step == self.server.start
        for name in sorted(outgoing):
            self.wire.append(Letter(self.numbers[name], False, self.to_client.encode(outgoing[name])))

    # ---- what holds all the time ----

    @property
    def forged(self) -> bool:
        """Whether the server was given an input that is not its sender's: it cannot tell."""
        return any(kind is MaskedInput and not genuine for (_, _, kind), (_, genuine) in self.arrived.items())

    @invariant()
    def of_each_secret_one_kind_is_released(self) -> None:
        for name, owner, kind in list(self.released):
            both = self.released[name, owner, kind], self.released[name, owner, "bm".replace(kind, "")]
            honest = [holders - self.misled for holders in both]
            assert not all(honest)
            assert self.agreed.setting == "semi_honest" or not all(both)

    @invariant()
    def what_opens_is_the_sum_of_what_arrived(self) -> None:
        for name in self.server.results.keys() - self.checked:
            self.checked.add(name)
            survivors = [self.numbers[self.server.name_of(u)] for u in self.server.survivors[name]]
            assert len(survivors) >= self.agreed.needed
            assert sum((u, name, Unmasking) in self.arrived for u in survivors) > self.agreed.threshold
            if all((u, name) in self.masked for u in survivors):
                self.check_sum(name, survivors)
            else:
                assert self.forged

    def added(self, name: str, at: int, segment: Segment, survivors: list[int]) -> list[int]:
        """What the network has added to a segment of these clients' masked inputs on their way."""
        total = [0] * segment.words
        for u in survivors:
            there = residues(segment, self.arrived[u, name, MaskedInput][0].segments[at])
            sent = residues(segment, self.masked[u, name].segments[at])
            total = [x + y - z for x, y, z in zip(total, there, sent, strict=True)]
        return total

    def teardown(self) -> None:
        """Let the network be calm: with enough clients that were never wronged, every sum opens."""
        if not hasattr(self, "server"):
            return
        while self.wire or self.server.awaited:
            if self.wire:
                self.hand_over(self.wire.pop(0))
                continue
            assert self.late <= self.hurt
            self.call(self.server.advance)
        self.of_each_secret_one_kind_is_released()
        self.what_opens_is_the_sum_of_what_arrived()
        well = set(self.numbers.values()) - self.hurt
        if len(well) >= self.agreed.needed and not self.forged:
            named = {s: {self.numbers[self.server.name_of(u)] for u in ids} for s, ids in self.server.survivors.items()}
            assert self.server.results.keys() == {s.name for s in self.agreed.sums}
            assert all(well <= survivors for survivors in named.values())


def residues(segment: Segment, data: bytes) -> list[int]:
    return ring.unpack(data, segment.bits, segment.words).tolist()
