"""Pictures of features against the target: their means, levels, shades, and what is left out."""

import numpy as np
import pytest

from lasso_jobs.core.inference.refits.left_out import Importance
from lasso_jobs.core.rows.columns import Category, Columns
from lasso_jobs.pages.page import number
from lasso_jobs.training.read.sampled_rows import SampledRows
from lasso_jobs.training.report.feature_pictures import (
    MOST_FEATURES,
    MOST_LEVELS,
    leading_features,
    scatters,
)

N = 500
LEVELS = tuple("abcdefghij")


class Known:
    """As much of a model as is asked for."""

    def __init__(self, *terms: str) -> None:
        k = len(terms)
        nothing = np.full(k, np.nan)
        self.importance = Importance(
            terms=terms,
            strength=np.ones(k),
            mse_rise=nothing,
            rank_low=nothing,
            rank_high=nothing,
            mse=1.0,
            judged_by="hold-out",
        )


@pytest.fixture
def sample() -> tuple[Columns, SampledRows]:
    rng = np.random.default_rng(5)
    codes = rng.choice(len(LEVELS), N, p=np.arange(1, 11) / 55)
    values = np.zeros((2 + len(LEVELS) + SampledRows.N_FACTS, N))
    rows = SampledRows(values)
    rows.X[0], rows.X[1] = rng.normal(size=N), 3.0
    rows.X[0][:7] = np.nan
    rows.X[2 + codes, np.arange(N)] = 1.0
    rows.target[:] = np.nan_to_num(rows.X[0]) + codes
    rows.weight[:] = 1.0
    rows.weight[-5:] = 0.0
    category = Category(name="store", levels=LEVELS, other=False, type="string")
    return Columns(("x", "flat"), (category,)), rows


def test_the_points_are_means_and_the_note_counts_what_is_not_shown(
    sample: tuple[Columns, SampledRows],
) -> None:
    columns, rows = sample
    x, flat, store = leading_features(Known("x", "flat", "store"), columns, rows)
    assert (len(x.x), len(flat.x), x.n_rows) == (N - 12, N - 5, N)
    counts = rows.X[2:].sum(axis=1)
    # The levels with the most rows, in the category's order.
    most = sorted(np.argsort(-counts, kind="stable")[:MOST_LEVELS])
    assert store.levels == tuple(LEVELS[k] for k in most)
    first, second, third = scatters([x, flat, store], "<y>")
    lowest = np.sort(x.x)[: (N - 12) // 10]
    assert f"Means at {number(lowest.mean())}: " in first.figure
    for k, level in enumerate(store.levels):
        mean = store.y[store.x == k].mean()
        assert f" {level}: {number(mean)}" in third.figure
    assert "&lt;y&gt; by x" in first.figure
    assert first.note.endswith(f"of {N} rows are not shown.")
    assert third.note.startswith("The 7 levels with the most rows.")
    assert "NaN" not in first.figure + second.figure + third.figure


def test_a_page_has_few_letters_for_each_of_a_few_features() -> None:
    rng = np.random.default_rng(6)
    names = tuple(f"v{k}" for k in range(30))
    values = rng.normal(size=(30 + SampledRows.N_FACTS, 10_000))
    rows = SampledRows(values)
    rows.weight[:] = 1.0
    leading = leading_features(Known(*names), Columns(names, ()), rows)
    pictures = scatters(leading, "y")
    assert [picture.title for picture in pictures] == list(names[:MOST_FEATURES])
    assert sum(len(picture.figure) for picture in pictures) < 300_000
