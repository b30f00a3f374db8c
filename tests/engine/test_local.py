"""The local engine on a small world: exact sums, repeatable runs, the same in one process and in two."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from numpy.random import default_rng

from securefl.config import Config, load_preset, override
from securefl.datasets import ClickLog, load_click_log
from securefl.datasets.synthetic import synthetic_click_log
from securefl.engine import local
from securefl.engine.losses import Losses
from securefl.errors import ConfigurationError
from securefl.federation.progress import Silent
from securefl.federation.records import PHASES, RoundRecord, RunSummary


def small(**settings: object) -> Config:
    """A cohort of 12 on the default preset."""
    base = {
        "cohort.clients": 12,
        "cohort.rounds": 2,
        "cohort.dropout": 0.0,
        "cohort.seed": 7,
        "secagg.kem": "x25519",
        "privacy.honest_claimants": 2,
    }
    return override(load_preset("small"), base | settings)


@pytest.fixture(scope="module")
def log() -> ClickLog:
    return synthetic_click_log("small", seed=3)


@pytest.fixture(scope="module")
def summary(log: ClickLog) -> RunSummary:
    return local.run(small(), log, Silent())


def repeatable(summary: RunSummary) -> dict[str, object]:
    """Everything of a run that must repeat: not seconds, nor bytes (pads go to higher ids, and ids are fresh)."""
    plain = msgspec.to_builtins(summary)
    for record in (plain, *plain["per_round"]):
        for name in [name for name in record if name == "seconds" or name.startswith("bytes_")]:
            del record[name]
    return plain


def test_every_sum_of_every_round_is_exactly_the_clear_one(summary: RunSummary) -> None:
    assert summary.exact
    assert summary.rounds_completed == summary.rounds == 2
    assert all(r.exact and r.finishers == 12 and r.rows_uploaded > 0 for r in summary.per_round)


def test_bytes_are_counted_by_phase_and_add_up(summary: RunSummary) -> None:
    for record in summary.per_round:
        assert set(record.bytes_up) == set(record.bytes_down) == set(record.seconds) == set(PHASES)
        assert record.bytes_up_per_client == pytest.approx(sum(record.bytes_up.values()))
        assert record.bytes_down_per_client == pytest.approx(sum(record.bytes_down.values()))
        # 64,328 dense residues of 4 bytes go up in any case, and 64,327 half floats come down
        assert record.bytes_up["update"] > 4 * 64_328
        assert record.bytes_down["train"] > 2 * 64_327
    assert 0 < summary.bytes_up_per_client + summary.bytes_down_per_client < summary.full_model_bytes


def test_a_seed_repeats_a_run_but_never_its_keys(log: ClickLog, summary: RunSummary) -> None:
    again = local.run(small(), log, Silent())
    assert repeatable(again) == repeatable(summary)
    assert not again.private
    assert local.run(small(**{"cohort.rounds": 1, "cohort.seed": None}), log, Silent()).private


@pytest.mark.slow
def test_two_processes_give_the_same_run_as_one(log: ClickLog) -> None:
    lossy = small(**{"cohort.dropout": 0.3, "secagg.threshold": 5})
    assert repeatable(local.run(lossy, log, Silent(), processes=2)) == repeatable(local.run(lossy, log, Silent()))


def test_lost_clients_are_counted_by_phase_and_the_sums_stay_exact(log: ClickLog) -> None:
    lossy = small(**{"cohort.dropout": 0.35, "secagg.threshold": 4, "cohort.rounds": 4})
    summary = local.run(lossy, log, Silent())
    assert summary.exact
    assert sum(summary.dropouts.values()) > 0
    for record in summary.per_round:
        assert record.finishers == record.clients - sum(record.dropouts.values()) or not record.completed


def test_the_malicious_setting_runs_with_losses_and_its_sums_are_exact(log: ClickLog) -> None:
    lossy = small(**{"cohort.dropout": 0.2, "cohort.rounds": 3, "secagg.setting": "malicious", "cohort.clients": 20})
    heard: list[tuple[str, int, int]] = []

    class Heard(Silent):
        def phase(self, name: str, done: int, total: int) -> None:
            heard.append((name, done, total))

    summary = local.run(lossy, log, Heard())
    assert summary.exact
    assert summary.rounds_completed > 0
    assert sum(summary.dropouts.values()) > 0
    assert all(r.rows_uploaded > 0 for r in summary.per_round if r.completed)
    assert {total for name, _, total in heard if name in ("union", "update")} == {60}  # one message more
    assert all(done <= total for _, done, total in heard)


def test_a_client_can_be_lost_at_every_message_of_the_malicious_setting() -> None:
    assert len(Losses([], 1.0, default_rng(0), malicious=True)._steps) == 9
    assert len(Losses([], 1.0, default_rng(0))._steps) == 7


def test_too_few_survivors_end_a_round_without_changing_the_model(log: ClickLog) -> None:
    hopeless = small(**{"cohort.dropout": 0.9, "cohort.rounds": 1})
    summary = local.run(hopeless, log, Silent())
    (record,) = summary.per_round
    assert summary.rounds_completed == 0
    assert not record.completed
    assert record.abort is not None
    assert "needed" in record.abort
    assert record.rows_uploaded == 0
    assert record.auc == summary.auc_start


def test_progress_reports_every_phase_of_every_round(log: ClickLog) -> None:
    class Heard(Silent):
        def __init__(self) -> None:
            self.phases: list[tuple[str, int, int]] = []
            self.tested: list[tuple[int, int]] = []
            self.rounds: list[RoundRecord] = []

        def phase(self, name: str, done: int, total: int) -> None:
            self.phases.append((name, done, total))

        def decoding(self, tested: int, universe: int) -> None:
            self.tested.append((tested, universe))

        def round_finished(self, record: RoundRecord) -> None:
            self.rounds.append(record)

    heard = Heard()
    local.run(small(**{"cohort.rounds": 1}), log, heard)
    assert len(heard.rounds) == 1
    for name in PHASES:
        steps = [(done, total) for phase, done, total in heard.phases if phase == name]
        assert steps[-1][0] == steps[-1][1] == len(steps)
    assert heard.tested == [(log.items, log.items)]


def test_more_clients_than_users_is_refused(log: ClickLog) -> None:
    few = ClickLog(
        log.name,
        log.user[:50],
        log.item[:50],
        log.label[:50],
        log.category,
        log.user_ids[:2],
        log.item_ids,
        log.category_ids,
    )
    with pytest.raises(ConfigurationError, match=r"cohort\.clients"):
        local.run(small(), few, Silent())


@pytest.mark.slow
@pytest.mark.needs("data")
def test_real_clicks_of_100_clients_are_summed_exactly_under_losses(data_folder: Path) -> None:
    log = load_click_log(data_folder / "amazon-electronics" / "amazon_train.npz")
    config = override(load_preset("small"), {"cohort.rounds": 3, "cohort.dropout": 0.1})
    summary = local.run(config, log, Silent(), processes=2)
    assert summary.exact
    assert summary.rounds_completed == 3
    assert sum(summary.dropouts.values()) > 0
    assert summary.bytes_up_per_client + summary.bytes_down_per_client < summary.full_model_bytes / 2
