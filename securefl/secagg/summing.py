"""The server's arithmetic: add the uploads of the survivors, then take every mask away."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from native import ring
from securefl.errors import FaultyClientError
from securefl.secagg.dealing import SetUp
from securefl.secagg.masking import Masks, Opening, Words, words
from securefl.secagg.messages import MaskedInput
from securefl.secagg.params import Segment
from securefl.secagg.recovery import Recovered


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


def open_sum(
    setup: SetUp, opening: Opening, inputs: Mapping[int, MaskedInput], recovered: Recovered
) -> dict[str, Words]:
    """By segment: the sum of the survivors' values, (words,) or (rows, words); high bits are not cut yet."""
    totals = [words(s, len(opening.rows_of(s).digests) if s.by_rows else None) for s in opening.sum.segments]
    for client, message in inputs.items():
        _add_upload(opening, totals, client, message)
    masks = Masks(setup, opening)
    for client, seed in recovered.selves.items():
        masks.apply_self(totals, seed, client, remove=True)
    for (survivor, lost), seed in recovered.pairs.items():
        masks.apply_pair(totals, seed, survivor, lost, remove=True)
    return {s.name: total for s, total in zip(opening.sum.segments, totals, strict=True)}


def _add_upload(opening: Opening, totals: list[Words], client: int, message: MaskedInput) -> None:
    for segment, total, data in zip(opening.sum.segments, totals, message.segments, strict=True):
        rows = _count(opening, segment, client)
        values = ring.unpack(data, segment.bits, segment.words * (1 if rows is None else rows))
        if rows is None:
            np.add(total, values, out=total)
        else:
            total[opening.rows_of(segment).of(client)] += values.reshape(rows, segment.words)


def _count(opening: Opening, segment: Segment, client: int) -> int | None:
    return len(opening.rows_of(segment).of(client)) if segment.by_rows else None
