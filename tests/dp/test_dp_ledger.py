from collections import Counter
from fractions import Fraction
from math import inf, log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dp import (
    Budget,
    BudgetExceededError,
    InMemoryLedger,
    InMemoryMemo,
    PrivacyError,
    Release,
    Sensitivity,
    Skellam,
    TwoStage,
    privatize,
)

RESPONSE = TwoStage.parse("7/8")
UNEVEN = TwoStage.parse(".9,.2,.8,.1")
ROUND = Release(Skellam(Fraction(400)), Sensitivity.scalar(3))
ALL = np.ones(3, np.bool_)
NONE = np.zeros(3, np.bool_)
ITEMS = np.array([2, 5, 9])


def charged(ledger, times, items=ITEMS):
    """A ledger after that many claims, the answers of all but the first recalled."""
    for number in range(times):
        ledger.charge_claim(items, np.full(len(items), number > 0))
    return ledger


@pytest.mark.parametrize("rounds", [1, 2, 5, 10])
def test_an_index_costs_what_its_memoised_claims_reveal(rounds):
    spent = charged(InMemoryLedger(Budget(RESPONSE)), rounds).spent()
    assert spent.index == RESPONSE.epsilon_rounds(rounds) < rounds * RESPONSE.epsilon_round() + 1e-9
    assert (spent.index.kind, spent.index.formula, spent.rounds, spent.lost) == ("exact", "ledger-index", rounds, 0)


def test_each_index_has_a_count_of_its_own():
    ledger = InMemoryLedger(Budget(RESPONSE, set_size=2))
    ledger.charge_claim(np.array([1, 2]), np.array([False, False]))
    ledger.charge_claim(np.array([2, 3]), np.array([True, False]))
    spent = ledger.spent()
    assert spent.index == RESPONSE.epsilon_rounds(2)
    assert spent.members == pytest.approx(RESPONSE.epsilon_rounds(2) + RESPONSE.epsilon_rounds(1))
    assert spent.rounds == 2


def test_a_set_of_fifty_costs_what_the_first_line_for_people_says():
    spent = charged(InMemoryLedger(Budget(RESPONSE, set_size=50)), 30, np.arange(400)).spent()
    assert spent.members == pytest.approx(RESPONSE.loss_rounds(30).set_level(50, 0))
    assert round(RESPONSE.loss_ever().set_level(50, 0), 1) == 97.3


def test_d6_a_lost_memo_is_detected_and_charged_for_ever():
    ledger = charged(InMemoryLedger(Budget(RESPONSE)), 4)
    ledger.charge_claim(ITEMS, NONE)
    spent = ledger.spent()
    assert spent.lost == 3
    assert spent.index == pytest.approx(log(7) + RESPONSE.epsilon_round())
    assert spent.index.kind == "upper"
    ledger.charge_claim(ITEMS, ALL)
    assert ledger.spent().index == pytest.approx(log(7) + RESPONSE.epsilon_rounds(2))


def test_losses_of_lost_answers_add_up_each_way_apart():
    ledger = charged(InMemoryLedger(Budget(UNEVEN)), 1)
    ledger.charge_claim(ITEMS, NONE)
    ever, now = UNEVEN.loss_ever(), UNEVEN.loss_rounds(1)
    assert ledger.spent().index == pytest.approx(max(ever.e10 + now.e10, ever.e01 + now.e01))
    assert ledger.spent().index < ever.epsilon + now.epsilon


def test_what_the_budget_does_not_cover_is_refused_and_not_charged():
    ledger = charged(InMemoryLedger(Budget(RESPONSE, index=RESPONSE.epsilon_rounds(3))), 3)
    before = ledger.spent()
    for recalled in (ALL, NONE):
        with pytest.raises(BudgetExceededError, match=r"index: .* of 1\.92"):
            ledger.charge_claim(ITEMS, recalled)
    assert ledger.spent() == before
    ledger.charge_claim(ITEMS + 1, np.array([False, False, False]))


def test_a_set_has_a_limit_of_its_own():
    budget = Budget(RESPONSE, set_size=3, members=2.5 * RESPONSE.epsilon_round())
    ledger = charged(InMemoryLedger(budget), 1, np.array([1, 2]))
    with pytest.raises(BudgetExceededError, match="members"):
        ledger.charge_claim(np.array([3]), np.array([False]))


def test_memoised_answers_never_exceed_what_they_reveal_for_ever():
    ledger = charged(InMemoryLedger(Budget(RESPONSE, index=RESPONSE.epsilon_ever())), 300)
    assert ledger.spent().index <= log(7) * (1 + 1e-15)


def test_no_privacy_is_recorded_but_fits_no_budget():
    truth = TwoStage.parse("none")
    assert charged(InMemoryLedger(Budget(truth, set_size=2)), 1).spent().members == inf
    with pytest.raises(BudgetExceededError):
        charged(InMemoryLedger(Budget(truth, index=100.0)), 1)
    assert charged(InMemoryLedger(Budget(TwoStage.parse("union"), index=0.0)), 3).spent().index == 0


def test_without_a_memo_the_fresh_response_accounts_for_claims():
    ledger = charged(InMemoryLedger(Budget(RESPONSE.fresh())), 4)
    assert ledger.spent().index == pytest.approx(4 * RESPONSE.epsilon_round())


