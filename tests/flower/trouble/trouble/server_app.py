"""Three sums; how each went lies in the folder, and how all ended."""

from __future__ import annotations

import json
import logging
import time
from pathlib import Path
from typing import Any

from flwr.app import Context
from flwr.serverapp import Grid, ServerApp

from securefl.engine.flower import ArraySpec, Enrolled, LogWatch, Terms, enrol, secure_aggregate
from securefl.errors import SecureFLError
from securefl.store import read_registry

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """A round begins when somebody has put a file into the folder; from the second on with nodes 0 to 3 only."""
    folder = Path(str(context.run_config["folder"]))
    log = logging.getLogger("securefl.engine.flower")
    log.setLevel(logging.INFO)
    log.addHandler(logging.FileHandler(folder / "steps.log"))
    terms = Terms(
        threshold=2,
        kem="x25519",
        deadline=float(context.run_config["deadline"]),
        patience=10.0,
        max_bytes=100_000,
        registry=read_registry(folder / "registry.txt"),
        watch=LogWatch(),
    )
    post, count = terms.post(grid), int(context.run_config["nodes"])
    try:
        enrolled = enrol(post, post.wait_for_nodes(count, 120.0), terms.deadline, terms.registry)
        for number, seats in enumerate((range(count), range(4), range(4)), 1):
            while not (folder / f"go-{number}").exists():
                time.sleep(0.2)
            post.wait_for_nodes(count, 120.0)
            nodes = [node for seat, node in enrolled.seats.items() if seat in seats]
            _say(folder / f"round-{number}.json", _round(grid, nodes, enrolled, terms))
    except SecureFLError as error:
        _say(folder / "ended.json", {"error": type(error).__name__, "sentence": str(error)})


def _round(grid: Grid, nodes: list[int], enrolled: Enrolled, terms: Terms) -> dict[str, Any]:
    arrays = [ArraySpec("digits", (5,), 10**9)]
    result = secure_aggregate(grid, nodes, arrays, terms=terms, enrolled=enrolled)
    seats = {node: seat for seat, node in enrolled.seats.items()}
    return {
        "survivors": sorted(seats[node] for node in result.survivors["sum"]),
        "lost": {seats[node]: reason for node, reason in result.lost.items() if node in seats},
        "refused": sorted(enrolled.refused.values()),
        "digits": result.arrays["digits"].tolist(),
    }


def _say(path: Path, what: object) -> None:
    path.with_suffix(".new").write_text(json.dumps(what))
    path.with_suffix(".new").replace(path)
