from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dp import InMemoryMemo, MemoError, PrivacyError, TwoStage, privatize

TRUTH, EVERYTHING = TwoStage.parse("none"), TwoStage.parse("union")
PERMANENT_ONLY = TwoStage(
    Fraction(1, 2), Fraction(1, 2), Fraction(1), Fraction(0)
)  # a claim shows the permanent answer itself
SETS = st.sets(st.integers(0, 2**63 - 1), max_size=30).map(sorted)


class Broken(InMemoryMemo):
    def __init__(self, recalled):
        super().__init__()
        self.recalled = recalled

    def recall(self, _indices):
        return self.recalled


class Spy:
    def __init__(self):
        self.memo, self.log = InMemoryMemo(), []

    def recall(self, indices):
        self.log.append(("recall", indices.tolist()))
        return self.memo.recall(indices)

    def remember(self, indices, answers):
        self.log.append(("remember", indices.tolist()))
        self.memo.remember(indices, answers)


@given(union=SETS, held=SETS)
def test_without_noise_the_claim_is_what_is_held_of_the_union(union, held):
    claim = privatize(TRUTH, union, held, InMemoryMemo())
    assert claim.dtype == np.bool_
    assert claim.tolist() == [index in held for index in union]
    assert privatize(EVERYTHING, union, held, InMemoryMemo()).all()


def test_every_pair_of_small_sets_is_answered_truthfully_without_noise():
    subsets = [list(s) for size in range(5) for s in combinations(range(4), size)]
    for union in subsets:
        for held in subsets:
            assert privatize(TRUTH, union, held, InMemoryMemo()).tolist() == [i in held for i in union]


def test_d9_empty_index_set_gives_a_claim_of_fillers(stream):
    claim = privatize(TwoStage.parse("7/8"), np.arange(20_000), [], InMemoryMemo(), stream)
    assert claim.mean() == pytest.approx(7 / 32, abs=0.02)


def test_d9_empty_union_gives_an_empty_claim_and_remembers_nothing():
    memo = Spy()
    assert privatize(TwoStage.parse("7/8"), [], [1, 2], memo).shape == (0,)
    assert memo.log == [("recall", [])]


def test_claims_have_the_probabilities_q1_and_q0(stream):
    response = TwoStage.parse(".9,.2,.8,.1")
    union = np.arange(40_000)
    claim = privatize(response, union, union[::2], InMemoryMemo(), stream)
    deviation = 5 * 0.5 / 20_000**0.5
    assert claim[::2].mean() == pytest.approx(float(response.q1), abs=deviation)
    assert claim[1::2].mean() == pytest.approx(float(response.q0), abs=deviation)


def test_d6_permanent_answers_never_change_though_what_is_held_does(stream):
    memo, union = InMemoryMemo(), np.arange(500)
    first = privatize(PERMANENT_ONLY, union, union[:250], memo, stream)
    assert 0 < first.sum() < 500
    for held in (union, [], union[::3]):
        assert np.array_equal(privatize(PERMANENT_ONLY, union, held, memo, stream), first)


def test_claims_are_drawn_anew_each_round(stream):
    memo, union, response = InMemoryMemo(), np.arange(500), TwoStage.parse("3/4")
    first, second = (privatize(response, union, [], memo, stream) for _ in range(2))
    assert not np.array_equal(first, second)


def test_d6_answers_are_remembered_in_one_batch_before_the_claim_is_drawn():
    memo = Spy()
    privatize(TRUTH, [1, 5, 9], [5], memo)
    privatize(TRUTH, [1, 2, 5], [5], memo)
    privatize(TRUTH, [1, 2, 5], [5], memo)
    assert memo.log == [
        ("recall", [1, 5, 9]),
        ("remember", [1, 5, 9]),
        ("recall", [1, 2, 5]),
        ("remember", [2]),
        ("recall", [1, 2, 5]),
    ]


def test_d6_no_claim_leaves_if_its_answers_cannot_be_kept():
    class Full(InMemoryMemo):
        def remember(self, _indices, _answers):
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        privatize(TRUTH, [1], [1], Full())


BAD_SETS = [[2, 1], [1, 1], [-1, 3], [0.5], [[1]], np.array([2**63], np.uint64), np.array([True])]


@pytest.mark.parametrize("bad", BAD_SETS, ids=str)
def test_d7_a_bad_union_is_refused(bad):
    with pytest.raises(PrivacyError, match="union must"):
        privatize(TRUTH, bad, [1], InMemoryMemo())


@pytest.mark.parametrize("bad", BAD_SETS, ids=str)
def test_d7_a_bad_held_set_is_refused_without_telling_it(bad):
    with pytest.raises(PrivacyError, match="held must") as caught:
        privatize(TRUTH, [1, 2], bad, InMemoryMemo())
    told = str(caught.value).replace("1-D", "").replace(str(2**63 - 1), "").replace("from 0", "")
    assert not any(character.isdigit() for character in told)


@pytest.mark.parametrize("recalled", [np.array([2, 0]), np.array([0]), np.array([[0, 1]])], ids=str)
def test_a_memo_that_recalls_nonsense_is_refused(recalled):
    with pytest.raises(MemoError, match="recall"):
        privatize(TRUTH, [1, 2], [1], Broken(recalled))


@given(rounds=st.lists(st.dictionaries(st.integers(0, 20), st.integers(0, 1), max_size=6), max_size=6))
def test_memo_keeps_first_answers_and_refuses_others_whole(rounds):
    memo, model = InMemoryMemo(), {}
    for batch in rounds:
        indices = np.array(sorted(batch), np.int64)
        answers = np.array([batch[i] for i in sorted(batch)], np.int8)
        if any(model.get(i, bit) != bit for i, bit in batch.items()):
            with pytest.raises(MemoError, match="already"):
                memo.remember(indices, answers)
        else:
            memo.remember(indices, answers)
            model |= batch
        assert memo.recall(np.arange(21)).tolist() == [model.get(i, -1) for i in range(21)]


@pytest.mark.parametrize(
    ("indices", "answers"), [([1, 2], [1]), ([1], [2]), ([1], [-1]), ([2, 1], [0, 0]), ([1], [0.5])], ids=str
)
def test_a_memo_refuses_what_is_no_answer(indices, answers):
    with pytest.raises(MemoError):
        InMemoryMemo().remember(np.array(indices), np.array(answers))


def test_repr_of_a_memo_tells_nothing():
    memo = InMemoryMemo()
    empty = repr(memo)
    memo.remember(np.array([1234]), np.array([1], np.int8))
    assert repr(memo) == empty
