"""A client between two messages: bytes in `context.state`, which Flower holds in the memory of the node."""

from __future__ import annotations

from typing import Any, Final, cast

import msgspec
from flwr.app import ConfigRecord, Context

from securefl.engine.flower.arrays import ArraysPlan
from securefl.engine.flower.carriage import Envelope
from securefl.errors import MessageError
from securefl.secagg import Aborted, Participant
from securefl.secagg.messages import MaskedInput
from securefl.secagg.uploading import Ready

SESSION: Final = "securefl.session"
"""The record that holds it."""


class Luggage(msgspec.Struct, array_like=True):
    """The suspended client, and what its next process needs beside it."""

    plan: bytes = b""
    registry: bytes = b""
    """Identity keys one after the other, as the server said them: believed in simulations only."""
    inputs: dict[str, list[bytes]] = {}
    """By sum that is still to come, an int64 array for each segment."""
    client: bytes = b""

    @property
    def arrays(self) -> ArraysPlan:
        """What a session of plain sums sums; `MessageError` if that is no plan."""
        try:
            return msgspec.msgpack.decode(self.plan, type=ArraysPlan)
        except msgspec.MsgspecError:
            raise MessageError("a plan that is none") from None

    def names(self) -> frozenset[bytes]:
        """The registry as keys."""
        return frozenset(self.registry[at : at + 32] for at in range(0, len(self.registry), 32))


def wake(envelope: Envelope, context: Context) -> Luggage:
    """The session that sleeps here; `MessageError`, and it sleeps on, unless the message belongs to it."""
    saved = context.state.config_records.get(SESSION)
    if saved is None or saved["session"] != envelope.session:
        raise MessageError("a message of a session that this node is not in")
    return msgspec.msgpack.decode(cast(bytes, saved["luggage"]), type=Luggage)


def forget(context: Context) -> None:
    """Nothing sleeps here any more."""
    context.state.config_records.pop(SESSION, None)


def put_to_sleep(session: bytes, client: Participant, luggage: Luggage, answers: list[Any], context: Context) -> None:
    """Suspend a client, unless its session is over: then nothing is left of it."""
    for one in answers:
        if isinstance(one, MaskedInput):
            luggage.inputs.pop(one.sum, None)
    if isinstance(client.state, Aborted) or _is_over(client.state):
        client.abort("it is over")
        return
    luggage.client = client.suspend()
    context.state.config_records[SESSION] = ConfigRecord(
        {"session": session, "luggage": msgspec.msgpack.encode(luggage)}
    )


def _is_over(state: object) -> bool:
    """Whether every sum has its answer, or can have none any more."""
    return isinstance(state, Ready) and state.closed >= {one.name for one in state.keys.setup.params.sums}
