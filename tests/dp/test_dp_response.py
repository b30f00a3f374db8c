from decimal import Decimal, localcontext
from fractions import Fraction
from itertools import product
from math import comb, exp, inf, log

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dp import MAX_ROUNDS, PRESETS, Pair, PrivacyError, TwoStage

RAPPOR = "3/4,1/4,3/4,1/2"
UNEVEN = ".9,.2,.8,.1"
PROBABILITY = st.fractions(0, 1, max_denominator=12)
RESPONSES = st.builds(TwoStage, PROBABILITY, PROBABILITY, PROBABILITY, PROBABILITY)

KNOWN = [  # p1..p4, q1, q0, epsilon of 1, 2, 5 and 10 rounds, exp(epsilon for ever)
    ("15/16", Fraction(113, 128), Fraction(15, 128), 2.019338, 2.643808, 2.708031, 2.708050, 15),
    ("7/8", Fraction(25, 32), Fraction(7, 32), 1.272966, 1.815290, 1.945502, 1.945910, 7),
    ("3/4", Fraction(5, 8), Fraction(3, 8), 0.510826, 0.847298, 1.087713, 1.098567, 3),
    (RAPPOR, Fraction(11, 16), Fraction(9, 16), 0.336472, 0.619039, 1.019363, 1.096012, 3),
    (UNEVEN, Fraction(73, 100), Fraction(24, 100), 1.112406, 1.723987, 2.074712, 2.079439, 8),
]


@pytest.mark.parametrize(("text", "q1", "q0", "one", "two", "five", "ten", "ever"), KNOWN, ids=[k[0] for k in KNOWN])
def test_accounting_has_its_known_answers(text, q1, q0, one, two, five, ten, ever):
    response = TwoStage.parse(text)
    assert (response.q1, response.q0) == (q1, q0)
    assert [round(response.epsilon_rounds(r), 6) for r in (1, 2, 5, 10)] == [one, two, five, ten]
    assert response.epsilon_round() == response.epsilon_rounds(1)
    assert response.epsilon_ever() == pytest.approx(log(ever), rel=1e-15)


def test_directions_have_their_known_answers():
    assert round(TwoStage.parse(RAPPOR).loss_rounds(1).e10, 6) == 0.200671
    assert round(TwoStage.parse(UNEVEN).loss_rounds(1).e01, 6) == 1.034896


@pytest.mark.parametrize(
    ("text", "rounds", "epsilon", "delta"),
    [("7/8", 1, 0.5, 0.4205922220), ("3/4", 5, 1.0, 0.01662007993), (RAPPOR, 5, 1.0, 4.541347666e-4)],
)
def test_delta_has_its_known_answers(text, rounds, epsilon, delta):
    assert TwoStage.parse(text).delta_rounds(rounds, epsilon) == pytest.approx(delta, rel=5e-10)


def test_set_level_has_its_known_answers():
    assert round(TwoStage.parse(UNEVEN).loss_rounds(1).set_level(1, 1), 6) == 2.147302
    rappor = TwoStage.parse(RAPPOR)
    assert round(rappor.loss_rounds(1).set_level(2, 2), 6) == 1.074286
    assert round(rappor.loss_ever().set_level(2, 2), 6) == 4.394449
    f = Fraction(95, 100)
    bit_vector = TwoStage(1 - f / 2, f / 2, Fraction(1), Fraction(0))
    assert bit_vector.loss_ever().set_level(4, 4) == pytest.approx(0.80066766845586, rel=1e-13)


def sequence(response, held, claims):
    """P[this sequence of claims], summed over the hidden permanent answer."""
    permanent = response.p1 if held else response.p2
    total = Fraction(0)
    for weight, claim in ((permanent, response.p3), (1 - permanent, response.p4)):
        for bit in claims:
            weight *= claim if bit else 1 - claim
        total += weight
    return total


def divergence(likely, unlikely):
    ratios = [inf if q == 0 else p / q for p, q in zip(likely, unlikely, strict=True) if p]
    return inf if inf in ratios else log(max(ratios))


@given(response=RESPONSES, rounds=st.integers(1, 5))
def test_losses_equal_an_enumeration_of_every_sequence(response, rounds):
    outcomes = list(product((0, 1), repeat=rounds))
    held, absent = ([sequence(response, x, claims) for claims in outcomes] for x in (True, False))
    loss = response.loss_rounds(rounds)
    assert loss.e10 == pytest.approx(divergence(held, absent), rel=1e-12, abs=1e-15)
    assert loss.e01 == pytest.approx(divergence(absent, held), rel=1e-12, abs=1e-15)
    assert loss.epsilon == max(loss.e10, loss.e01) >= 0


