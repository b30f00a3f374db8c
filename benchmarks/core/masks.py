"""The mask kernels beside OpenSSL: AES-256-CTR keystream, fused with the add, over 2^20 words.

mask_ratio: ours (key schedule, keystream and add in one pass) against the library's keystream alone.
mask_add_ratio: against the library's keystream and a NumPy add, the same result on both sides.
"""

from __future__ import annotations

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from report import Check, Report

from core.turns import medians
from native import ring

WORDS, CHUNK = 1 << 20, 1 << 16
KEY = bytes(range(32))


def measure(report: Report, rounds: int) -> None:
    """Add the checks of this family."""
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

    seconds = medians({"fused": fused, "keystream": keystream, "add": keystream_and_add}, rounds)
    if not (ours == theirs).all():
        raise SystemExit("masks: the two sides differ")
    report.checks += [
        Check("mask_ratio", seconds["keystream"] / seconds["fused"], "x", 1.8, 1.95),
        Check("mask_add_ratio", seconds["add"] / seconds["fused"], "x", 2.3, 2.6),
        Check("mask_rate", 4e-9 * WORDS / seconds["fused"], "GB/s"),
        Check("openssl_rate", 4e-9 * WORDS / seconds["keystream"], "GB/s"),
    ]
