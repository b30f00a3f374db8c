"""The page of an audit: complete, escaped, self-contained, and readable where people read."""

from __future__ import annotations

import io
import re
from collections import Counter
from functools import cache
from html import escape, unescape
from pathlib import Path

import pytest
from msgspec.structs import replace
from rich.console import Console
from test_report_page import HOSTILE, Outline, chromium

from securefl.audit import Audit, audit
from securefl.config import load_preset, override
from securefl.report import audit_table, render_audit

pytestmark = pytest.mark.needs("matplotlib")

NAMES = ["small", "paper", "none", "union", "tiny", "empirical"]


@cache
def audited(name: str) -> Audit:
    """Audits of every kind: all verdicts, with and without curves."""
    if name in ("small", "paper"):
        return audit(load_preset(name))
    if name == "empirical":
        return audit(override(load_preset("small"), {"cohort.clients": 20}), empirical=True, seed=1)
    changes: dict[str, dict[str, object]] = {
        "none": {"privacy.response": "none"},
        "union": {"privacy.response": "union"},
        "tiny": {"cohort.clients": 3, "secagg.colluders": 2, "secagg.ring_bits": 8},
    }
    return audit(override(load_preset("small"), changes[name]))


@cache
def page_of(name: str) -> str:
    return render_audit(audited(name))


@pytest.mark.parametrize("name", NAMES)
def test_a_page_is_well_formed_and_loads_nothing(name: str) -> None:
    page = page_of(name)
    outline = Outline(page)
    assert outline.tags["script"] == outline.tags["img"] == outline.tags["iframe"] == 0
    assert all(link.startswith(("#", "data:")) for link in outline.values("href") + outline.values("xlink:href"))
    assert outline.values("src") == []
    assert not re.search(r"https?://|url\((?!#)|@import", page)
    identifiers = Counter(outline.values("id"))
    assert max(identifiers.values()) == 1
    assert {link[1:] for link in outline.values("href") if link.startswith("#")} <= set(identifiers)
    assert not re.search(r"\bnan\b|\bNone\b", outline.text)


@pytest.mark.parametrize("name", NAMES)
def test_every_finding_figure_formula_and_setting_is_on_the_page(name: str) -> None:
    found = audited(name)
    text = " ".join(Outline(page_of(name)).text.split())
    assert found.headline in text
    for finding in found.findings:
        assert finding.title in text
        assert " ".join(finding.says.split()) in text
        for figure in finding.all_figures:
            assert figure.name in text
            assert figure.witness is None or figure.witness in text
    for formula, source in found.formulas.values():
        assert formula in text
        assert source in text
    assert all(key.replace("_", " ") in text for table in found.settings.values() for key in table)


def test_the_verdict_is_on_top_and_the_worst_finding_first() -> None:
    page = page_of("paper")
    text = " ".join(Outline(page).text.split())
    places = [
        text.index(part) for part in ("Fails", "an index: eps 1.27", "What to change first", "Findings", "Curves")
    ]
    assert places == sorted(places)
    titles = re.findall(r'<article class="card finding (\w+)"', page)
    assert titles == sorted(titles, key=["bad", "warn", "good"].index)


def test_every_curve_is_described_aloud() -> None:
    labels = Outline(page_of("empirical")).values("aria-label")
    assert len(labels) == 6
    for start in (
        "Epsilon of an index over rounds: 1 rounds 1.27",
        "Delta over epsilon: 1 round 0.562",
        "Anonymity of a row with one holder: the row goes up",
        "Safe degrees and thresholds: configured 19",
        "Bytes of a client and round: epsilon 0.25",
        "Right guesses of a server: bound for claims 0.726",
    ):
        assert any(label.startswith(start) for label in labels), start


def test_accepted_warnings_are_marked() -> None:
    found = audit(load_preset("small"), accept=["central-noise"])
    assert "warn, accepted" in Outline(render_audit(found)).text


