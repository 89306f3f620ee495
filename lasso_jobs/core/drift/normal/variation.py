"""Measures how much training periods vary, without the odd ones, and how well that is known.

The spread of a series of periods is the standard deviation of those that are not odd. How well it
is known depends on how many periods there are, and on how much neighbours have in common: sixty
days of which each is much like the day before say as little as a dozen independent ones.
"""

from dataclasses import dataclass
from math import inf, sqrt

import numpy as np
from numpy.typing import NDArray

from lasso_jobs.core.rows.moments import Floats
from lasso_jobs.core.rows.periods import LEAST_PERIODS, between_variance

ODD = 5.0
"""Robust standard deviations from the median beyond which a period is odd."""

MOST_ODD = 0.05
"""If more periods than this share are far away, the farthest are left out. If twice as many are,
such as all Sundays, then none is odd."""

LEAST_FOR_TAILS = 20
"""Fewer periods say nothing of how heavy the tails are."""

MOST_HEAVY = 1 / 5
"""Heavier tails than t's of five degrees of freedom have no kurtosis to speak of."""

MOST_CORRELATED = 0.9
"""Of the lag-1 autocorrelation, which few periods tell from 1 no more."""

_MAD_OF_NORMAL = 0.6744897501960817

# L-kurtosis of Student's t (by numerical integration of its quantile function), and 1 / freedom.
_L_KURTOSIS = (0.1226, 0.1323, 0.1428, 0.1542, 0.1632, 0.1795, 0.1936, 0.2168, 0.2612)
_INVERSE_FREEDOM = (0.0, 1 / 30, 1 / 15, 1 / 10, 1 / 8, 1 / 6, 1 / 5, 1 / 4, 1 / 3)

OddPeriods = NDArray[np.bool_]


def odd_periods(values: Floats, chance: Floats) -> OddPeriods:
    """Which periods are far away from the others, at most `MOST_ODD` of them; of few, none.

    The distance is from the median, in standard deviations by the median absolute deviation
    (Hampel 1974, "The influence curve and its role in robust estimation"), and at least in those
    of chance.

    Parameters
    ----------
    values : ndarray, shape (t,)
    chance : ndarray, shape (t,)
        The variance of each by chance.

    Examples
    --------
    >>> values = np.append(np.sin(np.arange(30)), 40.0)
    >>> np.flatnonzero(odd_periods(values, np.zeros(31)))
    array([30])
    """
    odd = np.zeros(len(values), np.bool_)
    if len(values) < LEAST_PERIODS:
        return odd
    away = np.abs(values - np.median(values))
    spread = (float(np.median(away)) / _MAD_OF_NORMAL) ** 2
    between = max(spread - float(np.median(chance)), 0.0)
    scale = np.sqrt(between + chance)
    distance = np.divide(away, scale, out=np.where(away > 0, inf, 0.0), where=scale > 0)
    most = max(1, int(MOST_ODD * len(values)))
    if (distance > ODD).sum() > 2 * most:
        return odd
    farthest = np.argsort(-distance, kind="stable")[:most]
    odd[farthest] = distance[farthest] > ODD
    return odd


@dataclass(frozen=True, slots=True)
class Knowledge:
    """How well the spread and the mean of a series of periods are known.

    Parameters
    ----------
    correlation : float
        Of neighbouring periods.
    effective : float
        As many independent periods know the mean as well.
    freedom : float
        Degrees of freedom of the variance.
    """

    correlation: float
    effective: float
    freedom: float

    @property
    def inflation(self) -> float:
        """What the mean square around the training's own mean is multiplied with.

        A new period is away from the training's mean with variance ``s^2 (1 + 1/m)``, the training
        periods with ``s^2 (1 - 1/m)``, for m effective periods.
        """
        return (1 + 1 / self.effective) / (1 - 1 / self.effective)


@dataclass(frozen=True, slots=True)
class Common:
    """What several features' periods have in common: means over the features.

    Of sixty days a single one says little of its correlation, and less of its tails.

    Parameters
    ----------
    correlation : float
        Of neighbouring periods.
    l_kurtosis : float
    """

    correlation: float = 0.0
    l_kurtosis: float = 0.0


NOTHING_COMMON = Common()


def lag_correlation(values: Floats) -> float:
    """The correlation of neighbours in a series of ten or more.

    The usual estimate is too small by ``(1 + 4 r) / t`` (Kendall 1954, "Note on bias in the
    estimation of autocorrelation"), which is added.

    Examples
    --------
    >>> round(lag_correlation(np.array([1.0, -1.0] * 10)), 2)
    -1.12
    """
    t, around = len(values), values - values.mean()
    squares = float(around @ around)
    r = float(around[1:] @ around[:-1]) / squares if squares > 0 else 0.0
    return (r * t + 1) / (t - 4)


