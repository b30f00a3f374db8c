"""DIN one sample at a time in float64, as the papers write it: no padding, no batches, no gradient by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from securefl.datasets.clicklog import Samples
from securefl.models import DIN, TableSlice
from securefl.models.network import views

CATEGORY = np.array([0, 1, 2, 0, 1, 2, 0, 1, 0, 0, 2, 1], np.int64)
ITEMS, CATEGORIES = len(CATEGORY), 3


@dataclass(frozen=True)
class Whole:
    """A client's view of the model in float64: all rows of both tables, and its own embedding."""

    dense: np.ndarray
    items: np.ndarray
    categories: np.ndarray
    user: np.ndarray

    def parts(self) -> list[np.ndarray]:
        return [self.dense, self.items, self.categories, self.user]


def some_weights(model: DIN, seed: int = 0) -> Whole:
    """Random numbers everywhere: the model's own start has layers of zeros, through which no gradient flows."""
    rng = np.random.default_rng(seed)
    dense = model.init(seed).dense + rng.normal(0, 0.1, model.dense_size)
    tables = [rng.normal(0, 0.5, (table.rows, table.width)) for table in model.tables]
    rounded = [part.astype(np.float32).astype(np.float64) for part in (dense, *tables, rng.normal(size=model.width))]
    return Whole(*rounded)


def claim(model: DIN, whole: Whole, items: np.ndarray) -> tuple[np.ndarray, dict[str, TableSlice], np.ndarray]:
    """What a client that claims these items trains on: float32 dense parameters, rows, user embedding."""
    tables = {"items": whole.items, "categories": whole.categories}
    rows = {name: TableSlice(at, tables[name][at].astype(np.float32)) for name, at in model.rows_of(items).items()}
    return whole.dense.astype(np.float32), rows, whole.user.astype(np.float32)


def some_samples(seed: int, count: int, clicks: int) -> Samples:
    """Any targets and labels; histories are any stretches of one list of clicks, empty ones too."""
    rng = np.random.default_rng(seed)
    stretch = np.sort(rng.integers(0, clicks + 1, (count, 2)), axis=1)
    targets, clicked = rng.integers(0, ITEMS, count), rng.integers(0, ITEMS, clicks)
    return Samples(targets, rng.random(count) < 0.5, clicked, stretch[:, 0], stretch[:, 1])


Plain = tuple[int, bool, list[int]]


def plainly(samples: Samples, claimed: np.ndarray, latest: int) -> list[Plain]:
    """Target, label and history of each sample: only claimed items, of these only the latest."""
    mine = set(claimed.tolist())
    spans = zip(samples.start.tolist(), samples.stop.tolist(), strict=True)
    histories = [[item for item in samples.clicks[a:b].tolist() if item in mine][-latest:] for a, b in spans]
    return list(zip(samples.targets.tolist(), samples.labels.tolist(), histories, strict=True))


def trained_on(samples: Samples, claimed: np.ndarray, latest: int) -> list[Plain]:
    """The samples that train: target claimed, and a history."""
    return [one for one in plainly(samples, claimed, latest) if one[0] in claimed and one[2]]


def logistic(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def slow_attention(p: dict[str, np.ndarray], q: np.ndarray, keys: list[np.ndarray]) -> np.ndarray:
    """Sum of the keys, each weighted by the softmax of what the activation unit says of it."""
    scores = []
    for k in keys:
        hidden = logistic(np.concatenate([q, k, q - k, q * k]) @ p["att1.w"] + p["att1.b"])
        hidden = logistic(hidden @ p["att2.w"] + p["att2.b"])
        scores.append((hidden @ p["att3.w"] + p["att3.b"])[0] / np.sqrt(len(q)))
    shares = np.exp(scores) / np.exp(scores).sum()
    return sum((share * k for share, k in zip(shares, keys, strict=True)), np.zeros_like(q))


def click_chance(whole: Whole, target: int, history: list[int]) -> float:
    """Probability that the user of ``whole`` clicks the target."""
    p = views(whole.dense, len(whole.user))

    def embedded(item: int) -> np.ndarray:
        return np.concatenate([whole.items[item], whole.categories[CATEGORY[item]]])

    q, keys = embedded(target), [embedded(item) for item in history]
    total = sum(keys, np.zeros_like(q))
    x = np.concatenate([whole.user, q, total, q * total, slow_attention(p, q, keys)])
    x = x / np.sqrt(1.001) * p["norm.gamma"] + p["norm.beta"]
    for layer in ("fc1", "fc2"):
        x = x @ p[f"{layer}.w"] + p[f"{layer}.b"]
        x = logistic(x) * x + (1 - logistic(x)) * p[f"{layer}.alpha"] * x
    no, yes = x @ p["fc3.w"] + p["fc3.b"]
    return float(np.exp(yes) / (np.exp(no) + np.exp(yes)))


def slow_loss(whole: Whole, samples: list[Plain]) -> float:
    """Mean of -log of the probability given to what happened."""
    chances = [click_chance(whole, target, history) for target, _, history in samples]
    return float(np.mean([-np.log(c if one[1] else 1 - c) for c, one in zip(chances, samples, strict=True)]))


def numeric_gradient(f: Callable[[], float], x: np.ndarray, step: float = 1e-5) -> np.ndarray:
    """Gradient of f, which reads the float64 array x, by central differences in every coordinate."""
    gradient = np.zeros_like(x)
    for at in np.ndindex(x.shape):
        here = x[at]
        x[at] = here + step
        above = f()
        x[at] = here - step
        gradient[at] = (above - f()) / (2 * step)
        x[at] = here
    return gradient
