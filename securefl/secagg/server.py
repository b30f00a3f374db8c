"""The server's state machine. It closes a step when everybody awaited has answered or was dropped, or when told to.

One client cannot stop a session: a message that is malformed, out of order or wrong drops its sender, with the
reason kept in `faults`. Only too few survivors, or a dealer whose secret is needed and wrong, end it.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, ClassVar

import msgspec

from securefl.crypto import Private, suite
from securefl.errors import (
    FaultyClientError,
    LocalProtocolError,
    RemoteProtocolError,
    SecureFLError,
    TooFewSurvivorsError,
    UnexpectedMessageError,
)
from securefl.secagg.bundles import check_bundles
from securefl.secagg.client import Aborted
from securefl.secagg.consistency import View
from securefl.secagg.graph import Graph
from securefl.secagg.keys import Rng, check_advert, roster_root
from securefl.secagg.masking import Opening, Words
from securefl.secagg.messages import (
    AdvertiseKeys,
    Consistency,
    ConsistencyCheck,
    Delivery,
    Invitation,
    MaskedInput,
    OpenSum,
    Roster,
    ShareKeys,
    SignedBundle,
    Survivors,
    Unmasking,
)
from securefl.secagg.params import Params
from securefl.secagg.recovery import Cohort, recover
from securefl.secagg.setup import SetUp
from securefl.secagg.spool import InMemorySpool, Spool
from securefl.secagg.summing import RunningSum, check_upload

Outgoing = dict[bytes, Any]
"""identity key -> message"""


@dataclass(frozen=True, slots=True)
class Created:
    """Nobody is invited yet."""


@dataclass(frozen=True, slots=True)
class AwaitingAdverts:
    """Invitations are out."""


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class AwaitingShares(Private):
    """The roster is out."""

    cohort: Cohort


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class AwaitingInputs(Private):
    """A sum is open; uploads are added as they arrive."""

    cohort: Cohort
    opening: Opening
    running: RunningSum


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class AwaitingUnmasking(Private):
    """The survivors of a sum are named, once and for ever. `inputs` are without their segments: those are added."""

    cohort: Cohort
    opening: Opening
    running: RunningSum
    inputs: Mapping[int, MaskedInput]


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class AwaitingConsistency(Private):
    """Malicious setting: the survivors are named, and sign what they were told."""

    unmasking: AwaitingUnmasking
    view: View


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Resting(Private):
    """The keys are shared and no sum is open."""

    cohort: Cohort


class Server:
    """One session of plain sums, taken in the order of `params.sums`; `results` holds what was opened."""

    rows_are_known: ClassVar[bool] = False  # whether it can open sums by rows

    def __init__(
        self,
        params: Params,
        invited: Collection[bytes],
        *,
        session: bytes | None = None,
        spool: Spool | None = None,
        rng: Rng = os.urandom,
    ) -> None:
        self.params = params.check()
        if params.by_rows and not self.rows_are_known:
            raise LocalProtocolError("params: they sum by rows, and this server knows no rows; use SubmodelServer")
        if len(set(invited)) != len(invited) or len(invited) > params.clients:
            raise LocalProtocolError(f"invite at most {params.clients} distinct identities, not {len(invited)}")
        self.session = session or rng(32)
        self._invited, self._spool = frozenset(invited), spool or InMemorySpool()
        self._state: object = Created()
        self._awaited: set[bytes] = set()
        self._heard: dict[bytes, Any] = {}
        self._ids: dict[bytes, int] = {}
        self._names: dict[int, bytes] = {}
        self.results: dict[str, dict[str, Words]] = {}
        self.survivors: dict[str, tuple[int, ...]] = {}
        self.faults: dict[bytes, str] = {}

    @property
    def state(self) -> object:
        """The current state."""
        return self._state

    @property
    def invited(self) -> frozenset[bytes]:
        """The identity keys of the cohort."""
        return self._invited

    @property
    def awaited(self) -> frozenset[bytes]:
        """Identities whose answer would move the session on."""
        return frozenset(self._awaited)

    def id_of(self, identity: bytes) -> int:
        """The roster id of an identity key."""
        return self._ids[identity]

    def name_of(self, client: int) -> bytes:
        """The identity key of a roster id."""
        return self._names[client]

    def start(self) -> Outgoing:
        """Invite everybody."""
        if not isinstance(self._state, Created):
            raise LocalProtocolError("a server serves one session: it was started before")
        return self._wait(AwaitingAdverts(), dict.fromkeys(self._invited, self._invitation()))

    def receive(self, sender: bytes, message: Any) -> Outgoing:
        """Take one message; returns what to send if it was the last one awaited.

        A faulty message drops its sender and never raises; the reason stands in `faults`.
        """
        self._refuse_if_over()
        if sender not in self._awaited:
            return {}  # late, repeated or uninvited: the step it belongs to is closed for this sender
        try:
            self._heard[sender] = self._take(sender, message)
        except RemoteProtocolError as error:
            self.faults[sender] = str(error)
            return self.drop(sender)
        self._awaited.discard(sender)
        return {} if self._awaited else self.advance()

    def drop(self, sender: bytes) -> Outgoing:
        """A client is gone for this step; it may be back for a later sum."""
        self._refuse_if_over()
        if sender not in self._awaited:
            return {}
        self._awaited.discard(sender)
        return {} if self._awaited else self.advance()

    def advance(self) -> Outgoing:
        """Close the step with those heard so far. `TooFewSurvivorsError` ends the session: nothing is released.

        `LocalProtocolError` where there is no step to close; that changes nothing.
        """
        self._refuse_if_over()
        if isinstance(self._state, Created | Resting):
            raise LocalProtocolError(f"there is no step to close in state {type(self._state).__name__}")
        heard, self._heard, self._awaited = self._heard, {}, set()
        try:
            return self._close(heard)
        except SecureFLError as error:
            self._state = Aborted(str(error))
            raise

    def _invitation(self) -> Any:
        """What every client is sent first."""
        return Invitation(self.session, self.params)

    def _open(self, cohort: Cohort, opening: Opening, outgoing: Outgoing) -> Outgoing:
        """Open a sum whose clients are told by `outgoing`."""
        if len(opening.live) <= self.params.threshold:
            raise TooFewSurvivorsError(len(opening.live), self.params.threshold + 1)
        return self._wait(self._inputs(cohort, opening), outgoing)

    def _take(self, sender: bytes, message: Any) -> Any:
        """What the server keeps of a message, once it is checked; raises unless this state awaits it from `sender`."""
        match self._state, message:
            case AwaitingAdverts(), AdvertiseKeys():
                self._check_advert(sender, message)
            case AwaitingShares(cohort), ShareKeys():
                return self._signed_bundles(cohort, self._ids[sender], message)
            case AwaitingInputs(cohort, opening, running), MaskedInput():
                self._check_input(cohort, opening, self._ids[sender], message)
                running.add(self._ids[sender], message.segments)
                return msgspec.structs.replace(message, segments=[])  # the vector is in the sum now
            case AwaitingConsistency(view=view), ConsistencyCheck(name, signature):
                if name != view.sum:
                    raise UnexpectedMessageError("a statement about another sum")
                view.verify(sender, signature)
            case AwaitingUnmasking(cohort, opening), Unmasking(name, shares):
                if name != opening.sum.name or not set(shares) <= set(cohort.neighbours(self._ids[sender])):
                    raise UnexpectedMessageError("an answer to another question")
            case _:
                raise UnexpectedMessageError(f"{type(message).__name__} is not awaited")
        return message

    def _check_advert(self, sender: bytes, advert: AdvertiseKeys) -> None:
        if advert.identity != sender:
            raise UnexpectedMessageError("an advert of another identity")
        check_advert(self.session, self.params, self._invited, advert)
        suite(self.params.kem).seal(advert.channel, b"", b"")  # a low-order or malformed key ends here
        if any(advert.channel == other.channel for other in self._heard.values()):
            raise UnexpectedMessageError("a channel key that another client has shown")

    def _signed_bundles(self, cohort: Cohort, dealer: int, message: ShareKeys) -> dict[int, SignedBundle]:
        if set(message.bundles) != set(cohort.setup.graph.neighbours(dealer)):
            raise FaultyClientError(dealer, "it did not deal to exactly its neighbours")
        return check_bundles(cohort.setup, dealer, cohort.adverts[dealer].identity, message)

    def _check_input(self, cohort: Cohort, opening: Opening, client: int, message: MaskedInput) -> None:
        neighbours, refused = set(cohort.neighbours(client)).intersection(opening.live), set(message.refused)
        if message.sum != opening.sum.name or not refused <= neighbours:
            raise UnexpectedMessageError("an input to another sum")
        if len(refused) < len(message.refused):
            raise FaultyClientError(client, "it refuses one bundle twice")
        if len(refused) > self.params.colluders:
            raise FaultyClientError(client, "it refuses more bundles than clients are assumed corrupt")
        if set(message.pads) != {v for v in neighbours if v > client} - refused:
            raise FaultyClientError(client, "its pads are not those of its live neighbours of higher id")
        check_upload(opening, client, message)

    def _close(self, heard: Mapping[bytes, Any]) -> Outgoing:
        match self._state:
            case AwaitingAdverts():
                return self._close_adverts(heard)
            case AwaitingShares(cohort):
                return self._close_shares(cohort, {self._ids[name]: m for name, m in heard.items()})
            case AwaitingInputs() as state:
                return self._close_inputs(state, {self._ids[name]: m for name, m in heard.items()})
            case AwaitingConsistency() as state:
                return self._close_consistency(state, {self._ids[name]: m.signature for name, m in heard.items()})
            case AwaitingUnmasking() as state:
                self._close_unmasking(state, {self._ids[name]: m for name, m in heard.items()})
        return self._next()

    def _close_adverts(self, heard: Mapping[bytes, AdvertiseKeys]) -> Outgoing:
        if len(heard) <= self.params.threshold:
            raise TooFewSurvivorsError(len(heard), self.params.threshold + 1)
        self._names = dict(enumerate(sorted(heard), start=1))
        self._ids = {name: client for client, name in self._names.items()}
        adverts = {client: heard[name] for client, name in self._names.items()}
        setup = SetUp(self.session, self.params, roster_root(self.session, self.params, adverts), len(adverts))
        rosters = {
            name: Roster(setup.size, setup.root, {v: adverts[v] for v in sorted((u, *setup.graph.neighbours(u)))})
            for name, u in self._ids.items()
        }
        return self._wait(AwaitingShares(Cohort(setup, adverts, {}, frozenset(adverts))), rosters)

    def _close_shares(self, cohort: Cohort, heard: Mapping[int, Mapping[int, SignedBundle]]) -> Outgoing:
        threshold = self.params.threshold
        if len(heard) <= threshold:
            raise TooFewSurvivorsError(len(heard), threshold + 1)
        live = _connected(cohort.setup.graph, frozenset(heard), threshold)
        if len(live) <= threshold:
            raise TooFewSurvivorsError(len(live), threshold + 1, "clients with enough neighbours")
        cohort = replace(cohort, live=live, hashes={u: _hashes(heard[u]) for u in live})
        deliveries = {self._names[v]: Delivery({u: heard[u][v] for u in cohort.neighbours(v)}) for v in live}
        opening = self._first_opening(tuple(sorted(live)))
        return self._wait(self._inputs(cohort, opening), deliveries)

    def _inputs(self, cohort: Cohort, opening: Opening) -> AwaitingInputs:
        return AwaitingInputs(cohort, opening, RunningSum(opening, self._spool))

    def _first_opening(self, live: tuple[int, ...]) -> Opening:
        """The first sum opens with the delivery of the shares."""
        return Opening(self.params.sums[0], live)

    def _close_inputs(self, state: AwaitingInputs, heard: Mapping[int, MaskedInput]) -> Outgoing:
        cohort, name = state.cohort, state.opening.sum.name
        inputs = _without_refused(heard)
        if len(inputs) < self.params.needed:
            raise TooFewSurvivorsError(len(inputs), self.params.needed)
        self._check_openable(cohort, inputs.keys())
        for client in heard.keys() - inputs.keys():
            state.running.take_out(client)
        state.running.fix()
        self.survivors[name] = tuple(sorted(inputs))
        outgoing = {self._names[u]: Survivors(name, sorted({u, *cohort.neighbours(u)} & inputs.keys())) for u in inputs}
        unmasking = AwaitingUnmasking(cohort, state.opening, state.running, inputs)
        if not self.params.malicious:
            return self._wait(unmasking, outgoing)
        view = View(cohort.setup, name, state.opening.binding, frozenset(state.opening.live), frozenset(inputs))
        return self._wait(AwaitingConsistency(unmasking, view), outgoing)

    def _check_openable(self, cohort: Cohort, survivors: Collection[int]) -> None:
        """On a sparse graph: every secret that will be asked for must have t living holders, or nobody is asked."""
        for client in () if cohort.setup.graph.complete else cohort.live:
            holders = sum(v in survivors for v in cohort.neighbours(client))
            if holders < self.params.threshold and (holders or client in survivors):
                raise TooFewSurvivorsError(holders, self.params.threshold, f"living neighbours of client {client}")

    def _close_consistency(self, state: AwaitingConsistency, signatures: Mapping[int, bytes]) -> Outgoing:
        """Give every survivor that signed t signatures of others. One that did not is still in the sum."""
        threshold = self.params.threshold
        if len(signatures) <= threshold:
            raise TooFewSurvivorsError(len(signatures), threshold + 1)
        outgoing = {}
        for client in signatures:
            others = islice((item for item in signatures.items() if item[0] != client), threshold)
            outgoing[self._names[client]] = Consistency(state.view.sum, dict(others))
        return self._wait(state.unmasking, outgoing)

    def _close_unmasking(self, state: AwaitingUnmasking, answers: Mapping[int, Unmasking]) -> None:
        cohort, name = state.cohort, state.opening.sum.name
        if len(answers) <= self.params.threshold:
            raise TooFewSurvivorsError(len(answers), self.params.threshold + 1)
        liars: set[int] = set()
        try:
            recovered = recover(cohort, name, frozenset(state.opening.live), state.inputs, answers, liars)
        finally:  # also if too few good shares are left: then because of them
            self.faults |= dict.fromkeys(map(self.name_of, liars), "it released a share that misses its hash")
        self.results[name] = state.running.unmask(cohort.setup, recovered)
        self._state = Resting(cohort)

    def _next(self) -> Outgoing:
        """Open the next plain sum, if any."""
        cohort = self._resting()
        waiting = [s for s in self.params.sums if s.name not in self.results]
        if not waiting:
            return {}
        live = cohort.live
        outgoing = {self._names[u]: OpenSum(waiting[0].name, sorted({u, *cohort.neighbours(u)} & live)) for u in live}
        return self._open(cohort, Opening(waiting[0], tuple(sorted(live))), outgoing)

    def _resting(self) -> Cohort:
        if not isinstance(self._state, Resting):
            raise LocalProtocolError("a sum is still open, or the keys are not shared yet")
        return self._state.cohort

    def _wait(self, state: object, outgoing: Outgoing) -> Outgoing:
        self._state, self._awaited, self._heard = state, set(outgoing), {}
        return outgoing

    def _refuse_if_over(self) -> None:
        if isinstance(self._state, Aborted):
            raise LocalProtocolError(f"this session is over: {self._state.reason}")


def _hashes(bundles: Mapping[int, SignedBundle]) -> dict[int, bytes]:
    """By holder: all the server needs of a bundle once it is delivered."""
    return {holder: bundle.hashes for holder, bundle in bundles.items()}


def _connected(graph: Graph, live: frozenset[int], threshold: int) -> frozenset[int]:
    """Leave out, until none is left, clients with fewer than t live neighbours: nobody could open their masks."""
    while True:
        kept = frozenset(u for u in live if sum(v in live for v in graph.neighbours(u)) >= threshold)
        if kept == live:
            return live
        live = kept


def _without_refused(inputs: Mapping[int, MaskedInput]) -> dict[int, MaskedInput]:
    """Of two neighbours with an unusable edge, leave out the dealer whose signed bundle was refused."""
    refused = {dealer for message in inputs.values() for dealer in message.refused}
    return {client: message for client, message in inputs.items() if client not in refused}


__all__ = ["Outgoing", "Server"]
