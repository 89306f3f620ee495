"""What drift is measured against: each feature's distribution at training time, and its days."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lasso_jobs.core import drift
from lasso_jobs.core.columns import Category, Columns, block_of
from lasso_jobs.core.limits import Innocent, span
from lasso_jobs.core.moments import Floats, Moments
from lasso_jobs.core.period_means import deviations
from lasso_jobs.core.periods import Periods, Spans, psi_between, spans
from lasso_jobs.core.predict import Predictor
from lasso_jobs.core.sample import Sample
from lasso_jobs.core.selection import Fit

PREDICTION = "prediction"
NOT_KNOWN = Innocent(0.0, 0)


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known of the training rows.

    Parameters
    ----------
    rows : Moments
        Of the listed columns and, last, the target.
    listed : Columns
    sample : Sample
        Of the listed columns.
    sampled_periods : ndarray, shape (k,)
        The period of each row of the sample.
    periods : Periods
        Sums of the listed columns and, last, the target.
    """

    rows: Moments
    listed: Columns
    sample: Sample
    sampled_periods: Floats
    periods: Periods


def references(predictor: Predictor, fit: Fit, seen: Seen) -> dict[str, drift.Reference]:
    """References of every feature, and of the predictions.

    Means, deviations, extremes, null shares, level shares and the shifts of days are those of all
    training rows; the bins of numbers, and the shares and means in them, come from the sample.
    """
    columns, design = predictor.columns, fit.design
    rows = design.grouping.moments(seen.rows)
    null_share, spread = rows.null_share(), np.diag(rows.scatter) / rows.weight
    block = block_of(seen.sample.values, seen.listed, columns)
    if block is None:
        raise ValueError("the sample is not of the predictor's columns")
    days = _Days.of(predictor, fit, seen)
    found: dict[str, drift.Reference] = {}
    for j, (name, values) in enumerate(zip(columns.numeric, block.numeric, strict=True)):
        missing = float(null_share[j])
        sd = float(np.sqrt(max(spread[j], 0.0) / (1 - missing))) if missing < 1 else drift.NAN
        known = float(rows.mean[j]), sd, float(rows.low[j]), float(rows.high[j])
        found[name] = days.known(
            predictor.positions(name), *_of_numbers(values, missing, *known), j
        )
    for category, codes in zip(columns.categories, block.codes, strict=True):
        place = predictor.positions(category.name)
        bins = np.where(codes < 0, category.width, codes).astype(np.intp)
        null = place[category.levels.index(None)] if None in category.levels else None
        reference = _of_levels(category, design.location[place])
        found[category.name] = days.known(place, reference, bins, null)
    y = predictor.predict(block)
    mean, sd = float(design.location[design.target]), float(np.sqrt(max(days.terms.sum(), 0.0)))
    low, high = float(y.min(initial=np.inf)), float(y.max(initial=-np.inf))
    prediction = _of_numbers(y, 0.0, mean, sd, low, high)
    return {**found, PREDICTION: days.known(list(range(len(fit.coef))), *prediction)}


def _of_numbers(
    values: Floats, missing: float, mean: float, sd: float, low: float, high: float
) -> tuple[drift.Reference, NDArray[np.intp]]:
    """The reference without its days, and the bin of each sampled row."""
    observed = np.sort(values[~np.isnan(values)])
    edges = drift.quantile_edges(observed)
    bins = np.where(np.isnan(values), len(edges) + 1, np.searchsorted(edges, values, "right"))
    counts = np.bincount(bins, minlength=len(edges) + 2)[:-1]
    first = observed[0] if len(observed) else 0.0
    sums = np.bincount(bins, np.nan_to_num(values - first), len(edges) + 2)[:-1]
    shares = counts / max(len(observed), 1) * (1 - missing)
    reference = drift.Reference(
        edges,
        np.append(shares, missing if len(observed) else 1.0),
        first + sums / np.maximum(counts, 1),
        mean if missing < 1 else drift.NAN,
        sd,
        low,
        high,
        missing,
        0.0,
        NOT_KNOWN,
    )
    return reference, bins.astype(np.intp)


def _of_levels(category: Category, shares: Floats) -> drift.Reference:
    null = category.levels.index(None) if None in category.levels else None
    nan, missing = drift.NAN, 0.0 if null is None else float(shares[null])
    empty, every = np.empty(0), np.append(shares, 0.0)
    return drift.Reference(empty, every, empty, nan, nan, nan, nan, missing, 0.0, NOT_KNOWN)


@dataclass(frozen=True, slots=True)
class _Days:
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
    terms : ndarray, shape (p, p)
        Covariances of the coefficients' terms over all training rows.
    sampled : list of ndarray, shape (k,)
        The span of each sampled row, as ``spans`` cuts them.
    """

    periods: Periods
    spans: list[Spans]
    shifts: Floats
    nulls: Floats
    terms: Floats
    sampled: list[NDArray[np.intp]]

    @classmethod
    def of(cls, predictor: Predictor, fit: Fit, seen: Seen) -> "_Days":
        design, periods = fit.design, seen.periods
        away, nulls = deviations(predictor, design, periods)
        kept, terms = np.flatnonzero(design.usable), np.zeros((len(predictor.coef),) * 2)
        weights = fit.standardised[kept]
        terms[np.ix_(kept, kept)] = design.problem.gram * np.outer(weights, weights)
        found = spans(periods)
        sampled = [cut.of_rows(seen.sampled_periods) for cut in found]
        return cls(periods, found, predictor.coef[:, None] * away, nulls, terms, sampled)

    def known(
        self,
        place: list[int],
        reference: drift.Reference,
        bins: NDArray[np.intp],
        null: int | None = None,
    ) -> drift.Reference:
        """A reference with what the periods say of the coefficients at these places."""
        variance, n = float(self.terms[np.ix_(place, place)].sum()), self.periods.n
        nulls = np.zeros(len(n)) if null is None else self.nulls[null]
        shifts, found = self.shifts[place].sum(axis=0), []
        for cut, sampled in zip(self.spans, self.sampled, strict=True):
            psi = psi_between(sampled, bins, len(reference.shares))
            moved, missing = cut.sums(shifts) / cut.n, cut.sums(nulls) / cut.n
            found.append(span(moved, cut.n, missing, variance, psi))
        days = NOT_KNOWN
        if found:
            cut = self.spans[0]
            days = replace(days, n_periods=len(cut.n), rows=float(cut.n.mean()), spans=(*found,))
        days = replace(days, variance=variance, n_sampled=len(bins))
        return replace(reference, variance=float(self.terms[place].sum()), days=days)
