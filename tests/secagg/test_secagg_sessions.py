"""Whole sessions: whoever is lost, the sum is exactly that of the survivors, or nothing is released."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sessions import A, B, Session, agree, losing, play

from securefl.crypto import SUITES
from securefl.errors import TooFewSurvivorsError
from securefl.secagg import Aborted, Params, Segment, Sum, to_client, to_server
from securefl.secagg.messages import AdvertiseKeys, MaskedInput, OpenSum, Roster, ShareKeys, Unmasking
from securefl.secagg.sizes import plain_session

Step = tuple[type, str | None]
SETTING_UP: list[Step] = [(AdvertiseKeys, None), (ShareKeys, None)]


def steps(agreed: Params) -> list[Step]:
    """The messages of a client that misses nothing."""
    return SETTING_UP + [(kind, one.name) for one in agreed.sums for kind in (MaskedInput, Unmasking)]


class Fate:
    """Who answers at which step, if these (client, step) are lost."""

    def __init__(self, agreed: Params, lost: set[tuple[int, int]], may_return: bool) -> None:
        self.agreed, self.order = agreed, steps(agreed)
        self.lost, self.may_return = lost, may_return
        self.opened: dict[str, set[int]] = {}
        """By sum, the survivors whose values are in it."""
        self.unmasked: dict[str, set[int]] = {}
        """By sum, who releases shares."""
        self._foretell()

    def loses(self, client: int, message: object) -> bool:
        return (client, self.order.index((type(message), getattr(message, "sum", None)))) in self.lost

    def _answering(self, asked: set[int], step: int) -> set[int]:
        since = [step] if self.may_return else range(step + 1)
        return {u for u in asked if not any((u, s) in self.lost for s in since)}

    def _foretell(self) -> None:
        needed = self.agreed.threshold + 1
        live = set(range(1, self.agreed.clients + 1))
        for step in range(len(SETTING_UP)):
            live = self._answering(live, step)
            if len(live) < needed:
                return
        for at, one in enumerate(self.agreed.sums):
            inputs = self._answering(live, 2 + 2 * at)
            if len(inputs) < needed:
                return
            self.unmasked[one.name] = self._answering(inputs, 3 + 2 * at)
            if len(self.unmasked[one.name]) < needed:
                return
            self.opened[one.name] = inputs


def check(session: Session, fate: Fate) -> None:
    for one in session.agreed.sums:
        assert session.senders(Unmasking, one.name) == fate.unmasked.get(one.name, set())
    assert session.server.results.keys() == fate.opened.keys()
    for name, survivors in fate.opened.items():
        assert session.is_exact(name, survivors)
    complete = len(fate.opened) == len(session.agreed.sums)
    assert session.outcome is None if complete else isinstance(session.outcome, TooFewSurvivorsError)
    assert isinstance(session.server.state, Aborted) != complete
    assert not session.server.faults
    assert not session.errors


widths = st.integers(2, 64) | st.sampled_from([2, 31, 32, 33, 63, 64])
segments = st.lists(st.tuples(widths, st.integers(1, 5)), min_size=1, max_size=3).map(
    lambda shapes: tuple(Segment(f"segment {i}", bits, words) for i, (bits, words) in enumerate(shapes))
)
sums = st.lists(segments, min_size=1, max_size=3).map(
    lambda listed: tuple(Sum(f"sum {i}", parts) for i, parts in enumerate(listed))
)


@st.composite
def fates(draw: st.DrawFn) -> Fate:
    n = draw(st.integers(3, 8))
    t = draw(st.integers(2, n - 1))
    agreed = agree(n, t, *draw(sums), colluders=draw(st.integers(0, t - 1)))
    anywhere = st.tuples(st.integers(1, n), st.integers(0, len(steps(agreed)) - 1))
    return Fate(agreed, draw(st.sets(anywhere, max_size=2 * (n - t))), draw(st.booleans()))


def check_fate(fate: Fate) -> None:
    check(play(fate.agreed, loses=fate.loses, may_return=fate.may_return), fate)


test_e1_any_losses = settings(max_examples=60)(given(fates())(check_fate))
test_e1_any_losses_at_length = pytest.mark.slow(settings(max_examples=1500)(given(fates())(check_fate)))


@pytest.mark.parametrize("step", range(6), ids=lambda step: f"step {step}")
@pytest.mark.parametrize("missing", [0, 1, 2, 3], ids=["0 lost", "1 lost", "n-t-1 lost", "n-t lost"])
def test_e1_the_boundary_at_every_step(step: int, missing: int) -> None:
    """n = 6, t = 3: four clients must stay, since nobody holds a share of itself."""
    fate = Fate(agree(6, 3, A, B), {(u, step) for u in range(1, missing + 1)}, may_return=False)
    assert ("b" in fate.opened) == (missing <= 2)
    assert ("a" in fate.opened) == (missing <= 2 or step >= 4)
    check_fate(fate)


@pytest.mark.parametrize("lost", [{(2, 2)}, {(2, 3)}, {(1, 2), (5, 3), (3, 4)}, set()])
def test_the_hybrid_suite_gives_the_same_sums(lost: set[tuple[int, int]]) -> None:
    check_fate(Fate(agree(5, 2, A, B, kem="x25519-mlkem768"), lost, may_return=True))


def test_a_client_lost_in_one_sum_is_back_in_the_next() -> None:
    session = play(agree(5, 3, A, B), loses=losing([2], MaskedInput, "a"), may_return=True)
    assert session.server.survivors == {"a": (1, 3, 4, 5), "b": (1, 2, 3, 4, 5)}
    assert session.is_exact("a")
    assert session.is_exact("b")


def test_a_lost_client_is_still_named_live_and_its_secret_opened_once_a_sum() -> None:
    """Live are the senders of shares: what opens client 2 in one sum must not open it in the next."""
    session = play(agree(5, 3, A, B), loses=losing([2], MaskedInput), may_return=True)
    assert all(2 in m.live for _, m in session.shown if isinstance(m, OpenSum))
    shares = {(m.sum, u): m.shares[2] for u, m in session.sent if isinstance(m, Unmasking)}
    assert len(shares) == len(set(shares.values())) == 8


def test_the_smallest_session() -> None:
    assert play(agree(3, 2)).is_exact("a")


def test_fewer_clients_than_invited_come() -> None:
    session = play(agree(8, 3), loses=losing([1, 5], AdvertiseKeys))
    assert {m.size for _, m in session.shown if isinstance(m, Roster)} == {6}
    assert session.is_exact("a", {2, 3, 4, 6, 7, 8})


# ---- sparse graphs ----


@settings(max_examples=25)
@given(st.data())
def test_a_sparse_session_is_exact_or_ends(data: st.DataObject) -> None:
    """Up to k - t losses leave everybody t living neighbours; beyond that, exact or `TooFewSurvivorsError`."""
    n = data.draw(st.integers(7, 12))
    k = data.draw(st.sampled_from([4, 6]))
    t = data.draw(st.integers(2, k - 1))
    agreed = agree(n, t, A, B, degree=k)
    anywhere = st.tuples(st.integers(1, n), st.integers(0, 5))
    fate = Fate(agreed, data.draw(st.sets(anywhere, max_size=k - t + 2)), may_return=False)
    session = play(agreed, loses=fate.loses)
    for name in session.server.results:
        assert session.is_exact(name, session.senders(MaskedInput, name))
    if len({u for u, _ in fate.lost}) <= k - t:
        assert session.outcome is None
        assert session.server.results.keys() == {"a", "b"}
    else:
        assert session.outcome is None or isinstance(session.outcome, TooFewSurvivorsError)
    assert not session.server.faults


def test_a_sparse_session_deals_and_masks_with_neighbours_only() -> None:
    session = play(agree(12, 3, degree=4))
    assert session.is_exact("a")
    rosters = {u: set(m.adverts) - {u} for u, m in session.shown if isinstance(m, Roster)}
    for u, message in session.sent:
        if isinstance(message, ShareKeys):
            assert len(rosters[u]) == 4
            assert set(message.bundles) == rosters[u]
        if isinstance(message, MaskedInput):
            assert set(message.pads) == {v for v in rosters[u] if v > u}
        if isinstance(message, Unmasking):
            assert set(message.shares) == rosters[u]


# ---- sizes ----


@pytest.mark.parametrize("degree", [None, 4], ids=["complete", "sparse"])
@pytest.mark.parametrize("kem", SUITES)
def test_the_size_of_a_session_is_known_before_it_runs(kem: str, degree: int | None) -> None:
    """Exact for the client of middle rank on the complete graph, the mean over clients on any."""
    agreed = agree(9, 3, A, kem=kem, degree=degree)
    up: dict[int, int] = dict.fromkeys(range(1, 10), 0)
    session = play(agreed)
    for u, message in session.sent:
        up[u] += len(to_server.encode(message))
    assert sum(up.values()) == 9 * plain_session(agreed).up
    if degree is None:
        down = sum(len(to_client.encode(m)) for u, m in session.shown if u == 5)
        assert (up[5], down) == (plain_session(agreed).up, plain_session(agreed).down)
