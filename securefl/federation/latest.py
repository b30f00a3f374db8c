"""FedLaAvg over sums of integers: the server's running sum is exactly everybody's latest update, whatever gets lost.

A client quantizes its update u into integers q and sends q minus the q that is in the running sum G already. So G
telescopes without an error: it *is* the sum of the latest quantized updates of all clients. For that, both sides must
agree on what is in G. The server names, whenever it invites a client, the session in whose sum that client was last
included. The client keeps two candidates: what it knows to be in G, and what it sent since. The name decides between
them, so nothing else need ever arrive: a lost input, a sum that was never opened, a lost confirmation and a restart of
either side all end in the next invitation. Quantization and size are fixed for a run, whose hash is its identity.

Source: Yan et al., arXiv 2002.07399, algorithm 1. The same memory under a random cohort is MIFA (Gu et al., 2021).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from securefl.errors import ConfigurationError, FaultyServerError, LocalProtocolError
from securefl.secagg import Params, Segment, Sum
from securefl.secagg.params import Setting
from securefl.secagg.quantize import Quantization, dequantize
from securefl.store import Remembered
from securefl.transcript import Label, transcript_hash
from securefl.wire import Bytes32, Message

__all__ = ["Contribution", "InMemoryUpdates", "LatestPlan", "OpenedSum", "RunningSum", "Updates"]

UPDATE, DENSE = "update", "dense"
Integers = NDArray[np.int64]
ShortText = Annotated[str, msgspec.Meta(max_length=256)]


class LatestPlan(Message, frozen=True):
    """Everything public of a run, for its whole length; `Params` of every session carry its hash."""

    run: Bytes32
    """Random: another run of the same settings is another run."""
    clients: Annotated[int, msgspec.Meta(ge=1, le=1 << 40)]
    """N: all clients, also those that never come."""
    size: Annotated[int, msgspec.Meta(ge=1, le=(1 << 32) - 1)]
    """P: parameters of the model."""
    ring_bits: Annotated[int, msgspec.Meta(ge=2, le=64)]
    quantization: Quantization
    """Of an update; a difference of two takes one more bit. Its weight_max is 1."""
    training: Annotated[tuple[tuple[ShortText, ShortText], ...], msgspec.Meta(max_length=64)] = ()
    """The training settings as (name, value), so that no client can be given others in secret."""

    @property
    def hash(self) -> bytes:
        """32 bytes that stand for the plan: the identity of the run."""
        return transcript_hash(Label.PLAN, "latest", msgspec.msgpack.encode(self))

    def params(
        self,
        *,
        clients: int,
        threshold: int,
        colluders: int,
        kem: str,
        setting: Setting = "semi_honest",
        min_survivors: int | None = None,
    ) -> Params:
        """The parameters of a session; `ConfigurationError` names the setting that cannot be kept."""
        how = self.quantization
        if how.weight_max != 1:
            raise ConfigurationError(f"weight_max: {how.weight_max}; a latest update counts once, use 1")
        needed = (4 * how.levels * clients).bit_length()
        if self.ring_bits < needed:
            raise ConfigurationError(
                f"ring_bits: {self.ring_bits} do not carry {clients} differences of {how.bits}-bit updates; "
                f"use ring_bits={needed}"
            )
        if how.levels * self.clients >= 1 << 62:
            raise ConfigurationError(
                f"quantization: a running sum over {self.clients} clients overflows; use less bits"
            )
        sums = (Sum(UPDATE, (Segment(DENSE, self.ring_bits, self.size),)),)
        return Params(clients, threshold, colluders, kem, sums, None, self.hash, setting, min_survivors).check()


class Updates(Protocol):
    """A client's memory of its updates in one run. Every change is durable when the call returns."""

    def recall(self) -> Remembered:
        """What is known."""

    def begin(self, run: bytes) -> None:
        """Forget everything: nothing of this client is in the running sum of this run."""

    def propose(self, session: bytes, update: Integers) -> None:
        """Note the update that is about to be sent in a session, beside the latest one."""

    def settle(self, *, included: bool) -> None:
        """What was proposed is the latest now, or never happened."""


class InMemoryUpdates:
    """A memory for as long as this object lives. `securefl.store.SqliteUpdates` keeps it."""

    def __init__(self) -> None:
        self._known = Remembered()

    def recall(self) -> Remembered:
        """See `Updates`."""
        return self._known

    def begin(self, run: bytes) -> None:
        """See `Updates`."""
        self._known = Remembered(run)

    def propose(self, session: bytes, update: Integers) -> None:
        """See `Updates`."""
        known = self._known
        self._known = Remembered(known.run, known.included, known.latest, session, update.copy())

    def settle(self, *, included: bool) -> None:
        """See `Updates`."""
        known = self._known
        kept = (known.session, known.proposed) if included else (known.included, known.latest)
        self._known = Remembered(known.run, *kept)


