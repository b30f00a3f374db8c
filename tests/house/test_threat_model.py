"""Every claim of the threat model that names a test names one that exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "threat-model.md"
CLAIMS = sorted(set(re.findall(r"\[`(test_\w+)`\]\(\.\./(tests/[\w/]+\.py)\)", PAGE.read_text())))


def test_the_page_makes_claims() -> None:
    assert len(CLAIMS) > 30


@pytest.mark.parametrize(("test", "file"), CLAIMS)
def test_a_claim_is_shown_by_a_test_that_exists(test: str, file: str) -> None:
    assert re.search(rf"^def {test}\(", (ROOT / file).read_text(), re.MULTILINE)


def test_every_row_of_the_attacks_has_a_test_or_says_that_it_has_none() -> None:
    rows = [line for line in PAGE.read_text().splitlines() if re.match(r"\| [A-E]\d", line)]
    assert len(rows) > 20
    for row in rows:
        assert "`test_" in row or "no test: nothing here prevents it" in row
