"""The page of long runs: complete, escaped, self-contained, one run or several beside each other."""

from __future__ import annotations

import io
import json
import re
from collections import Counter
from html import escape, unescape
from math import inf
from pathlib import Path

import pytest
from msgspec.structs import replace
from rich.console import Console
from test_report_page import HOSTILE, Outline, chromium

from securefl.errors import ConfigurationError
from securefl.federation.records import RunSummary
from securefl.report import curves, render_training, runs_to_json, training_table

pytestmark = pytest.mark.needs("matplotlib")


def judged(run: RunSummary) -> RunSummary:
    """With losses and spending, as a training run has them."""
    records = [replace(r, loss=0.7 - r.round / 100, epsilon_claims_spent=1.27) for r in run.per_round]
    return replace(run, per_round=records)


def variants(run: RunSummary, aborted: RunSummary) -> dict[str, dict[str, RunSummary]]:
    plain, failed = replace(judged(run), plain=True), replace(aborted, rounds_completed=0, auc_start=None)
    failed = replace(failed, per_round=[replace(r, completed=False, auc=None) for r in failed.per_round])
    endless = [replace(r, epsilon_claims_spent=inf) for r in run.per_round]
    return {
        "one": {"first": judged(run)},
        "two": {"secure": judged(run), "plain": plain},
        "aborted": {"it": aborted},
        "failed": {"it": failed},
        "new": {"it": replace(run, rounds=0, rounds_completed=0, per_round=[], auc_end=None)},
        "truth": {"it": replace(run, epsilon_claims_ever=inf, per_round=endless)},
        "wrong": {"it": replace(run, exact=False)},
        "many": {f"run {i}": judged(run) for i in range(12)},
    }


@pytest.mark.parametrize("name", ["one", "two", "aborted", "failed", "new", "truth", "wrong", "many"])
def test_a_page_is_well_formed_and_loads_nothing(run: RunSummary, aborted: RunSummary, name: str) -> None:
    page = render_training(variants(run, aborted)[name])
    outline = Outline(page)
    assert outline.tags["script"] == outline.tags["img"] == outline.tags["iframe"] == 0
    assert all(link.startswith(("#", "data:")) for link in outline.values("href") + outline.values("xlink:href"))
    assert not re.search(r"https?://|url\((?!#)|@import", page)
    identifiers = Counter(outline.values("id"))
    assert max(identifiers.values()) == 1
    assert {link[1:] for link in outline.values("href") if link.startswith("#")} <= set(identifiers)
    assert not re.search(r"\bnan\b|\bNone\b|\binf\b", outline.text)
    assert set(re.findall(r"var\(--(\w+)\)", page)) <= set(re.findall(r"--(\w+):", page)) | {"tone"}


def test_every_curve_is_drawn_and_described_aloud(run: RunSummary) -> None:
    labels = Outline(render_training({"first": judged(run)})).values("aria-label")
    assert [label.split(":")[0] for label in labels] == [
        "How well the model ranks",
        "Loss while training",
        "Bytes per client",
        "Survivors",
        "Union",
        "Seconds",
        "What claims have revealed",
    ]
    assert "AUC" not in labels[1]
    assert "first 0.499 in round 0, 0.587 in round 5, between 0.499 and 0.587" in labels[0]
    assert "first 0.690 in round 1, 0.650 in round 5" in labels[1]
    assert "up " in labels[2]
    assert "down " in labels[2]


def test_sums_with_noise_have_a_curve_and_a_number(run: RunSummary) -> None:
    records = [replace(record, epsilon_sums_spent=2.5 * record.round) for record in judged(run).per_round]
    privacy = dict(run.settings["privacy"]) | {"delta": 1e-5}  # type: ignore[call-overload]  # a table
    noisy = replace(run, per_round=records, settings=run.settings | {"privacy": privacy})
    last = Outline(render_training({"first": noisy})).values("aria-label")[-1]
    assert last.startswith("What sums have revealed: first 2.50 in round 1, 12.50 in round 5")
    out = io.StringIO()
    Console(file=out, width=300).print(training_table(noisy))
    assert "sums: 12.50 a client at delta 1e-05, union: exact" in out.getvalue()
    assert "unbounded" not in out.getvalue()
    hidden = replace(noisy, plain=True)
    assert "What sums have revealed" not in render_training({"first": hidden})


