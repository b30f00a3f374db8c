"""docs/spec says what the code does: labels, messages, fields, bounds, sizes, errors, and where things stand."""

from __future__ import annotations

import json
import re
import struct
from pathlib import Path
from typing import Any, get_args

import pytest
from library import DIRECTIONS, load
from msgspec import inspect

import psu
from securefl import crypto, errors
from securefl.crypto import suite
from securefl.secagg import to_client, to_server
from securefl.secagg.messages import (
    AdvertiseKeys,
    Bundle,
    Consistency,
    ConsistencyCheck,
    MaskedInput,
    ShareKeys,
    Unmasking,
)
from securefl.transcript import Label
from securefl.wire import MAX_BYTES, VERSION, Message

HERE = Path(__file__).parent
SPEC = HERE.parents[1] / "docs" / "spec"
PAGES = {page.name: page.read_text() for page in SPEC.glob("*.md")}
WIRE = PAGES["wire.md"]


def table(text: str, after: str) -> list[list[str]]:
    """The rows of the first table behind a piece of text, cell by cell, without its head."""
    lines = text[text.index(after) + len(after) :].splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("|"))
    stop = next((i for i in range(start, len(lines)) if not lines[i].startswith("|")), len(lines))
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[start + 2 : stop]]


def test_labels() -> None:
    rows = [(name, value.strip("`")) for name, value, *_ in table(PAGES["derivations.md"], "## 1. Labels")]
    assert rows == [(label.name, label.value.decode()) for label in Label]


def test_messages_and_their_directions() -> None:
    carried = {direction: {kind.__name__ for kind in get_args(union)} for direction, (_, union) in DIRECTIONS.items()}
    kinds = {kind for _, union in DIRECTIONS.values() for kind in get_args(union)}
    expected = []
    for kind in sorted(kinds, key=lambda kind: kind.__struct_config__.tag):
        to = "client" if any("client" in d for d, names in carried.items() if kind.__name__ in names) else "server"
        plain, in_round = (
            "yes" if kind.__name__ in carried[f"{session}, to the {to}"] else ""
            for session in ("plain sums", "submodel round")
        )
        expected.append([str(kind.__struct_config__.tag), kind.__name__, to, plain, in_round])
    assert table(WIRE, "## 3. Messages") == expected


def power(number: int) -> str:
    if number < 2**17:
        return str(number)
    power = (number + 1).bit_length() - 1
    return f"2^{power}" + {0: "", 1: "-1"}[2**power - number]


def span(low: int | None, high: int | None) -> str:
    if not low and high is None:
        return ""
    return f" {low}" if low == high else f" {low or 0}..{power(high or 0)}"


def notation(info: Any) -> str:
    """A type as wire.md writes it."""
    match info:
        case inspect.IntType(ge=low, le=high):
            return f"int {low}..{power(high)}"
        case inspect.FloatType(gt=low):
            return f"float > {low}"
        case inspect.BoolType():
            return "bool"
        case inspect.BytesType(low, high):
            return f"bytes{span(low, high)}"
        case inspect.StrType(low, high, None):
            return f"text{span(low, high)}"
        case inspect.StrType(_, high, pattern):
            return f"text `{pattern.removeprefix('^').removesuffix(chr(92) + 'Z')}`, 0..{high}"
        case inspect.LiteralType(values):
            return " or ".join(f'"{value}"' for value in values)
        case inspect.StructType(cls):
            return cls.__name__
        case inspect.UnionType(types):
            return " or ".join(sorted(map(notation, types), key=lambda text: text == "nil"))
        case inspect.NoneType():
            return "nil"
        case inspect.DictType(key, value):
            assert notation(key) == "int 1..2^24"
            return f"map from id to {notation(value)}"
        case inspect.TupleType(items):
            (item,) = set(map(notation, items))
            return f"list {len(items)} of {item}"
        case inspect.ListType(item) | inspect.VarTupleType(item):
            of = "ids" if notation(item) == "int 1..2^24" else notation(item)
            return f"list{span(info.min_length, info.max_length)} of {of}"
    raise NotImplementedError(f"no notation for {info}")


def structs(info: Any) -> dict[str, inspect.StructType]:
    """Every struct that a type is made of."""
    found = {info.cls.__name__: info} if isinstance(info, inspect.StructType) else {}
    inner = getattr(info, "fields", ()) or getattr(info, "types", ()) or getattr(info, "item_types", ())
    for part in [*inner, *(getattr(info, name, None) for name in ("item_type", "key_type", "value_type"))]:
        if part is not None:
            found |= structs(getattr(part, "type", part))
    return found


STRUCTS = {name: s for _, union in DIRECTIONS.values() for name, s in structs(inspect.type_info(union)).items()}


@pytest.mark.parametrize("name", STRUCTS)
def test_fields(name: str) -> None:
    rows = [(field, kind) for field, kind, _ in table(WIRE, f"\n### {name}\n")]
    assert rows == [(field.name, notation(field.type)) for field in STRUCTS[name].fields]


def test_no_struct_is_left_out_and_none_invented() -> None:
    assert set(re.findall(r"^### (\w+)$", WIRE, re.MULTILINE)) == set(STRUCTS)
    assert all(issubclass(info.cls, Message) and info.array_like for info in STRUCTS.values())


