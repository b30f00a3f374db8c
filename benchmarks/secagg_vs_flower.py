"""Secure aggregation beside Flower's SecAgg+: the same vectors, the same machine, step by step in turn.

Needs flwr 1.41 (`pip install flwr==1.41.0`). See `--help`.
"""

from __future__ import annotations

import argparse
import gc
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

from report import Report
from secagg.case import Case, DidNotFinishError, Session
from secagg.figures import HYBRID, MALICIOUS, PEER, X25519, Figures, checks, figures, table
from secagg.flower import FlowerSession
from secagg.ours import OurSession, agree, has_settings

from securefl.errors import ConfigurationError

KEM = {HYBRID: "x25519-mlkem768", X25519: "x25519", MALICIOUS: "x25519-mlkem768"}

METHOD = (
    "CPU time in one process. Client: one client's work over all its messages, quantization, encoding and decoding "
    "included; the median over clients that stayed. Server: all of the server's work. No network, no training. Ours "
    "signs adverts, bundles and statements and checks every share against a hash; flwr's SecAgg+ signs nothing."
)
MERSENNE = (
    "flwr's masks are Mersenne Twister streams from seeds of at most 32 bits (pairwise: 28), flower issue #7522: "
    "whoever sees an upload can search them. Ours are AES-256-CTR from 256-bit seeds."
)

DESCRIPTION = """\
Runs rounds of secure aggregation on the same vectors with flwr 1.41's own SecAgg+ workflow and client mod, and with
securefl. The sides take turns at every step of the protocol, so that all see the same load. Every result is compared
with the clear mean. Garbage collection waits until no clock runs.

sides
  flower      SecAgg+; its pairwise seeds have at most 28 bits (flower issue #7522)
  hybrid      ours, semi-honest setting, X25519 with ML-KEM-768: the default
  x25519      ours, semi-honest setting, X25519 alone
  malicious   ours, malicious setting, hybrid suite; on the complete graph only
"""

EPILOG = """\
examples
  python benchmarks/secagg_vs_flower.py
      seconds: 10 clients, 10,000 coordinates
  python benchmarks/secagg_vs_flower.py --clients 100 --dim 100000 --rounds 1 --json secagg.json
      4 to 8 minutes, nearly all of it the peer's: the cell that has targets
  python benchmarks/secagg_vs_flower.py --clients 100 --degree 21 --dim 100000 --dropout 0.1 --rounds 1
      a sparse graph: enough of the 20 neighbours must stay around every client

reading the figures
  client_ratio_*, server_ratio: the peer's time over ours, higher is better. upload_ratio_*: our bytes over the peer's,
  lower is better. Both within a round; then the median over rounds. error_*: distance from the clear mean in
  quantization steps; a right result is below 1. Targets stand for 100 clients, all neighbours, 100,000 coordinates
  (upload: also 1,000,000), the server's with 30 % lost. With a load well above the number of cores, use more rounds.
"""


