"""A hypothesis strategy for every message type, from its own annotations: what a codec declares, it must carry."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from msgspec import inspect

from securefl import secagg, submodel
from securefl.federation import latest_session
from securefl.submodel import messages as rounds
from securefl.wire import Codec

MANY = 3
"""Longest list or map that is built."""

CODECS: dict[str, tuple[Codec[Any], Any]] = {
    "secagg to client": (secagg.to_client, secagg.messages.ToClient),
    "secagg to server": (secagg.to_server, secagg.messages.ToServer),
    "submodel to client": (submodel.to_client, rounds.ToClient),
    "submodel to server": (submodel.to_server, rounds.ToServer),
    "latest to client": (latest_session.to_client, latest_session.ToClient),
}
"""Each codec with the union of types that it carries."""


def messages(union: Any) -> st.SearchStrategy[Any]:
    return of(inspect.type_info(union))


def of(info: Any) -> st.SearchStrategy[Any]:
    match info:
        case inspect.UnionType(types):
            return st.one_of(*map(of, types))
        case inspect.StructType(cls, fields):
            return st.builds(cls, *(of(field.type) for field in fields))
        case inspect.ListType(item) | inspect.VarTupleType(item):
            shortest = info.min_length or 0
            listed = st.lists(of(item), min_size=shortest, max_size=max(shortest, MANY))
            return listed.map(tuple) if isinstance(info, inspect.VarTupleType) else listed
        case inspect.TupleType(items):
            return st.tuples(*map(of, items))
        case inspect.DictType(key, value):
            return st.dictionaries(of(key), of(value), max_size=MANY)
        case inspect.BytesType(shortest, longest):
            return st.binary(min_size=shortest or 0, max_size=min(longest or 99, 99))
        case inspect.StrType(shortest, longest, None):
            return st.text(min_size=shortest or 0, max_size=min(longest or 20, 20))
        case inspect.StrType(_, _, pattern):
            return st.from_regex(pattern)
        case inspect.IntType():
            return st.integers(info.ge, info.le)
        case inspect.FloatType():
            return st.floats(min_value=info.gt, exclude_min=True)
        case inspect.BoolType():
            return st.booleans()
        case inspect.LiteralType(choices):
            return st.sampled_from(choices)
        case inspect.NoneType():
            return st.none()
    raise NotImplementedError(f"no strategy for {info}")
