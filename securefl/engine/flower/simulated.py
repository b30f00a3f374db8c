"""The training loop under Flower's own simulation: a node for every user of the log, clients in Ray's workers."""

from __future__ import annotations

import logging
from collections.abc import Callable

from flwr.app import Context, RecordDict
from flwr.clientapp import ClientApp
from flwr.server.superlink.fleet.vce.backend.backend import BackendConfig
from flwr.serverapp import Grid, ServerApp
from flwr.simulation import run_simulation

from securefl.engine.flower.client import Part, SecureClient
from securefl.engine.flower.enrolment import enrol
from securefl.engine.flower.sums import Terms
from securefl.engine.flower.training import Device, FlowerEngine
from securefl.errors import ConfigurationError
from securefl.federation.records import RunSummary
from securefl.federation.setup import Setup
from securefl.federation.training import Engine

__all__ = ["MOST_NODES", "check_users", "play"]

MOST_NODES = 5_000
"""Users of a log: Flower keeps the state of every node in one process."""
PATIENCE = 1800.0
"""Seconds that a step may take: one worker a core works for all nodes."""
BACKEND: BackendConfig = {
    "init_args": {"include_dashboard": False, "logging_level": logging.ERROR, "log_to_driver": False},
    "client_resources": {"num_cpus": 1, "num_gpus": 0.0},
}


def check_users(users: int) -> None:
    """Raise `ConfigurationError` for more than `MOST_NODES` users."""
    if users > MOST_NODES:
        raise ConfigurationError(
            f"--engine flower: a node for each of {users} users; at most {MOST_NODES} are simulated"
        )


def play(setup: Setup, loop: Callable[[Engine], RunSummary]) -> RunSummary:
    """What `loop` makes of the nodes of `setup`. What they keep is gone when it returns.

    Raises `ConfigurationError` for more than `MOST_NODES` users, and whatever the loop raises.
    """
    users = setup.log.users
    check_users(users)
    client, server = ClientApp(), ServerApp()

    def part(request: RecordDict, context: Context) -> Part:
        return Device(setup, int(context.node_config["partition-id"]))(request, context)

    SecureClient(rounds=part, simulated=True).register(client)
    outcome: list[RunSummary | BaseException] = []

    @server.main()
    def main(grid: Grid, _context: Context) -> None:
        try:
            outcome.append(loop(_engine(grid, setup)))
        except BaseException as error:  # Flower would only log it
            outcome.append(error)

    logging.getLogger("flwr").setLevel(logging.ERROR)
    run_simulation(server, client, users, backend_config=BACKEND)
    ended = outcome[0]
    if isinstance(ended, BaseException):
        raise ended
    return ended


def _engine(grid: Grid, setup: Setup) -> FlowerEngine:
    terms = Terms(deadline=PATIENCE, patience=PATIENCE)
    post = terms.post(grid)
    nodes = post.wait_for_nodes(setup.log.users, PATIENCE)
    return FlowerEngine(grid, setup, enrol(post, nodes, PATIENCE), terms)
