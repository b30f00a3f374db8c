"""What a submodel round adds: index sets, claimants, and what an update's masks are bound to.

docs/spec/derivations.md, sections 11 and 12.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise

from reference.errors import FaultyServerError, MessageError
from reference.masks import pack, unpack
from reference.messages import PLAN, Fields
from reference.params import needed
from reference.setup import Opening, SetUp
from reference.transcript import digest, transcript_hash
from reference.wire import pack as message_pack

BITMAP, GAPS = 0, 1

Maps = Mapping[str, Sequence[int]]
"""By following table, the row that goes with each index of the first."""
Tables = Mapping[str, Sequence[tuple[int, bytes, frozenset[int]]]]
"""By table, (index, bytes, claimants) of the rows that a party knows, ascending."""


def plan_hash(plan: Fields) -> bytes:
    return transcript_hash("plan", message_pack(PLAN.write(plan)))


def map_hash(public_map: Sequence[int]) -> bytes:
    return digest("plan", "map", b"".join(row.to_bytes(8, "little") for row in public_map))


def encode_index_set(indices: Sequence[int], size: int) -> bytes:
    """A kind byte, then the gaps if they are shorter than a bitmap, else the bitmap."""
    gaps = b"".join(leb128(b - a - 1) for a, b in pairwise([-1, *indices]))
    bitmap = pack([int(i in indices) for i in range(size)], 1)
    return bytes((GAPS,)) + gaps if len(gaps) < len(bitmap) else bytes((BITMAP,)) + bitmap


def decode_index_set(data: bytes, size: int) -> list[int]:
    """The way back; MessageError for anything but what `encode_index_set` writes."""
    if data[:1] == bytes((BITMAP,)) and len(data) == 1 + -(-size // 8):
        bits = int.from_bytes(data[1:], "little")
        indices = [i for i in range(size) if bits >> i & 1]
    elif data[:1] == bytes((GAPS,)) and len(data) <= 1 + -(-size // 8):
        indices = read_gaps(data[1:])
    else:
        raise MessageError("malformed")
    if indices and indices[-1] >= size:
        raise MessageError("malformed")
    if encode_index_set(indices, size) != data:
        raise MessageError("not canonical")
    return indices


def read_gaps(data: bytes) -> list[int]:
    indices, last, number, shift = [], -1, 0, 0
    for byte in data:
        number, shift = number | (byte & 127) << shift, shift + 7
        if byte < 128:
            last += number + 1
            indices.append(last)
            number = shift = 0
    if shift:
        raise MessageError("malformed")
    return indices


def leb128(number: int) -> bytes:
    """Seven bits in a byte, the lowest first; all but the last byte have their high bit set."""
    out = b""
    while number >= 128:
        out, number = out + bytes((number & 127 | 128,)), number >> 7
    return out + bytes((number,))


def pack_claimants(claimants: Sequence[Collection[int]], live: Sequence[int]) -> bytes:
    return pack([int(u in row) for row in claimants for u in live], 1)


def unpack_claimants(data: bytes, rows: int, live: Sequence[int]) -> list[frozenset[int]]:
    bits = iter(unpack(data, 1, rows * len(live)))
    return [frozenset(u for u in live if next(bits)) for _ in range(rows)]


def row_digest(session: bytes, table: str, index: int, data: bytes) -> bytes:
    return digest("row", session, "update", table, index, data)


def binding(union: bytes, dense: bytes) -> bytes:
    """`union`, `dense`: the bytes as received."""
    return digest("binding", digest("union", union), digest("dense", dense))


def claimed_tables(plan: Fields, maps: Maps, model: Mapping[str, bytes], claims: Mapping[int, Sequence[int]]) -> Tables:
    """The server's view: of every table the rows that anybody claims. `claims`: by id, indices of the first table."""
    tables = {}
    for table in plan["tables"]:
        size = 2 * table["width"]
        own = {u: followed(indices, maps.get(table["name"])) for u, indices in claims.items()}
        tables[table["name"]] = [
            (j, model[table["name"]][size * j : size * j + size], frozenset(u for u in own if j in own[u]))
            for j in sorted(set().union(*own.values()))
        ]
    return tables


def followed(indices: Sequence[int], public_map: Sequence[int] | None) -> list[int]:
    """Claimed rows of a table: the indices themselves, or the rows that the table's public map leads to."""
    return list(indices) if public_map is None else sorted({public_map[j] for j in indices})


def submodel_of(u: int, live: Sequence[int], dense: bytes, tables: Tables) -> Fields:
    """What the server sends to one claimant."""
    slices = []
    for table in tables.values():
        own = [(data, claimants) for _, data, claimants in table if u in claimants]
        rows, claimants = b"".join(data for data, _ in own), pack_claimants([who for _, who in own], live)
        slices.append({"rows": rows, "claimants": claimants})
    return {"live": list(live), "dense": dense, "tables": slices}


def read_submodel(u: int, plan: Fields, maps: Maps, indices: Sequence[int], message: Fields) -> Tables:
    """A claimant's view: its own rows."""
    live = message["live"]
    if u not in live or live != sorted(set(live)):
        raise FaultyServerError("the live clients are not ascending ids with this one among them")
    if len(message["dense"]) != 2 * plan["dense"] or len(message["tables"]) != len(plan["tables"]):
        raise FaultyServerError("not the plan's shapes")
    tables = {}
    for table, part in zip(plan["tables"], message["tables"], strict=True):
        own, size = followed(indices, maps.get(table["name"])), 2 * table["width"]
        if len(part["rows"]) != len(own) * size:
            raise FaultyServerError("not as many rows as were claimed")
        try:
            claimants = unpack_claimants(part["claimants"], len(own), live)
        except ValueError:
            raise FaultyServerError("not the plan's shapes") from None
        if not all(u in who for who in claimants):
            raise FaultyServerError("a claimed row without this client among its claimants")
        data = [part["rows"][at : at + size] for at in range(0, len(part["rows"]), size)]
        tables[table["name"]] = list(zip(own, data, claimants, strict=True))
    return tables


def update_opening(
    setup: SetUp, plan: Fields, live: Sequence[int], union: bytes, dense: bytes, tables: Tables
) -> Opening:
    """The sum `update` as one party sees it: of its rows, those with enough claimants."""
    floor = row_floor(setup.params, plan, len(live))
    rows = {
        name: [(row_digest(setup.session, name, j, data), who) for j, data, who in table if len(who) >= floor]
        for name, table in tables.items()
    }
    return Opening("update", live, binding(union, dense), rows)


def row_floor(params: Fields, plan: Fields, live: int) -> int:
    """Claimants that a lying server invented can be declared lost, and shares of noise: as many are not counted."""
    may_be_lost = params["setting"] == "malicious" or plan["noise"] is not None
    lost = max(0, live - needed(params)) if may_be_lost else 0
    return int(plan["row_floor"] + lost)
