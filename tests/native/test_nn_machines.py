"""The inference kernels on other machines: built for ARM they run in an emulator, and are right there too."""

# ruff: noqa: S603 -- compilers and the emulator run on this repository's own sources

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
CSRC = HERE.parents[1] / "native" / "csrc"
KERNELS = sorted(CSRC.glob("nn*.c"))
CHECKS = sorted(HERE.glob("nn_check*.c"))
CHECKED = 11
"""Lines that they print for a backend."""


def built(compiler: str, program: Path, *flags: str) -> Path:
    done = subprocess.run(
        [compiler, "-std=gnu11", "-O2", *flags, f"-I{CSRC}", *CHECKS, *KERNELS, "-o", program, "-lm"],
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
    assert len(lines) == CHECKED


@pytest.mark.slow
@pytest.mark.needs("aarch64-linux-gnu-gcc", "qemu-aarch64")
def test_built_for_arm_with_neon_they_are_right(tmp_path: Path) -> None:
    program = built("aarch64-linux-gnu-gcc", tmp_path / "check", "-static")
    assert len(checked("qemu-aarch64", program).splitlines()) == CHECKED
    listed = subprocess.run(["aarch64-linux-gnu-objdump", "-d", program], capture_output=True, text=True, check=True)  # noqa: S607
    assert "fmla" in listed.stdout


@pytest.mark.slow
@pytest.mark.needs("cc", "nm")
@pytest.mark.parametrize("source", KERNELS, ids=lambda source: source.stem)
def test_kernels_call_nothing_that_allocates(source: Path, tmp_path: Path) -> None:
    """Nor anything else of the C library but copying, filling and the stack's guard."""
    subprocess.run(["cc", "-std=gnu11", "-O2", f"-I{CSRC}", "-c", source, "-o", tmp_path / "o"], check=True)  # noqa: S607
    listed = subprocess.run(["nm", "-u", tmp_path / "o"], capture_output=True, text=True, check=True)  # noqa: S607
    called = {line.split()[-1].partition("@")[0] for line in listed.stdout.splitlines()}
    allowed = {"memcpy", "memset", "__stack_chk_fail", "__cpu_model", "__cpu_indicator_init", "_GLOBAL_OFFSET_TABLE_"}
    assert {name for name in called if not name.startswith("sfl_nn_")} <= allowed
