"""Logistic regression: its probabilities written slowly, its gradient, and what it learns."""

from __future__ import annotations

from math import exp, log1p

import numpy as np
import pytest
from slow_din import CATEGORIES, CATEGORY, ITEMS, claim, numeric_gradient, plainly, some_samples, some_weights

from securefl.errors import ConfigurationError
from securefl.models import LogisticRegression, Model, TableSlice, auc
from securefl.models.batches import localize, pad
from securefl.models.descent import LocalWeights, loss_and_gradient
from securefl.models.embedding import LocalRows

MODEL = LogisticRegression(CATEGORY, CATEGORIES)


def chance(whole: object, target: int, history: list[int]) -> float:
    """The model as a sum of weights."""
    constant, length = whole.dense + whole.user
    z = constant + length * log1p(len(history)) / log1p(100)
    z += whole.items[target][0] + whole.categories[CATEGORY[target]][0]
    z += sum(whole.items[i][1] + whole.categories[CATEGORY[i]][1] for i in history) / max(1, len(history))
    return 1 / (1 + exp(-z))


def test_it_is_a_model() -> None:
    model: Model = MODEL
    weights = model.init(3)
    assert model.dense_size == 2 == weights.dense.size
    assert {name: table.shape for name, table in weights.tables.items()} == {
        "items": (ITEMS, 2),
        "categories": (CATEGORIES, 2),
    }
    with pytest.raises(ConfigurationError, match="`width` is 18; logistic regression has rows of 2 numbers"):
        LogisticRegression(CATEGORY, CATEGORIES, width=18)


@pytest.mark.parametrize("claimed", [np.arange(ITEMS), np.array([0, 1, 4, 5, 8])], ids=["all", "some"])
def test_predictions_are_a_sum_of_weights(claimed: np.ndarray) -> None:
    samples, whole = some_samples(3, 25, 12), some_weights(MODEL)
    samples.targets[:] = claimed[samples.targets % len(claimed)]
    expected = [chance(whole, target, history) for target, _, history in plainly(samples, claimed, 100)]
    assert np.ptp(expected) > 0.1
    found = MODEL.predict(*claim(MODEL, whole, claimed)[:2], samples, whole.user)
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_its_gradient_is_that_of_finite_differences(seed: int) -> None:
    samples, whole = some_samples(seed, 9, 9), some_weights(MODEL, seed)
    batch = pad(localize(samples, TableSlice.whole(whole.items), 100))  # empty histories too
    weights = LocalWeights(whole.dense, LocalRows(whole.items, whole.categories, CATEGORY), whole.user)

    def loss() -> float:
        return float(loss_and_gradient(weights, batch, MODEL.network)[0])

    _, gradient = loss_and_gradient(weights, batch, MODEL.network)
    found = [np.zeros_like(part) for part in whole.parts()]
    found[0] = gradient.dense["weights"]
    found[1][gradient.items.positions], found[2][gradient.categories.positions] = (
        gradient.items.rows,
        gradient.categories.rows,
    )
    found[3] = gradient.user
    for ours, slow in zip(found, (numeric_gradient(loss, part) for part in whole.parts()), strict=True):
        assert np.abs(slow).max() > 1e-3
        np.testing.assert_allclose(ours, slow, rtol=1e-6, atol=1e-9)


def test_a_client_learns_what_it_likes() -> None:
    """Clicks follow the category; alone on its own samples the model ranks unseen ones by it."""
    rng = np.random.default_rng(0)
    samples = some_samples(1, 400, 30)
    samples.labels[:] = (CATEGORY[samples.targets] == 1) ^ (rng.random(400) < 0.1)
    rows = {t.name: TableSlice.whole(MODEL.init(0).tables[t.name]) for t in MODEL.tables}
    start = MODEL.init(0).dense
    update = MODEL.train_local(start, rows, samples, MODEL.init_user(), epochs=3, batch=4, learning_rate=0.003, seed=0)
    moved = {name: TableSlice.whole(rows[name].rows.copy()) for name in rows}
    for name, delta in update.rows.items():
        moved[name].rows[delta.indices] += delta.deltas
    fresh = some_samples(2, 300, 30)
    scores = MODEL.predict(start + update.dense, moved, fresh, update.user_embedding)
    assert (auc(scores, CATEGORY[fresh.targets] == 1) or 0) > 0.95
