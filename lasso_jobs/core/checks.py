"""Whether the assumptions of a linear model hold, by the residuals of rows it was not fitted to.

Verdicts go by how much an assumption's failure matters, not by whether it can be proved: with many
rows every test rejects. Tests are given beside them, and keep small samples from being accused.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from lasso_jobs.core.moments import Floats
from lasso_jobs.core.period_means import Series, autocorrelation, durbin_watson
from lasso_jobs.core.periods import LEAST_PERIODS
from lasso_jobs.core.residuals import (
    N_BINS,
    Held,
    binned,
    breusch_pagan,
    curve_share,
    design_effect,
    tail_share,
    without_line,
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
WATSON_WATCH, WATSON_ALARM = 0.5, 1.0
"""Distance of Durbin-Watson from 2; half of it is about the autocorrelation. By convention below 1
or above 3 is a cause for concern (Field 2009, "Discovering statistics using SPSS")."""
MIN_GROUPS = 5

NOT_KNOWN_APART = (
    "Not checked: rows have weights, are in buckets at random, or in fewer than five groups; and "
    "no column of periods is known, or it has fewer than ten or more than are kept."
)
NAME_A_TIME = (
    "Name search.split.group or time if rows of a group or a time belong together, or a column of "
    "days as period."
)
DEPENDENT = (
    "Standard errors and AIC are too small by about the root of the design effect: rely on folds "
    "and intervals by group or time. Add features that say what such rows share; for neighbouring "
    "periods, what is known of the days before (a lagged mean), the season or a trend."
)


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
        "Residuals of the held-out rows, less their line in each feature and in the prediction "
        "(the penalty leaves one), averaged in ten bins of it: omega squared is the share of the "
        "variance that these averages explain."
    )
    axes = {"the prediction": held.predicted, **dict(zip(held.features, held.values, strict=True))}
    left = {name: (x, without_line(x, held.residuals)) for name, x in axes.items()}
    found = {name: curve_share(binned(x, rest)) for name, (x, rest) in left.items()}
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
        "the smallest, if an analysis of variance of their sizes finds the bins to differ; beside "
        "it Breusch and Pagan's test in Koenker's version."
    )
    bins = binned(held.predicted, held.residuals)
    # The deviation of a few rows may be anything.
    enough = bins.n >= MIN_ROWS // N_BINS
    deviation, x = bins.deviation[enough], bins.x[enough]
    low, high = float(deviation.min()), float(deviation.max())
    ratio = 1.0 if high == 0 else high / low if low > 0 else np.inf
    sizes = np.abs(without_line(held.predicted, held.residuals))
    certain = curve_share(binned(held.predicted, sizes))[1] < SIGNIFICANT
    finding = (
        f"Residuals are {ratio:.2f} times as wide where they are widest (prediction about "
        f"{x[deviation.argmax()]:.4g}) as where they are narrowest"
        + ("." if certain or ratio < SPREAD_WATCH else ", which may be chance.")
    )
    if np.isinf(ratio):
        finding = f"Residuals do not vary at predictions about {x[deviation.argmin()]:.4g}."
    remedy = (
        "Predict a logarithm or a root of the target, weight the rows, or give groups intervals of "
        "their own (intervals.by)."
    )
    statistic, p_value = breusch_pagan(held.residuals, held.predicted)
    statistics = {"ratio": ratio} if np.isfinite(ratio) else {}
    statistics |= {"breusch_pagan": statistic, "p_value": p_value}
    judged = ratio if certain else 1.0
    return _judged(
        "homoscedasticity", judged, SPREAD_WATCH, SPREAD_ALARM, finding, how, remedy, statistics
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


def multicollinearity(labels: Sequence[str], factors: Floats) -> Check:
    """Whether the selected columns say the same.

    Parameters
    ----------
    labels : sequence of str
    factors : ndarray, shape (k,)
        Variance inflation factors of the selected columns among themselves.
    """
    how = "Variance inflation factors of the selected columns among themselves, in training."
    if len(labels) < 2:
        return Check("multicollinearity", "ok", "Fewer than two columns are selected.", how)
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


@dataclass(frozen=True, slots=True)
class Groups:
    """Groups of rows, such as days, that may err alike.

    Parameters
    ----------
    name : str
        What they have in common.
    bias, weight : ndarray, shape (n_groups,)
        Mean residual, and rows.
    mse : float
        Of all rows.
    """

    name: str
    bias: Floats
    weight: Floats
    mse: float


def independence(groups: Sequence[Groups], series: Series | None) -> Check:
    """Whether rows of one group err alike, and whether neighbouring periods do.

    Parameters
    ----------
    groups : sequence of Groups
        Whatever says what rows may share.
    series : Series or None
        Mean residuals of periods.
    """
    how = (
        "Mean residuals of groups of training rows, by the final fit: their variance over what as "
        "many independent rows would give (the design effect). Of periods in their order, "
        "Durbin-Watson of the means, each times the root of its rows. The order of rows within a "
        "period is not known."
    )
    found = [_alike(each) for each in groups if (each.weight > 0).sum() >= MIN_GROUPS]
    if series is not None and series.ordered and len(series.keys) >= LEAST_PERIODS:
        found.append(_in_a_row(series))
    if not found:
        return Check("independence", "unknown", NOT_KNOWN_APART, how, NAME_A_TIME)
    verdict = max((each[0] for each in found), key=("ok", "watch", "alarm").index)
    finding = " ".join(each[1] for each in found)
    statistics: dict[str, float] = {}
    for each in found:
        statistics |= each[2]
    remedy = "" if verdict == "ok" else DEPENDENT
    return Check("independence", verdict, finding, how, remedy, statistics)


def _alike(groups: Groups) -> tuple[Verdict, str, dict[str, float]]:
    from scipy.special import chdtrc

    used = groups.weight > 0
    effect, free = design_effect(groups.bias[used], groups.weight[used], groups.mse), used.sum() - 1
    # Of independent rows, free times the effect has about a chi-squared distribution.
    certain = chdtrc(free, free * effect) < SIGNIFICANT
    finding = (
        f"Mean residuals by {groups.name} vary {effect:.3g} times as much as of independent rows."
    )
    verdict = _level(effect, DESIGN_WATCH, DESIGN_ALARM) if certain else "ok"
    return verdict, finding, {f"design_effect by {groups.name}": effect}


def _in_a_row(series: Series) -> tuple[Verdict, str, dict[str, float]]:
    from scipy.special import ndtr

    n, watson = len(series.keys), durbin_watson(series.scaled)
    first = float(autocorrelation(series.scaled, 1)[0])
    # Of independent periods it is about normal, with mean 2 and variance 4 / n.
    certain = 2 * ndtr(-abs(watson - 2) * np.sqrt(n) / 2) < SIGNIFICANT
    verdict = _level(abs(watson - 2), WATSON_WATCH, WATSON_ALARM) if certain else "ok"
    finding = (
        f"Durbin-Watson of the {n:,} periods by {series.name} is {watson:.2f} (2 if neighbours "
        f"have nothing in common; their autocorrelation is {first:.2f})."
    )
    return verdict, finding, {"durbin_watson": watson, "autocorrelation": first, "periods": n}


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
    verdict = _level(value, watch, alarm)
    return Check(name, verdict, finding, how, "" if verdict == "ok" else remedy, statistics)


def _level(value: float, watch: float, alarm: float) -> Verdict:
    return "alarm" if value >= alarm else "watch" if value >= watch else "ok"
