"""Every relation between settings: what passes, what is refused, and that following the advice helps."""

from __future__ import annotations

import re
from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from securefl.config import (
    Config,
    abort_probability,
    check_population,
    load_preset,
    override,
    preset_names,
    uploaded_share,
    validate,
    warnings,
)
from securefl.errors import ConfigurationError


def configured(**settings: object) -> Config:
    return override(Config(), {name.replace("__", "."): value for name, value in settings.items()})


def refusal(config: Config) -> str:
    with pytest.raises(ConfigurationError) as caught:
        validate(config)
    return str(caught.value)


def advised(config: Config, sentence: str) -> list[Config]:
    """The configurations a refusal recommends: every section.key=number of its text."""
    return [override(config, {name: int(value)}) for name, value in re.findall(r"(\w+\.\w+)=(\d+)", sentence)]


@pytest.mark.parametrize("name", preset_names())
def test_a_shipped_preset_is_valid(name: str) -> None:
    validate(load_preset(name))


def test_the_default_preset_warns_of_nothing() -> None:
    assert warnings(load_preset("small")) == []


@pytest.mark.parametrize(("n", "t", "c", "floor"), [(5, 3, 0, 5), (20, 13, 1, 6), (100, 67, 5, 10), (128, 85, 6, 11)])
def test_defaults_follow_the_cohort(n: int, t: int, c: int, floor: int) -> None:
    config = configured(cohort__clients=n)
    assert (config.threshold, config.colluders, config.row_floor) == (t, c, floor)
    assert config.min_survivors == t + 1
    assert config.degree == n - 1
    validate(config)


@pytest.mark.parametrize(
    ("n", "t", "c", "dropout", "valid"),
    [
        (100, 6, 5, 0.1, True),
        (100, 5, 5, 0.1, False),
        (100, 98, 5, 0.1, True),
        (100, 99, 5, 0.1, False),
        (100, 99, 5, 0.0, True),
        (4, 2, 0, 0.1, True),
        (3, 2, 0, 0.1, False),
        (3, 2, 0, 0.0, True),
        (100, 100, 5, 0.0, False),
    ],
)
def test_threshold_is_above_the_colluders_and_leaves_a_client_to_lose(
    n: int, t: int, c: int, dropout: float, valid: bool
) -> None:
    config = configured(
        cohort__clients=n,
        cohort__dropout=dropout,
        secagg__threshold=t,
        secagg__colluders=c,
        privacy__honest_claimants=1,
    )
    if valid:
        validate(config)
    else:
        assert refusal(config).startswith("secagg.threshold: ")


def test_threshold_refusal_names_a_cohort_that_works() -> None:
    config = configured(cohort__clients=4, privacy__honest_claimants=1)
    (larger,) = advised(config, refusal(config))
    assert larger.cohort.clients == 5
    validate(larger)


@pytest.mark.parametrize(("colluders", "threshold"), [(0, 2), (1, 2), (1, None)])
def test_three_clients_with_one_to_lose_have_no_threshold_and_are_offered_none(
    colluders: int, threshold: int | None
) -> None:
    config = configured(
        cohort__clients=3, secagg__colluders=colluders, secagg__threshold=threshold, privacy__honest_claimants=1
    )
    sentence = refusal(config)
    assert sentence.endswith("; use cohort.clients=4 or more")
    validate(override(config, {"cohort.clients": 4, "secagg.threshold": 2}))


def test_one_share_is_no_threshold() -> None:
    """It would be the secret itself; messages of a session cannot name it either."""
    with pytest.raises(ConfigurationError, match=r"secagg\.threshold: got 1; use a whole number of at least 2"):
        configured(secagg__threshold=1)


def test_too_many_colluders_are_refused_with_a_cohort_that_works() -> None:
    config = configured(cohort__clients=20, secagg__colluders=18, privacy__honest_claimants=1)
    sentence = refusal(config)
    assert sentence.startswith("secagg.colluders: ")
    assert "use at most 17," in sentence
    assert advised(config, sentence)[0].cohort.clients == 21


