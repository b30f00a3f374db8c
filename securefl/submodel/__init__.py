"""One secure submodel round: private union, deniable claims, masked per-row sums and counts.

Source: Niu et al., "Secure Federated Submodel Learning" (arXiv 1911.02254), with the repairs that
docs/explanation/round.md tells.
"""

from __future__ import annotations

from securefl.secagg.quantize import Quantization, dequantize, quantize
from securefl.submodel.client import Downloaded, QuantizedUpdate, SubmodelClient, SubmodelLimits
from securefl.submodel.messages import to_client, to_server
from securefl.submodel.plan import UNION, UPDATE, SubmodelPlan, Table, map_hash
from securefl.submodel.server import RoundSums, RowSums, SubmodelServer

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
    "dequantize",
    "map_hash",
    "quantize",
    "to_client",
    "to_server",
]