@given(response=RESPONSES, rounds=st.integers(1, 5), epsilon=st.floats(0, 5))
def test_delta_equals_an_enumeration_of_every_sequence(response, rounds, epsilon):
    outcomes = list(product((0, 1), repeat=rounds))
    held, absent = ([sequence(response, x, claims) for claims in outcomes] for x in (True, False))
    factor = Fraction(exp(epsilon))
    expected = max(
        sum(max(0, p - factor * q) for p, q in zip(one, other, strict=True))
        for one, other in ((held, absent), (absent, held))
    )
    assert response.delta_rounds(rounds, epsilon) == pytest.approx(float(expected), abs=1e-13)


@given(response=RESPONSES, removed=st.integers(0, 2), added=st.integers(0, 2))
def test_set_level_equals_an_enumeration_of_all_claims(response, removed, added):
    def distribution(held):
        return [
            Fraction(1) * _product(sequence(response, x, (bit,)) for x, bit in zip(held, claims, strict=True))
            for claims in product((0, 1), repeat=len(held))
        ]

    before, after = [True] * removed + [False] * added, [False] * removed + [True] * added
    one, other = distribution(before), distribution(after)
    expected = max(divergence(one, other), divergence(other, one))
    assert response.loss_rounds(1).set_level(removed, added) == pytest.approx(expected, rel=1e-12, abs=1e-15)


def _product(factors):
    total = Fraction(1)
    for factor in factors:
        total *= factor
    return total


@given(response=RESPONSES, rounds=st.integers(1, 6))
def test_memoised_loss_grows_with_the_rounds_up_to_its_limit(response, rounds):
    now, next_round = response.epsilon_rounds(rounds), response.epsilon_rounds(rounds + 1)
    assert now <= next_round * (1 + 1e-12) + 1e-15
    assert next_round <= response.epsilon_ever() * (1 + 1e-12) + 1e-15


def test_memoised_claims_can_lose_more_than_basic_composition_says():
    response = TwoStage.parse("1,1/2,2/3,0")
    assert response.epsilon_round() == pytest.approx(log(2))
    assert response.epsilon_rounds(2) == pytest.approx(log(5))


@pytest.mark.parametrize("text", ["15/16", "7/8", RAPPOR, UNEVEN])
def test_many_rounds_reach_the_limit(text):
    response = TwoStage.parse(text)
    assert response.epsilon_rounds(500) == pytest.approx(response.epsilon_ever(), rel=1e-9)


@pytest.mark.parametrize("text", ["7/8", RAPPOR, UNEVEN])
def test_without_a_memo_losses_add_up(text):
    response = TwoStage.parse(text)
    fresh = response.fresh()
    assert (fresh.q1, fresh.q0) == (response.q1, response.q0)
    assert fresh.epsilon_rounds(10) == pytest.approx(10 * response.epsilon_round(), rel=1e-12)
    assert fresh.epsilon_ever() == inf


def test_claims_that_ignore_the_permanent_answer_lose_nothing_ever():
    blind = TwoStage(Fraction(1), Fraction(0), Fraction(1, 3), Fraction(1, 3))
    assert blind.epsilon_rounds(50) == blind.epsilon_ever() == 0


def test_infinite_losses_name_their_witness():
    none = TwoStage.parse("none")
    assert none.epsilon_round() == none.epsilon_ever() == inf
    assert none.loss_rounds(3).witness.event == "claimed in 3 of 3 rounds"
    assert none.loss_rounds(3).absent.event == "claimed in 0 of 3 rounds"
    assert (none.loss_rounds(3).held.likely, none.loss_rounds(3).held.unlikely) == (1, 0)
    assert none.loss_ever().witness.event == "permanent answer true"
    one_sided = TwoStage.parse("1,1/2,1,0").loss_rounds(1)  # whoever does not claim does not hold
    assert (one_sided.e10, one_sided.e01) == (pytest.approx(log(2)), inf)
    assert one_sided.witness.event == "claimed in 0 of 1 rounds"


def test_infinite_and_zero_losses_never_make_nan():
    one_sided = TwoStage.parse("1,1/2,1,0").loss_rounds(1)
    assert one_sided.set_level(0, 0) == 0
    assert one_sided.set_level(1, 0) == inf
    assert TwoStage.parse("union").epsilon_ever() == 0
    assert TwoStage.parse("union").delta_rounds(5, 0.0) == 0
    assert TwoStage.parse("none").delta_rounds(5, 700.0) == 1


def test_witness_is_exact_far_beyond_floats():
    loss = TwoStage.parse("1,0,7/8,1/8").loss_rounds(MAX_ROUNDS)
    assert loss.held.likely == Fraction(7, 8) ** MAX_ROUNDS
    assert loss.epsilon == pytest.approx(MAX_ROUNDS * log(7), rel=1e-12)


