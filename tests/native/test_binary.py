"""What the compiler makes: no secret steers a branch, only the module is exported, other machines build it too."""

# ruff: noqa: S603 -- the compiler, nm and valgrind run on this repository's own sources

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from native import _native

HERE = Path(__file__).parent
CSRC = HERE.parents[1] / "native" / "csrc"
KERNELS = sorted(path for path in CSRC.glob("*.c") if "binding.h" not in path.read_text())
STRICT = ("-std=gnu11", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror")


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.needs("nm")
def test_one_symbol_is_exported_and_the_abi_is_stable() -> None:
    listed = run("nm", "-D", "--defined-only", _native.__file__)
    assert [line.split()[-1] for line in listed.stdout.splitlines()] == ["PyInit__native"]
    assert _native.__file__.endswith(".abi3.so")


def test_only_the_binding_knows_python() -> None:
    assert [path.name for path in CSRC.iterdir() if "<Python.h>" in path.read_text()] == ["binding.h"]
    binding = {path.name for path in CSRC.glob("*.c")} - {path.name for path in KERNELS}
    assert binding == {"module.c", *(path.name for path in CSRC.glob("py_*.c"))}


@pytest.mark.slow
@pytest.mark.needs("cc")
@pytest.mark.parametrize("flags", [("-O3",), ("-O0",), ("-O3", "-DSFL_PORTABLE")], ids=" ".join)
def test_kernels_build_without_warnings(flags: tuple[str, ...], tmp_path: Path) -> None:
    """With warnings made errors; also without the instructions of one architecture, where no AES in C is left."""
    for source in KERNELS:
        done = run("cc", *STRICT, *flags, "-c", source, "-o", tmp_path / "kernel.o")
        assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.needs("cc", "valgrind")
def test_no_secret_steers_a_branch_or_an_address(tmp_path: Path) -> None:
    program = tmp_path / "constant_time"
    built = run("cc", *STRICT, "-O3", f"-I{CSRC}", HERE / "constant_time.c", *KERNELS, "-o", program)
    assert built.returncode == 0, built.stderr
    valgrind = ("valgrind", "--quiet", "--error-exitcode=9", program)
    clean = run(*valgrind)
    assert clean.returncode == 0, clean.stderr
    assert run(*valgrind, "leak").returncode == 9
