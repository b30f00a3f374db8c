"""Sessions of two plain sums over a hostile network. Attacks A3, A5, A11, E1, E2 and E4."""

from __future__ import annotations

from functools import cache

import pytest
from hypothesis import settings
from network import QUIET, C, Letter, Network
from sessions import A, B, agree, clear_sum, make_client, play, public

from securefl.secagg import Client, Params, Server, cut, to_client, to_server
from securefl.secagg.params import Setting
from securefl.secagg.states import CLIENT, SERVER


@cache
def another_session(agreed: Params) -> tuple[Letter, ...]:
    past = play(agreed)
    up = [Letter(u, True, to_server.encode(message), False) for u, message in past.sent]
    return (*up, *(Letter(u, False, to_client.encode(message), False) for u, message in past.shown))


class Sums(Network):
    """Two sums, of one segment and of two."""

    to_client, to_server, client_tables, server_tables = to_client, to_server, CLIENT, SERVER

    def invite(self, clients: int, threshold: int, setting: Setting) -> Server:
        agreed = agree(clients, threshold, A, B, colluders=C, setting=setting)
        return Server(agreed, [public(u) for u in range(1, clients + 1)])

    def public(self, client: int) -> bytes:
        return public(client)

    def fresh(self, client: int) -> Client:
        return make_client(client, self.agreed, journal=self.journals[client])

    def another_session(self) -> tuple[Letter, ...]:
        return another_session(self.agreed)

    def check_sum(self, name: str, survivors: list[int]) -> None:
        for at, segment in enumerate(self.agreed.sum(name).segments):
            clear, added = clear_sum(segment, survivors), self.added(name, at, segment, survivors)
            opened = cut(segment, self.server.results[name][segment.name]).tolist()
            assert opened == [(x + y) % (1 << segment.bits) for x, y in zip(clear, added, strict=True)]


TestNetwork = Sums.TestCase
TestNetwork.settings = settings(max_examples=100, stateful_step_count=30, suppress_health_check=QUIET)


class Busier(Sums):
    """The same for longer."""


TestNetworkAtLength = pytest.mark.slow(Busier.TestCase)
TestNetworkAtLength.settings = settings(max_examples=1000, stateful_step_count=60, suppress_health_check=QUIET)
