"""How far current values lie from those the model was trained on, and what it does to its scores.

The bins are frozen with the model: a drift statistic whose bins follow the current data compares
nothing. A model is linear in its columns z, so that two changes have exact parts, one per feature:

* of the mean prediction, ``score_shift = sum_j coef_j (mean(z_j) - training mean of z_j)``;
* of the variance of the predictions, for ``var(yhat) = cov(sum_j coef_j z_j, yhat)
  = sum_j coef_j cov(z_j, yhat)``: ``variance_shift`` is the change of a feature's part of this sum.

j runs over the feature's own columns after imputation and encoding. Over all features that the
model uses both sum to the whole change.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np

from lasso_jobs.core import distances
from lasso_jobs.core.current import Current
from lasso_jobs.core.limits import Innocent
from lasso_jobs.core.moments import Floats

Verdict = Literal["ok", "watch", "alarm"]
Kind = Literal["numeric", "categorical", "prediction", "correlation"]

N_BINS = 20
NAN = float("nan")


@dataclass(frozen=True, slots=True)
class Reference:
    """A feature at training time.

    Parameters
    ----------
    edges : ndarray, shape (k - 1,)
        Inner edges of the bins of a numeric feature, ascending; a value equal to an edge lies
        above it. Empty for a categorical feature, whose indicators are its bins.
    shares : ndarray, shape (k + 1,)
        Share of the training rows in each bin; last, the rows in none: the nulls of a numeric
        feature, the unseen levels of a categorical one.
    places : ndarray, shape (k,)
        Means of the values in each bin; empty for a categorical feature.
    mean, sd, low, high : float
        Of the observed values; NaN for a categorical feature.
    missing_share : float
    variance : float
        The feature's part of the variance of the predictions.
    days : Innocent
    """

    edges: Floats
    shares: Floats
    places: Floats
    mean: float
    sd: float
    low: float
    high: float
    missing_share: float
    variance: float
    days: Innocent


@dataclass(frozen=True, slots=True)
class Effect:
    """How a feature enters the prediction.

    Parameters
    ----------
    coef, means : ndarray, shape (d,)
        Of its columns: the number and perhaps the indicator of its nulls, or one for each level.
    fill : float
        What replaces a null; NaN for a categorical feature.
    """

    coef: Floats
    means: Floats
    fill: float

    @property
    def used(self) -> bool:
        """Whether there is a coefficient that is not zero."""
        return bool(np.any(self.coef != 0))

    def location(self, current: Current) -> Floats:
        """Means of the columns, shape (d,)."""
        if not len(current.means):
            return current.shares[:-1]
        missing = float(current.shares[-1])
        value = current.mean * (1 - missing) if current.n_observed else 0.0
        filled = self.fill * missing if missing else 0.0
        return np.array([value + filled, missing][: len(self.coef)])

    def covariance(self, current: Current) -> Floats:
        """Covariances of the columns with the predictions, shape (d,).

        Around the mean of all predictions, those of the rows without a value sum to ``others``, and
        those with one to the opposite. So ``sum (z - mean(z)) (yhat - mean(yhat))`` is ``cross`` of
        the rows with a value and ``(fill - their mean) others``; of an indicator of nulls, or of a
        level, it is the sum over its rows.
        """
        sums = current.groups * (current.predicted - current.predicted_mean)
        if not len(current.means):
            return np.asarray(sums[:-1] / current.n)
        others = float(sums[-1])
        away = (self.fill - current.mean) * others if others and current.n_observed else 0.0
        return np.array([current.cross + away, others][: len(self.coef)]) / current.n


@dataclass(frozen=True, slots=True)
class Drift:
    """One feature, compared: a row of the drift table. What is not defined is NaN.

    Parameters
    ----------
    feature : str
    kind : {"numeric", "categorical", "prediction", "correlation"}
    n : int
    missing_share, reference_missing_share : float
    n_nonfinite : int
    minimum, maximum, mean, sd, reference_mean, reference_sd : float
    psi, ks, js, wasserstein, chi2 : float
        As in `lasso_jobs.core.distances`; ``wasserstein`` in standard deviations of the reference.
    out_of_range_share, unseen_share : float
        Of the rows: values beyond those of training, levels without an indicator.
    score_shift, variance_shift : float
        Changes of the mean and of the variance of the predictions that are due to this feature.
    bins : tuple of str
    counts : tuple of int
    reference_shares : tuple of float
    shift_limit, psi_limit, missing_limit : float
        That were applied; NaN for what is not judged.
    raised : {"ok", "watch", "alarm"}
        What this run has to say by itself.
    verdict : {"ok", "watch", "alarm"}
        What it has to say with the runs before it.
    reason : str
        The verdict in words.
    """

    feature: str
    kind: Kind
    n: int
    missing_share: float
    reference_missing_share: float
    n_nonfinite: int
    minimum: float
    maximum: float
    mean: float
    sd: float
    reference_mean: float
    reference_sd: float
    psi: float
    ks: float
    js: float
    wasserstein: float
    chi2: float
    out_of_range_share: float
    unseen_share: float
    score_shift: float
    variance_shift: float
    bins: tuple[str, ...]
    counts: tuple[int, ...]
    reference_shares: tuple[float, ...]
    shift_limit: float = NAN
    psi_limit: float = NAN
    missing_limit: float = NAN
    raised: Verdict = "ok"
    verdict: Verdict = "ok"
    reason: str = ""


def quantile_edges(sorted_values: Floats) -> Floats:
    """Inner edges of bins with about equal shares; fewer where values repeat."""
    if len(sorted_values) == 0:
        return np.empty(0)
    ranks = np.arange(1, N_BINS) * len(sorted_values) // N_BINS
    edges = np.unique(sorted_values[ranks])
    return np.asarray(edges[edges > sorted_values[0]], np.float64)


def measure(
    feature: str,
    kind: Kind,
    bins: Sequence[str],
    reference: Reference,
    current: Current,
    effect: Effect,
    missing_share: float,
) -> Drift:
    """Every statistic of a feature; nothing is judged yet.

    Parameters
    ----------
    feature : str
    kind : {"numeric", "categorical", "prediction"}
    bins : sequence of str
        Labels of the reference's bins, then of the rows in none: ``missing``, or for a category
        ``unseen`` and ``missing``, which are none, as nulls are a level or ``unseen``.
    reference : Reference
    current : Current
    effect : Effect
    missing_share : float
        Of the current rows.
    """
    n, counts, shares = current.n, current.counts, reference.shares
    numeric, some = kind != "categorical", current.n_observed > 0
    moved = spread = 0.0
    if n:
        moved = float(effect.coef @ (effect.location(current) - effect.means))
        spread = float(effect.coef @ effect.covariance(current)) - reference.variance
    distance = NAN
    if numeric and reference.sd > 0:
        inner = distances.wasserstein(shares[:-1], reference.places, counts[:-1], current.means)
        distance = inner / reference.sd
    return Drift(
        feature,
        kind,
        n,
        missing_share,
        reference.missing_share,
        current.n_nonfinite,
        current.low if numeric and some else NAN,
        current.high if numeric and some else NAN,
        current.mean,
        float(np.sqrt(current.spread / current.n_observed)) if numeric and some else NAN,
        reference.mean,
        reference.sd,
        distances.psi(shares, counts),
        distances.kolmogorov_smirnov(shares[:-1], counts[:-1]) if numeric else NAN,
        distances.jensen_shannon(shares, counts),
        distance,
        NAN if numeric else distances.chi_square(shares, counts),
        current.n_outside / n if numeric and n else NAN,
        NAN if numeric else float(current.shares[-1]),
        moved,
        spread,
        tuple(bins),
        (*counts.tolist(), *(() if numeric else (0,))),
        (*shares.tolist(), *(() if numeric else (0.0,))),
    )


def bin_labels(edges: Floats) -> tuple[str, ...]:
    """Names of the bins of a number, and of the rows in none."""
    texts = [f"{edge:.6g}" for edge in edges]
    if not texts:
        return ("any", "missing")
    inner = [f"[{low}, {high})" for low, high in pairwise(texts)]
    return (f"< {texts[0]}", *inner, f">= {texts[-1]}", "missing")
