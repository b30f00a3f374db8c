"""The roster: what a client refuses before it deals out anything. Attacks A8, A9 and A12."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from sessions import A, agree, make_client, play, sign_advert, told

from securefl.crypto import suite
from securefl.errors import FaultyServerError, ProtocolError, TooFewSurvivorsError
from securefl.secagg import Params
from securefl.secagg.keys import KeysAdvertised, roster_root
from securefl.secagg.messages import AdvertiseKeys, Invitation, Roster

AGREED = agree(5, 3, A)
VICTIM = 3
Adverts = dict[int, AdvertiseKeys]


def signed(client: int, state: KeysAdvertised, channel: bytes, **others: Any) -> AdvertiseKeys:
    """A properly signed advert for the victim's session; `others` replace what is signed."""
    return sign_advert(client, **{"session": state.session, "agreed": state.params, "channel": channel} | others)


def fresh() -> bytes:
    return suite("x25519").generate().public


def swapped(adverts: Adverts, one: int, other: int) -> Adverts:
    return adverts | {one: adverts[other], other: adverts[one]}


def without(adverts: Adverts, *clients: int) -> Adverts:
    return {u: a for u, a in adverts.items() if u not in clients}


LIES: dict[str, tuple[Callable[[Adverts, KeysAdvertised], Adverts], str]] = {
    "a8 unregistered": (lambda a, s: a | {5: signed(6, s, fresh())}, "client 5: the identity is not registered"),
    "a8 substituted channel": (
        lambda a, _: a | {5: msgspec.structs.replace(a[5], channel=fresh())},
        "client 5: the signature does not verify",
    ),
    "a8 substituted commitments": (
        lambda a, _: a | {5: msgspec.structs.replace(a[5], commitments=bytes(64))},
        "client 5: the signature does not verify",
    ),
    "a8 from another session": (
        lambda a, s: a | {5: signed(5, s, fresh(), session=bytes(32))},
        "client 5: the signature does not verify",
    ),
    "a12 of other parameters": (
        lambda a, s: a | {5: signed(5, s, fresh(), agreed=agree(5, 4, A))},
        "client 5: the signature does not verify",
    ),
    "a9 own key altered": (
        lambda a, _: a | {VICTIM: msgspec.structs.replace(a[VICTIM], channel=fresh())},
        "own keys exactly once",
    ),
    "a9 own key signed anew": (lambda a, s: a | {VICTIM: signed(VICTIM, s, fresh())}, "own keys exactly once"),
    "a9 own key missing": (lambda a, _: without(a, VICTIM), "own keys exactly once"),
    "a9 own key twice": (lambda a, _: a | {4: a[VICTIM]}, "own keys exactly once"),
    "a9 own key reflected": (lambda a, s: a | {4: signed(4, s, s.channel.public)}, "one channel key under two ids"),
    "a9 one key under two ids": (lambda a, s: a | {4: signed(4, s, a[5].channel)}, "one channel key under two ids"),
    "a9 low-order key": (lambda a, s: a | {4: signed(4, s, bytes(32))}, "client 4: the channel key is unusable"),
    "one identity twice": (lambda a, s: a | {5: signed(4, s, fresh())}, "not the ranks of distinct identity keys"),
    "ids that are no ranks": (lambda a, _: swapped(a, 1, 2), "not the ranks of distinct identity keys"),
    "own id that is no rank": (lambda a, _: swapped(a, VICTIM, 5), "not the ranks of distinct identity keys"),
    "a neighbour missing": (lambda a, _: without(a, 1), "not show exactly this client's neighbours"),
    "an id beyond the size": (lambda a, s: a | {7: signed(6, s, fresh())}, "not show exactly this client's neighbours"),
    "short channel key": (lambda a, s: a | {4: signed(4, s, bytes(31))}, "client 4: the channel key has the wrong len"),
    "long channel key": (lambda a, s: a | {4: signed(4, s, bytes(33))}, "client 4: the channel key has the wrong len"),
    "a commitment too few": (
        lambda a, s: a | {4: signed(4, s, fresh(), commitments=bytes(32))},
        "client 4: the commitments have the wrong length",
    ),
}


@pytest.mark.parametrize(("lie", "sentence"), LIES.values(), ids=list(LIES))
def test_a_roster_that_lies_about_keys_is_refused(
    lie: Callable[[Adverts, KeysAdvertised], Adverts], sentence: str
) -> None:
    """The lie is as good as can be: the root is that of the changed roster. The other clients go on."""
    victim = make_client(VICTIM, AGREED)

    def changed(roster: Roster) -> Roster:
        adverts = lie(roster.adverts, victim.state)
        return Roster(roster.size, roster_root(victim.state.session, AGREED, adverts), adverts)

    session = play(AGREED, down=told(VICTIM, Roster, changed), clients={VICTIM: victim})
    assert session.refused(VICTIM, FaultyServerError, sentence, after=[AdvertiseKeys])
    assert session.is_exact("a", {1, 2, 4, 5})


FRAMES: dict[str, tuple[dict[str, Any], type[ProtocolError], str]] = {
    "another root": ({"root": bytes(32)}, FaultyServerError, "does not hash to its root"),
    "larger than invited": ({"size": 6}, FaultyServerError, "larger than the session's parameters allow"),
    "smaller than shown": ({"size": 4}, FaultyServerError, "not show exactly this client's neighbours"),
    "smaller than own id": ({"size": 2}, FaultyServerError, "larger than the session's parameters allow"),
}


@pytest.mark.parametrize(("change", "error", "sentence"), FRAMES.values(), ids=list(FRAMES))
def test_a_roster_of_the_wrong_size_or_root_is_refused(
    change: dict[str, Any], error: type[ProtocolError], sentence: str
) -> None:
    session = play(AGREED, down=told(VICTIM, Roster, lambda m: msgspec.structs.replace(m, **change)))
    assert session.refused(VICTIM, error, sentence, after=[AdvertiseKeys])


def test_a_roster_of_too_few_is_refused() -> None:
    """Three clients cannot give three shares of a secret that its owner does not hold."""
    victim = make_client(VICTIM, AGREED)

    def cut(roster: Roster) -> Roster:
        adverts = without(roster.adverts, 4, 5)
        return Roster(3, roster_root(victim.state.session, AGREED, adverts), adverts)

    session = play(AGREED, down=told(VICTIM, Roster, cut), clients={VICTIM: victim})
    assert session.refused(VICTIM, TooFewSurvivorsError, "2 neighbours left, 3 needed", after=[AdvertiseKeys])


@pytest.mark.parametrize("other", [agree(5, 2, A), agree(5, 3, A, plan=b"rate"), agree(5, 3, A, colluders=2)])
def test_a12_a14_who_was_told_other_parameters_is_not_in_the_roster(other: Params) -> None:
    """Everything is signed under the hash of the parameters, the training plan's among them."""
    victim = make_client(VICTIM, other)
    down = told(VICTIM, Invitation, lambda m: Invitation(m.session, other))
    session = play(AGREED, down=down, clients={VICTIM: victim})
    assert session.fault(VICTIM) == "the signature does not verify"
    assert session.is_exact("a", {1, 2, 4, 5})
