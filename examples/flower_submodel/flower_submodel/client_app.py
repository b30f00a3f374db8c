"""A node: its user's device."""

from flwr.app import Context, RecordDict
from flwr.clientapp import ClientApp

from flower_submodel.world import setup
from securefl.engine.flower import Part, SecureClient
from securefl.engine.flower.training import Device


def part(request: RecordDict, context: Context) -> Part:
    """The user whose number is the node's `partition-id`."""
    return Device(setup(context), int(context.node_config["partition-id"]))(request, context)


app = ClientApp()
SecureClient(rounds=part).register(app)
