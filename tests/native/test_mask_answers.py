"""Backends without Python around them: built for this machine and, run by an emulator, for ARMv8."""

# ruff: noqa: S603 -- the compilers and the emulator run on this repository's own sources

from __future__ import annotations

import subprocess
from functools import cache
from itertools import chain
from pathlib import Path

import pytest

from native import _native, reference

HERE = Path(__file__).parent
CSRC = HERE.parents[1] / "native" / "csrc"
KERNELS = (CSRC / "threads.c", *sorted(CSRC.glob("mask*.c")))
ROWS = 70
INDEX = ([], [0, 1, 2, 69], [68])
SIGNS = (False, True, False)


def filled(count: int, step: int) -> bytes:
    return bytes((i * step + i // 256) % 256 for i in range(count))


KEYS, DIGESTS = filled(3 * 64, 1), filled(32 * ROWS, 91)


def dense(word: int) -> list[int]:
    out = reference.unpack(filled(5000, 37), 8 * word, 5000 // word)
    for k, subtract in enumerate(SIGNS):
        out = reference.add_stream(out, KEYS[32 * k :][:32], 8 * word, first=250, subtract=subtract)
    return out


def rows_of(word: int) -> list[list[int]]:
    width = 40 // word - 1
    flat = reference.unpack(filled(ROWS * width * word, 37), 8 * word, ROWS * width)
    return [flat[row * width :][:width] for row in range(ROWS)]


def by_digests(word: int) -> list[int]:
    out, digests = rows_of(word), [DIGESTS[32 * row :][:32] for row in range(ROWS)]
    for k, subtract in enumerate(SIGNS):
        keys = KEYS[64 * k :][:32], KEYS[64 * k + 32 :][:32]
        out = reference.add_row_streams(out, *keys, digests, 8 * word, index=INDEX[k], subtract=subtract)
    return list(chain.from_iterable(out))


def by_tags(word: int) -> list[int]:
    out, tags = rows_of(word), [DIGESTS[16 * row :][:14] for row in range(ROWS)]
    for k, subtract in enumerate(SIGNS):
        out = reference.add_tagged_rows(out, KEYS[32 * k :][:32], tags, 8 * word, subtract=subtract)
    return list(chain.from_iterable(out))


@cache
def answers() -> dict[tuple[str, str], str]:
    jobs = {"dense": dense, "rows": by_digests, "tagged": by_tags}
    return {
        (name, str(word)): reference.pack(job(word), 8 * word).hex() for name, job in jobs.items() for word in (4, 8)
    }


CC = pytest.param("cc", (), tuple(_native.mask_backends()), marks=pytest.mark.needs("cc"), id="here")
ARMV8 = pytest.param(
    "aarch64-linux-gnu-gcc",
    ("qemu-aarch64",),
    ("armv8",),
    marks=pytest.mark.needs("aarch64-linux-gnu-gcc", "qemu-aarch64"),
    id="armv8",
)


def build(compiler: str, source: str, program: Path) -> Path:
    strict = ("-std=gnu11", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror", "-O3", "-pthread")
    static = () if compiler == "cc" else ("-static",)  # the emulator has no libraries of the other machine
    subprocess.run([compiler, *strict, *static, f"-I{CSRC}", HERE / source, *KERNELS, "-o", program], check=True)
    return program


@pytest.mark.slow
@pytest.mark.parametrize(("compiler", "emulator", "backends"), [CC, ARMV8])
def test_answers(compiler: str, emulator: tuple[str, ...], backends: tuple[str, ...], tmp_path: Path) -> None:
    program = build(compiler, "mask_answers.c", tmp_path / "answers")
    lines = subprocess.run([*emulator, program], check=True, capture_output=True, text=True).stdout.splitlines()
    found = {tuple(line.split()[:3]): line.split()[3] for line in lines}
    assert found == {(backend, *key): answer for backend in backends for key, answer in answers().items()}


@pytest.mark.slow
@pytest.mark.parametrize(("compiler", "emulator", "backends"), [CC, ARMV8])
def test_b9_no_round_key_stays_on_the_stack(
    compiler: str, emulator: tuple[str, ...], backends: tuple[str, ...], tmp_path: Path
) -> None:
    """And the search would find one that did."""
    program = build(compiler, "wiped.c", tmp_path / "wiped")
    assert subprocess.run([*emulator, program], check=False).returncode == 0
    assert subprocess.run([*emulator, program, "leak"], check=False).returncode == 1
