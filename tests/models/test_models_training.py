"""Local training against the slow model: what it may change, how it steps, what it learns, and a federation of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from math import inf, nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from slow_din import (
    CATEGORIES,
    CATEGORY,
    ITEMS,
    Plain,
    Whole,
    claim,
    click_chance,
    numeric_gradient,
    plainly,
    slow_loss,
    some_samples,
    some_weights,
    trained_on,
)

from securefl.datasets.clicklog import Samples
from securefl.datasets.synthetic import SyntheticPlan, synthetic_click_log
from securefl.errors import ConfigurationError
from securefl.models import DIN, LocalUpdate, TableSlice, auc
from securefl.models.network import shapes
from securefl.secagg.quantize import Quantization, quantize

EVERY = np.arange(ITEMS)
ONE_STEP = {"epochs": 1, "batch": 100, "learning_rate": 0.25, "seed": 0}
CLAIMS = st.sets(st.integers(0, ITEMS - 1)).map(lambda s: np.array(sorted(s), np.int64))
SAMPLES = st.builds(some_samples, st.integers(0, 10**6), st.integers(0, 8), st.integers(0, 9))
SMALL = DIN(CATEGORY, CATEGORIES, width=2, history=3)
WHOLE = some_weights(SMALL)
KEPT = some_samples(2, 12, 9)


def train(samples: Samples, claimed: np.ndarray = EVERY, **plan: float) -> LocalUpdate:
    dense, rows, user = claim(SMALL, WHOLE, claimed)
    return SMALL.train_local(dense, rows, samples, user, **ONE_STEP | plan)


def arrays(update: LocalUpdate) -> Iterator[np.ndarray]:
    yield from (update.dense, update.user_embedding)
    for rows in update.rows.values():
        yield from (rows.indices, rows.deltas, rows.counts)


def same(one: LocalUpdate, two: LocalUpdate) -> bool:
    pairs = zip(arrays(one), arrays(two), strict=True)
    return one.samples == two.samples and one.loss == two.loss and all(np.array_equal(a, b) for a, b in pairs)


def after(update: LocalUpdate, whole: Whole) -> Whole:
    items, categories = whole.items.copy(), whole.categories.copy()
    for table, rows in ((items, update.rows["items"]), (categories, update.rows["categories"])):
        table[rows.indices] += rows.deltas
    return Whole(whole.dense + update.dense, items, categories, update.user_embedding)


def from_plain(samples: list[Plain]) -> Samples:
    """The same samples, each with a stretch of clicks of its own."""
    ends = np.cumsum([0, *(len(history) for _, _, history in samples)])
    clicks = np.array([item for _, _, history in samples for item in history], np.int64)
    targets = np.array([target for target, _, _ in samples], np.int64)
    return Samples(targets, np.array([label for _, label, _ in samples], bool), clicks, ends[:-1], ends[1:])


def picked(samples: Samples, places: np.ndarray) -> Samples:
    parts = (samples.targets[places], samples.labels[places], samples.clicks)
    return Samples(*parts, samples.start[places], samples.stop[places])


def test_every_block_has_the_size_of_the_paper() -> None:
    model = DIN(CATEGORY, CATEGORIES)
    blocks = {
        "norm": 324,
        "fc1": 162 * 200 + 200 + 200,
        "fc2": 200 * 80 + 80 + 80,
        "fc3": 80 * 2 + 2,
        "att1": 144 * 80 + 80,
        "att2": 80 * 40 + 40,
        "att3": 40 + 1,
    }
    found = dict.fromkeys(blocks, 0)
    for name, shape in shapes(model.width).items():
        found[name.split(".")[0]] += int(np.prod(shape))
    assert found == blocks
    assert model.dense_size == len(model.init(0).dense) == sum(blocks.values()) == 64_327


def test_a_model_with_the_tables_of_the_paper_has_its_number_of_parameters() -> None:
    """143,534 items, 4,815 categories and 49,023 users: 3,617,023, of which 98.22 % in embeddings."""
    model = DIN(np.zeros(143_534, np.int64), 4_815)
    embeddings = 18 * 49_023 + sum(table.rows * table.width for table in model.tables)
    assert model.dense_size + embeddings == 3_617_023
    assert round(100 * embeddings / 3_617_023, 2) == 98.22


@given(st.lists(st.integers(0, ITEMS - 1)))
def test_rows_of_items_are_theirs_and_their_categories(items: list[int]) -> None:
    rows = SMALL.rows_of(np.array(items, np.int64))
    assert rows["items"].tolist() == sorted(set(items))
    assert rows["categories"].tolist() == sorted({int(CATEGORY[item]) for item in items})


@pytest.mark.parametrize("width", [2, 18])
@pytest.mark.parametrize("claimed", [EVERY, np.array([0, 1, 4, 5, 8])], ids=["all", "some"])
def test_predictions_are_those_of_the_slow_model(width: int, claimed: np.ndarray) -> None:
    model = DIN(CATEGORY, CATEGORIES, width=width, history=3)
    samples = some_samples(3, 25, 12)
    samples = replace(samples, targets=claimed[samples.targets % len(claimed)])
    whole = some_weights(model)
    expected = [click_chance(whole, target, history) for target, _, history in plainly(samples, claimed, 3)]
    assert np.ptp(expected) > 0.01
    np.testing.assert_allclose(
        model.predict(*claim(model, whole, claimed)[:2], samples, whole.user), expected, atol=2e-6
    )


def test_predictions_depend_neither_on_padding_nor_on_who_else_is_in_the_batch() -> None:
    model = DIN(CATEGORY, CATEGORIES)
    samples = some_samples(4, 600, 90)  # three batches, histories of none to 90 items
    users = np.random.default_rng(0).normal(size=(600, 18)).astype(np.float32)
    dense, rows, _ = claim(model, some_weights(model), EVERY)
    together = model.predict(dense, rows, samples, users)
    assert np.ptp(together) > 0.5
    shuffled = np.random.default_rng(1).permutation(600)
    for places in (shuffled, *np.arange(0, 600, 40)[:, None]):
        alone = model.predict(dense, rows, picked(samples, places), users[places])
        np.testing.assert_allclose(alone, together[places], atol=1e-5)
    assert model.predict(dense, rows, picked(samples, EVERY[:0]), users[:0]).shape == (0,)


@given(SAMPLES, CLAIMS)
def test_unclaimed_items_of_a_history_change_nothing(samples: Samples, claimed: np.ndarray) -> None:
    without = from_plain(plainly(samples, claimed, 10**6))
    assert same(train(samples, claimed), train(without, claimed))
    shown = np.flatnonzero(np.isin(samples.targets, claimed))
    dense, rows, user = claim(SMALL, WHOLE, claimed)
    both = [SMALL.predict(dense, rows, picked(s, shown), user) for s in (samples, without)]
    assert (both[0] == both[1]).all()


@given(SAMPLES, CLAIMS)
def test_every_row_of_a_kept_sample_changes_and_no_other(samples: Samples, claimed: np.ndarray) -> None:
    """Histories are any stretches of the clicks here, not only all earlier ones; items repeat in them."""
    update, kept = train(samples, claimed), trained_on(samples, claimed, SMALL.history)
    assert update.samples == len(kept)
    items = [{target, *history} for target, _, history in kept]
    categories = [{int(CATEGORY[item]) for item in one} for one in items]
    for name, involved in (("items", items), ("categories", categories)):
        rows = update.rows[name]
        assert rows.indices.tolist() == sorted(set().union(*involved))
        assert rows.counts.tolist() == [sum(row in one for one in involved) for row in rows.indices]
        assert (rows.deltas != 0).any(axis=1).all()


@pytest.mark.parametrize(
    ("claimed", "kept"),
    [([0, 1, 2], 1), ([0, 1, 2, 3], 2), ([1, 2], 0), ([0], 0), ([0, 3], 1), ([], 0), ([0, 1, 2, 3, 4, 5], 3)],
    ids=str,
)
def test_a_sample_needs_its_target_and_one_item_of_its_history(claimed: list[int], kept: int) -> None:
    samples = from_plain([(0, True, [1, 2]), (0, False, [3]), (4, True, [5]), (0, True, []), (7, True, [0])])
    assert train(samples, np.array(claimed, np.int64)).samples == kept


def test_a_history_is_cut_to_the_latest_claimed_items() -> None:
    update = train(from_plain([(0, True, [1, 2, 3, 9, 4, 9])]), np.array([0, 1, 2, 3, 4]))
    assert update.rows["items"].indices.tolist() == [0, 2, 3, 4]


@pytest.mark.parametrize("claimed", [[], [2], [0, 1]], ids=str)
def test_no_samples_give_zeros_that_can_be_quantized(claimed: list[int]) -> None:
    update = train(from_plain([(0, True, [2]), (3, True, [0, 1])]), np.array(claimed, np.int64))
    assert (update.samples, update.loss) == (0, 0.0)
    how = Quantization(bits=16, clip=1.0, weight_max=100)
    dense = quantize(update.dense[None], np.array([update.samples]), how, os.urandom)
    assert dense.shape == (1, SMALL.dense_size + 1)
    assert not dense.any()
    for rows in update.rows.values():
        assert quantize(rows.deltas, rows.counts, how, os.urandom).shape == (0, 3)


def test_training_repeats_with_its_plan_and_not_with_another() -> None:
    plan = {"epochs": 2, "batch": 2, "seed": 3}
    assert same(train(KEPT, **plan), train(KEPT, **plan))
    for other in ({"seed": 4}, {"batch": 3}, {"epochs": 3}, {"learning_rate": 0.3}):
        assert not same(train(KEPT, **plan), train(KEPT, **plan | other))


@pytest.mark.parametrize("samples", [KEPT, some_samples(0, 0, 5)], ids=["some", "none"])
def test_what_is_given_is_never_written_to_nor_given_back(samples: Samples) -> None:
    dense, rows, user = claim(SMALL, WHOLE, EVERY)
    lent = [dense, user, *vars(samples).values()]
    lent += [array for part in rows.values() for array in (part.indices, part.rows)]
    frozen, before = [array.flags for array in lent], [array.copy() for array in lent]
    for flags in frozen:
        flags.writeable = False
    update = SMALL.train_local(dense, rows, samples, user, epochs=2, batch=4, learning_rate=0.5, seed=1)
    SMALL.predict(dense, rows, samples, user)
    for flags in frozen:
        flags.writeable = True
    assert all((old == now).all() for old, now in zip(before, lent, strict=True))
    assert not any(np.shares_memory(a, b) for a in arrays(update) for b in lent)


@pytest.mark.parametrize(("norm", "cut"), [(100.0, False), (0.05, True)], ids=["whole", "cut"])
def test_one_step_is_the_one_of_the_slow_model(norm: float, cut: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Down the gradient that differences give, cut to its norm, farther for rows and user."""
    monkeypatch.setattr("securefl.models.network.HIDDEN", (5, 4))
    monkeypatch.setattr("securefl.models.network.ATTENTION_HIDDEN", (4, 3))
    model = replace(SMALL, gradient_norm=norm, embedding_rate=7.0)
    whole = some_weights(model)
    plain = trained_on(KEPT, EVERY, model.history)
    gradients = [numeric_gradient(lambda: slow_loss(whole, plain), part) for part in whole.parts()]
    length = np.sqrt(sum((gradient**2).sum() for gradient in gradients))
    assert (length > norm) == cut
    rate = 0.25 * min(1, norm / length)
    dense, rows, user = claim(model, whole, EVERY)
    update = model.train_local(dense, rows, KEPT, user, **ONE_STEP)
    assert update.loss == pytest.approx(slow_loss(whole, plain), rel=1e-5)
    before, then = whole.parts(), after(update, whole).parts()
    for old, new, gradient, far in zip(before, then, gradients, (1, 7, 7, 7), strict=True):
        np.testing.assert_allclose(new - old, -far * rate * gradient, rtol=1e-3, atol=3e-7)