def main(arguments: Sequence[str]) -> None:
    """Measure, print, write."""
    asked = parse(arguments)
    report = Report(sys.argv, ("securefl", "flwr", "numpy", "cryptography", "pycryptodome"))
    case = case_of(asked)
    progress, rounds = Progress(), defaultdict[str, list[Figures]](list)
    gc.disable()
    play(Case(4, 4, 16, 2, 0.25, 0), progress, [])  # a first round loads and builds what later ones find
    for number in range(1, asked.rounds + 1):
        progress.prefix = f"round {number} of {asked.rounds}, "
        for side, one in play(case, progress, report.notes).items():
            rounds[side].append(one)
    report.checks += checks(case, rounds)
    report.notes += [METHOD, MERSENNE]
    print(heading(case), table(rounds), report.table(), sep="\n\n")
    if asked.json:
        report.write(asked.json)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Options; ends the program with status 2 if they make no case."""
    parser = argparse.ArgumentParser(
        description=DESCRIPTION, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    option = parser.add_argument
    option("--clients", type=int, default=10, metavar="N", help="clients of a round (10)")
    option("--degree", type=int, metavar="K", help="flwr's num_shares, the client included; ours: K - 1 neighbours (N)")
    option("--dim", type=int, default=10_000, metavar="D", help="coordinates of a vector (10000)")
    option("--dropout", type=float, default=0.3, metavar="R", help="share of clients lost once keys are shared (0.3)")
    option("--threshold", type=int, metavar="T", help="shares that open a secret, on both sides (60 %% of K)")
    option("--rounds", type=int, default=3, metavar="R", help="repetitions (3)")
    option("--seed", type=int, default=1, help="of the vectors and of who is lost (1)")
    option("--json", type=Path, metavar="FILE", help="write the figures there")
    asked = parser.parse_args(arguments)
    asked.degree = asked.degree or asked.clients
    asked.threshold = asked.threshold or int(0.6 * asked.degree)
    refusal = refuse(asked)
    if refusal:
        parser.error(refusal)
    try:
        agree(case_of(asked), KEM[HYBRID])
    except ConfigurationError as error:
        parser.error(str(error))
    return asked


def refuse(asked: argparse.Namespace) -> str | None:
    """Why these options make no case, in one sentence."""
    if not 3 <= asked.degree <= asked.clients:
        return f"--degree {asked.degree}: use 3 to {asked.clients}, the number of clients"
    if asked.degree < asked.clients and asked.degree % 2 == 0:
        return f"--degree {asked.degree}: a sparse graph takes an odd number, the client and as many on either side"
    if not 2 <= asked.threshold < asked.degree:
        return f"--threshold {asked.threshold}: use 2 to {asked.degree - 1}; in ours nobody holds a share of itself"
    if asked.dim < 1 or asked.rounds < 1:
        return "--dim and --rounds: use 1 or more"
    kept = asked.clients - round(asked.dropout * asked.clients)
    if not 0 <= asked.dropout < 1 or kept <= asked.threshold:
        return f"--dropout {asked.dropout}: leaves {kept} clients; at least {asked.threshold + 1} must stay"
    return None


def case_of(asked: argparse.Namespace) -> Case:
    """The cell that was asked for."""
    return Case(asked.clients, asked.degree, asked.dim, asked.threshold, asked.dropout, asked.seed)


class Progress:
    """A line on stderr every ten seconds; none in a quick run."""

    def __init__(self) -> None:
        self.prefix = ""
        self._began = self._last = time.monotonic()

    def tick(self, sentence: str) -> None:
        """Say it if it is time."""
        now = time.monotonic()
        if now - self._last >= 10:
            self._last = now
            print(f"{now - self._began:6.0f} s  {self.prefix}{sentence}", file=sys.stderr, flush=True)


def sides(case: Case, tick: Callable[[str], None]) -> dict[str, Session]:
    """Fresh sessions, the peer first."""
    made: dict[str, Session] = {PEER: FlowerSession(case, tick)}
    made |= {side: OurSession(side, case, KEM[side], tick) for side in (HYBRID, X25519)}
    if not why_not_malicious(case):
        made[MALICIOUS] = OurSession(MALICIOUS, case, KEM[MALICIOUS], tick, setting="malicious")
    return made


def why_not_malicious(case: Case) -> str | None:
    """Why that setting is left out, if it is."""
    if not has_settings():
        return "client_ratio_malicious is left out: this version of securefl has no malicious setting"
    try:
        agree(case, KEM[MALICIOUS], setting="malicious")
    except ConfigurationError as error:
        return f"client_ratio_malicious is left out: {error}"
    return None


def play(case: Case, progress: Progress, notes: list[str]) -> dict[str, Figures]:
    """One round of every side, step by step in turn; a side that is left out or cannot finish is noted."""
    sessions, reason = sides(case, progress.tick), why_not_malicious(case)
    missing = [reason] if reason else []
    running = {side: session.steps() for side, session in sessions.items()}
    done = {}
    while running:
        for side in tuple(running):
            gc.collect()
            try:
                next(running[side])
            except StopIteration:
                done[side] = figures(case, sessions[side])
                del running[side]
            except DidNotFinishError as error:
                missing.append(str(error))
                del running[side]
    notes += [note for note in missing if note not in notes]
    return done


def heading(case: Case) -> str:
    """The cell in a line."""
    graph = "all neighbours" if case.complete else f"{case.degree - 1} neighbours each"
    return (
        f"{case.clients} clients, {graph}, threshold {case.threshold}, {case.dim:,} coordinates, "
        f"{len(case.lost)} lost once keys are shared"
    )


if __name__ == "__main__":
    main(sys.argv[1:])
