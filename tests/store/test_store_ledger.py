import os
import signal
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dp import (
    Budget,
    BudgetExceededError,
    DiscreteGaussian,
    InMemoryLedger,
    PrivacyError,
    Release,
    Sensitivity,
    Skellam,
    TwoStage,
    privatize,
)
from securefl.errors import ConfigurationError
from securefl.store import SqliteLedger, SqliteMemo

RESPONSE = TwoStage.parse("7/8")
BUDGET = Budget(RESPONSE, set_size=3)
ROUND = Release(Skellam(Fraction(400)), Sensitivity.scalar(3))
SHARES = Release(DiscreteGaussian(Fraction(5, 2), 30), Sensitivity(Fraction(4), Fraction(16), 8))
CHARGES = st.lists(
    st.dictionaries(st.integers(0, 9) | st.just(2**63 - 1), st.booleans(), max_size=5)
    | st.sampled_from([ROUND, SHARES]),
    max_size=8,
)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "ledger.sqlite"


def charge(ledger, what):
    if isinstance(what, Release):
        ledger.charge_release(what)
    else:
        ledger.charge_claim(np.array(sorted(what), np.int64), np.array([what[i] for i in sorted(what)], np.bool_))


def flags(count, recalled=False):
    return np.arange(count), np.full(count, recalled)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(charges=CHARGES, limits=st.tuples(*[st.sampled_from([1.5, 4.0, 9.0, float("inf")])] * 3))
def test_it_behaves_as_the_ledger_in_memory(tmp_path, charges, limits):
    budget = Budget(RESPONSE, *limits[:1], 3, *limits[1:])
    model, name = InMemoryLedger(budget), os.urandom(8).hex()
    for what in charges:
        with SqliteLedger(tmp_path / f"{name}.sqlite", name, budget) as ledger:
            errors = []
            for each in (ledger, model):
                try:
                    charge(each, what)
                except BudgetExceededError as error:
                    errors.append(str(error))
            assert len(errors) in (0, 2)
            assert len(set(errors)) < 2
            assert ledger.spent() == model.spent()


KILLED = """
import os, signal, sys
import numpy as np
from dp import Budget, TwoStage
from securefl.store import SqliteLedger
ledger = SqliteLedger(sys.argv[1], "u", Budget(TwoStage.parse("7/8"), set_size=3))
ledger.charge_claim(np.arange(100), np.zeros(100, bool))
object.__setattr__(ledger.budget, "check", lambda spending: os.kill(os.getpid(), signal.SIGKILL))
ledger.charge_claim(np.arange(5000), np.ones(5000, bool))
"""


def test_d6_a_kill_keeps_what_was_charged_and_nothing_of_an_open_charge(path):
    died = subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False)  # noqa: S603 - our own text
    assert died.returncode == -signal.SIGKILL
    with SqliteLedger(path, "u", BUDGET) as ledger:
        assert ledger.spent().rounds == 1
        assert ledger.spent().index == RESPONSE.epsilon_rounds(1)


def test_d6_what_was_spent_survives_a_restart(path):
    for rounds in range(1, 5):
        with SqliteLedger(path, "u", BUDGET) as ledger:
            ledger.charge_claim(*flags(7, rounds > 1))
            ledger.charge_release(ROUND)
    with SqliteLedger(path, "u", BUDGET) as ledger:
        assert ledger.spent().index == RESPONSE.epsilon_rounds(4)
        assert ledger.spent().central == Release(ROUND.noise, ROUND.sensitivity, 4).renyi(BUDGET.delta)


def test_d6_a_lost_memo_is_charged_though_the_client_says_nothing(path, tmp_path):
    union = np.arange(40)
    with SqliteLedger(path, "u", BUDGET) as ledger:
        for name in ("first", "first", "second"):
            with SqliteMemo(tmp_path / f"{name}.sqlite", "u") as memo:
                privatize(RESPONSE, union, union[:5], memo, ledger=ledger)
        assert ledger.spent().lost == 40
        assert ledger.spent().index == pytest.approx(RESPONSE.epsilon_ever() + RESPONSE.epsilon_round())