def test_text_from_outside_is_escaped() -> None:
    small = audited("small")
    findings = tuple(replace(finding, says=HOSTILE, change=(HOSTILE,)) for finding in small.findings)
    page = render_audit(replace(small, headline=HOSTILE, findings=findings, population={"name": HOSTILE, HOSTILE: 1}))
    assert Outline(page).tags["script"] == 0
    assert HOSTILE in unescape(page)


def test_equal_audits_give_equal_pages() -> None:
    assert render_audit(audited("small")) == page_of("small")


def test_colours_come_from_the_page() -> None:
    page = page_of("small")
    drawings = "".join(re.findall(r"<svg role.*?</svg>", page, flags=re.DOTALL))
    assert drawings.count("<svg") == 5
    assert set(re.findall(r"(?:fill|stroke): (#\w+)", drawings)) == set()


def test_the_table_says_the_verdict_first_then_what_to_change() -> None:
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(audit_table(audited("paper")))
    text = console.export_text()
    assert text.startswith("FAIL  an index: eps 1.27 this round")
    assert text.index("1 fail, 5 warn, 9 pass") < text.index("row-anonymity") < text.index("change  privacy.honest")
    assert "Anonymity of a row" in text[text.index("key-exchange") :]


def test_the_table_tells_what_an_attack_saw_though_it_passes() -> None:
    """Counts, and the seed that repeats them."""
    console = Console(width=300, record=True, file=io.StringIO())
    console.print(audit_table(audited("empirical")))
    found, text = audited("empirical").finding("sampler"), console.export_text()
    assert found.verdict == "pass"
    assert found.value.witness is not None
    assert found.value.witness.endswith("trials, seed 1")
    assert f"seen  {found.value.witness}" in text
    assert text.index("pass  The sampler, attacked") > text.rindex("\nwarn  ")


@pytest.mark.slow
@pytest.mark.needs("chromium")
@pytest.mark.parametrize("name", ["paper", "empirical"])
@pytest.mark.parametrize("width", [320, 390, 800, 1280])
def test_a_browser_needs_no_sideways_scrolling(name: str, width: int, tmp_path: Path) -> None:
    frame = (
        f'<!doctype html><body><iframe style="width:{width}px;border:0" srcdoc="{escape(page_of(name))}"'
        ' onload="document.title = this.contentDocument.documentElement.scrollWidth"></iframe>'
    )
    path = tmp_path / "frame.html"
    path.write_text(frame, encoding="utf-8")
    title = re.search(r"<title>(\d+)</title>", chromium(["--dump-dom", path.as_uri()], tmp_path))
    assert title is not None
    assert int(title[1]) <= width


@pytest.mark.slow
@pytest.mark.needs("chromium")
def test_a_browser_shows_light_on_dark_and_dark_on_light(tmp_path: Path) -> None:
    from matplotlib.image import imread

    path = tmp_path / "page.html"
    path.write_text(page_of("paper"), encoding="utf-8")
    brightness = {}
    for scheme, number in (("dark", 0), ("light", 1)):
        picture = tmp_path / f"{scheme}.png"
        colours = f"--blink-settings=preferredColorScheme={number}"
        chromium([colours, "--window-size=1000,4000", f"--screenshot={picture}", path.as_uri()], tmp_path)
        pixels = imread(picture)[..., :3]
        brightness[scheme] = (float(pixels[0, 0].mean()), float(pixels.mean()))
        assert pixels.max() - pixels.min() > 0.8
    assert max(brightness["dark"]) < 0.3
    assert min(brightness["light"]) > 0.8


@pytest.mark.slow
@pytest.mark.needs("chromium")
def test_a_browser_prints_every_figure(tmp_path: Path) -> None:
    """Folded figures are unfolded on paper: the page is longer than its folded cards, and not endless."""
    path, printed = tmp_path / "page.html", tmp_path / "page.pdf"
    path.write_text(page_of("paper"), encoding="utf-8")
    chromium([f"--print-to-pdf={printed}", "--no-pdf-header-footer", path.as_uri()], tmp_path)
    pages = len(re.findall(rb"/Type\s*/Page\b", printed.read_bytes()))
    assert 3 <= pages <= 12
