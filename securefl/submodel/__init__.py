"""One secure submodel round: private union, deniable claims, masked per-row sums and counts.

Source: Niu et al., "Secure Federated Submodel Learning" (arXiv 1911.02254), with the repairs that
docs/explanation/round.md tells.
"""

from __future__ import annotations

from securefl.secagg.quantize import Quantization, dequantize, quantize
from securefl.submodel.client import Downloaded, SubmodelClient, SubmodelLimits
from securefl.submodel.messages import to_client, to_server
from securefl.submodel.noise import UpdateNoise
from securefl.submodel.plan import UNION, UPDATE, SubmodelPlan, Table, map_hash
from securefl.submodel.server import RoundSums, RowSums, SubmodelServer
from securefl.submodel.update import QuantizedUpdate, noised

__all__ = [
    "UNION",
    "UPDATE",
    "Downloaded",
    "Quantization",
    "QuantizedUpdate",
    "RoundSums",
    "RowSums",
    "SubmodelClient",
    "SubmodelLimits",
    "SubmodelPlan",
    "SubmodelServer",
    "Table",
    "UpdateNoise",
    "dequantize",
    "map_hash",
    "noised",
    "quantize",
    "to_client",
    "to_server",
]
