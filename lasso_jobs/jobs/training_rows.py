"""The training rows: decoded a block at a time, each with its bucket."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lasso_jobs.core import buckets as b
from lasso_jobs.core.columns import Block
from lasso_jobs.core.moments import Floats
from lasso_jobs.data import arrays, blocks
from lasso_jobs.data.dataset import Partition, Piece
from lasso_jobs.data.times import FORMS
from lasso_jobs.data.times import periods as periods_of
from lasso_jobs.data.times import times as times_of
from lasso_jobs.errors import DataError
from lasso_jobs.jobs.intervals import group_numbers
from lasso_jobs.jobs.reading import Counts, Reading

BATCH_ROWS = 32_768


@dataclass(frozen=True, slots=True)
class TrainingRows:
    """A block of rows that are used.

    Parameters
    ----------
    table : pyarrow.Table
        The rows as they were read.
    block : Block
    target : ndarray, shape (n,)
    weights : ndarray or None
    hashes : ndarray of uint64, shape (n,)
        By row identity.
    buckets : ndarray of intp, shape (n,)
    groups : ndarray, shape (n,)
        As `lasso_jobs.jobs.intervals.group_numbers`; -1 if there are none.
    clusters : ndarray, shape (n,)
        A number for what rows belong to: the group that stays together, or the day; NaN if
        neither is known.
    periods : ndarray, shape (n,)
        A number of each row's period; -1 if there are none.
    counts : Counts
    """

    table: pa.Table
    block: Block
    target: Floats
    weights: Floats | None
    hashes: b.Hashes
    buckets: NDArray[np.intp]
    groups: Floats
    clusters: Floats
    periods: Floats
    counts: Counts


def read_training_rows(partition: Partition, reading: Reading) -> Iterator[TrainingRows]:
    """Read a partition, a block at a time.

    Raises
    ------
    DataError
        If a value is infinite, a weight negative or null, or a null not allowed.
    """
    for piece in partition.pieces:
        key = b.text_key(piece.file.name, reading.seed)
        names, later, most = reading.names(), reading.later(), reading.block_rows()
        for rows in blocks.read(piece, names, reading.where, later, most):
            yield _decode(piece, key, rows, reading)


def _decode(piece: Piece, key: int, rows: blocks.Rows, reading: Reading) -> TrainingRows:
    table, positions = rows.table, rows.positions
    without = _nulls(table, [reading.target])
    lacking = _nulls(table, reading.complete) & ~without
    left_out, kept = without | lacking, None
    if left_out.any():
        kept = ~left_out
        table, positions = table.filter(pa.array(kept)), positions[kept]
    values = arrays.numbers(table.column(reading.target))
    _check_finite(piece, reading.target, values)
    table = arrays.with_parts(table, reading.columns.dates)
    block = Block(
        len(values),
        _Numbers(piece, rows, table, reading, kept),
        tuple(arrays.codes(table.column(c.name), c) for c in reading.columns.categories),
    )
    hashes = b.row_hashes(key, positions)
    buckets, clusters = _buckets(piece, table, hashes, reading)
    return TrainingRows(
        table,
        block,
        values,
        _weights(piece, table, reading),
        hashes,
        buckets,
        np.full(len(values), -1.0)
        if reading.intervals is None
        else group_numbers(table.column(reading.intervals)),
        clusters,
        np.full(len(values), -1.0)
        if reading.period is None
        else periods_of(table.column(reading.period)),
        Counts(len(values), rows.n_filtered, int(without.sum()), int(lacking.sum()), rows.n_bytes),
    )


def _nulls(table: pa.Table, names: Sequence[str]) -> NDArray[np.bool_]:
    """Which rows have a null in one of these columns."""
    missing = np.zeros(table.num_rows, np.bool_)
    for name in names:
        missing |= arrays.numbers(pc.is_null(table.column(name), nan_is_null=True)) > 0
    return missing


class _Numbers(Sequence[Floats]):
    """The numeric features of some rows; each is read and checked when it is asked for."""

    def __init__(
        self,
        piece: Piece,
        rows: blocks.Rows,
        table: pa.Table,
        reading: Reading,
        kept: NDArray[np.bool_] | None,
    ) -> None:
        self._piece, self._rows, self._table = piece, rows, table
        self._reading, self._kept = reading, kept
        self._later = frozenset(reading.later())

    def __len__(self) -> int:
        return len(self._reading.columns.numeric)

    def __getitem__(self, j: Any) -> Any:
        name = self._reading.columns.numeric[j]
        if name in self._later:
            values = self._rows.later(name)
            values = values if self._kept is None else values[self._kept]
        else:
            values = arrays.numbers(self._table.column(name))
        _check_finite(self._piece, name, values)
        if not self._reading.nulls_allowed and np.isnan(values).any():
            raise DataError(
                f"{self._piece.file.path}, column {name!r}",
                "has nulls",
                "none, as preprocess.missing is error",
                "Set it to mean, indicator or drop, or exclude the column",
            )
        return values


def _check_finite(piece: Piece, name: str, values: Floats) -> None:
    if arrays.has_infinity(values):
        raise DataError(
            f"{piece.file.path}, column {name!r}",
            "has an infinite value",
            "finite numbers or nulls",
            "Mend the file, filter the rows with data.where, or exclude the column",
        )


def _weights(piece: Piece, table: pa.Table, reading: Reading) -> Floats | None:
    if reading.weight is None:
        return None
    weights = arrays.numbers(table.column(reading.weight))
    if not np.all(np.isfinite(weights) & (weights >= 0)):
        raise DataError(
            f"{piece.file.path}, weight {reading.weight!r}",
            "has a null, negative or infinite value",
            "finite numbers, zero or more",
            "Mend the file, or filter the rows with data.where",
        )
    return weights


def _buckets(
    piece: Piece, table: pa.Table, hashes: b.Hashes, reading: Reading
) -> tuple[NDArray[np.intp], Floats]:
    """The bucket and the cluster of each row."""
    supplied, draw = None, hashes
    clusters = np.full(len(hashes), np.nan)
    times = None if reading.time is None else _times(piece, table, reading.time)
    if reading.time is not None:
        clusters = periods_of(table.column(reading.time))
    if reading.group is not None:
        texts, index = arrays.levels(table.column(reading.group))
        _check_no_nulls(piece, reading.group, texts)
        keys = np.array([b.text_key(str(text), reading.seed) for text in texts] or [0], np.uint64)
        draw = b.remix(keys)[index]
        clusters = np.asarray((keys >> np.uint64(11)).astype(float)[index])  # 53 bits fit
    elif reading.fold is not None:
        texts, index = arrays.levels(table.column(reading.fold))
        _check_no_nulls(piece, reading.fold, texts)
        place = {value: i for i, value in enumerate(reading.folds)}
        supplied = np.array([place[str(text)] for text in texts] or [0], np.intp)[index]
    elif reading.edges and times is not None:
        supplied = np.searchsorted(reading.edges, times, "right")
    buckets = b.assign(draw, reading.n_buckets, reading.holdout, supplied)
    if reading.holdout_where is not None:
        _, held = blocks.matching(table, np.arange(table.num_rows), reading.holdout_where)
        buckets[held] = reading.n_buckets
    if times is not None:
        buckets[times >= reading.held_from] = reading.n_buckets
    return buckets, clusters


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


def in_batches(blocks_of_rows: Iterator[TrainingRows]) -> Iterator[TrainingRows]:
    """Join small blocks, such as those of small files: the work per bucket is paid for once."""
    waiting: list[TrainingRows] = []
    for rows in blocks_of_rows:
        waiting.append(rows)
        if sum(w.counts.rows for w in waiting) >= BATCH_ROWS:
            yield _joined(waiting)
            waiting = []
    if waiting:
        yield _joined(waiting)


def _joined(parts: Sequence[TrainingRows]) -> TrainingRows:
    if len(parts) == 1:
        return parts[0]
    parts_of_blocks = [part.block for part in parts]
    weights = [part.weights for part in parts if part.weights is not None]
    return TrainingRows(
        pa.concat_tables([part.table for part in parts]),
        Block(
            sum(block.n_rows for block in parts_of_blocks),
            tuple(map(np.concatenate, zip(*(b.numeric for b in parts_of_blocks), strict=True))),
            tuple(map(np.concatenate, zip(*(b.codes for b in parts_of_blocks), strict=True))),
        ),
        np.concatenate([part.target for part in parts]),
        np.concatenate(weights) if weights else None,
        np.concatenate([part.hashes for part in parts]),
        np.concatenate([part.buckets for part in parts]),
        np.concatenate([part.groups for part in parts]),
        np.concatenate([part.clusters for part in parts]),
        np.concatenate([part.periods for part in parts]),
        sum((part.counts for part in parts), Counts()),
    )
