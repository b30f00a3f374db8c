"""The targets of the fuzzer run, and find coverage to be guided by. E3, E4."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
@pytest.mark.needs("atheris")
@pytest.mark.parametrize("target", ["frames", "encodings", "client", "server", "models"])
def test_e3_a_few_seconds_of_a_target(target: str, tmp_path: Path) -> None:
    program = [sys.executable, Path(__file__).with_name("targets.py")]
    begin_with = {"frames": "seeds", "models": "files"}.get(target)
    if begin_with:
        subprocess.run([*program, begin_with, tmp_path / "corpus"], check=True)  # noqa: S603
    command = [*program, target, "-max_total_time=4", "-max_len=400000", *(["corpus"] if begin_with else [])]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)  # noqa: S603
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(re.findall(r"Done (\d+) runs", done.stderr)[0]) > 50
    assert max(map(int, re.findall(r"cov: (\d+)", done.stderr))) > 8  # 8 is what no message finds
    assert not list(tmp_path.glob("crash-*"))
