"""Holds what a comparison found: errors and prices, and whether another model earns its keep."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lasso_jobs.core.fit.choice import CrossValidation
from lasso_jobs.core.rows.moments import Floats
from lasso_jobs.jobs.compare import LASSO, LASSO_MIN
from lasso_jobs.jobs.train import TrainJob


@dataclass(frozen=True, slots=True)
class Refit:
    """A fit to all sampled rows, with its preprocessing, on one thread.

    Parameters
    ----------
    seconds : float
    size_bytes : int
        Of the fit without its preprocessing, as pickle writes it.
    linear : bool
        Whether it has a coefficient for each column.
    """

    seconds: float
    size_bytes: int
    linear: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilyResult:
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
    refit : Refit
        Of the best setting.
    """

    family: str
    settings: int
    params: Mapping[str, Any]
    fold_mse: Floats
    mse: float
    mse_se: float
    difference: float
    difference_se: float
    refit: Refit

    @property
    def rmse(self) -> float:
        """Root of the mean squared error, in the target's units."""
        return float(np.sqrt(self.mse))

    def as_values(self) -> dict[str, Any]:
        """Plain values, as ``compare --json`` prints them."""
        return {
            "family": self.family,
            "linear": self.refit.linear,
            "settings": self.settings,
            "params": dict(self.params),
            "mse": self.mse,
            "mse_se": self.mse_se,
            "rmse": self.rmse,
            "difference": self.difference,
            "difference_se": self.difference_se,
            "fold_mse": self.fold_mse.tolist(),
            "fit_seconds": self.refit.seconds,
            "size_bytes": self.refit.size_bytes,
        }

    def in_words(self) -> dict[str, Any]:
        """A row of the table that a terminal shows."""
        return {
            "family": self.family,
            "CV MSE": self.mse,
            "SE": self.mse_se,
            "RMSE": self.rmse,
            "to LASSO": self.difference,
            "its SE": self.difference_se,
            "settings": self.settings,
            "fit s": self.refit.seconds,
            "bytes": self.refit.size_bytes,
            "best": ", ".join(f"{k} {_short(v)}" for k, v in self.params.items()),
        }


@dataclass(frozen=True, slots=True)
class Conclusion:
    """Whether a non-linear model earns its keep.

    Parameters
    ----------
    best : str or None
        The non-linear family with the least error; None if none was searched.
    earns_its_keep : bool
        Whether its error is less than the LASSO's by more than one standard error of the paired
        difference, and its RMSE by the job's ``min_gain`` at least.
    text : str
    """

    best: str | None
    earns_its_keep: bool
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
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
    families : tuple of FamilyResult
        First the LASSO by the job's rule, then, if that is another one, that of the least error.
    seconds : mapping
    bytes_read : int
    """

    job: TrainJob
    sample_rows: int
    n_rows: int
    sample_bytes: int
    all_rows: CrossValidation
    families: tuple[FamilyResult, ...]
    seconds: Mapping[str, float]
    bytes_read: int

    @property
    def n_folds(self) -> int:
        """How many a repeat has."""
        return len(self.all_rows.fold_weight) // self.job.search.repeats

    @property
    def reference(self) -> FamilyResult:
        """The LASSO of the least error, for the others are chosen by their least error, too."""
        return next(row for row in reversed(self.families) if row.family in (LASSO, LASSO_MIN))

    def conclusion(self) -> Conclusion:
        """Judge the best non-linear family against the LASSO of the least error."""
        lasso = self.reference
        others = [row for row in self.families if not row.refit.linear]
        if not others:
            return Conclusion(None, False, "No non-linear model was searched.")
        best = min(others, key=lambda row: row.mse)
        share = best.rmse / lasso.rmse - 1 if lasso.mse > 0 else 0.0
        where = "below" if share < 0 else "above"
        standing = (
            f"has an RMSE of {best.rmse:.4g}, {100 * abs(share):.1f} % {where} the "
            f"LASSO's {lasso.rmse:.4g} on the same rows and folds (MSE {best.difference:+.4g}, "
            f"standard error {best.difference_se:.2g})"
        )
        clear = -best.difference > best.difference_se
        least = self.job.compare.min_gain
        if clear and -share >= least:
            text = (
                f"A non-linear model earns its keep: {best.family} {standing}. "
                f"{self._price(best.refit)}"
            )
            return Conclusion(best.family, True, text)
        why = ""
        if best.difference < 0 and not clear:
            why = ", which is no more than one standard error"
        elif best.difference < 0:
            why = f", which is less than the {100 * least:.3g} % that would be worth it"
        text = (
            f"A non-linear model does not earn its keep: {best.family}, the best, {standing}{why}."
        )
        return Conclusion(best.family, False, text)

    def _price(self, best: Refit) -> str:
        lasso = self.reference.refit
        return (
            f"It costs {best.size_bytes:,} bytes instead of {lasso.size_bytes:,}, and "
            f"{best.seconds:.2g} s instead of {lasso.seconds:.2g} s for a fit to "
            f"{self.sample_rows:,} rows in memory. You would lose exact cross-validation and "
            "retraining from one read of all rows, and coefficients that a person can read."
        )

    def as_values(self) -> dict[str, Any]:
        """Plain values, as ``compare --json`` prints them."""
        conclusion = self.conclusion()
        chosen, all_rows = self.all_rows.index, self.all_rows
        return {
            "name": self.job.name,
            "sample_rows": self.sample_rows,
            "rows_in_folds": self.n_rows,
            "sample_bytes": self.sample_bytes,
            "seed": self.job.seed,
            "folds": self.n_folds,
            "repeats": self.job.search.repeats,
            "families": [row.as_values() for row in self.families],
            "all_rows": {
                "alpha": all_rows.alpha,
                "l1_ratio": all_rows.l1_ratio,
                "gamma": all_rows.gamma,
                "mse": float(all_rows.mse[chosen]),
                "mse_se": float(all_rows.mse_se[chosen]),
                "rmse": float(all_rows.mse[chosen]) ** 0.5,
            },
            "best_nonlinear": conclusion.best,
            "earns_its_keep": conclusion.earns_its_keep,
            "conclusion": conclusion.text,
            "seconds": dict(self.seconds),
            "bytes_read": self.bytes_read,
        }

    def in_words(self) -> dict[str, str]:
        """What was compared, in a few words."""
        chosen, all_rows = self.all_rows.index, self.all_rows
        mse, error = float(all_rows.mse[chosen]), float(all_rows.mse_se[chosen])
        repeats = self.job.search.repeats
        times = f", {repeats} times" if repeats > 1 else ""
        every = "all" if self.sample_rows == self.n_rows else f"{self.sample_rows:,} of"
        return {
            "rows": f"{every} {self.n_rows:,} in folds, {self.sample_bytes:,} bytes in memory",
            "folds": f"{self.n_folds}{times}, those of the training",
            "all rows": f"the LASSO's CV error is {mse:.4g} (SE {error:.2g}), RMSE {mse**0.5:.4g}, "
            f"at alpha {all_rows.alpha:.4g}",
            "seconds": ", ".join(f"{stage} {s:.2f}" for stage, s in self.seconds.items()),
        }


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
