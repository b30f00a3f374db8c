"""A run that kills its own process for good at the n-th step that touches a disk: `killed.py FOLDER n [LEDGER]`.

Prints how many such steps there were if it gets to the end.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from keptruns import go

from securefl.federation.metrics import Metrics
from securefl.store.database import Database

steps = 0


def step() -> None:
    global steps
    steps += 1
    if steps == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)


def around(function: Callable[..., Any]) -> Callable[..., Any]:
    def killing(*arguments: Any, **options: Any) -> Any:
        step()
        result = function(*arguments, **options)
        step()
        return result

    return killing


@contextmanager
def transaction(self: Database) -> Iterator[Any]:
    step()
    with real_transaction(self) as database:
        step()
        yield database
        step()
    step()


real_transaction = Database._transaction

if __name__ == "__main__":
    os.fsync = around(os.fsync)  # type: ignore[assignment]  # on purpose
    Path.replace = around(Path.replace)  # type: ignore[method-assign]
    Path.unlink = around(Path.unlink)  # type: ignore[method-assign]
    Metrics.round_finished = around(Metrics.round_finished)  # type: ignore[method-assign]
    Database._transaction = transaction  # type: ignore[assignment,method-assign]
    go(Path(sys.argv[1]), plain=len(sys.argv) < 4, ledger=Path(sys.argv[3]) if len(sys.argv) > 3 else None)
    sys.stdout.write(str(steps))
