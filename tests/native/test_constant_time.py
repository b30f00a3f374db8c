"""B9: no secret steers a branch, an address or a division of a kernel, or stays on its stack; and what does is caught.

Three judges look at the kernels of ``constant_time.c``, compiled with the options of the extension:

- valgrind's memcheck follows every secret bit through the kernels that it can run. It knows AES-NI and AVX2, not VAES
  and not AVX-512, whose backends see no such processor and stay out of its sight.
- Two runs in lockstep show less, that some secrets make no difference, but on the processor itself: every backend that
  it has, and divisions too.
- The stack after two runs shows what the kernels do not wipe. It says nothing about registers.
"""

# ruff: noqa: S603 -- the compiler and valgrind run on this repository's own sources

from __future__ import annotations

import platform
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from object_code import Instruction, disassemble, instructions_run, leaks

from native import backends

HERE = Path(__file__).parent
CSRC = HERE.parents[1] / "native" / "csrc"
KERNELS = [path for path in CSRC.glob("*.c") if "binding.h" not in path.read_text() and not path.name.startswith("nn")]
JUDGES = [HERE / name for name in ("constant_time.c", "lockstep.c", "leftovers.c")]
OPTIONS = ("-std=gnu11", "-fPIC", f"@{CSRC / 'options.txt'}", "-Wshadow", "-Werror", f"-I{CSRC}")

ZEROS, LARGEST, RANDOM, ALSO_RANDOM = "0", "1", "2", "3"  # secrets of constant_time.c
WIPED = ("mask_", "quantize_stream", "shamir_")

pytestmark = [pytest.mark.slow, pytest.mark.needs("cc", "valgrind", "objdump")]
x86_64 = pytest.mark.skipif(platform.machine() != "x86_64", reason="lockstep.c knows the registers of x86-64")


def run(*command: str | Path) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(command, capture_output=True, check=False)


def build(*command: str | Path) -> None:
    done = run("cc", *command)
    assert done.returncode == 0, done.stderr.decode()


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("constant_time")
    sources = [*JUDGES, *KERNELS]
    for source in sources:
        build(*OPTIONS, "-c", source, "-o", folder / f"{source.stem}.o")
    return [folder / f"{source.stem}.o" for source in sources]


@pytest.fixture(scope="module")
def program(objects: list[Path]) -> Path:
    """Linked statically: all of the program in one disassembly, at the addresses where it runs."""
    found = objects[0].with_name("static")
    build("-static", "-no-pie", "-pthread", *objects, "-lm", "-o", found)
    return found


@pytest.fixture(scope="module")
def code(program: Path) -> dict[int, Instruction]:
    return disassemble(program)


def kernels_of(program: Path) -> list[str]:
    names = run(program).stdout.decode().splitlines()
    return [name for name in names if not name.startswith("leak")]


@pytest.fixture(scope="module")
def memcheck(objects: list[Path]) -> tuple[str | Path, ...]:
    """Linked dynamically: valgrind replaces the C library's string functions, which read beyond their ends."""
    program = objects[0].with_name("dynamic")
    build("-pthread", *objects, "-lm", "-o", program)
    return ("valgrind", "--quiet", "--error-exitcode=9", program, "memcheck")


def test_b9_memcheck_finds_no_branch_or_address_that_depends_on_a_secret(
    memcheck: tuple[str | Path, ...], program: Path
) -> None:
    done = run(*memcheck, *kernels_of(program))
    assert done.returncode == 0, done.stderr.decode()


@pytest.mark.parametrize("control", ["leak branch", "leak rare branch", "leak lookup"])
def test_b9_memcheck_catches(memcheck: tuple[str | Path, ...], control: str) -> None:
    assert run(*memcheck, control).returncode == 9


def lockstep(program: Path, name: str, first: str, second: str) -> bytes:
    """By loops, the C library wipes in fewer steps than by one instruction that is a step for every byte."""
    no_rep_stosb = "GLIBC_TUNABLES=glibc.cpu.x86_rep_stosb_threshold=1000000000"
    done = run("env", no_rep_stosb, program, "lockstep", name, first, second)
    assert done.returncode in (0, 1), done.stderr.decode()
    return done.stdout


@x86_64
@pytest.mark.parametrize("secrets", [(ZEROS, LARGEST), (RANDOM, ALSO_RANDOM)], ids="-".join)
def test_b9_other_secrets_change_no_branch_address_or_division(
    program: Path, code: dict[int, Instruction], secrets: tuple[str, str]
) -> None:
    names = kernels_of(program)
    with ThreadPoolExecutor() as pool:
        lists = pool.map(lambda name: leaks(lockstep(program, name, *secrets), code), names)
        found = dict(zip(names, lists, strict=True))
    assert len(found) > 40
    assert not {name: leaking for name, leaking in found.items() if leaking}


@x86_64
@pytest.mark.parametrize(
    ("control", "reason"), [("branch", "branch"), ("lookup", "address"), ("division", "time of a division")]
)
def test_b9_lockstep_catches(program: Path, code: dict[int, Instruction], control: str, reason: str) -> None:
    found = leaks(lockstep(program, f"leak {control}", ZEROS, LARGEST), code)
    assert [line for line in found if line.startswith(f"leak_{control}: ") and line.endswith(f"({reason})")]


@x86_64
def test_b9_lockstep_runs_the_best_backend(program: Path, code: dict[int, Instruction]) -> None:
    ran = instructions_run(lockstep(program, "mask_streams 32", RANDOM, ALSO_RANDOM), code)
    wide = any(step.mnemonic.startswith("vaes") for step in ran)
    assert wide == any(name.startswith("vaes") for name in backends())


def bytes_left(program: Path, name: str) -> int:
    return int(run(program, "leftovers", name).stdout)


def test_b9_nothing_of_a_key_or_a_secret_stays_on_the_stack(program: Path) -> None:
    wiped = [name for name in kernels_of(program) if name.startswith(WIPED)]
    assert len(wiped) == 9
    assert {name: bytes_left(program, name) for name in wiped} == dict.fromkeys(wiped, 0)


def test_b9_a_leftover_is_found(program: Path) -> None:
    assert bytes_left(program, "leak leftover") > 250
