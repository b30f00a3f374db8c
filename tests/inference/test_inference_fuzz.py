"""Files of ours from somebody else: what is wrong with them is named, nothing else happens. E3."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dins import trained
from foreign import WAYS, accepted_or_named, content, save_net
from hypothesis import given, settings
from hypothesis import strategies as st

from securefl.inference import ModelError, load_prepared, load_submodel, save_submodel

KINDS = ("prepared", "submodel")
HOSTILE = st.sampled_from(
    [
        -1,
        0,
        1,
        2,
        7,
        64,
        2**31,
        2**62,
        2**70,
        -(2**63),
        0.5,
        "",
        "x",
        "Conv",
        "Attention",
        "float64",
        None,
        [],
        {},
        [[]],
    ]
)


def leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Paths to everything in some JSON."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for key, each in inner for found in leaves(each, (*path, key)))]


def changed(value: Any, path: tuple[Any, ...], new: object) -> Any:
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = changed(copy[path[0]], path[1:], new)
    return copy


def at(value: Any, path: tuple[Any, ...]) -> Any:
    return at(value[path[0]], path[1:]) if path else value


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=40)
@given(data=st.data())
def test_a_cut_or_longer_file(kind: str, data: st.DataObject) -> None:
    whole = content(kind)
    cut = data.draw(st.integers(0, len(whole)))
    accepted_or_named(kind, whole[:cut] + data.draw(st.binary(max_size=9)))


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=120)
@given(data=st.data())
def test_a_file_with_other_bytes(kind: str, data: st.DataObject) -> None:
    damaged = bytearray(content(kind))
    first = WAYS[kind].header
    header = first + 8 + int.from_bytes(damaged[first : first + 8], "little")
    for _ in range(data.draw(st.integers(1, 4))):
        end = data.draw(st.sampled_from([header, len(damaged)]))
        damaged[data.draw(st.integers(0, end - 1))] = data.draw(st.integers(0, 255))
    accepted_or_named(kind, bytes(damaged))


def header_of(kind: str) -> Any:
    """The JSON of a sound file."""
    whole, first = content(kind), WAYS[kind].header
    return json.loads(whole[first + 8 : first + 8 + int.from_bytes(whole[first : first + 8], "little")])


def with_header(kind: str, header: Any) -> bytes:
    """The sound file with another header; a prepared net's arrays begin at a multiple of 64."""
    whole, first, said = content(kind), WAYS[kind].header, json.dumps(header).encode()
    end = first + 8 + int.from_bytes(whole[first : first + 8], "little")
    unit = 64 if kind == "prepared" else 1
    before = whole[:first] + len(said).to_bytes(8, "little") + said
    return before + bytes(-len(before) % unit) + whole[-(-end // unit) * unit :]


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=200)
@given(data=st.data())
def test_a_header_that_says_something_else(kind: str, data: st.DataObject) -> None:
    """It stays JSON, and so passes the parser; what it says does not fit."""
    header = header_of(kind)
    for _ in range(data.draw(st.integers(1, 2))):
        paths = leaves(header)
        path, other = data.draw(st.sampled_from(paths)), data.draw(st.sampled_from(paths))
        header = changed(header, path, data.draw(st.one_of(HOSTILE, st.just(at(header, other)))))
    accepted_or_named(kind, with_header(kind, header))


def test_prepared_weights_that_fit_no_kernel_are_named(tmp_path: Path) -> None:
    """Every one of them, cut to a single item."""
    header = header_of("prepared")
    for name in header["prepared"]:
        (tmp_path / "net").write_bytes(with_header("prepared", changed(header, ("prepared", name, 1), [1])))
        with pytest.raises(ModelError, match=" -> "):
            load_prepared(tmp_path / "net")


def test_a_prepared_file_is_never_written_through(tmp_path: Path) -> None:
    save_net(tmp_path / "net")
    before = (tmp_path / "net").read_bytes()
    WAYS["prepared"].run(tmp_path / "net")
    assert (tmp_path / "net").read_bytes() == before


def test_a_header_nested_without_end_is_named(tmp_path: Path) -> None:
    said = b'{"settings":{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}}"
    (tmp_path / "net").write_bytes(content("prepared")[:8] + len(said).to_bytes(8, "little") + said)
    with pytest.raises(ModelError, match="header is damaged"):
        load_prepared(tmp_path / "net")


@pytest.mark.parametrize("folder", ["absent", "folder"])
def test_what_is_no_file_is_named(folder: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for load in (load_prepared, load_submodel):
        with pytest.raises(ModelError, match=folder):
            load(tmp_path / folder)


def test_items_out_of_order_are_named(tmp_path: Path) -> None:
    model = trained(0).submodel()
    object.__setattr__(model, "items", model.items[::-1].copy())
    save_submodel(model, tmp_path / "s")
    with pytest.raises(ModelError, match="sorted and distinct"):
        load_submodel(tmp_path / "s")


def test_rows_that_are_too_many_are_named(tmp_path: Path) -> None:
    model = trained(0).submodel()
    object.__setattr__(model, "rows", np.vstack([model.rows, model.rows]))
    save_submodel(model, tmp_path / "s")
    with pytest.raises(ModelError, match="has rows of"):
        load_submodel(tmp_path / "s")
