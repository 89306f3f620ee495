"""Computes the limits of the drift statistics from how much the training periods varied.

A statistic of a day varies because its rows are drawn by chance, and because days differ. The
number of rows tells how much chance does; the training rows' own periods tell how much days differ
(`lasso_jobs.core.drift.normal.baselines`). Both together are normal variation. Such a day
exceeds a limit with a probability of `FALSE_ALARMS` divided by the number of features that are
judged (Bonferroni). So at most that share of such days has any feature beyond its limit, however
many features there are. A limit is never less than what would matter.
"""

from dataclasses import dataclass
from math import inf, log2, sqrt

from lasso_jobs.core.drift.normal.seasons import Calendar, Usual
from lasso_jobs.core.drift.normal.variation import freedom_of_variance, quantile
from lasso_jobs.core.rows.moments import Floats
from lasso_jobs.core.rows.periods import LEAST_PERIODS

FALSE_ALARMS = 0.01

SHIFT_FLOOR = 0.05
"""In standard deviations of the training predictions: what moves the mean by less is nothing."""

SHIFT_GROSS = 0.2
"""A small effect by convention (Cohen 1988, "Statistical Power Analysis"). It is the floor where
training has fewer than ten periods, which do not tell how much neighbours have in common."""

PSI_FLOOR, PSI_GROSS = 0.1, 0.25
"""By convention (Siddiqi 2006, "Credit Risk Scorecards"): below the first a population is stable,
above the second it has changed. The second is the floor where training has few periods."""

MISSING_FLOOR = 0.05
"""Rise of the share of rows without a usable value."""


SEASON_GROSS = 10.0
"""Standard deviations of a feature's rows: no season moves a mean so far, a wrong unit does. No
limit is more by Student's t alone, which would put that of two periods at hundreds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """How a feature varies between spans of as many neighbouring periods, without the odd ones.

    Parameters
    ----------
    between : float
        Variance with which a new span's effect on the mean of the feature's term in the prediction
        is away from the training's mean.
    extreme : float
        The largest shift of a span's mean term, in its own standard deviations.
    psi : float
        Mean PSI of a span of infinitely many rows.
    missing : float
        The largest null share of a span.
    freedom : float or None
        Degrees of freedom of the variances; None in models of before: the spans less one.
    heaviness : float
        The reciprocal of the degrees of freedom of Student's t with tails as heavy as the spans'
        effects have; 0 for normal ones.
    missing_between : float
        Variance between the null shares of spans.
    psi_error : float
        Standard error of ``psi``, which comes from the sample.
    """

    between: float
    extreme: float
    psi: float
    missing: float
    freedom: float | None = None
    heaviness: float = 0.0
    missing_between: float = 0.0
    psi_error: float = 0.0


@dataclass(frozen=True, slots=True)
class Lasting:
    """How much the moving average of many periods varies: `lasso_jobs.core.drift.chart`.

    Parameters
    ----------
    between : float
        Variance with which it is away from the training's mean, for periods of infinitely many
        rows.
    freedom : float
        Degrees of freedom of that.
    """

    between: float
    freedom: float


@dataclass(frozen=True, slots=True)
class Seasonal:
    """How a feature varies around what is usual on a week day and in a month.

    Parameters
    ----------
    usual : Usual
    spans : tuple of Span
    lasting : Lasting
    """

    usual: Usual
    spans: tuple[Span, ...]
    lasting: Lasting


@dataclass(frozen=True, slots=True, kw_only=True)
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
    calendar : Calendar or None
        What days the periods are; None if they are not, and in models of before.
    lasting : Lasting or None
        None in models of before.
    seasonal : Seasonal or None
        None where week days and months do not differ, or are not known.
    usual : float
        The mean shift of the periods where odd ones were left out: those moved the mean of all.
    """

    variance: float
    n_sampled: int
    n_periods: int = 0
    rows: float = 1.0
    spans: tuple[Span, ...] = ()
    calendar: Calendar | None = None
    lasting: Lasting | None = None
    seasonal: Seasonal | None = None
    usual: float = 0.0

    def matching_spans(self, n: int, night: str | None = None) -> tuple[Span, float]:
        """The longest spans with no more than n rows, and their degrees of freedom.

        A month is an average of days. It varies less than a day, and more than as many days that
        were drawn at random. A night that is a day is compared with days, however many rows it has.

        Examples
        --------
        >>> same = {"extreme": 2.0, "psi": 0.1, "missing": 0.0}
        >>> spans = (Span(between=0.2, **same), Span(between=0.1, **same))
        >>> baseline = Baseline(
        ...     variance=1.0, n_sampled=10_000, n_periods=50, rows=500.0, spans=spans
        ... )
        >>> baseline.matching_spans(1_200) == (spans[1], 24)
        True
        """
        spans = self.spans
        if not spans:
            return Span(between=0.0, extreme=0.0, psi=0.0, missing=0.0), inf
        if self.seasonal is not None and night is not None:
            spans = self.seasonal.spans
        k = min(int(log2(max(n / self.rows, 1.0))), len(spans) - 1)
        if self.calendar is not None and night is not None and len(night) == len("2024-01-31"):
            k = 0
        freedom = spans[k].freedom
        return spans[k], self.n_periods // 2**k - 1 if freedom is None else freedom

    def lasting_on(self, night: str | None) -> Lasting | None:
        """How much the moving average of nights varies."""
        return self.lasting if self.seasonal is None or night is None else self.seasonal.lasting

    def usual_shift(self, night: str | None) -> float:
        """What a night usually does to the mean prediction, by its week day and its month."""
        return (
            self.usual if self.seasonal is None or night is None else self.seasonal.usual.on(night)
        )

    def unseen(self, night: str | None) -> str:
        """The month or week day of a night that the training has not seen; empty if it has."""
        return "" if self.calendar is None or night is None else self.calendar.unseen(night)

    def variance_of_mean(self, n: int, span: Span) -> float:
        """Of the mean term of n rows."""
        return span.between + max(self.variance - span.between, 0.0) / n

    def floors(self) -> tuple[float, float]:
        """Of a shift, in standard deviations of the predictions, and of the PSI."""
        few = self.n_periods < LEAST_PERIODS
        return (SHIFT_GROSS, PSI_GROSS) if few else (SHIFT_FLOOR, PSI_FLOOR)


