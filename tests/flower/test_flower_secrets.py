"""What a session keeps secret is in `context.state` between two messages, and in no file of the node, ever."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

pytest.importorskip("flwr", reason="needs flwr: not an importable package")

from flwr.app import Message
from flwr.common.serde import context_from_proto
from flwr.proto.message_pb2 import Context as ProtoContext
from grid import FakeGrid, Node, make_grid
from test_flower_latest import World as LatestWorld
from test_flower_rounds import World as RoundWorld
from test_flower_sums import FAST, SPECS, N, app

from securefl.engine.flower import FOLDER, secure_aggregate
from securefl.engine.flower.sleep import SESSION, Luggage
from securefl.store import NodeStore, write_registry

WIDTH = 16
"""Half of any secret."""
FILES = {"identity.pem", "stores.json", "registry.txt", "journal.sqlite", "memo.sqlite", "updates.sqlite"}


def windows(data: bytes) -> set[bytes]:
    """Every piece of `WIDTH` bytes that is not nearly all the same byte."""
    pieces = {data[at : at + WIDTH] for at in range(len(data) - WIDTH + 1)}
    return {piece for piece in pieces if len(set(piece)) >= WIDTH // 2}


def asleep(node: Node) -> tuple[bytes, bytes]:
    """The session that sleeps at a node, and its suspended client; empty for none."""
    context = context_from_proto(ProtoContext.FromString(node.state))
    record = context.state.config_records.get(SESSION)
    if record is None:
        return b"", b""
    return record["session"], msgspec.msgpack.decode(record["luggage"], type=Luggage).client


def on_disk(folder: Path) -> bytes:
    """All a node's folder holds, write-ahead logs too."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    assert {path.name.removesuffix("-wal").removesuffix("-shm") for path in paths} <= FILES
    return b"".join(path.read_bytes() for path in paths)


def watch(grid: FakeGrid, number: int, folder: Path, public: bytes = b"") -> list[int]:
    """Look after every message that this node answers; gives how many suspended bytes there were each time.

    Of a suspended client the journal knows the session's id, which is public, and nothing else is in any file.
    """
    seen: list[int] = []

    def look(node: int, _step: str, _message: Message) -> Any:
        def then(reply: Message) -> Message:
            session, client = asleep(grid.nodes[node])
            files = windows(on_disk(folder))
            if client:
                assert windows(session) & files, "or the files are not those of this node"
                assert windows(client) & files <= windows(session) | windows(public)
            seen.append(len(client))
            return reply

        return then if node == number else None

    grid.fault = look
    return seen


def test_plain_sums_leave_no_secret_in_a_file(tmp_path: Path) -> None:
    keys = [NodeStore.create(tmp_path / str(number)) for number in range(1, N + 1)]
    for number in range(1, N + 1):
        write_registry(tmp_path / str(number) / "registry.txt", keys)
    grid = make_grid([app() for _ in range(N)], node_config=lambda i: {FOLDER: str(tmp_path / str(i))}, run_config={})
    seen = watch(grid, 102, tmp_path / "2")
    assert len(secure_aggregate(grid, grid.nodes, SPECS, terms=FAST).survivors["sum"]) == N
    assert [bool(size) for size in seen] == [False, True, True, True, False]


def test_submodel_rounds_leave_no_secret_in_a_file(tmp_path: Path) -> None:
    world = RoundWorld(tmp_path)
    seen = watch(world.grid, 102, tmp_path / "2")
    assert len(world.play().survivors) == 5
    assert [bool(size) for size in seen] == [False, *[True] * 6, False]


def test_fedlaavg_leaves_its_update_in_a_file_and_no_secret(tmp_path: Path) -> None:
    world = LatestWorld(tmp_path)
    world.updates = {user: np.full(5, user) for user in range(5)}
    seen = watch(world.grid, 102, tmp_path / "1", world.running.plan.hash)
    look = world.grid.fault
    world.fault = lambda _: look  # type: ignore[method-assign]
    assert len(world.play(range(5)).survivors) == 5
    assert [bool(size) for size in seen] == [False, True, True, True, False]
