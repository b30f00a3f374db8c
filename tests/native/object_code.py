"""What two runs in lockstep say about a program: which of its instructions a secret steers.

``lockstep.c`` records, before every instruction, which registers and flags differ between two runs on different
secrets. An instruction leaks if something that differs chooses the next one, an address in memory, or its duration.
"""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from functools import reduce
from operator import or_
from pathlib import Path

import numpy as np

__all__ = ["leaks", "instructions_run", "disassemble"]

RECORD = np.dtype([("address", "<u8"), ("registers", "<u4"), ("flags", "<u4")])
USER_REGS = [
    *("r15", "r14", "r13", "r12", "rbp", "rbx", "r11", "r10", "r9", "r8", "rax", "rcx", "rdx", "rsi", "rdi"),
    *("orig_rax", "rip", "cs", "eflags", "rsp", "ss", "fs_base", "gs_base", "ds", "es", "fs", "gs"),
]

CARRY, PARITY, ZERO, SIGN, OVERFLOW = 1 << 0, 1 << 2, 1 << 6, 1 << 7, 1 << 11
FLAGS_OF = {
    **dict.fromkeys(("jo", "jno"), OVERFLOW),
    **dict.fromkeys(("jb", "jae"), CARRY),
    **dict.fromkeys(("je", "jne"), ZERO),
    **dict.fromkeys(("jbe", "ja"), CARRY | ZERO),
    **dict.fromkeys(("js", "jns"), SIGN),
    **dict.fromkeys(("jp", "jnp"), PARITY),
    **dict.fromkeys(("jl", "jge"), SIGN | OVERFLOW),
    **dict.fromkeys(("jle", "jg"), SIGN | OVERFLOW | ZERO),
}
PREFIXES = {"rep", "repz", "repnz", "notrack", "bnd", "lock"}
LINE = re.compile(r"^\s*([0-9a-f]+):\t(.+?)\s*(?:[#<].*)?$")
FUNCTION = re.compile(r"^[0-9a-f]+ <(.+)>:$")


@dataclass(frozen=True, slots=True)
class Instruction:
    """Where it stands and what it is, in Intel's syntax."""

    function: str
    text: str

    @property
    def prefix(self) -> str:
        first = self.text.split()[0]
        return first if first in PREFIXES else ""

    @property
    def mnemonic(self) -> str:
        return self.text.removeprefix(self.prefix).split()[0]

    @property
    def operands(self) -> str:
        return self.text.removeprefix(self.prefix).strip().removeprefix(self.mnemonic)

    def __str__(self) -> str:
        return f"{self.function}: {' '.join(self.text.split())}"


def disassemble(program: Path) -> dict[int, Instruction]:
    """Every instruction of a statically linked program, by address."""
    command = ("objdump", "-d", "-M", "intel", "--no-show-raw-insn", program)
    listing = subprocess.run(command, capture_output=True, text=True, check=True).stdout  # noqa: S603
    found, function = {}, ""
    for line in listing.splitlines():
        if head := FUNCTION.match(line):
            function = head[1]
        elif body := LINE.match(line):
            found[int(body[1], 16)] = Instruction(function, body[2])
    return found


def instructions_run(records: bytes, code: dict[int, Instruction]) -> list[Instruction]:
    """What was executed, each instruction once."""
    return [code[address] for address in np.unique(np.frombuffer(records, RECORD)["address"]).tolist()]


def leaks(records: bytes, code: dict[int, Instruction]) -> list[str]:
    """The instructions that a secret steers; empty when there is none."""
    steps = np.sort(with_results(np.frombuffer(records, RECORD)), order="address", kind="stable")
    addresses, starts = np.unique(steps["address"], return_index=True)
    columns = [np.bitwise_or.reduceat(steps[name], starts).tolist() for name in ("registers", "flags", "results")]
    return [
        f"{code[address]}  ({reason})"
        for address, *differing in zip(addresses.tolist(), *columns, strict=True)
        if (reason := steered(code[address], *differing))
    ]


def with_results(records: np.ndarray) -> np.ndarray:
    """Beside what differs before an instruction, the registers that differ after it."""
    steps = np.zeros(records.size, [*RECORD.descr, ("results", "<u4")])
    for name in RECORD.names:
        steps[name] = records[name]
    steps["results"][:-1] = records["registers"][1:]
    return steps


def steered(instruction: Instruction, registers: int, flags: int, results: int) -> str:
    """Why an instruction leaks, given what differs around it; empty when it does not."""
    if flags & FLAGS_OF.get(instruction.mnemonic, 0):
        return "branch"
    if registers & targets(instruction):
        return "jump"
    if re.search(r"\[[^]]*[xyz]mm", instruction.operands):
        return "gather or scatter: addresses in vector registers are not judged"
    if registers & addressing(instruction):
        return "address"
    if instruction.mnemonic in ("div", "idiv") and (registers | results) & mask_of("rax", "rdx"):
        return "time of a division"
    return ""


def targets(instruction: Instruction) -> int:
    """Registers that choose the next instruction by themselves."""
    if instruction.mnemonic in ("jrcxz", "jecxz") or instruction.mnemonic.startswith("loop"):
        return mask_of("rcx")
    if instruction.mnemonic in ("jmp", "call") and "[" not in instruction.operands:
        return mask_in(instruction.operands)
    return 0


def addressing(instruction: Instruction) -> int:
    """Registers that make an address, or the length of a string operation."""
    if instruction.mnemonic.startswith(("lea", "nop")):
        return 0
    implied = mask_of("rsp") if instruction.mnemonic in ("push", "pop", "call", "ret", "leave") else 0
    if instruction.prefix.startswith("rep"):
        implied |= mask_of("rcx")
    return reduce(or_, map(mask_in, re.findall(r"\[([^]]+)\]", instruction.operands)), implied)


def mask_of(*names: str) -> int:
    return reduce(or_, (1 << USER_REGS.index(name) for name in names))


def mask_in(text: str) -> int:
    """The registers that are named, whole or in part: eax and al are rax."""
    words = re.findall(r"[a-z][a-z0-9]*", text)
    return reduce(or_, (mask_of(whole) for word in words if (whole := WHOLE.get(word))), 0)


WHOLE = {
    **{f"r{i}{part}": f"r{i}" for i in range(8, 16) for part in ("", "d", "w", "b")},
    **{part.replace("?", letter): f"r{letter}x" for letter in "abcd" for part in ("r?x", "e?x", "?x", "?l", "?h")},
    **{part.replace("?", name): f"r{name}" for name in ("si", "di", "bp", "sp") for part in ("r?", "e?", "?", "?l")},
}
