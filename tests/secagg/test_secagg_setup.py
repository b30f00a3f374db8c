"""Parameters and limits: what both sides refuse before a key exists. Attacks A7, A12 and B4."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
from sessions import A, B, agree, make_client, play

from securefl.crypto import SUITES
from securefl.errors import (
    ConfigurationError,
    FaultyServerError,
    LocalProtocolError,
    ProtocolError,
)
from securefl.secagg import Aborted, Limits, Params, Segment, Server, Sum
from securefl.secagg.messages import Invitation

AGREED = agree(5, 3, A)


def forbidden(_size: int) -> bytes:
    raise AssertionError("a key was drawn")


@pytest.fixture
def no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for kem in SUITES.values():
        monkeypatch.setattr(type(kem), "generate", lambda _self: forbidden(32))


def check_refused(agreed: Params, limits: Limits, error: type[ProtocolError], sentence: str) -> None:
    client = make_client(1, agreed, inputs={s.name: () for s in agreed.sums}, limits=limits, rng=forbidden)
    with pytest.raises(error, match=sentence):
        client.receive(Invitation(bytes(32), agreed))
    assert isinstance(client.state, Aborted)
    with pytest.raises(LocalProtocolError, match="this session is over"):
        client.receive(Invitation(bytes(32), agreed))


WIDE = Sum("wide", (Segment("x", 32, 600), Segment("y", 32, 424)))


@pytest.mark.parametrize(
    ("agreed", "limits", "sentence"),
    [
        (agree(5, 3), Limits(min_clients=6), "clients must be 6 to"),
        (agree(5, 3), Limits(max_clients=4), "clients must be 3 to 4"),
        (agree(5, 3), Limits(min_threshold=4), "threshold must be at least 4"),
        (agree(5, 3, WIDE), Limits(max_words=1023), "at most 1023 residues"),
        (agree(5, 3), Limits(suites=frozenset({"x25519-mlkem768"})), "kem must be one of x25519-mlkem768"),
        (Params(5, 3, 1, "rot13", (A,)), Limits(), "kem must be one of x25519, x25519-mlkem768"),
    ],
)
def test_limits_refuse_before_any_key(no_keys: None, agreed: Params, limits: Limits, sentence: str) -> None:
    check_refused(agreed, limits, FaultyServerError, sentence)


def test_limits_admit_what_is_at_their_edge() -> None:
    edge = Limits(min_clients=5, max_clients=5, min_threshold=3, max_words=1024, suites=frozenset({"x25519"}))
    agreed = agree(5, 3, WIDE)
    assert play(agreed, clients={1: make_client(1, agreed, limits=edge)}).is_exact("wide")


def wide(bits: int, words: int, *, by_rows: bool = False) -> tuple[Sum, ...]:
    return (Sum("a", (Segment("x", bits, words, by_rows),)),)


IMPOSSIBLE: dict[str, tuple[Params, str]] = {
    "d2 a cohort of two": (Params(2, 2, 1, "x25519", (A,)), "threshold: 2 of 1 .* use at most 1"),
    "d2 a cohort of one": (Params(1, 2, 0, "x25519", (A,)), "threshold: 2 of 0 neighbours can never answer"),
    "d2 everyone but one colluding": (Params(5, 4, 4, "x25519", (A,)), "colluders: 4 of 5 .* use at most 3"),
    "d2 everyone colluding": (Params(5, 4, 9, "x25519", (A,)), "colluders: 9 of 5 clients leave no two honest"),
    "d2 sparse, everyone colluding": (Params(9, 3, 9, "x25519", (A,), 4), "colluders: 9 of 9 .* use at most 7"),
    "a7 as many colluders as shares": (Params(5, 3, 3, "x25519", (A,)), "threshold: 3 .* use at least 4"),
    "a7 as many colluders as shares, by degree": (
        Params(3, 2, 2, "x25519", (A,), 2),
        "colluders: 2 of 3 clients leave no two honest",
    ),
    "a7 complete by degree": (Params(5, 3, 3, "x25519", (A,), 4), "threshold: 3 lets 3 colluders .* use at least 4"),
    "a7 one share opens": (Params(5, 1, 0, "x25519", (A,)), "threshold: 1 .* use at least 2"),
    "a7 more shares than neighbours": (Params(5, 5, 1, "x25519", (A,)), "threshold: 5 of 4 .* use at most 4"),
    "a7 sparse, more than neighbours": (Params(9, 5, 1, "x25519", (A,), 4), "threshold: 5 of 4 .* use at most 4"),
    "a7 odd degree": (Params(9, 3, 1, "x25519", (A,), 5), "degree: 5 must be even"),
    "a7 degree of all": (Params(9, 3, 1, "x25519", (A,), 10), "degree: 10 must be even and below the 9 clients"),
    "a12 ring of 0 bits": (Params(5, 3, 1, "x25519", wide(0, 1)), "bits: a segment of 1 words of 0 bits"),
    "a12 ring of 1 bit": (Params(5, 3, 1, "x25519", wide(1, 1)), "use 2 to 64 bits"),
    "a12 ring of 65 bits": (Params(5, 3, 1, "x25519", wide(65, 1)), "use 2 to 64 bits"),
    "no words": (Params(5, 3, 1, "x25519", wide(8, 0)), "1 word or more"),
    "rows by the sparse graph": (
        Params(9, 3, 1, "x25519", wide(8, 1, by_rows=True), 4),
        "rows need the complete graph",
    ),
    "a row above 2^16 blocks": (
        Params(5, 3, 1, "x25519", wide(32, (1 << 18) + 1, by_rows=True)),
        f"use at most {1 << 18}",
    ),
    "a row above 2^16 blocks of long words": (
        Params(5, 3, 1, "x25519", wide(33, (1 << 17) + 1, by_rows=True)),
        f"use at most {1 << 17}",
    ),
    "b3 two sums of one name": (Params(5, 3, 1, "x25519", (A, A)), "two sums share a name"),
    "b3 two segments of one name": (
        Params(5, 3, 1, "x25519", (Sum("a", (A.segments[0], A.segments[0])),)),
        "two segments of one sum share a name",
    ),
}


@pytest.mark.parametrize(("agreed", "sentence"), IMPOSSIBLE.values(), ids=list(IMPOSSIBLE))
def test_parameters_that_cannot_be_kept_are_refused_by_both_sides(no_keys: None, agreed: Params, sentence: str) -> None:
    with pytest.raises(ConfigurationError, match=sentence):
        Server(agreed, [])
    check_refused(agreed, Limits(min_clients=1, min_threshold=1), FaultyServerError, sentence)


def test_an_unknown_suite_is_a_configuration_error() -> None:
    with pytest.raises(ConfigurationError, match="kem: unknown; use one of"):
        Params(5, 3, 1, "rot13", (A,)).check()


def test_the_longest_row_is_accepted() -> None:
    for bits, words in ((32, 1 << 18), (64, 1 << 17)):
        Params(5, 3, 1, "x25519", wide(bits, words, by_rows=True)).check()


def test_a_sum_without_an_input_is_refused_before_any_key(no_keys: None) -> None:
    client = make_client(1, agree(5, 3, A, B), inputs={"a": []}, rng=forbidden)
    with pytest.raises(LocalProtocolError, match="inputs: the session has a sum that is none of a"):
        client.receive(Invitation(bytes(32), agree(5, 3, A, B)))
    assert isinstance(client.state, Aborted)


def test_a12_a_session_by_rows_is_no_session_for_a_client_of_plain_sums(no_keys: None) -> None:
    """It could never say which rows it uploads: refused before a key, and the server is to blame."""
    check_refused(agree(5, 3, *wide(20, 3, by_rows=True)), Limits(), FaultyServerError, "sums by rows")


@pytest.mark.parametrize("rng", [bytes, lambda size: os.urandom(size - 1)], ids=["repeats", "too short"])
def test_b4_a_failing_random_source_gives_no_keys(rng: Callable[[int], bytes]) -> None:
    client = make_client(1, AGREED, rng=rng)
    with pytest.raises(LocalProtocolError, match="rng repeats itself or gives too few bytes"):
        client.receive(Invitation(bytes(32), AGREED))
    assert isinstance(client.state, Aborted)


def test_b4_no_secret_is_drawn_twice() -> None:
    """Two clients, two sessions, every sum and kind: all different."""
    agreed = agree(5, 3, A, B)
    clients = [make_client(u, agreed) for u in (1, 1, 2)]
    for client in clients:
        client.receive(Invitation(bytes(32), agreed))
    secrets = [secret for client in clients for secret in client.state.secrets.values()]
    assert len(set(secrets)) == len(secrets) == 12
    assert len({client.state.channel.public for client in clients}) == 3


@pytest.mark.parametrize(
    ("degree", "threshold", "colluders", "safe"),
    [
        (50, 23, 500, True),
        (50, 22, 500, False),
        (20, 9, 500, False),
        (20, 9, 8, True),
        (4, 2, 0, True),
        (4, 2, 2, False),
    ],
)
def test_a7_a_degree_too_small_for_the_cohort_is_refused(
    degree: int, threshold: int, colluders: int, safe: bool
) -> None:
    """At 10,000 clients of whom 5 % are corrupt, (50, 23) is what the finder gives."""
    params = Params(10_000, threshold, colluders, "x25519", (A,), degree)
    if safe:
        assert params.check() is params
        return
    with pytest.raises(ConfigurationError, match="degree"):
        params.check()
