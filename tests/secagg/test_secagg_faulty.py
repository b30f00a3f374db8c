"""Clients at fault: who deals what nobody can use, answers wrongly, or sends a wrong pad is named. Attacks B5, E4."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sessions import A, B, Session, agree, bundle, deal, deal_again, losing, make_client, play, public, values_dealt

from native import field
from securefl.errors import FaultyClientError, FaultyServerError, TooFewSurvivorsError
from securefl.secagg import Aborted, Params
from securefl.secagg.dealing import KeysShared
from securefl.secagg.keys import KeysAdvertised
from securefl.secagg.messages import AdvertiseKeys, Bundle, MaskedInput, Roster, ShareKeys, Unmasking
from securefl.secagg.setup import HALF

HOLDER = 3
EVERYBODY = {1, 2, 3, 4, 5, 6}
AGREED = agree(6, 3, A)
BAD_SHARE = "it released a share that misses its hash"

Spoil = Callable[[KeysShared, int], Bundle]
"""(dealer, holder) -> what is dealt instead."""


def play_dealing(spoil: Spoil, dealt: dict[int, set[int]], agreed: Params = AGREED, **others: Any) -> Session:
    """A session in which each of these dealers deals `spoil` to each of its holders."""
    clients = {u: make_client(u, agreed) for u in dealt}

    def up(client: int, message: Any) -> Any:
        if client not in dealt or not isinstance(message, ShareKeys):
            return message
        shared = clients[client].state
        return deal_again(shared, message, {v: spoil(shared, v) for v in dealt[client]})

    return play(agreed, up=up, clients=clients, **others)


def values(shared: KeysShared, holder: int, share: bytes = bytes(40)) -> list[bytes]:
    """Every share the same, the halves as they should be."""
    return list(values_dealt(shared, holder, dict.fromkeys(shared.secrets, share)).values())


def noise(shared: KeysShared, holder: int) -> Bundle:
    return bundle(shared, holder, bytes(160), values(shared, holder))


def refusals(session: Session, name: str = "a") -> dict[int, list[int]]:
    """Who refuses whom in a sum, but for those that refuse nobody."""
    return {u: m.refused for u, m in session.sent if isinstance(m, MaskedInput) and m.sum == name and m.refused}


# ---- a signed bundle that its holder cannot use ----

UNUSABLE: dict[str, Spoil] = {
    "no box": lambda s, v: bundle(s, v, b"", values(s, v)),
    "a box of noise": noise,
    "a box cut short": lambda s, v: bundle(
        s, v, deal(s, v, b"".join(values(s, v)), values(s, v)).box[:-1], values(s, v)
    ),
    "a share that misses its hash": lambda s, v: deal(s, v, b"\1" + b"".join(values(s, v))[1:], values(s, v)),
    "a half that misses its hash": lambda s, v: deal(s, v, b"".join(values(s, v))[:-1] + b"\0", values(s, v)),
    "a byte too few": lambda s, v: deal(s, v, b"".join(values(s, v))[:-1], values(s, v)),
    "a byte too many": lambda s, v: deal(s, v, b"".join(values(s, v)) + b"\0", values(s, v)),
    "nothing inside": lambda s, v: deal(s, v, b"", values(s, v)),
}


@pytest.mark.parametrize("spoil", UNUSABLE.values(), ids=list(UNUSABLE))
@pytest.mark.parametrize("dealer", [2, 5], ids=["lower dealer", "higher dealer"])
def test_a_signed_but_unusable_bundle_leaves_its_dealer_out(dealer: int, spoil: Spoil) -> None:
    session = play_dealing(spoil, {dealer: {HOLDER}})
    assert refusals(session) == {HOLDER: [dealer]}
    assert session.is_exact("a", EVERYBODY - {dealer})
    assert session.senders(Unmasking) == EVERYBODY - {dealer}
    assert not session.errors


def test_a_dealer_refused_by_all_is_left_out() -> None:
    session = play_dealing(noise, {5: EVERYBODY - {5}})
    assert refusals(session) == {u: [5] for u in EVERYBODY - {5}}
    assert session.is_exact("a", EVERYBODY - {5})


def test_as_many_faulty_dealers_as_are_assumed_corrupt_are_left_out() -> None:
    session = play_dealing(noise, {2: {HOLDER}, 5: {HOLDER}}, agree(6, 3, A, colluders=2))
    assert refusals(session) == {HOLDER: [2, 5]}
    assert session.is_exact("a", {1, 3, 4, 6})


def test_more_unusable_bundles_than_colluders_are_the_servers_fault() -> None:
    session = play_dealing(noise, {2: {HOLDER}, 5: {HOLDER}})
    sentence = "2 bundles are unusable, more than the 1 assumed corrupt"
    assert session.refused(HOLDER, FaultyServerError, sentence, after=[AdvertiseKeys, ShareKeys])
    assert session.is_exact("a", EVERYBODY - {HOLDER})


def test_who_refuses_more_than_are_assumed_corrupt_is_left_out_itself() -> None:
    def up(client: int, message: Any) -> Any:
        if client != HOLDER or not isinstance(message, MaskedInput):
            return message
        return msgspec.structs.replace(message, pads={4: bytes(32)}, refused=[5, 6])

    session = play(AGREED, up=up)
    assert session.fault(HOLDER) == "client 3: it refuses more bundles than clients are assumed corrupt"
    assert session.is_exact("a", EVERYBODY - {HOLDER})


@pytest.mark.parametrize("dealer", [2, 5])
def test_an_unusable_edge_is_unusable_in_every_sum(dealer: int) -> None:
    session = play_dealing(noise, {dealer: {HOLDER}}, agree(6, 3, A, B), may_return=True)
    assert refusals(session, "a") == refusals(session, "b") == {HOLDER: [dealer]}
    assert session.is_exact("a", EVERYBODY - {dealer})
    assert session.is_exact("b", EVERYBODY - {dealer})


@pytest.mark.parametrize("dealer", [2, 5])
def test_if_the_refuser_is_lost_its_dealer_stays(dealer: int) -> None:
    """The dealer masked with the holder, whose m opens the edge: the half it dealt was right, if unreadable."""
    session = play_dealing(noise, {dealer: {HOLDER}}, loses=losing([HOLDER], MaskedInput))
    assert session.is_exact("a", EVERYBODY - {HOLDER})


@pytest.mark.parametrize("dealer", [2, 5])
def test_a_lost_dealer_that_one_holder_refused_is_opened_to_the_others(dealer: int) -> None:
    session = play_dealing(noise, {dealer: {HOLDER}}, loses=losing([dealer], MaskedInput))
    assert session.is_exact("a", EVERYBODY - {dealer})


@st.composite
def unusable_edges(draw: st.DrawFn) -> tuple[Params, dict[int, set[int]], set[int], set[int]]:
    """Parameters, holders of a bad bundle by dealer, and who is lost at MaskedInput and at Unmasking."""
    n = draw(st.integers(5, 8))
    t = draw(st.integers(2, n - 2))
    agreed = agree(n, t, A, colluders=draw(st.integers(1, min(2, t - 1))))
    clients = st.integers(1, n)
    edges = draw(st.sets(st.tuples(clients, clients).filter(lambda edge: edge[0] != edge[1]), max_size=4))
    dealt = {u: {v for dealer, v in edges if dealer == u} for u, _ in edges}
    return agreed, dealt, draw(st.sets(clients, max_size=2)), draw(st.sets(clients, max_size=2))


def check_edges(
    drawn: tuple[Params, dict[int, set[int]], set[int], set[int]],
) -> None:
    """Exact, or too few: of the survivors that no survivor's fellow refused, and of shares that were dealt."""
    agreed, dealt, mute, silent = drawn
    t, everybody = agreed.threshold, set(range(1, agreed.clients + 1))
    refused = {v: {u for u in dealt if v in dealt[u]} for v in everybody}
    usable = {v for v in everybody if len(refused[v]) <= agreed.colluders and len(everybody) - 1 - len(refused[v]) >= t}
    sending = usable - mute
    survivors = sending - {u for v in sending for u in refused[v]}
    answering = survivors - silent
    masked = {w for w in everybody - survivors if any(w not in refused[u] for u in survivors)}
    opens = all(sum(w not in refused[v] for v in answering) >= t for w in masked) and len(answering) > t

    lost = lambda u, m: u in (mute if isinstance(m, MaskedInput) else silent if isinstance(m, Unmasking) else ())  # noqa: E731
    session = play_dealing(noise, dealt, agreed, loses=lost)
    assert set(session.errors) == everybody - usable
    if len(survivors) > t and opens:
        assert session.is_exact("a", survivors)
    else:
        assert isinstance(session.outcome, TooFewSurvivorsError)
        assert not session.server.results


