"""Advice as strict JSON: what was wished for, what is proposed, and the other odds there were."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from securefl.federation.records import to_plain

if TYPE_CHECKING:
    from securefl.audit.adviser import Advice, Offer

__all__ = ["advice_to_json"]


def advice_to_json(advice: Advice) -> str:
    """Two-space indented JSON, one trailing newline. Epsilons are in nats, bytes those of one client and round."""
    sparse = advice.sparse
    told = {
        "wish": asdict(advice.wish),
        "shards": advice.wish.shards,
        "proposed": _offer(advice.proposed) | {"settings": advice.settings},
        "abort_probability": advice.failure,
        "others": [_offer(offer) for offer in advice.others if offer is not advice.proposed],
        "plain_sums": None if sparse is None else {"degree": sparse[0], "threshold": sparse[1]},
    }
    return json.dumps(to_plain(told), indent=2, allow_nan=False) + "\n"


def _offer(offer: Offer) -> dict[str, Any]:
    config, union, traffic = offer.config, offer.union, offer.traffic
    return {
        "response": config.privacy.response,
        "honest_claimants": config.privacy.honest_claimants,
        "row_floor": config.row_floor_of(config.cohort.clients),
        "epsilon_round": offer.epsilon_round,
        "epsilon_ever": offer.epsilon_ever,
        "guess_rate": offer.guess_rate,
        "lone_rows_that_go_up": offer.goes_up,
        "rows_claimed": offer.claims,
        "union": asdict(union) | {"expected_false": union.expected_false},
        "bytes_up": traffic.up,
        "bytes_down": traffic.down,
    }