def test_runs_beside_each_other_have_a_line_each(run: RunSummary, aborted: RunSummary) -> None:
    both = variants(run, aborted)["two"]
    drawn = {curve.name: curve for curve in curves.curves(both)}
    assert [line.name for line in drawn["auc"].lines] == ["secure", "plain"]
    assert [line.name for line in drawn["epsilon"].lines] == ["secure"]  # a plain run has no epsilon
    sent = judged(run).per_round[0]
    assert drawn["bytes"].lines[0].points[0] == (1, sent.bytes_up_per_client + sent.bytes_down_per_client)
    text = " ".join(Outline(render_training(both)).text.split())
    assert "2 runs beside each other" in text
    assert "No upload was masked: the server read every input." in text


def test_rounds_that_are_not_judged_leave_no_point(run: RunSummary) -> None:
    records = [replace(r, auc=r.auc if r.round % 2 else None) for r in run.per_round]
    (auc,) = [c for c in curves.curves({"it": replace(run, per_round=records)}) if c.name == "auc"]
    assert [number for number, _ in auc.lines[0].points] == [0, 1, 3, 5]


def test_a_page_of_too_many_runs_is_refused(run: RunSummary) -> None:
    with pytest.raises(ConfigurationError, match="DIR: 13 runs cannot be drawn together; use 1 to 12"):
        render_training({f"run {i}": run for i in range(13)})


def test_text_from_outside_is_escaped(run: RunSummary) -> None:
    settings = run.settings | {"data": {"path": HOSTILE, HOSTILE: 1}}
    page = render_training({HOSTILE: replace(run, settings=settings, data={"name": HOSTILE}), "b": run})
    assert Outline(page).tags["script"] == 0
    assert page.count("{{ 7 * 7 }}") >= 5
    assert HOSTILE in unescape(page)


def test_equal_runs_give_equal_pages(run: RunSummary) -> None:
    assert render_training({"it": judged(run)}) == render_training({"it": judged(run)})


def test_the_table_says_how_far_how_well_and_at_what_cost(run: RunSummary, aborted: RunSummary) -> None:
    told = io.StringIO()
    Console(file=told, width=200).print(training_table(judged(run)), training_table(aborted))
    text = told.getvalue()
    assert "5 rounds, none of them unfinished: all sums exact" in text
    assert "5 rounds, 1 of them unfinished" in text
    assert re.search(r"AUC +0\.4987 before, 0\.5866 after, 0\.5866 at best \(round 5\)", text)
    assert re.search(r"loss of those that train +0\.6900 first, 0\.6500 last", text)
    assert re.search(r"epsilon of the claims +1\.27 an item so far, 1\.95 ever", text)
    plain = io.StringIO()
    Console(file=plain, width=200).print(training_table(replace(run, plain=True)))
    assert "its server saw every input" in plain.getvalue()


def test_json_of_one_run_is_the_run_and_of_several_is_by_name(run: RunSummary) -> None:
    assert json.loads(runs_to_json({"it": run}))["rounds"] == 5
    assert list(json.loads(runs_to_json({"a": run, "b": run}))) == ["a", "b"]


@pytest.mark.slow
@pytest.mark.needs("chromium")
@pytest.mark.parametrize("width", [320, 1280])
def test_a_browser_needs_no_sideways_scrolling(
    run: RunSummary, aborted: RunSummary, tmp_path: Path, width: int
) -> None:
    frame = (
        f'<!doctype html><body><iframe style="width:{width}px;border:0"'
        f' srcdoc="{escape(render_training(variants(run, aborted)["two"]))}"'
        ' onload="document.title = this.contentDocument.documentElement.scrollWidth"></iframe>'
    )
    path = tmp_path / "frame.html"
    path.write_text(frame, encoding="utf-8")
    title = re.search(r"<title>(\d+)</title>", chromium(["--dump-dom", path.as_uri()], tmp_path))
    assert title is not None
    assert int(title[1]) <= width


@pytest.mark.slow
@pytest.mark.needs("chromium")
def test_a_browser_shows_light_on_dark_and_dark_on_light(run: RunSummary, tmp_path: Path) -> None:
    from matplotlib.image import imread

    path = tmp_path / "page.html"
    path.write_text(render_training({"it": judged(run)}), encoding="utf-8")
    brightness = {}
    for scheme, number in (("dark", 0), ("light", 1)):
        picture = tmp_path / f"{scheme}.png"
        colours = f"--blink-settings=preferredColorScheme={number}"
        chromium([colours, "--window-size=1000,2600", f"--screenshot={picture}", path.as_uri()], tmp_path)
        pixels = imread(picture)[..., :3]
        brightness[scheme] = (float(pixels[0, 0].mean()), float(pixels.mean()))
        assert pixels.max() - pixels.min() > 0.8
    assert max(brightness["dark"]) < 0.3
    assert min(brightness["light"]) > 0.8