test_unusable_edges_and_losses_together = settings(max_examples=60)(given(unusable_edges())(check_edges))
test_unusable_edges_and_losses_at_length = pytest.mark.slow(
    settings(max_examples=1000)(given(unusable_edges())(check_edges))
)


# ---- a dealer whose shares are no shares of what it committed to ----


def play_lying(kind: str, **others: Any) -> Session:
    """Client 5 deals consistent shares of another secret than it committed to."""
    clients = {5: make_client(5, AGREED)}

    def down(client: int, message: Any) -> Any:
        if client == 5 and isinstance(message, Roster):
            state: KeysAdvertised = clients[5].state
            clients[5]._state = replace(state, secrets={**state.secrets, ("a", kind): b"another secret".ljust(32)})
        return message

    return play(AGREED, down=down, clients=clients, **others)


def abandoned(session: Session, client: int, sentence: str) -> bool:
    """Whether the server ended the session without a sum and named this client for it."""
    return (
        isinstance(session.outcome, FaultyClientError)
        and session.outcome.client == client
        and sentence in str(session.outcome)
        and isinstance(session.server.state, Aborted)
        and not session.server.results
    )


def test_b5_a_survivor_that_shared_another_self_mask_is_named() -> None:
    assert abandoned(play_lying("b"), 5, "another secret than it committed to")
    assert play_lying("b", loses=losing([5], MaskedInput)).is_exact("a", EVERYBODY - {5})