@dataclass(frozen=True, slots=True)
class Limits:
    """What a day's statistics are compared with.

    Parameters
    ----------
    shift : float
        Of the size of ``score_shift`` less what is usual, in target units.
    gross : float
        Beyond which a shift needs no second day.
    psi : float
    missing : float
        Of the share of rows without a usable value.
    of_season : float
        Beyond which no season explains a shift.
    """

    shift: float
    gross: float
    psi: float
    missing: float
    of_season: float


def limits(
    baseline: Baseline,
    n: int,
    *,
    shares: Floats,
    missing: float,
    prediction_sd: float,
    n_judged: int,
    night: str | None = None,
) -> Limits:
    """Limits for n rows of a day, or of more days.

    The limit of a shift is as many standard deviations as Student's t asks for, more for heavier
    tails (`quantile`), or as many as the most extreme training period had that was not odd, if that
    is more. The PSI is taken to be a quadratic form. Chance gives it as many degrees of freedom as
    there are bins less one; days give it one, as all bins move together. Satterthwaite's
    approximation (1946) puts both together. F in place of chi-square allows for how well it is
    known: a mean with a standard error e is worth ``2 (mean / e)^2`` degrees of freedom. The
    sample knows the days' part less well than the sums by period know the shifts. So it is at least
    the PSI of normal rows whose mean is shifted as much as the days' means are.

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
    night : str, optional
        The day, month or hour of the rows, in ISO form.
    """
    probability = FALSE_ALARMS / max(n_judged, 1)
    span, freedom = baseline.matching_spans(n, night)
    student = quantile(probability, freedom)
    spread, rows = sqrt(baseline.variance_of_mean(n, span)), sqrt(baseline.variance)
    most = SEASON_GROSS * sqrt(baseline.variance + span.between)
    width = min(quantile(probability, freedom, span.heaviness) * spread, most)
    shift_floor, psi_floor = baseline.floors()
    shift = max(width, span.extreme * spread, shift_floor * prediction_sd)
    by_chance = missing + student * sqrt(span.missing_between + missing * (1 - missing) / n)
    # Two periods do not tell how much periods differ. Still, no half of the values is lost by
    # normal variation: by Student's t alone all of them might be.
    by_chance = min(by_chance, (1 + missing) / 2 - MISSING_FLOOR)
    psi = _psi_limit(baseline, n, span, shares=shares, probability=probability, freedom=freedom)
    return Limits(
        shift=shift,
        gross=max(2 * shift, SHIFT_GROSS * prediction_sd),
        psi=max(psi, psi_floor),
        missing=min(max(span.missing, by_chance) + MISSING_FLOOR, 1.0),
        of_season=max(2 * shift, SEASON_GROSS * rows),
    )


def _psi_limit(
    baseline: Baseline, n: int, span: Span, *, shares: Floats, probability: float, freedom: float
) -> float:
    from scipy.special import chdtri, fdtri

    chance, bins = 1 / n + 1 / max(baseline.n_sampled, 1), max(int((shares > 0).sum()) - 1, 0)
    between = span.psi
    if span.freedom is not None and 0 < span.between < baseline.variance:
        between = max(between, span.between / (baseline.variance - span.between))
    if span.heaviness > 0:
        between *= (quantile(probability, inf, span.heaviness) / quantile(probability, inf)) ** 2
    mean = between + bins * chance
    square = between**2 + 2 * between * chance + bins * chance**2
    if mean <= 0:
        return 0.0
    df = mean**2 / square
    if span.freedom is None or freedom > 1e6:
        return mean / df * float(chdtri(df, probability))
    freedom = freedom_of_variance(freedom, span.heaviness)
    if span.psi_error > 0:
        freedom = max(min(freedom, 2 * (mean / span.psi_error) ** 2), 1.0)
    return mean * float(fdtri(df, freedom, 1 - probability))
