"""Checks the assumptions of a linear model, from residuals of rows that it was not fitted to.

A verdict goes by how much the failure of an assumption matters, not by whether it can be proved:
with many rows every test rejects. A test's p-value only keeps a small sample from being accused.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np

from lasso_jobs.core.inference.residuals import HeldOutPredictions, tail_share
from lasso_jobs.core.rows.moments import Floats

CheckVerdict = Literal["fine", "needs a look", "violated", "not checked"]
"""The words of a check, everywhere. They are not those of drift: no check ends with an alarm."""


class Limits(NamedTuple):
    """The values of a statistic from which on an assumption needs a look, and is violated."""

    look: float
    violated: float

    def verdict(self, value: float) -> CheckVerdict:
        """Judge a value.

        Examples
        --------
        >>> Limits(look=5.0, violated=10.0).verdict(7.2)
        'needs a look'
        """
        if value >= self.violated:
            return "violated"
        return "needs a look" if value >= self.look else "fine"


MIN_ROWS = 50
"""With fewer rows the report has pictures only."""
SIGNIFICANT = 1e-3
"""Of all the tests of a check together: one in a thousand innocent trainings is accused."""
MOST_NAMED = 3
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
    verdict : {"fine", "needs a look", "violated", "not checked"}
    finding : str
        A sentence for people.
    how : str
        How it was computed.
    remedy : str
        What to do about it; empty if the verdict is fine.
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
            remedy="" if verdict == "fine" else remedy,
            statistics=statistics,
        )


def as_values(checks: Sequence[Check]) -> dict[str, dict[str, Any]]:
    """The checks by name, as ``train --json`` prints them."""
    named = [asdict(check) for check in checks]
    return {values.pop("name"): values for values in named}


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
            f"{held.rows}. Share of their squared error in the hundredth with the largest "
            "residuals (0.08 if they were normal). Their leverage over its mean in training."
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
        Variance inflation factors of the selected columns' features among themselves, as of
        `lasso_jobs.core.inference.collinearity.inflation`.

    Examples
    --------
    >>> check = multicollinearity(["height", "weight"], np.array([7.2, 6.8]))
    >>> check.verdict, check.finding
    ('needs a look', 'The largest factor is 7.20, of height.')
    """
    how = (
        "Variance inflation factors of the selected columns among themselves, in training. The "
        "levels of a category count as one (generalized factor, to the power 1 over its degrees of "
        "freedom), without one that the others determine."
    )
    name = "multicollinearity"
    if len(labels) < 2:
        return Check(
            name=name, verdict="fine", finding="Fewer than two columns are selected.", how=how
        )
    worst = int(factors.argmax())
    top = float(factors[worst])
    dependent = bool(np.isinf(top))
    return Check.judged(
        name,
        VIF.verdict(top),
        finding=f"Other selected columns determine {_names(labels, factors)}."
        if dependent
        else f"The largest factor is {top:.2f}, of {labels[worst]}.",
        how=how,
        remedy=(
            "Read the coefficients of such columns together, not one by one; drop one of each pair "
            "(features.exclude), or use drop_first or an l1_ratio below 1."
        ),
        statistics={} if dependent else dict(zip(labels, factors.tolist(), strict=True)),
    )


def _names(labels: Sequence[str], factors: Floats) -> str:
    """The columns that others determine."""
    names = [label for label, factor in zip(labels, factors, strict=True) if np.isinf(factor)]
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return f"{', '.join(names[:MOST_NAMED])}{more}"


def too_few(name: str, n: int) -> Check:
    """A check that was not made because of too few rows, or none."""
    rows = f"Only {n} rows have" if n else "No row has"
    return Check(
        name=name,
        verdict="not checked",
        finding=f"{rows} a prediction by a fit that did not see them.",
        how="On held-out rows, or on rows of the folds by the fits to the other folds.",
        remedy=f"Train on more rows: {MIN_ROWS} are needed.",
    )
