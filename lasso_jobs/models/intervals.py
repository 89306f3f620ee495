"""Gives rows the widths of their prediction intervals, and says what these cover or why none."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from lasso_jobs.core.inference.conformal import least_rows
from lasso_jobs.core.rows.moments import Floats
from lasso_jobs.data import arrays
from lasso_jobs.models.model import INTERVAL_COVERAGE, Holdout


@dataclass(frozen=True, slots=True)
class Interval:
    """Half the widths of the intervals of a model.

    Parameters
    ----------
    overall : float
        For rows of no group that had enough rows.
    column : str or None
        The column of groups, in the source.
    widths : mapping of str to float
    """

    overall: float
    column: str | None
    widths: Mapping[str, float]

    @classmethod
    def of(cls, holdout: Holdout | None, sources: Mapping[str, str]) -> "Interval | None":
        """The widths of a model; None if it has none, as `why_none` says."""
        if holdout is None or holdout.interval is None:
            return None
        column = None if holdout.by is None else sources.get(holdout.by, holdout.by)
        return cls(holdout.interval, column, holdout.intervals)

    def half_widths(self, table: pa.Table) -> Floats:
        """Half the width of each row's interval, shape (n,)."""
        if self.column is None:
            return np.full(table.num_rows, self.overall)
        column, rest = table[self.column], self.overall
        return arrays.level_values(column, self.widths, rest=rest, null=rest)


def why_none(holdout: Holdout | None) -> str | None:
    """Why a model has no intervals; None if it has some.

    Examples
    --------
    >>> why_none(None)
    'no intervals: no rows were held out'
    """
    if holdout is None:
        return "no intervals: no rows were held out"
    if holdout.interval is not None:
        return None
    n, what = holdout.n_sampled, "rows"
    if holdout.cohort is not None and holdout.expected is not None:
        n, what = holdout.expected.error.n_cohorts, f"values of {holdout.cohort!r}"
    count = ""
    if holdout.effective_size is not None and holdout.effective_size < n - 0.05:
        count = f", which count as {holdout.effective_size:.3g} equal and independent rows"
    least = least_rows(INTERVAL_COVERAGE)
    return (
        f"no intervals: {n:,} held-out {what}{count}, and a width that covers "
        f"{INTERVAL_COVERAGE:.0%} of new rows needs {least}; hold out more"
    )


def covers(holdout: Holdout) -> str:
    """What the intervals cover: new rows, or rows of a new cohort."""
    if holdout.cohort is None or holdout.effective_size is None:
        return f"{INTERVAL_COVERAGE:.0%} of new rows"
    return f"{INTERVAL_COVERAGE:.0%} of the rows of new values of {holdout.cohort!r}"


def in_words(holdout: Holdout | None) -> str:
    """The widths in a line, or why there are none."""
    if holdout is None or holdout.interval is None:
        return why_none(holdout) or ""
    groups = len(holdout.intervals)
    own = f"; {groups} values of {holdout.by!r} have their own" if groups else ""
    return f"±{holdout.interval:.4g}, for {covers(holdout)}{own}"
