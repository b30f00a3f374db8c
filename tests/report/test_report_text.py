"""JSON, numbers, story and table: what is told, and that it is told without NaN, markup or a lie."""

from __future__ import annotations

import io
import json
import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from rich.console import Console

from securefl.federation.records import PHASES, RunSummary
from securefl.report import numbers, story, summary_table, to_json


def printed(summary: RunSummary, width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(summary_table(summary))
    return console.file.getvalue()  # type: ignore[attr-defined]  # a StringIO, as made above


def test_json_reads_back_to_the_same_run(run: RunSummary) -> None:
    text = to_json(run)
    assert text.endswith("}\n")
    assert msgspec.json.decode(text, type=RunSummary) == run


def test_json_has_no_nan_and_calls_infinity_inf(run: RunSummary) -> None:
    odd = replace(run, epsilon_claims_ever=math.inf, auc_end=math.nan, settings={"a": {"b": [-math.inf, math.nan]}})
    table = json.loads(to_json(odd), parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert table["epsilon_claims_ever"] == "inf"
    assert table["auc_end"] is None
    assert table["settings"] == {"a": {"b": ["-inf", None]}}


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1 kB"), (14_470, "14.5 kB"), (999_499, "999 kB"), (999_500, "1 MB"),
     (1_021_000, "1.02 MB"), (14.47e6, "14.5 MB"), (3e9, "3 GB"), (4.2e12, "4200 GB"), (0.4, "0.4 B")],
)  # fmt: skip
def test_size_in_decimal_units(count: float, text: str) -> None:
    assert numbers.size(count) == text


@pytest.mark.parametrize(
    ("duration", "text"), [(0, "0 s"), (0.042, "0.042 s"), (3.14159, "3.14 s"), (59.94, "59.9 s"), (125, "2 min 5 s")]
)
def test_seconds(duration: float, text: str) -> None:
    assert numbers.seconds(duration) == text


@given(st.floats(1e-3, 1e11))
def test_size_keeps_three_digits(count: float) -> None:
    value, unit = numbers.size(count).split()
    assert float(value) * {"B": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9}[unit] == pytest.approx(count, rel=6e-3, abs=6e-4)
    assert unit == "GB" or float(value) < 1000


def test_other_numbers() -> None:
    assert [numbers.epsilon(x) for x in (1.27297, 0.0, math.inf)] == ["1.27", "0.00", "∞"]
    assert [numbers.odds(x) for x in (math.log(7), 0.0, math.inf)] == ["7\u00d7", "1\u00d7", "any factor"]
    assert [numbers.auc(x) for x in (0.58661, None)] == ["0.5866", "\u2013"]
    assert [numbers.times(x) for x in (4.81, 9.96, 15.2)] == ["4.8\u00d7", "10\u00d7", "15\u00d7"]
    assert [numbers.whole(x) for x in (143_534, 1839.4, 0.8, 5.0)] == ["143,534", "1,839", "0.8", "5"]
    assert [numbers.plain(x) for x in (None, True, 5300, 0.01)] == ["\u2013", "True", "5,300", "0.01"]


def test_verdict_of_a_whole_run(run: RunSummary) -> None:
    verdict = story.verdict(run)
    assert (verdict.tone, verdict.title) == ("good", "5 of 5 rounds exact")
    assert "never saw an update nor an index set" in verdict.text


def test_verdict_never_calls_a_wrong_sum_good(run: RunSummary, aborted: RunSummary) -> None:
    rounds = [replace(run.per_round[0], exact=False), *run.per_round[1:]]
    wrong = story.verdict(replace(run, exact=False, per_round=rounds))
    assert (wrong.tone, wrong.title) == ("bad", "1 of 5 rounds not exact")
    some = story.verdict(aborted)
    assert (some.tone, some.title) == ("warn", "4 of 5 rounds finished, all exact")
    assert "66 clients left, 68 needed" in some.text
    assert story.verdict(replace(aborted, rounds_completed=0)).tone == "bad"


def test_what_a_cheating_server_could_do_follows_the_setting(run: RunSummary) -> None:
    table = run.settings["secagg"]
    assert isinstance(table, dict)
    lying = replace(run, settings=run.settings | {"secagg": table | {"setting": "malicious"}})
    assert "Anything, if the server cheats" in dict(story.not_protected(run))
    assert "Survivors signed" in dict(story.not_protected(lying))["A crafted model or a false result"]


def test_verdict_says_what_the_settings_give_away(run: RunSummary) -> None:
    truthful = replace(run, epsilon_claims_ever=math.inf)
    assert "it read every index set" in story.verdict(truthful).text
    assert story.not_protected(truthful)[0][0] == "The claims"
    privacy = dict(story.section(run, "privacy"), row_floor=1)
    bare = replace(run, settings=run.settings | {"privacy": privacy})
    assert "a row that one client claims is its update" in story.verdict(bare).text
    assert {story.verdict(truthful).tone, story.verdict(bare).tone} == {"warn"}


def test_a_seeded_run_says_so_and_a_private_one_does_not(run: RunSummary) -> None:
    assert any("simulation" in name for name, _ in story.not_protected(run))
    assert not any("simulation" in name for name, _ in story.not_protected(replace(run, private=True)))


def test_phases_are_means_of_complete_rounds_and_losses_of_all(run: RunSummary, aborted: RunSummary) -> None:
    phases = story.phases(aborted)
    assert [phase.name for phase in phases] == list(PHASES)
    done = [record for record in aborted.per_round if record.completed]
    assert phases[2].up == pytest.approx(sum(record.bytes_up["union"] for record in done) / 4)
    assert sum(phase.lost for phase in phases) == sum(sum(record.dropouts.values()) for record in run.per_round)


def test_savings_are_against_the_full_model(run: RunSummary) -> None:
    assert story.savings(run) == pytest.approx(
        run.full_model_bytes / (run.bytes_up_per_client + run.bytes_down_per_client)
    )
    assert story.savings(replace(run, bytes_up_per_client=0.0, bytes_down_per_client=0.0)) is None


def test_table_has_every_number_of_the_story(run: RunSummary) -> None:
    text = printed(run)
    for part in (
        "5 of 5 rounds exact", "Announce keys", "Update", "129 kB", "668 kB", "3.21 MB (4.8\u00d7 this)",
        "1,839 items", "0.8 rows", "1.27 an item this round, 1.95 ever", "0.4987 before, 0.5866 after", "47",
        "aggregates: unbounded",
    ):  # fmt: skip
        assert part in text


@pytest.mark.parametrize("width", [40, 80, 200])
def test_table_fits_its_terminal(aborted: RunSummary, width: int) -> None:
    assert all(len(line) <= width for line in printed(aborted, width).splitlines())


def test_table_shows_hostile_text_as_text(aborted: RunSummary) -> None:
    rounds = [
        replace(record, abort="[bold red]x[/] [link=a]" if record.abort else None) for record in aborted.per_round
    ]
    assert "[bold red]x[/] [link=a]" in printed(replace(aborted, per_round=rounds))
