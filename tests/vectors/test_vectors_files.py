"""The committed vectors are what the generator writes, and a file that is not is named."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import generate
import pytest

HERE = Path(__file__).parent
FILES = {name: generate.text(content) for name, content in generate.vectors().items()}


def test_the_files_are_as_generated_byte_for_byte() -> None:
    assert generate.stale(FILES) == []


@pytest.mark.parametrize("name", FILES)
def test_a_changed_digit_is_noticed(name: str) -> None:
    at = next(i for i, c in enumerate(FILES[name]) if c in "123456789")
    changed = FILES[name][:at] + "0" + FILES[name][at + 1 :]
    assert generate.stale(FILES | {name: changed}) == [name]


def test_a_missing_and_a_superfluous_file_are_noticed() -> None:
    assert generate.stale(FILES | {"new.json": ""}) == ["new.json"]
    assert generate.stale({name: text for name, text in FILES.items() if name != "masks.json"}) == ["masks.json"]


def test_the_command_that_checks() -> None:
    """It needs neither the library nor numpy: the reference stands alone."""
    script = "import runpy, sys; sys.argv[1:] = ['--check']; runpy.run_path('generate.py', run_name='__main__')"
    block = "import sys; sys.modules.update(dict.fromkeys(['numpy', 'native', 'securefl', 'psu', 'dp', 'msgspec']))"
    done = subprocess.run(  # noqa: S603 -- this repository's own generator
        [sys.executable, "-c", f"{block}; sys.path.insert(0, '.'); {script}"],
        cwd=HERE,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_files_are_small_enough_to_read() -> None:
    assert sum(map(len, FILES.values())) < 300_000
    for text in FILES.values():
        assert json.loads(text)
