"""The server: a bad message drops its sender and nobody else; nothing happens after the end. Attacks E2, E4, C6."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sessions import A, B, Change, Session, agree, make_client, play, public, sign_advert

from securefl.errors import LocalProtocolError, TooFewSurvivorsError
from securefl.secagg import Aborted, Segment, Server, Sum
from securefl.secagg.messages import AdvertiseKeys, Bundle, MaskedInput, ShareKeys, Unmasking
from securefl.secagg.server import Created, Resting

AGREED = agree(6, 3, A, B)
BAD, OTHERS = 2, {1, 3, 4, 5, 6}


def sends(kind: type, change: Callable[[Any], Any], name: str | None = None) -> Change:
    """The bad client's message of this kind (in this sum) is changed."""

    def up(client: int, message: Any) -> Any:
        fits = client == BAD and type(message) is kind and name in (None, getattr(message, "sum", None))
        return change(message) if fits else message

    return up


def put(**fields: Any) -> Callable[[Any], Any]:
    return lambda message: msgspec.structs.replace(message, **fields)


def without(client: int) -> Callable[[dict[int, Any]], dict[int, Any]]:
    return lambda mapping: {u: value for u, value in mapping.items() if u != client}


def dealt(change: Callable[[dict[int, Bundle]], dict[int, Bundle]]) -> Change:
    return sends(ShareKeys, lambda m: ShareKeys(change(m.bundles), m.signature))


def masked(change: Callable[[MaskedInput], dict[str, Any]]) -> Change:
    return sends(MaskedInput, lambda m: put(**change(m))(m), "a")


def answered(change: Callable[[dict[int, bytes]], dict[int, bytes]], name: str = "a") -> Change:
    return sends(Unmasking, lambda m: Unmasking(name, change(m.shares)), "a")


def packed(count: int) -> list[bytes]:
    return [bytes(count)]


FAULTS: dict[str, tuple[Change, str]] = {
    "an advert unsigned": (sends(AdvertiseKeys, put(signature=bytes(64))), "the signature does not verify"),
    "a short channel key": (sends(AdvertiseKeys, put(channel=bytes(31))), "channel key has the wrong length"),
    "commitments too few": (sends(AdvertiseKeys, put(commitments=bytes(64))), "commitments have the wrong length"),
    "a bundle too few": (dealt(without(5)), "did not deal to exactly its neighbours"),
    "a bundle for itself": (dealt(lambda b: b | {BAD: b[1]}), "did not deal to exactly its neighbours"),
    "a bundle for nobody": (dealt(lambda b: b | {7: b[1]}), "did not deal to exactly its neighbours"),
    "no bundles": (dealt(lambda _: {}), "did not deal to exactly its neighbours"),
    "a10 bundles swapped": (dealt(lambda b: b | {1: b[3], 3: b[1]}), "the signature does not verify"),
    "a10 bundles unsigned": (sends(ShareKeys, put(signature=bytes(64))), "the signature does not verify"),
    "a10 a box changed": (dealt(lambda b: b | {1: put(box=bytes(160))(b[1])}), "the signature does not verify"),
    "a10 a hash changed": (dealt(lambda b: b | {1: put(hashes=bytes(192))(b[1])}), "the signature does not verify"),
    "hashes too few": (dealt(lambda b: b | {1: put(hashes=bytes(32))(b[1])}), "hashes have the wrong length"),
    "an input to another sum": (masked(lambda _: {"sum": "b"}), "an input to another sum"),
    "an input to no sum": (masked(lambda _: {"sum": "z"}), "an input to another sum"),
    "a pad too few": (masked(lambda m: {"pads": without(5)(m.pads)}), "its pads are not those"),
    "a pad too many": (masked(lambda m: {"pads": m.pads | {1: bytes(32)}}), "its pads are not those"),
    "a pad of a refused edge": (masked(lambda _: {"refused": [5]}), "its pads are not those"),
    "a refusal of itself": (masked(lambda _: {"refused": [BAD]}), "an input to another sum"),
    "a refusal twice": (masked(lambda m: {"refused": [5, 5], "pads": without(5)(m.pads)}), "refuses one bundle twice"),
    "a refusal of nobody": (masked(lambda _: {"refused": [7]}), "an input to another sum"),
    "c6 an input too short": (masked(lambda _: {"segments": packed(7)}), "segment 'x' has the wrong length"),
    "c6 an input too long": (masked(lambda _: {"segments": packed(9)}), "segment 'x' has the wrong length"),
    "c6 an empty input": (masked(lambda _: {"segments": packed(0)}), "segment 'x' has the wrong length"),
    "c6 no segment": (masked(lambda _: {"segments": []}), "the wrong number of segments"),
    "c6 a segment too many": (masked(lambda _: {"segments": packed(8) * 2}), "the wrong number of segments"),
    "c6 bits beyond the last word": (masked(lambda _: {"segments": [b"\xff" * 8]}), "bits beyond its last residue"),
    "e2 a step skipped": (sends(AdvertiseKeys, lambda _: ShareKeys({}, bytes(64))), "ShareKeys is not awaited"),
    "e2 a step repeated": (sends(ShareKeys, lambda _: Unmasking("a", {})), "Unmasking is not awaited"),
    "e2 an answer before its question": (sends(MaskedInput, lambda _: Unmasking("a", {}), "a"), "not awaited"),
}


