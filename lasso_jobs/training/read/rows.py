"""Reads the training rows a block at a time, and says which bucket each is in."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lasso_jobs.core.rows import buckets as b
from lasso_jobs.core.rows.blocks.block import Block
from lasso_jobs.core.rows.moments import Floats
from lasso_jobs.data import arrays, blocks
from lasso_jobs.data.columns.feature_block import with_parts
from lasso_jobs.data.columns.kinds import kind_of
from lasso_jobs.data.dataset import Piece, WorkUnit
from lasso_jobs.data.groups import group_numbers
from lasso_jobs.data.times import FORMS, period_draws
from lasso_jobs.data.times import periods as periods_of
from lasso_jobs.data.times import times as times_of
from lasso_jobs.data.vectors.arrays import rows_with_nulls
from lasso_jobs.errors import DataError
from lasso_jobs.training.read.numbers import Numbers, UncheckedNumbers, check_finite
from lasso_jobs.training.read.reading import ReadCounts, Reading


@dataclass(frozen=True, slots=True, kw_only=True)
class UnlabelledRows:
    """Rows of a block without an outcome.

    Parameters
    ----------
    decode : callable
        Returns their features, as a `Block`; to be called once the block's rows have been taken.
    hashes : ndarray of uint64, shape (n,)
    periods : ndarray, shape (n,)
        As `TrainingRows` has them.
    """

    decode: Callable[[], Block]
    hashes: b.Hashes
    periods: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingRows:
    """A block of rows that are trained on or held out.

    Parameters
    ----------
    block : Block
    target : ndarray, shape (n,)
    weights : ndarray or None
    hashes : ndarray of uint64, shape (n,)
        By row identity.
    draws : ndarray of uint64, shape (n,)
        By the group or the period that stays together; without one, the hashes.
    buckets : ndarray of intp, shape (n,)
    groups : ndarray, shape (n,)
        As `lasso_jobs.data.groups.group_numbers`; -1 if there are none.
    cohorts : ndarray, shape (n,)
        A number for what rows belong to: the group or period that stays together, or the day; NaN
        if none is known.
    periods : ndarray, shape (n,)
        A number of each row's period; -1 if there are none.
    times : ndarray, shape (n,)
        The time of each row; -1 if there are none.
    files, positions : ndarray, shape (n,)
        A number for the file of each row, and where it is in that.
    counts : ReadCounts
    unlabelled : tuple of UnlabelledRows
    """

    block: Block
    target: Floats
    weights: Floats | None
    hashes: b.Hashes
    draws: b.Hashes
    buckets: NDArray[np.intp]
    groups: Floats
    cohorts: Floats
    periods: Floats
    times: Floats
    files: Floats
    positions: Floats
    counts: ReadCounts
    unlabelled: tuple[UnlabelledRows, ...] = ()

    def response(self, reading: Reading) -> Floats:
        """The target less the offset, if there is one: what the columns are to explain."""
        if reading.offset is None:
            return self.target
        return self.target - self.block.numeric[reading.columns.place[reading.offset]]


def read_training_rows(
    unit: WorkUnit, reading: Reading, *, in_turn: bool = False
) -> Iterator[TrainingRows]:
    """Read a work unit, a block at a time.

    Parameters
    ----------
    unit : WorkUnit
    reading : Reading
    in_turn : bool
        Whether its numeric columns are wanted once, many of them together.

    Raises
    ------
    DataError
        If a value is infinite, a weight negative or null, or a null not allowed.
    """
    for piece in unit.pieces:
        key = b.text_key(piece.file.name, reading.seed)
        for rows in blocks.read(
            piece,
            reading.names(),
            reading.where,
            later=reading.later(),
            block_rows=reading.block_rows(),
            in_turn=in_turn,
        ):
            yield _decode(piece, key, rows, reading)


def _decode(piece: Piece, key: int, rows: blocks.Rows, reading: Reading) -> TrainingRows:
    table, positions = rows.table, rows.positions
    without, lacking = _nulls(table, [reading.target]), _nulls(table, reading.complete)
    left_out, kept, others = without | lacking, None, without & ~lacking
    if left_out.any():
        kept = ~left_out
        table, positions = table.filter(pa.array(kept)), positions[kept]
    values = arrays.numbers(table.column(reading.target))
    check_finite(piece, reading.target, values, excludable=False)
    table = with_parts(table, reading.columns.dates)
    numbers = Numbers(
        piece,
        rows,
        table,
        reading=reading,
        kept=kept,
        positions=positions,
        others=others if others.any() else None,
    )
    block = Block(
        len(values),
        numbers,
        tuple(arrays.codes(table.column(c.name), c) for c in reading.columns.categories),
        numbers.sparse,
    )
    hashes = b.row_hashes(key, positions)
    times = None if reading.time is None else _times(piece, table, reading.time)
    buckets, cohorts, draws = _buckets(piece, table, hashes, reading=reading, times=times)
    none = np.full(len(values), -1.0)
    return TrainingRows(
        block=block,
        target=values,
        weights=_weights(piece, table, reading),
        hashes=hashes,
        draws=draws,
        buckets=buckets,
        groups=none
        if reading.intervals is None
        else group_numbers(table.column(reading.intervals)),
        cohorts=cohorts,
        periods=none if reading.period is None else periods_of(table.column(reading.period)),
        times=none if times is None else times,
        files=np.full(len(values), float(key >> 11)),  # 53 bits fit
        positions=positions.astype(float),
        counts=ReadCounts(
            rows=len(values),
            filtered=rows.n_filtered,
            without_target=int(without.sum()),
            with_nulls=int((lacking & ~without).sum()),
            bytes_read=rows.n_bytes,
        ),
        unlabelled=_unlabelled(key, rows, numbers, others) if others.any() else (),
    )


def _unlabelled(
    key: int, rows: blocks.Rows, numbers: Numbers, others: NDArray[np.bool_]
) -> tuple[UnlabelledRows]:
    """The rows without an outcome, which have all that a prediction needs."""
    table, positions = rows.table.filter(pa.array(others)), rows.positions[others]
    reading = numbers.reading

    def decode() -> Block:
        whole, columns = with_parts(table, reading.columns.dates), reading.columns
        theirs = UncheckedNumbers(numbers, whole, kept=others, positions=positions)
        codes = (arrays.codes(whole.column(c.name), c) for c in columns.categories)
        return Block(len(positions), theirs, tuple(codes), theirs.sparse)

    none = np.full(len(positions), -1.0)
    period = none if reading.period is None else periods_of(table.column(reading.period))
    hashes = b.row_hashes(key, positions)
    return (UnlabelledRows(decode=decode, hashes=hashes, periods=period),)


def _nulls(table: pa.Table, names: Sequence[str]) -> NDArray[np.bool_]:
    """Which rows have a null in one of these columns."""
    missing = np.zeros(table.num_rows, np.bool_)
    for name in names:
        column = table.column(name)
        if kind_of(column.type) == "vector":
            missing |= np.concatenate([missing[:0], *map(rows_with_nulls, column.chunks)])
        else:
            missing |= arrays.numbers(pc.is_null(column, nan_is_null=True)) > 0
    return missing


def _weights(piece: Piece, table: pa.Table, reading: Reading) -> Floats | None:
    if reading.weight is None:
        return None
    weights = arrays.numbers(table.column(reading.weight))
    where = f"{piece.file.path}, weight {reading.weight!r}"
    remedy = "Mend the file, filter the rows with data.where, or name another weight"
    if not np.all(np.isfinite(weights) & (weights >= 0)):
        found = "has a null, negative or infinite value"
        raise DataError(where, found, "finite numbers, zero or more", remedy)
    arrays.check_range(where, weights, remedy=remedy, nullable=False)
    return weights


def _buckets(
    piece: Piece,
    table: pa.Table,
    hashes: b.Hashes,
    *,
    reading: Reading,
    times: Floats | None,
) -> tuple[NDArray[np.intp], Floats, b.Hashes]:
    """The bucket and the cohort of each row, and the hash of its group."""
    supplied, draw, cohorts = _supplied(piece, table, hashes, reading=reading, times=times)
    if reading.listed:
        place = np.searchsorted(np.array(reading.listed, np.uint64), draw)
        # A row that is none of these is held out by what follows.
        listed = np.array(reading.listed_buckets)[np.minimum(place, len(reading.listed) - 1)]
        held = listed == reading.n_buckets
        buckets = listed if supplied is None else np.where(held, listed, supplied)
    else:
        buckets = b.assign(draw, reading.n_buckets, reading.holdout, supplied)
    if reading.holdout_where is not None:
        _, held = blocks.matching(table, np.arange(table.num_rows), reading.holdout_where)
        buckets[held] = reading.n_buckets
    if times is not None:
        buckets[times >= reading.held_from] = reading.n_buckets
    return buckets, cohorts, draw


def _supplied(
    piece: Piece,
    table: pa.Table,
    hashes: b.Hashes,
    *,
    reading: Reading,
    times: Floats | None,
) -> tuple[NDArray[np.intp] | None, b.Hashes, Floats]:
    """What a column says of each row: its bucket, the hash of its group, its cohort."""
    supplied, draw = None, hashes
    cohorts = np.full(len(hashes), np.nan)
    if reading.time is not None:
        cohorts = periods_of(table.column(reading.time))
    if reading.by_period and reading.period is not None:
        cohorts = periods_of(table.column(reading.period))
        draw = period_draws(cohorts, reading.seed)
    if reading.group is not None:
        texts, index = arrays.levels(table.column(reading.group))
        _check_no_nulls(piece, reading.group, texts)
        keys = np.array([b.text_key(str(text), reading.seed) for text in texts] or [0], np.uint64)
        draw = b.remix(keys)[index]
        cohorts = np.asarray((keys >> np.uint64(11)).astype(float)[index])  # 53 bits fit
    elif reading.fold is not None:
        texts, index = arrays.levels(table.column(reading.fold))
        _check_no_nulls(piece, reading.fold, texts)
        place = {value: i for i, value in enumerate(reading.folds)}
        supplied = np.array([place[str(text)] for text in texts] or [0], np.intp)[index]
    elif reading.edges and times is not None:
        supplied = np.searchsorted(reading.edges, times, "right")
    return supplied, draw, cohorts


def _times(piece: Piece, table: pa.Table, name: str) -> Floats:
    try:
        times = times_of(table.column(name))
    except ValueError as error:
        raise DataError(
            f"{piece.file.path}, time {name!r}",
            f"cannot be read ({error})",
            FORMS,
            "Mend the file, or filter the rows with data.where",
        ) from error
    if not np.isfinite(times).all():
        raise DataError(
            f"{piece.file.path}, time {name!r}",
            "has a null or infinite value",
            "a time in every row",
            "Mend the file, or filter the rows with data.where",
        )
    return times


def _check_no_nulls(piece: Piece, name: str, texts: Sequence[str | None]) -> None:
    if None in texts:
        raise DataError(
            f"{piece.file.path}, search.split {name!r}",
            "has nulls",
            "a value in every row",
            "Mend the file, or filter the rows with data.where",
        )
