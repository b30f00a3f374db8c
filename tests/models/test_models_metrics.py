"""AUC against its definition."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from securefl.errors import ConfigurationError
from securefl.models import auc

scored = st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=1, max_size=30)


@given(scored)
def test_auc_is_the_share_of_ordered_pairs_with_ties_half(rows: list[tuple[int, bool]]) -> None:
    positives, negatives = ([s for s, label in rows if label is wanted] for wanted in (True, False))
    result = auc(np.array([float(s) for s, _ in rows]), np.array([label for _, label in rows]))
    if not positives or not negatives:
        assert result is None
        return
    won = sum(Fraction(2 * (p > n) + (p == n), 2) for p in positives for n in negatives)
    assert result == float(won / (len(positives) * len(negatives)))


def test_auc_counts_millions_exactly() -> None:
    labels = np.arange(2_000_000) % 2 == 0
    assert auc(np.zeros(len(labels), np.float32), labels) == 0.5
    assert auc(labels.astype(np.float32), labels) == 1.0


def test_auc_refuses_nan() -> None:
    with pytest.raises(ConfigurationError, match="learning_rate"):
        auc(np.array([0.5, np.nan]), np.array([True, False]))
