"""Errors of predictions whose outcomes are known, against what the hold-out lets expect."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from lasso_jobs.core.clusters import Estimate
from lasso_jobs.core.drift import Verdict
from lasso_jobs.core.moments import Floats
from lasso_jobs.core.verdicts import worst

WATCH_ERRORS, ALARM_ERRORS = 2.0, 3.0
"""Standard errors from which on a difference that matters is watched, and is an alarm."""

_ERROR, _SQUARED, _ABSOLUTE, _COVERED, _OUTCOME = range(5)


@dataclass(frozen=True, slots=True)
class Tally:
    """Rows and their errors; tallies of disjoint rows merge.

    Parameters
    ----------
    n_scored, n_known : int
        Predictions, and those whose outcome is known.
    mean, scatter : ndarray, shape (5,)
        Of the known: means, and sums of squared deviations from them, of the error (prediction
        less outcome), its square, its size, whether the interval covers the outcome (NaN where
        there is none), and the outcome.
    """

    n_scored: int
    n_known: int
    mean: Floats
    scatter: Floats

    @property
    def known_share(self) -> float:
        """Of the predictions."""
        return self.n_known / self.n_scored if self.n_scored else float("nan")

    @property
    def bias(self) -> float:
        """Mean of prediction less outcome."""
        return float(self.mean[_ERROR])

    @property
    def mse(self) -> float:
        """Mean squared error."""
        return float(self.mean[_SQUARED])

    @property
    def rmse(self) -> float:
        """Its root."""
        return float(np.sqrt(self.mse))

    @property
    def mae(self) -> float:
        """Mean absolute error."""
        return float(self.mean[_ABSOLUTE])

    @property
    def coverage(self) -> float:
        """Share of the outcomes in the prediction interval."""
        return float(self.mean[_COVERED])

    @property
    def r2(self) -> float:
        """Share of the outcomes' variance that is explained; NaN where they do not vary."""
        total = float(self.scatter[_OUTCOME])
        return 1 - self.n_known * self.mse / total if total > 0 else float("nan")


def of_rows(prediction: Floats, low: Floats, high: Floats, outcome: Floats) -> Tally:
    """Tally rows in memory; an outcome that is NaN is not known."""
    known = ~np.isnan(outcome)
    prediction, low, high, y = (values[known] for values in (prediction, low, high, outcome))
    error = prediction - y
    covered = np.where(np.isnan(low) | np.isnan(high), np.nan, (low <= y) & (y <= high))
    values = np.array([error, error**2, np.abs(error), covered, y])
    if not len(y):
        return Tally(len(outcome), 0, np.full(5, np.nan), np.zeros(5))
    mean = values.mean(axis=1)
    return Tally(len(outcome), len(y), mean, ((values - mean[:, None]) ** 2).sum(axis=1))


def merge(a: Tally, b: Tally) -> Tally:
    """Tally of two disjoint sets of rows together (Chan, Golub & LeVeque 1979)."""
    n_scored, n_known = a.n_scored + b.n_scored, a.n_known + b.n_known
    if not a.n_known or not b.n_known:
        known = a if a.n_known else b
        return Tally(n_scored, n_known, known.mean, known.scatter)
    delta, share = b.mean - a.mean, b.n_known / n_known
    scatter = a.scatter + b.scatter + delta**2 * a.n_known * share
    return Tally(n_scored, n_known, a.mean + delta * share, scatter)


@dataclass(frozen=True, slots=True)
class Expected:
    """What the errors are expected to be.

    Parameters
    ----------
    squared_error, error, covered : Estimate
        Of the held-out rows.
    by_period : bool
        Whether the estimates' clusters are periods, such as days: then a period may differ from
        others by more than its own rows explain.
    """

    squared_error: Estimate
    error: Estimate
    covered: Estimate
    by_period: bool

    @property
    def rmse(self) -> float:
        """Root of the mean squared error."""
        return float(np.sqrt(self.squared_error.mean))

    def standard_error(self, estimate: Estimate, n_rows: int, variance: float) -> float | None:
        """Of the difference between a period's mean and the estimate.

        The root of ``between + within / n_rows + SE^2``: the variance of the mean of a new
        cluster's rows, and of the estimate. If periods are no clusters, their rows are taken for
        independent ones. Where the period's own rows vary more than ``within``, theirs counts: one
        outlier is no alarm.

        Parameters
        ----------
        estimate : Estimate
        n_rows : int
        variance : float
            Of the period's own rows.
        """
        if estimate.standard_error is None:
            return None
        between, within = estimate.between, estimate.within
        if not self.by_period:
            between, within = 0.0, between + within
        own = between + max(within, variance) / n_rows
        return float(np.sqrt(own + estimate.standard_error**2))


@dataclass(frozen=True, slots=True)
class Tolerance:
    """Differences from what is expected that matter.

    Parameters
    ----------
    rmse : float
        A rise of the RMSE, as a share of it.
    bias : float
        A change of the bias, as a share of the expected RMSE.
    coverage : float
        A loss of coverage.
    """

    rmse: float
    bias: float
    coverage: float


def judge(
    tally: Tally, expected: Expected, tolerance: Tolerance, min_rows: int
) -> tuple[Verdict, str]:
    """Judge the errors of a period or a segment; say why in words.

    A difference is watched if it matters and is `WATCH_ERRORS` standard errors or more, and an
    alarm from `ALARM_ERRORS` on: with many rows every difference is certain, with few none is.
    """
    n = tally.n_known
    if n < min_rows:
        return "ok", f"not judged: {n:,} outcomes are known, {min_rows:,} are asked for"
    rmse, variance = expected.rmse, tally.scatter / max(n - 1, 1)
    checks = {
        "RMSE": (
            variance[_SQUARED],
            tally.mse - expected.squared_error.mean,
            tally.rmse >= (1 + tolerance.rmse) * rmse,
            expected.squared_error,
            f"{tally.rmse:.4g} where {rmse:.4g} was expected",
        ),
        "bias": (
            variance[_ERROR],
            abs(tally.bias - expected.error.mean),
            abs(tally.bias - expected.error.mean) >= tolerance.bias * rmse,
            expected.error,
            f"{tally.bias:.4g} where {expected.error.mean:.4g} was expected",
        ),
        "coverage": (
            variance[_COVERED],
            expected.covered.mean - tally.coverage,
            expected.covered.mean - tally.coverage >= tolerance.coverage,
            expected.covered,
            f"{tally.coverage:.1%} where {expected.covered.mean:.1%} was expected",
        ),
    }
    return _verdict(n, expected, checks)


def _verdict(
    n: int, expected: Expected, checks: Mapping[str, tuple[float, float, bool, Estimate, str]]
) -> tuple[Verdict, str]:
    found: list[tuple[Verdict, str]] = []
    for name, (variance, difference, matters, estimate, words) in checks.items():
        error = expected.standard_error(estimate, n, variance)
        if error is None:
            return "ok", "not judged: the hold-out is one group of rows, which tells no chance"
        if matters and difference >= WATCH_ERRORS * error:
            certain = f"{difference / error:.1f} standard errors" if error else "without any noise"
            verdict: Verdict = "alarm" if difference >= ALARM_ERRORS * error else "watch"
            found.append((verdict, f"{name} {words} ({certain})"))
    if not found:
        return "ok", f"as expected: RMSE {checks['RMSE'][-1]}"
    return worst([verdict for verdict, _ in found]), "; ".join(words for _, words in found)
