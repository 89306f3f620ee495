"""Rows that cannot be scored: why not, and how many a job puts up with."""

from collections.abc import Collection, Mapping

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lasso_jobs.core.columns import Block
from lasso_jobs.core.moments import Floats
from lasso_jobs.core.predict import Predictor
from lasso_jobs.data import arrays
from lasso_jobs.data.schema import kind_of
from lasso_jobs.errors import DataError
from lasso_jobs.jobs.references import PREDICTION
from lasso_jobs.jobs.score_job import ScoreJob

INFINITE = "infinite"
"""A number is infinite."""

NULL = "null"
"""A number is null or NaN, and the model was trained without such."""

NOT_INTEGER = "not_integer"
"""A category of integers has a number with a fraction."""

OVERFLOW = "overflow"
"""The prediction is not finite, though every value is."""

Reason = tuple[str, str]
"""A code, and the column."""


def unfit_rows(
    features: pa.Table,
    block: Block,
    predictor: Predictor,
    prediction: Floats,
    strict: Collection[str],
) -> dict[Reason, NDArray[np.bool_]]:
    """The rows that cannot be scored, by reason; the first reason of a row counts.

    Parameters
    ----------
    features : pyarrow.Table
    block : Block
        The same, decoded.
    predictor : Predictor
    prediction : ndarray, shape (n,)
    strict : collection of str
        The features that must not be null.
    """
    unfit: dict[Reason, NDArray[np.bool_]] = {}
    for name, values in zip(predictor.columns.numeric, block.numeric, strict=True):
        if arrays.has_infinity(values):
            unfit[INFINITE, name] = np.isinf(values)
        if name in strict and np.isnan(values).any():
            unfit[NULL, name] = np.isnan(values)
    for category in predictor.columns.categories:
        if category.type != "integer" or category.name not in features.column_names:
            continue  # A part of a date is an integer.
        column = features[category.name]
        if kind_of(column.type) == "number":
            values = arrays.numbers(column)
            unfit[INFINITE, category.name] = np.isinf(values)
            unfit[NOT_INTEGER, category.name] = np.isfinite(values) & (values != np.round(values))
    if not np.isfinite(prediction).all():
        unfit[OVERFLOW, PREDICTION] = ~np.isfinite(prediction)
    return unfit


def refuse_too_many(
    job: ScoreJob, where: str, n_bad: int, n_rows: int, reasons: Mapping[str, int]
) -> None:
    """Refuse more bad rows than the job allows.

    Parameters
    ----------
    job : ScoreJob
    where : str
    n_bad, n_rows : int
        Of the rows that the filter keeps.
    reasons : mapping of str to int

    Raises
    ------
    DataError
    """
    limit = {"quarantine": n_rows, "fail": 0}.get(str(job.bad_rows), job.bad_rows)
    allowed = float(limit) if isinstance(limit, int) else float(limit) * n_rows
    if n_bad > allowed:
        counted = ", ".join(f"{reason}: {n:,}" for reason, n in sorted(reasons.items()))
        rows = "1 row" if n_bad == 1 else f"{n_bad:,} of {n_rows:,} rows"
        raise DataError(
            where,
            f"{rows} cannot be scored ({counted})",
            f"at most {allowed:,.0f}, as bad_rows is {job.bad_rows}",
            "Nothing was committed: mend the files, or set bad_rows to quarantine or to more",
        )
