"""Computes the limits of the drift statistics from how much the training periods varied.

A statistic of a day varies because its rows are drawn by chance, and because days differ. The
number of rows tells how much chance does; the training rows' own periods tell how much days differ
(`lasso_jobs.core.rows.periods`). Both together are normal variation. A day with normal variation
exceeds a limit with a probability of `FALSE_ALARMS` divided by the number of features that are
judged (Bonferroni). So at most that share of such days has any feature beyond its limit, however
many features there are. A limit is never less than what would matter.
"""

from dataclasses import dataclass
from math import inf, log2, sqrt

import numpy as np
from numpy.typing import NDArray

from lasso_jobs.core.rows.moments import Floats
from lasso_jobs.core.rows.periods import between_variance

FALSE_ALARMS = 0.01

SHIFT_FLOOR = 0.05
"""In standard deviations of the training predictions: what moves the mean by less is nothing."""

SHIFT_GROSS = 0.2
"""A small effect by convention (Cohen 1988, "Statistical Power Analysis"). It is the floor where
training has no periods, so that nobody knows how much days differ."""

PSI_FLOOR, PSI_GROSS = 0.1, 0.25
"""By convention (Siddiqi 2006, "Credit Risk Scorecards"): below the first a population is stable,
above the second it has changed. The second is the floor where training has no periods."""

MISSING_FLOOR = 0.05
"""Rise of the share of rows without a usable value."""


@dataclass(frozen=True, slots=True)
class Span:
    """How a feature varies between spans of as many neighbouring periods.

    Parameters
    ----------
    between : float
        Variance of the spans' effects on the mean of the feature's term in the prediction.
    extreme : float
        The largest shift of a span's mean term, in its own standard deviations.
    psi : float
        Mean PSI of a span of infinitely many rows.
    missing : float
        The largest null share of a span.
    """

    between: float
    extreme: float
    psi: float
    missing: float


@dataclass(frozen=True, slots=True)
class Baseline:
    """How a feature varied over the training periods: its normal variation.

    Parameters
    ----------
    variance : float
        Of the feature's term in the prediction, over the training rows.
    n_sampled : int
        Rows that the bins' shares come from.
    n_periods : int
        Of the training rows; 0 if they have too few.
    rows : float
        Mean number of rows of a period.
    spans : tuple of Span
        Of 1, 2, 4, ... periods, while there are enough of them.
    """

    variance: float
    n_sampled: int
    n_periods: int = 0
    rows: float = 1.0
    spans: tuple[Span, ...] = ()

    def matching_spans(self, n: int) -> tuple[Span, float]:
        """The longest spans with no more than n rows, and how many there are of them, less one.

        A month is an average of days. It varies less than a day, and more than as many days that
        were drawn at random.

        Examples
        --------
        >>> spans = (Span(0.2, 2.0, 0.1, 0.0), Span(0.1, 2.0, 0.1, 0.0))
        >>> baseline = Baseline(1.0, 10_000, n_periods=50, rows=500.0, spans=spans)
        >>> baseline.matching_spans(1_200) == (spans[1], 24)
        True
        """
        if not self.spans:
            return Span(0.0, 0.0, 0.0, 0.0), inf
        k = min(int(log2(max(n / self.rows, 1.0))), len(self.spans) - 1)
        return self.spans[k], self.n_periods // 2**k - 1


@dataclass(frozen=True, slots=True)
class Limits:
    """What a day's statistics are compared with.

    Parameters
    ----------
    shift : float
        Of the size of ``score_shift``, in target units.
    gross : float
        Beyond which a shift needs no second day.
    psi : float
    missing : float
        Of the share of rows without a usable value.
    """

    shift: float
    gross: float
    psi: float
    missing: float


def span_of(
    shifts: Floats, n: NDArray[np.int64], *, missing: Floats, variance: float, psi: float
) -> Span:
    """How much spans of the training rows vary.

    Parameters
    ----------
    shifts : ndarray, shape (t,)
        Deviations of each span's mean term from that of all rows, in target units.
    n : ndarray of int, shape (t,)
        Rows of each span.
    missing : ndarray, shape (t,)
        Null share of each.
    variance : float
        Of the feature's term.
    psi : float
        As `lasso_jobs.core.rows.periods.psi_between`.
    """
    between = min(between_variance(shifts, n, variance), variance)
    spread = np.sqrt(between + (variance - between) / n)
    extreme = float(np.max(np.abs(shifts) / np.where(spread > 0, spread, 1.0)))
    return Span(between, extreme, psi, float(missing.max()))


def limits(
    baseline: Baseline,
    n: int,
    *,
    shares: Floats,
    missing: float,
    prediction_sd: float,
    n_judged: int,
) -> Limits:
    """Limits for n rows of a day, or of more days.

    Shifts are taken to be normal. Their limit is as many standard deviations as Student's t asks
    for, or as many as the most extreme training period had, if that is more: days have heavier
    tails. The PSI is taken to be a quadratic form. Chance gives it as many degrees of freedom as
    there are bins less one; days give it one, as all bins move together. Satterthwaite's
    approximation (1946) puts both together.

    Parameters
    ----------
    baseline : Baseline
    n : int
    shares : ndarray, shape (k + 1,)
        Of the training rows in each bin.
    missing : float
        Null share of the training rows.
    prediction_sd : float
        Of the training predictions.
    n_judged : int
        Features that are judged on the same day.
    """
    from scipy.special import chdtri, stdtrit

    probability, (span, freedom) = FALSE_ALARMS / max(n_judged, 1), baseline.matching_spans(n)
    width = max(-float(stdtrit(min(freedom, 1e9), probability / 2)), span.extreme)
    spread = sqrt(span.between + max(baseline.variance - span.between, 0.0) / n)
    shift_floor, psi_floor = (
        (SHIFT_FLOOR, PSI_FLOOR) if baseline.n_periods else (SHIFT_GROSS, PSI_GROSS)
    )
    shift = max(width * spread, shift_floor * prediction_sd)
    chance, bins = 1 / n + 1 / max(baseline.n_sampled, 1), max(int((shares > 0).sum()) - 1, 0)
    mean = span.psi + bins * chance
    square = span.psi**2 + 2 * span.psi * chance + bins * chance**2
    psi = mean / (df := mean**2 / square) * float(chdtri(df, probability)) if mean > 0 else 0.0
    by_chance = missing + width * sqrt(missing * (1 - missing) / n)
    return Limits(
        shift=shift,
        gross=max(2 * shift, SHIFT_GROSS * prediction_sd),
        psi=max(psi, psi_floor),
        missing=min(max(span.missing, by_chance) + MISSING_FLOOR, 1.0),
    )
