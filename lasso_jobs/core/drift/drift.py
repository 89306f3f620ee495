"""Measures how far scored rows lie from the training rows, and what that does to the predictions.

The bins are frozen with the model: a statistic whose bins follow the current rows would compare
nothing. A model is linear in its columns z, so that two changes have exact parts, one per feature:

* of the mean prediction, ``score_shift = sum_j coef_j (mean(z_j) - training mean of z_j)``;
* of the variance of the predictions, for ``var(yhat) = cov(sum_j coef_j z_j, yhat)
  = sum_j coef_j cov(z_j, yhat)``: ``variance_shift`` is the change of a feature's part of this sum.

j runs over the feature's own columns after imputation and encoding. Over all features that the
model uses both sum to the whole change.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from math import isfinite
from typing import Any, Literal

import numpy as np

from lasso_jobs.core.drift import distances
from lasso_jobs.core.drift.current import Current
from lasso_jobs.core.drift.limits import Baseline
from lasso_jobs.core.rows.moments import Floats

Severity = Literal["ok", "unknown", "watch", "alarm"]
"""Of a verdict, the gravest last; ``unknown`` is what could not be judged."""

Kind = Literal["numeric", "categorical", "prediction", "correlation"]

NAN = float("nan")


@dataclass(frozen=True, slots=True, kw_only=True)
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
        Means of the values in each bin, and a value of each bin without rows; empty for a
        categorical feature.
    mean, sd, low, high : float
        Of the observed values; NaN for a categorical feature.
    missing_share : float
        Of the rows with a null; or, of a category, with a level that has no coefficient.
    variance : float
        The feature's part of the variance of the predictions.
    baseline : Baseline
    means : ndarray, shape (d,)
        Of the columns of its coefficients, nulls filled; empty where an older model has only those
        of the rows with an outcome.
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
    baseline: Baseline
    means: Floats = field(default_factory=lambda: np.empty(0))


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

    def terms(self, reference: "Reference") -> Floats:
        """Mean term in the prediction of a row of each bin of a number, shape (k + 1,).

        With a current day's counts they tell how far the rows moved between the bins. No row can
        move that by more than from the first bin to the last, however extreme its value. Empty for
        a category, whose values are not extreme.
        """
        if not len(reference.places):
            return np.empty(0)
        fill = self.fill if isfinite(self.fill) else 0.0  # a prediction is never null
        missing = self.coef[0] * fill + (self.coef[1] if len(self.coef) > 1 else 0.0)
        return np.append(self.coef[0] * reference.places, missing)

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
        sums = current.n_predicted * (current.predicted - current.predicted_mean)
        if not len(current.means):
            return np.asarray(sums[:-1] / current.n)
        others = float(sums[-1])
        away = (self.fill - current.mean) * others if others and current.n_observed else 0.0
        return np.array([current.cross + away, others][: len(self.coef)]) / current.n


@dataclass(frozen=True, slots=True, kw_only=True)
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
        As in `lasso_jobs.core.drift.distances`; ``wasserstein`` in standard deviations of the
        reference.
    out_of_range_share, unseen_share : float
        Of the rows: values beyond those of training, levels without an indicator.
    score_shift, variance_shift : float
        Changes of the mean and of the variance of the predictions that are due to this feature.
    net_shift : float
        The movement of the mean prediction that is judged: ``score_shift``, or where extreme values
        hide it, that of the other rows; less what other features have cancelled.
    shift_share : float
        Of the movement of the mean prediction, where that is beyond its limit: ``score_shift``
        divided by it.
    bins : tuple of str
    counts : tuple of int
    reference_shares : tuple of float
    shift_limit, psi_limit, missing_limit : float
        That were applied; NaN for what is not judged.
    usual_shift : float
        What the week day and the month usually do; the limit is of ``score_shift`` less this.
    ewma_shift, ewma_limit : float
        The moving average of the shifts so far, and its limit (`lasso_jobs.core.drift.chart`).
    unseen_season : str
        A month or week day that the training has not seen, where a limit was exceeded in it.
    raised : {"ok", "unknown", "watch", "alarm"}
        What this run has to say by itself.
    verdict : {"ok", "unknown", "watch", "alarm"}
        What it has to say with the runs before it.
    reason : str
        The verdict in words.
    acknowledged : str
        By whom, when and why, of a drift that would not be ok without that; empty of any other.
    """

    feature: str
    kind: Kind
    n: int = 0
    missing_share: float = NAN
    reference_missing_share: float = NAN
    n_nonfinite: int = 0
    minimum: float = NAN
    maximum: float = NAN
    mean: float = NAN
    sd: float = NAN
    reference_mean: float = NAN
    reference_sd: float = NAN
    psi: float = NAN
    ks: float = NAN
    js: float = NAN
    wasserstein: float = NAN
    chi2: float = NAN
    out_of_range_share: float = NAN
    unseen_share: float = NAN
    score_shift: float = NAN
    variance_shift: float = NAN
    net_shift: float = NAN
    shift_share: float = NAN
    bins: tuple[str, ...] = ()
    counts: tuple[int, ...] = ()
    reference_shares: tuple[float, ...] = ()
    shift_limit: float = NAN
    psi_limit: float = NAN
    missing_limit: float = NAN
    usual_shift: float = NAN
    ewma_shift: float = NAN
    ewma_limit: float = NAN
    unseen_season: str = ""
    raised: Severity = "unknown"
    verdict: Severity = "unknown"
    reason: str = ""
    acknowledged: str = ""

    def as_values(self) -> dict[str, Any]:
        """The fields, for JSON; what is not defined is None."""
        return none_for_nan({each.name: getattr(self, each.name) for each in fields(self)})


