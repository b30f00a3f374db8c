"""Bundles: whatever the server does to one opens no edge (A10); whatever a dealer does is its own fault."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sessions import IDENTITIES, A, B, Session, agree, make_client, play, public, told

from native import field
from securefl.crypto import Identity, suite
from securefl.errors import FaultyServerError, TooFewSurvivorsError
from securefl.secagg.bundles import check_bundles, sign_bundles
from securefl.secagg.dealing import KeysShared, half, value_hash
from securefl.secagg.keys import KINDS, commitment, roster_root
from securefl.secagg.messages import (
    AdvertiseKeys,
    Bundle,
    Delivery,
    Invitation,
    MaskedInput,
    Roster,
    ShareKeys,
    SignedBundle,
)
from securefl.secagg.setup import HALF
from securefl.transcript import Label, encode

AGREED = agree(5, 3, A)
VICTIM, DEALER = 3, 5
NOT_SIGNED = f"the bundle of client {DEALER} is not signed by it"
Bundles = dict[int, SignedBundle]


def delivered(session: Session, client: int) -> Bundles:
    """The bundles that the server had for a client."""
    return next(m.bundles for u, m in session.shown if u == client and isinstance(m, Delivery))


def check_opens_no_edge(change: Callable[[Bundles], Bundles], sentence: str = NOT_SIGNED) -> None:
    """The victim stops before it masks anything; the others open the sum without it."""
    session = play(AGREED, down=told(VICTIM, Delivery, lambda m: Delivery(change(m.bundles))))
    assert session.refused(VICTIM, FaultyServerError, sentence, after=[AdvertiseKeys, ShareKeys])
    assert session.is_exact("a", {1, 2, 4, 5})


def without(bundles: Bundles, *dealers: int) -> Bundles:
    return {u: b for u, b in bundles.items() if u not in dealers}


OTHER = play(AGREED)
"""Another session of the same clients."""


def forged(bundle: SignedBundle, **others: bytes) -> SignedBundle:
    return msgspec.structs.replace(bundle, **others)


LIES: dict[str, Callable[[Bundles], Bundles]] = {
    "swapped with another dealer's": lambda b: {DEALER: b[4], 4: b[DEALER]} | without(b, 4, DEALER),
    "repeated in place of another's": lambda b: b | {DEALER: b[4]},
    "meant for another holder": lambda b: b | {DEALER: delivered(OTHER, 1)[DEALER]},
    "replayed from another session": lambda b: b | {DEALER: delivered(OTHER, VICTIM)[DEALER]},
    "with another's box": lambda b: b | {DEALER: forged(b[DEALER], box=b[4].box)},
    "with another's hashes": lambda b: b | {DEALER: forged(b[DEALER], hashes=b[4].hashes)},
    "with another's signature": lambda b: b | {DEALER: forged(b[DEALER], signature=b[4].signature)},
    "with a longer box": lambda b: b | {DEALER: forged(b[DEALER], box=b[DEALER].box + b"\0")},
    "with no box": lambda b: b | {DEALER: forged(b[DEALER], box=b"")},
    "with a hash too few": lambda b: b | {DEALER: forged(b[DEALER], hashes=b[DEALER].hashes[:-32])},
    "with another's path": lambda b: b | {DEALER: forged(b[DEALER], path=b[4].path)},
    "with another session's path": lambda b: (
        b | {DEALER: forged(b[DEALER], path=delivered(OTHER, VICTIM)[DEALER].path)}
    ),
    "with a longer path": lambda b: b | {DEALER: forged(b[DEALER], path=b[DEALER].path + bytes(32))},
    "with a path cut short": lambda b: b | {DEALER: forged(b[DEALER], path=b[DEALER].path[:-1])},
    "with no path": lambda b: b | {DEALER: forged(b[DEALER], path=b"")},
    "with no signature": lambda b: b | {DEALER: forged(b[DEALER], signature=bytes(64))},
}


@pytest.mark.parametrize("lie", LIES.values(), ids=list(LIES))
def test_a10_a_bundle_out_of_place_opens_no_edge(lie: Callable[[Bundles], Bundles]) -> None:
    check_opens_no_edge(lie)


@settings(max_examples=40)
@given(part=st.sampled_from(["box", "hashes", "path", "signature"]), at=st.integers(0, 999), bit=st.integers(0, 7))
def test_a10_a_flipped_bit_opens_no_edge(part: str, at: int, bit: int) -> None:
    def flip(bundles: Bundles) -> Bundles:
        data = bytearray(getattr(bundles[DEALER], part))
        data[at % len(data)] ^= 1 << bit
        return bundles | {DEALER: forged(bundles[DEALER], **{part: bytes(data)})}

    check_opens_no_edge(flip)


def test_a10_a_replay_to_the_same_keys_in_another_roster_opens_no_edge() -> None:
    """Client 4's advert differs between two rosters of one session; everything else is the same."""
    clients = {u: make_client(u, AGREED) for u in (VICTIM, DEALER)}
    adverts = {}
    for u, client in clients.items():
        (adverts[u],) = client.receive(Invitation(bytes(32), AGREED))
    rosters = []
    for _ in range(2):
        others = {u: make_client(u, AGREED).receive(Invitation(bytes(32), AGREED))[0] for u in (1, 2, 4)}
        rosters.append(roster_of(adverts | others))
    (elsewhere,) = clients[DEALER].receive(rosters[0])
    signed = check_bundles(clients[DEALER].state.setup, DEALER, public(DEALER), elsewhere)
    clients[VICTIM].receive(rosters[1])
    with pytest.raises(FaultyServerError, match=NOT_SIGNED):
        clients[VICTIM].receive(Delivery({DEALER: signed[VICTIM]}))


