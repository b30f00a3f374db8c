"""The graph that everything here works on: nodes in an order in which they can run, constants, specs of all values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from .errors import ModelError
from .node import Array, Node, Spec
from .operators import infer

__all__ = ["Graph", "ordered"]


@dataclass(frozen=True)
class Graph:
    """A model. Nodes stand in topological order; `specs` has every value, once `with_specs` has been called."""

    nodes: tuple[Node, ...]
    inputs: Mapping[str, Spec]
    outputs: tuple[str, ...]
    constants: Mapping[str, Array]
    specs: Mapping[str, Spec] = field(default_factory=dict)

    def producers(self) -> dict[str, Node]:
        """Which node makes a value."""
        return {name: node for node in self.nodes for name in node.outputs if name}

    def uses(self) -> Counter[str]:
        """How often each value is read; being an output is a use."""
        return Counter([name for node in self.nodes for name in node.inputs if name] + list(self.outputs))

    def changed(self, nodes: Iterable[Node], constants: Mapping[str, Array] | None = None) -> Graph:
        """The same model with other nodes and more constants; what nobody needs any more is gone."""
        kept, needed = list[Node](), set(self.outputs)
        for node in reversed(tuple(nodes)):
            if needed.intersection(node.outputs):
                kept.append(node)
                needed.update(node.inputs)
        held = {name: array for name, array in {**self.constants, **(constants or {})}.items() if name in needed}
        return Graph(tuple(reversed(kept)), self.inputs, self.outputs, held).with_specs()

    def with_specs(self) -> Graph:
        """Infer the spec of every value. Raises ModelError, or UnsupportedOperatorError."""
        specs = dict(self.inputs) | {name: Spec.of(array) for name, array in self.constants.items()}
        for node in self.nodes:
            known = tuple(specs[name] if name else None for name in node.inputs)
            values = tuple(self.constants.get(name) for name in node.inputs)
            specs.update(zip(node.outputs, infer(node, known, values), strict=True))
        return replace(self, specs=specs)


def ordered(nodes: Iterable[Node], known: Iterable[str], outputs: Iterable[str]) -> tuple[Node, ...]:
    """The nodes in topological order. Raises ModelError for a cycle, a missing value, or one made twice."""
    waiting, made = list(nodes), set(known)
    produced = Counter(name for node in waiting for name in node.outputs if name)
    twice = [name for name, count in produced.items() if count > 1 or name in made]
    if twice:
        raise ModelError(f"value {twice[0]!r} is made more than once")
    missing = {name for node in waiting for name in node.inputs if name} | set(outputs)
    missing -= made | produced.keys()
    if missing:
        raise ModelError(f"value {min(missing)!r} is used but nothing makes it")
    consumers: dict[str, list[int]] = {}
    lacking = [len({name for name in node.inputs if name and name not in made}) for node in waiting]
    for place, node in enumerate(waiting):
        for name in {name for name in node.inputs if name and name not in made}:
            consumers.setdefault(name, []).append(place)
    ready = [place for place, count in enumerate(lacking) if count == 0]
    done = list[Node]()
    for place in ready:  # grows while it is walked
        done.append(waiting[place])
        for name in waiting[place].outputs:
            for reader in consumers.get(name, ()):
                lacking[reader] -= 1
                if lacking[reader] == 0:
                    ready.append(reader)
    if len(done) < len(waiting):
        raise ModelError("the graph has a cycle")
    return tuple(done)
