"""Measures what a feature is worth to an estimator: its error where the feature is shuffled.

An estimator is fitted to a fold's training rows. Then the values of one feature are shuffled among
the rows of the test, which leaves its distribution and takes away what it says of the target
(Breiman 2001, "Random forests", section 10; for any estimator: Fisher, Rudin & Dominici 2019, "All
models are wrong, but many are useful"). What a tree's own splits say, its impurity, is of the
training rows, and favours features with many values. Every family has the same shuffles.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from lasso_jobs.comparison.dask_ml_search import Split
from lasso_jobs.comparison.pipeline import score
from lasso_jobs.core.inference.residuals import binned, curve_share
from lasso_jobs.core.rows.buckets import row_hashes, text_key
from lasso_jobs.core.rows.columns import Columns
from lasso_jobs.core.rows.moments import Floats

MOST_FEATURES = 100
"""Of more, those that are shuffled by themselves say most of the target."""
MOST_ROWS = 2_000
"""Of a fold's test; they are a random sample of it."""

ColumnsOf = Mapping[str, NDArray[np.intp]]
"""The columns of each feature: all the levels of a category are shuffled together."""


def shuffled_features(columns: Columns, X: Floats, y: Floats, offset: str | None) -> ColumnsOf:
    """The features to shuffle: all, or those whose own means in bins explain most of the target.

    Parameters
    ----------
    columns : Columns
    X : ndarray, shape (n, n_columns + 1)
        NaN is null.
    y : ndarray, shape (n,)
    offset : str or None
        No feature.
    """
    every = {name: columns.columns_of(name) for name in columns.features if name != offset}
    if len(every) <= MOST_FEATURES:
        return every

    def share(name: str) -> float:
        own = X[:, every[name]]
        # A category as one number: which of its levels.
        x = own[:, 0] if own.shape[1] == 1 else own.argmax(axis=1)
        known = ~np.isnan(x)
        return curve_share(binned(x[known], y[known]))[0] if known.any() else 0.0

    kept = set(sorted(every, key=lambda name: -share(name))[:MOST_FEATURES])
    return {name: places for name, places in every.items() if name in kept}


def shuffled_errors(
    estimator: Any,
    params: Mapping[str, Any],
    split: Split,
    *,
    features: ColumnsOf,
    seed: int,
    X: Floats,
    y: Floats,
) -> Floats:
    """The mean squared error of a fold's test, then that with each feature shuffled.

    Parameters
    ----------
    estimator : scikit-learn estimator
    params : mapping
    split : Split
    features : ColumnsOf
    seed : int
    X : ndarray, shape (n, n_columns + 1)
        The weight is last, and stays with its row.
    y : ndarray, shape (n,)
    """
    training, test = split[0], split[1][:MOST_ROWS]
    fitted = clone(estimator).set_params(**params).fit(X[training], y[training])
    rows, target = X[test], y[test]
    errors = [-score(fitted, rows, target)]
    for name, places in features.items():
        draw = row_hashes(text_key(f"shuffle {name}", seed), np.arange(len(test)))
        changed = rows.copy()
        changed[:, places] = rows[np.argsort(draw, kind="stable")][:, places]
        errors.append(-score(fitted, changed, target))
    return np.array(errors)


def leading(importance: Sequence[Mapping[str, float]], most: int) -> list[str]:
    """The features that any of some families needs most."""
    best: dict[str, float] = {}
    for family in importance:
        for name, share in family.items():
            best[name] = max(best.get(name, share), share)
    return sorted(best, key=lambda name: -best[name])[:most]
