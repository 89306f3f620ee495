"""What drift is measured against: each feature's distribution at training time."""

import numpy as np

from lasso_jobs.core import drift
from lasso_jobs.core.columns import Columns, block_of
from lasso_jobs.core.design import Design
from lasso_jobs.core.moments import Floats
from lasso_jobs.core.predict import Predictor
from lasso_jobs.core.sample import Sample

PREDICTION = "prediction"


def references(
    predictor: Predictor, design: Design, sample: Sample, listed: Columns
) -> dict[str, drift.Reference]:
    """References of every feature, and of the predictions.

    Means, null shares and level shares are those of all training rows; the bins of numbers, and
    the shares in them, come from the sample, which has the columns `listed`.
    """
    columns = predictor.columns
    null_share = np.zeros(columns.n_columns + 1)
    null_share[design.nulls] = design.location[len(null_share) :]
    found: dict[str, drift.Reference] = {}
    for j, name in enumerate(columns.numeric):
        found[name] = _of_numbers(sample.values[j], float(design.location[j]), float(null_share[j]))
    spans = dict(columns.spans())
    for category in columns.categories:
        shares = design.location[spans[category.name]]
        missing = shares[category.levels.index(None)] if None in category.levels else 0.0
        found[category.name] = drift.Reference(
            np.empty(0), np.append(shares, 0.0), float("nan"), float(missing)
        )
    block = block_of(sample.values, listed, columns)
    if block is None:
        raise ValueError("the sample is not of the predictor's columns")
    predictions = predictor.predict(block)
    mean = float(design.location[design.target])
    return {**found, PREDICTION: _of_numbers(predictions, mean, 0.0)}


def _of_numbers(values: Floats, mean: float, missing_share: float) -> drift.Reference:
    observed = np.sort(values[~np.isnan(values)])
    edges = drift.quantile_edges(observed)
    counts = drift.bin_counts(observed, edges)[:-1]
    shares = counts / max(len(observed), 1) * (1 - missing_share)
    return drift.Reference(edges, np.append(shares, missing_share), mean, missing_share)
