"""The shared model as a safetensors file: `dense`, and `table.` with the name of each table."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import safetensors
import safetensors.numpy
from numpy.typing import NDArray

from securefl.errors import ConfigurationError
from securefl.models import Model, Weights

__all__ = ["load_arrays", "load_weights", "model_file"]

DENSE, TABLE, FORMAT = "dense", "table.", "securefl-weights-1"


def model_file(weights: Weights) -> bytes:
    """The bytes of a model file."""
    tables = {f"{TABLE}{name}": np.ascontiguousarray(table) for name, table in weights.tables.items()}
    return safetensors.numpy.save({DENSE: weights.dense, **tables}, {"format": FORMAT})


def load_weights(data: bytes, model: Model, source: str) -> Weights:
    """The weights of a model file. Raises ConfigurationError if they are not `model`'s; `source` names them."""
    arrays = load_arrays(data, source)
    if (kind := _kind(data)) != FORMAT:
        raise ConfigurationError(
            f"{source}: its format is {kind!r}, not {FORMAT!r}; name a file that securefl train wrote"
        )
    shapes = {DENSE: (model.dense_size,)} | {f"{TABLE}{t.name}": (t.rows, t.width) for t in model.tables}
    found = {name: array.shape for name, array in arrays.items()}
    if found != shapes or any(array.dtype != np.float32 for array in arrays.values()):
        raise ConfigurationError(f"{source}: weights of another model: {found}, not {shapes}")
    if not all(np.isfinite(array).all() for array in arrays.values()):
        raise ConfigurationError(f"{source}: its weights are not all finite numbers; restore the file")
    return Weights(arrays[DENSE], {table.name: arrays[f"{TABLE}{table.name}"] for table in model.tables})


def load_arrays(data: bytes, source: object) -> dict[str, NDArray[Any]]:
    """Arrays of their own by name. Raises ConfigurationError for anything but safetensors."""
    try:
        return {name: array.copy() for name, array in safetensors.numpy.load(data).items()}
    except (safetensors.SafetensorError, KeyError, ValueError) as error:
        raise ConfigurationError(f"{source}: no safetensors file: {error}") from None


def _kind(data: bytes) -> str | None:
    """What the metadata of a safetensors file, which was read before, calls it."""
    header = data[8 : 8 + int.from_bytes(data[:8], "little")]
    return msgspec.json.decode(header, type=_Header).metadata.get("format")


class _Header(msgspec.Struct, frozen=True):
    """The part of a safetensors header that is read here."""

    metadata: dict[str, str] = msgspec.field(name="__metadata__", default_factory=dict)
