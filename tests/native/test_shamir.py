"""Shamir over GF(2^61 - 1): equal to the reference, exact, perfectly hiding, and strict about what it accepts."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from native import reference
from native.field import P61, FieldError, backends, reconstruct, share

LIMBS, LANES = 5, 8
SECRETS = np.stack([np.zeros(32, np.uint8), np.full(32, 255, np.uint8), np.arange(32, dtype=np.uint8)])
every_backend = pytest.mark.parametrize("backend", backends(P61))
field_points = st.lists(st.integers(1, P61 - 1), min_size=1, max_size=8, unique=True)


def points(*values: int) -> np.ndarray:
    return np.array(values, np.uint64)


def seeded(seed: int) -> Callable[[int], bytes]:
    return Random(seed).randbytes


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 6])
def test_every_subset_of_every_threshold(n: int) -> None:
    xs = points(*Random(n).sample(range(1, P61), n))
    for threshold in range(1, n + 1):
        shares = share(SECRETS, threshold, xs)
        assert shares.shape == (3, n, LIMBS)
        for subset in map(list, combinations(range(n), threshold)):
            assert (reconstruct(xs[subset], shares[:, subset], threshold) == SECRETS).all()


@every_backend
@given(xs=field_points, data=st.data(), secrets=st.lists(st.binary(min_size=32, max_size=32), max_size=3))
def test_equal_to_the_reference(backend: str, xs: list[int], data: st.DataObject, secrets: list[bytes]) -> None:
    threshold, seed = data.draw(st.integers(1, len(xs))), data.draw(st.integers(0, 2**32))
    given_secrets = np.frombuffer(b"".join(secrets), np.uint8).reshape(-1, 32)
    shares = share(given_secrets, threshold, points(*xs), seeded(seed), backend=backend)
    assert shares.tolist() == reference.share(secrets, threshold, xs, seeded(seed))
    chosen = data.draw(st.permutations(range(len(xs))))[:threshold]
    back = reconstruct(points(*xs)[chosen], shares[:, chosen], threshold, backend=backend)
    assert [bytes(b) for b in back] == secrets
    assert reference.reconstruct([xs[i] for i in chosen], shares[:, chosen].tolist()) == secrets


def test_the_size_of_a_real_round() -> None:
    xs = np.arange(1, 100, dtype=np.uint64)
    secrets = np.frombuffer(Random(1).randbytes(32 * 20), np.uint8).reshape(-1, 32)
    shares = share(secrets, 67, xs)
    for start in (0, 17, 32):
        assert (reconstruct(xs[start:][:67], shares[:, start:][:, :67], 67) == secrets).all()


def vanishing_on(xs: list[int]) -> list[int]:
    """Coefficients of the product of (1 - X / x): one at zero, zero at every x."""
    polynomial = [1]
    for x in xs:
        step = -pow(x, -1, P61)
        polynomial = [(a + step * b) % P61 for a, b in zip([*polynomial, 0], [0, *polynomial], strict=True)]
    return polynomial


@pytest.mark.parametrize("threshold", [2, 3, 5])
def test_fewer_shares_fit_every_secret_equally(threshold: int) -> None:
    """For t - 1 shares and any other secret there are coefficients that give exactly these shares."""
    xs, secret, other = list(range(1, 8)), SECRETS[2:3], SECRETS[1:2]
    drawn = reference.uniform((threshold - 1) * LIMBS, seeded(3))
    shares = share(secret, threshold, points(*xs), lambda _: pack_words(drawn))
    for seen in combinations(range(len(xs)), threshold - 1):
        bump = vanishing_on([xs[i] for i in seen])[1:]
        gap = [b - a for a, b in zip(limbs(secret), limbs(other), strict=True)]
        moved = [(c + gap[i % LIMBS] * bump[i // LIMBS]) % P61 for i, c in enumerate(drawn)]
        others = share(other, threshold, points(*xs), lambda _, words=moved: pack_words(words))
        assert (others[:, seen] == shares[:, seen]).all()
        unseen = [i for i in range(len(xs)) if i not in seen]
        assert (others[:, unseen] != shares[:, unseen]).any(axis=2).all()


def limbs(secret: np.ndarray) -> list[int]:
    return share(secret, 1, points(1))[0, 0].tolist()


def pack_words(words: list[int]) -> bytes:
    return reference.pack(words, 64)


def test_shares_of_one_secret_differ_every_time() -> None:
    first, second = (share(SECRETS, 2, points(1, 2)) for _ in range(2))
    assert (first != second).all()


def test_coefficients_are_drawn_again_only_when_out_of_the_field() -> None:
    """One call for all; a word of 61 ones, whatever its top bits, is the one residue that does not exist."""
    calls: list[int] = []
    first = bytes(8 * 3) + b"\xff" * 8 + bytes(8 * 5) + b"\xff" * 7 + b"\x1f"
    answers = iter([first, b"\xff" * 8 + bytes(8), bytes(8)])

    def rng(size: int) -> bytes:
        calls.append(size)
        return next(answers)

    shares = share(SECRETS[2:], 3, points(1, 2, 3), rng)
    assert calls == [80, 16, 8]
    assert (shares == shares[:, :1]).all(), "all coefficients are zero: every share is the secret"


@pytest.mark.parametrize("size", [0, 8, 15, 17])
def test_an_rng_that_gives_another_number_of_bytes(size: int) -> None:
    with pytest.raises(FieldError, match="rng gave"):
        share(SECRETS[:1], 2, points(1, 2), lambda _: bytes(size))


@pytest.mark.parametrize(
    ("xs", "sentence"),
    [
        ([0, 1], "2\\*\\*61 - 2"),
        ([1, P61], "2\\*\\*61 - 2"),
        ([1, 2**64 - 1], "2\\*\\*61 - 2"),
        ([1, P61 + 1], "2\\*\\*61 - 2"),
        ([5, 5], "distinct"),
        ([], "non-empty"),
    ],
)
def test_b5_points_that_cannot_carry_a_share(xs: list[int], sentence: str) -> None:
    with pytest.raises(FieldError, match=sentence):
        share(SECRETS, 1, points(*xs))
    for backend in backends(P61):
        with pytest.raises(FieldError, match=sentence):
            reconstruct(points(*xs), np.zeros((3, len(xs), LIMBS), np.uint64), len(xs), backend=backend)


@pytest.mark.parametrize("threshold", [0, -1, 4])
def test_thresholds_out_of_range(threshold: int) -> None:
    with pytest.raises(FieldError, match="threshold"):
        share(SECRETS, threshold, points(1, 2, 3))


@pytest.mark.parametrize("secrets", [np.zeros((3, 31), np.uint8), np.zeros(32, np.uint8), np.zeros((3, 32), np.int8)])
def test_secrets_of_the_wrong_kind(secrets: np.ndarray) -> None:
    with pytest.raises(FieldError, match="secrets must be uint8"):
        share(secrets, 1, points(1, 2))


@every_backend
@pytest.mark.parametrize("word", [P61, P61 + 1, 2**63, 2**64 - 1])
@pytest.mark.parametrize("at", [(0, 0, 0), (2, 1, 4)])
def test_b5_words_outside_the_field(backend: str, word: int, at: tuple[int, int, int]) -> None:
    shares = share(SECRETS, 2, points(1, 2))
    shares[at] = word
    with pytest.raises(FieldError, match="not below"):
        reconstruct(points(1, 2), shares, 2, backend=backend)


@every_backend
def test_b5_a_second_name_for_the_same_element(backend: str) -> None:
    """x + P61 stands for x, and would give the secret: a share has one encoding."""
    shares = share(SECRETS, 2, points(1, 2))
    shares[1, 0, 2] += P61
    with pytest.raises(FieldError, match="not below"):
        reconstruct(points(1, 2), shares, 2, backend=backend)


@pytest.mark.parametrize(("limb", "bound"), [(0, 2**56), (3, 2**56), (4, 2**32)])
def test_b5_limbs_that_are_too_long(limb: int, bound: int) -> None:
    """A share of threshold 1 is the limbs themselves."""
    shares = np.zeros((1, 1, LIMBS), np.uint64)
    shares[0, 0, limb] = bound - 1
    assert reconstruct(points(9), shares, 1).any()
    shares[0, 0, limb] = bound
    with pytest.raises(FieldError, match="too long"):
        reconstruct(points(9), shares, 1)


def test_a_corrupt_share_or_a_wrong_point_is_noticed_or_changes_the_secret() -> None:
    xs = points(1, 2, 3)
    shares = share(SECRETS, 3, xs, seeded(5))
    for at in [(s, i, limb) for s in range(3) for i in range(3) for limb in range(LIMBS)]:
        corrupt = shares.copy()
        corrupt[at] ^= np.uint64(1)
        assert outcome(xs, corrupt) != [bytes(s) for s in SECRETS]
    assert outcome(points(1, 2, 4), shares) is None
    assert outcome(xs, shares[:, [1, 0, 2]]) is None


def outcome(xs: np.ndarray, shares: np.ndarray) -> list[bytes] | None:
    try:
        return [bytes(secret) for secret in reconstruct(xs, shares, xs.size)]
    except FieldError:
        return None


def test_too_few_or_too_many_shares_are_refused() -> None:
    xs = points(1, 2, 3)
    shares = share(SECRETS, 2, xs)
    for count in (1, 3):
        with pytest.raises(FieldError, match="exactly 2 points"):
            reconstruct(xs[:count], shares[:, :count], 2)
    with pytest.raises(FieldError, match="shape"):
        reconstruct(xs[:2], shares, 2)
    assert outcome(xs[:1], shares[:, :1]) is None


@every_backend
@pytest.mark.parametrize("threshold", [1, 31, 32, 33, 63, 64, 65, 200])
def test_words_as_large_as_can_be(backend: str, threshold: int) -> None:
    """All shares but one are -1: sums that are not yet reduced must not overflow."""
    xs = list(range(1, threshold + 1))
    weights = reference.lagrange(xs, 0, P61)
    last = sum(weights[:-1]) * pow(weights[-1], -1, P61) % P61
    shares = np.full((1, threshold, LIMBS), P61 - 1, np.uint64)
    shares[:, -1] = last
    assert not reconstruct(points(*xs), shares, threshold, backend=backend).any()


@every_backend
def test_c5_every_number_of_points_and_thresholds(backend: str) -> None:
    secrets = [bytes(s) for s in SECRETS]
    for n in range(1, 4 * LANES + 2):
        xs = Random(n).sample(range(P61 - 50, P61), n)
        for threshold in {1, n // 2 + 1, n}:
            shares = share(SECRETS, threshold, points(*xs), seeded(n), backend=backend)
            assert shares.tolist() == reference.share(secrets, threshold, xs, seeded(n))
            back = reconstruct(points(*xs[:threshold]), shares[:, :threshold], threshold, backend=backend)
            assert (back == SECRETS).all()


def test_backends_that_are_not_there() -> None:
    for call in (
        lambda: share(SECRETS, 1, points(1), backend="ifma"),
        lambda: reconstruct(points(1), np.zeros((1, 1, LIMBS), np.uint64), 1, backend="ifma"),
    ):
        with pytest.raises(FieldError, match="choose one of"):
            call()
