"""How far an innocent day may lie from training: limits of the drift statistics.

A statistic of a day varies because its rows are drawn by chance, and because days differ. The
training rows' own periods say how much they do (`lasso_jobs.core.periods`); chance is known from
the number of rows. A limit is what an innocent day exceeds with a probability of `FALSE_ALARMS`
divided by the number of features that are judged (Bonferroni): so at most that share of the days
has any feature beyond one, however many there are. It is no less than what would matter.
"""

from dataclasses import dataclass
from math import inf, log2, sqrt

import numpy as np
from numpy.typing import NDArray

from lasso_jobs.core.moments import Floats
from lasso_jobs.core.periods import between_variance

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
class Innocent:
    """How a feature varies where nothing has happened.

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

    def like(self, n: int) -> tuple[Span, float]:
        """The longest spans with no more than n rows, and how many there are of them, less one.

        A month is an average of days: it varies less than one, and more than days at random do.
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


def span(
    shifts: Floats, n: NDArray[np.int64], missing: Floats, variance: float, psi: float
) -> Span:
    """How spans of the training rows vary.

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
        As `lasso_jobs.core.periods.psi_between`.
    """
    between = min(between_variance(shifts, n, variance), variance)
    spread = np.sqrt(between + (variance - between) / n)
    extreme = float(np.max(np.abs(shifts) / np.where(spread > 0, spread, 1.0)))
    return Span(between, extreme, psi, float(missing.max()))


def limits(
    days: Innocent, n: int, shares: Floats, missing: float, prediction_sd: float, n_judged: int
) -> Limits:
    """Limits for n rows of a day, or of more days.

    Shifts are taken for normal, with as many standard deviations as Student's t asks for, or as
    many as the most extreme period of the training data had, if that is more: days have heavier
    tails. The PSI is taken for a quadratic form: chance has as many degrees of freedom as there are
    bins less one, and days have one (all bins move together), which Satterthwaite's approximation
    (1946) puts together.

    Parameters
    ----------
    days : Innocent
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

    probability, (like, freedom) = FALSE_ALARMS / max(n_judged, 1), days.like(n)
    width = max(-float(stdtrit(min(freedom, 1e9), probability / 2)), like.extreme)
    spread = sqrt(like.between + max(days.variance - like.between, 0.0) / n)
    shift_floor, psi_floor = (
        (SHIFT_FLOOR, PSI_FLOOR) if days.n_periods else (SHIFT_GROSS, PSI_GROSS)
    )
    shift = max(width * spread, shift_floor * prediction_sd)
    chance, bins = 1 / n + 1 / max(days.n_sampled, 1), max(int((shares > 0).sum()) - 1, 0)
    mean = like.psi + bins * chance
    square = like.psi**2 + 2 * like.psi * chance + bins * chance**2
    psi = mean / (df := mean**2 / square) * float(chdtri(df, probability)) if mean > 0 else 0.0
    by_chance = missing + width * sqrt(missing * (1 - missing) / n)
    return Limits(
        shift,
        max(2 * shift, SHIFT_GROSS * prediction_sd),
        max(psi, psi_floor),
        min(max(like.missing, by_chance) + MISSING_FLOOR, 1.0),
    )