def known_by(
    values: Floats, *, ordered: bool, n_means: int = 1, common: Common = NOTHING_COMMON
) -> Knowledge:
    """What a series of periods knows of its mean and its variance.

    As if the series were autoregressive of order one: t periods with correlation r are worth
    ``t (1 - r) / (1 + r)`` for the mean and ``t (1 - r^2) / (1 + r^2)`` for the variance (Bayley &
    Hammersley 1946, "The effective number of independent observations in an autocorrelated time
    series"). r is at least that of all features.

    Parameters
    ----------
    values : ndarray, shape (t,)
        In their order.
    ordered : bool
        Whether there is one; without it, and of fewer than `LEAST_PERIODS`, r is 0.
    n_means : int
        How many means were taken away, such as seven of week days.
    common : Common

    Examples
    --------
    >>> known_by(np.array([0.1, -0.2, 0.3]), ordered=True)
    Knowledge(correlation=0.0, effective=3.0, freedom=2.0)
    """
    t, r = len(values), 0.0
    if ordered and t >= LEAST_PERIODS:
        r = min(max(lag_correlation(values), common.correlation, 0.0), MOST_CORRELATED)
    effective = max(t * (1 - r) / (1 + r) / n_means, 1.5)
    freedom = max(t * (1 - r * r) / (1 + r * r) - n_means, 1.0)
    return Knowledge(r, effective, freedom)


def l_kurtosis(values: Floats) -> float:
    """The fourth L-moment ratio: 0.12 of a normal distribution, more of heavier tails.

    Hosking (1990), "L-moments: analysis and estimation of distributions using linear combinations
    of order statistics": unbiased, of at least four values.

    Examples
    --------
    >>> round(l_kurtosis(np.array([-3.0, -1.0, -0.5, 0.0, 0.5, 1.0, 3.0])), 3)
    0.391
    """
    x, n = np.sort(values), len(values)
    i = np.arange(n)
    b0 = float(x.mean())
    b1 = float(x @ i) / (n * (n - 1))
    b2 = float(x @ (i * (i - 1))) / (n * (n - 1) * (n - 2))
    b3 = float(x @ (i * (i - 1) * (i - 2))) / (n * (n - 1) * (n - 2) * (n - 3))
    second = 2 * b1 - b0
    return (20 * b3 - 30 * b2 + 12 * b1 - b0) / second if second > 0 else 0.0


def tail_freedom(values: Floats, common: float = 0.0) -> float:
    """Degrees of freedom of the Student's t that has tails as heavy; ``inf`` for normal ones.

    Parameters
    ----------
    values : ndarray, shape (t,)
    common : float
        The mean L-kurtosis of all features. A feature's own counts where it is larger beyond its
        error, of about ``0.32 / sqrt(t)``: of sixty days alone it says little.
    """
    t = len(values)
    if t < LEAST_FOR_TAILS:
        return inf
    own = l_kurtosis(values) - 1.64 * 0.32 / sqrt(t)
    inverse = float(np.interp(max(own, common), _L_KURTOSIS, _INVERSE_FREEDOM))
    return 1 / inverse if inverse > 0 else inf


@dataclass(frozen=True, slots=True)
class Variation:
    """How much periods vary beyond chance, those that are not odd.

    Parameters
    ----------
    between : float
        Variance with which a new period's effect is away from the training's mean.
    extreme : float
        The largest deviation, in its own standard deviations.
    tails : float
        As `tail_freedom`.
    knowledge : Knowledge
    """

    between: float
    extreme: float
    tails: float
    knowledge: Knowledge


def variation_of(
    deviations: Floats,
    n: NDArray[np.int64],
    variance: float,
    *,
    ordered: bool = True,
    n_means: int = 1,
    common: Common = NOTHING_COMMON,
) -> Variation:
    """How much periods vary, of which the odd ones were left out.

    Parameters
    ----------
    deviations : ndarray, shape (t,)
        Of each period's mean from what is expected of it.
    n : ndarray of int, shape (t,)
        Rows of each.
    variance : float
        Of the rows.
    ordered, n_means
        As `known_by`.
    common : Common
    """
    knowledge = known_by(deviations, ordered=ordered, n_means=n_means, common=common)
    wide = deviations * sqrt(knowledge.inflation)
    between = between_variance(wide, n, variance)
    spread = np.sqrt(between + max(variance - between, 0.0) / n)
    scaled = deviations / np.where(spread > 0, spread, 1.0)
    # Chance is normal: without an effect of periods there are no heavy tails.
    tails = (
        tail_freedom(scaled, common.l_kurtosis)
        if between_variance(deviations, n, variance) > 0
        else inf
    )
    return Variation(between, float(np.abs(scaled).max()), tails, knowledge)


def quantile(probability: float, freedom: float, heaviness: float = 0.0) -> float:
    """Standard deviations that normal variation exceeds on either side with a probability.

    Student's t for the standard deviation that is estimated with ``freedom``; times what t of
    ``1 / heaviness`` degrees of freedom, of variance one, exceeds the normal distribution by. Its
    excess kurtosis k makes the variance less certain: as if of ``freedom / (1 + k / 2)``.

    Examples
    --------
    >>> round(quantile(0.05, inf), 2), round(quantile(0.05, 4), 2), round(quantile(0.001, 4), 2)
    (1.96, 2.78, 8.61)
    >>> round(quantile(0.001, inf, heaviness=1 / 4), 2)
    6.09
    """
    from scipy.special import stdtrit

    width = -float(stdtrit(freedom_of_variance(freedom, heaviness), probability / 2))
    if heaviness <= 0:
        return width
    heavy = -float(stdtrit(1 / heaviness, probability / 2)) * sqrt(max(1 - 2 * heaviness, 0.0))
    return width * max(heavy / -float(stdtrit(1e9, probability / 2)), 1.0)


def freedom_of_variance(freedom: float, heaviness: float) -> float:
    """Degrees of freedom of a variance: fewer where tails are heavy."""
    h = min(heaviness, MOST_HEAVY)
    return max(min(freedom, 1e9) / (1 + 3 * h / (1 - 4 * h)), 1.0)