def roster_of(adverts: dict[int, AdvertiseKeys]) -> Roster:
    return Roster(len(adverts), roster_root(bytes(32), AGREED, adverts), dict(sorted(adverts.items())))


def made_by_the_server(shared: KeysShared, signer: Identity) -> SignedBundle:
    """A bundle for the victim in the dealer's name: box, context and hashes are all right."""
    setup, values = shared.setup, [bytes(40), bytes(40), bytes(32)]
    info = encode(Label.BOX, setup.session, setup.root, DEALER, VICTIM)
    box = suite("x25519").seal(shared.channel.public, info, b"".join(values))
    named = zip(setup.dealt, values, strict=True)
    hashes = b"".join(value_hash(setup.session, DEALER, VICTIM, name, value) for name, value in named)
    bundles = {v: Bundle(box, hashes) for v in setup.graph.neighbours(DEALER)}
    message = sign_bundles(setup, DEALER, signer, bundles)
    return check_bundles(setup, DEALER, signer.public, message)[VICTIM]


@pytest.mark.parametrize("signer", [1, VICTIM, 6], ids=["a colluder", "the holder", "a stranger"])
def test_a10_a_bundle_that_the_server_makes_opens_no_edge(signer: int) -> None:
    """HPKE authenticates no sender: only the dealer's signature stands between the server and the pair seeds."""
    session = play_made_by_the_server(IDENTITIES[signer - 1])
    assert session.refused(VICTIM, FaultyServerError, NOT_SIGNED, after=[AdvertiseKeys, ShareKeys])


def test_a_bundle_that_the_server_makes_would_open_if_the_dealer_signed_it() -> None:
    """The control of the test above: nothing else is wrong with that bundle."""
    session = play_made_by_the_server(IDENTITIES[DEALER - 1])
    assert session.senders(MaskedInput) == {1, 2, VICTIM, 4, DEALER}
    assert all(message.refused == [] for _, message in session.sent if isinstance(message, MaskedInput))


def play_made_by_the_server(signer: Identity) -> Session:
    victim = make_client(VICTIM, AGREED)
    down = told(VICTIM, Delivery, lambda m: Delivery(m.bundles | {DEALER: made_by_the_server(victim.state, signer)}))
    return play(AGREED, down=down, clients={VICTIM: victim})


def test_bundles_of_clients_that_are_no_neighbours_are_refused() -> None:
    check_opens_no_edge(lambda b: b | {6: b[DEALER]}, "from clients that are no neighbours")
    check_opens_no_edge(lambda b: b | {VICTIM: b[DEALER]}, "from clients that are no neighbours")


def test_too_few_bundles_are_refused() -> None:
    down = told(VICTIM, Delivery, lambda m: Delivery({u: m.bundles[u] for u in (1, 2)}))
    session = play(AGREED, down=down)
    sentence = "2 live neighbours left, 3 needed"
    assert session.refused(VICTIM, TooFewSurvivorsError, sentence, after=[AdvertiseKeys, ShareKeys])


@pytest.mark.parametrize("kem", ["x25519", "x25519-mlkem768"])
def test_what_is_dealt_is_what_was_committed_to(kem: str) -> None:
    """Any t of the shares that holders have opened give the committed secrets; halves are derived from m."""
    agreed = agree(5, 3, A, B, kem=kem)
    session = play(agreed)
    clients = session.clients
    advert = next(m for u, m in session.sent if u == DEALER and isinstance(m, AdvertiseKeys))
    ready = {v: clients[v].state for v in (1, 2, 3, 4)}
    setup, secrets = ready[1].keys.setup, clients[DEALER].state.keys.secrets
    names = [(one.name, kind) for one in agreed.sums for kind in KINDS]
    for i, name in enumerate(names):
        shares = {v: np.frombuffer(state.dealt[DEALER].values[name], "<u8") for v, state in ready.items()}
        for holders in ([1, 2, 3], [4, 2, 1]):
            words = np.stack([shares[v] for v in holders])[None]
            assert bytes(field.reconstruct(np.array(holders, np.uint64), words, 3)[0]) == secrets[name]
        assert advert.commitments[32 * i : 32 * i + 32] == commitment(
            setup.session, public(DEALER), name, secrets[name]
        )
    for one in agreed.sums:
        for v, state in ready.items():
            own = half(secrets[one.name, "m"], setup.root, one.name, v)
            assert state.dealt[DEALER].values[one.name, HALF] == own
    assert len(set(secrets.values())) == 4
