"""Plans, maps, index sets and limits: what a client refuses before it draws a key. Attacks A12, C1, C3, D4 and D7."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from rounds import (
    CATEGORIES,
    CATEGORY_OF,
    DENSE,
    DENSE_LAYERS,
    FIVE,
    ITEMS,
    MAPS,
    PLAN,
    TABLES,
    agree,
    make_client,
    make_plan,
    play,
    union_plan,
)

import dp
import psu
from securefl.errors import ConfigurationError, FaultyServerError, LocalProtocolError, ProtocolError
from securefl.secagg import Aborted, Limits, Params, Segment, Sum
from securefl.submodel import (
    Quantization,
    SubmodelClient,
    SubmodelLimits,
    SubmodelPlan,
    SubmodelServer,
    Table,
    map_hash,
)
from securefl.submodel.messages import RoundInvitation


def invite(client: SubmodelClient, plan: SubmodelPlan, params: Params | None = None) -> list[Any]:
    return client.receive(RoundInvitation(bytes(32), params or agree(plan, 5, 3), plan))


def forbidden(_size: int) -> bytes:
    raise AssertionError("a key was drawn")


def check_refused(
    plan: SubmodelPlan,
    error: type[ProtocolError],
    sentence: str,
    *,
    params: Params | None = None,
    held: list[int] | None = None,
    **others: Any,
) -> None:
    """A client ends the round before it draws a key."""
    client = make_client(1, held or [0, 1], 5, key_rng=forbidden, **others)
    with pytest.raises(error, match=sentence):
        invite(client, plan, params or carrying(plan))
    assert isinstance(client.state, Aborted)


def carrying(plan: SubmodelPlan) -> Params:
    """Parameters that carry a plan, whatever is wrong with it."""
    try:
        sums = plan.sums
    except ValueError:
        sums = PLAN.sums
    return Params(5, 3, 1, "x25519", sums, None, plan.hash)


HOW = Quantization(8, 1.0, 10)
IMPOSSIBLE: dict[str, tuple[dict[str, Any], str]] = {
    "c1 rows that wrap": ({"ring_bits": 13}, "ring_bits: 13 carry 3 clients .* use ring_bits=14"),
    "c1 rows that wrap at the weights": ({"row_quantization": Quantization(8, 1.0, 1 << 20)}, "use ring_bits=31"),
    "c1 dense layers that wrap": ({"dense_quantization": Quantization(24, 1.0, 10)}, "use ring_bits=30"),
    "a12 a ring of 1 bit": ({"ring_bits": 1}, "ring_bits: 1 carry 0 clients"),
    "c3 no clip": ({"row_quantization": Quantization(8, 0.0, 1)}, "clip: must be a finite number above 0"),
    "more claimants than clients": ({"row_floor": 6}, "row floor: no row can have 6 claimants among 5 clients"),
    "a union of another universe": (
        {"tables": (Table("items", ITEMS + 1, 2),)},
        "union: its universe is not the first table's rows",
    ),
    "a map for the first table": (
        {"tables": (Table("items", ITEMS, 2, map_hash(CATEGORY_OF)),)},
        "tables: the first one follows no map",
    ),
    "d4 a union for fewer clients": (
        {"union": psu.UnionPlan("bitmap", ITEMS, 6, 4, cells=ITEMS, bits=32, hashes=1).to_bytes()},
        "union: made for 4 clients, the cohort has 5",
    ),
    "d4 a union plan of noise": ({"union": b"noise"}, "union or response: not one that this code can keep"),
    "d4 a union plan out of range": ({"union": union_plan().to_bytes()[:-1] + b"\xff"}, "union or response"),
    "a probability above 1": ({"response": ("9/8", "0", "1", "0")}, "union or response"),
    "a division by 0": ({"response": ("1/0", "0", "1", "0")}, "union or response"),
    "two tables of one name": (
        {"tables": (Table("items", ITEMS, 2), Table("items", CATEGORIES, 1, map_hash(CATEGORY_OF)))},
        "two segments of one sum share a name",
    ),
    "a table named as the dense layers": ({"tables": (Table("dense", ITEMS, 2),)}, "two segments of one sum share"),
    "a row too long to mask": ({"tables": (Table("items", ITEMS, 1 << 18),)}, "a row of 262145 words is too long"),
}


@pytest.mark.parametrize(("change", "sentence"), IMPOSSIBLE.values(), ids=list(IMPOSSIBLE))
def test_a_plan_that_cannot_be_kept_is_refused_by_both_sides(change: dict[str, Any], sentence: str) -> None:
    plan = make_plan(**change)
    with pytest.raises(ConfigurationError, match=sentence):
        agree(plan, 5, 3)
    check_refused(plan, FaultyServerError, f"the plan cannot be kept: .*{sentence}")


def test_c1_the_ring_that_is_just_wide_enough_is_accepted() -> None:
    """Three clients at 8 bits and weights up to 10 need 3 * 10 * 255 + 1 values; five need 14 bits."""
    agree(make_plan(ring_bits=14), 5, 3)
    agree(make_plan(ring_bits=13), 3, 2)


OTHER_PLANS: dict[str, Params] = {
    "a12 another plan's hash": agree(make_plan(training=(("learning_rate", "9"),)), 5, 3),
    "no plan's hash": Params(5, 3, 1, "x25519", PLAN.sums),
    "another width": agree(make_plan(ring_bits=25), 5, 3),
    "sums of its own": Params(5, 3, 1, "x25519", (Sum("a", (Segment("x", 8, 1),)),), None, PLAN.hash),
    "a sum too many": Params(5, 3, 1, "x25519", (*PLAN.sums, Sum("a", (Segment("x", 8, 1),))), None, PLAN.hash),
    "one sum only": Params(5, 3, 1, "x25519", PLAN.sums[:1], None, PLAN.hash),
    "a13 a sparse graph": Params(5, 3, 1, "x25519", PLAN.sums, 4, PLAN.hash),
}


@pytest.mark.parametrize("params", OTHER_PLANS.values(), ids=list(OTHER_PLANS))
def test_a_plan_that_the_parameters_do_not_carry_is_refused(params: Params) -> None:
    check_refused(PLAN, FaultyServerError, "not the one whose hash the parameters carry", params=params)


@pytest.mark.parametrize(
    "maps",
    [{}, {"categories": CATEGORY_OF + 1}, {"categories": CATEGORY_OF[:-1]}, {"other": CATEGORY_OF}],
    ids=["missing", "another", "too short", "of another name"],
)
def test_a_public_map_that_is_not_the_plans_is_refused(maps: dict[str, np.ndarray]) -> None:
    check_refused(PLAN, FaultyServerError, "a public map that this client does not have", maps=maps)
    with pytest.raises(ConfigurationError, match="the public map of 'categories' is not the one in the plan"):
        SubmodelServer(agree(PLAN, 5, 3), PLAN, DENSE_LAYERS, TABLES, [], maps=maps)


MODELS: dict[str, tuple[dict[str, Any], str]] = {
    "dense too long": ({"dense": np.zeros(DENSE + 1)}, r"the plan's model is dense \(3,\)"),
    "dense 2-D": ({"dense": np.zeros((DENSE, 1))}, "the plan's model is"),
    "no tables": ({"tables": {}}, "the plan's model is"),
    "a table too many": ({"tables": TABLES | {"other": TABLES["items"]}}, "the plan's model is"),
    "a row too few": ({"tables": TABLES | {"items": TABLES["items"][:-1]}}, "'items': \\(12, 2\\)"),
    "rows too wide": ({"tables": TABLES | {"items": np.zeros((ITEMS, 3))}}, "the plan's model is"),
    "another plan": ({"plan": make_plan(row_floor=2)}, "params: they carry another plan"),
    "sums of its own": ({"params": OTHER_PLANS["sums of its own"]}, "params: they carry another plan"),
}


@pytest.mark.parametrize(("change", "sentence"), MODELS.values(), ids=list(MODELS))
def test_a_server_serves_no_model_but_the_plans(change: dict[str, Any], sentence: str) -> None:
    model = {"params": agree(PLAN, 5, 3), "plan": PLAN, "dense": DENSE_LAYERS, "tables": TABLES} | change
    with pytest.raises(LocalProtocolError, match=sentence):
        SubmodelServer(**model, invited=[], maps=MAPS)


@pytest.mark.parametrize("dtype", [np.int32, np.uint8, ">i8"])
def test_a_public_map_is_known_by_its_values(dtype: type) -> None:
    assert map_hash(CATEGORY_OF.astype(dtype)) == map_hash(CATEGORY_OF)


LIMITS: dict[str, tuple[dict[str, Any], str]] = {
    "a low row floor": ({"submodel_limits": SubmodelLimits(min_row_floor=2)}, "row floor at least 2"),
    "d4 cells": ({"submodel_limits": SubmodelLimits(max_cells=ITEMS - 1)}, f"at most {ITEMS - 1} cells"),
    "a low threshold": ({"limits": Limits(min_threshold=4)}, "threshold must be at least 4"),
    "too few clients": ({"limits": Limits(min_clients=6)}, "clients must be 6 to"),
    "too many residues": ({"limits": Limits(max_words=20)}, "at most 20 residues"),
}


@pytest.mark.parametrize(("limits", "sentence"), LIMITS.values(), ids=list(LIMITS))
def test_a_clients_limits_refuse_before_any_key(limits: dict[str, Any], sentence: str) -> None:
    check_refused(PLAN, FaultyServerError, sentence, **limits)


def test_a_clients_limits_admit_what_is_at_their_edge() -> None:
    edge = {
        "limits": Limits(min_threshold=3, min_clients=5, max_clients=5, max_words=ITEMS + DENSE + 1 + 3 + 2),
        "submodel_limits": SubmodelLimits(min_row_floor=1, max_cells=ITEMS, max_union=6),
    }
    played = play(PLAN, 3, FIVE, clients={1: make_client(1, FIVE[1], 5, **edge)})
    assert played.server.union.size == 6
    assert played.is_exact(FIVE.keys())


@pytest.mark.parametrize(
    "held",
    [[1, 1], [2, 1], [-1, 2], [[1]], [0.5], ["a"]],
    ids=["repeated", "unsorted", "negative", "2-D", "floats", "text"],
)
def test_d7_what_is_no_index_set_is_refused_at_once(held: list[Any]) -> None:
    with pytest.raises(ConfigurationError, match="index_set must"):
        SubmodelClient(make_client(1, [], 5)._identity, [], np.array(held), dp.InMemoryMemo())


def test_d7_an_index_beyond_the_universe_is_refused_before_any_key() -> None:
    check_refused(PLAN, LocalProtocolError, f"below the first table's {ITEMS} rows", held=[0, ITEMS])
