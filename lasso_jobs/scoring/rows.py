"""Reads one work unit's rows, scores them, and stages the scored and the quarantined rows in files.

This runs on a worker. Dask may run it more than once: each attempt writes files of its own names.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lasso_jobs.core.rows.moments import Floats
from lasso_jobs.data import arrays, blocks
from lasso_jobs.data.columns.keys import exactly
from lasso_jobs.data.columns.new_columns import ticks
from lasso_jobs.data.dataset import Piece, WorkUnit
from lasso_jobs.drift.observe import Observations, observe
from lasso_jobs.errors import DataError
from lasso_jobs.scoring.bad_rows import Reason, predict_rows
from lasso_jobs.scoring.scored_unit import RowFates, ScoredUnit
from lasso_jobs.scoring.task import QUARANTINE_COLUMNS, ScoringTask, scored_columns
from lasso_jobs.sinks import protocol

_Columns = dict[pa.Field, pa.ChunkedArray]


@dataclass(frozen=True, slots=True)
class ScoredRows:
    """A scored work unit in memory: its rows for the output and for the quarantine."""

    scored: pa.Table
    quarantined: pa.Table
    fates: tuple[RowFates, ...]
    bytes_read: int
    observations: Observations


def score_work_unit(unit: WorkUnit, task: ScoringTask) -> ScoredUnit:
    """Score one work unit and write its files; runs on a worker, perhaps more than once."""
    rows = score_in_memory(unit, task)
    bad = rows.quarantined
    codes, columns = bad["reason"].to_pylist(), bad["column"].to_pylist()
    return ScoredUnit(
        files=_staged(rows.scored, task.destination.root, task),
        quarantined_files=_staged(bad, task.destination.quarantine, task),
        fates=rows.fates,
        bytes_read=rows.bytes_read,
        observations=rows.observations,
        reasons=Counter(f"{code} {column}" for code, column in zip(codes, columns, strict=True)),
    )


def score_in_memory(unit: WorkUnit, task: ScoringTask) -> ScoredRows:
    """Score one work unit, and write nothing."""
    good: list[pa.Table] = []
    bad: list[pa.Table] = []
    fates: list[RowFates] = []
    observations: Observations = {}
    n_bytes, columns, absent = 0, task.columns_read, task.features.absent
    for piece in unit.pieces:
        of_piece = RowFates()
        for rows in blocks.read(piece, columns, task.where, absent=absent):
            n_bytes += rows.n_bytes
            scored, quarantined = _score_rows(piece, rows, task, observations)
            good.append(scored)
            bad.append(quarantined)
            of_piece += RowFates(scored.num_rows, quarantined.num_rows, rows.n_filtered)
        fates.append(of_piece)
    return ScoredRows(
        scored=pa.concat_tables(good),
        quarantined=pa.concat_tables(bad),
        fates=tuple(fates),
        bytes_read=n_bytes,
        observations=observations,
    )


def _staged(table: pa.Table, root: str, task: ScoringTask) -> tuple[protocol.WrittenFile, ...]:
    if not table.num_rows:
        return ()
    sink = protocol.sink(task.destination.format)
    return sink.write_files(table, root, task.destination.partition_by, task.run.id)


def _score_rows(
    piece: Piece, rows: blocks.Rows, task: ScoringTask, observations: Observations
) -> tuple[pa.Table, pa.Table]:
    """Rows for the output, and rows for the quarantine."""
    predicted = predict_rows(task.features.of(rows.table), task.features)
    block, prediction, kept = predicted.block, predicted.prediction, predicted.kept
    observe(observations, task.watch, rows.table, block=block, prediction=prediction, kept=kept)
    half = None if task.interval is None else task.interval.half_widths(rows.table)[kept]
    # Not by a filter: a mask of numpy's would load pandas.
    taken = arrays.array(np.flatnonzero(kept))
    top = [c.take(taken) for c in task.top.of(task.features.predictor, block).columns]
    carried = _carried(rows.table, task, piece.file.path)
    return (
        _result(carried, kept, task, prediction=prediction[kept], half=half, top=top),
        _quarantined(carried, rows.positions, piece.file.name, unfit=predicted.unfit, task=task),
    )


def _result(
    carried: _Columns,
    kept: NDArray[np.bool_],
    task: ScoringTask,
    *,
    prediction: Floats,
    half: Floats | None,
    top: Sequence[pa.ChunkedArray],
) -> pa.Table:
    low, high = (None, None) if half is None else (prediction - half, prediction + half)
    n, scored_at = len(prediction), ticks(task.run.scored_at)
    of_predictions = (prediction, low, high)
    columns = [
        *(pa.nulls(n, pa.float64()) if c is None else arrays.array(c) for c in of_predictions),
        arrays.repeated(task.run.model_version, n),
        arrays.repeated(task.run.id, n),
        arrays.array(np.full(n, scored_at)).view(pa.timestamp("us", "UTC")),
        *top,
    ]
    whole = n == len(kept)
    carried = carried if whole else _taken(carried, np.flatnonzero(kept))
    return _beside(carried, scored_columns(task.top.n), columns)


def _quarantined(
    carried: _Columns,
    positions: NDArray[np.int64],
    file: str,
    *,
    unfit: dict[Reason, NDArray[np.bool_]],
    task: ScoringTask,
) -> pa.Table:
    reasons = list(unfit)
    chosen = np.array(list(unfit.values()), bool).reshape(len(reasons), len(positions))
    bad = np.flatnonzero(chosen.any(axis=0))
    if len(bad):
        first = [reasons[i] for i in chosen[:, bad].argmax(axis=0)]
        columns = [
            pa.array([code for code, _ in first], pa.string()),
            pa.array([column for _, column in first], pa.string()),
            arrays.repeated(file, len(bad)),
            arrays.array(positions[bad]),
            arrays.repeated(task.run.id, len(bad)),
        ]
    else:
        columns = [pa.nulls(0, field.type) for field in QUARANTINE_COLUMNS]
    return _beside(_taken(carried, bad), QUARANTINE_COLUMNS, columns)


def _carried(table: pa.Table, task: ScoringTask, path: str) -> _Columns:
    """The columns that go to the output, in its types."""
    columns = {}
    for field in task.destination.carried:
        try:
            columns[field] = exactly(table[field.name], field.type)
        except pa.ArrowInvalid as error:
            raise DataError(
                f"{path}, column {field.name!r}",
                f"has a value that is no {field.type} ({error})",
                f"what the output's column can hold, {field.type}",
                "Mend the file, or name another output",
            ) from error
    return columns


def _taken(carried: _Columns, rows: NDArray[np.intp]) -> _Columns:
    chosen = arrays.array(rows)
    return {field: column.take(chosen) for field, column in carried.items()}


def _beside(carried: _Columns, fields: pa.Schema, columns: Sequence[pa.Array]) -> pa.Table:
    # Not by appending: a table forgets how many rows it has when it has no columns.
    every = [*carried.values(), *columns]
    return pa.table(every, schema=pa.schema([*carried, *fields]))
