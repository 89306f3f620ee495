"""Scoring one unit of work, on a worker."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lasso_jobs.core.drift import Reference
from lasso_jobs.core.moments import Floats
from lasso_jobs.core.predict import Predictor
from lasso_jobs.data import arrays, blocks, staging
from lasso_jobs.data.dataset import Partition, Piece
from lasso_jobs.data.where import Condition
from lasso_jobs.jobs.bad_rows import Reason, unfit_rows
from lasso_jobs.jobs.intervals import Interval
from lasso_jobs.jobs.observe import observe
from lasso_jobs.jobs.scored import Counts, Scored, Watched

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
RESULT = pa.schema(
    [
        ("prediction", pa.float64()),
        ("prediction_low", pa.float64()),
        ("prediction_high", pa.float64()),
        ("model_version", pa.string()),
        ("run_id", pa.string()),
        ("scored_at", pa.timestamp("us", "UTC")),
    ]
)
QUARANTINE = pa.schema(
    [
        ("reason", pa.string()),
        ("column", pa.string()),
        ("file", pa.string()),
        ("row", pa.int64()),
        ("run_id", pa.string()),
    ]
)


@dataclass(frozen=True, slots=True)
class Scoring:
    """What a worker needs to score a partition.

    Parameters
    ----------
    predictor : Predictor
        Of the features that are used or watched.
    used : frozenset of str
    watched : mapping of str to Reference
        The features whose drift is measured, and ``prediction``; empty if the job measures none.
    segment : str or None
        A column of groups whose drift is measured besides.
    correlation : bool
        Whether to measure how the columns are correlated.
    nulls_allowed : bool
    interval : Interval or None
        Half the widths of the prediction intervals.
    sources : mapping of str to str
        The source's column for each feature.
    absent : frozenset of str
        Columns that are null where a file lacks them.
    carried : pyarrow.Schema
        The columns that go from the source to the output.
    partition_by : tuple of str
    where : tuple of Condition
    root, quarantine : str
        The tables to write below.
    format : str
        Their kind.
    model_version, run_id : str
    scored_at : datetime
    """

    predictor: Predictor
    used: frozenset[str]
    watched: Mapping[str, Reference]
    segment: str | None
    correlation: bool
    nulls_allowed: bool
    interval: Interval | None
    sources: Mapping[str, str]
    absent: frozenset[str]
    carried: pa.Schema
    partition_by: tuple[str, ...]
    where: tuple[Condition, ...]
    root: str
    quarantine: str
    format: staging.Format
    model_version: str
    run_id: str
    scored_at: datetime

    def names(self) -> list[str]:
        """The columns to read."""
        features = [self.sources[name] for name in self.predictor.columns.stored]
        by = [self.interval.column] if self.interval and self.interval.column else []
        by += [self.segment] if self.segment else []
        return list(dict.fromkeys([*features, *self.carried.names, *by]))

    def features(self, table: pa.Table) -> pa.Table:
        """What the features of some rows are made of, by the names that the model knows."""
        names = self.predictor.columns.stored
        return table.select([self.sources[name] for name in names]).rename_columns(list(names))


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit of work in memory: its rows for the output and for the quarantine."""

    good: pa.Table
    bad: pa.Table
    counts: tuple[Counts, ...]
    bytes_read: int
    watched: Watched


def score_partition(partition: Partition, scoring: Scoring) -> Scored:
    """Score one unit of work and write its files; runs on a worker, perhaps more than once."""
    unit = score_in_memory(partition, scoring)
    codes, columns = unit.bad["reason"].to_pylist(), unit.bad["column"].to_pylist()
    return Scored(
        _written(unit.good, scoring.root, scoring),
        _written(unit.bad, scoring.quarantine, scoring),
        unit.counts,
        unit.bytes_read,
        unit.watched,
        Counter(f"{code} {column}" for code, column in zip(codes, columns, strict=True)),
    )


