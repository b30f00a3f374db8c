"""The mask kernel beside OpenSSL: AES-256-CTR keystream, fused with the add, over 2^20 words.

    python benchmarks/masks.py --json masks.json

mask_ratio: ours (key schedule, keystream and add in one pass) against the library's keystream alone.
mask_add_ratio: against the library's keystream and a NumPy add, the same result on both sides.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from report import Check, Report

from native import ring

WORDS, CHUNK, ROUNDS = 1 << 20, 1 << 16, 41
KEY = bytes(range(32))


def main() -> None:
    """Three contestants in turn, medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args()
    report = Report(sys.argv, ["numpy", "cryptography"])
    ours, theirs = np.zeros(WORDS, np.uint32), np.zeros(WORDS, np.uint32)
    zeros, stream = bytes(CHUNK), bytearray(4 * WORDS + 15)

    def fused() -> None:
        ring.add_stream(ours, KEY)

    def keystream() -> None:
        encryptor, view = Cipher(algorithms.AES(KEY), modes.CTR(bytes(16))).encryptor(), memoryview(stream)
        for start in range(0, 4 * WORDS, CHUNK):
            encryptor.update_into(zeros, view[start : start + CHUNK + 15])

    def keystream_and_add() -> None:
        keystream()
        np.add(theirs, np.frombuffer(stream, "<u4", WORDS), out=theirs)

    fused(), keystream_and_add()
    if not (ours == theirs).all():
        raise SystemExit("the two sides differ")
    seconds = interleaved([fused, keystream, keystream_and_add])
    rate = 4e-9 * WORDS / seconds[0]
    report.checks += [
        Check("mask_ratio", seconds[1] / seconds[0], "times", 1.8, 1.95),
        Check("mask_add_ratio", seconds[2] / seconds[0], "times", 2.3, 2.6),
        Check("mask_rate", rate, "GB/s"),
        Check("openssl_rate", 4e-9 * WORDS / seconds[1], "GB/s"),
    ]
    print(report.table())
    if options.json:
        report.write(options.json)


def interleaved(contestants: list[Callable[[], None]]) -> list[float]:
    """Median seconds of each, taking turns."""
    taken: list[list[float]] = [[] for _ in contestants]
    for _ in range(ROUNDS):
        for mine, run in zip(taken, contestants, strict=True):
            began = time.perf_counter()
            run()
            mine.append(time.perf_counter() - began)
    return [statistics.median(mine) for mine in taken]


if __name__ == "__main__":
    main()
