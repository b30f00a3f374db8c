"""Softmax regression: gradients, many clients at once, and what local steps are."""

from __future__ import annotations

import numpy as np
import pytest

from securefl.models.softmax import SoftmaxRegression

MODEL = SoftmaxRegression(5, 3)
DRAW = np.random.default_rng(0)
PARAMETERS = DRAW.normal(size=MODEL.size).astype(np.float32)
INPUTS = DRAW.normal(size=(4, 5)).astype(np.float32)
LABELS = np.array([0, 2, 1, 2])


def test_gradient_is_that_of_the_loss() -> None:
    slope, wide = MODEL.gradient(PARAMETERS, INPUTS, LABELS), PARAMETERS.astype(np.float64)
    for at in range(MODEL.size):
        step = np.zeros(MODEL.size)
        step[at] = 1e-5
        rise = MODEL.loss(wide + step, INPUTS, LABELS) - MODEL.loss(wide - step, INPUTS, LABELS)
        assert rise / 2e-5 == pytest.approx(slope[at], abs=1e-4)


@pytest.mark.needs("torch")
def test_loss_and_gradient_are_those_of_autograd() -> None:
    import torch

    own = torch.from_numpy(PARAMETERS.copy()).requires_grad_()
    scores = torch.from_numpy(INPUTS) @ own[:15].reshape(5, 3) + own[15:]
    loss = torch.nn.functional.cross_entropy(scores, torch.from_numpy(LABELS))
    loss.backward()  # type: ignore[no-untyped-call]
    assert own.grad is not None
    assert float(MODEL.loss(PARAMETERS, INPUTS, LABELS)) == pytest.approx(loss.item(), rel=1e-5)
    assert MODEL.gradient(PARAMETERS, INPUTS, LABELS) == pytest.approx(own.grad.numpy(), abs=1e-6)


def test_a_cohort_is_its_clients_one_by_one() -> None:
    models = DRAW.normal(size=(6, MODEL.size)).astype(np.float32)
    inputs, labels = DRAW.normal(size=(6, 4, 5)).astype(np.float32), DRAW.integers(0, 3, (6, 4))
    together = MODEL.gradient(models, inputs, labels)
    for u in range(6):
        assert together[u] == pytest.approx(MODEL.gradient(models[u], inputs[u], labels[u]), abs=1e-6)
        assert MODEL.loss(models, inputs, labels)[u] == pytest.approx(MODEL.loss(models[u], inputs[u], labels[u]))


@pytest.mark.parametrize("proximal", [0.0, 0.7])
def test_local_steps(proximal: float) -> None:
    inputs, labels = DRAW.normal(size=(2, 3, 4, 5)).astype(np.float32), DRAW.integers(0, 3, (2, 3, 4))
    scale = np.array([0.5, 2], np.float32)
    updates = MODEL.descend(PARAMETERS, inputs, labels, 0.1, loss_scale=scale, proximal=proximal)
    for u in range(2):
        own = PARAMETERS.copy()
        for x, y in zip(inputs[u], labels[u], strict=True):
            own = own - 0.1 * (scale[u] * MODEL.gradient(own, x, y) + proximal * (own - PARAMETERS))
        assert updates[u] == pytest.approx((PARAMETERS - own) / 0.1, abs=1e-5)


def test_large_scores_do_not_overflow() -> None:
    assert np.isfinite(MODEL.gradient(PARAMETERS * 1e4, INPUTS, LABELS)).all()
    assert np.isfinite(MODEL.loss(PARAMETERS * 1e4, INPUTS, LABELS))


def test_accuracy() -> None:
    model = SoftmaxRegression(2, 2)
    parameters = np.array([1, 0, 0, 1, 0, 0], np.float32)
    inputs = np.array([[2, 1], [1, 2], [3, 0]], np.float32)
    assert model.accuracy(parameters, inputs, np.array([0, 1, 1])) == pytest.approx(2 / 3)
