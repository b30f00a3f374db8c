"""The server's arithmetic: add uploads as they arrive, then take every mask away."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from native import ring
from securefl.errors import FaultyClientError
from securefl.secagg.masking import Masks, Opening, Words, words
from securefl.secagg.messages import MaskedInput
from securefl.secagg.params import Segment
from securefl.secagg.recovery import Recovered
from securefl.secagg.setup import SetUp
from securefl.secagg.spool import Spool


def check_upload(opening: Opening, client: int, message: MaskedInput) -> None:
    """Raise `FaultyClientError` unless every segment has exactly the bytes its shape takes."""
    segments = opening.sum.segments
    if len(message.segments) != len(segments):
        raise FaultyClientError(client, "its input has the wrong number of segments")
    for segment, data in zip(segments, message.segments, strict=True):
        rows = _count(opening, segment, client)
        if len(data) != packed_bytes(segment, rows):
            raise FaultyClientError(client, f"its segment {segment.name!r} has the wrong length")
        used = segment.words * (1 if rows is None else rows) * segment.bits % 8
        if used and data[-1] >> used:
            raise FaultyClientError(client, f"its segment {segment.name!r} has bits beyond its last residue")


def packed_bytes(segment: Segment, rows: int | None = None) -> int:
    """Bytes of a segment on the wire."""
    return -(-segment.words * (rows or 0 if segment.by_rows else 1) * segment.bits // 8)


class RunningSum:
    """The sum of the uploads so far, masks and all: one vector, and a spool in case one has to come out again."""

    def __init__(self, opening: Opening, spool: Spool) -> None:
        self._opening, self._spool = opening, spool

    @cached_property
    def _totals(self) -> list[Words]:
        rows_of = self._opening.rows_of
        return [words(s, len(rows_of(s).digests) if s.by_rows else None) for s in self._opening.sum.segments]

    @cached_property
    def _rooms(self) -> list[Words]:
        """Where an upload is unpacked: memory that is there already costs less than fresh memory for each."""
        return [np.empty_like(total).reshape(-1) for total in self._totals]

    def add(self, client: int, segments: Sequence[bytes]) -> None:
        """Add a checked upload."""
        self._spool.put(client, segments)
        for total, index, values in self._unpacked(client, segments):
            total[index] += values

    def take_out(self, client: int) -> None:
        """Remove an upload that was added."""
        for total, index, values in self._unpacked(client, self._spool.get(client)):
            total[index] -= values

    def fix(self) -> None:
        """Nothing will come out any more."""
        self._spool.clear()

    def unmask(self, setup: SetUp, recovered: Recovered) -> dict[str, Words]:
        """By segment: the sum of the values, (words,) or (rows, words); high bits are not cut yet."""
        Masks(setup, self._opening).apply(self._totals, recovered.selves, recovered.pairs, remove=True)
        return {s.name: total for s, total in zip(self._opening.sum.segments, self._totals, strict=True)}

    def _unpacked(self, client: int, segments: Sequence[bytes]) -> Iterator[tuple[Words, Any, Words]]:
        """For each segment: its total, the client's place in it, and the client's residues."""
        parts = zip(self._opening.sum.segments, self._totals, self._rooms, segments, strict=True)
        for segment, total, room, data in parts:
            if not segment.by_rows:
                yield total, slice(None), ring.unpack(data, segment.bits, segment.words, out=room)
                continue
            index = self._opening.rows_of(segment).of(client)
            count = segment.words * len(index)
            values = ring.unpack(data, segment.bits, count, out=room[:count])
            yield total, index, values.reshape(len(index), segment.words)


def _count(opening: Opening, segment: Segment, client: int) -> int | None:
    return len(opening.rows_of(segment).of(client)) if segment.by_rows else None
