"""What a session agrees on in public: who at most takes part, how many must stay, and which sums are taken."""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from typing import Annotated, Literal

import msgspec

from securefl.crypto import suite
from securefl.errors import ConfigurationError
from securefl.secagg.finder import MAX_CLIENTS, failure_exponents
from securefl.transcript import Label, transcript_hash
from securefl.wire import Message, Name

MAX_ROW_BYTES = 16 << 16
"""A row's blocks are numbered in 16 bits (protocol section 2)."""
SMALLEST_SPARSE = 4
NEGLIGIBLE = -41
"""log2 of the probability at which a sparse graph counts as safe: 2^-40 for both ways to fail together."""
COMPLETE_GRAPH_CLIENTS = 128
"""Default limit of the complete graph; larger cohorts are shards or, for dense sums, sparse."""


Setting = Literal["semi_honest", "malicious"]
"""What the server may do: follow the protocol and be curious, or lie to clients."""


class Segment(Message, frozen=True):
    """A part of a sum with its own ring Z_2^bits.

    Dense: a vector of `words` residues. By rows: `words` residues in each row, and only the rows that a client
    shares with others are masked with them; which rows, is known when the sum opens.
    """

    name: Name
    bits: Annotated[int, msgspec.Meta(ge=2, le=64)]
    words: Annotated[int, msgspec.Meta(ge=1, le=1 << 32)]
    by_rows: bool = False


class Sum(Message, frozen=True):
    """One secure sum of a session. Its secrets are independent of every other sum's."""

    name: Name
    segments: Annotated[tuple[Segment, ...], msgspec.Meta(min_length=1, max_length=16)]


