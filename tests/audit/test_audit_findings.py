"""What every audit keeps: typed figures that are never NaN or negative, infinity with a witness, strict JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from subjects import configured

from securefl.audit import FORMULAS, Audit, Figure, audit
from securefl.audit.auditing import CHECKS
from securefl.audit.findings import worst
from securefl.config import preset_names
from securefl.errors import ConfigurationError
from securefl.report import read_audit, to_json

Audited = Callable[[str], Audit]


def refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


def check(found: Audit) -> None:
    """Everything that holds of any audit."""
    assert [finding.id for finding in found.findings[: len(CHECKS)]] == IDS
    for finding in found.findings:
        assert finding.says
        assert finding.verdict == "pass" or finding.change
        for figure in finding.all_figures:
            assert figure.value >= 0
            assert math.isfinite(figure.value) or figure.witness
            assert figure.formula in found.formulas
            assert figure.unit not in ("probability", "share") or figure.value <= 1
    for curve in found.curves.values():
        for values in curve.y.values():
            assert len(values) == len(curve.x)
            assert all(y is None or (math.isfinite(y) and y >= 0) for y in values)
    text = to_json(found)
    json.loads(text, parse_constant=refuse)
    assert read_audit(text) == found


IDS = [
    "response",
    "budget",
    "row-anonymity",
    "union-leakage",
    "central-noise",
    "threshold",
    "cohort",
    "graph",
    "dropout",
    "ring",
    "quantization",
    "union-plan",
    "peers",
    "randomness",
    "key-exchange",
]


@pytest.mark.parametrize("name", preset_names())
def test_a_preset_is_audited_in_full(audited: Audited, name: str) -> None:
    check(audited(name))


ODDS = ["15/16", "7/8", "3/4", "none", "union", "3/4,1/4,3/4,1/2", "1,1/2,1,0", "1/2,1/2,1/2,1/2", "1,0,1/2,1/2"]


@settings(max_examples=12)
@given(
    n=st.integers(3, 24),
    share=st.floats(0, 1),
    corrupt=st.floats(0, 1),
    odds=st.sampled_from(ODDS),
    m=st.integers(1, 30),
    dropout=st.sampled_from([0.0, 0.1, 0.95]),
    rounds=st.sampled_from([1, 2, 300]),
    setting=st.sampled_from(["semi_honest", "malicious"]),
    bits=st.integers(8, 64),
    degree=st.sampled_from([None, 2]),
    noise=st.sampled_from([0.0, 1e-9, 1.0, 3.0]),
)
def test_any_configuration_that_means_something_is_audited(
    n: int, share: float, corrupt: float, odds: str, m: int, dropout: float, rounds: int, setting: str, bits: int,
    degree: int | None, noise: float,
) -> None:  # fmt: skip
    config = configured(
        cohort__clients=n,
        cohort__dropout=dropout,
        secagg__threshold=2 + int(share * (n - 3)),
        secagg__colluders=int(corrupt * (n - 1)),
        secagg__setting=setting,
        secagg__ring_bits=bits,
        secagg__degree=degree,
        privacy__response=odds,
        privacy__honest_claimants=m,
        privacy__noise_multiplier=noise,
        training__quantization_bits=8 if noise else 16,
    )
    check(audit(config, rounds=rounds))


@pytest.mark.parametrize("weight", [1, 3, 7])
def test_a_cohort_beyond_what_a_float_counts_is_written_and_read_the_same(weight: int) -> None:
    check(audit(configured(secagg__ring_bits=64, training__weight_max=weight, training__quantization_bits=2)))


def test_a_long_plan_is_audited() -> None:
    found = audit(configured(), rounds=1_000_000)
    check(found)
    assert found.rounds == 1_000_000


@pytest.mark.parametrize("value", [math.nan, -1.0, -0.001, -math.inf])
def test_a_figure_is_never_nan_or_negative(value: float) -> None:
    with pytest.raises(ValueError, match="no figure"):
        Figure("x", value, "nats", "exact", "ring")


def test_infinity_names_its_witness_and_a_formula_is_known() -> None:
    with pytest.raises(ValueError, match="without a witness"):
        Figure("x", math.inf, "nats", "exact", "ring")
    with pytest.raises(ValueError, match="no formula"):
        Figure("x", 1.0, "nats", "exact", "rule of thumb")
    assert Figure("x", math.inf, "nats", "exact", "ring", "a sum that wraps").witness


@pytest.mark.parametrize(
    "damage", ['"value": NaN', '"value": "nan"', '"value": -1', '"value": "-inf"', '"value": "much"']
)
def test_json_with_a_wrong_number_is_refused(audited: Audited, damage: str) -> None:
    text = to_json(audited("small")).replace('"value": "inf"', damage, 1)
    with pytest.raises(msgspec.DecodeError):
        read_audit(text)


def places(tree: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place of a JSON document."""
    yield path
    for key, branch in tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ():
        yield from places(branch, (*path, key))