class Contribution:
    """A client's two-phase commit: first `settle` what became of the last proposal, then `propose` the next."""

    def __init__(self, updates: Updates) -> None:
        self._updates = updates

    def settle(self, run: bytes, included: bytes) -> None:
        """`included`: the session of this run in whose sum the server last counted this client; empty for none.

        Raises `LocalProtocolError` if that is a session this client has no update of: then its memory, or the server's,
        was lost or is another's, and what is in the running sum cannot be taken back. It stays until a new run.
        """
        known = self._updates.recall()
        if known.run != run:
            if included:
                raise self._unknown()
            self._updates.begin(run)
        elif known.session and included == known.session:
            self._updates.settle(included=True)
        elif included != known.included:
            raise self._unknown()
        elif known.session:
            self._updates.settle(included=False)

    def propose(self, session: bytes, update: Integers) -> Integers:
        """What to send in this session, int64 (P,): the update minus the latest one. Noted before it is returned."""
        known = self._updates.recall()
        if known.session or not known.run:
            raise LocalProtocolError("an update is proposed only after the server said what it counted of the last one")
        self._updates.propose(session, update)
        return update.copy() if known.latest is None else update - known.latest

    @staticmethod
    def _unknown() -> LocalProtocolError:
        return LocalProtocolError(
            "the server counts an update that this client does not remember: one of both lost its memory, and only a "
            "new run makes this client useful again"
        )


class _Saved(msgspec.Struct, frozen=True):
    """A running sum as bytes; integers and floats little-endian."""

    run: bytes
    rounds: int
    total: bytes
    model: bytes
    included: dict[bytes, bytes]


@dataclass(frozen=True, slots=True, eq=False)
class OpenedSum:
    """What one session opened."""

    session: bytes
    told: Mapping[bytes, bytes]
    """Who is in it: client to the session it was told, when invited, that it was last included in."""
    total: Integers
    """(P,)"""


@dataclass(eq=False)
class RunningSum:
    """The server's side of a run: G, the model, and in which session each client was last included.

    One record: whoever keeps it writes `to_bytes` in one piece after every counted sum. A sum that was opened and not
    kept never happened, for clients neither.
    """

    plan: LatestPlan
    model: NDArray[np.float32]
    """x, (P,)"""
    total: Integers = field(default_factory=lambda: np.empty(0, np.int64))
    """G: the sum of the latest quantized updates, (P,)."""
    included: dict[bytes, bytes] = field(default_factory=dict)
    """Client to session."""
    rounds: int = 0
    """Sums counted."""

    def __post_init__(self) -> None:
        if not self.total.size:
            self.total = np.zeros(self.plan.size, np.int64)
        if self.model.shape != (self.plan.size,) or self.total.shape != (self.plan.size,):
            raise ConfigurationError(f"model: {self.model.shape} does not fit a plan of {self.plan.size} parameters")

    def count(self, sums: Collection[OpenedSum], rate: float) -> None:
        """Add the opened sums of one round, one for each shard, and take a step: x -= rate * G / N.

        Raises `LocalProtocolError`, and counts none, if what a client in them was told is no longer so: this sum was
        counted before, or the client was in two sessions at once. Invite nobody whose last session is still undecided.
        """
        for one in sums:
            if any(self.included.get(name, b"") != told for name, told in one.told.items()):
                raise LocalProtocolError("a client of this sum was counted in another since it was invited")
        for one in sums:
            self.total += one.total
            self.included |= dict.fromkeys(one.told, one.session)
        step = rate * dequantize(self.total, self.plan.quantization) / self.plan.clients
        self.model = (self.model - step).astype(np.float32)
        self.rounds += 1

    def to_bytes(self) -> bytes:
        """All of it but the plan."""
        total, model = self.total.astype("<i8").tobytes(), self.model.astype("<f4").tobytes()
        return msgspec.msgpack.encode(_Saved(self.plan.hash, self.rounds, total, model, self.included))

    @classmethod
    def from_bytes(cls, plan: LatestPlan, data: bytes) -> RunningSum:
        """What `to_bytes` wrote; `ConfigurationError` for anything else, or for another plan's."""
        try:
            saved = msgspec.msgpack.decode(data, type=_Saved)
            total, model = np.frombuffer(saved.total, "<i8"), np.frombuffer(saved.model, "<f4")
        except (msgspec.MsgspecError, ValueError):
            raise ConfigurationError("running sum: these bytes hold none") from None
        if saved.run != plan.hash:
            raise ConfigurationError("running sum: it belongs to another run or plan")
        return cls(plan, model.astype(np.float32), total.astype(np.int64), dict(saved.included), saved.rounds)


def check_invitation(plan: LatestPlan, params: Params, included: bytes, model: bytes) -> None:
    """Raise `FaultyServerError` unless a server's invitation is of one piece."""
    try:
        agreed = plan.params(
            clients=params.clients,
            threshold=params.threshold,
            colluders=params.colluders,
            kem=params.kem,
            setting=params.setting,
            min_survivors=params.min_survivors,
        )
    except ConfigurationError as error:
        raise FaultyServerError(f"the plan cannot be kept: {error}") from None
    if agreed != params:
        raise FaultyServerError("the plan is not the one whose hash the parameters carry")
    if len(included) not in (0, 32) or len(model) != 4 * plan.size:
        raise FaultyServerError("the invitation does not have the plan's shapes")
