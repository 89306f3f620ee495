"""Runs the scans of a screening on the cluster, over rows that are kept in memory if they fit."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from lasso_jobs.core.fit.gradient_sums import GradientSums
from lasso_jobs.core.rows.buckets import BucketMoments
from lasso_jobs.core.rows.marginals import Marginals, side_by_side
from lasso_jobs.data.columns.kinds import type_of_elements
from lasso_jobs.data.dataset import WorkUnit
from lasso_jobs.engine.memory import give_back, of_this_process
from lasso_jobs.progress import of_stage
from lasso_jobs.training.memory import WORTH_A_LOOK, Squares, refuse_too_large
from lasso_jobs.training.plan import TrainPlan
from lasso_jobs.training.read.all_units import AllUnits
from lasso_jobs.training.read.kept import KeptUnit
from lasso_jobs.training.read.reading import ReadCounts, Reading
from lasso_jobs.training.read.row_summary import RowSummary, merge
from lasso_jobs.training.read.summary_read import SummaryRead
from lasso_jobs.training.screening.column_scans import (
    ColumnsScan,
    ColumnSummary,
    GradientScan,
    merge_columns,
)
from lasso_jobs.training.screening.pairs_scan import (
    GROUP_BYTES,
    PairMoments,
    PairsScan,
    RowsScan,
    all_buckets,
    merge_pairs,
    merge_rows,
)

if TYPE_CHECKING:
    from lasso_jobs.engine.tasks import Workers

SHARE_TO_KEEP = 0.3
"""Of the workers' memory: decoded rows take no more of it, or each scan reads the files again."""
SPARSE_BYTES = 6
"""Of an entry in memory for each byte in a file: 12 for an index and a value, which a file has in
two where all values are equal, and in nine where none are."""
CODE_BYTES = 4
"""Of a row's level of a category."""
FLOAT32 = {pa.float32(), pa.float16(), pa.int8(), pa.int16(), pa.uint8(), pa.uint16()}
"""The types whose every value is a float32."""