def test_presets_are_those_of_the_paper():
    assert TwoStage.parse("7/8") == TwoStage(Fraction(7, 8), Fraction(1, 8), Fraction(7, 8), Fraction(1, 8))
    assert TwoStage.parse("none") == TwoStage(Fraction(1), Fraction(0), Fraction(1), Fraction(0))
    assert TwoStage.parse("union") == TwoStage(Fraction(1), Fraction(1), Fraction(1), Fraction(1))
    assert list(PRESETS) == ["15/16", "7/8", "3/4", "none", "union"]


def test_decimals_and_fractions_are_read_exactly():
    assert TwoStage.parse(" 0.1, 1/3 ,.25,1.0") == TwoStage(
        Fraction(1, 10), Fraction(1, 3), Fraction(1, 4), Fraction(1)
    )


@given(response=RESPONSES)
def test_text_comes_back_as_the_same_response(response):
    assert TwoStage.parse(str(response)) == response


@pytest.mark.parametrize(
    "text",
    [
        "",
        "5/8",
        "1,0,1",
        "1,0,1,0,1",
        "1,0,1,x",
        "1e0,0,1,0",
        "1,0,1,1e-999999999",
        "-.1,0,1,0",
        "1.1,0,1,0",
        "3/2,0,1,0",
        "1/0,0,1,0",
        "nan,0,1,0",
        "٣/٤,0,1,0",
        "1,0,1," + "0" * 10**6,
        ".123456789012345678,1/97,1,0",
    ],
    ids=lambda text: ascii(text[:20]),
)
def test_what_is_no_response_is_refused(text):
    with pytest.raises(PrivacyError):
        TwoStage.parse(text)


@given(text=st.text(alphabet="0123456789/.,e- ", max_size=24))
def test_any_text_is_a_response_or_an_error(text):
    try:
        response = TwoStage.parse(text)
    except PrivacyError:
        return
    assert TwoStage.parse(str(response)) == response


@pytest.mark.parametrize("value", [0.5, 1, "1/2"])
def test_a_probability_that_is_not_exact_is_refused(value):
    with pytest.raises(PrivacyError, match="p3 must be a Fraction"):
        TwoStage(Fraction(1), Fraction(0), value, Fraction(0))


@pytest.mark.parametrize("value", [Fraction(-1, 9), Fraction(10, 9)])
def test_a_probability_out_of_range_is_refused(value):
    with pytest.raises(PrivacyError, match="p2"):
        TwoStage(Fraction(1), value, Fraction(1), Fraction(0))


@pytest.mark.parametrize(
    ("call", "setting"),
    [
        (lambda response: response.epsilon_rounds(0), "rounds"),
        (lambda response: response.epsilon_rounds(1.5), "rounds"),
        (lambda response: response.delta_rounds(MAX_ROUNDS + 1, 1.0), "rounds"),
        (lambda response: response.delta_rounds(1, -0.1), "epsilon"),
        (lambda response: response.delta_rounds(1, inf), "epsilon"),
        (lambda response: response.delta_rounds(1, float("nan")), "epsilon"),
    ],
)
def test_impossible_questions_are_refused_by_name(call, setting):
    with pytest.raises(PrivacyError, match=setting):
        call(TwoStage.parse("7/8"))


OUTWEIGHED = [Fraction(1, 10**k) for k in (1, 3, 6, 12)]


@settings(max_examples=40)
@given(response=RESPONSES, rounds=st.integers(1, 5), delta=st.sampled_from(OUTWEIGHED))
def test_epsilon_at_delta_is_the_smallest_that_delta_allows(response, rounds, delta):
    pair, epsilon = response.pair(rounds), response.epsilon_rounds(rounds, delta)
    assert (epsilon.kind, epsilon.formula) == ("exact", "hockey-stick")
    if epsilon < 30:
        assert pair.delta(epsilon + 1e-9) <= float(delta)
    if epsilon == inf:
        assert pair.delta(300.0) > float(delta)
    elif epsilon > 1e-9:
        assert pair.delta(epsilon - 1e-9) > float(delta)


def test_what_gives_an_index_away_counts_before_any_likely_outcome():
    pair = Pair((1, 60, 39), (0, 10, 90))
    assert pair.epsilon(Fraction(1, 200)) == inf
    assert pair.epsilon(Fraction(1, 100)) == pytest.approx(log(6))
    assert pair.epsilon(Fraction(31, 100)) == pytest.approx(log(3))


