"""The Markdown pages: the README's two commands, code that runs and prints what it says, links that lead somewhere."""

# ruff: noqa: S603 -- the interpreter runs this repository's own pages

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PYTHON = re.compile(r"^```python\n(.*?)^```$(?:\n*^```text\n(.*?)^```$)?", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)#\s]+)[^)]*\)")

DEMO = "python3 -m venv .venv && .venv/bin/pip install -q '.[report]' && .venv/bin/securefl demo --report demo.html"
TEST = "python3 -m venv .venv && .venv/bin/pip install -q -e '.[test]' && .venv/bin/pytest"


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def test_the_readme_opens_with_the_two_commands() -> None:
    blocks = [body for language, body in FENCE.findall(README) if language == "sh"]
    assert blocks[:2] == [f"{DEMO}\n", f"{TEST}\n"]


def test_the_prerequisites_stand_above_the_commands() -> None:
    above = README[: README.index("```sh")]
    assert "`python3-venv python3-dev gcc g++`" in above


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_nothing_is_said_to_be_published(page: Path) -> None:
    assert not re.search(r"pip3? install (-\S+ )*['\"]?securefl\b", page.read_text())


@pytest.mark.parametrize("page", [page for page in PAGES if PYTHON.search(page.read_text())], ids=name)
def test_code_runs_and_prints_what_the_page_says(page: Path, tmp_path: Path) -> None:
    """A page's blocks run in order as one script; a `text` block right after one is what has been printed."""
    blocks = PYTHON.findall(page.read_text())
    command = [sys.executable, "-W", "error", "-c", "\n".join(code for code, _ in blocks)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "".join(printed for _, printed in blocks)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_to_files(page: Path) -> None:
    assert not [link for link in LINK.findall(page.read_text()) if not (page.parent / link).exists()]


RECORDS = set((DOCS / "decisions").glob("[0-9]*.md"))


@pytest.mark.parametrize(
    ("index", "pages"),
    [(DOCS / "README.md", set(DOCS.rglob("*.md")) - RECORDS), (DOCS / "decisions" / "README.md", RECORDS)],
    ids=["docs", "decisions"],
)
def test_an_index_lists_every_page_below_it(index: Path, pages: set[Path]) -> None:
    listed = {(index.parent / link).resolve() for link in LINK.findall(index.read_text())}
    assert pages - {index} <= listed
