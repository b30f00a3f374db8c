"""Bytes foretold beside bytes that a run sends."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from subjects import configured

from securefl.audit.adviser import Offer, Wish
from securefl.audit.subject import Subject
from securefl.datasets.synthetic import PRESETS, synthetic_click_log
from securefl.engine import local
from securefl.federation.progress import Silent
from securefl.submodel import indexset
from securefl.submodel.sizes import index_bytes

FEWER = replace(PRESETS["small"], users=200)
"""Clients of the same law as the preset's, sooner made and scored."""


@given(size=st.integers(1, 200_000), share=st.floats(0, 1), seed=st.integers(0, 9))
def test_index_sets_take_the_bytes_that_are_foretold(size: int, share: float, seed: int) -> None:
    chosen = np.flatnonzero(np.random.default_rng(seed).random(size) < share).astype(np.int64)
    taken = len(indexset.encode(chosen, size))
    assert index_bytes(chosen.size, size) == pytest.approx(taken, rel=0.03, abs=40)


@pytest.mark.parametrize("setting", [pytest.param("semi_honest", marks=pytest.mark.slow), "malicious"])
def test_a_round_costs_what_the_audit_and_the_adviser_say(setting: str) -> None:
    config = configured(
        cohort__clients=20, cohort__rounds=1, cohort__dropout=0.0, secagg__setting=setting, secagg__kem="x25519",
        privacy__honest_claimants=2,
    )  # fmt: skip
    run = local.run(config, synthetic_click_log(FEWER), Silent())
    subject = Subject.of(config)
    assert subject.traffic is not None
    assert subject.traffic.up == pytest.approx(run.bytes_up_per_client, rel=0.03)
    assert subject.traffic.down == pytest.approx(run.bytes_down_per_client, rel=0.03)
    population = subject.population
    wish = Wish(20, 0.0, 1, 2.0, population.items, population.typical_set, population.union, population.categories)
    offer = Offer(config, wish)
    measured = run.bytes_up_per_client + run.bytes_down_per_client
    assert offer.traffic.total == pytest.approx(measured, rel=0.05)
