"""The client's state machine: a message in, messages out. No sockets, clocks or threads.

`Participant` takes a session through its set-up and answers survivors; what is summed, and when, is its subclass's
business. Whatever goes wrong ends the session for this client: the state becomes `Aborted` and the secrets are gone.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from securefl.crypto import Identity
from securefl.errors import FaultyServerError, LocalProtocolError, SecureFLError, UnexpectedMessageError
from securefl.secagg import suspension
from securefl.secagg.consistency import ViewSigned, check_consistency, sign_view
from securefl.secagg.dealing import KeysShared, share_keys
from securefl.secagg.journal import InMemoryJournal, Journal
from securefl.secagg.keys import KeysAdvertised, Rng, advertise_keys
from securefl.secagg.limits import Limits
from securefl.secagg.masking import Opening
from securefl.secagg.messages import (
    Abort,
    Consistency,
    Delivery,
    Invitation,
    OpenSum,
    Roster,
    Survivors,
)
from securefl.secagg.params import Params
from securefl.secagg.uploading import (
    InputMasked,
    Ready,
    check_survivors,
    mask_input,
    receive_shares,
    unmask,
)


@dataclass(frozen=True, slots=True)
class Invited:
    """Nothing has been sent."""


@dataclass(frozen=True, slots=True)
class Aborted:
    """The session is over for this client, for good."""

    reason: str


class Participant(ABC):
    """Set-up and unmasking of one session; one object serves one session only."""

    def __init__(
        self,
        identity: Identity,
        registry: Collection[bytes],
        *,
        limits: Limits | None = None,
        journal: Journal | None = None,
        rng: Rng = os.urandom,
    ) -> None:
        self._identity, self._registry, self._rng = identity, registry, rng
        self._limits, self._journal = limits or Limits(), journal or InMemoryJournal()
        self._state: object = Invited()

    @property
    def state(self) -> object:
        """The current state: one of the frozen state classes of this package."""
        return self._state

    def receive(self, message: Any) -> list[Any]:
        """Take one message of the server and return the answers.

        Raises a `ProtocolError` that says who is at fault; the client is then `Aborted` and nothing is sent.
        """
        if isinstance(self._state, Aborted):
            raise LocalProtocolError(f"this session is over: {self._state.reason}")
        try:
            return self._step(message)
        except SecureFLError as error:
            self.abort(str(error))
            raise

    def abort(self, reason: str) -> None:
        """End the session for good and forget its secrets."""
        self._state = Aborted(reason)

    def _step(self, message: Any) -> list[Any]:
        match self._state, message:
            case _, Abort():
                self.abort("the server ended the session")  # its reason stands in the message; errors quote no peer
                return []
            case Invited(), Invitation(session, params):
                self._admit(params)
                self._journal.open(session)
                self._state, advert = advertise_keys(session, params, self._identity, self._rng)
                return [advert]
            case KeysAdvertised() as state, Roster():
                self._state, shares = share_keys(state, message, self._registry, self._rng)
                return [shares]
            case KeysShared() as state, Delivery():
                ready = receive_shares(state, message)
                self._state = ready
                return self._on_ready(ready)
            case InputMasked() as state, Survivors():
                return self._on_survivors(state, check_survivors(state, message))
            case ViewSigned() as state, Consistency():
                check_consistency(state, message)
                return self._release(state.masked, state.view.survivors)
            case _:
                return self._on_other(message)

    def _on_survivors(self, masked: InputMasked, survivors: frozenset[int]) -> list[Any]:
        if not masked.ready.keys.setup.params.malicious:
            return self._release(masked, survivors)
        self._state, statement = sign_view(masked, survivors)
        return [statement]

    def _release(self, masked: InputMasked, survivors: frozenset[int]) -> list[Any]:
        """Note that this sum is answered, for ever, before the answer leaves."""
        self._journal.answer(masked.ready.keys.setup.session, masked.sum)
        self._state, answer = unmask(masked, survivors)
        return [answer]

    def _between_sums(self) -> Ready:
        """The state to enter a further sum from. One that still waits for its survivors is closed by that."""
        match self._state:
            case Ready() as ready:
                return ready
            case InputMasked(ready) | ViewSigned(InputMasked(ready)):
                return ready
        raise LocalProtocolError("no sum can be entered before the keys are shared")

    def _admit(self, params: Params) -> None:
        """Check a session's parameters before any key exists; subclasses add theirs."""
        self._limits.admit(params)
        try:
            params.check()
        except SecureFLError as error:
            raise FaultyServerError(f"the session's parameters cannot be kept: {error}") from None

    def _enter(self, opening: Opening, values: Sequence[NDArray[np.integer]]) -> list[Any]:
        """Mask an input for a sum that opens now."""
        self._state, masked = mask_input(self._between_sums(), opening, values)
        return [masked]

    def suspend(self) -> bytes:
        """The whole session as bytes, for an engine that runs a process per message; this object is over with it.

        They hold every secret of the session: keep them in memory that is as private, never in a file. They serve
        once, `resume` in a client made with the same identity, registry and journal; the journal sees to it.
        """
        session = suspension.session_of(self._state)
        data = suspension.suspend(self._state, self._journal.suspend(session))
        self.abort("it was suspended; go on with the client that resumes it")
        return data

    def resume(self, data: bytes) -> None:
        """Take up a suspended session in a fresh client."""
        if not isinstance(self._state, Invited):
            raise LocalProtocolError("only a fresh client can resume a session")
        state, stage = suspension.resume(data, self._identity)
        self._journal.resume(suspension.session_of(state), stage)
        self._state = state

    @abstractmethod
    def _on_ready(self, ready: Ready) -> list[Any]:
        """The keys are shared: what to send now."""

    def _on_other(self, message: Any) -> list[Any]:
        """A message that is not the set-up's."""
        raise UnexpectedMessageError(f"{type(message).__name__} does not belong in state {type(self._state).__name__}")


class Client(Participant):
    """A client of plain sums.

    `inputs`: by sum, one integer array of shape (words,) for each of its segments.
    """

    def __init__(
        self,
        identity: Identity,
        registry: Collection[bytes],
        inputs: Mapping[str, Sequence[NDArray[np.integer]]],
        *,
        limits: Limits | None = None,
        journal: Journal | None = None,
        rng: Rng = os.urandom,
    ) -> None:
        super().__init__(identity, registry, limits=limits, journal=journal, rng=rng)
        self._inputs = dict(inputs)

    def _admit(self, params: Params) -> None:
        super()._admit(params)
        if params.by_rows:
            raise FaultyServerError("the session sums by rows, and shows a client of plain sums no rows")
        if not {s.name for s in params.sums} <= self._inputs.keys():
            raise LocalProtocolError(f"inputs: the session has a sum that is none of {', '.join(sorted(self._inputs))}")

    def _on_ready(self, ready: Ready) -> list[Any]:
        first = ready.keys.setup.params.sums[0].name
        return self._mask(ready, first, (ready.keys.id, *sorted(ready.neighbours)))

    def _on_other(self, message: Any) -> list[Any]:
        match self._state, message:
            case Ready() | InputMasked() | ViewSigned(), OpenSum(name, live):
                ready = self._between_sums()
                if name not in {s.name for s in ready.keys.setup.params.sums}:
                    raise UnexpectedMessageError("a sum that the session does not have")
                return self._mask(ready, name, tuple(live))
        return super()._on_other(message)

    def _mask(self, ready: Ready, name: str, live: tuple[int, ...]) -> list[Any]:
        return self._enter(Opening(ready.keys.setup.params.sum(name), live), self._inputs[name])
