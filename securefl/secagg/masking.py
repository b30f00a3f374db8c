"""Mask streams: which rows of which segment two clients mask alike, and under which keys.

Every stream is AES-256-CTR. A row's blocks are numbered from a tag that is a keyed function of the row's index and
the very bytes the client received for it, so the mask of any row can be made alone, and clients that were shown
different rows do not cancel. Protocol section 2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from native import ring
from securefl.errors import LocalProtocolError
from securefl.secagg.params import Segment, Sum
from securefl.secagg.setup import SetUp
from securefl.transcript import Label, derive, transcript_hash

Words = NDArray[np.uint32] | NDArray[np.uint64]
"""Residues of Z_2^bits in the low bits of uint32 (bits <= 32) or uint64; the high bits are noise until packed."""


@dataclass(frozen=True)
class Rows:
    """The rows of one segment in one sum, and who uploads each.

    `digests`: uint8 (R, 32), one hash per row of its index and wire bytes.
    `claimants`: bool (R, L), a column for each id of `live`.
    """

    digests: NDArray[np.uint8]
    claimants: NDArray[np.bool_]
    live: tuple[int, ...]

    def of(self, client: int) -> NDArray[np.intp]:
        """Rows that `client` uploads, ascending."""
        return np.flatnonzero(self._columns[client])

    def shared(self, one: int, other: int) -> NDArray[np.intp]:
        """Rows that both upload, ascending."""
        return np.flatnonzero(self._columns[one] & self._columns[other])

    @cached_property
    def _columns(self) -> dict[int, NDArray[np.bool_]]:
        """By id, each in one piece: every pair of a sum asks for two of them."""
        return dict(zip(self.live, np.ascontiguousarray(self.claimants.T), strict=True))


@dataclass(frozen=True, slots=True)
class Opening:
    """What everybody who takes part in a sum must agree on before masking; disagreement keeps masks from cancelling.

    `binding` is a hash of whatever the clients were shown for this sum (union, dense bytes); empty where nothing was.
    `rows` holds an entry for each segment by rows.
    """

    sum: Sum
    live: tuple[int, ...]
    binding: bytes = b""
    rows: Mapping[str, Rows] | None = None

    def rows_of(self, segment: Segment) -> Rows:
        """The rows of a segment by rows."""
        if self.rows is None or segment.name not in self.rows:
            raise LocalProtocolError(f"segment {segment.name!r} is by rows: say which rows the sum opens with")
        return self.rows[segment.name]


class Masks:
    """Adds and removes the masks of one sum."""

    def __init__(self, setup: SetUp, opening: Opening) -> None:
        self._opening = opening
        self._contexts = [
            transcript_hash(
                Label.MASK,
                setup.session,
                setup.root,
                setup.params.hash,
                opening.sum.name,
                segment.name,
                opening.binding,
            )
            for segment in opening.sum.segments
        ]

    def apply(
        self,
        totals: Sequence[Words],
        selves: Mapping[int, bytes],
        pairs: Mapping[tuple[int, int], bytes],
        *,
        remove: bool = False,
    ) -> None:
        """Add masks to `totals` in place, or remove them; all pass over a segment in one call.

        `selves`: client -> seed of its self-mask. `pairs`: (owner, other) -> seed of their pair: what `owner` adds for
        it, the stream itself if its id is the lower one, else the negative.
        """
        seeds = [*selves.values(), *pairs.values()]
        signs = [remove] * len(selves) + [remove != (owner > other) for owner, other in pairs]
        subtract = np.array(signs, np.bool_)
        for segment, context, total in zip(self._opening.sum.segments, self._contexts, totals, strict=True):
            keys = [derive(seed, Label.STREAM, context, size=64) for seed in seeds]
            if not segment.by_rows:
                ring.add_streams(total, b"".join(key[32:] for key in keys), subtract=subtract)
                continue
            rows = self._opening.rows_of(segment)
            index = [*map(rows.of, selves), *(rows.shared(*pair) for pair in pairs)]
            ring.add_row_streams(total, b"".join(keys), rows.digests, index=index, subtract=subtract)


def words(segment: Segment, count: int | None = None) -> Words:
    """Zeros for a segment: (words,), or (count, words) by rows."""
    shape = (count or 0, segment.words) if segment.by_rows else (segment.words,)
    return np.zeros(shape, np.uint32) if segment.bits <= 32 else np.zeros(shape, np.uint64)


def residues(segment: Segment, values: NDArray[np.integer], count: int | None = None) -> Words:
    """Signed or unsigned integers as residues; `LocalProtocolError` on a wrong shape or a value outside the ring."""
    expected = words(segment, count)
    given = np.asarray(values)
    if given.shape != expected.shape or given.dtype.kind not in "iu":
        raise LocalProtocolError(
            f"segment {segment.name!r} takes integers of shape {expected.shape}, "
            f"not {given.dtype} of shape {given.shape}"
        )
    if given.size and (int(given.min()) < -(1 << (segment.bits - 1)) or int(given.max()) >= 1 << segment.bits):
        raise LocalProtocolError(f"segment {segment.name!r} holds a value outside its ring of {segment.bits} bits")
    np.copyto(expected, given, casting="unsafe")
    return expected


def signed(segment: Segment, total: Words) -> NDArray[np.int64]:
    """Residues as integers in [-2^(bits-1), 2^(bits-1))."""
    up = np.uint64(64 - segment.bits)
    return (total.astype(np.uint64) << up).view(np.int64) >> np.int64(up)


def cut(segment: Segment, total: Words) -> NDArray[np.uint64]:
    """Residues in [0, 2^bits)."""
    return total.astype(np.uint64) & np.uint64((1 << segment.bits) - 1)
