"""A model, ready to run: validated, planned, with all memory in place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import groupby
from statistics import median
from threading import Lock
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from native import nn
from native.nn import Places, Program

from .calibration import calibrated
from .cost import typical
from .errors import InputError
from .graph import Graph
from .node import Array, Spec
from .planning import Plan, Table, make_plan, rows
from .settings import Settings, checked

__all__ = ["Session"]


class Session:
    """Runs a model for fixed input shapes.

    model: a `Graph`. `prepared`: instructions and weights of an earlier session (`load_prepared`). The other arguments
    are `Settings`, by name; unknown ones are refused.
    A session may be used from several threads, one run at a time; `threads` is how many share the work of one run, with
    the same result, bit for bit. They sleep between runs. Raises ModelError and InputError, which name what is wrong.
    """

    def __init__(
        self,
        model: Graph,
        threads: int = 1,
        backend: str | tuple[str, ...] = "auto",
        *,
        prepared: tuple[str, dict[str, Array]] | None = None,
        **settings: Any,
    ) -> None:
        self.settings: Settings = checked(threads=threads, backend=backend, **settings)
        kernels = nn.kernels(self.settings.instructions)
        self._rates = calibrated(kernels) if self.settings.calibrate else typical(kernels)
        self._pool = nn.Pool(self.settings.threads) if self.settings.threads > 1 else None
        self._lock = Lock()
        self.instructions = kernels.name
        held = prepared[1] if prepared is not None and prepared[0] == kernels.name else {}
        self._replan(model if model.specs else model.with_specs(), held)

    def resize(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        """Plan anew for other shapes of the inputs that are named. Raises ModelError if the model cannot take them."""
        unknown = shapes.keys() - self._model.inputs.keys()
        if unknown:
            raise InputError(f"shapes: {_names(dict.fromkeys(unknown))} is no input of the model")
        inputs = {name: Spec(shapes.get(name, spec.shape), spec.dtype) for name, spec in self._model.inputs.items()}
        with self._lock:
            self._replan(replace(self._model, inputs=inputs).with_specs(), {})

    def _replan(self, model: Graph, prepared: dict[str, Array]) -> None:
        began = perf_counter()
        self._model = model
        self._plan: Plan = make_plan(model, self.settings, self._rates, dict(prepared), self._pool)
        self._inputs = {name: _Input(self._plan, name, spec) for name, spec in model.inputs.items()}
        self._places = Places([(place.array, place.limit or 0) for place in self._inputs.values()])
        self._outputs = {
            name: self._plan.memory[placed]
            for name, placed in zip(model.outputs, self._plan.laid_out.graph.outputs, strict=True)
        }
        self._run = _joined(self._plan, self._pool)
        self.creation_seconds = perf_counter() - began

    def close(self) -> None:
        """End the threads now, and not with the session; another run starts them again."""
        with self._lock:
            if self._pool is not None:
                self._pool.close()

    @property
    def inputs(self) -> dict[str, Spec]:
        """Names, shapes and dtypes that `run` wants."""
        return dict(self._model.inputs)

    @property
    def outputs(self) -> dict[str, Spec]:
        """Names, shapes and dtypes that `run` returns."""
        return {name: self._model.specs[name] for name in self._model.outputs}

    def run(self, inputs: Mapping[str, Array], out: Mapping[str, Array] | None = None) -> dict[str, Array]:
        """Outputs by name: new arrays, or those of `out`, which must fit exactly.

        Every input must be there, with exactly its shape and dtype; floats must be finite, indices must be rows.
        Raises InputError.
        """
        if out is not None:
            self._check_out(out)
        with self._lock:
            arrays = tuple([inputs.get(name) for name in self._inputs])
            if len(inputs) != len(arrays) or not self._places.feed(arrays):
                self._set(inputs)
            self._run()
            if out is None:
                return {name: value.copy() for name, value in self._outputs.items()}
            for name, array in out.items():
                np.copyto(array, self._outputs[name])
            return dict(out)

    def example(self, seed: int = 0) -> dict[str, Array]:
        """Inputs that fit: normal floats; random rows where indices pick from a table, else 0 and 1."""
        random = np.random.default_rng(seed)
        found = dict[str, Array]()
        for name, place in self._inputs.items():
            spec = self._model.inputs[name]
            if spec.dtype == np.float32:
                found[name] = random.standard_normal(spec.shape, np.float32)
            else:
                found[name] = random.integers(0, place.limit or 2, spec.shape).astype(spec.dtype)
        return found

    def plan(self) -> Table:
        """What runs each node: backend, algorithm, why, and what the cost model expects. Prints as a table."""
        return rows(self._plan)

    def seconds(self, inputs: Mapping[str, Array]) -> float:
        """What one run takes, NumPy to NumPy."""
        return _seconds(lambda: self.run(inputs))

    def profile(self, inputs: Mapping[str, Array], runs: int = 20) -> Table:
        """The same, with the median seconds of each over some runs, one kernel call at a time."""
        self.run(inputs)
        taken = list[list[float]]()
        with self._lock:
            for _ in range(runs):
                self._set(inputs)
                taken.append([_seconds(operation.run) for operation in self._plan.operations])
        return rows(self._plan, [median(column) for column in zip(*taken, strict=True)])

    @property
    def rewritten(self) -> Graph:
        """The model after the rewrite rules."""
        return self._plan.rewritten

    @property
    def prepared(self) -> dict[str, Array]:
        """Weights as the kernels read them."""
        return dict(self._plan.prepared)

    @property
    def memory(self) -> MemoryUse:
        """Bytes: of the arena, of all activations without it, of weights as they are prepared."""
        weights = sum(array.nbytes for array in self._plan.prepared.values())
        return MemoryUse(self._plan.memory.peak_bytes, self._plan.memory.sum_bytes, weights)

    @property
    def conversions(self) -> int:
        """Layout conversions in a run."""
        return self._plan.laid_out.conversions

    @property
    def transfers(self) -> int:
        """Values that cross from one backend to another in a run."""
        return self._plan.transfers

    def _set(self, inputs: Mapping[str, Array]) -> None:
        """The long way: for arrays that are not contiguous, and for the sentence that says what is wrong."""
        if inputs.keys() != self._inputs.keys():
            raise InputError(f"inputs are {_names(inputs)}; the model takes {_names(self._inputs)}")
        for name, array in inputs.items():
            self._inputs[name].set(array)

    def _check_out(self, out: Mapping[str, Array]) -> None:
        for name, array in out.items():
            if name not in self._outputs:
                raise InputError(f"out: {name!r} is no output; the model gives {_names(self._outputs)}")
            value = self._outputs[name]
            if array.shape != value.shape or array.dtype != value.dtype or not array.flags.writeable:
                raise InputError(f"out: {name!r} must be a writable {value.dtype} array of shape {value.shape}")


@dataclass(frozen=True, slots=True)
class MemoryUse:
    """Bytes."""

    arena: int
    """Activations and scratch, allocated once."""
    activations: int
    """All activations, if none shared memory."""
    weights: int
    """Weights as the kernels read them, besides the model's own."""


