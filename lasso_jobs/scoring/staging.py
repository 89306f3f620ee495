"""Scores a run's work units on the cluster and accepts each: its rows are staged, not shown.

A work unit whose worker dies is run again by `lasso_jobs.engine.dask_workers`. What a driver
accepted before it died is read from the journal, and not scored again.
"""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lasso_jobs.data.where import Condition, in_words
from lasso_jobs.drift.table import night_of, partition_name
from lasso_jobs.errors import NoDataError
from lasso_jobs.progress import Progress, of_stage
from lasso_jobs.scoring.bad_rows import refuse_too_many
from lasso_jobs.scoring.plan import ScorePlan
from lasso_jobs.scoring.rows import score_work_unit
from lasso_jobs.scoring.scored_unit import RowFates, ScoredUnit, reconcile
from lasso_jobs.sinks.partitions import partition_text
from lasso_jobs.sinks.protocol import Partition

if TYPE_CHECKING:
    from lasso_jobs.engine.tasks import Workers


@dataclass(frozen=True, slots=True)
class StagedRun:
    """All work units of a run, scored; no reader sees their files yet.

    Parameters
    ----------
    units : tuple of ScoredUnit
    n_resumed : int
        Work units that were accepted before this driver started.
    bytes_per_second : float or None
        The throughput of the others; None if nothing was read.
    """

    units: tuple[ScoredUnit, ...]
    n_resumed: int
    bytes_per_second: float | None

    @property
    def partitions(self) -> set[Partition]:
        """The partitions of the rows that were read."""
        return {partition for unit in self.units for partition, _ in unit.observations}

    @property
    def rows(self) -> RowFates:
        """The rows of all work units."""
        return sum((unit.rows for unit in self.units), RowFates())

    @property
    def reasons(self) -> dict[str, int]:
        """How many rows are quarantined for each code and column."""
        return dict(sum((Counter(unit.reasons) for unit in self.units), Counter[str]()))

    @property
    def nights(self) -> dict[str, RowFates]:
        """The rows that were not filtered, by the night that the partition's first column names."""
        nights: dict[str, RowFates] = {}
        for unit in self.units:
            written = [(file, RowFates(scored=file.rows)) for file in unit.files]
            bad = [(file, RowFates(quarantined=file.rows)) for file in unit.quarantined_files]
            for file, rows in (*written, *bad):
                night = night_of(partition_name(file.partition))
                if night is not None:
                    nights[night] = nights.get(night, RowFates()) + rows
        return nights


@dataclass(frozen=True, slots=True)
class BegunRun:
    """A run whose work units are being scored.

    Parameters
    ----------
    accepted : dict of int to ScoredUnit
        By position: what the journal has.
    rest : list of int
        The other positions.
    results : iterator of (int, ScoredUnit)
        Those as they come, by their position in `rest`.
    started : float
    """

    accepted: dict[int, ScoredUnit]
    rest: list[int]
    results: Iterator[tuple[int, ScoredUnit]]
    started: float


def begin_rows(
    workers: "Workers", planned: ScorePlan, progress: Progress | None = None
) -> BegunRun:
    """Begin to score the work units that the journal has not, and wait for none of them."""
    journal, units = planned.journal, planned.work_units
    accepted = journal.accepted(units) if journal else {}
    if journal:
        journal.begin(planned.task.run.scored_at, planned.job.date)
    rest = [i for i in range(len(units)) if i not in accepted]
    advance, started = of_stage(progress, "score", len(accepted)), time.perf_counter()
    todo = [units[i] for i in rest]
    results = workers.map(score_work_unit, todo, planned.task, progress=advance)
    return BegunRun(accepted, rest, results, started)


def stage_rows(
    workers: "Workers",
    planned: ScorePlan,
    progress: Progress | None = None,
    begun: BegunRun | None = None,
) -> StagedRun:
    """Score every work unit that the journal has not, and accept its first result.

    Raises
    ------
    DataError
        If more rows cannot be scored than ``bad_rows`` allows.
    OutputError
        If the rows of a work unit do not add up.
    """
    begun = begun or begin_rows(workers, planned, progress)
    job, journal, units = planned.job, planned.journal, planned.work_units
    accepted, n_resumed, n_bytes = dict(begun.accepted), len(begun.accepted), 0
    for i, scored in begun.results:
        unit = units[begun.rest[i]]
        reconcile(unit, scored)
        if job.bad_rows == "fail":
            refuse_too_many(job, str(unit), scored.rows, scored.reasons)
        if journal:
            journal.accept(unit, scored, planned.task.run.scored_at)
        accepted[begun.rest[i]] = scored
        n_bytes += scored.bytes_read
    seconds = time.perf_counter() - begun.started
    in_order = tuple(accepted[i] for i in range(len(units)))
    staged = StagedRun(in_order, n_resumed, n_bytes / seconds if n_bytes else None)
    _check_kept(planned, staged)
    return staged


@dataclass(frozen=True, slots=True)
class FilteredRows:
    """The rows that a partition's files have, and those of them that ``data.where`` keeps."""

    had: int = 0
    kept: int = 0

    def __add__(self, other: "FilteredRows") -> "FilteredRows":
        return FilteredRows(self.had + other.had, self.kept + other.kept)


def filtered_partitions(planned: ScorePlan, staged: StagedRun) -> dict[Partition, FilteredRows]:
    """What the filter leaves of the partitions that the names of the files' folders tell."""
    to, kept = planned.task.destination, Counter[str]()
    for unit, scored in zip(planned.work_units, staged.units, strict=True):
        for piece, fates in zip(unit.pieces, scored.fates, strict=True):
            kept[piece.file.name] += fates.kept
    found: dict[Partition, FilteredRows] = {}
    for file in planned.dataset.files:
        constants = dict(file.identity.constants)
        if constants.keys() >= set(to.partition_by):
            values = [constants[n].cast(to.carried.field(n).type).as_py() for n in to.partition_by]
            texts = map(partition_text, to.partition_by, values)
            partition = tuple(zip(to.partition_by, texts, strict=True))
            rows = FilteredRows(file.n_left, kept[file.identity.name])
            found[partition] = found.get(partition, FilteredRows()) + rows
    return found


def _check_kept(planned: ScorePlan, staged: StagedRun) -> None:
    rows, path = staged.rows, planned.dataset.path
    # A filter has no limit below all rows, as it is meant to take rows out.
    filters = planned.task.where
    _refuse_none_left(path, FilteredRows(planned.dataset.n_left, rows.kept), filters)
    nights: dict[str, FilteredRows] = {}
    for partition, filtered in filtered_partitions(planned, staged).items():
        night = night_of(partition_name(partition))
        if night is not None:
            nights[night] = nights.get(night, FilteredRows()) + filtered
    for night, filtered in sorted(nights.items()):
        _refuse_none_left(f"{path}, {night}", filtered, filters)
    refuse_too_many(planned.job, path, rows, staged.reasons)
    for night, of_night in sorted(staged.nights.items()):
        # A share or a number that the job names is one of all the rows of the run.
        if not of_night.scored or planned.job.bad_rows == "quarantine":
            refuse_too_many(planned.job, f"{path}, {night}", of_night, staged.reasons)


def _refuse_none_left(where: str, rows: FilteredRows, filters: Sequence[Condition]) -> None:
    if rows.had and not rows.kept:
        found = f"none of its {rows.had:,} rows is left by data.where: {in_words(filters)}"
        remedy = "correct the date or data.where, or wait for the rows"
        raise NoDataError(
            where,
            found,
            "at least one row",
            f"Nothing was committed, and earlier rows are still shown: {remedy}",
        )
