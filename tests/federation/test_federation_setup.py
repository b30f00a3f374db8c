"""What a run is before its first round: who is there, which data it is, and what cannot be trained."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from securefl.config import Availability, Config, load_preset, override
from securefl.datasets import ClickLog
from securefl.datasets.synthetic import SyntheticPlan, synthetic_click_log
from securefl.errors import ConfigurationError
from securefl.federation.availability import Alternating, Always, Diurnal
from securefl.federation.randomness import Randomness
from securefl.federation.setup import Setup, availability

PLAN = SyntheticPlan(users=30, items=200, categories=5, clicks=8, exponent=1.0, favourites=2)


@pytest.fixture
def log() -> ClickLog:
    return synthetic_click_log(PLAN, seed=1)


def config(**settings: object) -> Config:
    return override(load_preset("small"), {"cohort.clients": 6, "privacy.honest_claimants": 1} | settings)


def test_availability_is_what_the_settings_say(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    assert isinstance(availability(Availability(), 9, generator), Always)
    taking_turns = availability(Availability(kind="alternating", spans=(1, 2)), 5, generator)
    assert isinstance(taking_turns, Alternating)
    assert taking_turns.available(1).tolist() == [True, False, True, False, True]
    assert taking_turns.available(3).tolist() == [False, True, False, True, False]
    day = availability(Availability(kind="diurnal", period=24, share=0.25), 4000, generator)
    assert isinstance(day, Diurnal)
    assert day.available(7).mean() == pytest.approx(0.25, abs=0.03)
    trace = tmp_path / "trace"
    trace.write_text("10\n01\n")
    recorded = availability(Availability(kind="trace", trace=str(trace)), 2, generator)
    assert [recorded.available(n).tolist() for n in (1, 2, 3)] == [[True, False], [False, True], [True, False]]
    with pytest.raises(ConfigurationError, match=r'availability\.trace: kind = "trace" needs a file'):
        availability(Availability(kind="trace"), 2, generator)


def test_a_run_without_a_seed_goes_on_with_its_own_key(log: ClickLog) -> None:
    """Cohorts, the model's beginning and the judged users follow from the key; secrets do not."""
    first = Setup.of(config(**{"cohort.seed": None}), log)
    again = Setup.of(config(**{"cohort.seed": None}), log, first.random.key)
    other = Setup.of(config(**{"cohort.seed": None}), log)
    assert first.random.integer("model") == again.random.integer("model") != other.random.integer("model")
    assert first.plan == again.plan
    assert first.random.private
    assert first.random.stream("claims")(16) != again.random.stream("claims")(16)


def test_a_seed_gives_the_same_key_and_streams() -> None:
    one, other = Randomness(4), Randomness(4)
    assert one.key == other.key != Randomness(5).key
    assert one.stream("claims", 3)(16) == other.stream("claims", 3)(16) != one.stream("claims", 4)(16)


def test_the_source_is_the_data_whatever_it_is_called(log: ClickLog, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    trace.write_text("1" * 30 + "\n")
    with_trace = {"availability.kind": "trace", "availability.trace": str(trace)}
    source = Setup.of(config(), log).source
    assert Setup.of(config(), replace(log, name="other")).source == source
    assert Setup.of(config(), replace(log, label=~log.label)).source != source
    assert Setup.of(config(**with_trace), log).source != source


def test_data_in_which_nothing_can_be_learned_is_refused(log: ClickLog) -> None:
    silent = replace(log, label=np.zeros_like(log.label))
    for model in ("din", "logistic"):
        with pytest.raises(ConfigurationError, match=rf'training\.model: "{model}" learns from what a user clicked'):
            Setup.of(config(**{"training.model": model}), silent)
