"""Nothing secret escapes by accident: no state prints, pickles or copies its secrets, no error quotes them (B9)."""

from __future__ import annotations

import copy
import importlib
import pickle
import pkgutil
import sys
from collections.abc import Iterator

import pytest
from sessions import A, B, Session, agree, losing, make_client, play

import securefl.crypto
import securefl.secagg
import securefl.submodel
from securefl.crypto import Identity, Private, suite
from securefl.secagg.keys import KeysAdvertised
from securefl.secagg.messages import Invitation, MaskedInput
from securefl.secagg.uploading import Ready

for package in (securefl.crypto, securefl.secagg, securefl.submodel):
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        importlib.import_module(module.name)


def subclasses(kind: type) -> Iterator[type]:
    for sub in kind.__subclasses__():
        yield sub
        yield from subclasses(sub)


PRIVATE = [kind for kind in subclasses(Private) if getattr(sys.modules[kind.__module__], kind.__name__, None) is kind]
"""But for the class without slots that a dataclass with slots was made from."""


def test_the_states_with_secrets_are_among_them() -> None:
    names = {kind.__name__ for kind in PRIVATE}
    clients = {"KeysAdvertised", "KeysShared", "Dealt", "Ready", "InputMasked", "Claimed", "Downloaded"}
    servers = {"Cohort", "Recovered", "AwaitingShares", "AwaitingInputs", "AwaitingUnmasking", "Resting"}
    assert names >= clients | servers | {"Identity", "ChannelKey", "AwaitingClaims", "QuantizedUpdate"}


@pytest.mark.parametrize("kind", PRIVATE, ids=lambda kind: kind.__name__)
def test_b9_a_private_value_prints_as_its_class_only(kind: type) -> None:
    for show in ("__repr__", "__str__", "__format__"):
        owner = next(base for base in kind.__mro__ if show in vars(base))
        assert owner in (Private, object)
    empty = object.__new__(kind)  # with no field set: whatever prints, prints no field
    assert repr(empty) == str(empty) == f"{empty}" == f"<{kind.__name__}: private>"


@pytest.mark.parametrize("kind", PRIVATE, ids=lambda kind: kind.__name__)
def test_b9_a_private_value_is_neither_pickled_nor_copied(kind: type) -> None:
    empty = object.__new__(kind)
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(TypeError, match="it cannot be pickled or copied"):
            pickle.dumps(empty, protocol)
    for duplicate in (copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="it cannot be pickled or copied"):
            duplicate(empty)


@pytest.mark.parametrize("kind", PRIVATE, ids=lambda kind: kind.__name__)
def test_a_private_value_is_equal_to_itself_only(kind: type) -> None:
    """No comparison that stops at the first byte that differs."""
    assert kind.__eq__ is object.__eq__
    assert kind.__hash__ is object.__hash__


def secrets_of(session: Session) -> list[bytes]:
    """Everything that must never be shown: keys, secrets, halves, and what was dealt."""
    found: list[bytes] = []
    for client in session.clients.values():
        ready: Ready = client.state
        found += [*ready.keys.secrets.values(), *ready.keys.halves.values()]
        found += [value for dealt in ready.dealt.values() for value in dealt.values.values()]
    return found


def shown_in(text: str, secrets: list[bytes]) -> bool:
    return any(repr(secret)[2:-1] in text or secret.hex() in text for secret in secrets)


def test_b9_no_client_or_server_shows_a_secret() -> None:
    session = play(agree(5, 3, A, B), loses=losing([2], MaskedInput, "a"), may_return=True)
    secrets = secrets_of(session)
    shown = [repr(session.server), repr(session.server.state), str(vars(session.server))]
    for client in session.clients.values():
        shown += [repr(client), repr(client.state), str(vars(client)), str(client.state.keys.peers)]
    assert len(secrets) == 5 * (4 + 2 * 4 + 4 * 6)
    assert not any(shown_in(text, secrets) for text in shown)
    assert shown_in(str(secrets), secrets)  # the control: it would be found


def test_b9_clients_and_servers_cannot_be_pickled() -> None:
    session = play(agree(5, 3, A))
    for holder in (session.clients[1], session.server):
        with pytest.raises(TypeError, match="holds secrets"):
            pickle.dumps(holder)


def test_after_the_end_a_client_holds_no_secret() -> None:
    client = make_client(1, agree(5, 3, A))
    client.receive(Invitation(bytes(32), agree(5, 3, A)))
    assert isinstance(client.state, KeysAdvertised)
    client.abort("a reason")
    assert not [
        value for value in vars(client).values() if isinstance(value, Private) and not isinstance(value, Identity)
    ]


def test_keys_print_as_their_class_only() -> None:
    assert repr(Identity.generate()) == "<Identity: private>"
    assert repr(suite("x25519").generate()) == "<ChannelKey: private>"
