"""Finds half the widths of prediction intervals from absolute residuals: split conformal.

The width is a quantile of the absolute residuals of rows that the model has not seen (Lei, G'Sell,
Rinaldo, Tibshirani & Wasserman 2018, "Distribution-free predictive inference for regression"): of n
rows that count alike, the ``ceil((n + 1) coverage)``-th smallest. Where n is so small that there is
none, no finite width has the coverage.

Rows of one cohort, such as a day, may err alike, and a new row is of a new cohort: K cohorts of
rows that err wholly alike say as much as K rows do, and those whose rows have nothing in common as
much as all of their rows. The shares of the cohorts' rows that are covered tell how much it is: the
design effect (Kish 1965, "Survey sampling"), by an upper bound of their variance, since a few
cohorts may be alike by chance. Tried and lost: to have the new cohort's residuals infinite (Lee,
Barber & Willett 2023, "Distribution-free inference with hierarchical data"), which is right even
for rows that err wholly alike, took the largest of all residuals with 9 to 18 cohorts, and covered
98.2 % with ten; to take no notice of cohorts covered 89.0 %.

A row of weight w stands for w rows of the population that predictions are for; so the coverage is
of rows by weight, and the quantile is the weighted one of Tibshirani, Barber, Candes & Ramdas
(2019), "Conformal prediction under covariate shift", lemma 3, which gives the new row its weight.
That is not known before the row is: it is taken as the mean weight of a row that is met in that
population, ``sum(w^2) / sum(w)``. Equal weights give the rule for n rows that count alike; others
that of ``sum(w)^2 / sum(w^2)`` such rows (Kish 1965).

Within groups each group has the coverage for itself (Vovk 2012, "Conditional validity of inductive
conformal predictors", there called Mondrian).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lasso_jobs.core.rows.moments import Floats

Mask = NDArray[np.bool_]
ROUNDING = 1e-12
"""Sums of weights that differ by less, as shares of their whole, are equal."""
BY_CHANCE = 0.1
"""Probability with which cohorts seem more alike than they are."""
LEAST_COHORTS = 6
"""Fewer count as a row each: three with a correlation of 0.5 in them would cover 89.3 %."""


@dataclass(frozen=True, slots=True)
class Width:
    """Half the width of an interval, and how many held-out rows it is from.

    Parameters
    ----------
    half : float or None
        In the target's unit; None where no finite width has the coverage.
    effective_size : float
        Rows of equal weight, with nothing in common, that say as much as those that are held out.
    """

    half: float | None
    effective_size: float

    @property
    def of_new(self) -> float:
        """By what to multiply a share of the held-out rows, so that it is one of new rows too.

        The new row is one of ``effective_size + 1``, and is taken as not covered: of n rows that
        count alike, the width covers k, and of new ones at least ``k / (n + 1)``.
        """
        return self.effective_size / (self.effective_size + 1)


def half_width(
    sizes: Floats, weights: Floats, cohorts: Floats | None = None, *, coverage: float
) -> Width:
    """Half the width of an interval for a new row.

    Parameters
    ----------
    sizes, weights : ndarray, shape (n,)
        Absolute residuals, and the weights of the rows, of which some are positive.
    cohorts : ndarray, shape (n,), optional
        The cohort of each row; without, each row is one.
    coverage : float
        In (0, 1).

    Examples
    --------
    >>> half_width(np.arange(1.0, 20.0), np.ones(19), coverage=0.9)
    Width(half=18.0, effective_size=19.0)

    Eight rows are too few; so are sixteen of eight days on which all rows err alike:

    >>> half_width(np.arange(8.0), np.ones(8), coverage=0.9).half is None
    True
    >>> alike = np.arange(16) // 2
    >>> half_width(alike.astype(float), np.ones(16), alike, coverage=0.9).half is None
    True
    """
    order = np.argsort(sizes, kind="stable")
    reached, total = np.cumsum(weights[order]), float(weights.sum())

    def place(n: float) -> int:
        wanted = coverage * total * (1 + 1 / n) * (1 - ROUNDING)
        return int(np.searchsorted(reached, wanted))

    n = total**2 / float(weights @ weights)
    if cohorts is not None:
        widest = sizes[order[min(place(n), len(sizes) - 1)]]
        n = min(n, _effective_size(sizes <= widest, weights, cohorts, coverage))
    last = place(n)
    return Width(None if last == len(sizes) else float(sizes[order[last]]), n)


def _effective_size(covered: Mask, weights: Floats, cohorts: Floats, coverage: float) -> float:
    """How many rows say as much as those of cohorts do, by the shares of them that are covered.

    The variance of the share of all rows, times the residual degrees of freedom over a low quantile
    of chi squared, is an upper bound of it for shares that are normal.
    """
    from scipy.special import chdtri

    _, place = np.unique(cohorts, return_inverse=True)
    size = np.bincount(place, weights)
    total, k = float(size.sum()), len(size)
    least = total**2 / float(size @ size)
    if k < LEAST_COHORTS:
        return least
    share = float(weights @ covered) / total
    away = np.bincount(place, weights * covered) - share * size
    bound = float(away @ away) / total**2 * k / float(chdtri(k - 1, 1 - BY_CHANCE))
    return max(coverage * (1 - coverage) / bound, least) if bound > 0 else least


def least_rows(coverage: float) -> int:
    """How many rows of equal weight a finite width needs.

    Examples
    --------
    >>> least_rows(0.9), least_rows(0.95)
    (9, 19)
    """
    return int(np.ceil(coverage / (1 - coverage) * (1 - ROUNDING)))


@dataclass(frozen=True, slots=True)
class Covered:
    """Which held-out rows their intervals cover, and with which probability new ones like them.

    Parameters
    ----------
    held : ndarray of bool, shape (n,)
    of_new : ndarray, shape (n,)
        As `Width.of_new` of the row's interval if it is covered, else 0.
    """

    held: Mask
    of_new: Floats


@dataclass(frozen=True, slots=True)
class Widths:
    """The widths of a model, of all rows and of groups.

    Parameters
    ----------
    overall : Width
        Of all rows.
    groups : mapping of str to float
        Half the width of each group that has one of its own. A group with too few cohorts has that
        of all rows; where these have none, nobody has one.
    covered : Covered or None
        None where there are no intervals.
    """

    overall: Width
    groups: Mapping[str, float]
    covered: Covered | None

    @classmethod
    def of(
        cls,
        sizes: Floats,
        weights: Floats,
        cohorts: Floats | None,
        *,
        groups: Mapping[str, Mask],
        coverage: float,
    ) -> "Widths":
        """Find the widths.

        Parameters
        ----------
        sizes, weights, cohorts, coverage
            As in `half_width`.
        groups : mapping of str to ndarray of bool
            The rows of each group that may have a width of its own.
        """

        def width(own: Mask) -> Width:
            some = None if cohorts is None else cohorts[own]
            return half_width(sizes[own], weights[own], some, coverage=coverage)

        overall = width(np.ones(len(sizes), bool))
        if overall.half is None:
            return cls(overall, {}, None)
        held = sizes <= overall.half
        of_new, widths = np.where(held, overall.of_new, 0.0), {}
        for name, own in groups.items():
            its = width(own)
            if its.half is not None:
                widths[name] = its.half
                held[own] = sizes[own] <= its.half
                of_new[own] = np.where(held[own], its.of_new, 0.0)
        return cls(overall, widths, Covered(held, of_new))
