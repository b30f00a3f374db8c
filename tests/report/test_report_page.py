"""The HTML page: complete, escaped, self-contained, and readable where people read."""

from __future__ import annotations

import math
import re
import shutil
import subprocess
import sys
from collections import Counter
from html import escape, unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest
from msgspec.structs import replace

from securefl.errors import ConfigurationError
from securefl.federation.records import RunSummary
from securefl.report import render_page, require_plots

pytestmark = pytest.mark.needs("matplotlib")
VOID = {"meta", "link", "br", "path", "use", "rect", "circle", "line", "ellipse", "polyline", "polygon"}


class Outline(HTMLParser):
    """Fails on tags that do not nest; collects what the tests ask for."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str, str]] = []
        self.text = ""
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def values(self, attribute: str) -> list[str]:
        return [value for _, name, value in self.attributes if name == attribute]


def variants(run: RunSummary, aborted: RunSummary) -> dict[str, RunSummary]:
    truth = run.settings | {"privacy": {"response": "none", "honest_claimants": 1, "row_floor": 1}}
    union = run.settings | {"privacy": {"response": "union", "honest_claimants": 5, "row_floor": 10}}
    nothing = replace(
        aborted, rounds=1, rounds_completed=0, per_round=[aborted.per_round[2]], auc_start=None, auc_end=None,
        bytes_up_per_client=0.0, bytes_down_per_client=0.0, seconds={}, union_size=0.0, rows_left_out=0.0,
    )  # fmt: skip
    return {
        "whole": run,
        "aborted": aborted,
        "nothing": nothing,
        "truth": replace(
            run, settings=truth, epsilon_claims_round=math.inf, epsilon_claims_ever=math.inf, private=True
        ),
        "union": replace(run, settings=union, epsilon_claims_round=0.0, epsilon_claims_ever=0.0),
        "tiny": replace(run, full_model_bytes=1000),
    }


@pytest.mark.parametrize("name", ["whole", "aborted", "nothing", "truth", "union", "tiny"])
def test_a_page_is_well_formed_and_loads_nothing(run: RunSummary, aborted: RunSummary, name: str) -> None:
    page = render_page(variants(run, aborted)[name])
    outline = Outline(page)
    assert outline.tags["script"] == outline.tags["img"] == outline.tags["iframe"] == 0
    assert all(link.startswith(("#", "data:")) for link in outline.values("href") + outline.values("xlink:href"))
    assert outline.values("src") == []
    assert not re.search(r"https?://|url\((?!#)|@import", page)
    identifiers = Counter(outline.values("id"))
    assert {link[1:] for link in outline.values("href") if link.startswith("#")} <= set(identifiers)
    assert "nan" not in outline.text.lower()
    assert "None" not in outline.text.replace("None hands over", "")


def test_identifiers_are_unique(run: RunSummary) -> None:
    outline = Outline(render_page(run))
    assert [name for name, count in Counter(outline.values("id")).items() if count > 1] == []


def test_the_first_lines_are_the_verdict_and_what_is_not_protected(run: RunSummary) -> None:
    text = " ".join(Outline(render_page(run)).text.split())
    places = [
        text.index(part)
        for part in (
            "5 of 5 rounds exact",
            "never saw an update nor an index set",
            "What this does not protect",
            "668 kB",
        )
    ]
    assert places == sorted(places)


def test_every_plot_is_described_aloud_with_its_numbers(run: RunSummary) -> None:
    outline = Outline(render_page(run))
    labels = outline.values("aria-label")
    assert len(labels) == outline.values("role").count("img") == 5
    assert any("Announce keys 3.63 kB up, 129 kB down" in label for label in labels)
    assert any("round 0 0.4987" in label and "round 5 0.5866" in label for label in labels)
    assert any("after 1 rounds 1.27" in label and "ever 1.95" in label for label in labels)


def test_every_round_and_every_setting_is_on_the_page(aborted: RunSummary) -> None:
    text = " ".join(Outline(render_page(aborted)).text.split())
    assert "66 clients left, 68 needed" in text
    assert "none opened" in text
    for table in aborted.settings.values():
        assert isinstance(table, dict)
        assert all(key.replace("_", " ") in text for key in table)
    assert "48,211" in text


def test_the_epsilon_plot_is_absent_where_there_is_no_curve(run: RunSummary, aborted: RunSummary) -> None:
    pages = {name: render_page(summary) for name, summary in variants(run, aborted).items()}
    assert {name for name, page in pages.items() if "Epsilon of an item" in page} == set(pages) - {"truth", "union"}
    assert "These dice tell the truth" in pages["truth"]
    assert "asks for everything" in pages["union"]


HOSTILE = "</dd></style><script>alert('x')</script>{{ 7 * 7 }}&amp;\"'"


def test_text_from_outside_is_escaped(aborted: RunSummary) -> None:
    rounds = [replace(record, abort=HOSTILE if record.abort else None) for record in aborted.per_round]
    settings = aborted.settings | {"data": {"path": HOSTILE, HOSTILE: 1}}
    page = render_page(replace(aborted, per_round=rounds, settings=settings, data={"name": HOSTILE, HOSTILE: 1}))
    assert Outline(page).tags["script"] == 0
    assert "49" not in re.findall(r"alert\(.*?\)&lt;/script&gt;(.{5})", page)
    assert page.count("{{ 7 * 7 }}") >= 5
    assert HOSTILE in unescape(page)


def test_equal_runs_give_equal_pages(run: RunSummary) -> None:
    assert render_page(run) == render_page(run)


def test_colours_come_from_the_page_so_that_plots_read_in_light_and_dark(run: RunSummary) -> None:
    page = render_page(run)
    drawings = "".join(re.findall(r"<svg role.*?</svg>", page, flags=re.DOTALL))
    assert drawings.count("<svg") == 5
    assert set(re.findall(r"(?:fill|stroke): (#\w+)", drawings)) == set()
    assert set(re.findall(r"var\(--(\w+)\)", page)) <= set(re.findall(r"--(\w+):", page)) | {"tone"}
    assert "prefers-color-scheme: dark" in page


def test_a_page_without_matplotlib_is_refused_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ConfigurationError, match=re.escape("--report: the page needs matplotlib; install the extra")):
        require_plots("--report")


def chromium(arguments: list[str], folder: Path) -> str:
    program = shutil.which("chromium") or "chromium"
    quiet = ["--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-quic"]
    fixed = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars"]
    command = [program, *fixed, *quiet, f"--user-data-dir={folder / 'profile'}", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout  # noqa: S603


@pytest.mark.slow
@pytest.mark.needs("chromium")
@pytest.mark.parametrize("width", [320, 390, 800, 1280])
def test_a_browser_needs_no_sideways_scrolling(run: RunSummary, tmp_path: Path, width: int) -> None:
    frame = (
        f'<!doctype html><body><iframe style="width:{width}px;border:0" srcdoc="{escape(render_page(run))}"'
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
    path.write_text(render_page(run), encoding="utf-8")
    brightness = {}
    for scheme, number in (("dark", 0), ("light", 1)):
        picture = tmp_path / f"{scheme}.png"
        colours = f"--blink-settings=preferredColorScheme={number}"
        chromium([colours, "--window-size=1000,3000", f"--screenshot={picture}", path.as_uri()], tmp_path)
        pixels = imread(picture)[..., :3]
        brightness[scheme] = (float(pixels[0, 0].mean()), float(pixels.mean()))
        assert pixels.max() - pixels.min() > 0.8  # something can be read on it
    assert max(brightness["dark"]) < 0.3
    assert min(brightness["light"]) > 0.8
