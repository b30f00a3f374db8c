"""A plain round is the secure one without its masks: same cohorts, losses, claims, rows and integers; same model."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from numpy.random import default_rng
from test_local import small

from securefl.datasets import ClickLog
from securefl.datasets.synthetic import synthetic_click_log
from securefl.engine import local
from securefl.engine.local import Trained
from securefl.engine.losses import STEPS, Losses
from securefl.errors import ConfigurationError
from securefl.federation.progress import Silent
from securefl.federation.records import RunSummary
from securefl.federation.setup import Setup
from securefl.federation.training import Training

ALIKE = (
    "round", "completed", "abort", "auc", "loss", "clients", "finishers", "union_size", "union_false", "union_lost",
    "rows_uploaded", "rows_left_out", "epsilon_claims_spent", "dropouts",
)  # fmt: skip


NOISY = {
    "privacy.noise_multiplier": 0.5,
    "privacy.response": "3/4",
    "privacy.honest_claimants": 2,
    "training.quantization_bits": 12,
    "training.model": "logistic",
    "secagg.colluders": 0,
}
"""Rounds with noise of half the radius, in which rows still go up."""


@pytest.fixture(scope="module")
def log() -> ClickLog:
    return synthetic_click_log("small", seed=3)


def both(log: ClickLog, **settings: object) -> list[tuple[RunSummary, Trained]]:
    runs = []
    for plain in (False, True):
        kept: list[Trained] = []
        summary = local.run(small(**settings), log, Silent(), plain=plain, keep=kept.append)
        runs.append((summary, kept[0]))
    return runs


@pytest.mark.parametrize(
    "settings",
    [
        {"cohort.dropout": 0.35, "secagg.threshold": 4, "cohort.rounds": 4},
        {"cohort.dropout": 0.2, "secagg.setting": "malicious", "cohort.clients": 20, "cohort.rounds": 3},
        {"cohort.rounds": 2, "training.strategy": "FedSubAvg"},
        {"cohort.rounds": 2, "training.strategy": "FedAvg"},
        {"cohort.rounds": 2, "training.strategy": "FedProx"},
        {"cohort.rounds": 2, "training.model": "logistic"},
        {"cohort.rounds": 3, "cohort.dropout": 0.1, **NOISY},
        {"cohort.rounds": 2, "cohort.clients": 20, "secagg.setting": "malicious", **NOISY},
    ],
    ids=["semi_honest", "malicious", "FedSubAvg", "FedAvg", "FedProx", "logistic", "noise", "malicious noise"],
)
def test_a_plain_run_is_the_secure_one_bit_for_bit(log: ClickLog, settings: dict[str, object]) -> None:
    (secure, trained), (plain, bare) = both(log, **settings)
    assert secure.exact
    assert (sum(secure.dropouts.values()) > 0) == (secure.settings["cohort"]["dropout"] > 0)  # type: ignore[index]  # a table
    assert any(record.completed for record in secure.per_round)
    for one, other in zip(secure.per_round, plain.per_round, strict=True):
        assert {name: getattr(one, name) for name in ALIKE} == {name: getattr(other, name) for name in ALIKE}
    assert trained.weights.dense.tobytes() == bare.weights.dense.tobytes()
    for name, table in trained.weights.tables.items():
        assert table.tobytes() == bare.weights.tables[name].tobytes()
    assert trained.embeddings.tobytes() == bare.embeddings.tobytes()
    assert np.abs(trained.embeddings).max() > 0


def test_fedprox_is_fedavg_with_a_pull_and_needs_a_model_with_one(log: ClickLog) -> None:
    moved: dict[object, Trained] = {}
    for pull in (None, 1e-9, 1.0):
        strategy = {"training.strategy": "FedAvg"} if pull is None else {"training.strategy": "FedProx"}
        settings = strategy | ({} if pull is None else {"training.proximal": pull})
        local.run(
            small(**{"cohort.rounds": 1} | settings), log, Silent(), plain=True, keep=partial(moved.__setitem__, pull)
        )
    free, faint, pulled = (moved[pull].weights.tables["items"] for pull in (None, 1e-9, 1.0))
    np.testing.assert_allclose(faint, free, atol=1e-4)
    start = moved[None].model.init(Setup.of(small(), log).random.integer("model")).tables["items"]
    assert 0 < np.abs(pulled - start).sum() < 0.9 * np.abs(free - start).sum()
    unpulled = Setup.of(small(), log).model
    with pytest.raises(ConfigurationError, match='"FedProx" needs a model with a pull; give it proximal'):
        local.run(small(**{"training.strategy": "FedProx"}), log, Silent(), plain=True, model=unpulled)


def test_a_plain_round_sends_less_than_the_secure_one(log: ClickLog) -> None:
    (secure, _), (plain, _) = both(log, **{"cohort.rounds": 1})
    (masked,), (bare,) = secure.per_round, plain.per_round
    for phase in ("union", "claim", "train", "update"):
        assert 0 <= bare.bytes_up[phase] < masked.bytes_up[phase] or phase == "train"
        assert 0 <= bare.bytes_down[phase] <= masked.bytes_down[phase]
    assert bare.bytes_up["advertise_keys"] == 0
    assert bare.bytes_up_per_client > 4 * 64_328
    assert bare.bytes_down_per_client > 2 * 64_327


def test_noise_of_nothing_is_nothing_and_more_of_it_moves_the_model_more(log: ClickLog) -> None:
    """The deviation of what is opened: 12 clients of whom 9 are sure, 3 claimants of a row; with any streams."""
    played, plans = {}, {}
    for multiplier in (1e-9, 0.5):
        settings = NOISY | {"privacy.noise_multiplier": multiplier, "cohort.rounds": 1}
        setup = Setup.of(small(**settings), log)
        training = Training(setup)
        with local.fleet(setup, training.state.strategy.weigh, 1, plain=True) as phones:
            engine = local.LocalEngine(setup, phones, plain=True)
            for number in (1, 2):
                opened = engine.play(number, list(range(12)), training.state.weights, Silent()).opened
                assert opened is not None
                played[multiplier, number] = opened
        plans[multiplier] = setup
    quiet, loud, setup = played[1e-9, 1], played[0.5, 1], plans[0.5]
    again = played[0.5, 2].dense - played[1e-9, 2].dense
    assert (loud.dense - quiet.dense != again).any()  # every round draws its own
    honest, clients = setup.plan.honest_shares(setup.params), 12
    moved = np.concatenate([(loud.tables[t].sums - quiet.tables[t].sums).ravel() for t in loud.tables])
    assert moved.size > 200
    counts = np.concatenate([np.repeat(loud.tables[t].counts, loud.tables[t].sums.shape[1]) for t in loud.tables])
    deviation = np.sqrt(setup.plan.noise.variance * counts / honest[1])
    assert (moved / deviation).std() == pytest.approx(1, rel=6 / np.sqrt(2 * moved.size))
    assert loud.dense_count == quiet.dense_count == clients
    assert (quiet.tables["items"].counts == loud.tables["items"].counts).all()
    assert honest == (setup.params.needed, 2)


def test_every_message_can_strike_once() -> None:
    losses = Losses([bytes([i]) for i in range(60)], 1.0, default_rng(0), malicious=True)
    struck = [losses.strikes(bytes([i]), kind, one) for i in range(60) for kind, one, _ in STEPS]
    assert sum(struck) == 60 == sum(losses.by_phase.values())
