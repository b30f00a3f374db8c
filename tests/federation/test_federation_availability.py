"""Who could come, and who of them is asked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from securefl.errors import ConfigurationError
from securefl.federation.availability import Alternating, Always, Diurnal, Trace
from securefl.federation.cohort import LongestOut, RandomCohort


def test_always() -> None:
    assert Always(5).available(7).tolist() == [True] * 5


def test_groups_take_turns_for_their_spans() -> None:
    model = Alternating(np.array([0, 1, 0, 1]), (2, 1))
    there = [np.flatnonzero(model.available(number)).tolist() for number in range(1, 8)]
    assert there == [[0, 2], [0, 2], [1, 3], [0, 2], [0, 2], [1, 3], [0, 2]]


@given(period=st.integers(1, 30), share=st.floats(0.01, 1), seed=st.integers(0, 99))
def test_everybody_is_there_for_its_share_of_a_day(period: int, share: float, seed: int) -> None:
    hours = np.random.default_rng(seed).random(20)
    model = Diurnal(hours, period, share)
    days = np.array([model.available(number) for number in range(1, 2 * period + 1)])
    assert (days[:period] == days[period:]).all()
    assert (np.abs(days[:period].sum(axis=0) - share * period) < 1 + 1e-9).all()


def test_a_trace_repeats(tmp_path: Path) -> None:
    path = tmp_path / "trace"
    path.write_text("101\n010\n")
    model = Trace.load(path, 3)
    assert [model.available(number).tolist() for number in (1, 2, 3)] == [
        [True, False, True],
        [False, True, False],
        [True, False, True],
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("10\n", "round 1: not 3 digits"),
        ("101\n1x1\n", "round 2: not 3 digits"),
        ("", "no rounds in it"),
        ("é", "trace"),
    ],
)
def test_a_bad_trace_is_refused(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "trace"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=said):
        Trace.load(path, 3)


@pytest.mark.parametrize("name", ["absent", ".", "no\0name"])
def test_a_trace_that_cannot_be_read_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigurationError, match="availability trace"):
        Trace.load(tmp_path / name, 3)


LINES = st.lists(st.text("01", min_size=3, max_size=3) | st.text("01 x", max_size=5), max_size=5)


@given(content=st.binary(max_size=40) | LINES.map(lambda lines: "\n".join(lines).encode()), clients=st.integers(1, 4))
def test_any_file_is_a_trace_or_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes, clients: int) -> None:
    path = tmp_path_factory.getbasetemp() / "any trace"
    path.write_bytes(content)
    try:
        model = Trace.load(path, clients)
    except ConfigurationError:
        return
    lines = content.decode().split()
    assert model.mask.shape == (len(lines), clients)
    assert [model.available(at + 1).tolist() for at in range(len(lines))] == [[d == "1" for d in x] for x in lines]


def test_settings_that_cannot_be_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="spans must be 1 round or more"):
        Alternating(np.array([0]), (0,))
    with pytest.raises(ConfigurationError, match=r"groups must be in 0\.\.0"):
        Alternating(np.array([0, 1]), (4,))
    for period, share in ((0, 0.5), (3, 0.0), (3, 1.1)):
        with pytest.raises(ConfigurationError, match="a day of"):
            Diurnal(np.zeros(2), period, share)


masks = st.lists(st.lists(st.booleans(), min_size=8, max_size=8), min_size=1, max_size=12)


@given(rounds=masks, size=st.integers(1, 8), seed=st.integers(0, 99))
def test_a_cohort_is_of_the_available(rounds: list[list[bool]], size: int, seed: int) -> None:
    for rule in (RandomCohort(np.random.default_rng(seed)), LongestOut(8, np.random.default_rng(seed))):
        for there in map(np.array, rounds):
            chosen = rule.select(there, size)
            assert there[chosen].all()
            assert chosen.tolist() == sorted(set(chosen.tolist()))
            assert chosen.size == min(size, there.sum())


@given(rounds=masks, size=st.integers(1, 8), seed=st.integers(0, 99))
def test_nobody_who_was_out_longer_is_passed_over(rounds: list[list[bool]], size: int, seed: int) -> None:
    rule, last = LongestOut(8, np.random.default_rng(seed)), np.zeros(8, int)
    for number, there in enumerate(map(np.array, rounds), start=1):
        chosen = rule.select(there, size)
        left = np.setdiff1d(np.flatnonzero(there), chosen)
        if left.size and chosen.size:
            assert last[chosen].max() <= last[left].min()
        last[chosen] = number


def test_equals_are_drawn_at_random() -> None:
    first = {tuple(LongestOut(20, np.random.default_rng(seed)).select(np.ones(20, bool), 3)) for seed in range(20)}
    assert len(first) > 10
