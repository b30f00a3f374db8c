"""Every claim of the threat model that names a test names one that exists."""

from __future__ import annotations

import ast
import re
from functools import cache
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


def claimed() -> set[str]:
    """The attacks of the page that it says are tested."""
    rows = [line for line in PAGE.read_text().splitlines() if re.match(r"\| [A-E]\d", line)]
    rows = [line.split("|")[1] for line in rows if "`test_" in line]
    return {attack for row in rows for attack in attacks_in(row)}


def attacks_in(text: str) -> set[str]:
    """Those named, also "B1 to B3"."""
    spans = re.findall(r"\b([A-E])(\d+) to \1(\d+)\b", text)
    between = {f"{letter}{number}" for letter, low, high in spans for number in range(int(low), int(high) + 1)}
    return between | set(re.findall(r"\b[A-E]\d{1,2}\b", text))


@cache
def named_by_tests() -> set[str]:
    """The attacks in the name or the docstring of a test, or in the docstring of its file."""
    found: set[str] = set()
    for path in (ROOT / "tests").rglob("test_*.py"):
        tree = ast.parse(path.read_text())
        tests = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")]
        names = [name.upper() for test in tests for name in re.findall(r"(?<=_)[a-e]\d{1,2}(?=_)", test.name)]
        texts = [ast.get_docstring(node) or "" for node in [tree, *tests]]
        found |= {*names}.union(*map(attacks_in, texts))
    return found


def test_the_page_claims_attacks_of_every_section() -> None:
    assert {attack[0] for attack in claimed()} == set("ABCDE")
    assert attacks_in("A1 to A3, E4 of AES256 and B61X") == {"A1", "A2", "A3", "E4"}


@pytest.mark.parametrize("attack", sorted(claimed()))
def test_an_attack_that_is_claimed_is_named_by_a_test(attack: str) -> None:
    assert attack in named_by_tests()
