"""Fuzzing guided by coverage: bytes in, and a decoder or a party in the middle of a session must hold.

    python tests/fuzz/targets.py TARGET [option or corpus folder of libFuzzer...]
    python tests/fuzz/targets.py seeds FOLDER       writes the frames of whole sessions, for the target `frames`
    python tests/fuzz/targets.py files FOLDER       writes a file of each kind of model, for the target `models`

Needs atheris. See README.md beside this file.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random
from types import FunctionType
from typing import Any

import atheris

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent / folder) for folder in ("secagg", "submodel", "wire", "inference")]

# ruff: noqa: E402 - the imports below need the folders above
from anything import check_client, check_server, said, to_a_client, to_the_server, told
from builds import CODECS
from foreign import WAYS, accepted_or_named, content
from worlds import WORLDS

import bloom
import psu
from securefl.errors import MessageError
from securefl.submodel import indexset

MOST = 1 << 20
"""Cells and indices that a decoder may make in here."""


class Tape(Random):
    """Choices read from the fuzzer's bytes, so that it can learn which ones lead on; zeros after their end."""

    def __init__(self, data: bytes) -> None:
        super().__init__(0)
        self._bits, self._left = int.from_bytes(data, "little"), 8 * len(data)

    def getrandbits(self, k: int, /) -> int:
        taken, self._left = self._bits & (1 << k) - 1, max(0, self._left - k)
        self._bits >>= k
        return taken

    def random(self) -> float:
        return self.getrandbits(53) / (1 << 53)


def frames(data: bytes) -> None:
    """Any bytes to each of the four codecs: a message that is written as it was read, or MessageError."""
    for codec, _ in CODECS.values():
        try:
            message = codec.decode(data)
        except MessageError:
            continue
        assert codec.decode(codec.encode(message)) == message


def encodings(data: bytes) -> None:
    """Any bytes as a filter, a union plan or a set of indices: what is read is written as it was, or is refused."""
    for read, refusal in READERS:
        try:
            again = read(data)
        except refusal:
            continue
        assert again == data


READERS: list[tuple[Callable[[bytes], bytes], type[Exception]]] = [
    (lambda data: bloom.BloomFilter.from_bytes(data, max_cells=MOST).to_bytes(), bloom.FilterError),
    (lambda data: psu.UnionPlan.from_bytes(data).to_bytes(), psu.PlanError),
    (lambda data: indexset.encode(indexset.decode(data, MOST), MOST), MessageError),
]


def client(data: bytes) -> None:
    """A frame that is nearly right, to a client in some state of some session."""
    tape = Tape(data)
    kind, setting = tape.choice(WORLDS)
    check_client(kind, setting, *to_a_client(tape, kind, setting))


def server(data: bytes) -> None:
    """A frame that is nearly right, to a server in some step, while everybody else says what it should."""
    tape = Tape(data)
    kind, setting = tape.choice(WORLDS)
    check_server(kind, setting, *to_the_server(tape, kind, setting))


def models(data: bytes) -> None:
    """A file of a model, its kind by the first byte: it is run, or refused in a sentence."""
    accepted_or_named(list(WAYS)[data[0] % len(WAYS)] if data else "onnx", data[1:])


TARGETS: dict[str, Callable[[bytes], None]] = {
    "frames": frames,
    "encodings": encodings,
    "client": client,
    "server": server,
    "models": models,
}


def instrument() -> None:
    """Count coverage in our own functions; not on import, since an editable install has an importer of its own."""
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] in ("securefl", "psu", "bloom", "dp"):
            for holder in (module, *(c for c in vars(module).values() if isinstance(c, type) and c.__module__ == name)):
                for function in vars(holder).values():
                    if isinstance(function, FunctionType) and function.__module__ == name:
                        atheris.instrument_func(function)


def write_seeds(folder: Path) -> None:
    """Every frame that was recorded, by its hash."""
    folder.mkdir(parents=True, exist_ok=True)
    for kind, setting in WORLDS:
        down = [frame for _, frame in told(kind, setting)]
        for frame in down + [frame for step in said(kind, setting) for frame in step.values()]:
            (folder / hashlib.sha256(frame).hexdigest()[:16]).write_bytes(frame)


def write_files(folder: Path) -> None:
    """A sound file of each kind, as `models` takes it."""
    folder.mkdir(parents=True, exist_ok=True)
    for place, kind in enumerate(WAYS):
        (folder / kind).write_bytes(bytes([place]) + content(kind))


def main(arguments: list[str]) -> Any:
    """Fuzz until the time is over or something does not hold."""
    if arguments[1:2] == ["seeds"] and len(arguments) == 3:
        return write_seeds(Path(arguments[2]))
    if arguments[1:2] == ["files"] and len(arguments) == 3:
        return write_files(Path(arguments[2]))
    if len(arguments) < 2 or arguments[1] not in TARGETS:
        return f"{__doc__}\nTARGET: {', '.join(TARGETS)}"
    instrument()
    atheris.Setup([arguments[0], *arguments[2:]], TARGETS[arguments[1]])
    return atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main(sys.argv))