def test_b5_a_lost_client_that_shared_another_pair_secret_is_named() -> None:
    assert abandoned(play_lying("m", loses=losing([5], MaskedInput)), 5, "another secret than it committed to")


def shares_of(words: Callable[[int], int]) -> Spoil:
    """Properly dealt bundles whose shares hold these words."""

    def spoil(shared: KeysShared, holder: int) -> Bundle:
        share = np.full(5, words(holder), "<u8").tobytes()
        return deal(shared, holder, b"".join(values(shared, holder, share)), values(shared, holder, share))

    return spoil


NO_SHARES: dict[str, Callable[[int], int]] = {
    "not canonical": lambda _: field.P61,
    "above 2^61": lambda _: 2**64 - 1,
    "a limb too long": lambda _: 2**56,
    "points of no polynomial": lambda holder: pow(3, 40 * holder, field.P61),
}


@pytest.mark.parametrize("lost", [False, True], ids=["survives", "lost"])
@pytest.mark.parametrize("words", NO_SHARES.values(), ids=list(NO_SHARES))
def test_b5_a_dealer_whose_shares_form_no_secret_is_named(words: Callable[[int], int], lost: bool) -> None:
    session = play_dealing(shares_of(words), {2: EVERYBODY - {2}}, loses=losing([2] if lost else [], MaskedInput))
    assert abandoned(session, 2, "its good shares form no secret")


def test_b5_shares_of_an_agreed_wrong_secret_are_compared_with_the_commitment() -> None:
    session = play_dealing(shares_of(lambda _: 7), {2: EVERYBODY - {2}})
    assert abandoned(session, 2, "another secret than it committed to")


