"""The peer: the stages of flwr's own `SecAggPlusWorkflow` against its own `secaggplus_mod`, in one process.

Every message goes to bytes and back through flwr's own protobuf codec, the cheaper of the two it has (deployment also
hashes every object). No socket, no Ray, no training, and an empty model on the way down.
"""

from __future__ import annotations

import logging
import os

# flwr reads these when it is imported.
os.environ.setdefault("FLWR_TELEMETRY_ENABLED", "0")
os.environ.setdefault("FLWR_DISABLE_UPDATE_CHECK", "1")

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
from flwr.app import ConfigRecord, Context, Error, Message, RecordDict
from flwr.client.mod import secaggplus_mod
from flwr.common import Code, FitIns, FitRes, Status, ndarrays_to_parameters, parameters_to_ndarrays
from flwr.common.serde import message_from_proto, message_to_proto
from flwr.compat.common import recorddict_compat
from flwr.proto.message_pb2 import Message as ProtoMessage
from flwr.server import LegacyContext, ServerConfig
from flwr.server.workflow import SecAggPlusWorkflow
from flwr.server.workflow.constant import MAIN_CONFIGS_RECORD, MAIN_PARAMS_RECORD, Key
from flwr.server.workflow.secure_aggregation.secaggplus_workflow import WorkflowState
from flwr.supercore.task_identity import TaskIdentity
from numpy.typing import NDArray

from secagg.case import CLIP, QUANTIZATION_BITS, SERVER, Case, DidNotFinishError, Stopwatch

INPUT_STAGE = 2
"""The stage at which a client masks its input, and at which it may be lost."""

logging.getLogger("flwr").setLevel(logging.CRITICAL)
TaskIdentity.run_id = TaskIdentity.node_id = TaskIdentity.task_id = 1  # a process that makes messages must have them


class FlowerSession:
    """One round of SecAgg+; also the `Grid` and the `Strategy` that its workflow talks to."""

    label = "flower"

    def __init__(self, case: Case, tick: Callable[[str], None]) -> None:
        self.watch, self._case, self._tick = Stopwatch(), case, tick
        self.uploaded: dict[int, int] = defaultdict(int)
        self._nodes = {2 + u: u for u in range(case.clients)}
        """node id -> client; 1 is the server's"""
        self._contexts = {node: Context(1, node, {}, RecordDict(), {}) for node in self._nodes}
        self._opened = ndarrays_to_parameters([])

    def steps(self) -> Iterator[None]:
        """Set-up, share keys, collect masked vectors, unmask."""
        case = self._case
        flow = SecAggPlusWorkflow(
            case.degree,
            case.threshold,
            max_weight=1,
            clipping_range=CLIP,
            quantization_range=2**QUANTIZATION_BITS,
        )
        stages = (flow.setup_stage, flow.share_keys_stage, flow.collect_masked_vectors_stage, flow.unmask_stage)
        context, state = self._context(), WorkflowState()
        for stage in stages:
            with self.watch.of(SERVER):
                goes_on = stage(self, context, state)  # type: ignore[arg-type]  # a grid by duck typing
            if not goes_on:
                raise DidNotFinishError(f"flower: halted in {stage.__name__}")
            self.watch.step += 1
            yield

    def result(self) -> NDArray[np.floating]:
        """The mean that the workflow handed to its strategy."""
        return parameters_to_ndarrays(self._opened)[0]

    def send_and_receive(self, messages: Iterable[Message], timeout: float | None = None) -> list[Message]:
        """`Grid`: the replies of all nodes."""
        del timeout
        return [self._exchange(message) for message in messages]

    def configure_fit(self, *_: Any) -> list[tuple[Any, FitIns]]:
        """`Strategy`: everybody takes part."""
        fit = FitIns(ndarrays_to_parameters([]), {})
        return [(SimpleNamespace(node_id=node, cid=str(node)), fit) for node in self._nodes]

    def aggregate_fit(self, _round: int, results: list[tuple[Any, FitRes]], _failures: Any) -> tuple[Any, Any]:
        """`Strategy`: keep what was opened."""
        self._opened = results[0][1].parameters
        return self._opened, {}

    def _context(self) -> LegacyContext:
        context = Context(1, 1, {}, RecordDict(), {})
        manager = SimpleNamespace(num_available=lambda: self._case.clients)
        legacy = LegacyContext(context, ServerConfig(1), self, manager)  # type: ignore[arg-type]  # by duck typing
        legacy.state.config_records[MAIN_CONFIGS_RECORD] = ConfigRecord({Key.CURRENT_ROUND: 1})
        empty = recorddict_compat.parameters_to_arrayrecord(ndarrays_to_parameters([]), True)
        legacy.state.array_records[MAIN_PARAMS_RECORD] = empty
        return legacy

    def _exchange(self, message: Message) -> Message:
        """Called on the server's time."""
        client = self._nodes[message.metadata.dst_node_id]
        reply = self._answer(client, _encode(message))
        return Message(Error(1, "lost"), reply_to=message) if reply is None else _decode(reply)

    def _answer(self, client: int, frame: bytes) -> bytes | None:
        """The reply of a client; None of a lost one."""
        self._tick(f"flower: stage {self.watch.step + 1} of 4, client {client + 1} of {self._case.clients}")
        if client in self._case.lost and self.watch.step == INPUT_STAGE:
            return None
        with self.watch.of(client):
            message = _decode(frame)
            reply = _encode(secaggplus_mod(message, self._contexts[message.metadata.dst_node_id], self._train(client)))
        self.uploaded[client] += len(reply)
        return reply

    def _train(self, client: int) -> Callable[[Message, Context], Message]:
        """A client app without training: its answer is ready before it is asked, off the client's clock."""
        with self.watch.of(None):
            parameters = ndarrays_to_parameters([self._case.vector(client)])
            content = recorddict_compat.fitres_to_recorddict(FitRes(Status(Code.OK, ""), parameters, 1, {}), True)
        return lambda message, _: Message(content, reply_to=message)


def _encode(message: Message) -> bytes:
    frame: bytes = message_to_proto(message).SerializeToString()
    return frame


def _decode(frame: bytes) -> Message:
    return message_from_proto(ProtoMessage.FromString(frame))
