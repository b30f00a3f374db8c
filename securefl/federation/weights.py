"""The shared model as a safetensors file: `dense`, and `table.` with the name of each table."""

from __future__ import annotations

from typing import Any

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
    shapes = {DENSE: (model.dense_size,)} | {f"{TABLE}{t.name}": (t.rows, t.width) for t in model.tables}
    found = {name: array.shape for name, array in arrays.items()}
    if found != shapes or any(array.dtype != np.float32 for array in arrays.values()):
        raise ConfigurationError(f"{source}: weights of another model: {found}, not {shapes}")
    return Weights(arrays[DENSE], {table.name: arrays[f"{TABLE}{table.name}"] for table in model.tables})


def load_arrays(data: bytes, source: object) -> dict[str, NDArray[Any]]:
    """Arrays of their own by name. Raises ConfigurationError for anything but safetensors."""
    try:
        return {name: array.copy() for name, array in safetensors.numpy.load(data).items()}
    except (safetensors.SafetensorError, KeyError, ValueError) as error:
        raise ConfigurationError(f"{source}: no safetensors file: {error}") from None
