"""A session carried from process to process: suspended after every message, resumed once, never twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sessions import IDENTITIES, A, B, agree, make_client, play

from securefl.errors import FaultyServerError, LocalProtocolError, ProtocolError
from securefl.secagg import Aborted
from securefl.secagg.journal import InMemoryJournal
from securefl.secagg.messages import Invitation
from securefl.store import SqliteJournal

N, T = 5, 3


class Sleeper:
    """A client that exists as bytes between messages; each message meets a fresh object."""

    def __init__(self, number: int, agreed: Any) -> None:
        self._number, self._agreed = number, agreed
        self._journal = InMemoryJournal()
        self._bytes: bytes | None = None
        self.state: object = None

    def _awake(self) -> Any:
        client = make_client(self._number, self._agreed, journal=self._journal)
        if self._bytes is not None:
            client.resume(self._bytes)
        return client

    def receive(self, message: Any) -> list[Any]:
        client = self._awake()
        try:
            return client.receive(message)
        finally:
            self.state = client.state
            if not isinstance(client.state, Aborted):
                self._bytes = client.suspend()
                assert isinstance(client.state, Aborted)


@pytest.mark.parametrize("setting", ["semi_honest", "malicious"])
@pytest.mark.parametrize("kem", ["x25519", "x25519-mlkem768"])
def test_a_session_suspended_after_every_message_is_exact(setting: str, kem: str) -> None:
    agreed = agree(N, T, A, B, setting=setting, kem=kem)
    session = play(agreed, clients={u: Sleeper(u, agreed) for u in (1, 3)})  # type: ignore[dict-item]  # quacks alike
    assert not session.errors
    assert session.is_exact("a", set(range(1, N + 1)))
    assert session.is_exact("b", set(range(1, N + 1)))


def suspended(journal: Any) -> bytes:
    agreed = agree(N, T)
    client = make_client(1, agreed, journal=journal)
    client.receive(Invitation(b"s" * 32, agreed))
    return client.suspend()


def test_a11_a_suspension_is_resumed_once() -> None:
    journal = InMemoryJournal()
    data = suspended(journal)
    make_client(1, agree(N, T), journal=journal).resume(data)
    with pytest.raises(LocalProtocolError, match="resumed before"):
        make_client(1, agree(N, T), journal=journal).resume(data)


def test_a11_an_older_suspension_dies_with_the_newer_one() -> None:
    journal = InMemoryJournal()
    first = suspended(journal)
    client = make_client(1, agree(N, T), journal=journal)
    client.resume(first)
    second = client.suspend()
    for data, works in ((first, False), (second, True)):
        fresh = make_client(1, agree(N, T), journal=journal)
        if works:
            fresh.resume(data)
            continue
        with pytest.raises(LocalProtocolError, match="not the latest"):
            fresh.resume(data)


def test_a11_the_marks_survive_the_process(tmp_path: Path) -> None:
    with SqliteJournal(tmp_path / "journal.sqlite") as journal:
        data = suspended(journal)
    with SqliteJournal(tmp_path / "journal.sqlite") as journal:
        with pytest.raises(FaultyServerError, match="session id was used before"):
            make_client(1, agree(N, T), journal=journal).receive(Invitation(b"s" * 32, agree(N, T)))
        make_client(1, agree(N, T), journal=journal).resume(data)
    with (
        SqliteJournal(tmp_path / "journal.sqlite") as journal,
        pytest.raises(LocalProtocolError, match="resumed before"),
    ):
        make_client(1, agree(N, T), journal=journal).resume(data)


def test_a3_an_answer_is_noted_for_ever(tmp_path: Path) -> None:
    with SqliteJournal(tmp_path / "journal.sqlite") as journal:
        journal.answer(b"s" * 32, "a")
        journal.answer(b"s" * 32, "b")
        journal.answer(b"t" * 32, "a")
    with (
        SqliteJournal(tmp_path / "journal.sqlite") as journal,
        pytest.raises(FaultyServerError, match="answered before"),
    ):
        journal.answer(b"s" * 32, "a")


def test_another_identity_cannot_take_a_session_up() -> None:
    journal = InMemoryJournal()
    data = suspended(journal)
    with pytest.raises(LocalProtocolError, match="another identity"):
        make_client(2, agree(N, T), journal=journal).resume(data)


def test_a_session_that_is_under_way_resumes_nothing() -> None:
    journal, agreed = InMemoryJournal(), agree(N, T)
    data = suspended(journal)
    busy = make_client(1, agreed, journal=InMemoryJournal())
    busy.receive(Invitation(b"t" * 32, agreed))
    with pytest.raises(LocalProtocolError, match="fresh client"):
        busy.resume(data)


def test_there_is_nothing_to_suspend_before_and_after_a_session() -> None:
    client = make_client(1, agree(N, T))
    with pytest.raises(LocalProtocolError, match="nothing to suspend"):
        client.suspend()


@given(data=st.binary(max_size=200))
def test_e3_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(LocalProtocolError):
        make_client(1, agree(N, T)).resume(data)


@given(at=st.integers(0, 5000), bit=st.integers(0, 7))
def test_e3_a_changed_suspension_is_refused_or_harmless(at: int, bit: int) -> None:
    journal = InMemoryJournal()
    data = bytearray(suspended(journal))
    data[at % len(data)] ^= 1 << bit
    client = make_client(1, agree(N, T), journal=journal)
    try:
        client.resume(bytes(data))
    except ProtocolError:
        return
    assert client.state is not None
    assert repr(client.state).endswith("private>")


def test_the_bytes_hold_no_identity_key() -> None:
    private = IDENTITIES[0]._key.private_bytes_raw()
    assert private not in suspended(InMemoryJournal())
