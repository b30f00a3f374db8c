"""A node that does what its node-config says: what it should, or one thing wrong."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from flwr.app import ConfigRecord, Context, Message, RecordDict
from flwr.clientapp import ClientApp

from securefl.engine.flower import SecureClient, enrolment
from securefl.engine.flower.arrays import Input
from securefl.engine.flower.carriage import ACTION, RECORD
from securefl.secagg import Limits

app = ClientApp()
LARGE = 200_000


def arrays(_request: RecordDict, context: Context) -> Mapping[str, Input]:
    """A digit of its own; of another model, more of them."""
    seat = int(context.node_config["partition-id"])
    return {"digits": np.full(7 if context.node_config.get("fault") == "model" else 5, 10**seat)}


@app.query(ACTION)
def answer(message: Message, context: Context) -> Message:
    """With the fault of this node, if it has one."""
    fault = context.node_config.get("fault")
    enrolment.VERSION = 2 if fault == "version" else enrolment.VERSION
    limits = Limits(min_clients=50) if fault == "config" else None
    reply = SecureClient(arrays=arrays, limits=limits)(message, context)
    if fault == "large" and message.content[RECORD]["kind"] == "sums":
        reply.content[RECORD] = ConfigRecord({"frames": [bytes(LARGE)]})
    return reply