@pytest.mark.parametrize(("n", "valid"), [(128, True), (129, False), (5000, False)])
def test_one_complete_graph_carries_128_clients(n: int, valid: bool) -> None:
    config = configured(cohort__clients=n)
    if valid:
        validate(config)
    else:
        assert refusal(config).startswith("cohort.clients: ")


def test_a_sparse_graph_is_refused() -> None:
    assert refusal(configured(secagg__degree=30)).startswith("secagg.degree: ")
    validate(configured(secagg__degree=99))


@given(n=st.integers(5, 128), weight=st.integers(1, 2**20), q=st.integers(2, 32), bits=st.integers(8, 64))
def test_ring_refusal_is_exact_and_each_remedy_is_the_nearest_that_works(
    n: int, weight: int, q: int, bits: int
) -> None:
    config = configured(
        cohort__clients=n, training__weight_max=weight, training__quantization_bits=q, secagg__ring_bits=bits
    )
    if 2**bits >= n * weight * (2**q - 1) + 1:
        validate(config)
        return
    sentence = refusal(config)
    assert sentence.startswith("secagg.ring_bits: ")
    for name, value in re.findall(r"(\w+\.\w+)=(\d+)", sentence):
        validate(override(config, {name: int(value)}))
        beyond = int(value) + (-1 if name == "secagg.ring_bits" else 1)
        refusal(override(config, {name: beyond}))


@pytest.mark.parametrize(("q", "n"), [(16, 128), (15, 100)])
def test_the_default_weight_fills_32_bits(q: int, n: int) -> None:
    """128 clients with 512 samples each and 16 bits: 2**16 (2**16 - 1) + 1 <= 2**32."""
    validate(configured(cohort__clients=n, training__quantization_bits=q))
    refusal(
        configured(cohort__clients=128, training__quantization_bits=q, training__weight_max=512 * 2 ** (16 - q) + 1)
    )


@pytest.mark.parametrize("text", ["9/10", "1,2", "1.5,0,1,0", "", "nan,0,1,0", "1/0,0,1,0", "x" * 10_000])
def test_no_response_is_refused(text: str) -> None:
    assert refusal(configured(privacy__response=text)).startswith("privacy.response: ")


@pytest.mark.parametrize(("text", "name"), [("0.1,0.9,0.8,0.1", "p1"), ("0.9,0.1,0.1,0.8", "p3"), ("0,1,1,0", "p1")])
def test_a_response_that_claims_what_is_absent_is_refused(text: str, name: str) -> None:
    sentence = refusal(configured(privacy__response=text))
    assert sentence.startswith(f"privacy.response: {name}=")
    assert f"use {name} from" in sentence


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"secagg__threshold": 100}, "secagg.threshold: 100 of the 99 others cannot be; use at most 99"),
        ({"secagg__colluders": 100}, "secagg.colluders: 100 of the 99 others cannot be; use at most 99"),
        ({"secagg__degree": 100}, "secagg.degree: 100 of the 99 others cannot be; use at most 99"),
        ({"secagg__min_survivors": 101}, "secagg.min_survivors: 101 of 100 clients cannot be; use 68 to 100"),
        ({"secagg__min_survivors": 100}, "secagg.min_survivors: 100 of 100 clients must stay, which leaves none"),
    ],
)
def test_more_than_the_cohort_has_is_refused(settings: dict[str, object], sentence: str) -> None:
    assert refusal(configured(**settings)).startswith(sentence)


def test_the_malicious_setting_asks_for_more_shares() -> None:
    config = configured(secagg__setting="malicious", secagg__threshold=52, secagg__colluders=5)
    assert "use 53 to 98" in refusal(config)
    validate(override(config, {"secagg.threshold": 53}))
    validate(override(config, {"secagg.setting": "semi_honest"}))


