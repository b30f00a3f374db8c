"""Output files: refused early, whole or absent."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from securefl.errors import ConfigurationError
from securefl.report import check_writable, write_text


def test_a_file_is_written_over_what_was_there_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "out.json"
    path.write_text("old", encoding="utf-8")
    check_writable(path, "--json")
    assert path.read_text(encoding="utf-8") == "old"
    write_text(path, "é\n", "--json")
    assert path.read_bytes() == "é\n".encode()
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    path = tmp_path / "out.json"
    path.write_text("old", encoding="utf-8")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ConfigurationError, match=r"^--json: .*out\.json cannot be written: No space left on device$"):
        write_text(path, "new", "--json")
    assert path.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_path_that_cannot_be_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    for path in (tmp_path, tmp_path / "nowhere" / "out.json", tmp_path / "file" / "out.json", Path("/proc/out.json")):
        with pytest.raises(ConfigurationError, match=r"^--report: "):
            check_writable(path, "--report")


def test_a_link_stays_a_link_and_its_target_is_written(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("old", encoding="utf-8")
    link.symlink_to(target)
    write_text(link, "new", "--json")
    assert link.is_symlink()
    assert target.read_text(encoding="utf-8") == "new"


def test_a_device_is_written_to_and_not_replaced() -> None:
    null = Path("/dev/null")
    check_writable(null, "--json")
    write_text(null, "gone", "--json")
    assert null.is_char_device()
