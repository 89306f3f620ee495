"""Makes what drift is measured against: each feature's training distribution and its baseline."""

from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from lasso_jobs.core.drift import drift
from lasso_jobs.core.drift.bins import middles, quantile_edges
from lasso_jobs.core.drift.limits import Baseline, span_of
from lasso_jobs.core.fit.one_alpha import Fit
from lasso_jobs.core.fit.predict import Predictor
from lasso_jobs.core.inference.period_means import deviations
from lasso_jobs.core.rows.blocks.matrix import block_of
from lasso_jobs.core.rows.columns import Category, Columns
from lasso_jobs.core.rows.moments import Floats, Moments
from lasso_jobs.core.rows.periods import Periods, Spans, psi_between, spans
from lasso_jobs.core.rows.sample import Sample

PREDICTION = "prediction"
MOST_REFERENCES = 200
"""Of more features, those that the model uses have references, and the strongest of the others."""
ROUNDING = 1e-9
"""Predictions that differ by less, as a share of the largest, are one: sums in another order."""
_NO_BASELINE = Baseline(0.0, 0)


@dataclass(frozen=True, slots=True)
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
    """

    moments: Moments
    columns: Columns
    sample: Sample
    sampled_periods: Floats
    periods: Periods


def references(
    predictor: Predictor, fit: Fit, training: TrainingRows
) -> dict[str, drift.Reference]:
    """References of the features that `referenced` names, and of the predictions.

    Means, deviations, extremes, null shares, level shares and the shifts of periods are those of
    all training rows. The bins of numbers, and the shares and means in them, come from the sample.
    """
    columns, design = predictor.columns, fit.design
    rows = design.grouping.moments(training.moments)
    null_share, spread = rows.null_share(), np.diag(rows.scatter) / rows.weight
    block = block_of(training.sample.values, training.columns, columns)
    if block is None:
        raise ValueError("the sample is not of the predictor's columns")
    periods, places = _TrainingPeriods.of(predictor, fit, training), predictor.by_feature()
    kept = frozenset(referenced(predictor, fit))
    by_name: dict[str, drift.Reference] = {}
    for j, (name, values) in enumerate(zip(columns.numeric, block.numeric, strict=True)):
        if name not in kept:
            continue
        missing = float(null_share[j])
        sd = float(np.sqrt(max(spread[j], 0.0) / (1 - missing))) if missing < 1 else drift.NAN
        reference, bins = _of_numbers(
            values,
            missing=missing,
            mean=float(rows.mean[j]),
            sd=sd,
            low=float(rows.low[j]),
            high=float(rows.high[j]),
        )
        by_name[name] = periods.with_baseline(reference, bins, places[name], null=j)
    for category, codes in zip(columns.categories, block.codes, strict=True):
        if category.name not in kept:
            continue
        place = places[category.name]
        bins = np.where(codes < 0, category.width, codes).astype(np.intp)
        null = place[category.levels.index(None)] if None in category.levels else None
        reference = _of_levels(category, design.location[place])
        by_name[category.name] = periods.with_baseline(reference, bins, place, null=null)
    y = predictor.predict(block)
    reference, bins = _of_numbers(
        y,
        missing=0.0,
        mean=float(design.mean_prediction(fit.coef[None])[0]),
        sd=float(np.sqrt(max(periods.terms.sum(), 0.0))),
        low=float(y.min(initial=np.inf)),
        high=float(y.max(initial=-np.inf)),
        slack=ROUNDING * float(np.abs(y).max(initial=0.0)),
    )
    every = list(range(len(fit.coef)))
    return {**by_name, PREDICTION: periods.with_baseline(reference, bins, every)}


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


def _of_levels(category: Category, shares: Floats) -> drift.Reference:
    null = category.levels.index(None) if None in category.levels else None
    return drift.Reference(
        edges=np.empty(0),
        shares=np.append(shares, 0.0),
        places=np.empty(0),
        mean=drift.NAN,
        sd=drift.NAN,
        low=drift.NAN,
        high=drift.NAN,
        missing_share=0.0 if null is None else float(shares[null]),
        variance=0.0,
        baseline=_NO_BASELINE,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _TrainingPeriods:
    """The periods of the training rows, as the model sees them.

    Parameters
    ----------
    periods : Periods
    spans : list of Spans
    shifts : ndarray, shape (p, t)
        What each coefficient's column adds to the shift of each period's mean prediction, times
        its rows.
    nulls : ndarray, shape (n_columns, t)
        Rows with a null of a number, and rows of each level.
    terms : ndarray, shape (k, k)
        Covariances of the terms of the coefficients that are not zero, over all training rows.
    rank : ndarray of intp, shape (p,)
        Of each coefficient among those that are not zero; -1 for the others.
    sampled : list of ndarray, shape (k,)
        The span of each sampled row, as ``spans`` cuts them.
    """

    periods: Periods
    spans: list[Spans]
    shifts: Floats
    nulls: Floats
    terms: Floats
    rank: NDArray[np.intp]
    sampled: list[NDArray[np.intp]]

    @classmethod
    def of(cls, predictor: Predictor, fit: Fit, training: TrainingRows) -> "_TrainingPeriods":
        design, periods = fit.design, training.periods
        away, nulls = deviations(predictor, design, periods)
        active, rank = np.flatnonzero(fit.standardised), np.full(len(fit.standardised), -1)
        rank[active] = np.arange(len(active))
        weights = fit.standardised[active]
        cuts = spans(periods)
        return cls(
            periods=periods,
            spans=cuts,
            shifts=predictor.coef[:, None] * away,
            nulls=nulls,
            terms=design.correlations(active, training.moments) * np.outer(weights, weights),
            rank=rank,
            sampled=[cut.of_rows(training.sampled_periods) for cut in cuts],
        )

    def with_baseline(
        self,
        reference: drift.Reference,
        bins: NDArray[np.intp],
        place: list[int],
        null: int | None = None,
    ) -> drift.Reference:
        """A reference with what the periods say of its coefficients.

        Parameters
        ----------
        reference : Reference
        bins : ndarray of int, shape (k,)
            Of the sampled rows.
        place : list of int
            Positions of the feature's coefficients.
        null : int, optional
            The row of ``nulls`` with the feature's.
        """
        active, n = self.rank[place], self.periods.n
        active = active[active >= 0]
        variance = float(self.terms[np.ix_(active, active)].sum())
        nulls = np.zeros(len(n)) if null is None else self.nulls[null]
        shifts, of_spans = self.shifts[place].sum(axis=0), []
        for cut, sampled in zip(self.spans, self.sampled, strict=True):
            psi = psi_between(sampled, bins, len(reference.shares))
            moved, missing = cut.sums(shifts) / cut.n, cut.sums(nulls) / cut.n
            of_spans.append(span_of(moved, cut.n, missing=missing, variance=variance, psi=psi))
        baseline = Baseline(variance, n_sampled=len(bins))
        if of_spans:
            first = self.spans[0]
            rows = float(first.n.mean())
            baseline = replace(baseline, n_periods=len(first.n), rows=rows, spans=(*of_spans,))
        return replace(reference, variance=float(self.terms[active].sum()), baseline=baseline)
