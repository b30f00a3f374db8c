"""The server's side of unmasking: secrets from shares, each checked against what its owner published.

Of a survivor it opens b, of a lost client m, never both. m gives the lost client's halves; the pair seed with a
survivor is that half, or opens the pad that the survivor sent with its input.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from native import field
from securefl.crypto import Private
from securefl.errors import FaultyClientError, TooFewSurvivorsError
from securefl.secagg.dealing import half, hash_of, value_hash
from securefl.secagg.keys import SecretName, commitment, commitment_of
from securefl.secagg.messages import AdvertiseKeys, MaskedInput, Unmasking
from securefl.secagg.setup import HALF, SetUp
from securefl.secagg.uploading import pad_key, xor

Holders = Mapping[int, bytes]
"""holder -> share of one secret"""


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Cohort(Private):
    """What the server knows once the keys are shared: adverts and bundles by id, and who is live."""

    setup: SetUp
    adverts: Mapping[int, AdvertiseKeys]
    hashes: Mapping[int, Mapping[int, bytes]]
    """dealer -> holder -> hashes of what was dealt, from the checked bundle of a live dealer"""
    live: frozenset[int]

    def neighbours(self, client: int) -> tuple[int, ...]:
        """Live neighbours of a client, ascending."""
        return tuple(v for v in self.setup.graph.neighbours(client) if v in self.live)


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Recovered(Private):
    """Every seed that still stands between the sum of the inputs and the sum of the values."""

    selves: Mapping[int, bytes]
    """survivor -> self-mask seed"""
    pairs: Mapping[tuple[int, int], bytes]
    """(survivor, lost neighbour) -> pair seed"""


def recover(
    cohort: Cohort,
    one: str,
    live: frozenset[int],
    inputs: Mapping[int, MaskedInput],
    answers: Mapping[int, Unmasking],
    liars: set[int],
) -> Recovered:
    """Open b of every survivor and m of every lost client of sum `one`.

    Shares that miss their hash are skipped, and `liars` gains their holders. `TooFewSurvivorsError` if some secret has
    too few good ones; `FaultyClientError` names a dealer whose good shares do not give what it committed to: the sum
    cannot be finished.
    """
    kinds = {v: "b" if v in inputs else "m" for v in live if v in inputs or _masked_with(cohort, v, inputs)}
    wanted = {v: _good_shares(cohort, v, (one, kind), answers, liars) for v, kind in kinds.items()}
    secrets = dict(_reconstruct(cohort.setup.params.threshold, wanted))
    for v, secret in secrets.items():
        _check_commitment(cohort, v, (one, kinds[v]), secret)
    pairs = {}
    for lost in kinds.keys() - inputs.keys():
        for survivor in _masked_with(cohort, lost, inputs):
            pairs[survivor, lost] = _pair_seed(cohort, one, survivor, lost, secrets[lost], inputs[survivor])
    return Recovered({u: secrets[u] for u in inputs}, pairs)


def _masked_with(cohort: Cohort, lost: int, inputs: Mapping[int, MaskedInput]) -> list[int]:
    """Survivors whose input carries a mask with a lost client."""
    return [u for u in cohort.neighbours(lost) if u in inputs and lost not in inputs[u].refused]


def _is_good(cohort: Cohort, owner: int, holder: int, name: SecretName, share: bytes) -> bool:
    hashes = cohort.hashes.get(owner, {}).get(holder)
    if hashes is None:
        return False
    setup = cohort.setup
    return value_hash(setup.session, owner, holder, name, share) == hash_of(setup, hashes, name)


def _good_shares(
    cohort: Cohort, owner: int, name: SecretName, answers: Mapping[int, Unmasking], liars: set[int]
) -> Holders:
    """The first t shares of one secret that match their hashes; adds to `liars` who sent one that does not."""
    good: dict[int, bytes] = {}
    threshold = cohort.setup.params.threshold
    for holder in cohort.neighbours(owner):
        share = answers[holder].shares.get(owner) if holder in answers else None
        if share is None:
            continue
        if not _is_good(cohort, owner, holder, name, share):
            liars.add(holder)
            continue
        good[holder] = share
        if len(good) == threshold:
            return good
    raise TooFewSurvivorsError(len(good), threshold, f"shares of client {owner}'s secret")


def _reconstruct(threshold: int, wanted: Mapping[int, Holders]) -> Iterator[tuple[int, bytes]]:
    """Secrets by owner; owners whose shares sit at the same points are opened together."""
    groups: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for owner, shares in wanted.items():
        groups[tuple(shares)].append(owner)
    for holders, owners in groups.items():
        data = b"".join(wanted[owner][holder] for owner in owners for holder in holders)
        words = np.frombuffer(data, "<u8").astype(np.uint64).reshape(len(owners), len(holders), 5)
        try:
            secrets = field.reconstruct(np.array(holders, np.uint64), words, threshold)
        except field.FieldError:
            # One dealer of the group shared no 32-byte secret: open them one by one to name it.
            if len(owners) == 1:
                raise FaultyClientError(owners[0], "its good shares form no secret") from None
            for owner in owners:
                yield from _reconstruct(threshold, {owner: wanted[owner]})
            continue
        yield from zip(owners, map(bytes, secrets), strict=True)


def _check_commitment(cohort: Cohort, owner: int, name: SecretName, secret: bytes) -> None:
    setup, advert = cohort.setup, cohort.adverts[owner]
    if commitment(setup.session, advert.identity, name, secret) != commitment_of(advert, setup.params, name):
        raise FaultyClientError(owner, "its good shares give another secret than it committed to")


def _pair_seed(cohort: Cohort, one: str, survivor: int, lost: int, m: bytes, sent: MaskedInput) -> bytes:
    """The seed two clients masked with, from the lost one's m; the dealer of a half that misses its hash is named."""
    own = half(m, cohort.setup.root, one, survivor)
    if not _is_good(cohort, lost, survivor, (one, HALF), own):
        raise FaultyClientError(lost, "the half it dealt is not derived from its secret")
    if lost < survivor:
        return own
    seed = xor(sent.pads[lost], pad_key(own))
    if not _is_good(cohort, survivor, lost, (one, HALF), seed):
        raise FaultyClientError(survivor, "its pad does not hold the half it dealt")
    return seed
