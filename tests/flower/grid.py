"""Flower's grid in this process, with nodes that lose, delay and break messages on request.

What a node gets and gives passes through Flower's own encoding, as does its context between two messages, so that
nothing survives that would not survive the end of a process.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from flwr.app import Context, Error, Message, RecordDict
from flwr.app.error import Error as FlowerError
from flwr.clientapp import ClientApp
from flwr.common.serde import context_from_proto, context_to_proto, message_from_proto, message_to_proto
from flwr.server.utils.validator import validate_message
from flwr.serverapp import Grid
from flwr.supercore.run import Run
from flwr.supercore.task_identity import TaskIdentity

from securefl.engine.flower.carriage import RECORD

TaskIdentity.run_id, TaskIdentity.node_id, TaskIdentity.task_id = 7, 1, 1


@dataclass
class Node:
    """One SuperNode: its app and all that is left of it between two messages."""

    app: ClientApp
    number: int
    node_config: dict[str, Any]
    run_config: dict[str, Any]
    state: bytes = b""
    handled: int = 0

    def handle(self, message: Message) -> Message:
        from flwr.proto.message_pb2 import Context as ProtoContext

        context = Context(7, self.number, self.node_config, RecordDict(), self.run_config)
        if self.state:
            context = context_from_proto(ProtoContext.FromString(self.state))
        self.handled += 1
        try:
            reply = self.app(message, context)
        except Exception as error:  # as Flower's own process does
            reply = Message(Error(2, repr(error)), reply_to=message)
        self.state = context_to_proto(context).SerializeToString()
        return reply

    def restart(self) -> None:
        """The process dies: Flower's memory is gone, folders stay."""
        self.state = b""


Fault = Callable[[int, str, Message], Any]
"""node, name of the server's message and the message: None, "lost", a delay in seconds, or a function of the reply."""


def no_fault(_node: int, _step: str, _message: Message) -> Any:
    return None


@dataclass
class FakeGrid(Grid):
    """As many nodes as there are apps; `fault` decides what happens to each message."""

    nodes: dict[int, Node]
    fault: Fault = no_fault
    sent: list[tuple[int, str]] = field(default_factory=list)
    gone: bool = False
    _ready: dict[str, tuple[float, Message]] = field(default_factory=dict)
    _names: Any = field(default_factory=itertools.count)

    def set_run(self, run: Run) -> None: ...

    @property
    def run(self) -> Run:
        return Run.create_empty(7)

    def create_message(self, *_: Any, **__: Any) -> Message:
        raise NotImplementedError

    def get_node_ids(self) -> Iterable[int]:
        return list(self.nodes)

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        names = []
        for message in messages:
            while self.gone:
                time.sleep(0.01)
            name = f"message {next(self._names)}"
            message.metadata.__dict__["_message_id"] = name
            names.append(name)
            self._deliver(message_from_proto(message_to_proto(message)), name)
        return names

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        now = time.monotonic()
        came = [name for name in message_ids if name in self._ready and self._ready[name][0] <= now]
        return [self._ready.pop(name)[1] for name in came]

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> Iterable[Message]:
        raise NotImplementedError

    def _deliver(self, message: Message, name: str) -> None:
        node = self.nodes[message.metadata.dst_node_id]
        step = step_of(message)
        self.sent.append((node.number, step))
        fault = self.fault(node.number, step, message)
        if fault == "lost":
            return
        message.metadata.__dict__["_src_node_id"] = 1
        message.metadata.__dict__["_message_id"] = name
        reply = node.handle(message)
        reply.metadata.__dict__["_src_node_id"] = node.number
        reply.metadata.__dict__["_message_id"] = f"reply to {name}"
        reply.metadata.__dict__["_reply_to_message_id"] = name
        reply = message_from_proto(message_to_proto(reply))
        if validate_message(reply, is_reply_message=True):
            return  # as the SuperLink does: whoever waits for it waits in vain
        if callable(fault):
            reply = fault(reply)
        self._ready[name] = (time.monotonic() + (fault if isinstance(fault, float) else 0.0), reply)


def step_of(message: Message) -> str:
    """The name of the server's message in an envelope."""
    import msgspec

    record = message.content[RECORD]
    if record["kind"] == "enrolment":
        return "Enrolment"
    tag = msgspec.msgpack.decode(record["frame"][1:])[0]
    return STEPS[tag]


def _steps() -> dict[int, str]:
    from securefl.federation import latest_session as latest
    from securefl.secagg import messages as plain
    from securefl.submodel import messages as rounds

    kinds = [*plain.ToClient.__args__, *rounds.ToClient.__args__, latest.LatestInvitation]
    return {kind.__struct_config__.tag: kind.__name__ for kind in kinds}


STEPS = _steps()


def error_reply(reply: Message) -> Message:
    """Flower's own error in the place of a reply."""
    return Message(FlowerError(8, "the process crashed"), metadata=reply.metadata)


def make_grid(
    apps: list[ClientApp],
    *,
    fault: Fault = no_fault,
    node_config: Callable[[int], dict[str, Any]] = lambda _: {},
    run_config: dict[str, Any] | None = None,
) -> FakeGrid:
    """Node 101 runs the first app, and so on; a simulation unless the configurations say otherwise."""
    config = {"securefl-simulation": True} if run_config is None else run_config
    return FakeGrid(
        {
            100 + i: Node(app, 100 + i, {"partition-id": i - 1} | node_config(i), config)
            for i, app in enumerate(apps, 1)
        },
        fault,
    )
