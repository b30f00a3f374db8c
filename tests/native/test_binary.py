"""What the compiler makes: one exported symbol, the stable ABI, hardened against what an overflow would be used for."""

# ruff: noqa: S603 -- the compiler, nm and readelf run on this repository's own sources

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from native import _native

CSRC = Path(__file__).parents[2] / "native" / "csrc"
KERNELS = sorted(path for path in CSRC.glob("*.c") if "binding.h" not in path.read_text())
STRICT = ("-std=gnu11", f"@{CSRC / 'options.txt'}", "-Wshadow", "-Werror")


def run(*command: str | Path) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.needs("nm")
def test_one_symbol_is_exported_and_the_abi_is_stable() -> None:
    listed = run("nm", "-D", "--defined-only", _native.__file__)
    assert [line.split()[-1] for line in listed.splitlines()] == ["PyInit__native"]
    assert _native.__file__.endswith(".abi3.so")


@pytest.fixture(scope="module")
def segments() -> dict[str, str]:
    """Flags of the program headers by their type; of several, all together."""
    found: dict[str, str] = {}
    for kind, flags in re.findall(r"^  (\w+) +(?:0x\w+ +){5}([R W E]{3}) ", readelf("-l"), re.MULTILINE):
        found[kind] = f"{found.get(kind, '')} {flags}"
    assert "LOAD" in found
    return found


def readelf(option: str) -> str:
    return run("readelf", option, "--wide", _native.__file__)


@pytest.mark.needs("readelf")
def test_nothing_is_both_writable_and_executable(segments: dict[str, str]) -> None:
    assert "GNU_STACK" in segments, "without it the stack is executable"
    assert not re.search("W ?E", " ".join(segments.values()))


@pytest.mark.needs("readelf")
def test_addresses_of_functions_are_bound_at_once_and_read_only(segments: dict[str, str]) -> None:
    dynamic = readelf("-d")
    assert "GNU_RELRO" in segments
    assert "BIND_NOW" in dynamic
    assert not re.search("TEXTREL|RPATH|RUNPATH", dynamic)


@pytest.mark.needs("nm")
def test_stacks_have_canaries_and_copies_know_their_room() -> None:
    imported = run("nm", "-D", "--undefined-only", _native.__file__)
    assert "__stack_chk_fail" in imported
    assert re.search("__mem(cpy|set|move)_chk", imported), "FORTIFY"


def test_only_the_binding_knows_python() -> None:
    assert [path.name for path in CSRC.iterdir() if "<Python.h>" in path.read_text()] == ["binding.h"]
    binding = {path.name for path in CSRC.glob("*.c")} - {path.name for path in KERNELS}
    assert binding == {"module.c", *(path.name for path in CSRC.glob("py_*.c"))}


@pytest.mark.slow
@pytest.mark.needs("cc")
@pytest.mark.parametrize("flags", [("-O3",), ("-O0", "-U_FORTIFY_SOURCE"), ("-O3", "-DSFL_PORTABLE")], ids=" ".join)
def test_kernels_build_without_warnings(flags: tuple[str, ...], tmp_path: Path) -> None:
    """With warnings made errors; also without the instructions of one architecture, where no AES in C is left."""
    for source in KERNELS:
        run("cc", *STRICT, *flags, "-c", source, "-o", tmp_path / "kernel.o")
