"""The page of an advice: complete, self-contained, its trade-off drawn, and readable where people read."""

from __future__ import annotations

import re
from collections import Counter
from functools import cache
from html import escape
from pathlib import Path

import pytest
from test_report_page import Outline, chromium

from securefl.audit.adviser import Advice, Wish, advise
from securefl.report import render_advice
from securefl.report.advice_table import COLUMNS, cells, proposal

pytestmark = pytest.mark.needs("matplotlib")

WISHES = {
    "small": Wish(100, 0.1, 5, 2.0, 20_000, 36),
    "shards": Wish(1000, 0.05, 9, 1.0, 1_000_000, 50, categories=300, malicious=True),
    "clear": Wish(20, 0.0, 0, 30.0, 500, 9),
}


@cache
def advised(name: str) -> Advice:
    return advise(WISHES[name])


@cache
def page_of(name: str) -> str:
    return render_advice(advised(name))


@pytest.mark.parametrize("name", WISHES)
def test_a_page_is_well_formed_and_loads_nothing(name: str) -> None:
    page = page_of(name)
    outline = Outline(page)
    assert outline.tags["script"] == outline.tags["img"] == outline.tags["iframe"] == 0
    assert all(link.startswith(("#", "data:")) for link in outline.values("href") + outline.values("xlink:href"))
    assert outline.values("src") == []
    assert not re.search(r"https?://|url\((?!#)|@import", page)
    assert max(Counter(outline.values("id")).values()) == 1
    assert not re.search(r"\b(nan|inf|None)\b", outline.text)


@pytest.mark.parametrize("name", WISHES)
def test_proposal_trade_off_and_file_are_on_the_page(name: str) -> None:
    advice, text = advised(name), " ".join(Outline(page_of(name)).text.split())
    for row in proposal(advice):
        assert all(part in text for part in row)
    for offer in advice.others:
        assert len(cells(offer)) == len(COLUMNS)
        assert all(cell in text for cell in cells(offer))
    assert " ".join(advice.toml.split()) in text
    assert page_of(name).count('<tr class="chosen">') == 1


def test_the_curves_are_the_trade_off_and_are_described_aloud() -> None:
    offers, labels = advised("small").others, Outline(page_of("small")).values("aria-label")
    assert len(labels) == 4
    for offer in offers:
        assert f"epsilon {offer.epsilon_ever:.2f} {cells(offer)[-1]}" in labels[0]
        assert f"epsilon {offer.epsilon_ever:.2f} {cells(offer)[5]}" in labels[2]
    assert "epsilon 1.95 78 %" in labels[1]
    assert page_of("small").count("proposed</text>") == 4


def test_equal_advice_gives_equal_pages() -> None:
    assert render_advice(advise(WISHES["small"])) == page_of("small")


@pytest.mark.slow
@pytest.mark.needs("chromium")
@pytest.mark.parametrize("width", [320, 390, 1280])
def test_a_browser_needs_no_sideways_scrolling(width: int, tmp_path: Path) -> None:
    frame = (
        f'<!doctype html><body><iframe style="width:{width}px;border:0" srcdoc="{escape(page_of("shards"))}"'
        ' onload="document.title = this.contentDocument.documentElement.scrollWidth"></iframe>'
    )
    path = tmp_path / "frame.html"
    path.write_text(frame, encoding="utf-8")
    title = re.search(r"<title>(\d+)</title>", chromium(["--dump-dom", path.as_uri()], tmp_path))
    assert title is not None
    assert int(title[1]) <= width
