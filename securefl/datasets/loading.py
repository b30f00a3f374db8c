"""From the columns of a file to a `ClickLog`: a doubtful entry is refused by name, nothing is guessed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from securefl.errors import ConfigurationError

from .clicklog import ClickLog
from .columns import LABELS, read_columns
from .negatives import with_negatives

POSITIVE_RATING = 4
HIGHEST_RATING = 5
EXACT_FLOAT = 2.0**53
SPELLED = re.compile(r"0\d|.*[_eE+]")
"""Ids such as 0042, 1_2 and 1e5: as numbers they would change, or fall together with others, so they stay text."""


def load_click_log(path: str | Path, *, seed: int = 0) -> ClickLog:
    """Read a click log from ``.npz`` or ``.csv``.

    Columns: ``user``, ``item`` (integers from 0, or text), optionally ``category`` (one per item), ``timestamp``
    (without it, row order is time) and ``label`` or ``click`` (0 or 1) or ``rating`` (0 to 5; from 4 it is a click).
    If every sample is a click, as many of unseen items are drawn from ``seed``. Raises ConfigurationError.
    """
    path = Path(path)
    columns = {name: _Column(path, name, values) for name, values in read_columns(path).items()}
    user_ids, user = columns["user"].compact()
    item_ids, item = columns["item"].compact()
    category_ids, category = _categories(item, columns.get("category"), len(item_ids))
    label = next((columns[name].clicked() for name in LABELS if name in columns), np.ones(len(user), bool))
    if not label.any():
        raise ConfigurationError(f"{path}: no row is a click, so there is nothing to learn; check the label column")
    time = columns["timestamp"].numbers() if "timestamp" in columns else np.zeros(len(user))
    order = np.lexsort((time, user))  # stable: rows of one time keep the order of the file
    user, item, label = user[order], item[order], label[order]
    drawn = bool(label.all())
    if drawn:
        user, item, label = with_negatives(user, item, len(item_ids), seed)
    return ClickLog(path.stem, user, item, label, category, user_ids, item_ids, category_ids, drawn)


def _categories(item: NDArray[np.int64], column: _Column | None, items: int) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Category ids, and the category of each item; a log without categories has one for all items."""
    if column is None:
        return np.array(["all"]), np.zeros(items, np.int64)
    ids, category = column.compact()
    of_item = np.zeros(items, np.int64)
    of_item[item] = category
    column.refuse(of_item[item] != category, "gives an item two categories", "keep one per item")
    return ids, of_item


def _parse(values: NDArray[Any]) -> NDArray[Any] | None:
    """Text as int64, uint64 or float64, the first that fits; None if some entry is no number. Numbers stay."""
    if values.dtype.kind != "U":
        return values
    for kind in (np.int64, np.uint64, np.float64):  # hashes and times in nanoseconds are exact as integers only
        try:
            return values.astype(kind)
        except (ValueError, OverflowError):
            continue
    return None


def _is_spelled(values: NDArray[Any]) -> bool:
    return values.dtype.kind == "U" and any(map(SPELLED.match, values))


@dataclass(frozen=True)
class _Column:
    path: Path
    name: str
    values: NDArray[Any]

    def refuse(self, bad: NDArray[np.bool_], what: str, remedy: str) -> None:
        """Raise if any row is bad, naming the first."""
        if bad.any():
            row = int(np.argmax(bad)) + 1
            raise ConfigurationError(f"{self.path}: column {self.name!r} {what} (first in row {row}); {remedy}")

    def compact(self) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """The distinct ids, sorted, and for each row the place of its id among them."""
        numbers = None if _is_spelled(self.values) else _parse(self.values)
        ids, places = np.unique(self.values if numbers is None else self._integers(numbers), return_inverse=True)
        return ids, places.astype(np.int64)

    def _integers(self, numbers: NDArray[Any]) -> NDArray[Any]:
        remedy = "ids are integers from 0, or text"
        self.refuse(~np.isfinite(numbers), "holds NaN or infinity", remedy)
        self.refuse(numbers < 0, "holds a negative id", remedy)
        if numbers.dtype.kind != "f":
            return numbers
        self.refuse(numbers != np.floor(numbers), "holds a number that is not an integer", remedy)
        self.refuse(numbers > EXACT_FLOAT, "holds a number too large to be exact", "save ids as integers or text")
        return numbers.astype(np.int64)

    def numbers(self) -> NDArray[Any]:
        """The column as finite numbers."""
        numbers = _parse(self.values)
        if numbers is None:
            raise ConfigurationError(f"{self.path}: column {self.name!r} holds text; it must hold numbers only")
        self.refuse(~np.isfinite(numbers), "holds NaN or infinity", "use finite numbers")
        return numbers

    def clicked(self) -> NDArray[np.bool_]:
        """Whether each row is a click."""
        if self.name == "rating":
            rating = self.numbers()
            outside = (rating < 0) | (rating > HIGHEST_RATING)
            self.refuse(outside, f"is not between 0 and {HIGHEST_RATING}", "rescale it, or give a label of 0 and 1")
            return rating >= POSITIVE_RATING
        label = _parse(_truth_to_digit(self.values))
        bad = np.ones(1, bool) if label is None else (label != 0) & (label != 1)
        self.refuse(bad, "holds something else than 0 and 1", "use 1 for a click and 0 for none")
        return np.asarray(label == 1)


def _truth_to_digit(values: NDArray[Any]) -> NDArray[Any]:
    """Text "true" and "false" as "1" and "0"."""
    if values.dtype.kind != "U":
        return values
    lower = np.char.lower(values)
    return np.where(lower == "true", "1", np.where(lower == "false", "0", lower))
