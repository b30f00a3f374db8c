"""A fleet spread over worker processes: client work on every core, the same results as in one process."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import reduce
from multiprocessing import connection, get_context
from operator import add, or_
from typing import Any

import numpy as np
from numpy.typing import NDArray

from securefl.engine.clear import ClearUnion, ClearUpdate, RoundShapes
from securefl.engine.exchange import Reply
from securefl.engine.fleet import Kept, LocalFleet, World
from securefl.engine.phone import Shown
from securefl.errors import SecureFLError, TransportError
from securefl.federation.training import Learned

_MATH_THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


class ProcessFleet:
    """Users are dealt to workers by number, and stay there: what is theirs never leaves their process.

    A context manager: the workers end with it, and also if this process dies.
    """

    def __init__(self, world: World, processes: int) -> None:
        context = get_context("spawn")  # a fork would copy threads in mid-step
        self._workers: list[tuple[Any, Any]] = []
        with _one_math_thread():
            for _ in range(processes):
                ours, theirs = context.Pipe()
                worker = context.Process(target=_serve, args=(theirs,), daemon=True)
                worker.start()
                theirs.close()
                self._workers.append((worker, ours))
        for _, pipe in self._workers:
            pipe.send(world)
        self._home: dict[bytes, Any] = {}

    def __enter__(self) -> ProcessFleet:
        return self

    def __exit__(self, *_: object) -> None:
        for worker, pipe in self._workers:
            pipe.close()
            worker.join(timeout=5)
            if worker.is_alive():
                worker.terminate()

    def begin(self, number: int, users: Sequence[int]) -> dict[int, bytes]:
        """See `fleet.Fleet`."""
        pipes = [pipe for _, pipe in self._workers]
        shares = [[u for u in users if u % len(pipes) == i] for i in range(len(pipes))]
        parts = self._ask([(pipe, ("begin", number, share)) for pipe, share in zip(pipes, shares, strict=True)])
        self._home = {name: pipe for pipe, part in zip(pipes, parts, strict=True) for name in part.values()}
        merged: dict[int, bytes] = reduce(or_, parts)
        return {user: merged[user] for user in users}

    def admit(self, registry: frozenset[bytes]) -> None:
        """See `fleet.Fleet`."""
        self._ask([(pipe, ("admit", registry)) for _, pipe in self._workers])

    def deliver(self, frames: Mapping[bytes, bytes]) -> Iterator[Reply]:
        """See `fleet.Fleet`. Replies come as the workers finish them."""
        waiting: dict[Any, int] = {}
        for _, pipe in self._workers:
            own = {name: frame for name, frame in frames.items() if self._home[name] is pipe}
            if own:
                pipe.send(("deliver", own))
                waiting[pipe] = len(own)
        while waiting:
            for pipe in connection.wait(list(waiting)):
                yield _receive(pipe)
                waiting[pipe] -= 1
                if not waiting[pipe]:
                    del waiting[pipe]

    def claim(self, union: NDArray[np.int64], names: Collection[bytes]) -> dict[bytes, NDArray[np.int64]]:
        """See `fleet.Fleet`."""
        parts: list[dict[bytes, Any]] = self._ask([(pipe, ("claim", union, own)) for pipe, own in self._at_home(names)])
        merged: dict[bytes, NDArray[np.int64]] = reduce(or_, parts)
        return {name: merged[name] for name in names}

    def train(self, shown: Shown, names: Collection[bytes]) -> None:
        """See `fleet.Fleet`."""
        self._ask([(pipe, ("train", shown, own)) for pipe, own in self._at_home(names)])

    def clear_union(self, names: Collection[bytes]) -> ClearUnion:
        """See `fleet.Fleet`."""
        parts: list[ClearUnion] = self._ask([(pipe, ("clear_union", own)) for pipe, own in self._at_home(names)])
        return reduce(add, parts)

    def clear_update(self, names: Collection[bytes], shapes: RoundShapes) -> ClearUpdate:
        """See `fleet.Fleet`."""
        homes = self._at_home(names)
        parts: list[ClearUpdate] = self._ask([(pipe, ("clear_update", own, shapes)) for pipe, own in homes])
        return reduce(add, parts)

    def save(self) -> dict[int, Kept]:
        """See `fleet.Fleet`."""
        parts: list[dict[int, Kept]] = self._ask([(pipe, ("save",)) for _, pipe in self._workers])
        return reduce(or_, parts)

    def restore(self, kept: Mapping[int, Kept]) -> None:
        """See `fleet.Fleet`."""
        pipes = [pipe for _, pipe in self._workers]
        shares = [{u: own for u, own in kept.items() if u % len(pipes) == i} for i in range(len(pipes))]
        self._ask([(pipe, ("restore", share)) for pipe, share in zip(pipes, shares, strict=True)])

    def learned(self) -> Mapping[int, Learned]:
        """See `fleet.Fleet`."""
        parts: list[dict[int, Learned]] = self._ask([(pipe, ("learned",)) for _, pipe in self._workers])
        return reduce(or_, parts)

    def _at_home(self, names: Collection[bytes]) -> list[tuple[Any, list[bytes]]]:
        return [(pipe, [name for name in names if self._home[name] is pipe]) for _, pipe in self._workers]

    def _ask(self, questions: Sequence[tuple[Any, tuple[Any, ...]]]) -> list[Any]:
        """Ask first, then collect: the workers work at the same time."""
        for pipe, question in questions:
            pipe.send(question)
        return [_receive(pipe) for pipe, _ in questions]


def _receive(pipe: Any) -> Any:
    try:
        answer = pipe.recv()
    except EOFError:
        raise TransportError("a worker process ended unexpectedly; its error stands above") from None
    if isinstance(answer, SecureFLError):
        raise answer
    return answer


def _serve(pipe: Any) -> None:
    """A worker: a fleet behind a pipe, until the pipe closes."""
    with suppress(EOFError, KeyboardInterrupt, BrokenPipeError):
        fleet = LocalFleet(pipe.recv())
        while True:
            method, *arguments = pipe.recv()
            try:
                answers = getattr(fleet, method)(*arguments)
                for answer in answers if method == "deliver" else (answers,):
                    pipe.send(answer)
            except SecureFLError as error:
                pipe.send(error)


@contextmanager
def _one_math_thread() -> Iterator[None]:
    """Workers share the cores between them: more threads in each would only get in each other's way."""
    before = {name: os.environ.get(name) for name in _MATH_THREADS}
    os.environ.update(dict.fromkeys(_MATH_THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