def test_frames() -> None:
    assert f"version (1 byte, {VERSION:#04x})" in WIRE
    assert f"2 to 2^{MAX_BYTES.bit_length() - 1} bytes" in WIRE
    assert 1 << MAX_BYTES.bit_length() - 1 == MAX_BYTES


def test_the_union_plan() -> None:
    plan = psu.UnionPlan("filter", 0x0102, 0x0101, 0x0304, 0x05060708, 9, 10)
    values = {"version": 1, "kind": 1} | {name: value for name, value in vars(plan).items() if name != "kind"}
    data, at = plan.to_bytes(), 0
    for where, field, _ in table(WIRE, "### Union plan"):
        first, _, last = where.partition("..")
        start, stop = int(first), int(last or first) + 1
        assert start == at
        assert int.from_bytes(data[start:stop], "little") == values.pop(field)
        at = stop
    assert at == len(data) == 28
    assert not values


def frame_bytes(message: Any) -> int:
    return len((to_client if isinstance(message, Consistency) else to_server).encode(message))


def sizes(kem: str, sums: int) -> dict[str, int]:
    def advert() -> AdvertiseKeys:
        return AdvertiseKeys(bytes(32), bytes(suite(kem).public_bytes), bytes(64 * sums), bytes(64))

    def bundles(count: int) -> ShareKeys:
        bundle = Bundle(bytes(suite(kem).overhead + 112 * sums), bytes(96 * sums))
        return ShareKeys(dict.fromkeys(range(1, count + 1), bundle), bytes(64))

    def pads(count: int) -> MaskedInput:
        return MaskedInput("update", [], dict.fromkeys(range(1, count + 1), bytes(32)), [])

    def shares(count: int) -> Unmasking:
        return Unmasking("update", dict.fromkeys(range(1, count + 1), bytes(40)))

    def signatures(count: int) -> Consistency:
        return Consistency("update", dict.fromkeys(range(1, count + 1), bytes(64)))

    return {
        "AdvertiseKeys": frame_bytes(advert()),
        "one Bundle, with its id": frame_bytes(bundles(2)) - frame_bytes(bundles(1)),
        "one pad, with its id": frame_bytes(pads(2)) - frame_bytes(pads(1)),
        "one share, with its id": frame_bytes(shares(2)) - frame_bytes(shares(1)),
        "one signature, with its id": frame_bytes(signatures(2)) - frame_bytes(signatures(1)),
        "ConsistencyCheck": frame_bytes(ConsistencyCheck("update", bytes(64))),
    }


def test_sizes() -> None:
    columns = [sizes("x25519", 1), sizes("x25519", 2), sizes("x25519-mlkem768", 2)]
    expected = [[what, *(str(column[what]) for column in columns)] for what in columns[0]]
    assert table(WIRE, "## 7. Sizes") == expected


def test_suites() -> None:
    for name, _, public, enc in table(PAGES["derivations.md"], "## 6. Boxes"):
        numbers = [sum(map(int, re.findall(r"\b(1184|32|1088)\b", cell))) for cell in (public, enc)]
        assert [suite(name).public_bytes, suite(name).overhead - 16] == numbers


def test_errors() -> None:
    named = {name.strip("`"): row for name, *row in table(PAGES["session.md"], "## 1. Errors")}
    for name in named:
        assert hasattr(errors, name) or hasattr(crypto, name)
    used = set(re.findall(r'"error": "(\w+)"', "".join(path.read_text() for path in HERE.glob("*.json"))))
    assert used <= set(named)


def test_the_index_lists_the_files_and_counts_the_refusals() -> None:
    index, refusals = PAGES["index.md"], load("refusals.json")
    listed = [name.strip("`") for name, _ in table(index, "--check\n```\n")]
    assert sorted(listed) == sorted(path.name for path in HERE.glob("*.json"))
    assert f"{sum(map(len, refusals.values()))} frames that a client" in index


@pytest.mark.parametrize("path", [*sorted(HERE.rglob("*.py")), *sorted(SPEC.glob("*.md"))], ids=lambda path: path.name)
def test_sections_that_are_named_exist(path: Path) -> None:
    for page, sections in re.findall(r"(\w+\.md), sections? (\d+(?:(?:, | and | to )\d+)*)", path.read_text()):
        for number in re.findall(r"\d+", sections):
            assert re.search(rf"^## {number}\. ", PAGES[page], re.MULTILINE), f"{page} has no section {number}"
    for page, anchor in re.findall(r"\]\(([\w.]*)#([\w-]+)\)", path.read_text() if path.suffix == ".md" else ""):
        titles = re.findall(r"^#+ (.*)$", PAGES[page or path.name], re.MULTILINE)
        assert anchor in {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def test_vectors_that_are_named_exist() -> None:
    named = re.findall(r"`(\w+\.json)`: ((?:`\w+`(?:, )?)+)", PAGES["derivations.md"] + PAGES["session.md"])
    assert named
    for name, keys in named:
        assert set(re.findall(r"`(\w+)`", keys)) <= set(json.loads((HERE / name).read_text()))


def test_the_example_frame() -> None:
    example = re.search(r"```\n(01 +version\n.*?)```", WIRE, re.DOTALL)
    assert example
    lines = [re.split(r"  +", line)[0] for line in example[1].splitlines()]
    data = bytes.fromhex("".join(lines).replace("..", "").replace(" ", "")) + struct.pack("40x")
    assert to_server.decode(data) == Unmasking("a", {2: bytes(40)})
