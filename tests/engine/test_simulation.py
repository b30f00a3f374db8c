"""A secure sum in one call, shards, and a server that is killed between any two events."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import securefl
from securefl.crypto import Identity
from securefl.engine.durable import DurableServer
from securefl.engine.exchange import Exchange, InProcess, Reply
from securefl.engine.simulation import STEPS
from securefl.errors import ConfigurationError, LocalProtocolError, TooFewSurvivorsError
from securefl.secagg import Client, Params, Segment, Server, Sum, cut, shards, to_client, to_server
from securefl.secagg.messages import MaskedInput
from securefl.store import FileSpool, SqliteEventLog, SqliteJournal


@settings(max_examples=15)
@given(data=st.data())
def test_simulate_is_the_sum_of_the_survivors(data: st.DataObject) -> None:
    n = data.draw(st.integers(4, 8))
    bound = data.draw(st.sampled_from([0, 1, 1000, 2**40]))
    values = st.lists(st.integers(-bound, bound), min_size=6, max_size=6)
    arrays = [np.array(data.draw(values)).reshape(2, 3) for _ in range(n)]
    step = data.draw(st.sampled_from(sorted(STEPS.keys() - {"ConsistencyCheck"})))
    lost = data.draw(st.integers(0, n - 1))
    result = securefl.simulate(arrays, threshold=2, dropouts={lost: step}, kem="x25519")
    survivors = set(range(n)) - ({lost} if step != "Unmasking" else set())
    assert set(result.survivors) == survivors
    assert (result.total == sum(arrays[i] for i in survivors)).all()


@pytest.mark.parametrize("setting", ["semi_honest", "malicious"])
def test_simulate_adds_the_shards_of_a_large_cohort(setting: Any) -> None:
    arrays = [np.full(3, i) for i in range(130)]
    result = securefl.simulate(arrays, dropouts={5: "MaskedInput", 129: "Unmasking"}, kem="x25519", setting=setting)
    assert result.shards == 2
    assert len(result.survivors) == 129
    assert result.total.tolist() == [sum(range(130)) - 5] * 3
    assert result.bytes_up > 0


def test_simulate_on_a_sparse_graph_with_a_spool_on_disk() -> None:
    arrays = [np.full(100, i) for i in range(40)]
    result = securefl.simulate(arrays, degree=12, threshold=7, dropouts=[1, 2], kem="x25519", spool=FileSpool())
    assert result.shards == 1
    assert (result.total == sum(range(40)) - 3).all()


@pytest.mark.parametrize(
    ("arrays", "options", "sentence"),
    [
        ([np.zeros(2, int)] * 2, {}, "arrays: 2 clients"),
        ([np.zeros(2)] * 4, {}, "over integers"),
        ([np.zeros(2, int)] * 3 + [np.zeros(3, int)], {}, "one shape"),
        ([np.zeros(0, int)] * 4, {}, "at least one number"),
        ([np.full(2, 2**62)] * 4, {}, "66 bits"),
        ([np.zeros(2, int)] * 4, {"threshold": 4}, "threshold: 4 of 3"),
        ([np.zeros(2, int)] * 4, {"dropouts": [4]}, "no client 4"),
        ([np.zeros(2, int)] * 4, {"dropouts": {1: "Nothing"}}, "no message of a client"),
        ([np.zeros(2, int)] * 4, {"kem": "rot13"}, "kem"),
        ([np.zeros(2, int)] * 6, {"degree": 3}, "degree"),
    ],
)
def test_c2_bad_arguments_are_refused_in_one_sentence(arrays: Any, options: Any, sentence: str) -> None:
    with pytest.raises(ConfigurationError, match=sentence) as error:
        securefl.simulate(arrays, **options)
    assert "\n" not in str(error.value)


def test_simulate_below_the_threshold_opens_nothing() -> None:
    with pytest.raises(TooFewSurvivorsError):
        securefl.simulate([np.zeros(2, int)] * 6, dropouts=[0, 1, 2], kem="x25519")


@given(n=st.integers(0, 700), largest=st.integers(3, 200))
def test_shards_are_balanced_and_lose_nobody(n: int, largest: int) -> None:
    parts = shards.split(range(n), largest)
    sizes = [len(p) for p in parts]
    assert [i for part in parts for i in part] == list(range(n))
    assert len(parts) == -(-n // largest)
    assert all(size <= largest for size in sizes)
    assert not sizes or max(sizes) - min(sizes) <= 1


def test_shards_of_other_shapes_are_not_added() -> None:
    with pytest.raises(LocalProtocolError):
        shards.add([{"x": np.zeros(2, np.uint32)}, {"x": np.zeros(3, np.uint32)}])
    with pytest.raises(LocalProtocolError):
        shards.add([])


def test_e4_a_frame_that_is_no_message_drops_its_sender_only() -> None:
    segment = Segment("x", 20, 5)
    agreed = Params(5, 3, 1, "x25519", (Sum("a", (segment,)),)).check()
    identities = [Identity.generate() for _ in range(5)]
    values = {i.public: np.arange(5) * k for k, i in enumerate(identities, 1)}
    clients = {i.public: Client(i, set(values), {"a": [values[i.public]]}) for i in identities}
    babbler = identities[0].public

    class Garbled(InProcess):
        def deliver(self, frames: Mapping[bytes, bytes]) -> Iterator[Reply]:
            for reply in super().deliver(frames):
                yield Reply(reply.name, [b"\x01garbage"]) if reply.name == babbler else reply

    server = Server(agreed, list(values))
    exchange = Exchange(server, Garbled(clients, to_client, to_server), to_client, to_server)
    exchange.run()
    assert exchange.refusals.keys() == {babbler}
    assert cut(segment, server.results["a"]["x"]).tolist() == [14 * i for i in range(5)]  # 2 + 3 + 4 + 5


# ---- a server that is killed ----

SEGMENT = Segment("x", 20, 5)


class KilledError(Exception):
    """The server's process ended."""


