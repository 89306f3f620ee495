"""Lists what is dealt out to folds and hold-out: periods, groups, or the rows of few."""

from lasso_jobs.core.rows.timeline import Timeline
from lasso_jobs.training.read.all_units import AllUnits
from lasso_jobs.training.read.scans.few_columns import GroupsRead
from lasso_jobs.training.read.scans.split_unit import Units, unit_of
from lasso_jobs.training.read.splits import reading_for_groups, reading_for_periods


def list_units(reads: AllUnits, timeline: Timeline | None) -> tuple[Units, int]:
    """The periods that stay together; or the groups, or few rows, that are balanced.

    Parameters
    ----------
    reads : AllUnits
    timeline : Timeline or None
        Of the rows that are not held out otherwise, if the job has times.

    Returns
    -------
    Units
    int
        The bytes read for it.
    """
    planned, unit, n_bytes = reads.planned, reads.planned.unit, 0
    if unit.column is not None and planned.job.search.split.by_period:
        periods = unit.listed
        if periods is None:
            of_periods = GroupsRead(reading_for_periods(planned, timeline), reads.caching)
            periods, n_bytes = reads.merged(of_periods, "periods")
            unit = unit_of(planned.job, unit.column, periods)
        if unit.column is not None:
            return Units(unit, periods=periods), n_bytes
    reading = reading_for_groups(planned, timeline)
    if reading is None:
        return Units(unit), n_bytes
    groups, more = reads.merged(GroupsRead(reading, reads.caching), "groups")
    return Units(unit, groups=groups), n_bytes + more
