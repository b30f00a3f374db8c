"""FedLaAvg's running sum is exactly the sum of everybody's latest update, whatever is lost, killed or restarted."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from securefl.errors import ConfigurationError, FaultyServerError, LocalProtocolError
from securefl.federation.latest import (
    Contribution,
    InMemoryUpdates,
    LatestPlan,
    OpenedSum,
    RunningSum,
    Updates,
    check_invitation,
)
from securefl.secagg.quantize import Quantization
from securefl.store import SqliteUpdates

SIZE = 3
PLAN = LatestPlan(b"r" * 32, 5, SIZE, 32, Quantization(16, 1.0, 1))

NOT_REACHED, NOT_HEARD, HEARD = "lost before its update", "lost with its update", "in the sum"
OPENED, ABORTED, FORGOTTEN = "opened", "aborted", "opened, and the server died before it kept that"
FATES, ENDS = (NOT_REACHED, NOT_HEARD, HEARD), (OPENED, ABORTED, FORGOTTEN)


class World:
    """The rules on both sides, and beside them what is true."""

    def __init__(self, open_updates: Callable[[int], Updates], clients: int = PLAN.clients) -> None:
        self.open_updates = open_updates
        self.running = RunningSum(PLAN, np.zeros(SIZE, np.float32))
        self.truth = np.zeros((clients, SIZE), np.int64)
        self.rounds = 0

    def round(self, fates: dict[int, str], end: str, draw: np.random.Generator, leaving: frozenset[int]) -> None:
        self.rounds += 1
        session, told, total, sent = self.rounds.to_bytes(32, "big"), {}, np.zeros(SIZE, np.int64), {}
        for user, fate in fates.items():
            name, updates = bytes([user]), self.open_updates(user)  # every call may be another process
            Contribution(updates).settle(PLAN.hash, self.running.included.get(name, b""))
            latest = updates.recall().latest
            assert np.array_equal(np.zeros(SIZE) if latest is None else latest, self.truth[user])
            if fate == NOT_REACHED:
                continue
            update = np.zeros(SIZE, np.int64) if user in leaving else draw.integers(-32767, 32768, SIZE)
            difference = Contribution(self.open_updates(user)).propose(session, update)
            if fate == HEARD:
                told[name], sent[user] = self.running.included.get(name, b""), update
                total += difference
        if end == OPENED:
            self.running.count([OpenedSum(session, told, total)], 0.1)
            for user, update in sent.items():
                self.truth[user] = update
        self.running = RunningSum.from_bytes(PLAN, self.running.to_bytes())
        assert self.running.total.tolist() == self.truth.sum(axis=0).tolist()


def test_every_fate_of_a_client_over_three_rounds() -> None:
    """All 729 histories: lost early, lost late or summed, in a sum that is opened, aborted or forgotten."""
    for history in product(product(FATES, ENDS), repeat=3):
        memory = InMemoryUpdates()
        world, draw = World(lambda _, memory=memory: memory, 1), np.random.default_rng(0)
        for fate, end in history:
            world.round({0: fate}, end, draw, frozenset())


def test_every_pattern_of_losses_in_a_cohort_of_three() -> None:
    """All fates of three clients in two rounds that open."""
    for first, second in product(product(FATES, repeat=3), repeat=2):
        memories = [InMemoryUpdates() for _ in range(3)]
        world, draw = World(memories.__getitem__, 3), np.random.default_rng(1)
        for fates in (first, second, (HEARD,) * 3):
            world.round(dict(enumerate(fates)), OPENED, draw, frozenset())


rounds = st.lists(
    st.tuples(
        st.dictionaries(st.integers(0, PLAN.clients - 1), st.sampled_from(FATES)),
        st.sampled_from(ENDS),
        st.frozensets(st.integers(0, PLAN.clients - 1), max_size=2),
    ),
    max_size=8,
)


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(past=rounds, seed=st.integers(0, 999))
def test_both_sides_restarted_at_every_step(past: list[tuple[dict[int, str], str, frozenset[int]]], seed: int) -> None:
    """Clients of which nothing is left but their file; each call opens it anew. Some rounds are a client's last."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        opened: list[SqliteUpdates] = []

        def reopen(user: int) -> SqliteUpdates:
            opened.append(SqliteUpdates(Path(folder) / f"{user}.sqlite"))
            return opened[-1]

        world, draw = World(reopen), np.random.default_rng(seed)
        for fates, end, leaving in past:
            world.round(fates, end, draw, leaving)
        for one in opened:
            one.close()


