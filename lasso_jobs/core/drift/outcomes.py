"""Sums up errors of predictions with known outcomes, and judges them by those of the hold-out."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lasso_jobs.core.drift.drift import Severity
from lasso_jobs.core.drift.verdicts import worst
from lasso_jobs.core.inference.cohorts import Estimate
from lasso_jobs.core.rows.moments import Floats

WATCH_ERRORS, ALARM_ERRORS = 2.0, 3.0
"""Standard errors from which on a difference that matters is watched, and is an alarm. With few
cohorts it takes more of them: as many as are equally rare by Student's t."""

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


def tally_rows(prediction: Floats, low: Floats, high: Floats, outcome: Floats) -> Tally:
    """Tally rows in memory; an outcome that is NaN is not known.

    Examples
    --------
    >>> rows = np.array([10.0, 12.0, 14.0])
    >>> tally = tally_rows(rows, rows - 1, rows + 1, np.array([10.5, 15.0, np.nan]))
    >>> tally.n_known, tally.mae, tally.coverage
    (2, 1.75, 0.5)
    """
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """What errors a model is expected to make, by those on its held-out rows.

    Parameters
    ----------
    squared_error, error, absolute_error, covered : Estimate
        Of the rows; ``error`` is the prediction less the outcome, ``covered`` is 1 where the
        outcome is in the interval and 0 elsewhere, and None where there are no intervals.
    n_sampled : int
        Rows that the standard errors come from.
    """

    squared_error: Estimate
    error: Estimate
    absolute_error: Estimate
    covered: Estimate | None
    n_sampled: int

    @property
    def rmse(self) -> float:
        """Root of the mean squared error."""
        return float(np.sqrt(self.squared_error.mean))


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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Check:
    """One comparison of a period's errors with what is expected.

    Parameters
    ----------
    name, words : str
        What is compared, and both numbers.
    variance : float
        Of the period's own rows.
    difference : float
        How much worse it is than expected.
    matters : bool
        Whether the difference exceeds the tolerance.
    estimate : Estimate
        What is expected.
    """

    name: str
    words: str
    variance: float
    difference: float
    matters: bool
    estimate: Estimate


def judge_errors(
    tally: Tally,
    expected: Expectation,
    tolerance: Tolerance,
    *,
    by_period: bool,
    min_rows: int,
) -> tuple[Severity, str]:
    """Judge the errors of a period or a segment; say why in words.

    A difference is watched if it matters and is `WATCH_ERRORS` standard errors or more, and an
    alarm from `ALARM_ERRORS` on: with many rows every difference is certain, with few none is.
    How far from zero these are is by Student's t with the degrees of freedom of the error.

    Parameters
    ----------
    tally : Tally
    expected : Expectation
    tolerance : Tolerance
    by_period : bool
        Whether the cohorts of the expectation are periods, such as days. Then a period may differ
        from others by more than its own rows explain.
    min_rows : int
        With fewer known outcomes nothing is judged.
    """
    n = tally.n_known
    if n < min_rows:
        return "unknown", f"not judged: {n:,} outcomes are known, fewer than {min_rows:,}"
    rmse, variance = expected.rmse, tally.scatter / max(n - 1, 1)
    biased = abs(tally.bias - expected.error.mean)
    checks = [
        _Check(
            name="RMSE",
            words=f"{tally.rmse:.4g} where {rmse:.4g} was expected",
            variance=float(variance[_SQUARED]),
            difference=tally.mse - expected.squared_error.mean,
            matters=tally.rmse >= (1 + tolerance.rmse) * rmse,
            estimate=expected.squared_error,
        ),
        _Check(
            name="bias",
            words=f"{tally.bias:.4g} where {expected.error.mean:.4g} was expected",
            variance=float(variance[_ERROR]),
            difference=biased,
            matters=biased >= tolerance.bias * rmse,
            estimate=expected.error,
        ),
    ]
    if (covered := expected.covered) is not None:
        uncovered = covered.mean - tally.coverage
        coverage = _Check(
            name="coverage",
            words=f"{tally.coverage:.1%} where {covered.mean:.1%} was expected",
            variance=float(variance[_COVERED]),
            difference=uncovered,
            matters=uncovered >= tolerance.coverage,
            estimate=covered,
        )
        checks.append(coverage)
    return _verdict(checks, n, by_period)


def _verdict(checks: Sequence[_Check], n_rows: int, by_period: bool) -> tuple[Severity, str]:
    worse: list[tuple[Severity, str]] = []
    for check in checks:
        spread = _spread(check, n_rows, by_period)
        if spread is None:
            return (
                "unknown",
                "not judged: the hold-out is one cohort, so that nobody knows how much they differ",
            )
        if check.matters and check.difference >= spread.limit(WATCH_ERRORS):
            certain = "without any noise"
            if spread.error:
                certain = f"{check.difference / spread.error:.1f} standard errors"
            alarming = check.difference >= spread.limit(ALARM_ERRORS)
            severity: Severity = "alarm" if alarming else "watch"
            worse.append((severity, f"{check.name} {check.words} ({certain})"))
    if not worse:
        return "ok", f"as expected: RMSE {checks[0].words}"
    return worst([severity for severity, _ in worse]), "; ".join(words for _, words in worse)


@dataclass(frozen=True, slots=True)
class _Spread:
    """A standard error, and its degrees of freedom."""

    error: float
    freedom: float

    def limit(self, normal: float) -> float:
        """The difference that is as rare as so many standard errors of a normal one."""
        from scipy.special import ndtr, stdtrit

        return float(stdtrit(self.freedom, ndtr(normal))) * self.error


def _spread(check: _Check, n_rows: int, by_period: bool) -> _Spread | None:
    """Of the difference between a period's mean and the estimate.

    The root of ``between + within / n_rows + SE^2``: the variance of the mean of a new cohort's
    rows, and of the estimate. If periods are no cohorts, their rows are taken to be independent.
    Where the period's own rows vary more than ``within``, theirs counts: one outlier is no alarm.
    How much cohorts differ is known from as many as there are: the sum of both variances has the
    degrees of freedom of Welch (1947), as if the rows' part were known.
    """
    estimate = check.estimate
    if estimate.standard_error is None:
        return None
    between, within = estimate.between, estimate.within
    if not by_period:
        between, within = 0.0, between + within
    by_cohorts = between + estimate.standard_error**2
    total = by_cohorts + max(within, check.variance) / n_rows
    freedom = estimate.freedom * (total / by_cohorts) ** 2 if by_cohorts > 0 else np.inf
    return _Spread(float(np.sqrt(total)), float(freedom))