@pytest.mark.parametrize("text", ["7/8", RAPPOR, UNEVEN])
def test_a_little_delta_buys_little_epsilon(text):
    response = TwoStage.parse(text)
    pure, spared = response.epsilon_rounds(20), response.epsilon_rounds(20, Fraction(1, 10**6))
    assert 0.9 * pure < spared < pure


def exactly(response, rounds, epsilon, digits):
    """delta(epsilon) from sequences' laws and an e^epsilon of many digits."""
    with localcontext(prec=digits):
        factor = Fraction(Decimal(epsilon).exp())
    weigh = {k: comb(rounds, k) for k in range(rounds + 1)}
    sides = [[weigh[k] * sequence(response, x, (1,) * k + (0,) * (rounds - k)) for k in weigh] for x in (True, False)]
    return max(sum(max(0, a - factor * b) for a, b in zip(*pair, strict=True)) for pair in (sides, sides[::-1]))


@pytest.mark.parametrize("text", ["7/8", "3/4", RAPPOR, UNEVEN])
@pytest.mark.parametrize("epsilon", [0.1, 0.25, 1 / 3, 0.7, 1.0])
def test_the_float_of_delta_is_never_below_the_truth(text, epsilon):
    response = TwoStage.parse(text)
    delta = Fraction(float(response.delta_rounds(4, epsilon)))
    truth = exactly(response, 4, epsilon, 120)
    assert truth <= delta <= truth * (1 + Fraction(1, 2**51))


def test_the_attackers_best_guess_is_half_one_plus_total_variation():
    for text in ("7/8", "3/4", RAPPOR, UNEVEN):
        response = TwoStage.parse(text)
        assert float(response.pair(1).guess_rate()) == pytest.approx((1 + response.delta_rounds(1, 0.0)) / 2)
    assert TwoStage.parse("7/8").pair(1).guess_rate() == Fraction(25, 32)
    assert TwoStage.parse("none").pair(1).guess_rate() == 1
    assert TwoStage.parse("union").pair(3).guess_rate(Fraction(1, 5)) == Fraction(4, 5)


@settings(max_examples=40)
@given(response=RESPONSES, rounds=st.integers(1, 4), prior=st.fractions(0, 1, max_denominator=20))
def test_guesses_and_posteriors_equal_an_enumeration(response, rounds, prior):
    outcomes = list(product((0, 1), repeat=rounds))
    joint = [(prior * sequence(response, True, o), (1 - prior) * sequence(response, False, o)) for o in outcomes]
    pair = response.pair(rounds)
    assert pair.guess_rate(prior) == sum(max(both) for both in joint)
    for outcome, (held, absent) in zip(outcomes, joint, strict=True):
        if held + absent:
            assert pair.posterior(sum(outcome), prior) == held / (held + absent)


def test_a_posterior_stays_below_what_epsilon_allows():
    response, prior = TwoStage.parse("7/8"), Fraction(1, 100)
    for rounds in (1, 2, 5):
        odds = exp(response.epsilon_rounds(rounds)) / 99
        assert float(response.pair(rounds).posterior(rounds, prior)) == pytest.approx(odds / (1 + odds))


def test_a_memo_keyed_by_the_truth_pays_for_each_change():
    response = TwoStage.parse("7/8")
    assert response.epsilon_truths(0) == response.epsilon_ever()
    assert response.epsilon_truths(3) == pytest.approx(4 * log(7))
    assert response.epsilon_truths(3).kind == "upper"
    assert TwoStage.parse("union").epsilon_truths(9) == 0


def test_ten_thousand_rounds_take_little_time():
    assert TwoStage.parse("7/8").delta_rounds(MAX_ROUNDS, 1.0) == pytest.approx(7 / 8 - exp(1) / 8)


@pytest.mark.parametrize(
    ("call", "setting"),
    [
        (lambda response: response.pair(1).guess_rate(Fraction(-1, 2)), "prior"),
        (lambda response: response.pair(1).posterior(0, Fraction(3, 2)), "prior"),
        (lambda response: response.pair(1).posterior(2, Fraction(1, 2)), "outcome"),
        (lambda response: response.pair(1).posterior(-1, Fraction(1, 2)), "outcome"),
        (lambda _response: TwoStage.parse("union").pair(1).posterior(0, Fraction(1, 2)), "cannot happen"),
        (lambda response: response.epsilon_rounds(1, 0.1), "delta"),
        (lambda response: response.epsilon_rounds(1, Fraction(1)), "delta"),
        (lambda response: response.epsilon_truths(-1), "changes"),
        (lambda response: response.loss_ever().set_level(-1, 2), "removed"),
    ],
)
def test_impossible_questions_about_pairs_and_sets_are_refused(call, setting):
    with pytest.raises(PrivacyError, match=setting):
        call(TwoStage.parse("7/8"))
