"""Whether the assumptions of a linear model hold, by the residuals of rows it was not fitted to.

Verdicts go by how much an assumption's failure matters, not by whether it can be proved: with many
rows every test rejects. Tests are given beside them, and keep small samples from being accused.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from lasso_jobs.core.moments import Floats
from lasso_jobs.core.residuals import (
    Held,
    binned,
    breusch_pagan,
    curve_share,
    design_effect,
    inflation,
    tail_share,
)

Verdict = Literal["ok", "watch", "alarm", "unknown"]

MIN_ROWS = 200
"""Of fewer held-out rows only pictures are made."""
SIGNIFICANT = 1e-3
CURVE_WATCH, CURVE_ALARM = 0.01, 0.05
"""Share of the residuals' variance that a curve would explain: what Cohen (1988, "Statistical Power
Analysis") calls a small and about a medium effect."""
SPREAD_WATCH, SPREAD_ALARM = 1.5, 3.0
"""Largest over smallest residual deviation. Beyond 3 the classical errors of the mean go wrong."""
VIF_WATCH, VIF_ALARM = 5.0, 10.0
"""By convention (Belsley, Kuh & Welsch 1980, "Regression diagnostics")."""
TAIL_WATCH, TAIL_ALARM = 0.25, 0.5
"""Share of the squared error in the hundredth of the rows with the largest residuals; 0.08 for
normal ones."""
DESIGN_WATCH, DESIGN_ALARM = 1.5, 3.0
"""Variance of the groups' mean residuals over what independent rows would give."""


@dataclass(frozen=True, slots=True)
class Check:
    """An assumption, and what became of it.

    Parameters
    ----------
    name : str
    verdict : {"ok", "watch", "alarm", "unknown"}
    finding : str
        In words.
    how : str
        How it was computed.
    remedy : str
        What to do about it; empty if it is ok.
    statistics : mapping of str to float
    """

    name: str
    verdict: Verdict
    finding: str
    how: str
    remedy: str = ""
    statistics: Mapping[str, float] = field(default_factory=dict)


def linearity(held: Held) -> Check:
    """Whether residuals still follow a curve in a feature, or in the prediction."""
    how = (
        "Residuals of the held-out rows, averaged in ten bins of each feature and of the "
        "prediction: omega squared is the share of their variance that these averages explain."
    )
    axes = {"the prediction": held.predicted, **dict(zip(held.features, held.values, strict=True))}
    found = {name: curve_share(binned(x, held.residuals)) for name, x in axes.items()}
    shares = {name: share for name, (share, p) in found.items() if p < SIGNIFICANT}
    worst = max(shares, key=lambda name: shares[name], default=None)
    top = 0.0 if worst is None else shares[worst]
    finding = (
        "No curve in a feature or in the prediction explains any of the residuals."
        if worst is None
        else f"A curve in {worst} would explain {top:.1%} of the residuals' variance."
    )
    remedy = f"Add a transformation of {worst} (a logarithm, a power, bins), or an interaction."
    return _judged(
        "linearity", top, CURVE_WATCH, CURVE_ALARM, finding, how, remedy,
        {name: share for name, (share, _) in found.items()},
    )  # fmt: skip


def homoscedasticity(held: Held) -> Check:
    """Whether the residuals are as wide everywhere."""
    how = (
        "Deviation of the held-out rows' residuals in ten bins of the prediction, the largest over "
        "the smallest; beside it Breusch and Pagan's test in Koenker's version."
    )
    bins = binned(held.predicted, held.residuals)
    statistic, p_value = breusch_pagan(held.residuals, held.predicted)
    low, high = float(bins.deviation.min()), float(bins.deviation.max())
    ratio = high / low if low > 0 else float(high > 0) * SPREAD_ALARM or 1.0
    finding = (
        f"Residuals are {ratio:.2f} times as wide where they are widest (prediction about "
        f"{bins.x[bins.deviation.argmax()]:.4g}) as where they are narrowest."
    )
    remedy = (
        "Predict a logarithm or a root of the target, weight the rows, or give groups intervals of "
        "their own (intervals.by)."
    )
    statistics = {"ratio": ratio, "breusch_pagan": statistic, "p_value": p_value}
    return _judged(
        "homoscedasticity", ratio, SPREAD_WATCH, SPREAD_ALARM, finding, how, remedy, statistics
    )


