"""What plain sums over Flower add up: arrays by name, integers as they are, floats as weighted means."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
import numpy as np
from flwr.app import ArrayRecord, RecordDict
from numpy.typing import NDArray

from securefl.errors import ConfigurationError, FaultyServerError, LocalProtocolError
from securefl.secagg import Params, Segment, Sum, signed
from securefl.secagg.keys import Rng
from securefl.secagg.masking import Words
from securefl.secagg.quantize import Quantization, dequantize, quantize
from securefl.transcript import Label, transcript_hash
from securefl.wire import Message, Name

MAX_BITS = 64


class ArraySpec(Message, frozen=True):
    """One array that every client puts in.

    Without `mean`, integers of at most `bound` in absolute value, and their sum comes out. With it, floats: they are
    clipped, rounded and weighted as it says, and their weighted mean comes out. `sum`: arrays of one sum share its
    survivors; arrays of a further sum cost two more message rounds and may have others.
    """

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
    shape: Annotated[tuple[Annotated[int, msgspec.Meta(ge=1, le=1 << 32)], ...], msgspec.Meta(max_length=8)]
    bound: Annotated[int, msgspec.Meta(ge=1, le=1 << 62)] = 1
    mean: Quantization | None = None
    sum: Name = "sum"

    @property
    def size(self) -> int:
        """Numbers in the array."""
        return math.prod(self.shape)

    @property
    def words(self) -> int:
        """Residues it takes: its numbers, and the weight of a mean."""
        return self.size + (self.mean is not None)

    def bits(self, clients: int) -> int:
        """The smallest ring in which a sum over this many clients cannot wrap, signed."""
        largest = self.bound if self.mean is None else self.mean.weight_max * max(1, self.mean.levels)
        bits = max(2, (clients * largest).bit_length() + 1)
        if bits > MAX_BITS:
            raise ConfigurationError(
                f"arrays: the sum of {self.name!r} over {clients} clients needs {bits} bits, at most {MAX_BITS}; use a "
                "smaller bound, fewer quantization bits or a smaller weight"
            )
        return bits


@dataclass(frozen=True, slots=True, eq=False)
class Weighted:
    """A client's floats and how much they count, for an array with `mean`: `weight` is a whole number, at least 0."""

    values: NDArray[np.floating]
    weight: int


Input = NDArray[np.integer] | Weighted


class ArraysPlan(Message, frozen=True):
    """What a session of plain sums is about. Its hash stands in the parameters, so it is the same for every client."""

    arrays: Annotated[tuple[ArraySpec, ...], msgspec.Meta(min_length=1, max_length=4096)]
    clients: Annotated[int, msgspec.Meta(ge=3, le=1 << 24)]
    """Of all shards together: what the rings are wide enough for."""
    request: Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
    """Hash of the application's records: a server that shows two clients different models learns nothing."""

    @property
    def hash(self) -> bytes:
        """32 bytes that stand for the plan."""
        return transcript_hash(Label.PLAN, "arrays", msgspec.msgpack.encode(self))

    @property
    def sums(self) -> tuple[Sum, ...]:
        """The sums of the session, in the order in which their names first appear; arrays of one ring lie together."""
        names = [spec.name for spec in self.arrays]
        if len(set(names)) != len(names):
            raise ConfigurationError("arrays: two of them share a name; names tell them apart")
        return tuple(
            Sum(name, tuple(Segment(_ring(bits), bits, sum(s.words for s in specs)) for bits, specs in rings.items()))
            for name, rings in self._layout().items()
        )

    def _layout(self) -> dict[str, dict[int, list[ArraySpec]]]:
        """By sum and bits of the ring, the arrays in order."""
        layout: dict[str, dict[int, list[ArraySpec]]] = defaultdict(lambda: defaultdict(list))
        for spec in self.arrays:
            layout[spec.sum][spec.bits(self.clients)].append(spec)
        return layout

    def admit(self, params: Params) -> None:
        """Raise `FaultyServerError` unless the parameters are this plan's."""
        try:
            agreed = params.plan == self.hash and params.sums == self.sums and params.clients <= self.clients
        except ConfigurationError as error:
            raise FaultyServerError(f"the plan cannot be kept: {error}") from None
        if not agreed:
            raise FaultyServerError("the arrays are not those whose hash the parameters carry")

    def encode(self, inputs: Mapping[str, Input], rng: Rng) -> dict[str, list[NDArray[np.int64]]]:
        """A client's arrays as integers, by sum, one for each segment; `LocalProtocolError` if one does not fit."""
        if inputs.keys() != {spec.name for spec in self.arrays}:
            raise LocalProtocolError(f"inputs: the session sums {', '.join(sorted(spec.name for spec in self.arrays))}")
        return {
            name: [np.concatenate([_encoded(s, inputs[s.name], rng) for s in specs]) for specs in rings.values()]
            for name, rings in self._layout().items()
        }

    def decode(self, name: str, opened: Mapping[str, Words]) -> dict[str, NDArray[Any]]:
        """The arrays of an opened sum: sums int64, weighted means float64 (zeros where nobody had a weight)."""
        out: dict[str, NDArray[Any]] = {}
        segments = {segment.name: segment for one in self.sums if one.name == name for segment in one.segments}
        for bits, specs in self._layout()[name].items():
            totals = signed(segments[_ring(bits)], opened[_ring(bits)])
            ends = np.cumsum([spec.words for spec in specs])[:-1]
            out |= {s.name: _decoded(s, part) for s, part in zip(specs, np.split(totals, ends), strict=True)}
        return out


