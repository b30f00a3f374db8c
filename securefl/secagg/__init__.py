"""Sans-IO secure aggregation: the server learns sums, and nothing else, of vectors that clients mask.

Sources: Bonawitz et al. 2017 (masked sums), Bell et al. 2020 (sparse graph). `Client` and `Server` take messages and
return messages; whoever embeds them carries the bytes (`to_client` and `to_server` are the codecs).
"""

from __future__ import annotations

from securefl.secagg import messages, shards
from securefl.secagg.client import Aborted, Client, Participant
from securefl.secagg.finder import FailureExponents, degree_and_threshold, failure_exponents
from securefl.secagg.graph import Graph
from securefl.secagg.limits import Limits
from securefl.secagg.masking import Opening, Rows, cut, signed
from securefl.secagg.params import Params, Segment, Sum, default_threshold
from securefl.secagg.server import Outgoing, Server
from securefl.wire import Codec

to_client: Codec[messages.ToClient] = Codec(messages.ToClient)
to_server: Codec[messages.ToServer] = Codec(messages.ToServer)

__all__ = [
    "Aborted",
    "Client",
    "FailureExponents",
    "Graph",
    "Limits",
    "Opening",
    "Outgoing",
    "Params",
    "Participant",
    "Rows",
    "Segment",
    "Server",
    "Sum",
    "cut",
    "default_threshold",
    "degree_and_threshold",
    "failure_exponents",
    "messages",
    "shards",
    "signed",
    "to_client",
    "to_server",
]
