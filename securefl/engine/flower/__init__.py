"""The same protocol on Flower (extra `flower`): its SuperLink carries the frames, its nodes run the clients.

Server: `secure_aggregate`, `secure_round` and `latest_round` in a ServerApp's `main`. Client:
`SecureClient(...).register(app)`. Written for flwr 1.41.
"""

from __future__ import annotations

from securefl.engine.flower.arrays import ArraySpec, Weighted
from securefl.engine.flower.client import Part, SecureClient
from securefl.engine.flower.enrolment import Enrolled, enrol
from securefl.engine.flower.home import FOLDER, SIMULATION
from securefl.engine.flower.latest import LatestRound, latest_round
from securefl.engine.flower.post import Post
from securefl.engine.flower.rounds import Global, SecureRound, secure_round
from securefl.engine.flower.sums import Aggregate, Terms, secure_aggregate
from securefl.engine.flower.watching import LogWatch, Metrics
from securefl.secagg.quantize import Quantization

__all__ = [
    "FOLDER",
    "SIMULATION",
    "Aggregate",
    "ArraySpec",
    "Enrolled",
    "Global",
    "LatestRound",
    "LogWatch",
    "Metrics",
    "Part",
    "Post",
    "Quantization",
    "SecureClient",
    "SecureRound",
    "Terms",
    "Weighted",
    "enrol",
    "latest_round",
    "secure_aggregate",
    "secure_round",
]