FAULTY_ANSWERS: dict[str, tuple[Change, str]] = {
    "an answer for another sum": (answered(lambda s: s, "b"), "an answer to another question"),
    "a share of its own secret": (answered(lambda s: s | {BAD: s[1]}), "an answer to another question"),
    "a share of nobody's": (answered(lambda s: s | {7: s[1]}), "an answer to another question"),
    "e2 an input after the close": (sends(Unmasking, lambda _: MaskedInput("a", [], {}, []), "a"), "not awaited"),
}


def check_dropped(session: Session, sentence: str, survivors: set[int]) -> None:
    assert session.outcome is None
    assert session.server.faults.keys() == {public(BAD)}
    assert sentence in session.server.faults[public(BAD)]
    assert session.is_exact("a", survivors)
    assert session.is_exact("b")


@pytest.mark.parametrize(("up", "sentence"), FAULTS.values(), ids=list(FAULTS))
def test_e4_a_bad_message_drops_its_sender_only(up: Change, sentence: str) -> None:
    session = play(AGREED, up=up)
    check_dropped(session, sentence, OTHERS)


@pytest.mark.parametrize(("up", "sentence"), FAULTY_ANSWERS.values(), ids=list(FAULTY_ANSWERS))
def test_e4_a_bad_answer_leaves_its_senders_input_in_the_sum(up: Change, sentence: str) -> None:
    check_dropped(play(AGREED, up=up), sentence, OTHERS | {BAD})


# ---- a server by hand ----


class Driven:
    """A server whose clients answer when and what they are told to."""

    def __init__(self, agreed: Any = AGREED) -> None:
        self.server = Server(agreed, [public(u) for u in range(1, agreed.clients + 1)])
        self.clients = {u: make_client(u, agreed) for u in range(1, agreed.clients + 1)}
        self.outgoing = self.server.start()
        self.history: list[tuple[bytes, Any]] = []
        """Everything that clients have answered."""

    def answers(self) -> dict[bytes, Any]:
        """What everybody answers to what the server has just said."""
        answers = {}
        for client in self.clients.values():
            name = client._identity.public
            if name in self.outgoing:
                (answers[name],) = client.receive(self.outgoing[name])
        self.history += answers.items()
        return answers

    def step(self, answers: dict[bytes, Any] | None = None) -> None:
        """Everybody answers."""
        for name, message in (self.answers() if answers is None else answers).items():
            self.outgoing = self.server.receive(name, message)

    def session(self) -> Session:
        return Session(self.server.params, self.server, self.clients)

    def steps(self, count: int) -> Driven:
        for _ in range(count):
            self.step()
        return self


