"""Says whether rows are dealt out to folds and hold-out one by one, or in whole periods.

The rows of a day share its weather. If some of them are trained on, a model that has learnt that
weather does well on the others, and on no other day. So the periods that rows carry are dealt out
whole, each by its own hash, as groups are: adding days moves no other day. They must be
`FEWEST_PERIODS`, or too few are held out to know how much they differ.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lasso_jobs.core.rows import buckets as b
from lasso_jobs.core.rows.balance import MOST_LISTED, ListedGroups
from lasso_jobs.data.times import period_draws, periods
from lasso_jobs.jobs.split import HoldoutRows

if TYPE_CHECKING:
    from lasso_jobs.data.dataset import Dataset
    from lasso_jobs.jobs.train import TrainJob

FEWEST_PERIODS = 10
NO_PERIODS = (
    "no periods are known: no folder has a day in its name, as date=2024-01-31 has, and period "
    "names no column"
)
ROWS_INSTEAD = "search.split: random deals out single rows"


NOT_LISTED = ListedGroups(np.empty(0, np.uint64), np.empty(0, np.int64), complete=False)
"""Groups that need no list, or are too many for one."""


@dataclass(frozen=True, slots=True)
class SplitUnit:
    """What is dealt out to folds and hold-out.

    Parameters
    ----------
    column : str or None
        The column of which the rows of a value stay together; None for rows one by one.
    because : str
        For people.
    listed : ListedGroups or None
        The periods as the folders' names have them; None if they are to be scanned, or if the
        unit is none.
    """

    column: str | None
    because: str
    listed: ListedGroups | None = None


@dataclass(frozen=True, slots=True)
class Units:
    """What is dealt out to folds and hold-out, of the rows that are not held out otherwise.

    Parameters
    ----------
    unit : SplitUnit
    groups : ListedGroups or None
        Groups, or few rows, that are balanced over folds and hold-out.
    periods : ListedGroups or None
        Periods, each of which goes where its own hash says.
    """

    unit: SplitUnit
    groups: ListedGroups | None = None
    periods: ListedGroups | None = None


def split_unit(job: "TrainJob", dataset: "Dataset", period: str | None) -> SplitUnit:
    """What a plan knows of the unit: of periods within the files, a scan has to tell.

    Parameters
    ----------
    job : TrainJob
    dataset : Dataset
    period : str or None
        The column of periods.
    """
    split = job.search.split
    if split.group is not None:
        return SplitUnit(split.group, "search.split names it")
    if split.random:
        return SplitUnit(None, "search.split is random")
    if period is None:
        return SplitUnit(None, NO_PERIODS)
    if not _are_drawn(job):
        return SplitUnit(period, f"standard errors count its values. {ROWS_INSTEAD}", NOT_LISTED)
    if not _folders_tell(job, dataset, period):
        few = f"with fewer than {FEWEST_PERIODS} values, rows are dealt out one by one"
        return SplitUnit(period, f"its values stay together; {few}. {ROWS_INSTEAD}")
    return unit_of(job, period, _of_folders(job, dataset, period))


def unit_of(job: "TrainJob", period: str, listed: ListedGroups) -> SplitUnit:
    """The unit once it is known which periods there are.

    Parameters
    ----------
    job : TrainJob
    period : str
        Their column.
    listed : ListedGroups
        Of the rows that are not held out otherwise.
    """
    why_not = _why_rows(job, listed)
    if why_not is not None:
        return SplitUnit(None, f"{period} {why_not}", listed)
    n = f"{len(listed.keys):,}" if listed.complete else f"more than {MOST_LISTED:,}"
    held = f", {_told_held(job, listed)}" if isinstance(job.holdout, float) else ""
    told = f"its {n} values stay together{held if listed.complete else ''}; standard errors count "
    told += f"them, not rows. {ROWS_INSTEAD}"
    return SplitUnit(period, told, listed)


def _why_rows(job: "TrainJob", listed: ListedGroups) -> str | None:
    if not listed.complete:
        return None
    n, search = len(listed.keys), job.search
    if n < FEWEST_PERIODS:
        return f"has {n} value{'s' * (n != 1)}, fewer than {FEWEST_PERIODS}"
    if search.split.fold is not None or search.split.time is not None:
        return None
    n_left = n - _n_held(job, listed)
    if n_left < search.folds:
        fewer = f"; search.folds: {n_left} keeps them together" if n_left > 1 else ""
        return f"has {n} values, of which {n_left} are left for {search.folds} folds{fewer}"
    return None


def _told_held(job: "TrainJob", listed: ListedGroups) -> str:
    """How many are held out, with how many rows: of unequal days these may be most of them."""
    held = _held(job, listed)
    share = listed.counts[held].sum() / max(listed.counts.sum(), 1)
    told = f"{held.sum()} of them held out ({share:.0%} of the rows"
    return (
        f"{told}, which leaves few: another seed may hold out others)"
        if share > 0.5
        else f"{told})"
    )


def _n_held(job: "TrainJob", listed: ListedGroups) -> int:
    """How many of them the hashes hold out."""
    return int(_held(job, listed).sum())


def _held(job: "TrainJob", listed: ListedGroups) -> NDArray[np.bool_]:
    """Which of them the hashes hold out."""
    if not isinstance(job.holdout, float):
        return np.zeros(len(listed.keys), np.bool_)
    return b.uniform(listed.keys) < listed.share_to_hold(job.holdout)


def _are_drawn(job: "TrainJob") -> bool:
    """Whether something is drawn from rows or periods: the folds, or the hold-out."""
    split = job.search.split
    return isinstance(job.holdout, float) or (split.fold is None and split.time is None)


def _folders_tell(job: "TrainJob", dataset: "Dataset", period: str) -> bool:
    """Whether the folders' names and the footers say which periods have rows."""
    names = {*dataset.constants}
    return (
        period in names
        and not isinstance(job.holdout, HoldoutRows)
        and all(part.columns <= names for part in job.data.conditions())
    )


def _of_folders(job: "TrainJob", dataset: "Dataset", period: str) -> ListedGroups:
    """The periods that the names of the files' folders tell, with the rows that have a target."""
    rows: dict[float, int] = {}
    for file in dataset.files:
        value = dict(file.identity.constants).get(period, pa.scalar(None, pa.string()))
        place = file.schema.get_field_index(job.target)
        nulls = max(int(file.nulls[place]), 0) if place >= 0 else file.n_left
        number = float(periods(pa.chunked_array([pa.array([value.as_py()], value.type)]))[0])
        rows[number] = rows.get(number, 0) + max(file.n_left - nulls, 0)
    numbers = np.array([number for number, n in rows.items() if n], float)
    keys, order = np.unique(period_draws(numbers, job.seed), return_index=True)
    counts = np.array([n for n in rows.values() if n], np.int64)[order]
    return ListedGroups(keys, counts).limited()
