"""On the path of every Python process of a test: notes where it connects and which names it looks up.

A line of JSON for each goes to the file in the environment's WITNESS, and one that the process has started.
"""

import json
import os
import sys

WATCHED = ("socket.connect", "socket.sendto", "socket.getaddrinfo", "socket.gethostbyname", "urllib.Request")
PROGRAM = [*sys.orig_argv, ""][1].rpartition("/")[2]


def _note(event: str, what: object) -> None:
    line = json.dumps({"program": PROGRAM, "event": event, "what": what}, default=repr)
    with os.fdopen(os.open(os.environ["WITNESS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "w") as file:
        file.write(line + "\n")


def _hear(event: str, arguments: tuple[object, ...]) -> None:
    if event in WATCHED:
        _note(event, arguments[1] if event in ("socket.connect", "socket.sendto") else arguments[0])


if "WITNESS" in os.environ:
    _note("started", None)
    sys.addaudithook(_hear)
