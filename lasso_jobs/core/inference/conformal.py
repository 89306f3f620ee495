"""Finds half the widths of prediction intervals from absolute residuals: split conformal.

The width is a quantile of the absolute residuals of rows that the model has not seen (Lei, G'Sell,
Rinaldo, Tibshirani & Wasserman 2018, "Distribution-free predictive inference for regression"): of n
rows that count alike, the ``ceil((n + 1) coverage)``-th smallest. Where n is so small that there is
none, no finite width has the coverage.

Rows of one cohort, such as a day, err alike. A new row is then of a new cohort, so that the cohorts
are what is exchangeable: all rows of the held-out cohorts share the quantile with one more cohort,
whose residual counts as infinite (Dunn, Wasserman & Ramdas 2023, "Distribution-free prediction sets
for two-layer hierarchical models"; Lee, Barber & Willett 2023, "Distribution-free inference with
hierarchical data"). A row without cohorts is a cohort of its own.

A row of weight w stands for w rows of the population that predictions are for; so the coverage is
of rows by weight, and the quantile is the weighted one of Tibshirani, Barber, Candes & Ramdas
(2019), "Conformal prediction under covariate shift", lemma 3, which gives the new cohort its
weight. That is not known before the cohort is: it is taken as the mean weight of a cohort that is
met in that population, ``sum(W^2) / sum(W)``. Equal weights give the rule for n rows that count
alike; others that of ``sum(W)^2 / sum(W^2)`` such rows (Kish 1965, "Survey sampling").

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


@dataclass(frozen=True, slots=True)
class Width:
    """Half the width of an interval, and how many held-out cohorts it is from.

    Parameters
    ----------
    half : float or None
        In the target's unit; None where no finite width has the coverage.
    n_effective : float
        Cohorts of equal weight that say as much as those that are held out.
    """

    half: float | None
    n_effective: float

    @property
    def of_new(self) -> float:
        """By what to multiply a share of the held-out rows, so that it is one of new rows too.

        The new cohort is one of ``n_effective + 1``, and is taken as not covered: of n rows that
        count alike, the width covers k, and of new ones at least ``k / (n + 1)``.
        """
        return self.n_effective / (self.n_effective + 1)


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
    Width(half=18.0, n_effective=19.0)

    Eight rows are too few; so are nineteen of eight days:

    >>> half_width(np.arange(8.0), np.ones(8), coverage=0.9).half is None
    True
    >>> half_width(np.arange(16.0), np.ones(16), np.arange(16) % 8, coverage=0.9).half is None
    True
    """
    every = np.arange(len(sizes)) if cohorts is None else cohorts
    by_cohort = np.bincount(np.unique(every, return_inverse=True)[1], weights)
    total = float(weights.sum())
    new = float(by_cohort @ by_cohort) / total
    order = np.argsort(sizes, kind="stable")
    reached = np.cumsum(weights[order])
    wanted = coverage * (total + new) * (1 - ROUNDING)
    place = int(np.searchsorted(reached, wanted))
    half = None if place == len(sizes) else float(sizes[order[place]])
    return Width(half, total / new)


def least_cohorts(coverage: float) -> int:
    """How many cohorts of equal weight a finite width needs.

    Examples
    --------
    >>> least_cohorts(0.9), least_cohorts(0.95)
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
