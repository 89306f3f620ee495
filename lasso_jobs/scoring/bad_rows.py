"""Predicts rows, finds those that cannot be scored, and refuses more of them than a job allows."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lasso_jobs.core.fit.predict import Predictor
from lasso_jobs.core.rows.blocks.block import Block
from lasso_jobs.core.rows.moments import Floats
from lasso_jobs.data import arrays
from lasso_jobs.data.columns.feature_block import block as block_of_features
from lasso_jobs.data.columns.feature_block import vectors_in
from lasso_jobs.data.columns.kinds import kind_of
from lasso_jobs.drift.references import PREDICTION
from lasso_jobs.errors import DataError
from lasso_jobs.jobs.score import ScoreJob
from lasso_jobs.scoring.scored_unit import RowFates
from lasso_jobs.scoring.task import Features

INFINITE = "infinite"
"""A number is infinite."""

NULL = "null"
"""A number is null or NaN, and the model was trained without such, or it is the offset."""

NOT_INTEGER = "not_integer"
"""A category of integers has a number with a fraction."""

TOO_LARGE = "too_large"
"""A number is beyond `lasso_jobs.data.arrays.LARGEST`; it stands for a missing value, rather."""

LENGTH = "length"
"""A vector is not of the length that the model was trained with, or is no sparse vector."""

OVERFLOW = "overflow"
"""The prediction is beyond that, though no value is."""

QUARANTINE_SHARE = 0.5
"""Of a run's rows: the most that ``bad_rows: quarantine`` takes out of them. With more, it is the
source that is broken, and the scores of the run before are worth more than the rest."""

Reason = tuple[str, str]
"""A code, and the column."""


@dataclass(frozen=True, slots=True)
class PredictedRows:
    """Rows with their predictions.

    Parameters
    ----------
    block : Block
        The features, decoded.
    prediction : ndarray, shape (n,)
        Of all rows; what is said of those that cannot be scored means nothing.
    unfit : dict of Reason to ndarray of bool, shape (n,)
        The rows that cannot be scored, by reason; of several reasons a row's first counts.
    """

    block: Block
    prediction: Floats
    unfit: dict[Reason, NDArray[np.bool_]]

    @property
    def kept(self) -> NDArray[np.bool_]:
        """The rows that can be scored, shape (n,)."""
        kept = np.ones(self.block.n_rows, bool)
        for rows in self.unfit.values():
            kept &= ~rows
        return kept


def predict_rows(table: pa.Table, features: Features) -> PredictedRows:
    """Predict rows: of a night, and of a request to the service, by the same rules.

    Parameters
    ----------
    table : pyarrow.Table
        The columns that features are made of, under the model's names for them.
    features : Features
    """
    predictor = features.predictor
    vectors = vectors_in(table, predictor.columns)
    block = block_of_features(table, predictor.columns, vectors)
    with np.errstate(over="ignore", invalid="ignore"):
        prediction = predictor.predict(block)
    unfit = {(LENGTH, name): v.unfit for name, v in vectors.items() if v.unfit.any()}
    unfit |= unfit_rows(table, block, predictor, prediction=prediction, strict=features.strict)
    return PredictedRows(block, prediction, unfit)


def unfit_rows(
    features: pa.Table,
    block: Block,
    predictor: Predictor,
    *,
    prediction: Floats,
    strict: Collection[str],
) -> dict[Reason, NDArray[np.bool_]]:
    """The rows that cannot be scored, by reason; of several reasons a row's first counts.

    Parameters
    ----------
    features : pyarrow.Table
    block : Block
        The same rows, decoded.
    predictor : Predictor
    prediction : ndarray, shape (n,)
    strict : collection of str
        The features that must not be null.
    """
    unfit: dict[Reason, NDArray[np.bool_]] = {}
    for name, values in zip(predictor.columns.numeric, block.numeric, strict=True):
        if (beyond := arrays.out_of_range(values)) is not None:
            unfit[INFINITE, name] = np.isinf(values)
            unfit[TOO_LARGE, name] = beyond
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
    usual = np.abs(prediction) <= arrays.LARGEST
    if not usual.all():
        unfit[OVERFLOW, PREDICTION] = ~usual
    return unfit


def refuse_too_many(job: ScoreJob, where: str, rows: RowFates, reasons: Mapping[str, int]) -> None:
    """Refuse more quarantined rows than the job allows, and in any case all of them.

    Parameters
    ----------
    job : ScoreJob
    where : str
        The work unit, the night or the source, for the message.
    rows : RowFates
        A limit that is a share is one of the rows that the filter keeps.
    reasons : mapping of str to int
        How many rows are quarantined for each code and column.

    Raises
    ------
    DataError
    """
    n_bad, n_rows = rows.quarantined, rows.kept
    allowed, because, remedy = _allowed(job.bad_rows, n_rows)
    if job.bad_rows != "fail" and n_bad == n_rows > 0:
        allowed, because = n_rows - 1, "whatever bad_rows is"
        remedy = "mend the files, or filter the rows with data.where"
    if n_bad > allowed:
        counted = ", ".join(f"{reason}: {n:,}" for reason, n in sorted(reasons.items()))
        text = "1 row" if n_bad == 1 else f"{n_bad:,} of {n_rows:,} rows"
        raise DataError(
            where,
            f"{text} cannot be scored ({counted})",
            f"at most {allowed:,}, {because}",
            f"Nothing was committed, and earlier rows are still shown: {remedy}",
        )


def _allowed(bad_rows: str | float, n_rows: int) -> tuple[int, str, str]:
    """How many rows may be quarantined, why so many, and what may be done with more."""
    because, remedy = f"as bad_rows is {bad_rows}", "mend the files, or raise bad_rows"
    if bad_rows == "fail":
        return 0, because, "mend the files, or set bad_rows to quarantine"
    if bad_rows == "quarantine":
        share = f"{because}, which is {QUARANTINE_SHARE:.0%} of the rows"
        return int(QUARANTINE_SHARE * n_rows), share, "mend the files, or set bad_rows to a share"
    allowed = bad_rows if isinstance(bad_rows, int) else int(float(bad_rows) * n_rows)
    return allowed, because, remedy
