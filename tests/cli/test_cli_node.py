"""``securefl node``: a folder made once, its key printed, a registry put into it."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", ".*removed in Click 9", DeprecationWarning)  # typer 0.20 under click 8.5
    from securefl.cli import run as securefl
from securefl.store import NodeStore


def test_a_node_is_made_once_and_registered(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keys = []
    for name in ("one", "two", "one"):
        assert securefl(["node", str(tmp_path / name)]) == 0
        keys.append(capsys.readouterr().out.strip())
    assert keys[0] == keys[2] != keys[1]
    (tmp_path / "all.txt").write_text("\n".join(keys[:2]))
    assert securefl(["node", str(tmp_path / "one"), "--registry", str(tmp_path / "all.txt")]) == 0
    with NodeStore(tmp_path / "one") as store:
        assert store.registry == {bytes.fromhex(key) for key in keys}
        assert store.identity.public.hex() == keys[0]


def test_a_folder_without_its_marks_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert securefl(["node", str(tmp_path / "one")]) == 0
    (tmp_path / "one" / "memo.sqlite").unlink()
    assert securefl(["node", str(tmp_path / "one")]) == 2
    assert "memo.sqlite: the file is missing" in capsys.readouterr().err
    (tmp_path / "one" / "stores.json").unlink()
    assert securefl(["node", str(tmp_path / "one")]) == 2
    assert "there is one already" in capsys.readouterr().err
