import copy
import pickle
from decimal import Decimal
from fractions import Fraction
from math import inf, log, nextafter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dp import FORMULAS, Bound, PrivacyError, TwoStage
from dp.rounding import exp, to_float
from dp.rounding import log as directed_log

POSITIVE = st.fractions(min_value=Fraction(1, 10**9), max_value=10**9)


@given(value=st.floats(-1e6, 1e6), digits=st.integers(0, 12))
def test_text_is_rounded_to_the_safe_side(value, digits):
    texts = {kind: Decimal(Bound(value, kind, "rr-rounds").text(digits)) for kind in ("lower", "exact", "upper")}
    assert texts["lower"] <= Decimal(value) <= texts["upper"]
    assert abs(texts["exact"] - Decimal(value)) * 2 <= Decimal(1).scaleb(-digits)
    assert texts["upper"] - texts["lower"] <= Decimal(1).scaleb(-digits)


def test_infinity_is_written_out():
    assert TwoStage.parse("none").epsilon_ever().text() == "inf"


def test_a_bound_is_a_float_that_survives_copies():
    bound = TwoStage.parse("7/8").epsilon_ever()
    for other in (copy.deepcopy(bound), pickle.loads(pickle.dumps(bound))):  # noqa: S301 - our own bytes
        assert (other, other.kind, other.formula) == (bound, "exact", "rr-ever")
    assert f"{bound:.3f}" == "1.946"
    assert type(bound + 1) is float


@pytest.mark.parametrize(("kind", "formula"), [("about", "rr-ever"), ("exact", "guess")])
def test_no_other_kinds_and_formulas(kind, formula):
    with pytest.raises(PrivacyError, match="no bound"):
        Bound(1.0, kind, formula)


def test_every_formula_is_explained():
    assert all(FORMULAS.values())


@given(a=POSITIVE, b=POSITIVE)
def test_logarithms_are_rounded_as_told(a, b):
    low, near, high = (directed_log(a, b, direction) for direction in ("down", "nearest", "up"))
    assert low <= near <= high <= nextafter(low, inf)
    assert near == pytest.approx(log(a / b), rel=1e-12, abs=1e-12)


def test_logarithms_of_impossible_and_enormous_ratios():
    assert directed_log(1, 0) == inf
    assert directed_log(0, 1) == -inf
    assert directed_log(7**100_000, 1) == pytest.approx(100_000 * log(7))
    assert directed_log(10**60 + 1, 10**60) == pytest.approx(1e-60)


@given(x=st.floats(0, 50))
def test_exponentials_are_rounded_as_told(x):
    low, high = exp(x, "down"), exp(x, "up")
    assert low <= high <= low * (1 + Fraction(1, 2**190))
    assert low <= Fraction(Decimal(x).exp()) * (1 + Fraction(1, 10**26))


@given(value=st.fractions(max_denominator=10**40))
def test_floats_are_rounded_as_told(value):
    assert Fraction(to_float(value, "down")) <= value <= Fraction(to_float(value, "up"))
    assert to_float(value, "nearest") == float(value)


def test_the_smallest_probability_is_not_rounded_to_none():
    assert to_float(Fraction(1, 10**400), "up") == 5e-324
    assert to_float(Fraction(1, 10**400), "down") == 0