class Params(Message, frozen=True):
    """Public parameters of a session, hashed into everything that follows."""

    clients: Annotated[int, msgspec.Meta(ge=3, le=MAX_CLIENTS)]
    """n: clients invited."""
    threshold: Annotated[int, msgspec.Meta(ge=2, le=MAX_CLIENTS)]
    """t: shares that open a secret. A client holds none of its own, so t + 1 must stay (complete graph)."""
    colluders: Annotated[int, msgspec.Meta(ge=0, le=MAX_CLIENTS)]
    """c: clients of the cohort that may collude with the server."""
    kem: Name
    sums: Annotated[tuple[Sum, ...], msgspec.Meta(min_length=1, max_length=8)]
    degree: Annotated[int, msgspec.Meta(ge=2, le=MAX_CLIENTS)] | None = None
    """k: neighbours of a client on the sparse graph; None for the complete graph."""
    plan: Annotated[bytes, msgspec.Meta(max_length=32)] = b""
    """Hash of the application's plan (for a submodel round, all of sections 3 to 5)."""
    setting: Setting = "semi_honest"
    """Malicious: the server may lie; survivors sign what they were told before anybody releases a share."""
    min_survivors: Annotated[int, msgspec.Meta(ge=1, le=MAX_CLIENTS)] | None = None
    """Clients that must be in a sum; None, or less than t + 1, is t + 1."""

    def check(self) -> Params:
        """Return self if the parameters can be kept; else `ConfigurationError` with the setting to change."""
        suite(self.kem)
        neighbours = self.neighbours
        if self.degree is not None and (self.degree % 2 or self.degree >= self.clients):
            raise ConfigurationError(
                f"degree: {self.degree} must be even and below the {self.clients} clients; "
                "leave it out for the complete graph"
            )
        if self.threshold > neighbours:
            raise ConfigurationError(
                f"threshold: {self.threshold} of {neighbours} neighbours can never answer; use at most {neighbours}"
            )
        if self.colluders > self.clients - 2:
            raise ConfigurationError(
                f"colluders: {self.colluders} of {self.clients} clients leave no two honest, and a sum gives a lone "
                f"one away; use at most {self.clients - 2}"
            )
        reach = self.colluders if neighbours == self.clients - 1 else 1
        if self.threshold < max(2, reach + 1):
            raise ConfigurationError(
                f"threshold: {self.threshold} lets {max(1, reach)} colluders open every mask; use at least "
                f"{max(2, reach + 1)}"
            )
        if self.malicious:
            self._check_malicious()
        elif self.degree is not None and self.clients >= SMALLEST_SPARSE:
            self._check_degree(self.degree)
        if self.needed > self.clients:
            raise ConfigurationError(f"min_survivors: {self.needed} of {self.clients} clients can never answer")
        self._check_sums()
        return self

    def _check_degree(self, degree: int) -> None:
        """The corrupt clients alone must neither open a neighbour nor cut one off, but with probability 2^-40."""
        risk = failure_exponents(self.clients, degree, self.threshold, Fraction(self.colluders, self.clients), 0)
        if risk.unmasked > NEGLIGIBLE or risk.disconnected > NEGLIGIBLE:
            raise ConfigurationError(
                f"degree: with {self.colluders} corrupt of {self.clients} clients, {degree} neighbours and threshold "
                f"{self.threshold} are not safe (2^{max(risk.unmasked, risk.disconnected):.0f}); take both from "
                "degree_and_threshold, or leave degree out"
            )

    def _check_malicious(self) -> None:
        """Two lists of survivors that differ must not both find t signatures of honest clients (protocol section 0)."""
        if self.degree is not None:
            raise ConfigurationError(
                "degree: the malicious setting needs the complete graph, a server could grind another; leave it out"
            )
        least = (self.clients - 1 + self.colluders) // 2 + 1
        if self.threshold < least:
            raise ConfigurationError(
                f"threshold: a lying server with {self.colluders} colluders could open both secrets of a client "
                f"with {self.threshold} shares; use at least {least}"
            )

    def _check_sums(self) -> None:
        names = [s.name for s in self.sums]
        if len(set(names)) != len(names):
            raise ConfigurationError("sums: two sums share a name; names keep their masks apart")
        if any(len({g.name for g in one.segments}) != len(one.segments) for one in self.sums):
            raise ConfigurationError("sums: two segments of one sum share a name; names keep their masks apart")
        for segment in (g for one in self.sums for g in one.segments):
            if not (2 <= segment.bits <= 64 and segment.words >= 1):
                raise ConfigurationError(
                    f"bits: a segment of {segment.words} words of {segment.bits} bits; use 2 to 64 bits, 1 word or more"
                )
            longest = MAX_ROW_BYTES // (4 if segment.bits <= 32 else 8)
            if segment.by_rows and segment.words > longest:
                raise ConfigurationError(f"words: a row of {segment.words} words is too long; use at most {longest}")
            if segment.by_rows and self.degree is not None:
                raise ConfigurationError(
                    "degree: segments by rows need the complete graph (on a sparse one a claimant could be cut off); "
                    "leave it out"
                )

    @property
    def by_rows(self) -> bool:
        """Whether a sum has segments by rows, for which a party must know who claims what."""
        return any(segment.by_rows for one in self.sums for segment in one.segments)

    @property
    def neighbours(self) -> int:
        """Neighbours of a client if every invited client comes."""
        return self.clients - 1 if self.degree is None else self.degree

    @property
    def malicious(self) -> bool:
        """Whether the server is assumed to lie."""
        return self.setting == "malicious"

    @property
    def needed(self) -> int:
        """Clients that must be in a sum: nobody holds a share of itself, so t + 1 or more."""
        return max(self.threshold + 1, self.min_survivors or 0)

    @property
    def hash(self) -> bytes:
        """32 bytes that stand for all of it."""
        return _hash(self)

    def sum(self, name: str) -> Sum:
        """The sum called `name`."""
        for one in self.sums:
            if one.name == name:
                return one
        raise ConfigurationError(f"sums: {name!r} is not one of {', '.join(s.name for s in self.sums)}")


@lru_cache(maxsize=64)
def _hash(params: Params) -> bytes:
    return transcript_hash(Label.PARAMS, msgspec.msgpack.encode(params))


def default_threshold(clients: int) -> int:
    """Two thirds of the neighbours and one more, on the complete graph (protocol section 0)."""
    return 2 * (clients - 1) // 3 + 1
