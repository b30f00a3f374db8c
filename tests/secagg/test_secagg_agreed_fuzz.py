"""Whatever the types of parameters and plans allow is checked: kept, or refused in one sentence. A7, A12, D4 and E3."""

from __future__ import annotations

from typing import Any, get_args

import msgspec
import pytest
from builds import messages
from hypothesis import event, given
from hypothesis import strategies as st
from rounds import PLAN

import psu
from securefl.crypto import SUITES
from securefl.errors import ConfigurationError, SecureFLError
from securefl.secagg import Params, Segment, Sum
from securefl.secagg.finder import MAX_CLIENTS
from securefl.secagg.params import Setting, default_threshold
from securefl.submodel import SubmodelPlan

CLIENTS = st.integers(3, 12) | st.sampled_from([1000, 1 << 16, MAX_CLIENTS])
KEMS = st.sampled_from([*SUITES, "another"])
SETTINGS = st.sampled_from(get_args(Setting))
SUMS = (Sum("a", (Segment("x", 8, 3),)),)
PROBABILITIES = st.sampled_from(["0", "1", "1/2", "3/4", "1/16", "15/16", "3/2", "1/0", "0/0", "9" * 18])
UNIONS = st.sampled_from(
    [
        psu.UnionPlan("bitmap", 12, 6, 16, 12, 12, 1).to_bytes(),
        psu.UnionPlan("filter", 12, 3, 1 << 16, 600, 12, 4).to_bytes(),
        PLAN.union,
    ]
)


def kept(checked: Any) -> bool:
    """Whether `check` returns its own; else it raises the one error."""
    try:
        assert checked.check() is checked
    except ConfigurationError:
        event("refused")
        return False
    event("kept")
    return True


@st.composite
def any_params(draw: st.DrawFn) -> Params:
    """Parameters that are right but for some parts: numbers around each other's bounds, or whatever the types allow."""
    clients = draw(CLIENTS)
    near = st.integers(2, 9) | st.sampled_from([clients // 2, 2 * clients // 3, clients - 2, clients - 1, clients])
    right = Params(clients, default_threshold(clients), 0, "x25519", SUMS, setting=draw(SETTINGS))
    parts: dict[str, st.SearchStrategy[Any]] = {
        "threshold": near,
        "colluders": near | st.just(1),
        "degree": near | st.sampled_from([100, 200]),
        "min_survivors": near,
        "kem": KEMS,
        "sums": messages(tuple[Sum, ...]).filter(bool),
        "plan": st.binary(max_size=32),
    }
    names = draw(st.sets(st.sampled_from(sorted(parts)), max_size=3))
    return msgspec.structs.replace(right, **{name: draw(parts[name]) for name in sorted(names)})


@given(params=any_params())
def test_a7_a12_any_params_are_kept_or_refused(params: Params) -> None:
    if not kept(params):
        return
    assert params.needed <= params.clients
    assert params.degree is not None or params.colluders < params.threshold
    assert len({s.name for s in params.sums}) == len(params.sums)
    assert len(params.hash) == 32
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(params), type=Params) == params


@st.composite
def any_plan(draw: st.DrawFn) -> SubmodelPlan:
    """Any parts of a plan that the types allow, in the place of those of one that is right."""
    other = draw(messages(SubmodelPlan))
    union = draw(UNIONS | st.binary(max_size=40))
    names = draw(st.sets(st.sampled_from(SubmodelPlan.__struct_fields__), max_size=3))
    parts = {name: getattr(other, name) for name in names}
    if "union" in names:
        parts["union"] = union
    if "response" in names:
        parts["response"] = draw(st.tuples(*[PROBABILITIES] * 4))
    return msgspec.structs.replace(PLAN, **parts)


@given(plan=any_plan(), clients=CLIENTS, threshold=st.integers(2, 9), colluders=st.integers(0, 9))
def test_d4_any_plan_is_kept_or_refused(plan: SubmodelPlan, clients: int, threshold: int, colluders: int) -> None:
    if not kept(plan):
        with pytest.raises(SecureFLError):
            plan.params(clients=clients, threshold=threshold, colluders=colluders, kem="x25519")
        return
    assert plan.union_plan.universe == plan.tables[0].rows
    try:
        params = plan.params(clients=clients, threshold=threshold, colluders=colluders, kem="x25519")
    except ConfigurationError:
        return
    event("agreed")
    assert params.plan == plan.hash
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(params), type=Params) == params
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(plan), type=SubmodelPlan) == plan