def put(tree: Any, path: tuple[Any, ...], value: Any) -> Any:
    """The document with another value in one place."""
    if not path:
        return value
    branch = put(tree[path[0]], path[1:], value)
    return tree | {path[0]: branch} if isinstance(tree, dict) else [*tree[: path[0]], branch, *tree[path[0] + 1 :]]


VALUES = st.sampled_from([None, True, -1, 0, 2**70, 1e300, "", "inf", "-inf", "nan", "\ud800", [], {}, [[]], {"x": 0}])


def check_read(text: str | bytes) -> None:
    """An audit that is written and read as it is, or the one refusal."""
    try:
        found = read_audit(text)
    except msgspec.DecodeError:
        return
    assert read_audit(to_json(found)) == found


@given(data=st.data())
def test_e3_a_changed_audit_is_refused_or_one(audited: Audited, data: st.DataObject) -> None:
    document = json.loads(to_json(audited("small")))
    path = data.draw(st.sampled_from(sorted(places(document), key=len)))
    check_read(json.dumps(put(document, path, data.draw(VALUES)), ensure_ascii=data.draw(st.booleans())))


@given(data=st.data())
def test_e3_an_audit_cut_or_with_another_byte_is_refused_or_one(audited: Audited, data: st.DataObject) -> None:
    whole = to_json(audited("small")).encode()
    at, byte = data.draw(st.integers(0, len(whole) - 2)), bytes((data.draw(st.integers(0, 255)),))
    check_read(whole[:at] + byte + whole[at + 1 :])
    with pytest.raises(msgspec.DecodeError):
        read_audit(whole[:at])


@pytest.mark.parametrize("text", [b"", b"\xff", "\ud800", b'{"x": ' + b"[" * 100_000, b"[" * 100_000, b"9" * 5000])
def test_e3_what_is_no_audit_is_refused(text: str | bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        read_audit(text)


def test_every_formula_has_a_source() -> None:
    assert all(formula.text and formula.source for formula in FORMULAS.values())


def test_the_verdict_is_the_worst_that_nobody_accepted(audited: Audited) -> None:
    small = audited("small")
    warned = [finding.id for finding in small.findings if finding.verdict == "warn"]
    assert (small.verdict, small.exit_code) == ("warn", 4)
    accepted = audit(configured(), accept=warned)
    assert (accepted.verdict, accepted.exit_code) == ("pass", 0)
    assert [finding.id for finding in accepted.findings if finding.accepted] == warned
    assert audit(configured(), accept=warned[1:]).verdict == "warn"
    assert worst(()) == "pass"


def test_a_failure_cannot_be_accepted_and_an_unknown_id_is_named() -> None:
    with pytest.raises(ConfigurationError, match="row-anonymity fails; a failure cannot be accepted"):
        audit(configured(privacy__honest_claimants=1), accept=["row-anonymity"])
    with pytest.raises(ConfigurationError, match="no finding 'noise'; use one of budget, central-noise"):
        audit(configured(), accept=["noise"])


def test_equal_configurations_give_equal_audits(audited: Audited) -> None:
    assert to_json(audit(configured())) == to_json(audited("small"))


def test_the_first_line_is_for_people(audited: Audited) -> None:
    """As privacy.md has it, with the size of this population's sets."""
    size = audited("small").population["typical set"]
    assert audited("small").headline == (
        "an index: eps 1.27 this round, 1.95 ever, from the claims alone; "
        f"a set of {size}: {float(size) * 1.9459101:.1f}; aggregates: unbounded without central noise"
    )
    assert audit(configured(privacy__response="none")).headline.startswith("an index: eps unbounded this round")
