"""Checks the assumptions of a linear model, from residuals of rows that it was not fitted to.

A verdict goes by how much the failure of an assumption matters, not by whether it can be proved:
with many rows every test rejects. A test's p-value only keeps a small sample from being accused.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np

from lasso_jobs.core.inference.residuals import (
    N_BINS,
    HeldOutPredictions,
    binned,
    breusch_pagan,
    curve_share,
    tail_share,
    without_line,
)
from lasso_jobs.core.rows.moments import Floats

CheckVerdict = Literal["ok", "watch", "alarm", "unknown"]


class Limits(NamedTuple):
    """The values of a statistic from which on the verdict is watch, and alarm."""

    watch: float
    alarm: float

    def verdict(self, value: float) -> CheckVerdict:
        """Judge a value.

        Examples
        --------
        >>> Limits(watch=5.0, alarm=10.0).verdict(7.2)
        'watch'
        """
        return "alarm" if value >= self.alarm else "watch" if value >= self.watch else "ok"


MIN_ROWS = 200
"""With fewer held-out rows the report has pictures only."""
SIGNIFICANT = 1e-3
CURVE = Limits(0.01, 0.05)
"""Share of the residuals' variance that a curve would explain: what Cohen (1988, "Statistical Power
Analysis") calls a small and about a medium effect."""
SPREAD = Limits(1.5, 3.0)
"""Largest over smallest residual deviation. Beyond 3 the classical errors of the mean go wrong."""
VIF = Limits(5.0, 10.0)
"""By convention (Belsley, Kuh & Welsch 1980, "Regression diagnostics")."""
TAIL = Limits(0.25, 0.5)
"""Share of the squared error in the hundredth of the rows with the largest residuals; 0.08 for
normal ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """An assumption of the linear model, and whether it holds.

    Parameters
    ----------
    name : str
    verdict : {"ok", "watch", "alarm", "unknown"}
    finding : str
        A sentence for people.
    how : str
        How it was computed.
    remedy : str
        What to do about it; empty if the verdict is ok.
    statistics : mapping of str to int or float
        Counts are integers.
    """

    name: str
    verdict: CheckVerdict
    finding: str
    how: str
    remedy: str = ""
    statistics: Mapping[str, int | float] = field(default_factory=dict)

    @classmethod
    def judged(
        cls,
        name: str,
        verdict: CheckVerdict,
        *,
        finding: str,
        how: str,
        remedy: str,
        statistics: Mapping[str, int | float],
    ) -> "Check":
        """A check with its remedy, if there is something to mend."""
        return cls(
            name=name,
            verdict=verdict,
            finding=finding,
            how=how,
            remedy="" if verdict == "ok" else remedy,
            statistics=statistics,
        )


def as_values(checks: Sequence[Check]) -> dict[str, dict[str, Any]]:
    """The checks by name, as ``train --json`` prints them."""
    named = [asdict(check) for check in checks]
    return {values.pop("name"): values for values in named}


def linearity(held: HeldOutPredictions) -> Check:
    """Check that residuals follow no curve in a feature, nor in the prediction."""
    axes = {"the prediction": held.predicted, **dict(zip(held.features, held.values, strict=True))}
    left = {name: (x, without_line(x, held.residuals)) for name, x in axes.items()}
    curves = {name: curve_share(binned(x, rest)) for name, (x, rest) in left.items()}
    shares = {name: share for name, (share, p) in curves.items() if p < SIGNIFICANT}
    worst = max(shares, key=lambda name: shares[name], default=None)
    top = 0.0 if worst is None else shares[worst]
    return Check.judged(
        "linearity",
        CURVE.verdict(top),
        finding="No curve in a feature or in the prediction explains any of the residuals."
        if worst is None
        else f"A curve in {worst} would explain {top:.1%} of the residuals' variance.",
        how=(
            "Residuals of the held-out rows, less their line in each feature and in the prediction "
            "(the penalty leaves one), averaged in ten bins of it: omega squared is the share of "
            "the variance that these averages explain."
        ),
        remedy=f"Add a transformation of {worst} (a logarithm, a power, bins), or an interaction.",
        statistics={name: share for name, (share, _) in curves.items()},
    )


def homoscedasticity(held: HeldOutPredictions) -> Check:
    """Check that the residuals are as wide everywhere."""
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
        + ("." if certain or ratio < SPREAD.watch else ", which may be chance.")
    )
    if np.isinf(ratio):
        finding = f"Residuals do not vary at predictions about {x[deviation.argmin()]:.4g}."
    statistic, p_value = breusch_pagan(held.residuals, held.predicted)
    statistics = {"ratio": ratio} if np.isfinite(ratio) else {}
    return Check.judged(
        "homoscedasticity",
        SPREAD.verdict(ratio) if certain else "ok",
        finding=finding,
        how=(
            "Standard deviation of the held-out rows' residuals in ten bins of the prediction, the "
            "largest over the smallest, if an analysis of variance of their sizes finds that the "
            "bins differ. Beside it is Breusch and Pagan's test in Koenker's version."
        ),
        remedy=(
            "Predict a logarithm or a root of the target, weight the rows, or give groups "
            "intervals of their own (intervals.by)."
        ),
        statistics=statistics | {"breusch_pagan": statistic, "p_value": p_value},
    )


def outliers(held: HeldOutPredictions) -> Check:
    """Check that no few rows make most of the error; count those far from what training saw."""
    share = tail_share(held.residuals)
    spread = float(held.residuals.std())
    largest = float(np.abs(held.residuals).max()) / spread if spread > 0 else 0.0
    far = float((held.leverage > 10 * held.mean_leverage).mean())
    return Check.judged(
        "outliers and leverage",
        TAIL.verdict(share),
        finding=(
            f"The hundredth of the rows with the largest residuals has {share:.0%} of the squared "
            f"error; the largest is {largest:.1f} deviations. {far:.1%} of the rows have more than "
            "ten times the mean leverage."
        ),
        how=(
            "Share of the held-out rows' squared error in the hundredth with the largest residuals "
            "(0.08 if they were normal). Leverage of the held-out rows over its mean in training."
        ),
        remedy=(
            "Look at those rows: mend or leave out what is wrong, scale robustly, or clip long "
            "tails."
        ),
        statistics={"tail_share": share, "largest": largest, "high_leverage_share": far},
    )


def multicollinearity(labels: Sequence[str], factors: Floats) -> Check:
    """Check that the selected columns do not determine one another.

    Parameters
    ----------
    labels : sequence of str
    factors : ndarray, shape (k,)
        Variance inflation factors of the selected columns among themselves.

    Examples
    --------
    >>> check = multicollinearity(["height", "weight"], np.array([7.2, 6.8]))
    >>> check.verdict, check.finding
    ('watch', 'The largest factor is 7.20, of height.')
    """
    how = "Variance inflation factors of the selected columns among themselves, in training."
    name = "multicollinearity"
    if len(labels) < 2:
        return Check(
            name=name, verdict="ok", finding="Fewer than two columns are selected.", how=how
        )
    worst = int(factors.argmax())
    top = float(factors[worst])
    dependent = bool(np.isinf(top))
    return Check.judged(
        name,
        VIF.verdict(top),
        finding="The selected columns are linearly dependent: some are combinations of others."
        if dependent
        else f"The largest factor is {top:.2f}, of {labels[worst]}.",
        how=how,
        remedy=(
            "Read the coefficients of such columns together, not one by one; drop one of each pair "
            "(features.exclude), or use drop_first or an l1_ratio below 1."
        ),
        statistics={} if dependent else dict(zip(labels, factors.tolist(), strict=True)),
    )


def too_few(name: str, n: int) -> Check:
    """A check that was not made because of too few held-out rows, or none."""
    return Check(
        name=name,
        verdict="unknown",
        finding=f"Not checked: {'no row is held out' if n == 0 else f'only {n} held-out rows'}.",
        how="On held-out rows.",
        remedy=f"Hold out at least {MIN_ROWS} rows.",
    )