LOW_ORDER = bytes(32)


@pytest.mark.parametrize(
    ("forge", "sentence"),
    [
        (lambda a, _: a[public(1)], "an advert of another identity"),
        (lambda a, s: sign_advert(BAD, s, AGREED, a[public(1)].channel), "another client has shown"),
        (lambda _, s: sign_advert(BAD, s, AGREED, LOW_ORDER), "the channel key is unusable"),
        (lambda a, _: put(channel=a[public(1)].channel)(a[public(BAD)]), "the signature does not verify"),
        (lambda *_: sign_advert(BAD, bytes(32), AGREED, bytes(31) + b"\x09"), "the signature does not verify"),
    ],
    ids=["replayed", "a9 copied key", "a9 low-order key", "substituted key", "of another session"],
)
def test_a8_a9_a_bad_advert_drops_its_sender(forge: Callable[..., AdvertiseKeys], sentence: str) -> None:
    driven = Driven()
    answers = driven.answers()
    answers[public(BAD)] = forge(answers, driven.server.session)
    driven.step(dict(sorted(answers.items())))
    assert sentence in driven.server.faults[public(BAD)]
    assert driven.outgoing.keys() == {public(u) for u in OTHERS}


@settings(max_examples=25)
@given(st.randoms(use_true_random=False))
def test_e2_reordered_repeated_late_and_foreign_messages_change_nothing(random: Any) -> None:
    driven = Driven()
    strangers = [bytes(32), public(7)]
    for _ in range(6):
        answers = list(driven.answers().items())
        random.shuffle(answers)
        arriving = [*answers[:-1]]
        for _ in range(8):  # repeated ones, those of earlier steps, and strangers' in between
            name, message = random.choice(driven.history)
            if name in {sender for sender, _ in answers[:-1]}:
                first = [sender for sender, _ in arriving].index(name)
                arriving.insert(random.randint(first + 1, len(arriving)), (name, message))
            arriving.insert(random.randint(0, len(arriving)), (random.choice(strangers), message))
        for name, message in arriving:
            assert driven.server.receive(name, message) == {}
        driven.outgoing = driven.server.receive(*answers[-1])
    assert not driven.server.faults
    assert driven.session().is_exact("a", {1, 2, 3, 4, 5, 6})
    assert driven.session().is_exact("b", {1, 2, 3, 4, 5, 6})


message_parts = st.sampled_from([b"", bytes(8), b"\xff" * 8])
ids = st.integers(1, 8)
anything = st.one_of(
    st.builds(AdvertiseKeys, st.sampled_from([public(1), public(2), bytes(32)]), *[st.binary(max_size=40)] * 3),
    st.builds(
        ShareKeys,
        st.dictionaries(ids, st.builds(Bundle, *[st.binary(max_size=9)] * 2), max_size=6),
        st.binary(max_size=9),
    ),
    st.builds(
        MaskedInput,
        st.sampled_from(["a", "b", "z"]),
        st.lists(message_parts, max_size=3),
        st.dictionaries(ids, st.just(bytes(32)), max_size=6),
        st.lists(ids, max_size=4),
    ),
    st.builds(Unmasking, st.sampled_from(["a", "b", "z"]), st.dictionaries(ids, st.just(bytes(40)), max_size=6)),
    st.none(),
    st.text(max_size=3),
)


@settings(max_examples=60)
@given(step=st.integers(0, 5), wrong=st.lists(st.tuples(st.integers(1, 8), anything), max_size=4))
def test_e4_no_message_of_a_few_clients_stops_the_others(step: int, wrong: list[tuple[int, Any]]) -> None:
    """Two of six clients and strangers send anything at all, at any step."""
    driven = Driven().steps(step)
    for sender, message in wrong:
        assert driven.server.receive(public(sender % 2 + 1 if sender < 7 else sender), message) == {}
    while driven.outgoing:
        driven.step()
    assert driven.session().is_exact("a")
    assert driven.session().is_exact("b")
    assert set(driven.server.faults) <= {public(1), public(2)}


