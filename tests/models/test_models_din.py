"""DIN as a whole: its size, its gradient, and what local training on a submodel may and may not touch."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from securefl.errors import ConfigurationError
from securefl.models import DIN, LocalUpdate, Model, TableSlice, Weights, auc
from securefl.models.batches import localize, pad, trainable
from securefl.models.descent import LocalWeights, loss_and_gradient
from securefl.models.embedding import LocalRows
from securefl.models.network import shapes, views

ITEMS, CATEGORIES, WIDTH = 12, 3, 4
CATEGORY = np.arange(ITEMS) % CATEGORIES
PLAN: dict[str, Any] = {"epochs": 1, "batch": 3, "learning_rate": 0.1, "seed": 5}


@dataclass(frozen=True)
class History:
    """Samples of one user, from a list of (item, clicked)."""

    targets: NDArray[np.int64]
    labels: NDArray[np.bool_]
    clicks: NDArray[np.int64]
    start: NDArray[np.int64]
    stop: NDArray[np.int64]

    @classmethod
    def of(cls, shown: list[tuple[int, bool]]) -> History:
        targets = np.array([item for item, _ in shown], np.int64)
        labels = np.array([clicked for _, clicked in shown], bool)
        stop = np.concatenate([[0], np.cumsum(labels)])[:-1].astype(np.int64)
        return cls(targets, labels, targets[labels], np.zeros_like(stop), stop)

    def earlier(self, sample: int) -> list[int]:
        return self.clicks[self.start[sample] : self.stop[sample]].tolist()


def din(**settings: Any) -> DIN:
    return DIN(CATEGORY, CATEGORIES, WIDTH, **settings)


def weights(model: DIN, seed: int = 0, deviation: float = 0.2) -> Weights:
    """Weights without a zero anywhere."""
    rng = np.random.default_rng(seed)
    tables = {t.name: rng.normal(0, deviation, (t.rows, t.width)).astype(np.float32) for t in model.tables}
    return Weights(rng.normal(0, deviation, model.dense_size).astype(np.float32), tables)


def submodel(model: DIN, w: Weights, items: list[int]) -> dict[str, TableSlice]:
    rows = model.rows_of(np.array(items, np.int64))
    return {name: TableSlice(indices, w.tables[name][indices]) for name, indices in rows.items()}


USER = np.linspace(-0.5, 0.5, WIDTH).astype(np.float32)
SHOWN = History.of([(0, True), (5, False), (2, True), (7, True), (2, False), (0, True), (11, False), (9, True)])


def train(model: DIN, w: Weights, items: list[int], samples: History = SHOWN, **plan: Any) -> LocalUpdate:
    return model.train_local(w.dense, submodel(model, w, items), samples, USER, **PLAN | plan)


def test_the_dense_layers_have_the_papers_size() -> None:
    model = DIN(np.zeros(10, np.int64), 1)
    assert model.dense_size == 64_327
    assert (model.tables[0].rows, model.tables[1].rows, model.tables[0].width) == (10, 1, 18)
    first, attention = shapes(18)["fc1.w"], shapes(18)["att1.w"]
    assert (first, attention) == ((162, 200), (144, 80))


def test_views_share_the_flat_vector_in_full() -> None:
    dense = np.zeros(DIN(CATEGORY, CATEGORIES, WIDTH).dense_size)
    for view in views(dense, WIDTH).values():
        view += 1
    assert (dense == 1).all()


def test_din_is_a_model() -> None:
    model: Model = din()
    assert model.init_user().tolist() == [0] * WIDTH


def test_init_repeats_and_starts_undecided() -> None:
    model = din()
    one, same, other = model.init(3), model.init(3), model.init(4)
    assert one.dense.dtype == one.tables["items"].dtype == np.float32
    np.testing.assert_array_equal(one.dense, same.dense)
    np.testing.assert_array_equal(one.tables["items"], same.tables["items"])
    assert (one.dense != other.dense).any()
    slices = {name: TableSlice.whole(table) for name, table in one.tables.items()}
    chance = model.predict(one.dense, slices, SHOWN, model.init_user())
    assert auc(chance, SHOWN.labels) == 0.5
    assert (DIN(np.zeros(9, np.int64), 1).init(0).tables["categories"] == 0).all()


def test_a_step_is_plain_sgd_with_the_gradient_cut_to_its_norm() -> None:
    model = din(embedding_rate=7.0, gradient_norm=0.05)
    w, everything = weights(model), list(range(ITEMS))
    update = train(model, w, everything, batch=100)
    rows = LocalRows.of(submodel(model, w, everything), CATEGORY)
    samples = localize(SHOWN, submodel(model, w, everything)["items"], 100)
    _, gradient = loss_and_gradient(LocalWeights(w.dense, rows, USER), pad(trainable(samples)))
    rate = 0.1 * 0.05 / gradient.norm()
    assert gradient.norm() > 0.05
    for name, delta in views(update.dense, WIDTH).items():
        np.testing.assert_allclose(delta, -rate * gradient.dense[name], atol=1e-7)
    assert update.rows["items"].indices.tolist() == gradient.items[0].tolist()
    np.testing.assert_allclose(update.rows["items"].deltas, -7 * rate * gradient.items[1], atol=1e-7)
    np.testing.assert_allclose(update.rows["categories"].deltas, -7 * rate * gradient.categories[1], atol=1e-7)
    np.testing.assert_allclose(update.user_embedding - USER, -7 * rate * gradient.user, atol=1e-7)


shown = st.lists(st.tuples(st.integers(0, ITEMS - 1), st.booleans()), max_size=15)
claims = st.sets(st.integers(0, ITEMS - 1), min_size=1)


@given(shown, claims, st.integers(1, 4))
def test_only_samples_that_the_claim_allows_train_and_they_are_counted(
    pairs: list[tuple[int, bool]], claimed: set[int], limit: int
) -> None:
    samples, model = History.of(pairs), din(history=limit)
    involved = [
        {target, *kept}
        for k, target in enumerate(samples.targets.tolist())
        if (kept := [item for item in samples.earlier(k) if item in claimed][-limit:]) and target in claimed
    ]
    update = train(model, weights(model), sorted(claimed), samples)
    assert update.samples == len(involved)
    rows = update.rows["items"]
    assert rows.indices.tolist() == sorted(set().union(*involved))
    assert rows.counts.tolist() == [sum(item in s for s in involved) for item in rows.indices]
    groups = [{int(CATEGORY[item]) for item in s} for s in involved]
    categories = update.rows["categories"]
    assert categories.indices.tolist() == sorted(set().union(*groups))
    assert categories.counts.tolist() == [sum(c in g for g in groups) for c in categories.indices]
    assert rows.deltas.shape == (len(rows.indices), WIDTH)


@given(st.sets(st.integers(0, ITEMS - 1)))
def test_claimed_rows_that_are_not_held_change_nothing(fillers: set[int]) -> None:
    model, held = din(), {0, 2, 5, 7}
    w = weights(model)
    samples = History.of([(0, True), (5, False), (2, True), (7, True), (2, False)])
    plain, filled = train(model, w, sorted(held), samples), train(model, w, sorted(held | fillers), samples)
    np.testing.assert_array_equal(plain.dense, filled.dense)
    np.testing.assert_array_equal(plain.user_embedding, filled.user_embedding)
    for name in ("items", "categories"):
        np.testing.assert_array_equal(plain.rows[name].indices, filled.rows[name].indices)
        np.testing.assert_array_equal(plain.rows[name].deltas, filled.rows[name].deltas)


def test_without_a_usable_sample_nothing_changes() -> None:
    model = din()
    w = weights(model)
    for items, samples in ([5], SHOWN), ([], SHOWN), ([0, 5], History.of([])), ([0], History.of([(0, True)])):
        update = train(model, w, items, samples)
        assert update.samples == 0
        assert not update.dense.any()
        assert update.dense.shape == (model.dense_size,)
        assert all(len(rows.indices) == 0 and rows.deltas.shape == (0, WIDTH) for rows in update.rows.values())
        np.testing.assert_array_equal(update.user_embedding, USER)


def test_training_leaves_its_inputs_alone_and_repeats_by_seed() -> None:
    model, everything = din(), list(range(ITEMS))
    w, before = weights(model), weights(model)
    user = USER.copy()
    one, same, other = (train(model, w, everything, seed=seed, epochs=2) for seed in (5, 5, 6))
    np.testing.assert_array_equal(w.dense, before.dense)
    np.testing.assert_array_equal(w.tables["items"], before.tables["items"])
    np.testing.assert_array_equal(USER, user)
    np.testing.assert_array_equal(one.dense, same.dense)
    assert (one.dense != other.dense).any()
    assert one.dense.dtype == one.rows["items"].deltas.dtype == one.user_embedding.dtype == np.float32


def test_the_private_embedding_is_not_printed() -> None:
    model = din()
    assert "user_embedding" not in repr(train(model, weights(model), list(range(ITEMS))))


def test_a_lone_category_is_counted_but_not_trained() -> None:
    model = DIN(np.zeros(ITEMS, np.int64), 1, WIDTH)
    update = train(model, model.init(0), list(range(ITEMS)))
    assert update.rows["categories"].counts.tolist() == [update.samples]
    assert not update.rows["categories"].deltas.any()


def test_predictions_do_not_depend_on_batching_or_on_other_users() -> None:
    model = din()
    w = weights(model)
    slices = {name: TableSlice.whole(table) for name, table in w.tables.items()}
    together = model.predict(w.dense, slices, SHOWN, USER)
    assert ((together > 0) & (together < 1)).all()
    for k in range(len(SHOWN.targets)):
        alone = replace(SHOWN, **{f: getattr(SHOWN, f)[k : k + 1] for f in ("targets", "labels", "start", "stop")})
        assert model.predict(w.dense, slices, alone, USER)[0] == pytest.approx(together[k], abs=1e-6)
    users = np.stack([USER, -USER] * (len(SHOWN.targets) // 2))
    mixed = model.predict(w.dense, slices, SHOWN, users)
    np.testing.assert_allclose(mixed[::2], together[::2], atol=1e-6)
    assert not np.allclose(mixed[1::2], together[1::2], atol=1e-4)


def test_predictions_need_only_the_claimed_part_of_a_history() -> None:
    model = din()
    w, samples = weights(model), History.of([(1, True), (4, True), (6, True), (4, False)])
    last = replace(samples, **{f: getattr(samples, f)[3:] for f in ("targets", "labels", "start", "stop")})
    without = History.of([(1, True), (6, True), (4, False)])
    expected = model.predict(w.dense, submodel(model, w, list(range(ITEMS))), without, USER)[2]
    some = replace(last, clicks=np.array([1, 9, 6]))
    assert model.predict(w.dense, submodel(model, w, [1, 4, 6]), some, USER)[0] == pytest.approx(expected, abs=1e-6)
    with pytest.raises(ConfigurationError, match="claimed"):
        model.predict(w.dense, submodel(model, w, [1, 6]), last, USER)


def test_training_learns_who_likes_which_category() -> None:
    rng, model = np.random.default_rng(2), din()
    w = model.init(1)
    dense, tables = w.dense.copy(), {name: table.copy() for name, table in w.tables.items()}
    pairs = [(int(item), bool(CATEGORY[item] == 1)) for item in rng.integers(0, ITEMS, 60)]
    for seed in range(4):
        slices = {name: TableSlice.whole(table) for name, table in tables.items()}
        update = model.train_local(dense, slices, History.of(pairs), model.init_user(), **PLAN | {"seed": seed})
        dense = dense + update.dense
        for name, rows in update.rows.items():
            tables[name][rows.indices] += rows.deltas
    fresh = History.of([(int(item), bool(CATEGORY[item] == 1)) for item in rng.integers(0, ITEMS, 60)])
    slices = {name: TableSlice.whole(table) for name, table in tables.items()}
    result = auc(model.predict(dense, slices, fresh, model.init_user()), fresh.labels)
    assert result is not None
    assert result > 0.95


@pytest.mark.parametrize(
    ("plan", "named"),
    [
        ({"epochs": 0}, "epochs"),
        ({"batch": 0}, "batch"),
        ({"learning_rate": 0.0}, "learning_rate"),
        ({"learning_rate": float("nan")}, "learning_rate"),
        ({"learning_rate": 1e30, "epochs": 20}, "diverged"),
    ],
)
def test_a_bad_plan_is_refused(plan: dict[str, Any], named: str) -> None:
    model = din(gradient_norm=1e30) if named == "diverged" else din()
    with pytest.raises(ConfigurationError, match=named):
        train(model, weights(model), list(range(ITEMS)), **plan)


def test_a_bad_submodel_is_refused() -> None:
    model = din()
    w = weights(model)
    good = submodel(model, w, [0, 1, 2])
    for bad, named in (
        (good | {"categories": TableSlice(np.array([0]), w.tables["categories"][:1])}, "rows_of"),
        (good | {"items": TableSlice(np.array([ITEMS]), w.tables["items"][:1])}, "below 12"),
        (good | {"items": TableSlice(np.array([-1]), w.tables["items"][:1])}, "below 12"),
        (good | {"items": TableSlice(np.array([1]), w.tables["items"][:1, :2])}, "4 wide"),
    ):
        with pytest.raises(ConfigurationError, match=named):
            model.train_local(w.dense, bad, SHOWN, USER, **PLAN)
    with pytest.raises(ConfigurationError, match="dense"):
        model.predict(w.dense[1:], good, SHOWN, USER)
    with pytest.raises(ConfigurationError, match="sorted"):
        TableSlice(np.array([2, 1]), w.tables["items"][:2])
    with pytest.raises(ConfigurationError, match="one row per index"):
        TableSlice(np.array([2]), w.tables["items"][:2])


def test_a_bad_model_is_refused() -> None:
    for settings, named in (
        ({"categories": 2}, "categories"),
        ({"category": np.array([-1])}, "category"),
        ({"category": np.zeros((2, 2), np.int64)}, "one-dimensional"),
        ({"width": 0}, "width"),
        ({"embedding_rate": float("inf")}, "embedding_rate"),
    ):
        with pytest.raises(ConfigurationError, match=named):
            DIN(**{"category": CATEGORY, "categories": CATEGORIES} | settings)