class Mortal:
    """Kills the server before or after its k-th event, and starts another on the same log."""

    def __init__(self, make: Any, path: Path, at: int, late: bool) -> None:
        self._make, self._path, self._at, self._late, self._events = make, path, at, late, 0
        self.deaths = 0
        self._begin()

    def _begin(self) -> None:
        self._log = SqliteEventLog(self._path)
        self.durable = DurableServer(self._make, to_server, self._log)

    def _do(self, act: str, *arguments: Any) -> Any:
        self._events += 1
        if self._events == self._at and not self._late:
            self._restart()
        outgoing = getattr(self.durable, act)(*arguments)
        if self._events == self._at and self._late:
            self._restart()
            return self.durable.start()  # what the dead process had still to send
        return outgoing

    def _restart(self) -> None:
        self.deaths += 1
        self._log.close()
        self._begin()

    def start(self) -> Any:
        return self._do("start")

    def receive(self, sender: bytes, message: Any) -> Any:
        return self._do("receive", sender, message)

    def drop(self, sender: bytes) -> Any:
        return self._do("drop", sender)


@pytest.mark.slow
@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("setting", ["semi_honest", "malicious"])
def test_e2_a_server_killed_between_any_two_events_goes_on(tmp_path: Path, late: bool, setting: Any) -> None:
    killed_everywhere(tmp_path, late, setting, stride=1)


def test_e2_a_server_killed_now_and_then_goes_on(tmp_path: Path) -> None:
    killed_everywhere(tmp_path, late=True, setting="malicious", stride=9)


def killed_everywhere(folder: Path, late: bool, setting: Any, stride: int) -> None:
    """Sessions whose server dies at event 1, 1 + stride, ... until one ends before it would."""
    n = 5
    agreed = Params(n, 3, 1, "x25519", (Sum("a", (SEGMENT,)), Sum("b", (SEGMENT,))), setting=setting).check()
    at = 1 - stride
    while True:
        at += stride
        identities = [Identity.generate() for _ in range(n)]
        values = {i.public: np.arange(5) * k for k, i in enumerate(identities, 1)}
        clients = {
            i.public: Client(i, set(values), {"a": [values[i.public]], "b": [values[i.public]]}) for i in identities
        }
        make = lambda session, names=list(values): Server(agreed, names, session=session)  # noqa: E731
        mortal = Mortal(make, folder / f"{at}.sqlite", at, late)
        lost = identities[0].public
        exchange = Exchange(
            mortal, clients, to_client, to_server, lambda u, m, lost=lost: u == lost and isinstance(m, MaskedInput)
        )
        exchange.run()
        server = mortal.durable.server
        for name in ("a", "b"):
            total = cut(SEGMENT, server.results[name]["x"]).tolist()
            assert total == [14 * i for i in range(5)], (at, name)  # 2 + 3 + 4 + 5
        if not mortal.deaths:
            break
    assert at > 4 * n


def test_a_log_of_another_kind_is_refused(tmp_path: Path) -> None:
    SqliteJournal(tmp_path / "journal").close()
    with pytest.raises(ConfigurationError, match="another program or purpose"):
        SqliteEventLog(tmp_path / "journal")


@pytest.mark.parametrize(
    ("event", "sentence"),
    [
        (("nothing", b"", b""), "damaged: an event is of no kind"),
        (("receive", b"u" * 32, b"noise"), "damaged: a frame in it is no message"),
    ],
)
def test_e3_a_damaged_event_is_no_end_of_the_session(tmp_path: Path, event: Any, sentence: str) -> None:
    make = lambda session: Server(Params(4, 2, 1, "x25519", (Sum("a", (SEGMENT,)),)), [], session=session)  # noqa: E731
    with SqliteEventLog(tmp_path / "log") as log:
        log.append(event)
        with pytest.raises(ConfigurationError, match=sentence):
            DurableServer(make, to_server, log)


def test_a_session_that_ended_stays_ended(tmp_path: Path) -> None:
    agreed = Params(4, 2, 1, "x25519", (Sum("a", (SEGMENT,)),)).check()
    names = [Identity.generate().public for _ in range(4)]
    make = lambda session: Server(agreed, names, session=session)  # noqa: E731
    with SqliteEventLog(tmp_path / "log") as log:
        durable = DurableServer(make, to_server, log)
        assert durable.start().keys() == set(names)
        with pytest.raises(TooFewSurvivorsError):
            durable.advance()
    with SqliteEventLog(tmp_path / "log") as log:
        again = DurableServer(make, to_server, log)
        assert again.start() == {}
        assert [kind for kind, _, _ in log] == ["start", "advance"]
        with pytest.raises(LocalProtocolError, match="this session is over"):
            again.advance()
