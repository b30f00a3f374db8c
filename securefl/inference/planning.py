"""Pre-inference: everything that can be decided and prepared before the inputs are known."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from native import nn

from .backends.interface import Backend, Choice, Operation
from .backends.native import NativeBackend
from .backends.native.lowering import Options
from .backends.reference import NumpyBackend
from .cost import Rates
from .graph import Graph
from .layout import LaidOut, lay_out
from .memory import Memory
from .node import Array
from .rules import rewrite
from .schedule import Part, assign, parts
from .settings import Settings

__all__ = ["Plan", "Row", "Table", "make_plan", "rows"]


@dataclass(frozen=True)
class Row:
    """One line of `Session.plan()`."""

    name: str
    backend: str
    algorithm: str
    expected: float
    """Seconds on one thread, by the cost model."""
    reason: str
    seconds: float | None = None
    """As `Session.profile` measured them."""

    def cells(self) -> tuple[str, ...]:
        """What a table shows, in the order of Table.COLUMNS; times in microseconds."""
        measured = "" if self.seconds is None else f"{self.seconds * 1e6:.1f}"
        return (self.name, self.backend, self.algorithm, f"{self.expected * 1e6:.1f}", measured, self.reason)


class Table(tuple[Row, ...]):
    """Rows; as text, a table."""

    __slots__ = ()

    COLUMNS = ("operation", "backend", "algorithm", "expected, us", "median, us", "why")

    def __str__(self) -> str:
        lines = [self.COLUMNS, *(row.cells() for row in self)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)


@dataclass(frozen=True)
class Plan:
    """A model, ready to run for its input shapes."""

    rewritten: Graph
    laid_out: LaidOut
    memory: Memory
    parts: tuple[Part, ...]
    prepared_parts: tuple[tuple[Operation, ...], ...]
    rules: dict[str, int]
    """What each rewrite rule saved, in nodes."""
    prepared: dict[str, Array]

    def each(self) -> Iterator[tuple[Part, Operation]]:
        """Every operation, with the part it belongs to."""
        for part, operations in zip(self.parts, self.prepared_parts, strict=True):
            for operation in operations:
                yield part, operation

    @property
    def operations(self) -> list[Operation]:
        """In the order in which they run."""
        return [operation for _, operation in self.each()]

    @property
    def transfers(self) -> int:
        """Values that cross from one backend to another."""
        return sum(len(part.inputs) for part in self.parts[1:])


def make_plan(
    graph: Graph,
    settings: Settings,
    rates: Rates,
    prepared: dict[str, Array] | None = None,
    pool: nn.Pool | None = None,
) -> Plan:
    """Rewrite, choose backends, lay out, place in memory, prepare. Raises ModelError or InputError."""
    saved = dict[str, int]()
    if settings.rewrite:
        graph, saved = rewrite(graph)
    kernels, held = nn.kernels(settings.instructions), prepared if prepared is not None else {}
    options = Options(settings.skip_padding, settings.precision == "int8", settings.algorithms, pool)
    native = NativeBackend(kernels, rates, options, held)
    chosen = assign(graph, _backends(settings, native, rates), settings.placement)
    laid_out = lay_out(graph, chosen, native)
    choices = _choices(laid_out)
    memory = Memory(laid_out, choices, kernels.width)
    cut = parts(laid_out.graph, laid_out.backends)
    done = [tuple(part.backend.prepare(laid_out.graph, part.nodes, memory)) for part in cut]
    return Plan(graph, laid_out, memory, cut, tuple(done), saved, held)


def rows(plan: Plan, seconds: Sequence[float] | None = None) -> Table:
    """A line for every operation; `seconds` are what they took."""
    each = [(part.backend.name, operation) for part, operation in plan.each()]
    taken = [None] * len(each) if seconds is None else seconds
    return Table(
        Row(
            operation.name, backend, operation.choice.algorithm, operation.choice.seconds, operation.choice.reason, time
        )
        for (backend, operation), time in zip(each, taken, strict=True)
    )


def _backends(settings: Settings, native: Backend, rates: Rates) -> Sequence[Backend]:
    """Those that the settings name; packages of other engines are imported when they are asked for."""
    names = dict.fromkeys((settings.backend,) if isinstance(settings.backend, str) else settings.backend)
    if "auto" in names:
        names = dict.fromkeys(("native", "numpy", *(name for name in names if name != "auto")))
    return [_make(name, native, rates, settings.threads) for name in names]


def _make(name: str, native: Backend, rates: Rates, threads: int) -> Backend:
    if name == "native":
        return native
    if name == "onnxruntime":
        from .backends.onnxruntime import OnnxRuntimeBackend

        return OnnxRuntimeBackend(rates, threads)
    if name == "mnn":
        from .backends.mnn import MnnBackend

        return MnnBackend(rates, threads)
    return NumpyBackend()


def _choices(laid_out: LaidOut) -> dict[str, Choice]:
    pairs = zip(laid_out.graph.nodes, laid_out.backends, strict=True)
    return {node.outputs[0]: backend.cost(laid_out.graph, node) for node, backend in pairs}
