"""Says how a training reads its rows, and counts what became of them."""

import math
from dataclasses import dataclass, replace

from lasso_jobs.core.rows.blocks import indicators
from lasso_jobs.core.rows.blocks.block import Block
from lasso_jobs.core.rows.blocks.sparse import SparseColumns
from lasso_jobs.core.rows.columns import Columns
from lasso_jobs.data.where import Condition

BLOCK_BYTES = 256 * 2**20
MIN_BLOCK_ROWS = 256
"""However many columns there are: a scan of fewer rows takes longer to add up its sums."""
BATCH_ROWS = 32_768
SPARSE_COLUMNS = 1_024
"""For how many columns a sparse vector counts: about as many as are ever laid out together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadCounts:
    """Rows by what became of them, bytes, and work units from the cache.

    Parameters
    ----------
    rows : int
        Rows that were used.
    filtered : int
        Rows that ``data.where`` took out.
    without_target : int
        Rows left out because their target is null.
    with_nulls : int
        Rows with a target left out because another number is null.
    bytes_read : int
        Compressed bytes of the columns that were read.
    cached : int
        Work units that were not read, as the cache had their summary.
    """

    rows: int = 0
    filtered: int = 0
    without_target: int = 0
    with_nulls: int = 0
    bytes_read: int = 0
    cached: int = 0

    def __add__(self, other: "ReadCounts") -> "ReadCounts":
        return ReadCounts(
            rows=self.rows + other.rows,
            filtered=self.filtered + other.filtered,
            without_target=self.without_target + other.without_target,
            with_nulls=self.with_nulls + other.with_nulls,
            bytes_read=self.bytes_read + other.bytes_read,
            cached=self.cached + other.cached,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How a training job reads rows.

    Parameters
    ----------
    columns : Columns
        The features to decode.
    target : str
    weight, group, fold : str or None
        Columns with a role.
    folds : tuple of str
        The values of ``fold``; a row's bucket is its value's index.
    where : tuple of Condition
    holdout : float
        Share of the rows that is held out by their hash.
    holdout_where : tuple of Condition or None
        Conditions of the rows that are held out.
    n_folds, n_buckets : int
    seed : int
    nulls_allowed : bool
    complete : tuple of str
        Columns of numbers or dates: a row with a null in one of them is left out.
    offset : str or None
        The numeric feature whose coefficient is 1.
    time : str or None
        A column of times.
    edges : tuple of float
        If there are any, a row's bucket is the number of those that are not after its time.
    held_from : float
        The time from which on rows are held out.
    intervals : str or None
        A column of groups that have intervals of their own.
    period : str or None
        A column of periods, such as days, of which the sums are kept.
    by_period : bool
        Whether the rows of a period stay together, as those of a group do.
    listed, listed_buckets : tuple of int
        The groups that are listed (`lasso_jobs.core.rows.balance`) by hash, ascending, and the
        bucket of each. A group that is held out is so whatever else says its bucket.
    sparse : tuple of str
        Columns of sparse vectors.
    levels_are_screened : bool
        Whether the levels of categories are so many that they are screened as numbers are, and
        taken by their entries where few rows have them.
    block_columns : int, optional
        For how many columns rows are decoded together, if it is not for these.
    """

    columns: Columns
    target: str
    weight: str | None
    group: str | None
    fold: str | None
    folds: tuple[str, ...]
    where: tuple[Condition, ...]
    holdout: float
    holdout_where: tuple[Condition, ...] | None
    n_folds: int
    n_buckets: int
    seed: int
    nulls_allowed: bool
    complete: tuple[str, ...] = ()
    offset: str | None = None
    time: str | None = None
    edges: tuple[float, ...] = ()
    held_from: float = math.inf
    intervals: str | None = None
    period: str | None = None
    by_period: bool = False
    listed: tuple[int, ...] = ()
    listed_buckets: tuple[int, ...] = ()
    sparse: tuple[str, ...] = ()
    levels_are_screened: bool = False
    block_columns: int | None = None

    @property
    def n_screened(self) -> int:
        """How many columns, the first ones, a screening looks at."""
        columns = self.columns
        return columns.n_columns if self.levels_are_screened else len(columns.numeric)

    @property
    def kept_together(self) -> str | None:
        """The column of which the rows of a value are in one fold, or held out."""
        return self.period if self.by_period else self.group

    @property
    def cohort(self) -> str | None:
        """The column of which the rows of a value may err alike."""
        return self.kept_together or self.time

    def split(self, block: Block) -> tuple[Block, Columns, list[SparseColumns]]:
        """The columns of a block that are laid out, and those that their entries are enough of."""
        if self.levels_are_screened:
            return indicators.split(block, self.columns)
        rest, entries = block.split()
        return rest, self.columns, entries

    def names(self) -> list[str]:
        """The columns to read."""
        roles = [self.target, self.weight, self.group, self.fold, self.time, self.intervals]
        roles.append(self.period)
        held = [c for w in self.holdout_where or () for c in sorted(w.columns)]
        named = [*self.columns.stored, *(r for r in roles if r), *held]
        return list(dict.fromkeys([*named, *self.complete]))

    def later(self) -> list[str]:
        """The columns to read that are decoded one after the other, when they are asked for."""
        at_once = {c for w in self.holdout_where or () for c in w.columns}
        at_once.update(self.complete, (date.name for date in self.columns.dates))
        at_once.update(name for name in (self.weight, self.intervals, self.period) if name)
        return [name for name in self.columns.scalars if name not in at_once]

    def of_some(self, columns: Columns) -> "Reading":
        """The reading of some of the columns, which decodes as many rows together as this one."""
        return replace(self, columns=columns, block_columns=self.block_columns or self._laid_out())

    def block_rows(self) -> int:
        """How many rows are decoded together: part of what makes results reproducible."""
        n_columns = self.block_columns or self._laid_out()
        return max(MIN_BLOCK_ROWS, BLOCK_BYTES // (8 * n_columns))

    def batch_rows(self) -> int:
        """How many rows small blocks are joined to."""
        return min(BATCH_ROWS, max(MIN_BLOCK_ROWS, BLOCK_BYTES // (8 * self._laid_out())))

    def _laid_out(self) -> int:
        """How many columns may be laid out together, with the target."""
        n_columns = self.columns.n_columns + 1
        for name, (places, _) in self.columns.elements().items():
            if name in self.sparse:
                n_columns -= max(0, len(places) - SPARSE_COLUMNS)
        if self.levels_are_screened:
            n_columns -= max(0, self.n_screened - len(self.columns.numeric) - SPARSE_COLUMNS)
        return n_columns
