"""What a comparison has found."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lasso_jobs.core.choice import CrossValidation
from lasso_jobs.core.moments import Floats
from lasso_jobs.jobs.compare_job import LASSO, LASSO_MIN
from lasso_jobs.jobs.train_job import TrainJob


@dataclass(frozen=True, slots=True)
class Searched:
    """What the best setting of a family does.

    Parameters
    ----------
    family : str
    settings : int
        How many were tried.
    params : mapping
        The best one.
    fold_mse : ndarray, shape (repeats * n_folds,)
    mse, mse_se : float
        Mean of the folds, and its standard error, as the job's ``fold_means`` has them.
    difference, difference_se : float
        Of the mean squared error to the reference's on the same rows, and the standard error of
        that mean of paired differences. Less than zero is better than the LASSO.
    fit_seconds : float
        Of one fit of that setting to all sampled rows, with its preprocessing, on one thread.
    size_bytes : int
        Of that fit without its preprocessing, as pickle writes it.
    linear : bool
        Whether it has a coefficient for each column.
    """

    family: str
    settings: int
    params: Mapping[str, Any]
    fold_mse: Floats
    mse: float
    mse_se: float
    difference: float
    difference_se: float
    fit_seconds: float
    size_bytes: int
    linear: bool

    @property
    def rmse(self) -> float:
        """Root of the mean squared error, in the target's units."""
        return float(np.sqrt(self.mse))


@dataclass(frozen=True, slots=True)
class Comparison:
    """A finished comparison.

    Parameters
    ----------
    job : TrainJob
    sample_rows, n_rows : int
        Sampled rows, and rows in folds that they were taken from.
    sample_bytes : int
        Of the matrix of the sampled rows.
    all_rows : CrossValidation
        The training's own, on all rows in folds.
    searched : tuple of Searched
        First the LASSO by the job's rule, then, if that is another one, that of the least error.
    seconds : mapping
    bytes_read : int
    """

    job: TrainJob
    sample_rows: int
    n_rows: int
    sample_bytes: int
    all_rows: CrossValidation
    searched: tuple[Searched, ...]
    seconds: Mapping[str, float]
    bytes_read: int

    @property
    def n_folds(self) -> int:
        """How many a repeat has."""
        return len(self.all_rows.fold_weight) // self.job.search.repeats

    @property
    def reference(self) -> Searched:
        """The LASSO of the least error, for the others are chosen by their least error, too."""
        return next(row for row in reversed(self.searched) if row.family in (LASSO, LASSO_MIN))
