"""The inference kernels on other machines: built for ARM they run in an emulator, and are right there too."""

# ruff: noqa: S603 -- compilers and the emulator run on this repository's own sources

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
CSRC = HERE.parents[1] / "native" / "csrc"
KERNELS = sorted(CSRC.glob("nn*.c"))


def built(compiler: str, program: Path, *flags: str) -> Path:
    done = subprocess.run(
        [compiler, "-std=gnu11", "-O2", *flags, f"-I{CSRC}", HERE / "nn_check.c", *KERNELS, "-o", program, "-lm"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return program


def checked(*command: str | Path) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.needs("cc")
def test_without_special_instructions_only_portable_c_is_left(tmp_path: Path) -> None:
    lines = checked(built("cc", tmp_path / "check", "-DSFL_PORTABLE")).splitlines()
    assert {line.split()[0] for line in lines} == {"portable"}
    assert len(lines) == 3


@pytest.mark.slow
@pytest.mark.needs("aarch64-linux-gnu-gcc", "qemu-aarch64")
def test_built_for_arm_with_neon_they_are_right(tmp_path: Path) -> None:
    program = built("aarch64-linux-gnu-gcc", tmp_path / "check", "-static")
    assert len(checked("qemu-aarch64", program).splitlines()) == 3
    listed = subprocess.run(["aarch64-linux-gnu-objdump", "-d", program], capture_output=True, text=True, check=True)  # noqa: S607
    assert "fmla" in listed.stdout