def test_who_leaves_takes_its_part_out() -> None:
    memories = [InMemoryUpdates() for _ in range(3)]
    world, draw = World(memories.__getitem__, 3), np.random.default_rng(2)
    world.round(dict.fromkeys(range(3), HEARD), OPENED, draw, frozenset())
    world.round({1: NOT_HEARD}, OPENED, draw, frozenset({1}))
    assert world.truth[1].any()  # its last word was lost: it is still in, and may try again
    world.round({1: HEARD}, OPENED, draw, frozenset({1}))
    assert not world.truth[1].any()
    assert world.running.total.tolist() == (world.truth[0] + world.truth[2]).tolist()


def told(updates: Updates, included: bytes, run: bytes = PLAN.hash) -> None:
    Contribution(updates).settle(run, included)


def test_a_memory_that_was_lost_is_noticed() -> None:
    """A client without its file must not add a second update to the one that is in."""
    with pytest.raises(LocalProtocolError, match="does not remember"):
        told(InMemoryUpdates(), b"1" * 32)
    updates = InMemoryUpdates()
    told(updates, b"")
    Contribution(updates).propose(b"1" * 32, np.ones(SIZE, np.int64))
    told(updates, b"1" * 32)
    with pytest.raises(LocalProtocolError, match="only a new run"):
        told(updates, b"")  # the server went back to an older copy
    assert updates.recall().latest is not None
    told(updates, b"", b"2" * 32)
    assert updates.recall().latest is None


def test_nothing_is_proposed_before_the_last_fate_is_known() -> None:
    updates = InMemoryUpdates()
    with pytest.raises(LocalProtocolError, match="only after the server said"):
        Contribution(updates).propose(b"1" * 32, np.ones(SIZE, np.int64))
    told(updates, b"")
    Contribution(updates).propose(b"1" * 32, np.ones(SIZE, np.int64))
    with pytest.raises(LocalProtocolError, match="only after the server said"):
        Contribution(updates).propose(b"2" * 32, np.ones(SIZE, np.int64))


def test_a_sum_counts_once_and_a_client_in_one_session_at_a_time() -> None:
    running, ones = RunningSum(PLAN, np.zeros(SIZE, np.float32)), np.ones(SIZE, np.int64)
    first, second = (OpenedSum(name * 32, {b"u": b""}, ones) for name in (b"1", b"2"))
    running.count([first], 1.0)
    for again in (first, second):
        with pytest.raises(LocalProtocolError, match="counted in another"):
            running.count([again], 1.0)
    assert running.total.tolist() == ones.tolist()


def test_a_step_is_the_mean_over_all_clients() -> None:
    running = RunningSum(PLAN, np.ones(SIZE, np.float32))
    running.count([OpenedSum(b"1" * 32, {b"u": b""}, np.array([32767, 0, -32767]))], 0.5)
    assert running.model == pytest.approx([1 - 0.5 / 5, 1, 1 + 0.5 / 5])
    running.count([], 0.5)
    assert running.model == pytest.approx([1 - 1 / 5, 1, 1 + 1 / 5])


@pytest.mark.parametrize("data", [b"", b"\x00", b"\x95\x00\x00\x00\x00\x00"])
def test_bytes_that_are_no_running_sum_are_refused(data: bytes) -> None:
    with pytest.raises(ConfigurationError, match="hold none"):
        RunningSum.from_bytes(PLAN, data)