def _seconds(run: Callable[[], object]) -> float:
    began = perf_counter()
    run()
    return perf_counter() - began


class _Input:
    """Where an input goes, and what it must be."""

    def __init__(self, plan: Plan, name: str, spec: Spec) -> None:
        self._name, self._spec = name, spec
        self.array: NDArray[Any] = plan.memory[name]
        self.limit = _rows_read(plan.laid_out.graph, name)

    def set(self, array: Array) -> None:
        """Check and copy."""
        if type(array) is not np.ndarray or array.shape != self._spec.shape or array.dtype != self._spec.dtype:
            given = f"{array.dtype} {array.shape}" if isinstance(array, np.ndarray) else type(array).__name__
            raise InputError(f"input {self._name!r} must be an array {self._spec}, not {given}")
        self.array[...] = array
        if self._spec.dtype == np.float32:
            if not nn.all_finite(self.array):
                raise InputError(f"input {self._name!r} holds NaN or infinity")
        elif self.limit is not None and not nn.all_below(self.array, self.limit):
            raise InputError(f"input {self._name!r} has an index outside 0..{self.limit - 1}")


def _rows_read(graph: Graph, name: str) -> int | None:
    """The rows of the smallest table that an input picks from directly."""
    tables = [
        graph.specs[table].shape[0]
        for node in graph.nodes
        for table, index in _picks(node.op, node.inputs)
        if index == name
    ]
    return min(tables, default=None)


def _picks(op: str, inputs: tuple[str, ...]) -> list[tuple[str, str]]:
    if op == "Gather":
        return [(inputs[0], inputs[1])]
    return list(zip(inputs[9::2], inputs[10::2], strict=True)) if op == "Attention" else []


def _joined(plan: Plan, pool: nn.Pool | None) -> Callable[[], None]:
    """One call for everything; consecutive kernel steps become one program."""
    runs = list[Callable[[], None]]()
    for whole, group in groupby(plan.operations, lambda operation: operation.steps is not None):
        if whole:
            runs.append(Program([step for operation in group for step in operation.steps or ()], pool).run)
        else:
            runs += [operation.run for operation in group]
    if len(runs) == 1:
        return runs[0]

    def run() -> None:
        for each in runs:
            each()

    return run


def _names(mapping: Mapping[str, object]) -> str:
    return ", ".join(sorted(map(repr, mapping))) or "none"
