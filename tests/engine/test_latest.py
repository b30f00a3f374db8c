"""FedLaAvg over masked sums: exact after many rounds with losses, and bit for bit the model of the plain run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from securefl.crypto import Identity
from securefl.engine.exchange import Exchange
from securefl.engine.latest import LatestClients
from securefl.engine.simulation import STEPS
from securefl.errors import FaultyServerError, LocalProtocolError
from securefl.federation.availability import Alternating
from securefl.federation.cohort import LongestOut, RandomCohort
from securefl.federation.latest import InMemoryUpdates, LatestPlan, RunningSum
from securefl.federation.latest_session import LatestClient, LatestServer, to_client, to_server
from securefl.federation.randomness import Randomness
from securefl.models.softmax import SoftmaxRegression
from securefl.secagg.journal import InMemoryJournal
from securefl.secagg.messages import Delivery, Invitation
from securefl.secagg.params import Setting
from securefl.secagg.quantize import Quantization

CLIENTS, SIZE, COHORT = 8, 5, 5
HOW = Quantization(12, 2.0, 1)


def plan(size: int = SIZE, clients: int = CLIENTS) -> LatestPlan:
    return LatestPlan(b"r" * 32, clients, size, 24, HOW)


def params(of: LatestPlan, setting: Setting = "semi_honest") -> Any:
    return of.params(clients=COHORT, threshold=3, colluders=0, kem="x25519", setting=setting)


def world(of: LatestPlan, model: Any) -> LatestClients:
    return LatestClients(RunningSum(of, model), [InMemoryUpdates() for _ in range(of.clients)], Randomness(4))


losses = st.lists(
    st.tuples(
        st.sets(st.integers(0, CLIENTS - 1), min_size=COHORT, max_size=COHORT),
        st.dictionaries(st.integers(0, CLIENTS - 1), st.sampled_from(sorted(STEPS)), max_size=3),
    ),
    min_size=1,
    max_size=6,
)


@pytest.mark.parametrize("setting", ["semi_honest", "malicious"])
@settings(max_examples=12)
@given(past=losses, seed=st.integers(0, 999))
def test_masked_and_plain_runs_are_the_same_whatever_is_lost(setting: Any, past: Sequence[Any], seed: int) -> None:
    """In the ring the running sum is exactly the sum of the latest quantized updates that were in an opened sum."""
    draw, one = np.random.default_rng(seed), plan()
    masked, plain = (world(one, np.zeros(SIZE, np.float32)) for _ in range(2))
    latest = np.zeros((CLIENTS, SIZE), np.int64)
    for number, (members, lost) in enumerate(past, start=1):
        cohort = sorted(members)
        updates = draw.normal(size=(COHORT, SIZE)).astype(np.float32)
        gone = {user: step for user, step in lost.items() if setting == "malicious" or step != "ConsistencyCheck"}
        counted = [
            w.round(number, cohort, updates, params(one, setting), 0.1, lost=gone, secure=w is masked)
            for w in (masked, plain)
        ]
        assert counted[0] == counted[1]
        for user, update in zip(cohort, updates, strict=True):
            if counted[0] and gone.get(user) not in ("AdvertiseKeys", "ShareKeys", "MaskedInput"):
                latest[user] = masked.quantized(number, user, update)
        assert masked.running.total.tolist() == plain.running.total.tolist() == latest.sum(axis=0).tolist()
        assert masked.running.model.tobytes() == plain.running.model.tobytes()


@pytest.mark.parametrize("rule", [LongestOut, None])
def test_a_model_learns_the_same_in_secret(rule: Any) -> None:
    """Two classes that are never there together: FedLaAvg, and MIFA; half of the rounds lose somebody."""
    net, draw = SoftmaxRegression(2, 2), np.random.default_rng(8)
    one, turn = plan(net.size), np.arange(CLIENTS) // 2 % 2
    masked, plain = (world(one, net.init()) for _ in range(2))
    available, generator = Alternating(turn * 0, (1,)), np.random.default_rng(3)
    choose = LongestOut(CLIENTS, generator) if rule else RandomCohort(generator)
    points = draw.normal(turn[:, None, None, None], 0.2, (CLIENTS, 3, 4, 2)).astype(np.float32)
    labels = np.broadcast_to(turn[:, None, None], (CLIENTS, 3, 4))
    for number in range(1, 13):
        cohort = choose.select(available.available(number), COHORT)
        updates = net.descend(masked.running.model, points[cohort], labels[cohort], 0.3)
        lost = {int(cohort[0]): "MaskedInput"} if number % 2 else {}
        for w in (masked, plain):
            assert w.round(number, cohort.tolist(), updates, params(one), 0.3, lost=lost, secure=w is masked)
        assert masked.running.model.tobytes() == plain.running.model.tobytes()
    inputs, truth = points.reshape(-1, 2), labels.reshape(-1)
    assert net.accuracy(masked.running.model, inputs, truth) > 0.9


def session(one: LatestPlan, server: LatestServer, ids: Sequence[Identity], act: Any) -> None:
    """One session of fresh clients; `act(number, client)` is what a client does when its keys are shared."""
    names = {identity.public for identity in ids}

    class Phone:
        def __init__(self, number: int, identity: Identity) -> None:
            self.number, self.client = number, LatestClient(identity, names, InMemoryUpdates())

        def receive(self, message: Any) -> list[Any]:
            answers = self.client.receive(message)
            return act(self.number, self.client) if isinstance(message, Delivery) else answers

    Exchange(server, {i.public: Phone(n, i) for n, i in enumerate(ids)}, to_client, to_server).run()


def test_a_client_trains_on_the_model_it_was_sent_and_may_be_suspended() -> None:
    one, ids = plan(), [Identity.generate() for _ in range(COHORT)]
    running = RunningSum(one, np.arange(SIZE, dtype=np.float32))
    server = LatestServer(params(one), running, [i.public for i in ids])

    def act(number: int, client: LatestClient) -> list[Any]:
        assert client.model.tolist() == running.model.tolist()
        return client.upload(np.full(SIZE, number, np.int64))

    session(one, server, ids, act)
    assert server.opened is not None
    assert server.opened.total.tolist() == [sum(range(COHORT))] * SIZE
    assert server.opened.told == dict.fromkeys((i.public for i in ids), b"")


def test_a14_another_model_for_one_client_spoils_the_sum() -> None:
    """Masks are bound to the model: the server cannot single a client out by what it is shown."""
    one, ids = plan(), [Identity.generate() for _ in range(COHORT)]
    server = LatestServer(params(one), RunningSum(one, np.zeros(SIZE, np.float32)), [i.public for i in ids])

    def act(number: int, client: LatestClient) -> list[Any]:
        if number == 0:
            client._model = b"\1" + client._model[1:]
        return client.upload(np.ones(SIZE, np.int64))

    session(one, server, ids, act)
    assert server.opened is not None
    assert server.opened.total.tolist() != [COHORT] * SIZE


def test_what_is_no_update_is_not_sent() -> None:
    one, ids = plan(), [Identity.generate() for _ in range(COHORT)]
    server = LatestServer(params(one), RunningSum(one, np.zeros(SIZE, np.float32)), [i.public for i in ids])

    def act(number: int, client: LatestClient) -> list[Any]:
        for wrong in (np.zeros(SIZE - 1, np.int64), np.zeros(SIZE), np.full(SIZE, HOW.levels + 1)):
            with pytest.raises(LocalProtocolError, match="within the plan's levels"):
                client.upload(wrong)
        sent = client.leave()
        with pytest.raises(LocalProtocolError, match="no update is awaited"):
            client.upload(np.zeros(SIZE, np.int64))
        return sent

    session(one, server, ids, act)
    assert server.opened is not None
    assert server.opened.total.tolist() == [0] * SIZE


def test_a11_a_suspended_client_goes_on_in_another_process() -> None:
    one, ids = plan(), [Identity.generate() for _ in range(COHORT)]
    server = LatestServer(params(one), RunningSum(one, np.ones(SIZE, np.float32)), [i.public for i in ids])
    names = {identity.public for identity in ids}
    updates, frames = InMemoryUpdates(), server.start()
    client = LatestClient(ids[0], names, updates)
    (advert,) = client.receive(frames[ids[0].public])
    again = LatestClient(ids[0], names, updates, journal=client._journal)
    data = client.suspend()
    for at in range(0, len(data), 7):
        for damaged in (data[:at], data[:at] + b"\x80" + data[at + 1 :]):
            with pytest.raises(LocalProtocolError, match="suspen"):
                LatestClient(ids[0], names, updates).resume(damaged)
    again.resume(data)
    assert again.model.tolist() == [1] * SIZE
    assert advert.identity == ids[0].public
    with pytest.raises(LocalProtocolError, match="no suspended session"):
        LatestClient(ids[0], names, updates).resume(b"\x01")


def test_a11_a_replayed_invitation_settles_nothing() -> None:
    """Else a client that was counted since would forget what it sent."""
    one, ids = plan(), [Identity.generate() for _ in range(COHORT)]
    server = LatestServer(params(one), RunningSum(one, np.zeros(SIZE, np.float32)), [i.public for i in ids])
    names, updates, journal = {identity.public for identity in ids}, InMemoryUpdates(), InMemoryJournal()
    invitation = server.start()[ids[0].public]
    LatestClient(ids[0], names, updates, journal=journal).receive(invitation)
    updates.propose(server.session, np.ones(SIZE, np.int64))
    with pytest.raises(FaultyServerError, match="used before"):
        LatestClient(ids[0], names, updates, journal=journal).receive(invitation)
    assert updates.recall().session == server.session


def test_a12_an_invitation_that_cannot_be_kept_is_refused() -> None:
    one, identity = plan(), Identity.generate()
    server = LatestServer(params(one), RunningSum(one, np.zeros(SIZE, np.float32)), [identity.public])
    (invitation,) = server.start().values()
    client = LatestClient(identity, {identity.public}, InMemoryUpdates())
    with pytest.raises(FaultyServerError, match="shapes"):
        client.receive(type(invitation)(invitation.session, invitation.params, one, b"", b"short"))
    plain = LatestClient(identity, {identity.public}, InMemoryUpdates())
    assert plain.receive(Invitation(invitation.session, invitation.params))
    with pytest.raises(LocalProtocolError, match="no update is awaited"):
        plain.upload(np.zeros(SIZE, np.int64))