def test_what_is_refused_is_not_written(path):
    budget = Budget(RESPONSE, index=RESPONSE.epsilon_rounds(2))
    with SqliteLedger(path, "u", budget) as ledger:
        ledger.charge_claim(*flags(5))
        ledger.charge_claim(*flags(5, recalled=True))
        before, rows = ledger.spent(), list(ledger._database.iterdump())
        with pytest.raises(BudgetExceededError, match="index"):
            ledger.charge_claim(*flags(9, recalled=True))
        assert ledger.spent() == before
        assert list(ledger._database.iterdump()) == rows


@pytest.mark.parametrize(
    "other",
    [Budget(RESPONSE, index=50.0, set_size=3), Budget(TwoStage.parse("3/4"), set_size=3)],
    ids=["budget", "mechanism"],
)
def test_another_budget_or_mechanism_is_refused(path, other):
    SqliteLedger(path, "u", BUDGET).close()
    with pytest.raises(ConfigurationError, match="another budget or mechanism"):
        SqliteLedger(path, "u", other)
    SqliteLedger(path, "u", BUDGET).close()


def test_clients_in_one_file_spend_apart(path):
    with SqliteLedger(path, "u", BUDGET) as one, SqliteLedger(path, "v", Budget(RESPONSE, index=9.0)) as two:
        one.charge_claim(*flags(5))
        one.charge_release(ROUND)
        two.charge_claim(*flags(2))
        two.charge_claim(*flags(2, recalled=True))
        assert (one.spent().rounds, two.spent().rounds) == (1, 2)
        assert one.spent().central > two.spent().central == 0


def test_two_openings_of_one_ledger_see_each_others_charges(path):
    budget = Budget(RESPONSE, index=RESPONSE.epsilon_rounds(2))
    with SqliteLedger(path, "u", budget) as one, SqliteLedger(path, "u", budget) as two:
        one.charge_claim(*flags(3))
        two.charge_claim(*flags(3, recalled=True))
        with pytest.raises(BudgetExceededError):
            one.charge_claim(*flags(3, recalled=True))


def test_a_lost_or_replaced_ledger_is_detected(path, tmp_path):
    with SqliteLedger(tmp_path / "other.sqlite", "u", BUDGET) as other:
        marker = other.store_id
    with pytest.raises(ConfigurationError, match=r"missing.*spent is not known"):
        SqliteLedger(path, "u", BUDGET, expected_store=marker)
    SqliteLedger(path, "u", BUDGET).close()
    with pytest.raises(ConfigurationError, match="not the store used before"):
        SqliteLedger(path, "u", BUDGET, expected_store=marker)


def test_a_memo_is_no_ledger(path):
    SqliteMemo(path, "u").close()
    with pytest.raises(ConfigurationError, match="another program or purpose"):
        SqliteLedger(path, "u", BUDGET)


def test_a_damaged_release_is_named(path):
    with SqliteLedger(path, "u", BUDGET) as ledger:
        ledger._database.execute("INSERT INTO release VALUES ('u', 'skellam', 1)")
        with pytest.raises(ConfigurationError, match="damaged"):
            ledger.spent()


def test_d7_what_is_no_charge_is_refused(path):
    with SqliteLedger(path, "u", BUDGET) as ledger:
        for indices, recalled in (([2, 1], [True, True]), ([1], [True, True]), ([1], [1])):
            with pytest.raises(PrivacyError):
                ledger.charge_claim(np.array(indices), np.array(recalled))
        assert ledger.spent().rounds == 0


def test_d9_an_empty_claim_is_a_round(path):
    with SqliteLedger(path, "u", BUDGET) as ledger:
        ledger.charge_claim(*flags(0))
        assert (ledger.spent().rounds, ledger.spent().index) == (1, 0)


def test_memo_and_ledger_of_one_client_agree_after_a_claim(path, tmp_path):
    with SqliteLedger(path, "u", BUDGET) as ledger, SqliteMemo(tmp_path / "memo.sqlite", "u") as memo:
        for _ in range(3):
            privatize(RESPONSE, np.arange(1000), [], memo, ledger=ledger)
        assert (ledger.spent().lost, ledger.spent().index) == (0, RESPONSE.epsilon_rounds(3))
