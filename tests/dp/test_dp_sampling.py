from collections import Counter
from fractions import Fraction
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dp import PrivacyError, bernoulli, bernoulli_where, uniform


def binomial_tail(trials, p, count):
    """Exact probability of a count at least as far on its side of the mean."""
    heads, tails = p.numerator, p.denominator - p.numerator
    ways = [comb(trials, k) * heads**k * tails ** (trials - k) for k in range(trials + 1)]
    return min(sum(ways[: count + 1]), sum(ways[count:])) / sum(ways)


class Script:
    """A source that returns the given bytes in order, and counts its calls."""

    def __init__(self, data):
        self.data, self.calls = data, []

    def __call__(self, count):
        self.calls.append(count)
        taken, self.data = self.data[:count], self.data[count:]
        return taken


@pytest.mark.parametrize("bound", [1, 2, 3, 5, 7, 31, 100, 127, 128, 129, 255, 256])
def test_every_byte_value_gives_every_integer_equally_often(bound):
    accepted = Counter()
    for byte in range(256):
        try:
            accepted[int(uniform(bound, 1, Script(bytes([byte])))[0])] += 1
        except PrivacyError:  # rejected, and the script is at its end
            continue
    assert sorted(accepted) == list(range(bound))
    assert len(set(accepted.values())) == 1


@given(bound=st.one_of(st.integers(1, 2**64), st.sampled_from([2**16, 2**16 + 1, 2**32, 2**32 + 1, 2**63 + 1, 2**64])))
def test_integers_stay_below_any_bound(bound):
    state = np.random.default_rng(bound)
    values = uniform(bound, 200, state.bytes)
    assert values.dtype == np.uint64
    assert values.shape == (200,)
    assert int(values.max()) < bound
    assert bound < 2**20 or len(set(values.tolist())) > 190


def test_words_are_little_endian_and_cut_to_the_bits_of_the_bound():
    assert uniform(2**12, 2, Script(b"\x34\xf2\xff\xff")).tolist() == [0x234, 0xFFF]


def test_rejected_words_are_drawn_again_in_their_place():
    source = Script(bytes([2, 7, 4, 6, 5, 0, 3]))
    assert uniform(5, 4, source).tolist() == [2, 3, 4, 0]
    assert source.calls == [4, 2, 1]


@pytest.mark.parametrize("p", [Fraction(1, 2), Fraction(7, 8), Fraction(1, 3), Fraction(9, 10), Fraction(1, 1000)])
def test_coins_agree_with_the_exact_binomial_tail(p, stream):
    heads = int(bernoulli(p, 2000, stream).sum())
    assert binomial_tail(2000, p, heads) > 1e-4


@pytest.mark.parametrize("p", [Fraction(3, 7), Fraction(1, 256), Fraction(200, 256)])
def test_coins_have_exactly_their_probability_over_all_bytes(p):
    outcomes = []
    for byte in range(256):
        try:
            outcomes.append(bool(bernoulli(p, 1, Script(bytes([byte])))[0]))
        except PrivacyError:
            continue
    assert Fraction(sum(outcomes), len(outcomes)) == p


@given(st.lists(st.booleans(), max_size=40))
def test_certain_coins_need_no_randomness(condition):
    mask = np.array(condition, dtype=np.bool_)
    never_called = Script(b"")
    assert bernoulli_where(mask, Fraction(1), Fraction(0), never_called).tolist() == condition
    assert bernoulli_where(mask, Fraction(0), Fraction(1), never_called).tolist() == [not bit for bit in condition]
    assert never_called.calls == []


def test_what_is_drawn_does_not_depend_on_the_condition():
    data = np.random.default_rng(1).bytes(10_000)
    calls = []
    for condition in (np.zeros(500, np.bool_), np.ones(500, np.bool_), np.arange(500) % 3 == 0):
        source = Script(data)
        bernoulli_where(condition, Fraction(9, 10), Fraction(1, 7), source)
        calls.append(source.calls)
    assert calls[0] == calls[1] == calls[2]


def test_each_coin_follows_its_own_condition(stream):
    condition = np.arange(4000) % 2 == 0
    drawn = bernoulli_where(condition, Fraction(9, 10), Fraction(1, 5), stream)
    assert binomial_tail(2000, Fraction(9, 10), int(drawn[condition].sum())) > 1e-4
    assert binomial_tail(2000, Fraction(1, 5), int(drawn[~condition].sum())) > 1e-4


def test_b4_a_stuck_source_is_refused():
    with pytest.raises(PrivacyError, match="rng"):
        uniform(5, 3, lambda count: b"\xff" * count)


@pytest.mark.parametrize("offset", [-1, 1])
def test_b4_a_source_of_the_wrong_length_is_refused(offset):
    with pytest.raises(PrivacyError, match="rng returned"):
        uniform(5, 3, lambda count: bytes(count + offset))


@pytest.mark.parametrize("bound", [0, -1, 2**64 + 1])
def test_a_bound_out_of_range_is_refused(bound):
    with pytest.raises(PrivacyError, match="bound"):
        uniform(bound, 1)


@pytest.mark.parametrize("p", [Fraction(-1, 2), Fraction(3, 2)])
def test_no_coin_has_such_a_probability(p):
    with pytest.raises(PrivacyError, match="probability"):
        bernoulli(p, 1)


def test_probabilities_too_fine_to_draw_are_refused():
    with pytest.raises(PrivacyError, match="fewer digits"):
        bernoulli(Fraction(1, 2**64), 1)


def test_the_default_source_is_the_operating_system():
    assert len(set(uniform(2**64, 100).tolist())) == 100


@pytest.mark.parametrize("p", [0.3, np.float64(0.5), "1/3", None])
def test_a_probability_that_is_no_fraction_is_refused(p):
    with pytest.raises(PrivacyError, match="must be a Fraction: a float is not the probability you wrote"):
        bernoulli(p, 5)


def test_fewer_than_no_coins_are_refused():
    with pytest.raises(PrivacyError, match="count=-1 0 or more"):
        bernoulli(Fraction(1, 3), -1)
    assert bernoulli(Fraction(1), 0).shape == (0,)
