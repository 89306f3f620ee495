"""Scoring one unit of work, on a worker."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lasso_jobs.core import drift as d
from lasso_jobs.core.columns import Block
from lasso_jobs.core.moments import Floats
from lasso_jobs.core.predict import Predictor
from lasso_jobs.data import blocks, staging
from lasso_jobs.data.dataset import Partition
from lasso_jobs.data.where import Condition
from lasso_jobs.jobs.references import PREDICTION

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
    [("reason", pa.string()), ("file", pa.string()), ("row", pa.int64()), ("run_id", pa.string())]
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
        The features whose drift is measured, and ``prediction``.
    nulls_allowed : bool
    interval : float or None
        Half the width of the prediction interval.
    keys, partition_by : tuple of str
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
    watched: Mapping[str, d.Reference]
    nulls_allowed: bool
    interval: float | None
    keys: tuple[str, ...]
    partition_by: tuple[str, ...]
    where: tuple[Condition, ...]
    root: str
    quarantine: str
    format: staging.Format
    model_version: str
    run_id: str
    scored_at: datetime

    @property
    def carried(self) -> list[str]:
        """The columns that go from the source to the output."""
        return list(dict.fromkeys([*self.keys, *self.partition_by]))

    def names(self) -> list[str]:
        """The columns to read."""
        return list(dict.fromkeys([*self.predictor.columns.features, *self.carried]))


Watched = dict[staging.Partition, dict[str, d.Current]]
"""Distributions by output partition and feature."""


@dataclass(frozen=True, slots=True)
class Scored:
    """One scored unit of work."""

    files: tuple[staging.WrittenFile, ...]
    quarantined_files: tuple[staging.WrittenFile, ...]
    rows_scored: int
    rows_quarantined: int
    rows_filtered: int
    bytes_read: int
    watched: Watched
    first_reason: str | None


def score_partition(partition: Partition, scoring: Scoring) -> Scored:
    """Score one unit of work; runs on a worker, perhaps more than once."""
    good: list[pa.Table] = []
    bad: list[pa.Table] = []
    watched: Watched = {}
    filtered = n_bytes = 0
    for piece in partition.pieces:
        for rows in blocks.read(piece, scoring.names(), scoring.where):
            filtered += rows.n_filtered
            n_bytes += rows.n_bytes
            block = blocks.block(rows.table, scoring.predictor.columns)
            unfit = _unfit(block, scoring)
            kept = np.ones(block.n_rows, bool)
            for rows_of_reason in unfit.values():
                kept &= ~rows_of_reason
            prediction = scoring.predictor.predict(block)
            good.append(_result(rows.table, prediction, kept, scoring))
            if not kept.all():
                bad.append(_quarantined(rows, piece.file.name, unfit, scoring))
            _watch(watched, rows.table, block, prediction, kept, scoring)
    scored = pa.concat_tables(good) if good else None
    quarantined = pa.concat_tables(bad) if bad else None
    return Scored(
        _written(scored, scoring.root, scoring),
        _written(quarantined, scoring.quarantine, scoring),
        0 if scored is None else scored.num_rows,
        0 if quarantined is None else quarantined.num_rows,
        filtered,
        n_bytes,
        watched,
        None if quarantined is None else quarantined.column("reason")[0].as_py(),
    )


def _written(
    table: pa.Table | None, root: str, scoring: Scoring
) -> tuple[staging.WrittenFile, ...]:
    if table is None:
        return ()
    sink = staging.sink(scoring.format)
    return sink.write_files(table, root, scoring.partition_by, scoring.run_id)


def _unfit(block: Block, scoring: Scoring) -> dict[str, NDArray[np.bool_]]:
    """The rows that cannot be scored, by reason."""
    unfit: dict[str, NDArray[np.bool_]] = {}
    for name, values in zip(scoring.predictor.columns.numeric, block.numeric, strict=True):
        if blocks.has_infinity(values):
            unfit[f"infinite {name}"] = np.isinf(values)
        if not scoring.nulls_allowed and name in scoring.used:
            nulls = np.isnan(values)
            if nulls.any():
                unfit[f"null {name}"] = nulls
    return unfit


def _result(
    table: pa.Table, prediction: Floats, kept: NDArray[np.bool_], scoring: Scoring
) -> pa.Table:
    carried = table.select(scoring.carried).filter(pa.array(kept))
    values = prediction[kept]
    half = scoring.interval
    low, high = (None, None) if half is None else (values - half, values + half)
    constants = (scoring.model_version, scoring.run_id, scoring.scored_at)
    columns = [
        pa.nulls(len(values), field.type) if column is None else pa.array(column, field.type)
        for column, field in zip((values, low, high), list(RESULT)[:3], strict=True)
    ] + [
        pa.repeat(pa.scalar(value, field.type), len(values))
        for value, field in zip(constants, list(RESULT)[3:], strict=True)
    ]
    return _appended(carried, RESULT, columns)


def _quarantined(
    rows: blocks.Rows, file: str, unfit: dict[str, NDArray[np.bool_]], scoring: Scoring
) -> pa.Table:
    bad = np.flatnonzero(np.any(list(unfit.values()), axis=0))
    reasons = [next(r for r, chosen in unfit.items() if chosen[row]) for row in bad]
    carried = rows.table.select(scoring.carried).take(pa.array(bad))
    columns = [
        pa.array(reasons, pa.string()),
        pa.repeat(pa.scalar(file, pa.string()), len(bad)),
        pa.array(rows.positions[bad]),
        pa.repeat(pa.scalar(scoring.run_id, pa.string()), len(bad)),
    ]
    return _appended(carried, QUARANTINE, columns)


def _appended(table: pa.Table, fields: pa.Schema, columns: Sequence[pa.Array]) -> pa.Table:
    for field, column in zip(fields, columns, strict=True):
        table = table.append_column(field, column)
    return table


def _watch(
    watched: Watched,
    table: pa.Table,
    block: Block,
    prediction: Floats,
    kept: NDArray[np.bool_],
    scoring: Scoring,
) -> None:
    columns = scoring.predictor.columns
    for key, chosen in _by_partition(table, scoring.partition_by):
        rows = chosen[kept[chosen]]
        features = watched.setdefault(key, {})
        found = {PREDICTION: d.of_numbers(prediction[rows], scoring.watched[PREDICTION].edges)}
        for name, values in zip(columns.numeric, block.numeric, strict=True):
            if name in scoring.watched:
                found[name] = d.of_numbers(values[rows], scoring.watched[name].edges)
        for category, codes in zip(columns.categories, block.codes, strict=True):
            if category.name in scoring.watched:
                found[category.name] = d.of_codes(codes[rows], category.width)
        for name, current in found.items():
            features[name] = d.merge(features[name], current) if name in features else current


def _by_partition(
    table: pa.Table, partition_by: Sequence[str]
) -> list[tuple[staging.Partition, NDArray[np.intp]]]:
    """The rows of each output partition that the table has rows of."""
    groups: list[tuple[staging.Partition, NDArray[np.intp]]] = [((), np.arange(table.num_rows))]
    for name in partition_by:
        column = table.column(name)
        finer: list[tuple[staging.Partition, NDArray[np.intp]]] = []
        for key, rows in groups:
            texts, index = blocks.levels(column.take(pa.array(rows)))
            finer += [((*key, (name, t)), rows[index == i]) for i, t in enumerate(texts)]
        groups = finer
    return groups
