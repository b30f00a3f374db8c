"""The mask kernels beside OpenSSL, by way of `cryptography`.

mask_ratio: ours (key schedule, keystream and add over 2^20 words) against the library's keystream alone, 64 KiB at a
time from one cipher.
mask_add_ratio: against the library's keystream and a NumPy add, the same result on both sides.
mask_limit_fraction: a loop of AES rounds on registers and nothing else (`aes_limit.c`) for as many bytes, against ours.
mask_rows_add_ratio: 5,000 rows of 19 words, padded to 20, under 99 keys, tags given; against AES-256-ECB over counter
blocks made beforehand and a NumPy add, the same result on both sides.
"""

from __future__ import annotations

import ctypes
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from report import Check, Report

from core.turns import medians
from native import ring

PEERS = ("cryptography",)
WORDS, CHUNK = 1 << 20, 1 << 16
ROWS, WIDTH, KEYS = 5_000, 20, 99
KEY = bytes(range(32))
STATE = 16 * 64
"""Bytes, enough for the widest register-only loop."""


def measure(report: Report, rounds: int) -> None:
    """Add the checks of this family."""
    _dense(report, rounds)
    _rows(report, rounds)


def _dense(report: Report, rounds: int) -> None:
    ours, theirs = np.zeros(WORDS, np.uint32), np.zeros(WORDS, np.uint32)
    zeros, stream = bytes(CHUNK), bytearray(4 * WORDS + 15)

    def fused() -> None:
        ring.add_streams(ours, KEY)

    def keystream() -> None:
        encryptor, view = Cipher(algorithms.AES(KEY), modes.CTR(bytes(16))).encryptor(), memoryview(stream)
        for start in range(0, 4 * WORDS, CHUNK):
            encryptor.update_into(zeros, view[start : start + CHUNK + 15])

    def keystream_and_add() -> None:
        keystream()
        np.add(theirs, np.frombuffer(stream, "<u4", WORDS), out=theirs)

    sides = {"fused": fused, "keystream": keystream, "add": keystream_and_add}
    with tempfile.TemporaryDirectory() as folder:
        try:
            sides["limit"] = _register_only(Path(folder))
        except (OSError, subprocess.CalledProcessError):
            report.notes.append("mask_limit_fraction is left out: no C compiler, or none for this processor")
        seconds = medians(sides, rounds)
    if not (ours == theirs).all():
        raise SystemExit("masks: the two sides differ")
    report.checks += [
        Check("mask_ratio", seconds["keystream"] / seconds["fused"], "x", 1.8, 1.95),
        Check("mask_add_ratio", seconds["add"] / seconds["fused"], "x", 2.3, 2.6),
        *(
            Check("mask_limit_fraction", seconds[name] / seconds["fused"], "of the limit", 0.9, 0.95)
            for name in ("limit",)
            if name in seconds
        ),
        *(Check(f"mask_{name}_rate", 4e-9 * WORDS / seconds[name], "GB/s") for name in seconds),
    ]


def _register_only(folder: Path) -> Callable[[], None]:
    """The register-only loop, built for this very processor."""
    library = folder / "aes_limit.so"
    command = ["cc", "-O3", "-march=native", "-shared", "-fPIC", Path(__file__).with_name("aes_limit.c"), "-o", library]
    subprocess.run(command, check=True, capture_output=True)
    loop, state = ctypes.CDLL(str(library)).aes_limit, ctypes.create_string_buffer(STATE)
    loop.argtypes, loop.restype = [ctypes.c_void_p, ctypes.c_size_t], None
    return lambda: loop(state, 4 * WORDS)


def _rows(report: Report, rounds: int) -> None:
    rng = np.random.default_rng(0)
    keys = [rng.bytes(32) for _ in range(KEYS)]
    tags = np.frombuffer(rng.bytes(16 * ROWS), np.uint8).reshape(ROWS, 16)
    joined, ours, theirs = b"".join(keys), np.zeros((ROWS, WIDTH), np.uint32), np.zeros((ROWS, WIDTH), np.uint32)
    blocks = np.repeat(tags, WIDTH // 4, axis=0)
    blocks[:, 14:] = np.tile(np.arange(WIDTH // 4, dtype=">u2").view(np.uint8).reshape(-1, 2), (ROWS, 1))
    counters, stream = blocks.tobytes(), bytearray(theirs.nbytes + 15)

    def kernel() -> None:
        ring.add_tagged_rows(ours, joined, tags)

    def ecb_and_add() -> None:
        for key in keys:
            Cipher(algorithms.AES(key), modes.ECB()).encryptor().update_into(counters, stream)  # noqa: S305
            np.add(theirs, np.frombuffer(stream, "<u4", theirs.size).reshape(theirs.shape), out=theirs)

    seconds = medians({"kernel": kernel, "library": ecb_and_add}, rounds)
    if not (ours == theirs).all():
        raise SystemExit("mask rows: the two sides differ")
    report.checks += [
        Check("mask_rows_add_ratio", seconds["library"] / seconds["kernel"], "x", 2.0, 2.4),
        Check("mask_rows_rate", 1e-9 * KEYS * ours.nbytes / seconds["kernel"], "GB/s"),
    ]