def score_in_memory(partition: Partition, scoring: Scoring) -> Unit:
    """Score one unit of work, and write nothing."""
    good: list[pa.Table] = []
    bad: list[pa.Table] = []
    counts: list[Counts] = []
    watched: Watched = {}
    n_bytes = 0
    for piece in partition.pieces:
        of_piece = Counts()
        for rows in blocks.read(piece, scoring.names(), scoring.where, absent=scoring.absent):
            n_bytes += rows.n_bytes
            scored, quarantined = _score_rows(piece, rows, scoring, watched)
            good.append(scored)
            bad.append(quarantined)
            of_piece = Counts(
                of_piece.scored + scored.num_rows,
                of_piece.quarantined + quarantined.num_rows,
                of_piece.filtered + rows.n_filtered,
            )
        counts.append(of_piece)
    return Unit(pa.concat_tables(good), pa.concat_tables(bad), tuple(counts), n_bytes, watched)


def _written(table: pa.Table, root: str, scoring: Scoring) -> tuple[staging.WrittenFile, ...]:
    if not table.num_rows:
        return ()
    sink = staging.sink(scoring.format)
    return sink.write_files(table, root, scoring.partition_by, scoring.run_id)


def _score_rows(
    piece: Piece, rows: blocks.Rows, scoring: Scoring, watched: Watched
) -> tuple[pa.Table, pa.Table]:
    """Rows for the output, and rows for the quarantine."""
    features = scoring.features(rows.table)
    block = arrays.block(features, scoring.predictor.columns)
    with np.errstate(over="ignore", invalid="ignore"):
        prediction = scoring.predictor.predict(block)
    strict = () if scoring.nulls_allowed else scoring.used
    unfit = unfit_rows(features, block, scoring.predictor, prediction, strict)
    kept = np.ones(block.n_rows, bool)
    for rows_of_reason in unfit.values():
        kept &= ~rows_of_reason
    observe(watched, rows.table, block, prediction, kept, scoring)
    half = None if scoring.interval is None else scoring.interval.half_widths(rows.table)[kept]
    return (
        _result(rows.table, kept, prediction[kept], half, scoring),
        _quarantined(rows, piece.file.name, unfit, scoring),
    )


def _result(
    table: pa.Table,
    kept: NDArray[np.bool_],
    values: Floats,
    half: Floats | None,
    scoring: Scoring,
) -> pa.Table:
    low, high = (None, None) if half is None else (values - half, values + half)
    n, scored_at = len(values), (scoring.scored_at - EPOCH) // timedelta(microseconds=1)
    columns = [
        *(pa.nulls(n, pa.float64()) if c is None else arrays.array(c) for c in (values, low, high)),
        arrays.repeated(scoring.model_version, n),
        arrays.repeated(scoring.run_id, n),
        arrays.array(np.full(n, scored_at)).view(pa.timestamp("us", "UTC")),
    ]
    return _beside(_carried(table, scoring, np.flatnonzero(kept)), RESULT, columns)


def _quarantined(
    rows: blocks.Rows,
    file: str,
    unfit: dict[Reason, NDArray[np.bool_]],
    scoring: Scoring,
) -> pa.Table:
    reasons = list(unfit)
    chosen = np.array(list(unfit.values()), bool).reshape(len(reasons), rows.table.num_rows)
    bad = np.flatnonzero(chosen.any(axis=0))
    if len(bad):
        first = [reasons[i] for i in chosen[:, bad].argmax(axis=0)]
        columns = [
            pa.array([code for code, _ in first], pa.string()),
            pa.array([column for _, column in first], pa.string()),
            arrays.repeated(file, len(bad)),
            arrays.array(rows.positions[bad]),
            arrays.repeated(scoring.run_id, len(bad)),
        ]
    else:
        columns = [pa.nulls(0, field.type) for field in QUARANTINE]
    return _beside(_carried(rows.table, scoring, bad), QUARANTINE, columns)


def _carried(
    table: pa.Table, scoring: Scoring, rows: NDArray[np.intp]
) -> dict[pa.Field, pa.ChunkedArray]:
    """The columns that go to the output, of some rows."""
    every, chosen = len(rows) == table.num_rows, arrays.array(rows)
    columns = {field: table[field.name].cast(field.type) for field in scoring.carried}
    return {field: c if every else c.take(chosen) for field, c in columns.items()}


def _beside(
    carried: dict[pa.Field, pa.ChunkedArray], fields: pa.Schema, columns: Sequence[pa.Array]
) -> pa.Table:
    # Not by appending: a table forgets how many rows it has when it has no columns.
    every = [*carried.values(), *columns]
    return pa.table(every, schema=pa.schema([*carried, *fields]))
