"""Searches for alpha on the moments of the rows, exactly as a training job does."""

from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

from lasso_jobs.core.fit import cross_validation, one_alpha
from lasso_jobs.core.fit.choice import CrossValidation
from lasso_jobs.core.fit.cross_validation import PathSearch
from lasso_jobs.core.fit.design import Recipe
from lasso_jobs.core.rows.columns import Columns
from lasso_jobs.core.rows.folds import Fold
from lasso_jobs.core.rows.moments import Moments
from lasso_jobs.core.threads import Steps
from lasso_jobs.engine.blas import one_blas_thread
from lasso_jobs.engine.memory import of_this_process
from lasso_jobs.errors import DataError
from lasso_jobs.estimator.rows import Rows
from lasso_jobs.estimator.splits import Round, most_sets, rounds, splits
from lasso_jobs.training.memory import WORTH_A_LOOK, Squares
from lasso_jobs.training.read.reading import Reading
from lasso_jobs.training.read.row_summary import RowSummary


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a search has found, and what it knows of the rows.

    Parameters
    ----------
    recipe : Recipe
    cv : CrossValidation
    final : Fit
        To all rows, along the alphas; its model is that of the chosen one.
    everything : Moments
        Of all rows.
    summary : RowSummary
        Of the rows by the sets that the first folds are made of.
    reading : Reading
    """

    recipe: Recipe
    cv: CrossValidation
    final: one_alpha.Fit
    everything: Moments
    summary: RowSummary
    reading: Reading


def search_for_alpha(
    rows: Rows, recipe: Recipe, search: PathSearch, *, reading: Reading, cv: Any, n_threads: int
) -> Found:
    """Sum up the rows, cross-validate, and fit at the chosen alpha.

    Parameters
    ----------
    rows : Rows
    recipe : Recipe
    search : PathSearch
    reading : Reading
        Of the recipe's columns; how many sets of rows there are follows from the folds.
    cv : tuple
        The splitter, and the groups of the rows or None.
    n_threads : int

    Raises
    ------
    DataError
        If the rows cannot be fitted to, or the moments do not fit into memory.
    """
    parts = splits(cv[0], rows.n_rows, rows.target, cv[1])
    n_values = reading.columns.n_columns + 1
    folds: list[Fold] = []
    summary: RowSummary | None = None
    for each in rounds(parts, rows.n_rows, most_sets(n_values)):
        of_round = _reading(reading, each, len(parts))
        own = rows.summary(of_round, each.set_of_row, n_threads)
        folds += each.folds(own.moments)
        if summary is None:
            summary, reading = own, of_round
    if summary is None:
        raise DataError("LassoCV, cv", "has no folds", "at least two", "Name another splitter")
    _check_folds(folds)
    everything = summary.moments.merged(range(reading.n_buckets))
    with one_blas_thread():
        found = cross_validation.cross_validate(
            recipe, everything, folds, search=search, steps=Steps(n_threads=n_threads)
        )
        at = len(found.alphas_to_chosen) - 1
        final = one_alpha.fit(recipe, everything, found.path_alphas, at=at)
    return Found(
        recipe=recipe,
        cv=found,
        final=final,
        everything=everything,
        summary=summary,
        reading=reading,
    )


def _reading(reading: Reading, each: Round, n_folds: int) -> Reading:
    n_values = reading.columns.n_columns + 1
    squares = Squares(n_values, each.n_sets, n_folds)
    needed = squares.driver_bytes
    if needed > WORTH_A_LOOK and needed > of_this_process() > 0:
        raise DataError(
            f"LassoCV, of {n_values - 1:,} columns and {n_folds} folds",
            f"needs {needed / 2**30:.1f} GiB for the moments of all pairs of columns",
            f"at most the {of_this_process() / 2**30:.1f} GiB that are there",
            "Select columns, or train by a job (lasso-jobs train), which screens the columns",
        )
    return replace(reading, n_buckets=each.n_sets, n_folds=n_folds)


def _check_folds(folds: list[Fold]) -> None:
    if len(folds) < 2:
        remedy = "Name a splitter with more, or use LassoLars or Lasso for a single alpha"
        raise DataError("LassoCV, cv", f"has {len(folds)} fold", "at least two", remedy)
    parts = chain.from_iterable((fold.training, fold.test) for fold in folds)
    if any(part.weight <= 0 for part in parts):
        found, expected = "a fold has no row whose weight is above zero", "some weight in each part"
        raise DataError("LassoCV, sample_weight", found, expected, "Use other folds or weights")


def reading_of(columns: Columns, target: str, *, nulls_allowed: bool) -> Reading:
    """How rows in memory are read: as they are."""
    return Reading(
        columns=columns,
        target=target,
        weight=None,
        group=None,
        fold=None,
        folds=(),
        where=(),
        holdout=0.0,
        holdout_where=None,
        n_folds=0,
        n_buckets=0,
        seed=0,
        nulls_allowed=nulls_allowed,
    )


def column_names(names: Any, n_columns: int) -> tuple[str, ...]:
    """The names of the columns where each has one of its own; otherwise x0, x1, ...

    Examples
    --------
    >>> column_names(None, 2), column_names(["a", "b"], 2)
    (('x0', 'x1'), ('a', 'b'))
    """
    if names is not None and len(set(names)) == n_columns:
        return tuple(map(str, names))
    return tuple(f"x{j}" for j in range(n_columns))