@pytest.mark.parametrize("step", range(6))
def test_advance_closes_a_step_with_those_heard(step: int) -> None:
    driven = Driven().steps(step)
    answers = driven.answers()
    driven.step({public(u): answers[public(u)] for u in (6, 1, 3, 5)})
    assert driven.server.awaited == {public(2), public(4)}
    driven.outgoing = driven.server.advance()
    while driven.outgoing:
        driven.step()
    assert driven.session().is_exact("a", {1, 3, 5, 6} if step < 3 else {1, 2, 3, 4, 5, 6})
    assert driven.session().is_exact("b", {1, 3, 5, 6} if step in (0, 1, 4) else {1, 2, 3, 4, 5, 6})


def test_e1_advance_with_too_few_ends_the_session() -> None:
    for step in range(4):
        driven = Driven().steps(step)
        answers = driven.answers()
        driven.step({public(u): answers[public(u)] for u in (1, 2, 3)})
        with pytest.raises(TooFewSurvivorsError, match="3 clients left, 4 needed"):
            driven.server.advance()
        check_over(driven)


def check_over(driven: Driven) -> None:
    """Nothing is taken, told or opened any more."""
    server = driven.server
    assert isinstance(server.state, Aborted)
    assert not server.results
    for call in (
        server.advance,
        lambda: server.drop(public(1)),
        *(lambda name=name, message=message: server.receive(name, message) for name, message in driven.history),
    ):
        with pytest.raises(LocalProtocolError, match="this session is over: 3 clients left, 4 needed"):
            call()
    assert not server.results


def test_a_client_that_is_gone_twice_or_never_came_is_gone_once() -> None:
    driven = Driven()
    assert driven.server.drop(public(7)) == {}
    assert driven.server.drop(public(1)) == {}
    assert driven.server.drop(public(1)) == {}
    driven.step({name: m for name, m in driven.answers().items() if name != public(1)})
    assert len(driven.outgoing) == 5


def test_a_client_that_answered_is_not_dropped_from_the_step() -> None:
    driven = Driven()
    answers = driven.answers()
    driven.server.receive(public(1), answers.pop(public(1)))
    assert driven.server.drop(public(1)) == {}
    driven.step(answers)
    assert len(driven.outgoing) == 6


def test_a_server_is_started_once_and_advanced_only_while_it_waits() -> None:
    server = Server(AGREED, [public(u) for u in range(1, 7)])
    server.start()
    with pytest.raises(LocalProtocolError, match="it was started before"):
        server.start()
    fresh, done = Server(AGREED, [public(1)]), Driven().steps(6).server
    for server, state in ((fresh, Created), (done, Resting)):
        with pytest.raises(LocalProtocolError, match=f"no step to close in state {state.__name__}"):
            server.advance()
        assert isinstance(server.state, state)
    assert fresh.start().keys() == {public(1)}
    assert done.results.keys() == {"a", "b"}


@pytest.mark.parametrize("invited", [[public(u) for u in range(1, 8)], [public(1), public(1)]], ids=["7 of 6", "twice"])
def test_a_cohort_of_too_many_or_of_one_twice_is_refused(invited: list[bytes]) -> None:
    with pytest.raises(LocalProtocolError, match="invite at most 6 distinct identities, not"):
        Server(AGREED, invited)


def test_a_server_of_plain_sums_refuses_sums_by_rows_at_once() -> None:
    by_rows = msgspec.structs.replace(AGREED, sums=(Sum("a", (Segment("rows", 32, 3, True),)),))
    with pytest.raises(LocalProtocolError, match="they sum by rows, and this server knows no rows; use SubmodelServer"):
        Server(by_rows, [public(1)])


def test_sessions_have_names_of_their_own() -> None:
    assert len({Server(AGREED, []).session for _ in range(8)}) == 8