def none_for_nan(values: Mapping[str, Any]) -> dict[str, Any]:
    """The same values, with None in place of NaN and of infinities.

    Examples
    --------
    >>> none_for_nan({"psi": NAN, "n": 3})
    {'psi': None, 'n': 3}
    """
    return {
        name: None if isinstance(value, float) and not isfinite(value) else value
        for name, value in values.items()
    }


def measure(
    reference: Reference,
    current: Current,
    effect: Effect,
    *,
    feature: str,
    kind: Kind,
    bins: Sequence[str],
    missing_share: float,
) -> Drift:
    """Every statistic of a feature; nothing is judged yet.

    Parameters
    ----------
    reference : Reference
    current : Current
    effect : Effect
    feature : str
    kind : {"numeric", "categorical", "prediction"}
    bins : sequence of str
        Labels of the reference's bins, then of the rows in none: ``missing``, or for a category
        ``unseen`` and ``missing``, which are none, as nulls are a level or ``unseen``.
    missing_share : float
        Of the current rows.
    """
    n, counts, shares = current.n, current.counts, reference.shares
    numeric, some = kind != "categorical", current.n_observed > 0
    score_shift, variance_shift = _shifts(reference, current, effect)
    return Drift(
        feature=feature,
        kind=kind,
        n=n,
        missing_share=missing_share if n else NAN,
        reference_missing_share=reference.missing_share,
        n_nonfinite=current.n_nonfinite,
        minimum=current.low if numeric and some else NAN,
        maximum=current.high if numeric and some else NAN,
        mean=current.mean,
        sd=float(np.sqrt(current.spread / current.n_observed)) if numeric and some else NAN,
        reference_mean=reference.mean,
        reference_sd=reference.sd,
        psi=distances.psi(shares, counts) if n else NAN,
        ks=distances.kolmogorov_smirnov(shares[:-1], counts[:-1]) if numeric else NAN,
        js=distances.jensen_shannon(shares, counts),
        wasserstein=_wasserstein(reference, current) if numeric else NAN,
        chi2=NAN if numeric else distances.chi_square(shares, counts),
        out_of_range_share=current.n_outside / n if numeric and n else NAN,
        unseen_share=float(current.shares[-1]) if n and not numeric else NAN,
        score_shift=score_shift,
        variance_shift=variance_shift,
        bins=tuple(bins),
        counts=(*counts.tolist(), *(() if numeric else (0,))),
        reference_shares=(*shares.tolist(), *(() if numeric else (0.0,))),
    )


def _shifts(reference: Reference, current: Current, effect: Effect) -> tuple[float, float]:
    """The feature's parts of the changes of the predictions' mean and variance."""
    if not current.n:
        return NAN, NAN
    moved = float(effect.coef @ (effect.location(current) - effect.means))
    spread = float(effect.coef @ effect.covariance(current)) - reference.variance
    return moved, spread


def _wasserstein(reference: Reference, current: Current) -> float:
    """In standard deviations of the reference."""
    if not reference.sd > 0:
        return NAN
    shares, counts = reference.shares[:-1], current.counts[:-1]
    return distances.wasserstein(shares, reference.places, counts, current.means) / reference.sd
