"""Predictions against what happened."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from deltalake import DeltaTable

from lasso_jobs.data import blocks
from lasso_jobs.data.dataset import discover
from lasso_jobs.data.where import parse


@dataclass(frozen=True, slots=True)
class Outcome:
    """Errors of the predictions whose outcome is known.

    Parameters
    ----------
    n_scored, n_known : int
        Predictions, and those with an outcome.
    rmse, mae, r2 : float
    bias : float
        Mean of prediction minus outcome.
    coverage : float
        Share of the outcomes inside the prediction interval.
    """

    n_scored: int
    n_known: int
    rmse: float
    mae: float
    r2: float
    bias: float
    coverage: float


def outcome(output: str, data: str, where: str, keys: Sequence[str], target: str) -> Outcome:
    """Join scored rows with their outcomes by key.

    Parameters
    ----------
    output : str
        The Delta table of scored rows.
    data : str
        The dataset that has the outcomes.
    where : str
        A filter for both; its columns are in both.
    keys : sequence of str
    target : str
    """
    conditions = parse(where, "where")
    scored = DeltaTable(output).to_pyarrow_table()
    for condition in conditions:
        scored = scored.filter(condition.expression())
    scored = scored.select([*keys, "prediction", "prediction_low", "prediction_high"])
    read = [
        rows.table
        for partition in discover(data, conditions).partitions([*keys, target])
        for piece in partition.pieces
        for rows in blocks.read(piece, [*keys, target], conditions)
    ]
    actual = pa.concat_tables(read)
    joined = scored.join(actual, list(keys), join_type="inner")
    y, prediction, low, high = (
        blocks.numbers(joined.column(name))
        for name in (target, "prediction", "prediction_low", "prediction_high")
    )
    known = ~np.isnan(y)
    y, error = y[known], (prediction - y)[known]
    return Outcome(
        scored.num_rows,
        len(y),
        float(np.sqrt(np.mean(error**2))),
        float(np.mean(np.abs(error))),
        float(1 - np.sum(error**2) / np.sum((y - y.mean()) ** 2)),
        float(error.mean()),
        float(np.mean((y >= low[known]) & (y <= high[known]))),
    )
