"""Nodes that are wrong, dead, back again, and a SuperLink that is gone: real processes, one deployment."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("flwr", reason="needs flwr: not an importable package")

from securefl.engine.flower.sleep import SESSION
from securefl.store import NodeStore, write_registry

HERE, ROOT = Path(__file__).parent, Path(__file__).parents[2]
NODES = set(range(11))
CONFIG, VERSION, MODEL, LARGE, STRANGER, CLOCK, KEY = range(4, 11)
"""Other limits, another version, another model, messages too large, an identity in no registry, an hour ahead, a key
that the SuperLink does not know. Nodes 0 to 3 are as they should be."""
FAULTS = {CONFIG: "config", VERSION: "version", MODEL: "model", LARGE: "large"}
PATIENT = ("--max-wait-time=20",)
"""Of a SuperNode whose SuperLink is gone, in seconds."""


def said(path: Path) -> Any:
    return json.loads(path.read_text())


def start_nodes(made: Any) -> dict[int, subprocess.Popen[bytes]]:
    """Each with its fault, and a registry of everybody but the stranger."""
    known = []
    for number in NODES - {STRANGER}:
        with NodeStore(made.folder / f"node{number}") as store:
            known.append(store.identity.public)
    for where in (made.folder, *made.folder.glob("node*/")):
        write_registry(where / "registry.txt", known)
    for number in NODES - {KEY}:
        made.register(number)
    ahead = os.pathsep.join(filter(None, [str(HERE / "ahead"), os.environ.get("PYTHONPATH")]))
    return {
        number: made.start(
            number,
            *PATIENT,
            config=f"fault='{FAULTS.get(number, '')}'",
            **({"PYTHONPATH": ahead} if number == CLOCK else {}),
        )
        for number in sorted(NODES)
    }


def dropped_for_what_is_wrong(first: Any) -> bool:
    """Whether the first round lost every wrong node for its reason, and the killed one."""
    reasons = {
        str(CONFIG): "FaultyServerError: the session's parameters are refused: clients must be 50",
        str(MODEL): "LocalProtocolError: inputs: 'digits' has shape (5,), not (7,)",
        str(LARGE): "a reply of 200000 bytes; at most 100000 are accepted",
        "3": "",
    }
    stranger, version = first["refused"]
    return (
        first["lost"].keys() == reasons.keys()
        and all(sentence in first["lost"][seat] for seat, sentence in reasons.items())
        and stranger == "an identity that is not registered"
        and "another version of this protocol; this node speaks 2" in version
    )


@pytest.mark.slow
@pytest.mark.needs("flwr")
def test_whatever_is_wrong_ends_in_a_named_error_or_a_dropped_node(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "examples" / "flower_submodel"))
    from deploy import alive, deployment, descendants, wait_until

    folder = tmp_path / "run"
    steps = folder / "steps.log"

    def closed(message: str, times: int) -> bool:
        return steps.exists() and steps.read_text().count(f'"message": "{message}"') == times

    def gave_up(number: int) -> bool:
        return "Giving up reconnection after 20" in processes.text(f"supernode{number}")

    with deployment(folder, nodes=len(NODES)) as made:
        processes, supernodes = made.processes, start_nodes(made)
        made.run(HERE / "trouble", f'folder="{folder}" nodes={len(NODES) - 2} deadline=60.0')
        for number in (CLOCK, KEY):
            supernodes[number].wait(120)
        assert "Failed to activate SuperNode" in processes.text(f"supernode{KEY}")
        assert '"POST /v1/fleet/activate-node HTTP/1.1" 401' in processes.text("superlink")  # it signed its own time

        (folder / "go-1").touch()
        wait_until("no first roster", lambda: closed("Roster", 1), 300)
        processes.end(["supernode3"], signal.SIGKILL)
        wait_until("no first sum", (folder / "round-1.json").exists, 300)
        first = said(folder / "round-1.json")
        assert (first["survivors"], first["digits"]) == ([0, 1, 2], [111] * 5)
        assert dropped_for_what_is_wrong(first), first

        supernodes[3] = made.start(3, *PATIENT)
        (folder / "go-2").touch()
        wait_until("no second sum", (folder / "round-2.json").exists, 400)
        second = said(folder / "round-2.json")
        assert (second["survivors"], second["digits"]) == ([0, 1, 2, 3], [1111] * 5), "what was killed is back"

        (folder / "go-3").touch()
        wait_until("no third invitation", lambda: closed("Invitation", 3), 200)
        link = processes.process("superlink")
        apps = descendants(link.pid)
        sleeping = [path for path in folder.rglob("*") if path.is_file() and SESSION.encode() in path.read_bytes()]
        assert not sleeping, "four nodes hold a session now, and none of it is in a file"
        os.kill(link.pid, signal.SIGSTOP)  # it holds its connections and says nothing
        wait_until("no error", (folder / "ended.json").exists, 60)
        sentence = "the SuperLink did not answer for 10 s"
        assert said(folder / "ended.json") == {"error": "TransportError", "sentence": sentence}
        link.kill()
        link.wait(10)
        wait_until("the ServerApp stays", lambda: not any(map(alive, apps)), 60)
        wait_until("a SuperNode waits for ever", lambda: all(map(gave_up, range(9))), 120)