def wrong_half(shared: KeysShared, holder: int) -> Bundle:
    """Right shares, from the client's own box, cannot be had again: new ones of the same secrets, and a wrong half."""
    names = list(shared.secrets)
    stacked = np.frombuffer(b"".join(shared.secrets.values()), np.uint8).reshape(-1, 32)
    words = field.share(stacked, 1, np.array([holder], np.uint64))
    shares = {name: words[i, 0].astype("<u8").tobytes() for i, name in enumerate(names)}
    dealt = [v if name[1] != HALF else bytes(32) for name, v in values_dealt(shared, holder, shares).items()]
    return deal(shared, holder, b"".join(dealt), dealt)


@pytest.mark.parametrize("dealer", [2, 5])
def test_a_half_that_is_not_derived_from_the_pair_secret_names_its_dealer(dealer: int) -> None:
    """Shares of degree 0 are the secret itself: valid for any threshold, so that only the half is wrong."""
    session = play_dealing(wrong_half, {dealer: EVERYBODY - {dealer}}, loses=losing([dealer], MaskedInput))
    assert abandoned(session, dealer, "the half it dealt is not derived from its secret")


# ---- a wrong pad ----


def spoil_pad(of: int, under: int) -> Callable[[int, Any], Any]:
    def up(client: int, message: Any) -> Any:
        if client != of or not isinstance(message, MaskedInput):
            return message
        return msgspec.structs.replace(message, pads=message.pads | {under: bytes(32)})

    return up


def test_a_wrong_pad_names_its_sender_if_it_is_needed() -> None:
    session = play(AGREED, up=spoil_pad(2, 5), loses=losing([5], MaskedInput))
    assert abandoned(session, 2, "its pad does not hold the half it dealt")


def test_a_wrong_pad_harms_nobody_if_it_is_not_needed() -> None:
    assert play(AGREED, up=spoil_pad(2, 5), loses=losing([4], MaskedInput)).is_exact("a", EVERYBODY - {4})


# ---- wrong answers ----


def answer(client: int, change: Callable[[dict[int, bytes]], dict[int, bytes]]) -> Callable[[int, Any], Any]:
    return lambda u, m: Unmasking(m.sum, change(m.shares)) if u == client and isinstance(m, Unmasking) else m


def flipped(share: bytes) -> bytes:
    return bytes((share[0] ^ 1,)) + share[1:]


@pytest.mark.parametrize("lost", [[], [5]], ids=["of a survivor", "of a lost client"])
def test_e4_a_bad_share_names_its_holder_and_is_skipped(lost: list[int]) -> None:
    up = answer(2, lambda shares: shares | {5: flipped(shares[5])})
    session = play(AGREED, up=up, loses=losing(lost, MaskedInput))
    assert session.server.faults.keys() == {session.server.name_of(2)}
    assert session.fault(2) == BAD_SHARE
    assert session.is_exact("a", EVERYBODY - set(lost))


def test_b5_a_share_of_another_owner_or_kind_is_a_bad_share() -> None:
    session = play(AGREED, up=answer(2, lambda shares: shares | {5: shares[6]}))
    assert session.fault(2) == BAD_SHARE
    assert session.is_exact("a")
    holder = make_client(2, AGREED)

    def other_kind(shares: dict[int, bytes]) -> dict[int, bytes]:
        return shares | {5: holder.state.dealt[5].values["a", "m"]}

    session = play(AGREED, up=answer(2, other_kind), clients={2: holder})
    assert session.fault(2) == BAD_SHARE
    assert session.is_exact("a")


def test_a_share_left_out_is_nobodys_fault() -> None:
    session = play(AGREED, up=answer(2, lambda shares: {v: s for v, s in shares.items() if v != 5}))
    assert not session.server.faults
    assert session.is_exact("a")


def test_e4_bad_shares_beyond_what_can_be_spared_end_the_session() -> None:
    """n = 4, t = 3: of client 4's secret there are three shares, and one is bad."""
    session = play(agree(4, 3), up=answer(2, lambda shares: shares | {4: flipped(shares[4])}))
    assert isinstance(session.outcome, TooFewSurvivorsError)
    assert str(session.outcome) == "2 shares of client 4's secret left, 3 needed"
    assert session.server.faults == {public(2): BAD_SHARE}
    assert not session.server.results
