"""Gives intervals their widths, from residuals on held-out rows, and says what they cover."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lasso_jobs.core.inference.conformal import Width, half_width
from lasso_jobs.core.rows.moments import Floats
from lasso_jobs.models.model import INTERVAL_COVERAGE
from lasso_jobs.training.read.sampled_rows import SampledRows

Mask = NDArray[np.bool_]


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
class HeldOutWidths:
    """The widths of a model.

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
        cls, residuals: Floats, facts: SampledRows, in_cohorts: bool, groups: Mapping[str, Mask]
    ) -> "HeldOutWidths":
        """Find the widths.

        Parameters
        ----------
        residuals : ndarray, shape (n,)
        facts : SampledRows
        in_cohorts : bool
            Whether the rows come in cohorts; each row is one otherwise.
        groups : mapping of str to ndarray of bool
            The rows of each group that may have a width of its own.
        """
        sizes = np.abs(residuals)
        cohorts = facts.cohort if in_cohorts else None

        def width(own: Mask) -> Width:
            some = None if cohorts is None else cohorts[own]
            return half_width(sizes[own], facts.weight[own], some, coverage=INTERVAL_COVERAGE)

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