@given(n=st.integers(5, 128), dropout=st.sampled_from([0.0, 0.02, 0.1, 0.3]))
def test_the_malicious_setting_wants_as_many_survivors_as_usually_stay(n: int, dropout: float) -> None:
    config = configured(cohort__clients=n, cohort__dropout=dropout, secagg__setting="malicious", secagg__threshold=2)
    fewer = [abort_probability(override(config, {"secagg.min_survivors": k})) for k in range(3, n + 1)]
    allowed = [k for k, probability in zip(range(3, n + 1), fewer, strict=True) if probability <= 0.01 + 1e-9]
    assert config.min_survivors == max([3, *allowed])


def test_in_the_malicious_setting_a_client_that_may_be_lost_raises_the_row_floor() -> None:
    config = configured(secagg__setting="malicious", secagg__min_survivors=90)
    assert (config.row_floor, config.row_floor_of(100), config.row_floor_of(93)) == (10, 20, 13)
    assert config.row_floor_of(80) == 10
    assert configured(secagg__min_survivors=90).row_floor_of(100) == 10


def test_a_malicious_row_floor_that_nothing_reaches_is_refused_with_survivors_that_help() -> None:
    config = configured(secagg__setting="malicious", secagg__min_survivors=60)
    (better,) = advised(config, refusal(config))
    validate(better)
    refusal(override(better, {"secagg.min_survivors": better.min_survivors - 1}))


def test_a_row_floor_above_the_cohort_is_refused_for_every_response() -> None:
    for response in ("7/8", "none", "union"):
        sentence = refusal(configured(privacy__response=response, privacy__honest_claimants=96))
        assert "row floor of 101" in sentence
        assert "use at most 95" in sentence


@pytest.mark.parametrize("response", ["7/8", "15/16", "3/4", "0.9,0.2,0.8,0.1"])
def test_a_row_floor_that_nothing_reaches_is_refused_and_the_advice_is_the_highest_that_works(response: str) -> None:
    config = configured(privacy__response=response, privacy__honest_claimants=90)
    sentence = refusal(config)
    assert sentence.startswith("privacy.honest_claimants: ")
    highest = int(re.findall(r"use at most (\d+)", sentence)[0])
    validate(override(config, {"privacy.honest_claimants": highest}))
    refusal(override(config, {"privacy.honest_claimants": highest + 1}))


def test_truthful_claims_are_warned_of_and_not_refused() -> None:
    config = configured(privacy__response="none")
    validate(config)
    assert any("tell the truth" in warning for warning in warnings(config))


def test_other_warnings() -> None:
    assert any("fails with probability 0.94" in w for w in warnings(configured(cohort__dropout=0.4)))
    assert any("row floor of 1" in w for w in warnings(configured(privacy__honest_claimants=1, secagg__colluders=0)))
    assert any("probability 0.0018" in w for w in warnings(configured(cohort__clients=5)))


@pytest.mark.parametrize(
    ("rate", "threshold", "probability"), [(0.2, 66, 7.3688e-4), (0.3, 66, 0.22074), (0.0, 67, 0.0)]
)
def test_abort_probability_known_answers(rate: float, threshold: int, probability: float) -> None:
    """P[fewer than 67 of 100 stay]; t = 66 because t + 1 must stay."""
    config = configured(cohort__dropout=rate, secagg__threshold=threshold)
    assert abort_probability(config) == pytest.approx(probability, rel=1e-4)


@given(n=st.integers(3, 40), m=st.integers(1, 40), response=st.sampled_from(["7/8", "15/16", "3/4", "union", "none"]))
def test_uploaded_share_is_the_tail_of_a_sum_of_claims(n: int, m: int, response: str) -> None:
    config = configured(cohort__clients=n, privacy__honest_claimants=m, privacy__response=response)
    q1, q0 = float(config.response.q1), float(config.response.q0)
    others = [comb(n - 1, k) * q0**k * (1 - q0) ** (n - 1 - k) for k in range(n)]
    claimants = [(q1 * others[k - 1] if k else 0.0) + ((1 - q1) * others[k] if k < n else 0.0) for k in range(n + 1)]
    assert sum(claimants) == pytest.approx(1)
    assert uploaded_share(config) == pytest.approx(sum(claimants[config.row_floor :]), abs=1e-12)


