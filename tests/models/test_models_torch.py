"""Torch modules on submodels: the same numbers as the NumPy models, from autograd, and only the rows that are there."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from slow_din import CATEGORIES, CATEGORY, ITEMS, claim, some_samples, some_weights

from securefl.config import load_preset, override
from securefl.datasets.synthetic import synthetic_click_log
from securefl.engine import local
from securefl.errors import ConfigurationError
from securefl.federation.progress import Silent
from securefl.models import DIN, ClickModel, LocalUpdate, LogisticRegression, Model

pytestmark = pytest.mark.needs("torch")

NAMES, MAPS = {"items": "item", "categories": "category"}, {"categories": CATEGORY}
PLAN: dict[str, Any] = {"epochs": 2, "batch": 3, "learning_rate": 0.05, "seed": 4}
PLAIN: dict[str, ClickModel] = {
    "din": DIN(CATEGORY, CATEGORIES, width=4),
    "logistic": LogisticRegression(CATEGORY, CATEGORIES),
    "logistic pulled": LogisticRegression(CATEGORY, CATEGORIES, proximal=0.3),
}


def in_torch(name: str) -> Any:
    """The torch twin of a NumPy model."""
    from torch_nets import TorchDIN, TorchLogistic

    from securefl.models.torch import TorchModel

    plain = PLAIN[name]
    shapes = plain.network.shapes(plain.width)
    module = TorchDIN(ITEMS, CATEGORIES, plain.width, shapes) if name == "din" else TorchLogistic(ITEMS, CATEGORIES)
    return TorchModel(module, NAMES, MAPS, user_width=plain.width, proximal=plain.proximal)


def normalized(**settings: float) -> Any:
    from torch_nets import Normalized

    from securefl.models.torch import TorchModel

    return TorchModel(Normalized(ITEMS, CATEGORIES), NAMES, MAPS, **settings)


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize("claimed", [np.arange(ITEMS), np.array([0, 1, 2, 4, 5, 8])], ids=["all", "some"])
def test_local_training_by_autograd_is_that_of_the_gradients_written_by_hand(name: str, claimed: np.ndarray) -> None:
    """Several steps, batches and clipped gradients: one wrong coordinate anywhere would show."""
    plain, twin = PLAIN[name], in_torch(name)
    whole = some_weights(plain, 1)
    dense, rows, user = claim(plain, whole, claimed)
    samples = some_samples(5, 20, 9)
    ours, theirs = (model.train_local(dense, rows, samples, user, **PLAN) for model in (plain, twin))
    assert ours.samples == theirs.samples > 6
    assert ours.loss == pytest.approx(theirs.loss, rel=1e-5)
    assert np.abs(ours.dense).max() > 1e-4
    np.testing.assert_allclose(ours.dense, theirs.dense, atol=3e-6)
    np.testing.assert_allclose(ours.user_embedding, theirs.user_embedding, atol=3e-5)
    for table, update in ours.rows.items():
        assert update.indices.tolist() == theirs.rows[table].indices.tolist()
        assert update.counts.tolist() == theirs.rows[table].counts.tolist()
        assert np.abs(update.deltas).max() > 1e-3
        np.testing.assert_allclose(update.deltas, theirs.rows[table].deltas, atol=3e-5)


@pytest.mark.parametrize("name", PLAIN)
def test_predictions_are_the_same(name: str) -> None:
    plain, twin = PLAIN[name], in_torch(name)
    whole = some_weights(plain, 2)
    dense, rows, user = claim(plain, whole, np.arange(ITEMS))
    samples = some_samples(3, 400, 40)
    users = np.random.default_rng(0).normal(size=(400, len(user))).astype(np.float32)
    for who in (user, users):
        np.testing.assert_allclose(
            plain.predict(dense, rows, samples, who), twin.predict(dense, rows, samples, who), atol=2e-6
        )


def test_it_is_a_model_whose_start_comes_from_the_seed() -> None:
    model: Model = normalized()
    assert [(t.name, t.rows, t.width) for t in model.tables] == [("items", ITEMS, 2), ("categories", CATEGORIES, 2)]
    assert model.dense_size == 4 * 4 + 4 + 1  # scale, shift, running mean and variance; weights and a bias
    one, same, other = (model.init(seed) for seed in (1, 1, 2))
    assert one.dense.tolist() == same.dense.tolist() != other.dense.tolist()
    assert (one.tables["items"] == same.tables["items"]).all()
    assert model.rows_of(np.array([4, 1, 4]))["categories"].tolist() == sorted({CATEGORY[1], CATEGORY[4]})
    assert model.init_user().tolist() == [0]


def trained(model: Any, seed: int = 0) -> LocalUpdate:
    weights = model.init(0)
    _, rows, _ = claim(PLAIN["logistic"], some_weights(PLAIN["logistic"]), np.arange(ITEMS))
    return model.train_local(
        weights.dense, rows, some_samples(1, 30, 9), model.init_user(), epochs=1, batch=6, learning_rate=0.05, seed=seed
    )


def test_running_statistics_are_dense_state_and_dropout_follows_the_seed() -> None:
    model = normalized()
    one, same, other = (trained(model, seed).dense for seed in (1, 1, 2))
    assert one.tolist() == same.tolist() != other.tolist()
    names = [name for name, value in model.module.state_dict().items() if "norm" in name and value.is_floating_point()]
    assert names == ["norm.weight", "norm.bias", "norm.running_mean", "norm.running_var"]
    assert (np.abs(one[8:16]) > 1e-4).all()
    assert (model.module.norm.running_mean == 0).all(), "the user's own module is not touched"


def test_only_involved_rows_come_back() -> None:
    model = normalized()
    weights, samples = model.init(0), some_samples(1, 2, 9)
    _, rows, _ = claim(PLAIN["logistic"], some_weights(PLAIN["logistic"]), np.arange(ITEMS))
    update = model.train_local(weights.dense, rows, samples, model.init_user(), **PLAN)
    held = set(samples.targets.tolist()) | set(samples.clicks.tolist())
    assert set(update.rows["items"].indices.tolist()) <= held
    assert (update.rows["items"].counts >= 1).all()
    nothing = model.train_local(weights.dense, rows, some_samples(1, 0, 0), model.init_user(), **PLAN)
    assert (nothing.samples, nothing.loss, nothing.rows["items"].indices.size) == (0, 0.0, 0)
    assert not nothing.dense.any()


@pytest.mark.parametrize(
    ("names", "maps", "said"),
    [
        ({"items": "item"}, {}, "'items': an nn.Embedding with padding_idx"),
        ({"items": "nowhere"}, {}, "'items': the module has no nn.Embedding called 'nowhere'"),
        ({"items": "bias"}, {}, "'items': the module has no nn.Embedding called 'bias'"),
        ({"kinds": "other"}, MAPS, "`embeddings` must begin with items"),
        ({"items": "other", "kinds": "other"}, {}, "`maps` hold one map for each other table"),
    ],
)
def test_a_module_that_cannot_train_in_parts_is_refused(names: dict, maps: dict, said: str) -> None:
    from torch_nets import Padded

    from securefl.models.torch import TorchModel

    with pytest.raises(ConfigurationError, match=said):
        TorchModel(Padded(), names, maps)


def test_what_does_not_fit_is_refused() -> None:
    from torch import nn

    from securefl.models.torch import TorchModel

    model = normalized()
    weights, samples = model.init(0), some_samples(1, 20, 9)
    _, rows, _ = claim(PLAIN["logistic"], some_weights(PLAIN["logistic"]), np.arange(ITEMS))
    user = model.init_user()
    with pytest.raises(ConfigurationError, match=r"dense parameters have shape \(20,\), not \(21,\)"):
        model.train_local(weights.dense[:-1], rows, samples, user, **PLAN)
    _, wide, _ = claim(PLAIN["din"], some_weights(PLAIN["din"]), np.arange(ITEMS))
    with pytest.raises(ConfigurationError, match="rows of table 'items' must be 2 wide"):
        model.train_local(weights.dense, wide, samples, user, **PLAN)
    with pytest.raises(ConfigurationError, match="diverged at learning rate 1e"):
        model.train_local(np.full_like(weights.dense, np.inf), rows, samples, user, **PLAN | {"learning_rate": 1e30})
    with pytest.raises(ConfigurationError, match="nothing but tables"):
        TorchModel(nn.ModuleDict({"item": nn.Embedding(3, 2)}), {"items": "item"}, {})


def test_a_secure_round_and_a_plain_one_train_the_same_module() -> None:
    from torch_nets import TorchLogistic

    from securefl.models.torch import TorchModel

    log = synthetic_click_log("small", seed=3)
    few = {"cohort.clients": 8, "cohort.rounds": 1, "cohort.dropout": 0.0, "privacy.honest_claimants": 1}
    runs: list[local.Trained] = []
    for plain in (False, True):
        model = TorchModel(TorchLogistic(log.items, log.categories), NAMES, {"categories": log.category}, user_width=2)
        config = override(load_preset("small"), few)
        summary = local.run(config, log, Silent(), plain=plain, model=model, keep=runs.append)
        assert summary.exact
        assert summary.per_round[0].rows_uploaded > 0
    secure, clear = runs
    assert secure.weights.dense.tobytes() == clear.weights.dense.tobytes()
    assert (secure.weights.tables["items"] == clear.weights.tables["items"]).all()
    assert np.abs(secure.embeddings).max() > 0
