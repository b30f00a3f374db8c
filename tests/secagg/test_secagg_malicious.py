"""The malicious setting: a server that lies about survivors gets no share, and honest sessions still sum exactly."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from sessions import A, B, agree, losing, make_client, play, public, told

from securefl.errors import ConfigurationError, FaultyServerError, TooFewSurvivorsError, UnexpectedMessageError
from securefl.secagg import Aborted, Params
from securefl.secagg.consistency import ViewSigned
from securefl.secagg.journal import InMemoryJournal
from securefl.secagg.messages import (
    AdvertiseKeys,
    Consistency,
    ConsistencyCheck,
    Invitation,
    MaskedInput,
    ShareKeys,
    Survivors,
    Unmasking,
)

N, T, C = 7, 5, 1
BEFORE = (AdvertiseKeys, ShareKeys, MaskedInput)
SIGNED = (*BEFORE, ConsistencyCheck)


def malicious(clients: int = N, threshold: int = T, *sums: Any, colluders: int = C, **others: Any) -> Params:
    return agree(clients, threshold, *sums, colluders=colluders, setting="malicious", **others)


def test_an_honest_session_of_two_sums_is_exact() -> None:
    session = play(malicious(N, T, A, B))
    assert session.is_exact("a", set(range(1, N + 1)))
    assert session.is_exact("b", set(range(1, N + 1)))
    assert session.senders(ConsistencyCheck, "a") == session.senders(Unmasking, "b") == set(range(1, N + 1))


@pytest.mark.parametrize("kind", [AdvertiseKeys, ShareKeys, MaskedInput, ConsistencyCheck, Unmasking])
def test_e1_a_client_lost_at_any_step_leaves_an_exact_sum(kind: type) -> None:
    session = play(malicious(), loses=losing({3}, kind))
    assert session.outcome is None
    assert session.is_exact("a")


@settings(max_examples=25)
@given(data=st.data())
def test_e1_any_losses_end_in_the_right_sum_or_in_nothing(data: st.DataObject) -> None:
    kinds = [AdvertiseKeys, ShareKeys, MaskedInput, ConsistencyCheck, Unmasking]
    at = {u: data.draw(st.sampled_from([None, None, None, *kinds])) for u in range(1, N + 1)}
    session = play(malicious(), loses=lambda u, message: type(message) is at[u])
    if session.outcome is None:
        assert session.is_exact("a")
    else:
        assert isinstance(session.outcome, TooFewSurvivorsError)
        assert not session.server.results


def lost_to(victims: set[int], lost: int) -> Any:
    """The server tells some clients that `lost` is lost, the others that it survived."""

    def change(u: int, message: Any) -> Any:
        if u in victims and isinstance(message, Survivors):
            return replace(message, survivors=[v for v in message.survivors if v != lost])
        return message

    return change


def test_a2_different_survivors_for_different_clients_release_nothing() -> None:
    session = play(malicious(), down=lost_to({1, 2, 3}, lost=7))
    # 1, 2 and 3 signed another view: their statements fail at an honest server, too few are left to go on
    assert session.senders(Unmasking) == set()
    assert isinstance(session.outcome, TooFewSurvivorsError)


@pytest.mark.parametrize("split", [1, 2, 3])
def test_a2_no_client_accepts_signatures_over_another_view(split: int) -> None:
    """A lying server forwards every signature it has, whatever view it is over."""
    everybody, deceived = set(range(1, N + 1)), set(range(1, split + 1))
    statements: dict[int, bytes] = {}

    def gathered(u: int, message: Any) -> Any:
        if isinstance(message, ConsistencyCheck):
            statements[u] = message.signature
        return message

    def lies(u: int, message: Any) -> Any:
        if isinstance(message, Consistency):
            return replace(message, signatures={v: s for v, s in statements.items() if v != u})
        return lost_to(deceived, lost=7)(u, message)

    session = play(malicious(), down=lies, up=gathered)
    for u in everybody & session.errors.keys():
        assert session.refused(
            u, FaultyServerError, "did not sign what this client was told", SIGNED
        ) or session.refused(u, FaultyServerError, "no other survivors", SIGNED)
    assert session.senders(Unmasking) == set()


def dropping(count: int) -> Any:
    return lambda m: replace(m, signatures=dict(list(m.signatures.items())[count:]))


@pytest.mark.parametrize(
    ("change", "error", "sentence"),
    [
        (dropping(1), FaultyServerError, "4 other survivors signed, 5 are needed"),
        (lambda m: replace(m, signatures={}), FaultyServerError, "0 other survivors signed"),
        (lambda m: replace(m, sum="z"), UnexpectedMessageError, "another sum"),
        (lambda m: replace(m, signatures=m.signatures | {1: bytes(64)}), FaultyServerError, "no other survivors"),
        (lambda m: replace(m, signatures=m.signatures | {99: bytes(64)}), FaultyServerError, "no other survivors"),
        (lambda m: replace(m, signatures=m.signatures | {2: bytes(64)}), FaultyServerError, "client 2 did not sign"),
    ],
)
def test_a2_signatures_that_are_few_foreign_or_forged_release_nothing(change: Any, error: Any, sentence: str) -> None:
    session = play(malicious(), down=told(1, Consistency, change))
    assert session.refused(1, error, sentence, SIGNED)
    assert session.is_exact("a", set(range(1, N + 1)))  # the others still have t + 1 answers


def test_a2_one_signature_under_many_ids_does_not_count() -> None:
    def multiplied(message: Consistency) -> Consistency:
        one = next(iter(message.signatures.values()))
        return replace(message, signatures=dict.fromkeys(message.signatures, one))

    session = play(malicious(), down=told(1, Consistency, multiplied))
    assert session.refused(1, FaultyServerError, "did not sign", SIGNED)


def test_a1_a_statement_of_one_sum_is_none_for_another() -> None:
    first: dict[int, dict[int, bytes]] = {}

    def replay(u: int, message: Any) -> Any:
        if not isinstance(message, Consistency):
            return message
        if message.sum == "a":
            first[u] = dict(message.signatures)
            return message
        return replace(message, signatures=first[u]) if u == 1 else message

    session = play(malicious(N, T, A, B), down=replay)
    assert "did not sign what this client was told" in str(session.errors[1])
    assert session.is_exact("b")


@pytest.mark.parametrize(
    "changes", [{"binding": b"x" * 32}, {"live": frozenset({1, 2})}, {"survivors": frozenset({1, 2, 3, 4, 5, 6})}]
)
def test_a2_every_part_of_a_view_is_signed(changes: Mapping[str, Any]) -> None:
    agreed = malicious()
    clients = {u: make_client(u, agreed) for u in range(1, N + 1)}

    def forged(u: int, message: Any) -> Any:
        if u != 2 or not isinstance(message, ConsistencyCheck):
            return message
        state = clients[2].state
        assert isinstance(state, ViewSigned)
        return dataclasses.replace(state.view, **changes).sign(state.masked.ready.keys.identity)

    session = play(agreed, up=forged, clients=clients)
    assert session.fault(2) == "the signature does not verify"
    assert session.senders(Unmasking) == {1, 3, 4, 5, 6, 7}
    assert session.is_exact("a", set(range(1, N + 1)))


def test_a3_a_second_list_of_survivors_is_refused_after_signing() -> None:
    agreed = malicious()
    session = play(agreed, loses=losing(set(range(1, N + 1)), ConsistencyCheck), may_return=True)
    client = session.clients[1]
    assert isinstance(client.state, ViewSigned)
    with pytest.raises(UnexpectedMessageError):
        client.receive(Survivors("a", [1, 2, 3, 4, 5, 6]))
    assert isinstance(client.state, Aborted)


def test_a11_a_session_id_is_entered_once_also_after_a_restart() -> None:
    agreed, journal = malicious(), InMemoryJournal()
    first = make_client(1, agreed, journal=journal)
    invitation = Invitation(b"s" * 32, agreed)
    assert first.receive(invitation)
    restarted = make_client(1, agreed, journal=journal)
    with pytest.raises(FaultyServerError, match="session id was used before"):
        restarted.receive(invitation)
    assert isinstance(restarted.state, Aborted)
    assert make_client(1, agreed, journal=journal).receive(Invitation(b"t" * 32, agreed))


def test_a3_an_answered_sum_is_never_answered_again_whatever_the_state_says() -> None:
    agreed, journal = malicious(), InMemoryJournal()
    clients = {1: make_client(1, agreed, journal=journal)}
    session = play(agreed, clients=clients)
    with pytest.raises(FaultyServerError, match="answered before"):
        journal.answer(session.server.session, "a")


@pytest.mark.parametrize(
    ("clients", "colluders", "least"), [(7, 1, 4), (7, 2, 5), (100, 5, 53), (100, 33, 67), (8, 0, 4)]
)
def test_a7_a_threshold_that_two_views_could_both_reach_is_refused(clients: int, colluders: int, least: int) -> None:
    assert malicious(clients, least, colluders=colluders).threshold == least
    with pytest.raises(ConfigurationError, match=f"use at least {least}"):
        malicious(clients, least - 1, colluders=colluders)


def test_a13_the_malicious_setting_takes_the_complete_graph_only() -> None:
    with pytest.raises(ConfigurationError, match="complete graph"):
        malicious(8, 5, degree=6)


def test_a6_min_survivors_bind_the_client_whatever_the_server_says() -> None:
    agreed = malicious(min_survivors=7)
    session = play(agreed, down=told(1, Survivors, lambda m: replace(m, survivors=[1, 2, 3, 4, 5, 6])))
    assert session.refused(1, TooFewSurvivorsError, "6 clients left, 7 needed", BEFORE)
    assert isinstance(play(agreed, loses=losing({2}, MaskedInput)).outcome, TooFewSurvivorsError)


def test_a12_more_survivors_than_clients_cannot_be_asked_for() -> None:
    with pytest.raises(ConfigurationError, match="min_survivors"):
        malicious(min_survivors=8)


def test_public_keys_stay_in_their_order() -> None:
    """The sessions of this file rely on it: client u of a complete roster is identity u."""
    assert [public(u) for u in range(1, N + 1)] == sorted(public(u) for u in range(1, N + 1))
