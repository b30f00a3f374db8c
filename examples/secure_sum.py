"""Ten clients, one of them lost: the server learns the sum of the others' vectors, and no vector."""

import numpy as np

from securefl.crypto import Identity
from securefl.engine.exchange import Exchange
from securefl.secagg import Client, Params, Segment, Server, Sum, messages, signed, to_client, to_server

identities = [Identity.generate() for _ in range(10)]
registry = frozenset(i.public for i in identities)  # in the field: a list that the server cannot write

segment = Segment("steps", bits=24, words=5)
params = Params(clients=10, threshold=6, colluders=2, kem="x25519-mlkem768", sums=(Sum("walks", (segment,)),))

inputs = {i.public: np.arange(5) * number for number, i in enumerate(identities, start=1)}
clients = {i.public: Client(i, registry, {"walks": [inputs[i.public]]}) for i in identities}
server = Server(params, registry)
lost = identities[0].public


def loses(client: bytes, message: object) -> bool:
    """The first client's masked vector never arrives."""
    return client == lost and isinstance(message, messages.MaskedInput)


Exchange(server, clients, to_client, to_server, loses).run()

total = signed(segment, server.results["walks"]["steps"])
clear = sum(vector for client, vector in inputs.items() if client != lost)
print(f"{len(server.survivors['walks'])} of 10 clients are in the sum {total.tolist()}")
if not np.array_equal(total, clear):
    raise SystemExit("the secure sum differs from the clear one")
