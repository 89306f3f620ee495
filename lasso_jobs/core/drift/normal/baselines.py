"""Makes a feature's baseline: how much it varied over the training's periods, odd ones left out."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lasso_jobs.core.drift.chart import lasting_of
from lasso_jobs.core.drift.limits import Baseline, Lasting, Seasonal, Span
from lasso_jobs.core.drift.normal.seasons import Days, days_of, expected, usual_of
from lasso_jobs.core.drift.normal.variation import (
    NOTHING_COMMON,
    Common,
    OddPeriods,
    Variation,
    l_kurtosis,
    lag_correlation,
    odd_periods,
    variation_of,
)
from lasso_jobs.core.rows.moments import Floats
from lasso_jobs.core.rows.periods import (
    LEAST_PERIODS,
    Periods,
    Spans,
    psi_between,
    psi_by_period,
    spans,
)

Places = NDArray[np.intp]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingPeriods:
    """The periods of the training rows.

    Parameters
    ----------
    n : ndarray of int, shape (t,)
        Rows of each.
    cuts : tuple of Spans
        Of 1, 2, 4, ... of them.
    days : Days or None
        Of those that are in the first cut; None if they are no days.
    ordered : bool
        Whether their keys are in the order of time; names are not.
    sampled : ndarray of intp, shape (k,)
        The period of each sampled row; -1 for none.
    common : Common
        What the features' periods have in common.
    """

    n: NDArray[np.int64]
    cuts: tuple[Spans, ...]
    days: Days | None
    ordered: bool
    sampled: Places
    common: Common = NOTHING_COMMON

    @classmethod
    def of(cls, periods: Periods, sampled: Floats) -> "TrainingPeriods":
        """Periods, and the keys of those that sampled rows are in."""
        cuts = tuple(spans(periods))
        used = periods.keys[cuts[0].place >= 0] if cuts else np.empty(0)
        at = np.minimum(np.searchsorted(periods.keys, sampled), max(len(periods.keys) - 1, 0))
        known = periods.keys[at] == sampled if len(periods.keys) else np.zeros(len(at), np.bool_)
        return cls(
            n=periods.n,
            cuts=cuts,
            days=days_of(used),
            ordered=bool(np.all(used % 1 == 0)),
            sampled=np.where(known, at, -1),
        )

    def with_common(self, shifts: Floats) -> "TrainingPeriods":
        """The same with what the periods of several terms have in common.

        Parameters
        ----------
        shifts : ndarray, shape (p, t)
            Sums over each period's rows of what each term adds to the shift.
        """
        if not self.cuts or len(self.cuts[0].n) < LEAST_PERIODS or not len(shifts):
            return self
        means = self.cuts[0].sums(shifts) / self.cuts[0].n
        none = np.zeros(means.shape[1])
        usual = [row[~odd_periods(row, none)] for row in means]
        correlation = float(np.mean([lag_correlation(row) for row in usual]))
        tails = float(np.mean([l_kurtosis(row) for row in usual]))
        return replace(self, common=Common(correlation, tails))


@dataclass(frozen=True, slots=True, kw_only=True)
class FeaturePeriods:
    """A feature's sums by period of the training rows, and its bins in the sample.

    Parameters
    ----------
    shifts : ndarray, shape (t,)
        Sums of its term's deviations from its mean, in target units.
    nulls : ndarray, shape (t,)
        Rows without a value.
    bins : ndarray of intp, shape (k,)
        Of each sampled row.
    n_bins : int
    variance : float
        Of its term, over the rows.
    """

    shifts: Floats
    nulls: Floats
    bins: Places
    n_bins: int
    variance: float


def baseline_of(feature: FeaturePeriods, periods: TrainingPeriods) -> Baseline:
    """How much a feature varied over the training's periods.

    A period that is odd in its shift, in its bins or in its nulls is left out of all of them, at
    most one in twenty for each.
    """
    baseline = Baseline(variance=feature.variance, n_sampled=len(feature.bins))
    if not periods.cuts:
        return baseline
    first = periods.cuts[0]
    kept = (first.place >= 0) & ~_odd(feature, periods)
    inside = first.place >= 0
    means = feature.shifts[inside] / periods.n[inside]
    own = kept[inside]
    usual_shift = 0.0 if own.all() else float(means[own].mean())
    raw, lasting = _spans_of(feature, periods, kept, usual=np.full(len(kept), usual_shift))
    baseline = replace(
        baseline,
        n_periods=int(kept.sum()),
        rows=float(first.n.mean()),
        spans=raw,
        lasting=lasting,
        usual=usual_shift,
        calendar=None if periods.days is None else periods.days.calendar,
    )
    if periods.days is None:
        return baseline
    days = periods.days
    usual = usual_of(means[own], days.where(own))
    if not usual.week_days and not usual.months:
        return baseline
    away = np.zeros(len(kept))
    away[inside] = expected(usual, days)
    around, lasting = _spans_of(feature, periods, kept, usual=away, n_means=usual.n_means)
    return replace(baseline, seasonal=Seasonal(usual, around, lasting))


def _odd(feature: FeaturePeriods, periods: TrainingPeriods) -> OddPeriods:
    """The periods to leave out; those in no span are not among them."""
    inside = periods.cuts[0].place >= 0
    n = periods.n[inside]
    shares = feature.nulls[inside] / n
    missing = float(feature.nulls[inside].sum() / n.sum())
    odd = odd_periods(feature.shifts[inside] / n, feature.variance / n)
    odd |= odd_periods(shares, missing * (1 - missing) / n)
    psi = psi_by_period(periods.sampled, feature.bins, feature.n_bins, len(inside))[inside]
    sampled = np.bincount(periods.sampled[periods.sampled >= 0], minlength=len(inside))[inside]
    # By chance PSI is chi-square / n, whose root has the variance 1 / (2 n) for any number of bins.
    odd |= odd_periods(np.sqrt(psi), 0.5 / np.maximum(sampled, 1))
    of_all = np.zeros(len(inside), np.bool_)
    of_all[inside] = odd
    return of_all


def _spans_of(
    feature: FeaturePeriods,
    periods: TrainingPeriods,
    kept: NDArray[np.bool_],
    *,
    usual: Floats,
    n_means: int = 1,
) -> tuple[tuple[Span, ...], Lasting]:
    """Spans of the periods that are kept, around what is usual in each."""
    found: list[Span] = []
    lasting = Lasting(0.0, 1.0)
    rows = np.where(kept, periods.n, 0)
    shifts = np.where(kept, feature.shifts - rows * usual, 0.0)
    for cut in periods.cuts:
        some = cut.sums(rows) > 0
        n = cut.sums(rows)[some].astype(np.int64)
        moved = cut.sums(shifts)[some] / n
        variation = variation_of(
            moved,
            n,
            feature.variance,
            ordered=periods.ordered,
            n_means=n_means,
            common=periods.common,
        )
        if not found:
            lasting = lasting_of(moved, n, feature.variance, variation.knowledge)
        shares = cut.sums(np.where(kept, feature.nulls, 0.0))[some] / n
        known = (periods.sampled >= 0) & kept[periods.sampled]
        places = np.where(known, cut.place[periods.sampled], -1)
        psi = psi_between(places, feature.bins, feature.n_bins)
        psi += _apart(feature, places >= 0)
        apart = psi_by_period(places, feature.bins, feature.n_bins, len(cut.n))[some]
        error = float(apart.std() / np.sqrt(variation.knowledge.freedom))
        span = _span(variation, shares=shares, n=n)
        found.append(replace(span, psi=psi * variation.knowledge.inflation, psi_error=error))
    return tuple(found), lasting


def _apart(feature: FeaturePeriods, kept: NDArray[np.bool_]) -> float:
    """The PSI of the sampled rows that are kept: the reference's shares are those of all."""
    every = np.bincount(feature.bins, minlength=feature.n_bins) / max(len(kept), 1)
    some = every > 0
    own = np.bincount(feature.bins[kept], minlength=feature.n_bins) / max(int(kept.sum()), 1)
    return float(np.sum((own - every)[some] ** 2 / every[some]))


def _span(variation: Variation, *, shares: Floats, n: NDArray[np.int64]) -> Span:
    known, mean = variation.knowledge, float(shares.mean())
    between = float(np.var(shares)) * known.inflation - mean * (1 - mean) * float(np.mean(1 / n))
    return Span(
        between=variation.between,
        extreme=variation.extreme,
        psi=0.0,
        missing=float(shares.max()),
        freedom=known.freedom,
        heaviness=0.0 if np.isinf(variation.tails) else 1 / variation.tails,
        missing_between=max(between, 0.0),
    )