def request_hash(request: RecordDict) -> bytes:
    """32 bytes that stand for an application's records, whatever order they are in."""
    parts: list[bytes | str] = []
    for name in sorted(request):
        parts.append(name)
        record = request[name]
        if isinstance(record, ArrayRecord):
            for key, array in sorted(record.items()):
                parts += [key, array.dtype, str(tuple(array.shape)), array.stype, array.data]
        else:
            parts.append(msgspec.msgpack.encode(sorted((key, _plain(value)) for key, value in record.items())))
    return transcript_hash(Label.PLAN, "request", *parts)


def _plain(value: object) -> object:
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str | bytes) else value


def _encoded(spec: ArraySpec, given: Input, rng: Rng) -> NDArray[np.int64]:
    if spec.mean is None:
        if isinstance(given, Weighted) or np.asarray(given).dtype.kind not in "iu":
            raise LocalProtocolError(f"inputs: {spec.name!r} is a sum of integers; floats need a spec with mean")
        values = np.asarray(given)
        _check_shape(spec, values.shape)
        if max(int(values.max()), -int(values.min())) > spec.bound:
            raise LocalProtocolError(f"inputs: {spec.name!r} holds a number beyond its bound {spec.bound}")
        flat: NDArray[np.int64] = values.reshape(-1).astype(np.int64)
        return flat
    if not isinstance(given, Weighted):
        raise LocalProtocolError(f"inputs: {spec.name!r} is a weighted mean; give Weighted(values, weight)")
    _check_shape(spec, given.values.shape)
    return quantize(given.values.reshape(1, -1), np.array([given.weight]), spec.mean, rng).reshape(-1)


def _decoded(spec: ArraySpec, total: NDArray[np.int64]) -> NDArray[Any]:
    if spec.mean is None:
        return total.reshape(spec.shape)
    weight = max(1, int(total[-1]))
    return (dequantize(total[:-1], spec.mean) / weight).reshape(spec.shape)


def _ring(bits: int) -> str:
    """The segment of the arrays whose ring has this many bits."""
    return f"ring {bits}"


def _check_shape(spec: ArraySpec, shape: tuple[int, ...]) -> None:
    if tuple(shape) != tuple(spec.shape):
        raise LocalProtocolError(f"inputs: {spec.name!r} has shape {tuple(spec.shape)}, not {tuple(shape)}")