@dataclass(slots=True, kw_only=True)
class Scanner:
    """Scans the work units of a plan, again and again.

    Parameters
    ----------
    reads : AllUnits
    reading : Reading
        Of all columns.
    """

    reads: AllUnits
    reading: Reading
    n_scans: int = 0
    bytes_read: int = 0
    counts: ReadCounts = field(default_factory=ReadCounts)
    _sources: list[Any] = field(default_factory=list)
    _kept: bool = False

    @property
    def planned(self) -> TrainPlan:
        """What is scanned."""
        return self.reads.planned

    def columns(self) -> Marginals:
        """Scan every column by itself, and keep the rows where memory holds them."""
        workers, units = self.reads.workers(), self.planned.work_units
        self._sources = list(units)
        if self._kept_bytes() <= SHARE_TO_KEEP * _memory_bytes(workers):
            self._kept = True
            self._sources = workers.keep(_keep, units, self.reading, self._dtype)
        scan, parts = ColumnsScan.of(self.reading), list[tuple[slice, Marginals]]()
        for each in scan.by_group() if self._kept else [scan]:
            found: ColumnSummary = self._reduced(each, merge_columns, "columns")
            self.counts = found.counts
            parts.append((each.columns, found.buckets))
        self.n_scans, self.bytes_read = 1, self.counts.bytes_read
        return parts[0][1] if len(parts) == 1 else side_by_side(parts, scan.columns.stop)

    def gradients(self, scan: GradientScan) -> Iterator[tuple[slice, GradientSums]]:
        """Scan every column against residuals; some columns at a time, with their sums."""
        self.n_scans += 1
        for each in scan.by_group() if self._kept else scan.in_passes():
            if not self._kept:
                self.bytes_read += self.counts.bytes_read
            yield each.columns, self._reduced(each, GradientSums.__add__, "gradients")

    def pairs(self, reading: Reading) -> BucketMoments:
        """Read the moments of a working set.

        Raises
        ------
        DataError
            If they need more memory than there is.
        """
        self._check_fits(reading)
        scan = PairsScan(reading, range(reading.n_buckets + 1))
        if self._gathers(reading):
            kept: KeptUnit = self._reduced(RowsScan(reading), merge_rows, "working set")
            if not self._kept:
                self.bytes_read += sum(rows.counts.bytes_read for rows in kept.blocks)
            return replace(scan, threads=True)(kept).moments
        # Files would be read as often as there are groups.
        scans = scan.in_groups() if self._kept else [scan]
        found: list[PairMoments] = [
            self._reduced(each, merge_pairs, "working set") for each in scans
        ]
        if not self._kept:
            self.bytes_read += found[0].counts.bytes_read
        return all_buckets(found)

    def summary(self, reading: Reading) -> RowSummary:
        """Read the last working set.

        Raises
        ------
        DataError
            If its moments need more memory than there is.
        """
        self._check_fits(reading)
        apart = self._kept or self._gathers(reading)
        read = SummaryRead(reading, pairs=not apart)
        found: RowSummary = self._reduced(read.read, merge, "working set")
        if not self._kept:
            self.bytes_read += found.counts.bytes_read
        if apart:  # less waits to be merged
            found = replace(found, moments=self.pairs(reading))
        return replace(found, counts=replace(found.counts, bytes_read=self.bytes_read))

    def _gathers(self, reading: Reading) -> bool:
        """Whether the rows of a working set are less than their moments would be.

        It says nothing of workers and their memory, on which no digit of a moment may depend.
        """
        n_rows, n_columns = self.planned.dataset.n_rows, reading.columns.n_columns + 1
        n_moments = len(self.planned.work_units) * (reading.n_buckets + 1) * n_columns
        return n_rows <= n_moments and 8 * n_rows * n_columns <= GROUP_BYTES

    def _check_fits(self, reading: Reading) -> None:
        n_columns = reading.columns.n_columns
        squares = Squares(n_columns + 1, reading.n_buckets, reading.n_folds)
        if squares.driver_bytes > WORTH_A_LOOK:
            path = self.planned.dataset.path
            refuse_too_large(path, squares.driver_bytes, of_this_process(), "in the driver")

    def _reduced(self, function: Callable[[Any], Any], merge: Callable[..., Any], name: str) -> Any:
        give_back()
        advance = of_stage(self.reads.progress, name)
        return self.reads.workers().reduce(function, merge, self._sources, progress=advance)

    @property
    def _dtype(self) -> str:
        schema, columns = self.planned.dataset.schema, self.reading.columns
        derived = {date.name for date in columns.dates}
        types = [schema.field(name).type for name in columns.scalars if name not in derived]
        # Of sparse vectors, the elements that have many entries are laid out, too.
        types += [type_of_elements(schema.field(v.column).type) for v in columns.vectors]
        return "float32" if set(types) <= FLOAT32 else "float64"

    def _kept_bytes(self) -> int:
        dataset, reading = self.planned.dataset, self.reading
        size, n_columns = 4 if self._dtype == "float32" else 8, len(reading.columns.numeric)
        elements = reading.columns.elements()
        n_columns -= sum(len(elements[name].places) for name in reading.sparse)
        of_entries = SPARSE_BYTES * dataset.column_bytes(reading.sparse)
        of_row = n_columns * size + CODE_BYTES * len(reading.columns.categories)
        return dataset.n_rows * of_row + of_entries


def _memory_bytes(workers: "Workers") -> int:
    limits = [worker.limit_bytes for worker in workers.memory()]
    return sum(limits) if limits and all(limits) else of_this_process()


def _keep(unit: WorkUnit, reading: Reading, dtype: str) -> KeptUnit:
    kept = KeptUnit.of(unit, reading, dtype)
    give_back()
    return kept
