"""Makes what drift is measured against: each feature's training distribution and its baseline."""

from dataclasses import dataclass, replace
from itertools import islice
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from lasso_jobs.core.drift import drift
from lasso_jobs.core.drift.bins import middles, quantile_edges
from lasso_jobs.core.drift.limits import Baseline
from lasso_jobs.core.drift.normal.baselines import FeaturePeriods, TrainingPeriods, baseline_of
from lasso_jobs.core.fit.one_alpha import Fit
from lasso_jobs.core.fit.predict import Predictor
from lasso_jobs.core.inference.period_means import deviations
from lasso_jobs.core.rows.blocks.matrix import block_of
from lasso_jobs.core.rows.columns import Columns
from lasso_jobs.core.rows.moments import Floats, Moments
from lasso_jobs.core.rows.periods import Periods
from lasso_jobs.core.rows.periods import merge as merge_periods
from lasso_jobs.core.rows.sample import Sample
from lasso_jobs.core.rows.sample import merge as merge_samples
from lasso_jobs.core.rows.unlabelled import Unlabelled

PREDICTION = "prediction"
MOST_REFERENCES = 200
"""Of more features, those that the model uses have references, and the strongest of the others."""
ROUNDING = 1e-9
"""Predictions that differ by less, as a share of the largest, are one: sums in another order."""
_NO_BASELINE = Baseline(variance=0.0, n_sampled=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingRows:
    """What is known of the training rows.

    Parameters
    ----------
    moments : Moments
        Of the columns and, last, the target.
    columns : Columns
        Before a model's recipe groups them.
    sample : Sample
        Of the columns.
    sampled_periods : ndarray, shape (k,)
        The period of each row of the sample.
    periods : Periods
        Sums of the columns and, last, the target.
    unlabelled : Unlabelled
        Of the rows without an outcome, which the others do not count.
    """

    moments: Moments
    columns: Columns
    sample: Sample
    sampled_periods: Floats
    periods: Periods
    unlabelled: Unlabelled

    def of_all(self) -> tuple[Sample, Floats, Periods]:
        """The sample, the periods of its rows, and the sums, of rows with and without outcomes."""
        if not self.unlabelled.n:
            return self.sample, self.sampled_periods, self.periods
        values = np.vstack([self.sample.values, self.sampled_periods])
        sample = merge_samples(replace(self.sample, values=values), self.unlabelled.sample)
        *columns, periods = sample.values
        both = merge_periods(self.periods, self.unlabelled.periods)
        return replace(sample, values=np.array(columns)), periods, both


def references(
    predictor: Predictor, fit: Fit, training: TrainingRows
) -> dict[str, drift.Reference]:
    """References of the features that `referenced` names, and of the predictions.

    They are of all rows that would be scored, also of those without an outcome, which no fit sees.
    Means, extremes, null shares, level shares and the shifts of periods are exact. The bins of
    numbers, and the shares and means in them, come from the sample. Standard deviations, and the
    parts of the variance of the predictions, are of the rows with an outcome.
    """
    columns, design = predictor.columns, fit.design
    sample, sampled_periods, sums = training.of_all()
    block = block_of(sample.values, training.columns, columns)
    if block is None:
        raise ValueError("the sample is not of the predictor's columns")
    every = _AllRows.of(predictor, fit, training)
    periods = _ModelPeriods.of(
        predictor,
        fit,
        training,
        moved=every.moved,
        periods=sums,
        sampled_periods=sampled_periods,
    )
    places, kept = predictor.by_feature(), frozenset(referenced(predictor, fit))
    by_name: dict[str, drift.Reference] = {}
    for j, (name, values) in enumerate(zip(columns.numeric, block.numeric, strict=True)):
        if name in kept:
            reference, bins = _of_numbers(values, **every.of_number(j))
            reference = replace(reference, means=every.means[places[name]])
            nulls = periods.nulls[j]
            by_name[name] = periods.with_baseline(reference, bins, places[name], nulls)
    for category, codes in zip(columns.categories, block.codes, strict=True):
        if category.name in kept:
            place = places[category.name]
            bins = np.where(codes < 0, category.width, codes).astype(np.intp)
            null = category.levels.index(None) if None in category.levels else None
            reference = _of_levels(every.means[place], null)
            nulls = periods.periods.n - periods.nulls[place].sum(axis=0)
            nulls = nulls if null is None else nulls + periods.nulls[place[null]]
            by_name[category.name] = periods.with_baseline(reference, bins, place, nulls)
    y = predictor.predict(block)
    mean = float(design.mean_prediction(fit.coef[None])[0] + fit.coef @ every.moved)
    reference, bins = _of_numbers(
        y,
        missing=0.0,
        mean=mean,
        sd=float(np.sqrt(max(periods.terms.sum(), 0.0))),
        low=float(y.min(initial=np.inf)),
        high=float(y.max(initial=-np.inf)),
        slack=ROUNDING * float(np.abs(y).max(initial=0.0)),
    )
    reference = replace(reference, means=np.array([mean]))
    of_all = list(range(len(fit.coef)))
    return {**by_name, PREDICTION: periods.with_baseline(reference, bins, of_all)}


def referenced(predictor: Predictor, fit: Fit) -> tuple[str, ...]:
    """The features that have references.

    All of at most `MOST_REFERENCES`; otherwise those that the model uses and, up to that number,
    those whose coefficients are nearest to becoming non-zero.
    """
    features, places = predictor.columns.features, predictor.by_feature()
    if len(features) <= MOST_REFERENCES:
        return features
    feature_of = {j: name for name, place in places.items() for j in place}
    strongest = dict.fromkeys(feature_of[j] for j in fit.strongest().tolist())
    kept = {*islice(strongest, MOST_REFERENCES), *predictor.used}
    return tuple(name for name in features if name in kept)


def _of_numbers(
    values: Floats,
    *,
    missing: float,
    mean: float,
    sd: float,
    low: float,
    high: float,
    slack: float = 0.0,
) -> tuple[drift.Reference, NDArray[np.intp]]:
    """The reference without its baseline, and the bin of each sampled row."""
    observed = np.sort(values[~np.isnan(values)])
    edges = quantile_edges(observed, slack)
    bins = np.where(np.isnan(values), len(edges) + 1, np.searchsorted(edges, values, "right"))
    counts = np.bincount(bins, minlength=len(edges) + 2)[:-1]
    first = observed[0] if len(observed) else 0.0
    sums = np.bincount(bins, np.nan_to_num(values - first), len(edges) + 2)[:-1]
    shares = counts / max(len(observed), 1) * (1 - missing)
    reference = drift.Reference(
        edges=edges,
        shares=np.append(shares, missing if len(observed) else 1.0),
        places=np.where(counts > 0, first + sums / np.maximum(counts, 1), middles(edges, first)),
        mean=mean if missing < 1 else drift.NAN,
        sd=sd,
        low=low,
        high=high,
        missing_share=missing,
        variance=0.0,
        baseline=_NO_BASELINE,
    )
    return reference, bins.astype(np.intp)


def _of_levels(shares: Floats, null: int | None) -> drift.Reference:
    """The reference without its baseline, of the shares of the levels."""
    unseen = max(0.0, 1.0 - float(shares.sum())) if len(shares) else 1.0
    unseen = unseen if unseen > ROUNDING else 0.0
    return drift.Reference(
        edges=np.empty(0),
        shares=np.append(shares, unseen),
        places=np.empty(0),
        mean=drift.NAN,
        sd=drift.NAN,
        low=drift.NAN,
        high=drift.NAN,
        missing_share=unseen + (0.0 if null is None else float(shares[null])),
        variance=0.0,
        baseline=_NO_BASELINE,
        means=shares,
    )


class _Number(TypedDict):
    missing: float
    mean: float
    sd: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _AllRows:
    """The rows with an outcome, and what those without change of them.

    Parameters
    ----------
    rows : Moments
        Of the predictor's columns, in the rows with an outcome.
    unlabelled : Unlabelled
    means : ndarray, shape (p,)
        Of each coefficient's column, over all rows, nulls filled.
    moved : ndarray, shape (p,)
        Those less the means over the rows with an outcome.
    nulls : ndarray, shape (n_columns,)
        Unlabelled rows with a null of a number, and of each level.
    """

    rows: Moments
    unlabelled: Unlabelled
    means: Floats
    moved: Floats
    nulls: Floats

    @classmethod
    def of(cls, predictor: Predictor, fit: Fit, training: TrainingRows) -> "_AllRows":
        design, unlabelled = fit.design, training.unlabelled
        away, nulls = deviations(predictor, design, unlabelled.totals)
        moved = away.sum(axis=1) / (training.moments.n + unlabelled.n)
        return cls(
            rows=design.grouping.moments(training.moments),
            unlabelled=unlabelled,
            means=design.location[design.position] + moved,
            moved=moved,
            nulls=nulls.sum(axis=1),
        )

    def of_number(self, j: int) -> _Number:
        """What is known of a numeric column."""
        rows, others = self.rows, self.unlabelled
        missing, mean = float(rows.null_share()[j]), float(rows.mean[j])
        spread = max(float(rows.scatter[j, j]) / rows.weight, 0.0)
        sd = float(np.sqrt(spread / (1 - missing))) if missing < 1 else drift.NAN
        if others.n:
            known, theirs = rows.n * (1 - missing), others.n - float(self.nulls[j])
            total = float(others.totals.sums[j].sum())
            mean = (mean * known + total) / max(known + theirs, 1.0)
            missing = (rows.n * missing + float(self.nulls[j])) / (rows.n + others.n)
        return {
            "missing": missing,
            "mean": mean,
            "sd": sd,
            "low": min(float(rows.low[j]), float(others.low[j])),
            "high": max(float(rows.high[j]), float(others.high[j])),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class _ModelPeriods:
    """The periods of the training rows, as the model sees them.

    Parameters
    ----------
    periods : TrainingPeriods
    shifts : ndarray, shape (p, t)
        What each coefficient's column adds to the shift of each period's mean prediction, times
        its rows.
    nulls : ndarray, shape (n_columns, t)
        Rows with a null of a number, and rows of each level.
    terms : ndarray, shape (k, k)
        Covariances of the terms of the coefficients that are not zero, over all training rows.
    rank : ndarray of intp, shape (p,)
        Of each coefficient among those that are not zero; -1 for the others.
    """

    periods: TrainingPeriods
    shifts: Floats
    nulls: Floats
    terms: Floats
    rank: NDArray[np.intp]

    @classmethod
    def of(
        cls,
        predictor: Predictor,
        fit: Fit,
        training: TrainingRows,
        *,
        moved: Floats,
        periods: Periods,
        sampled_periods: Floats,
    ) -> "_ModelPeriods":
        """The sums of periods, around the means of all rows."""
        design = fit.design
        away, nulls = deviations(predictor, design, periods)
        away -= periods.n * moved[:, None]
        active, rank = np.flatnonzero(fit.standardised), np.full(len(fit.standardised), -1)
        rank[active] = np.arange(len(active))
        weights, shifts = fit.standardised[active], predictor.coef[:, None] * away
        training_periods = TrainingPeriods.of(periods, sampled_periods)
        return cls(
            periods=training_periods.with_common(shifts[active]),
            shifts=shifts,
            nulls=nulls,
            terms=design.correlations(active, training.moments) * np.outer(weights, weights),
            rank=rank,
        )

    def with_baseline(
        self,
        reference: drift.Reference,
        bins: NDArray[np.intp],
        place: list[int],
        nulls: Floats | None = None,
    ) -> drift.Reference:
        """A reference with what the periods say of its coefficients.

        Parameters
        ----------
        reference : Reference
        bins : ndarray of int, shape (k,)
            Of the sampled rows.
        place : list of int
            Positions of the feature's coefficients.
        nulls : ndarray, shape (t,), optional
            Rows of each period without a value, or with one that the model does not know.
        """
        active = self.rank[place]
        active = active[active >= 0]
        feature = FeaturePeriods(
            shifts=self.shifts[place].sum(axis=0),
            nulls=np.zeros(len(self.periods.n)) if nulls is None else nulls,
            bins=bins,
            n_bins=len(reference.shares),
            variance=float(self.terms[np.ix_(active, active)].sum()),
        )
        baseline = baseline_of(feature, self.periods)
        return replace(reference, variance=float(self.terms[active].sum()), baseline=baseline)