def test_two_epochs_are_one_after_the_other() -> None:
    both, first = train(KEPT, epochs=2), train(KEPT)
    then = after(first, WHOLE)
    second = SMALL.train_local(*claim(SMALL, then, EVERY)[:2], KEPT, first.user_embedding, **ONE_STEP)
    assert both.loss == pytest.approx(second.loss, rel=1e-4)
    for a, b in zip(after(second, then).parts(), after(both, WHOLE).parts(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)


@pytest.mark.parametrize("batch", [1, 5])
def test_an_epoch_sees_every_sample_once(batch: int) -> None:
    """With steps too short to matter the mean over its batches is the mean over the samples."""
    plain = trained_on(KEPT, EVERY, SMALL.history)
    assert len(plain) % 5 != 0
    assert train(KEPT, batch=batch, learning_rate=1e-9).loss == pytest.approx(slow_loss(WHOLE, plain), rel=1e-5)


def taste(seed: int, count: int, *, shuffled: bool = False) -> Samples:
    """A user who clicks what is in category 0 and has clicked items of it before."""
    rng = np.random.default_rng(seed)
    targets = rng.integers(0, ITEMS, count)
    labels = CATEGORY[targets] == 0
    histories = [rng.choice(np.flatnonzero(CATEGORY == 0), 3).tolist() for _ in range(count)]
    told = rng.permutation(labels) if shuffled else labels
    return from_plain(list(zip(targets.tolist(), told.tolist(), histories, strict=True)))


@pytest.mark.parametrize("shuffled", [False, True], ids=["own labels", "shuffled labels"])
def test_training_on_one_user_again_and_again_learns_its_taste(shuffled: bool) -> None:
    model = DIN(CATEGORY, CATEGORIES)
    weights, losses = model.init(0), []
    now = Whole(weights.dense, *weights.tables.values(), model.init_user())
    for seed in range(30):
        dense, rows, user = claim(model, now, EVERY)
        plan = {"epochs": 1, "batch": 4, "learning_rate": 0.01, "seed": seed}
        update = model.train_local(dense, rows, taste(1, 40, shuffled=shuffled), user, **plan)
        losses.append(update.loss)
        now = after(update, now)
    assert 0.6 < losses[0] < 0.8
    if shuffled:
        assert losses[-1] > 0.5
        return
    unseen = taste(2, 200)
    score = auc(model.predict(*claim(model, now, EVERY)[:2], unseen, now.user), unseen.labels)
    assert losses[-1] < 0.01
    assert score == 1.0


@pytest.mark.parametrize("rate", [1e30, 1e60])
@pytest.mark.parametrize("plan", [{"batch": 1}, {"epochs": 5}], ids=str)
def test_divergence_is_an_error(rate: float, plan: dict[str, int]) -> None:
    with pytest.raises(ConfigurationError, match="learning rate"):
        train(KEPT, learning_rate=rate, **plan)


def test_divergence_in_the_only_step_is_an_error_too() -> None:
    """No later step would notice: the update itself would hold what is not finite."""
    with pytest.raises(ConfigurationError, match="learning rate"):
        train(KEPT, learning_rate=1e60)


@pytest.mark.parametrize("plan", [{"batch": -1}, {"learning_rate": -1.0}, {"learning_rate": inf}], ids=str)
def test_a_plan_that_cannot_be_followed_is_refused(plan: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(plan))):
        train(KEPT, **plan)