def outliers(held: Held) -> Check:
    """Whether few rows make most of the error, or lie far from what training saw."""
    how = (
        "Share of the held-out rows' squared error in the hundredth with the largest residuals "
        "(0.08 if they were normal); leverage over its mean in training."
    )
    share = tail_share(held.residuals)
    spread = float(held.residuals.std())
    largest = float(np.abs(held.residuals).max()) / spread if spread > 0 else 0.0
    far = float((held.leverage > 10 * held.mean_leverage).mean())
    finding = (
        f"The hundredth of the rows with the largest residuals has {share:.0%} of the squared "
        f"error; the largest is {largest:.1f} deviations. {far:.1%} of the rows have more than ten "
        "times the mean leverage."
    )
    remedy = (
        "Look at those rows: mend or leave out what is wrong, scale robustly, or clip long tails."
    )
    statistics = {"tail_share": share, "largest": largest, "high_leverage_share": far}
    return _judged(
        "outliers and leverage", share, TAIL_WATCH, TAIL_ALARM, finding, how, remedy, statistics
    )


def multicollinearity(labels: Sequence[str], gram: Floats) -> Check:
    """Whether the selected columns say the same.

    Parameters
    ----------
    labels : sequence of str
    gram : ndarray, shape (k, k)
        Correlations of the selected columns.
    """
    how = "Variance inflation factors of the selected columns among themselves, in training."
    if len(labels) < 2:
        return Check("multicollinearity", "ok", "Fewer than two columns are selected.", how)
    factors = inflation(gram)
    worst = int(factors.argmax())
    top = float(factors[worst])
    if np.isinf(top):
        finding = "The selected columns are linearly dependent: some say exactly the same."
    else:
        finding = f"The largest factor is {top:.2f}, of {labels[worst]}."
    remedy = (
        "Read the coefficients of such columns together, not one by one; drop one of each pair "
        "(features.exclude), or use drop_first or an l1_ratio below 1."
    )
    known = {} if np.isinf(top) else dict(zip(labels, factors.tolist(), strict=True))
    return _judged("multicollinearity", top, VIF_WATCH, VIF_ALARM, finding, how, remedy, known)


def independence(kind: str | None, bias: Floats, weight: Floats, mse: float) -> Check:
    """Whether rows of one group or time err alike.

    Parameters
    ----------
    kind : str or None
        What the buckets keep together; None if rows are in buckets at random.
    bias, weight : ndarray, shape (n_buckets,)
        Mean residual and weight of the training rows in each bucket.
    mse : float
        Of the training rows.
    """
    how = (
        "Mean residuals of the buckets of training rows: their variance over what as many "
        "independent rows would give (the design effect)."
    )
    used = weight > 0
    if kind is None or used.sum() < 5:
        why = (
            "Not checked: rows are in buckets at random, which would hide it."
            if kind is None
            else "Not checked: fewer than five buckets have rows."
        )
        remedy = "Name search.split.group or time if rows of a group or a time belong together."
        return Check("independence", "unknown", why, how, remedy)
    effect = design_effect(bias[used], weight[used], mse)
    finding = f"Mean residuals by {kind} vary {effect:.3g} times as much as of independent rows."
    remedy = (
        "Standard errors and AIC are too small by about the root of that: rely on folds and "
        "intervals by group or time, and add features that say what such rows share."
    )
    return _judged(
        "independence", effect, DESIGN_WATCH, DESIGN_ALARM, finding, how, remedy,
        {"design_effect": effect},
    )  # fmt: skip


def too_few(name: str, n: int) -> Check:
    """A check that the held-out rows are too few for, or that there are none for."""
    found = "no row is held out" if n == 0 else f"only {n} held-out rows"
    remedy = f"Hold out at least {MIN_ROWS} rows."
    return Check(name, "unknown", f"Not checked: {found}.", "On held-out rows.", remedy)


def _judged(
    name: str,
    value: float,
    watch: float,
    alarm: float,
    finding: str,
    how: str,
    remedy: str,
    statistics: Mapping[str, float],
) -> Check:
    verdict: Verdict = "alarm" if value >= alarm else "watch" if value >= watch else "ok"
    return Check(name, verdict, finding, how, "" if verdict == "ok" else remedy, statistics)