def test_noisy_releases_add_up_and_are_refused_beyond_the_budget():
    limit = Release(ROUND.noise, ROUND.sensitivity, 5).renyi(Fraction(1, 10**6))
    ledger = InMemoryLedger(Budget(RESPONSE, central=limit * (1 + 1e-9)))
    for _ in range(5):
        ledger.charge_release(ROUND)
    assert ledger.spent().central == pytest.approx(limit)
    assert (ledger.spent().central.kind, ledger.spent().index) == ("upper", 0)
    before = ledger.spent()
    with pytest.raises(BudgetExceededError, match="central"):
        ledger.charge_release(ROUND)
    assert ledger.spent() == before


CHARGES = st.lists(st.dictionaries(st.integers(0, 6), st.booleans(), max_size=5), max_size=8)


@settings(max_examples=40)
@given(charges=CHARGES)
def test_a_ledger_counts_as_a_list_of_all_claims_would(charges):
    ledger, told = InMemoryLedger(Budget(UNEVEN, set_size=2)), []
    for charge in charges:
        ledger.charge_claim(np.array(sorted(charge), np.int64), np.array([charge[i] for i in sorted(charge)], np.bool_))
        told += charge.items()
    costs = Counter()
    for index in {index for index, _ in told}:
        recalls = [recalled for i, recalled in told if i == index][1:]
        sends = 1 + next((n for n, recalled in enumerate(recalls[::-1]) if not recalled), len(recalls))
        lost = recalls.count(False)
        ever, now = UNEVEN.loss_ever(), UNEVEN.loss_rounds(sends)
        costs[index] = max(lost * ever.e10 + now.e10, lost * ever.e01 + now.e01)
    spent = ledger.spent()
    assert spent.index == pytest.approx(max(costs.values(), default=0.0))
    assert spent.members == pytest.approx(sum(cost for _, cost in costs.most_common(2)))
    assert spent.rounds == len(charges)


def test_d6_a_claim_is_charged_before_it_is_returned():
    memo, ledger, union = InMemoryMemo(), InMemoryLedger(Budget(RESPONSE)), np.arange(50)
    for rounds in (1, 2, 3):
        privatize(RESPONSE, union, [3, 4], memo, ledger=ledger)
        assert ledger.spent().index == RESPONSE.epsilon_rounds(rounds)
    privatize(RESPONSE, union, [3, 4], InMemoryMemo(), ledger=ledger)
    assert ledger.spent().lost == 50


def test_d6_a_claim_that_is_refused_leaves_no_answers_behind():
    """Else a second try would take the new answers for the lost ones, and be charged as if nothing had been lost."""
    memo, ledger = InMemoryMemo(), InMemoryLedger(Budget(RESPONSE, index=2.0))
    privatize(RESPONSE, [1, 2], [1], InMemoryMemo(), ledger=ledger)
    for _ in range(3):
        with pytest.raises(BudgetExceededError):
            privatize(RESPONSE, [1, 2, 3], [1], memo, ledger=ledger)
        assert (memo.recall(np.arange(9)) == -1).all()


def test_d6_answers_that_cannot_be_kept_are_charged_all_the_same():
    class Full(InMemoryMemo):
        def remember(self, _indices, _answers):
            raise OSError("disk full")

    ledger = InMemoryLedger(Budget(RESPONSE))
    with pytest.raises(OSError, match="disk full"):
        privatize(RESPONSE, [1], [1], Full(), ledger=ledger)
    assert ledger.spent().rounds == 1


def test_a_ledger_of_another_response_is_refused():
    with pytest.raises(PrivacyError, match="another response"):
        privatize(RESPONSE, [1], [1], InMemoryMemo(), ledger=InMemoryLedger(Budget(UNEVEN)))


def test_equal_budgets_and_only_they_have_equal_texts():
    budgets = [
        Budget(RESPONSE),
        Budget(UNEVEN),
        Budget(RESPONSE, index=2.0),
        Budget(RESPONSE, members=2.0),
        Budget(RESPONSE, set_size=2),
        Budget(RESPONSE, central=2.0),
        Budget(RESPONSE, delta=Fraction(1, 10**7)),
    ]
    assert len({str(budget) for budget in budgets}) == len(budgets)
    assert str(Budget(RESPONSE, index=2)) == str(budgets[2])


@pytest.mark.parametrize(
    ("call", "setting"),
    [
        (lambda: Budget(RESPONSE, index=-1.0), "index"),
        (lambda: Budget(RESPONSE, central=float("nan")), "central"),
        (lambda: Budget(RESPONSE, set_size=0), "set_size"),
        (lambda: Budget(RESPONSE, delta=Fraction(0)), "delta"),
        (lambda: InMemoryLedger(Budget(RESPONSE)).charge_claim(ITEMS, np.ones(2, np.bool_)), "recalled"),
        (lambda: InMemoryLedger(Budget(RESPONSE)).charge_claim(ITEMS, np.ones(3)), "recalled"),
        (lambda: InMemoryLedger(Budget(RESPONSE)).charge_claim(ITEMS[::-1], ALL), "indices"),
    ],
)
def test_impossible_budgets_and_charges_are_refused_by_name(call, setting):
    with pytest.raises(PrivacyError, match=setting):
        call()


def test_errors_and_texts_tell_no_index():
    ledger = InMemoryLedger(Budget(RESPONSE, index=0.5))
    empty = repr(ledger)
    with pytest.raises(BudgetExceededError) as caught:
        ledger.charge_claim(np.array([123457]), np.array([False]))
    assert "123457" not in str(caught.value)
    assert repr(ledger) == empty
