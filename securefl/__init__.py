"""securefl: secure aggregation, private set union and federated submodel learning."""

from __future__ import annotations

__version__ = "0.1.0"
