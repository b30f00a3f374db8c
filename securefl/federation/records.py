"""What a finished run tells: one record a round, and their summary. The JSON of `securefl demo` is made of these."""

from __future__ import annotations

import json
import math

import msgspec

PHASES = ("advertise_keys", "share_keys", "union", "claim", "train", "update")
"""The phases of a submodel round, in order.

``train`` is the download of the rows, the local training and the masking of its result (a client that never uploads was
lost there); ``update`` is the masked upload and everything up to the opened sum.
"""


class RoundRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One round. Byte counts are of encoded messages, keys included; means are over clients that finished."""

    round: int
    """1-based number of the round."""
    exact: bool
    """Every sum that was opened equals, in the ring, the sum of the survivors' clear inputs."""
    checked: bool = True
    """False where nobody could look: over a network no party has the clear inputs. `exact` is then only not refuted."""
    completed: bool
    """False if too few clients survived: nothing was opened after that point and the model did not change."""
    abort: str | None
    """The error sentence of a round that did not complete."""
    auc: float | None
    """Test AUC after the round; None where undefined (one class only), and after rounds that are not judged."""
    loss: float | None = None
    """Mean loss in the last epoch of those that trained, in nats, by samples; None if nobody did. Never sent."""
    clients: int
    """Cohort size."""
    finishers: int
    """Clients that answered every message of the round."""
    bytes_up_per_client: float
    bytes_down_per_client: float
    bytes_up: dict[str, float]
    """Mean bytes from a finishing client to the server, by phase."""
    bytes_down: dict[str, float]
    """Mean bytes from the server to a finishing client, by phase."""
    union_size: int
    """Indices in the decoded union, false positives of a filter included."""
    union_false: int
    """Of these, how many no surviving client held."""
    union_lost: int
    """Indices that a surviving client held and the union misses."""
    rows_uploaded: int
    rows_left_out: int
    """Claimed rows (all tables) below the row floor: left out by every claimant alike."""
    epsilon_claims_round: float
    """Per index, of the claims sent in this round; ``inf`` for no privacy."""
    epsilon_claims_ever: float
    epsilon_claims_spent: float = 0.0
    """Per index, of all claims so far of the client that was invited most often."""
    epsilon_sums_spent: float | None = None
    """All sums so far, of the updates of the client invited most often, at `privacy.delta`; None: no noise."""
    dropouts: dict[str, int]
    """Clients lost, by the phase in which they were lost."""
    seconds: dict[str, float]
    """Wall-clock seconds of the whole simulation (all clients and the server), by phase."""


class RunSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A whole run: means over the rounds that completed; dropouts and seconds are sums over all rounds."""

    exact: bool
    rounds: int
    rounds_completed: int
    auc_start: float | None
    auc_end: float | None
    bytes_up_per_client: float
    bytes_down_per_client: float
    full_model_bytes: int
    """Up + down of one secure round over the whole shared model: same ring widths, keys and cohort."""
    union_size: float
    rows_left_out: float
    epsilon_claims_round: float
    epsilon_claims_ever: float
    dropouts: dict[str, int]
    seconds: dict[str, float]
    private: bool
    """False when the claims, blinding and rounding came from a seed: a simulation, not private."""
    plain: bool = False
    """No masks: the server read every input. For comparison."""
    data: dict[str, int | float | str]
    """Name, users, items, categories, samples of the click log."""
    settings: dict[str, object]
    """The configuration that ran, in full."""
    per_round: list[RoundRecord]


def to_line(record: RoundRecord) -> str:
    """One line of JSON, without its end: infinity is the string "inf", an undefined number null."""
    return json.dumps(to_plain(msgspec.to_builtins(record)), allow_nan=False)


def read_line(line: str) -> RoundRecord:
    """The record of its line. Raises `msgspec.ValidationError` or `DecodeError`."""
    record = msgspec.json.decode(line, type=RoundRecord, strict=False)
    if not set(PHASES) == record.seconds.keys() == record.dropouts.keys():
        raise msgspec.ValidationError("a record without the phases of a round")
    return record


def to_plain(value: object) -> object:
    """What strict JSON can hold: infinity as "inf", NaN as null."""
    match value:
        case dict():
            return {key: to_plain(item) for key, item in value.items()}
        case list() | tuple():
            return [to_plain(item) for item in value]
        case float() if math.isnan(value):
            return None
        case float() if math.isinf(value):
            return "inf" if value > 0 else "-inf"
    return value