@pytest.mark.parametrize("name", ["width", "history", "embedding_rate", "gradient_norm"])
@pytest.mark.parametrize("value", [0, -1, nan, inf])
def test_a_setting_that_makes_no_sense_is_refused(name: str, value: float) -> None:
    with pytest.raises(ConfigurationError, match=name):
        DIN(CATEGORY, CATEGORIES, **{name: value})


@pytest.mark.parametrize("shuffled", [False, True], ids=["own labels", "shuffled labels"])
def test_plain_federated_submodel_averaging_learns(shuffled: bool) -> None:
    """The paper's rule without its secure sums: rows by the samples that involve them, dense layers by samples."""
    log = synthetic_click_log(SyntheticPlan(300, 600, 12, clicks=14, exponent=0.8, favourites=2), seed=1)
    model, rng = DIN(log.category, log.categories), np.random.default_rng(0)
    weights, users = model.init(0), np.zeros((log.users, model.width), np.float32)
    samples, owner = log.held_out()

    def score() -> float:
        whole = {name: TableSlice.whole(table) for name, table in weights.tables.items()}
        found = auc(model.predict(weights.dense, whole, samples, users[owner]), samples.labels)
        assert found is not None
        return found

    assert score() == 0.5
    for r in range(5):
        updates = []
        for user in rng.choice(log.users, 20, replace=False):
            at = model.rows_of(log.index_set(user))
            rows = {name: TableSlice(at[name], table[at[name]]) for name, table in weights.tables.items()}
            own = log.train(user)
            own = replace(own, labels=rng.permutation(own.labels)) if shuffled else own
            plan = {"epochs": 1, "batch": 4, "learning_rate": 0.05, "seed": r}
            updates.append(model.train_local(weights.dense, rows, own, users[user], **plan))
            users[user] = updates[-1].user_embedding
        weights.dense[...] += np.average([u.dense for u in updates], axis=0, weights=[u.samples for u in updates])
        for name, table in weights.tables.items():
            total, count = np.zeros_like(table), np.zeros(len(table))
            for change in (update.rows[name] for update in updates):
                total[change.indices] += change.deltas * change.counts[:, None]
                count[change.indices] += change.counts
            table += total / np.maximum(count, 1)[:, None]
    assert score() < 0.55 if shuffled else score() > 0.65