def test_a_cohort_needs_that_many_users() -> None:
    check_population(Config(), 100)
    with pytest.raises(ConfigurationError, match=r"^cohort\.clients: .* only 99 users; use at most 99$"):
        check_population(Config(), 99)


NOISE = {"privacy__noise_multiplier": 1.0, "privacy__honest_claimants": 2, "privacy__response": "3/4"}


def test_noise_takes_every_client_that_may_be_lost_into_the_row_floor_and_weighs_all_alike() -> None:
    config = configured(**NOISE, training__quantization_bits=12, cohort__dropout=0.05)
    assert (config.noisy, config.weight_max, configured().weight_max) == (True, 1, 512)
    assert config.min_survivors == configured(secagg__setting="malicious", cohort__dropout=0.05).min_survivors > 68
    assert config.row_floor_of(100) == 2 + 5 + 100 - config.min_survivors
    assert config.noise_radius == 20470  # 2047 steps to 0.1, ten times that to 1
    assert config.noise_variance == 20470**2
    validate(config)


def test_noise_for_a_rule_that_divides_by_holders_is_refused() -> None:
    sentence = refusal(configured(**NOISE, training__quantization_bits=12, training__strategy="FedSubAvg"))
    assert sentence.startswith("training.strategy: FedSubAvg divides by how many clients hold a row")


@pytest.mark.parametrize("bits", [16, 20, 32])
@pytest.mark.parametrize("multiplier", [0.3, 5.0, 40.0])
def test_noise_too_wide_to_be_drawn_is_refused_and_the_advice_is_the_most_that_is_not(
    bits: int, multiplier: float
) -> None:
    config = configured(**NOISE | {"privacy__noise_multiplier": multiplier}, training__quantization_bits=bits)
    if config.noise_variance <= 2**31 * 2:
        validate(override(config, {"secagg.ring_bits": 64}))
        return
    (better,) = advised(config, refusal(config))
    assert better.noise_variance <= 2**31 * 2
    wider = override(config, {"training.quantization_bits": better.training.quantization_bits + 1})
    assert "too wide to be drawn" in refusal(wider)


def test_no_number_of_bits_is_advised_where_none_is_enough() -> None:
    wide = NOISE | {"privacy__clip_radius": 1e6, "training__scale": 1e-6, "training__quantization_bits": 8}
    assert refusal(configured(**wide)).endswith("; use a larger training.scale or less noise")


def test_a_ring_that_noise_would_wrap_is_refused_with_the_bits_that_it_takes() -> None:
    config = configured(**NOISE, training__quantization_bits=12, secagg__ring_bits=20)
    better = advised(config, refusal(config))[0]
    validate(better)
    fewer = override(better, {"secagg.ring_bits": better.secagg.ring_bits - 1})
    assert "do not carry 100 clients and their noise" in refusal(fewer)


def test_a_ball_smaller_than_a_step_is_refused() -> None:
    sentence = refusal(configured(**NOISE, training__quantization_bits=4, privacy__clip_radius=0.02))
    assert sentence == "privacy.clip_radius: 0.02 is 1 steps of the quantization; use 0.1 or more"


def test_rows_whose_noise_could_be_lost_are_named_in_the_refusal() -> None:
    wide = NOISE | {"privacy__honest_claimants": 80, "training__quantization_bits": 12}
    sentence = refusal(configured(**wide, secagg__min_survivors=68))
    assert "80 honest claimants and 5 colluders and 32 whose noise could be lost make a row floor of 117" in sentence
    assert "use secagg.min_survivors=85 or more" in sentence
