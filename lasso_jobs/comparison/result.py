"""Holds what a comparison found: errors and prices, and whether another model earns its keep."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lasso_jobs.comparison.importance import leading
from lasso_jobs.comparison.paired import PairedDifference
from lasso_jobs.core.fit.choice import CrossValidation
from lasso_jobs.core.rows.moments import Floats
from lasso_jobs.jobs.compare import LASSO, LASSO_MIN
from lasso_jobs.jobs.train import TrainJob

MOST_SHOWN = 10
"""Features whose importance people are shown."""


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
    paired : PairedDifference
        Of the mean squared error to the reference's on the same rows. Less than zero is better than
        the LASSO.
    refit : Refit
        Of the best setting.
    importance : mapping of str to PairedDifference
        Of each feature that was shuffled: the rise of the mean squared error, over the folds of the
        first repeat. Empty of a LASSO that is not the reference.
    """

    family: str
    settings: int
    params: Mapping[str, Any]
    fold_mse: Floats
    mse: float
    mse_se: float
    paired: PairedDifference
    refit: Refit
    importance: Mapping[str, PairedDifference] = field(default_factory=dict)

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
            "fits": self.settings * len(self.fold_mse),
            "params": dict(self.params),
            "mse": self.mse,
            "mse_se": self.mse_se,
            "rmse": self.rmse,
            "difference": self.paired.mean,
            "difference_se": self.paired.standard_error,
            "difference_p": self.paired.p_value,
            "fold_mse": self.fold_mse.tolist(),
            "fit_seconds": self.refit.seconds,
            "size_bytes": self.refit.size_bytes,
            "importance": {
                name: {"mse_rise": rise.mean, "standard_error": rise.standard_error}
                for name, rise in self.importance.items()
            },
        }

    def shares(self) -> dict[str, float]:
        """The rise of the error where a feature is shuffled, as a share of the error."""
        mse = self.mse or 1.0
        return {name: rise.mean / mse for name, rise in self.importance.items()}

    def in_words(self) -> dict[str, Any]:
        """A row of the table that a terminal shows."""
        return {
            "family": self.family,
            "CV MSE": self.mse,
            "SE": self.mse_se,
            "RMSE": self.rmse,
            "to LASSO": self.paired.mean,
            "its SE": self.paired.standard_error,
            "p": self.paired.p_value,
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
        Whether its error is less than the LASSO's by more than chance explains, as
        `PairedDifference.smaller` says, and its RMSE by the job's ``min_gain`` at least.
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
    test_to_train : float
        Rows of a test for each row of its training, by weight; the mean of the folds.
    seconds : mapping
    bytes_read : int
    """

    job: TrainJob
    sample_rows: int
    n_rows: int
    sample_bytes: int
    all_rows: CrossValidation
    families: tuple[FamilyResult, ...]
    test_to_train: float
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
            f"LASSO's {lasso.rmse:.4g} on the same rows and folds (MSE {best.paired.mean:+.4g}, "
            f"corrected standard error {_rough(best.paired.standard_error)}, "
            f"p {best.paired.p_value:.2g})"
        )
        clear = best.paired.smaller
        least = self.job.compare.min_gain
        if clear and -share >= least:
            text = (
                f"A non-linear model earns its keep: {best.family} {standing}. "
                f"{self._price(best.refit)}"
            )
            return Conclusion(best.family, True, text)
        why = ""
        if best.paired.mean < 0 and not clear:
            why = f", which chance may explain: one-sided, p is {best.paired.p_value / 2:.2g}"
        elif best.paired.mean < 0:
            why = f", which is less than the {100 * least:.3g} % that would be worth it"
        text = (
            f"A non-linear model does not earn its keep: {best.family}, the best, {standing}{why}."
        )
        return Conclusion(best.family, False, text)

    def _price(self, best: Refit) -> str:
        lasso = self.reference.refit
        return (
            f"It costs {best.size_bytes:,} bytes instead of {lasso.size_bytes:,}, and "
            f"{_rough(best.seconds)} s instead of {_rough(lasso.seconds)} s for a fit to "
            f"{self.sample_rows:,} rows in memory. You would lose exact cross-validation and "
            "retraining from one read of all rows, and coefficients that a person can read."
        )

    def budget(self) -> str:
        """How many settings each family has tried, and in how many fits."""
        n_fits = len(self.reference.fold_mse)
        tried: dict[int, list[str]] = {}
        for row in self.families:
            if row.family not in (LASSO, LASSO_MIN):
                tried.setdefault(row.settings, []).append(row.family)
        each = [
            f"{n} settings x {n_fits} fits: {', '.join(names)}"
            for n, names in sorted(tried.items(), key=lambda item: -len(item[1]))
        ]
        path = f"{self.reference.settings} alphas of one path in each fit: the LASSO"
        return "; ".join([*each, path])

    def importances(self, most: int = MOST_SHOWN) -> list[dict[str, Any]]:
        """For each leading feature, the families' shares: a table for people."""
        known = {row.family: row.shares() for row in self.families if row.importance}
        return [
            {"feature": name, **{family: shares.get(name) for family, shares in known.items()}}
            for name in leading(list(known.values()), most)
        ]

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
            "test_to_train": self.test_to_train,
            "budget": self.budget(),
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
            "budget": self.budget(),
            "all rows": f"the LASSO's CV error is {mse:.4g} (SE {_rough(error)}), "
            f"RMSE {mse**0.5:.4g}, at alpha {all_rows.alpha:.4g}",
            "seconds": ", ".join(f"{stage} {s:.2f}" for stage, s in self.seconds.items()),
        }


def _rough(value: float) -> str:
    """Two digits, or all before the point: 0.012, 12, 599."""
    return f"{value:.0f}" if 100 <= value < 1e6 else f"{value:.2g}"


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
