"""Checks that the errors of rows are independent: within cohorts, and from period to period."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np

from lasso_jobs.core.inference.checks import SIGNIFICANT, Check, CheckVerdict, Limits
from lasso_jobs.core.inference.period_means import PeriodResiduals, autocorrelation, durbin_watson
from lasso_jobs.core.inference.residuals import design_effect
from lasso_jobs.core.inference.serial import MOST_LAGS, Correlogram
from lasso_jobs.core.rows.moments import Floats
from lasso_jobs.core.rows.periods import LEAST_PERIODS

DESIGN = Limits(1.5, 3.0)
"""Variance of the cohorts' mean residuals over what independent rows would give."""
WATSON = Limits(0.5, 1.0)
"""Distance of Durbin-Watson from 2; half of it is about the autocorrelation. By convention below 1
or above 3 is a cause for concern (Field 2009, "Discovering statistics using SPSS")."""
MIN_COHORTS = 5

SERIAL = Limits(0.2, 0.5)
"""Autocorrelation r of rows. If it falls geometrically, the variance of a mean is (1 + r) / (1 - r)
times that of independent rows: 1.5 and 3, as in `DESIGN`."""

NO_COHORTS = (
    "This needs rows that follow one another in a file, unless that is sorted by the "
    "target; or rows without weights, and a time, group or period column with at least five values "
    "(ten in their order for Durbin-Watson)."
)
NAME_A_TIME = (
    "Set search.split.time or search.split.group if rows of one time or group may err alike, or "
    "name a column of days as period."
)
DEPENDENT = (
    "Standard errors and AIC are too small, by about the root of the design effect: rely on folds "
    "and intervals by group or time. Add features that say what rows of a group share. For "
    "neighbouring rows or periods these are a lagged mean, the season or a trend."
)


@dataclass(frozen=True, slots=True)
class CohortResiduals:
    """Mean residuals of cohorts: sets of rows, such as those of a day, that may err alike.

    Parameters
    ----------
    name : str
        The column whose values are the cohorts.
    bias, weight : ndarray, shape (n_cohorts,)
        Mean residual, and rows.
    mse : float
        Of all rows.
    """

    name: str
    bias: Floats
    weight: Floats
    mse: float


def independence(
    cohorts: Sequence[CohortResiduals],
    periods: PeriodResiduals | None,
    orders: Sequence[Correlogram] = (),
) -> Check:
    """Check that rows of one cohort do not err alike, nor neighbouring periods, nor neighbours.

    Parameters
    ----------
    cohorts : sequence of CohortResiduals
        One for each column whose values are cohorts.
    periods : PeriodResiduals or None
    orders : sequence of Correlogram
        Of residuals of a sample of the training rows, in each order that they have.
    """
    how = (
        "Mean residuals of training rows that share a time, group or period, by the final fit: "
        "their variance over what as many independent rows would give (the design effect). Of "
        "periods in their order, Durbin-Watson of the means, each times the root of its rows."
    )
    if orders:
        how += (
            " Of a sample of the training rows in their order, autocorrelations of the residuals "
            "of the final fit and of their signs, by the pairs of rows at each distance up to "
            f"{MOST_LAGS}, with Bonferroni's correction."
        )
    judged = [_design_effect(each) for each in cohorts if (each.weight > 0).sum() >= MIN_COHORTS]
    if periods is not None and periods.ordered and len(periods.keys) >= LEAST_PERIODS:
        judged.append(_serial_correlation(periods))
    orders = [each for each in orders if len(each.lags)]
    n_lags = sum(len(each.lags) for each in orders)
    judged += [_of_rows(each, n_lags) for each in orders]
    name = "independence"
    if not judged:
        return Check(
            name=name, verdict="not checked", finding=NO_COHORTS, how=how, remedy=NAME_A_TIME
        )
    statistics: dict[str, int | float] = {}
    for _, _, values in judged:
        statistics |= values
    return Check.judged(
        name,
        max((verdict for verdict, _, _ in judged), key=get_args(CheckVerdict).index),
        finding=" ".join(sentence for _, sentence, _ in judged),
        how=how,
        remedy=DEPENDENT,
        statistics=statistics,
    )


def _design_effect(cohorts: CohortResiduals) -> tuple[CheckVerdict, str, dict[str, int | float]]:
    from scipy.special import chdtrc

    used = cohorts.weight > 0
    effect, free = (
        design_effect(cohorts.bias[used], cohorts.weight[used], cohorts.mse),
        used.sum() - 1,
    )
    # Of independent rows, free times the effect has about a chi-squared distribution.
    certain = chdtrc(free, free * effect) < SIGNIFICANT
    finding = (
        f"Mean residuals by {cohorts.name} vary {effect:.3g} times as much as those of independent "
        "rows would."
    )
    verdict = DESIGN.verdict(effect) if certain else "fine"
    return verdict, finding, {f"design_effect by {cohorts.name}": effect}


def _serial_correlation(
    periods: PeriodResiduals,
) -> tuple[CheckVerdict, str, dict[str, int | float]]:
    from scipy.special import ndtr

    n, watson = len(periods.keys), durbin_watson(periods.scaled)
    first = float(autocorrelation(periods.scaled, 1)[0])
    # Of independent periods it is about normal, with mean 2 and variance 4 / n.
    certain = 2 * ndtr(-abs(watson - 2) * np.sqrt(n) / 2) < SIGNIFICANT
    verdict = WATSON.verdict(abs(watson - 2)) if certain else "fine"
    finding = (
        f"Durbin-Watson of the {n:,} periods by {periods.name} is {watson:.2f} (2 if neighbours "
        f"are independent); their autocorrelation at lag 1 is {first:.2f}."
    )
    return (
        verdict,
        finding,
        {"durbin_watson": watson, "autocorrelation": first, "periods": n},
    )


def _of_rows(found: Correlogram, n_lags: int) -> tuple[CheckVerdict, str, dict[str, int | float]]:
    """Judge the autocorrelations of rows; ``n_lags`` are looked at in all orders together."""
    certain = found.p_value * n_lags < SIGNIFICANT
    worst = int(np.argmax(np.where(certain, np.abs(found.r), 0.0)))
    lag, r, pairs = int(found.lags[worst]), float(found.r[worst]), int(found.pairs[worst])
    chance = "" if certain.any() else "; none of the first lags is more than chance"
    finding = (
        f"By {found.name}, residuals of rows that are {lag} apart correlate by {r:.2f} "
        f"({pairs:,} pairs){chance}."
    )
    verdict = SERIAL.verdict(abs(r)) if certain.any() else "fine"
    return verdict, finding, {f"autocorrelation by {found.name}": r, f"lag by {found.name}": lag}
