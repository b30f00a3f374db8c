"""Flower's grid with bounds: a message has a deadline, a SuperLink that is gone is an error, nothing waits for ever."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Final, TypeVar

from flwr.app import Message, RecordDict
from flwr.serverapp import Grid
from flwr.supercore.run import RunNotRunningException
from httpx import HTTPError

from securefl.engine.flower.carriage import MESSAGE_TYPE, REFUSED, frames_of
from securefl.errors import MessageError, TransportError
from securefl.wire import MAX_BYTES

BATCH: Final = 50
"""Messages pushed at once: bounds the memory of a step."""
FIRST_PAUSE: Final = 0.02
LONGEST_PAUSE: Final = 1.0
"""Seconds between two looks for replies: they grow while nothing comes."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back from a node: a message, or why there is none."""

    node: int
    message: Message | None
    problem: str = ""

    @property
    def failed(self) -> bool:
        """Whether it ended in Flower's hands: a process that crashed, a node that is not connected."""
        return self.message is None or (self.message.has_error() and self.message.error.code != REFUSED)

    def frames(self, max_bytes: int = MAX_BYTES) -> list[bytes]:
        """The frames in it; `MessageError` with the reason if there are none."""
        if self.message is None:
            raise MessageError(self.problem)
        if self.message.has_error():
            error = self.message.error
            if error.code == REFUSED:
                raise MessageError(f"the node refused: {(error.reason or '')[:400]}")
            raise MessageError(f"Flower's error {error.code}")  # its text may quote the app's data
        return frames_of(self.message, max_bytes)


class Post:
    """Sends to nodes and fetches replies. `TransportError` if the SuperLink does not answer for `patience` seconds.

    `lifetime`: seconds for which a message and its reply are worth carrying; clocks of nodes may differ by less.
    """

    def __init__(self, grid: Grid, *, patience: float = 60.0, lifetime: float = 600.0) -> None:
        self._grid, self._patience, self._lifetime = grid, patience, lifetime

    def nodes(self) -> list[int]:
        """Nodes that are connected now."""
        return sorted(self._bounded(lambda: list(self._grid.get_node_ids())))

    def wait_for_nodes(self, count: int, deadline: float) -> list[int]:
        """At least `count` nodes; `TransportError` if there are fewer after `deadline` seconds."""
        until = time.monotonic() + deadline
        while len(nodes := self.nodes()) < count:
            if time.monotonic() > until:
                raise TransportError(f"{len(nodes)} of {count} nodes were connected after {deadline:g} s")
            time.sleep(LONGEST_PAUSE)
        return nodes

    def send(self, contents: Iterator[tuple[int, RecordDict]]) -> Iterator[tuple[int, str | None]]:
        """Push messages, made as they go. Gives by node the id to fetch the reply with, None if it was not taken."""
        while batch := list(islice(contents, BATCH)):
            messages = [Message(content, node, MESSAGE_TYPE, ttl=self._lifetime) for node, content in batch]
            taken = set(self._bounded(partial(self._push, messages)))
            for message in messages:
                name = message.metadata.message_id
                yield message.metadata.dst_node_id, name if name in taken else None

    def fetch(self, names: Collection[str]) -> list[tuple[str, Reply]]:
        """The replies that have come, by the id of what they answer."""
        replies = self._bounded(lambda: list(self._grid.pull_messages(list(names))))
        return [(m.metadata.reply_to_message_id, Reply(m.metadata.src_node_id, m)) for m in replies]

    def ask(self, contents: Mapping[int, RecordDict], deadline: float) -> Iterator[Reply]:
        """One reply for each node, as they come; those that did not answer in time at the end."""
        waiting: dict[str, int] = {}
        for node, name in self.send(iter(contents.items())):
            if name is None:
                yield Reply(node, None, "the SuperLink did not take the message")
            else:
                waiting[name] = node
        pause, until = Pause(), time.monotonic() + deadline
        while waiting and time.monotonic() < until:
            replies = self.fetch(waiting.keys())
            for name, reply in replies:
                if name in waiting:
                    yield Reply(waiting.pop(name), reply.message)
            if waiting:
                pause(came=bool(replies), until=until, waiting=len(waiting))
        for node in waiting.values():
            yield Reply(node, None, f"no answer in {deadline:g} s")

    def _push(self, messages: list[Message]) -> list[str]:
        return list(self._grid.push_messages(messages))

    def _bounded(self, call: Callable[[], T]) -> T:
        """Flower's client retries for ever: it does so in a thread that is left behind."""
        future: Future[T] = Future()

        def run() -> None:
            try:
                future.set_result(call())
            except Exception as error:  # raised in the thread that asked
                future.set_exception(error)

        threading.Thread(target=run, name="securefl-grid", daemon=True).start()
        try:
            return future.result(self._patience)
        except TimeoutError:
            raise TransportError(f"the SuperLink did not answer for {self._patience:g} s") from None
        except (HTTPError, RunNotRunningException, OSError) as error:
            raise TransportError(f"the SuperLink cannot be reached: {type(error).__name__}") from None


class Pause:
    """Sleeps between two looks: shortly when something came, longer and longer when nothing does."""

    def __init__(self) -> None:
        self._next = FIRST_PAUSE

    def __call__(self, *, came: bool, until: float, waiting: int) -> None:
        """Sleep. `came`: whether the last look found anything; `until`: the time of `time.monotonic` to wake at.

        `waiting`: for how many replies; a look at many is dear, and the next of them is no news.
        """
        shortest = min(LONGEST_PAUSE, FIRST_PAUSE * (1 + waiting / 50))
        self._next = shortest if came else min(LONGEST_PAUSE, max(shortest, 1.5 * self._next))
        time.sleep(max(0.0, min(self._next, until - time.monotonic())))
