"""Our side: `securefl.secagg` client and server state machines, every message through the codec both ways."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from secagg.case import CLIP, QUANTIZATION_BITS, SERVER, Case, DidNotFinishError, Stopwatch
from securefl.crypto import Identity
from securefl.errors import ProtocolError
from securefl.secagg import Client, Params, Segment, Server, Sum, signed, to_client, to_server
from securefl.secagg.messages import Delivery
from securefl.secagg.quantize import Quantization, dequantize, quantize

HOW = Quantization(QUANTIZATION_BITS, CLIP, weight_max=1)
WEIGHT = np.ones(1, np.int64)
SUM, SEGMENT = "update", "vector"


def has_settings() -> bool:
    """Whether this version of the library knows a malicious setting."""
    return "setting" in Params.__struct_fields__


def agree(case: Case, kem: str, **others: Any) -> Params:
    """The narrowest ring that carries the sum, `dim` coordinates and the weight; `ConfigurationError` if unsafe."""
    bits = (case.clients * (2**QUANTIZATION_BITS - 1)).bit_length()
    HOW.check(bits, case.clients)
    sums = (Sum(SUM, (Segment(SEGMENT, bits, case.dim + 1),)),)
    degree = None if case.complete else case.degree - 1
    return Params(case.clients, case.threshold, 1, kem, sums, degree=degree, **others).check()


class OurSession:
    """One session among `case.clients` clients, a step at a time."""

    def __init__(self, label: str, case: Case, kem: str, tick: Callable[[str], None], **params: Any) -> None:
        self.label, self.watch, self._case, self._tick = label, Stopwatch(), case, tick
        self.uploaded: dict[int, int] = defaultdict(int)
        identities = [Identity.generate() for _ in range(case.clients)]
        self._registry = frozenset(identity.public for identity in identities)
        self._numbers = {identity.public: u for u, identity in enumerate(identities)}
        self._params = agree(case, kem, **params)
        self._clients = [self._client(u, identity) for u, identity in enumerate(identities)]
        self._server = Server(self._params, self._registry)

    def steps(self) -> Iterator[None]:
        """Invitation to adverts, roster to shares, delivery to inputs, (consistency,) survivors to the sum."""
        with self.watch.of(SERVER):
            frames = self._encoded(self._server.start())
        while frames:
            answers = {name: self._answer(self._numbers[name], frame) for name, frame in frames.items()}
            with self.watch.of(SERVER):
                frames = self._encoded(self._take(answers))
            self.watch.step += 1
            yield

    def result(self) -> NDArray[np.floating]:
        """The mean that the server computed when the sum was open."""
        return self._mean

    def _client(self, number: int, identity: Identity) -> Client:
        vector = self._case.vector(number)[None]
        with self.watch.of(number):
            values = quantize(vector, WEIGHT, HOW, os.urandom)
            return Client(identity, self._registry, {SUM: [values[0]]})

    def _answer(self, number: int, frame: bytes) -> list[bytes] | None:
        """The answers of a client; None of a lost one."""
        self._tick(f"{self.label}: step {self.watch.step + 1}, client {number + 1} of {self._case.clients}")
        with self.watch.of(number):
            message = to_client.decode(frame)
        if number in self._case.lost and isinstance(message, Delivery):
            return None
        with self.watch.of(number):
            try:
                answers = [to_server.encode(answer) for answer in self._clients[number].receive(message)]
            except ProtocolError as error:
                raise DidNotFinishError(f"{self.label}: client {number + 1}: {error}") from error
        self.uploaded[number] += sum(map(len, answers))
        return answers

    def _take(self, answers: dict[bytes, list[bytes] | None]) -> dict[bytes, Any]:
        """What the server says once it has heard everybody."""
        following: dict[bytes, Any] = {}
        try:
            for name, frames in answers.items():
                if frames is None:
                    following |= self._server.drop(name)
                for frame in frames or ():
                    following |= self._server.receive(name, to_server.decode(frame))
        except ProtocolError as error:
            raise DidNotFinishError(f"{self.label}: {error}") from error
        if self._server.faults:
            raise DidNotFinishError(f"{self.label}: the server found {next(iter(self._server.faults.values()))}")
        if SUM in self._server.results:
            self._mean = self._open()
        return following

    def _open(self) -> NDArray[np.float64]:
        segment = self._params.sums[0].segments[0]
        total = signed(segment, self._server.results[SUM][SEGMENT])
        mean: NDArray[np.float64] = dequantize(total[:-1], HOW) / total[-1]
        return mean

    def _encoded(self, outgoing: dict[bytes, Any]) -> dict[bytes, bytes]:
        return {name: to_client.encode(message) for name, message in outgoing.items()}
