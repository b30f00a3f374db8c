"""The example's app under Flower's own simulation, as `flwr run` starts it: submodel rounds, some answers lost.

Every node is a user of a synthetic click log, made up by Flower; a cohort of them is asked in a round.

    python benchmarks/flower_app.py --nodes 100 --cohort 100 --loss 0.05 --json app.json
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
import time
from pathlib import Path

from flower_simulation import Peak
from report import Check, Report

APP = Path(__file__).parents[1] / "examples" / "flower_submodel"
sys.path.append(str(APP))

from deploy import OFFLINE, Processes, free_ports, listening, wait_until  # noqa: E402 -- it lies beside the app


def main() -> None:
    """One run, on a SuperLink of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, default=100)
    parser.add_argument("--cohort", type=int, default=100, help="nodes in a round, at most 128")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--loss", type=float, default=0.05, help="share of answers that is lost at every step")
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args()
    report = Report(sys.argv, ["flwr", "ray", "cryptography"])
    with tempfile.TemporaryDirectory() as folder, Peak() as peak:
        began = time.perf_counter()
        finished = run(Path(folder), options)
        seconds = time.perf_counter() - began
    report.checks += [
        Check(f"rounds_{options.nodes}", len(finished), "rounds done"),
        Check(f"finishers_{options.nodes}", min(finished), f"nodes of {options.cohort}, the fewest of a round"),
        Check(f"run_s_{options.nodes}", seconds, "s, from the start of the SuperLink to the end of the run"),
        Check(f"run_peak_mb_{options.nodes}", peak.kilobytes / 1024, "MB, proportional set size of all processes"),
    ]
    print(report.table())
    if options.json:
        report.write(options.json)


def run(folder: Path, options: argparse.Namespace) -> list[int]:
    """How many nodes finished each round; `SystemExit` with the log if not every round is done."""
    (port,) = free_ports(1)
    (folder / "config.toml").write_text(
        f'[superlink]\ndefault = "here"\n\n[superlink.here]\naddress = "127.0.0.1:{port}"\ninsecure = true\n'
    )
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    with Processes(folder, {**os.environ, **OFFLINE, "FLWR_HOME": str(folder), "PATH": path}) as processes:
        where = ["--host=127.0.0.1", f"--port={port}", "--insecure", "--simulation"]
        processes.start("superlink", "flower-superlink", *where, "--disable-runtime-dependency-installation")
        wait_until("the SuperLink does not listen", lambda: listening(port), 60)
        settings = {
            "users": options.nodes,
            "cohort.clients": options.cohort,
            "cohort.rounds": options.rounds,
            "cohort.dropout": options.loss,
            "secagg.threshold": options.cohort // 2,
            "deadline": 3600.0,
        }
        given = " ".join(f"{name}={value}" for name, value in settings.items())
        nodes = f"num-supernodes={options.nodes}"
        command = ["flwr", "run", str(APP), "here", "--stream", "--federation-config", nodes, "--run-config", given]
        processes.start("run", *command).wait()
        log = processes.text("run")
    finished = [int(count) for count in re.findall(r"round \d+: done, (\d+) of \d+ finished", log)]
    if len(finished) != options.rounds:
        raise SystemExit(f"{len(finished)} of {options.rounds} rounds are done: {log[-3000:]}")
    return finished


if __name__ == "__main__":
    main()
