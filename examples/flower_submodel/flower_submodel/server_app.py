"""The server: rounds of secure submodel learning over Flower's grid. It sees sums, and nothing of one node."""

import logging
import sys
from pathlib import Path

from flwr.app import Context
from flwr.serverapp import Grid, ServerApp
from safetensors.numpy import save_file

from flower_submodel.world import setup
from securefl.engine.flower import LogWatch, Metrics, Terms, enrol
from securefl.engine.flower.training import FlowerEngine
from securefl.federation.progress import Silent
from securefl.federation.training import State, Training

_LOG = logging.getLogger("securefl.engine.flower")
"""A line of JSON for every step."""

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Wait for the nodes, ask who they are, train."""
    options = context.run_config
    metrics = str(options["metrics"])
    terms = Terms(deadline=float(options["deadline"]), watch=Metrics(metrics) if metrics else LogWatch())
    _LOG.setLevel(logging.INFO)
    _LOG.addHandler(logging.StreamHandler(sys.stdout))
    post, world = terms.post(grid), setup(context)
    nodes = post.wait_for_nodes(int(options["users"]), terms.deadline)
    engine = FlowerEngine(grid, world, enrol(post, nodes, terms.deadline), terms)
    training = Training(world)

    def report(state: State) -> None:
        record = state.records[-1]
        print(
            f"round {record.round}: {record.abort or 'done'}, {record.finishers} of {record.clients} finished",
            flush=True,
        )
        if options["out"]:
            tables = {f"table.{name}": table for name, table in state.weights.tables.items()}
            path = Path(str(options["out"])) / f"round-{record.round}.safetensors"
            save_file({"dense": state.weights.dense, **tables}, path.with_suffix(".new"))
            path.with_suffix(".new").replace(path)

    training.run(engine, Silent(), report)
