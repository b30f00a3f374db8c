"""What the roster fixes: the public view that everything later in a session names, hashes or signs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from securefl.secagg.graph import Graph
from securefl.secagg.keys import KINDS, SecretName
from securefl.secagg.params import Params

HALF = "half"


@dataclass(frozen=True)
class SetUp:
    """The public view that all of a session's later hashes name."""

    session: bytes
    params: Params
    root: bytes
    size: int

    @cached_property
    def graph(self) -> Graph:
        """Who masks with whom."""
        return Graph(self.size, self.params.degree, self.root)

    @cached_property
    def dealt(self) -> tuple[SecretName, ...]:
        """What a bundle holds, in order: for each sum the share of m, the share of b, the half."""
        return tuple((s.name, kind) for s in self.params.sums for kind in (*KINDS, HALF))