def test_another_plan_is_another_run() -> None:
    other = LatestPlan(b"r" * 32, 5, SIZE, 32, Quantization(16, 2.0, 1))
    assert other.hash != PLAN.hash
    data = RunningSum(PLAN, np.zeros(SIZE, np.float32)).to_bytes()
    with pytest.raises(ConfigurationError, match="another run or plan"):
        RunningSum.from_bytes(other, data)
    with pytest.raises(ConfigurationError, match="does not fit"):
        RunningSum(PLAN, np.zeros(SIZE + 1, np.float32))


def test_a_model_has_at_most_as_many_parameters_as_a_submodels_dense_part() -> None:
    """As many words as a sum of them and a count can have."""
    most = (1 << 32) - 1
    for size in (1, most):
        body = msgspec.msgpack.encode(msgspec.structs.replace(PLAN, size=size))
        assert msgspec.msgpack.decode(body, type=LatestPlan).size == size
    for size in (0, most + 1):
        body = msgspec.msgpack.encode(msgspec.structs.replace(PLAN, size=size))
        with pytest.raises(msgspec.ValidationError, match=r"Expected `int`"):
            msgspec.msgpack.decode(body, type=LatestPlan)


def settle_for(plan: LatestPlan, clients: int = 4) -> object:
    return plan.params(clients=clients, threshold=2, colluders=0, kem="x25519")


def test_plans_that_could_wrap_are_refused() -> None:
    def plan(bits: int, how: Quantization, clients: int = 5) -> LatestPlan:
        return LatestPlan(b"r" * 32, clients, SIZE, bits, how)

    assert settle_for(plan(19, Quantization(16, 1.0, 1)))  # 4 * 4 * 32767 < 2^19
    with pytest.raises(ConfigurationError, match="use ring_bits=19"):
        settle_for(plan(18, Quantization(16, 1.0, 1)))
    with pytest.raises(ConfigurationError, match="weight_max: 2"):
        settle_for(plan(32, Quantization(16, 1.0, 2)))
    with pytest.raises(ConfigurationError, match="overflows"):
        settle_for(plan(64, Quantization(32, 1.0, 1), 1 << 40))


def test_a_ring_of_the_least_bits_carries_the_largest_differences() -> None:
    """The bound is sharp from below: 4 differences of -2 levels each do not wrap in 19 bits."""
    levels = Quantization(16, 1.0, 1).levels
    assert -(1 << 18) <= 4 * -2 * levels < 4 * 2 * levels < 1 << 18


def test_an_invitation_is_of_one_piece() -> None:
    params = PLAN.params(clients=4, threshold=2, colluders=0, kem="x25519")
    check_invitation(PLAN, params, b"", bytes(4 * SIZE))
    other = LatestPlan(b"s" * 32, 5, SIZE, 32, Quantization(16, 1.0, 1))
    with pytest.raises(FaultyServerError, match="not the one whose hash"):
        check_invitation(other, params, b"", bytes(4 * SIZE))
    for included, model in ((b"1", bytes(4 * SIZE)), (b"", bytes(4 * SIZE - 1))):
        with pytest.raises(FaultyServerError, match="shapes"):
            check_invitation(PLAN, params, included, model)
    bad = LatestPlan(b"r" * 32, 5, SIZE, 8, Quantization(16, 1.0, 1))
    with pytest.raises(FaultyServerError, match="cannot be kept"):
        check_invitation(bad, params, b"", bytes(4 * SIZE))


def vector(updates: Updates) -> NDArray[np.int64] | None:
    return updates.recall().latest


def test_a_file_is_the_memory(tmp_path: Path) -> None:
    path = tmp_path / "updates.sqlite"
    with SqliteUpdates(path) as updates:
        assert not updates.recall().run
        told(updates, b"")
        sent = Contribution(updates).propose(b"1" * 32, np.array([1, -2, 3]))
        known = updates.store_id
    assert sent.tolist() == [1, -2, 3]
    with SqliteUpdates(path, expected_store=known) as updates:
        told(updates, b"1" * 32)
        latest = vector(updates)
        assert latest is not None
        assert latest.tolist() == [1, -2, 3]
    path.unlink()
    with pytest.raises(ConfigurationError, match="cannot take its last update back"):
        SqliteUpdates(path, expected_store=known)
