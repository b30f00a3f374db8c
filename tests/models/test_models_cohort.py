"""Many clients in one computation are the clients one by one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from slow_din import CATEGORIES, CATEGORY, ITEMS, claim, some_samples, some_weights

from securefl.errors import ConfigurationError
from securefl.models import DIN, ClickModel, ClientPart, LocalUpdate, LogisticRegression
from securefl.models.batches import concatenate, localize, pad, trainable
from securefl.models.descent import Descent, LocalWeights, loss_and_gradient
from securefl.models.embedding import LocalRows

MODELS = [DIN(CATEGORY, CATEGORIES, width=3), LogisticRegression(CATEGORY, CATEGORIES)]
PULLED = [replace(model, proximal=0.3) for model in MODELS]
PLAN = {"epochs": 2, "batch": 3, "learning_rate": 0.05}


def cohort(model: ClickModel, clients: int) -> tuple[np.ndarray, list[ClientPart]]:
    """Clients with 0 to 8 samples, claims and users of their own, over one dense vector."""
    rng, parts = np.random.default_rng(1), []
    for u in range(clients):
        whole = some_weights(model, u)
        claimed = np.sort(rng.choice(ITEMS, 7, replace=False))
        _, rows, user = claim(model, whole, claimed)
        parts.append(ClientPart(rows, some_samples(u, u % 9, 9), user, seed=u))
    return some_weights(model, 99).dense.astype(np.float32), parts


def close(one: LocalUpdate, two: LocalUpdate) -> None:
    assert (one.samples, one.loss) == pytest.approx((two.samples, two.loss), rel=1e-5)
    np.testing.assert_allclose(one.dense, two.dense, atol=2e-6)
    np.testing.assert_allclose(one.user_embedding, two.user_embedding, atol=2e-5)
    for name, rows in one.rows.items():
        assert rows.indices.tolist() == two.rows[name].indices.tolist()
        assert rows.counts.tolist() == two.rows[name].counts.tolist()
        np.testing.assert_allclose(rows.deltas, two.rows[name].deltas, atol=2e-5)


@pytest.mark.parametrize("model", [*MODELS, *PULLED], ids=["din", "logistic", "din pulled", "logistic pulled"])
@pytest.mark.parametrize("clients", [1, 2, 40])
def test_a_cohort_is_its_clients_in_their_order(model: ClickModel, clients: int) -> None:
    dense, parts = cohort(model, clients)
    together = model.train_cohort(dense, parts, **PLAN)
    for part, update in zip(parts, together, strict=True):
        close(
            update,
            model.train_local(dense, part.tables, part.samples, part.user_embedding, **PLAN, seed=part.seed),
        )
    assert clients < 40 or len({update.samples for update in together}) > 4


def test_nobody_gives_nothing() -> None:
    dense, parts = cohort(MODELS[0], 1)
    assert MODELS[0].train_cohort(dense, [], **PLAN) == []
    assert not MODELS[0].train_cohort(dense, parts, **PLAN)[0].dense.any()


@pytest.mark.parametrize("model", MODELS, ids=["din", "logistic"])
def test_every_client_is_scaled_to_its_own_gradient_norm(model: ClickModel) -> None:
    """A bound that only one of two clients exceeds slows that one alone."""
    dense, parts = cohort(model, 9)
    parts = parts[7:]
    begun = [trainable(localize(part.samples, part.tables["items"], model.history)) for part in parts]
    begun.sort(key=len, reverse=True)
    rows = [LocalRows.of(part.tables, CATEGORY) for part in parts]
    single = [LocalWeights(dense, one, part.user_embedding) for one, part in zip(rows, parts, strict=True)]
    norms = [
        float(loss_and_gradient(one, pad(samples), model.network)[1].norm())
        for one, samples in zip(single, begun, strict=True)
    ]
    stacked = LocalWeights(
        np.tile(dense, (2, 1)), LocalRows.stack(rows), np.stack([part.user_embedding for part in parts])
    )
    size = max(map(len, begun))
    places = np.full((2, size), -1)
    places[0, : len(begun[0])] = np.arange(len(begun[0]))
    places[1, : len(begun[1])] = np.arange(len(begun[1])) + len(begun[0])
    samples = concatenate([(one, len(part.items)) for one, part in zip(begun, rows, strict=True)])
    _, gradient = loss_and_gradient(stacked, pad(samples, places), model.network)
    assert gradient.norm() == pytest.approx(norms, rel=1e-5)
    before, bound = stacked.dense.copy(), float(np.mean(norms))
    Descent(1.0, 1.0, bound, True, model.network).step(stacked, pad(samples, places))
    moved = np.linalg.norm(stacked.dense - before, axis=1)
    flat = [np.concatenate([part[u].ravel() for part in gradient.dense.values()]) for u in (0, 1)]
    expected = [np.linalg.norm(one) * min(1, bound / norm) for one, norm in zip(flat, norms, strict=True)]
    assert moved == pytest.approx(expected, rel=1e-3)
    assert min(norms) < bound < max(norms)


@pytest.mark.parametrize("model", MODELS, ids=["din", "logistic"])
def test_fedprox_pulls_back_what_is_shared_and_not_the_user(model: ClickModel) -> None:
    """One step r g becomes r g / (1 + r mu), at the rate of dense parameters or of rows; mu = inf stands still."""
    dense, parts = cohort(model, 9)
    part, plan, mu = parts[8], {"epochs": 1, "batch": 99, "learning_rate": 0.05}, 0.7
    runs = [
        replace(model, proximal=pull).train_local(
            dense, part.tables, part.samples, part.user_embedding, **plan, seed=part.seed
        )
        for pull in (0.0, mu, 1e9)
    ]
    free, pulled, held = runs
    np.testing.assert_allclose(pulled.dense, free.dense / (1 + 0.05 * mu), rtol=1e-3, atol=1e-7)
    for name, rows in pulled.rows.items():
        expected = free.rows[name].deltas / (1 + 0.05 * model.embedding_rate * mu)
        np.testing.assert_allclose(rows.deltas, expected, rtol=1e-2, atol=1e-5)
        assert np.abs(held.rows[name].deltas).max() < 1e-6 < 1e-3 < np.abs(free.rows[name].deltas).max()
    assert np.abs(held.dense).max() < 1e-6 < np.abs(free.dense).max()
    assert (free.user_embedding == held.user_embedding).all()
    assert (free.user_embedding != part.user_embedding).any()


@pytest.mark.parametrize("pull", [-1.0, float("nan"), float("inf")])
def test_a_pull_that_makes_no_sense_is_refused(pull: float) -> None:
    with pytest.raises(ConfigurationError, match=r"`proximal` is .*; it must be 0 or more"):
        replace(MODELS[0], proximal=pull)
