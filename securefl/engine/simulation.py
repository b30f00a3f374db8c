"""A secure sum of arrays in one call: every client and the server in this process, the real protocol between them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from securefl.crypto import Identity
from securefl.engine.exchange import Exchange
from securefl.errors import ConfigurationError
from securefl.secagg import (
    Client,
    Params,
    Segment,
    Server,
    Sum,
    default_threshold,
    messages,
    shards,
    signed,
    to_client,
    to_server,
)
from securefl.secagg.params import COMPLETE_GRAPH_CLIENTS, Setting
from securefl.secagg.spool import Spool

NAME = "sum"
STEPS = {
    kind.__name__: kind
    for kind in (
        messages.AdvertiseKeys,
        messages.ShareKeys,
        messages.MaskedInput,
        messages.ConsistencyCheck,
        messages.Unmasking,
    )
}


@dataclass(frozen=True, slots=True)
class SecureSum:
    """What the server learned, and what it took."""

    total: NDArray[np.int64]
    """The sum of the survivors' arrays, in their shape."""
    survivors: tuple[int, ...]
    """Positions of the arrays that are in the sum."""
    bytes_up: float
    bytes_down: float
    """Mean bytes of a client, every message counted."""
    shards: int


def simulate(
    arrays: Sequence[NDArray[np.integer]],
    *,
    threshold: int | None = None,
    dropouts: Mapping[int, str] | Collection[int] = (),
    colluders: int = 0,
    kem: str = "x25519-mlkem768",
    setting: Setting = "semi_honest",
    degree: int | None = None,
    spool: Spool | None = None,
) -> SecureSum:
    """Sum integer arrays of one shape so that the server sees only the sum.

    `threshold`: shares that open a secret; default two thirds. `dropouts`: positions of clients that are lost, with
    the message that never arrives ("AdvertiseKeys", "ShareKeys", "MaskedInput", "ConsistencyCheck", "Unmasking";
    "MaskedInput" if none is named). `degree`: neighbours on a sparse graph; without it, cohorts above 128 are shards.
    Raises `ConfigurationError` for arguments that cannot be kept, `TooFewSurvivorsError` if too many are lost.
    """
    clients = _checked(arrays)
    lost = _losses(dropouts, len(clients))
    segment = Segment("array", _ring_bits(clients), clients[0].size)
    cohorts = [list(range(len(clients)))] if degree else shards.split(range(len(clients)), COMPLETE_GRAPH_CLIENTS)
    parts = []
    for cohort in cohorts:
        agreed = Params(
            len(cohort),
            default_threshold(len(cohort)) if threshold is None else threshold,
            colluders,
            kem,
            (Sum(NAME, (segment,)),),
            degree,
            setting=setting,
        )
        parts.append(_session(agreed.check(), {i: clients[i] for i in cohort}, lost, spool))
    total = signed(segment, shards.add([part.opened for part in parts])[segment.name])
    sent = np.sum([part.bytes for part in parts], axis=0) / len(clients)
    survivors = sorted(i for part in parts for i in part.survivors)
    return SecureSum(total.reshape(clients[0].shape), tuple(survivors), float(sent[1]), float(sent[0]), len(parts))


@dataclass(frozen=True, slots=True)
class _Part:
    opened: Mapping[str, Any]
    survivors: list[int]
    bytes: tuple[int, int]


def _session(
    agreed: Params, arrays: Mapping[int, NDArray[np.integer]], lost: Mapping[int, type], spool: Spool | None
) -> _Part:
    identities = {position: Identity.generate() for position in arrays}
    positions = {identity.public: position for position, identity in identities.items()}
    nodes = {
        identity.public: Client(identity, positions.keys(), {NAME: [arrays[position].reshape(-1)]})
        for position, identity in identities.items()
    }
    server, sizes = Server(agreed, list(positions), spool=spool), [0, 0]

    def loses(name: bytes, message: Any) -> bool:
        return type(message) is lost.get(positions[name])

    def on_sent(_name: bytes, _message: Any, size: int, up: bool) -> None:
        sizes[up] += size

    Exchange(server, nodes, to_client, to_server, loses, on_sent).run()
    survivors = [positions[server.name_of(client)] for client in server.survivors[NAME]]
    return _Part(server.results[NAME], survivors, (sizes[0], sizes[1]))


def _checked(arrays: Sequence[NDArray[np.integer]]) -> list[NDArray[np.integer]]:
    clients = [np.asarray(array) for array in arrays]
    if len(clients) < 3:
        raise ConfigurationError(f"arrays: {len(clients)} clients; a secure sum needs at least 3")
    if any(a.dtype.kind not in "iu" for a in clients):
        raise ConfigurationError(
            "arrays: a secure sum is over integers; quantize floats first (securefl.secagg.quantize)"
        )
    if len({a.shape for a in clients}) != 1 or not clients[0].size:
        raise ConfigurationError("arrays: all clients need one shape, and at least one number")
    return clients


def _losses(dropouts: Mapping[int, str] | Collection[int], clients: int) -> dict[int, type]:
    named = dropouts if isinstance(dropouts, Mapping) else dict.fromkeys(dropouts, "MaskedInput")
    for position, step in named.items():
        if not 0 <= position < clients:
            raise ConfigurationError(f"dropouts: there is no client {position}; positions are 0 to {clients - 1}")
        if step not in STEPS:
            raise ConfigurationError(f"dropouts: {step!r} is no message of a client; use one of {', '.join(STEPS)}")
    return {position: STEPS[step] for position, step in named.items()}


def _ring_bits(arrays: Sequence[NDArray[np.integer]]) -> int:
    """The smallest ring in which no sum can wrap, signed."""
    largest = max(max(abs(int(a.min())), abs(int(a.max()))) for a in arrays)
    bits = max(2, (len(arrays) * largest).bit_length() + 1)
    if bits > 64:
        raise ConfigurationError(
            f"arrays: a sum of {len(arrays)} numbers up to {largest} needs {bits} bits; at most 64"
        )
    return bits
