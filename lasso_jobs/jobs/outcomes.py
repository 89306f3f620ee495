"""Scored rows joined with their outcomes, a batch at a time; runs on a worker.

A batch is so many scored rows as fit in memory. Outcomes are streamed past it, so their number
does not matter; what is kept of them is one number for each scored row.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lasso_jobs.core import buckets as b
from lasso_jobs.core import outcomes as o
from lasso_jobs.core.moments import Floats
from lasso_jobs.data import arrays, blocks, schema
from lasso_jobs.data.dataset import Piece
from lasso_jobs.data.times import times
from lasso_jobs.data.where import Condition
from lasso_jobs.errors import DataError
from lasso_jobs.jobs.known_outcomes import (
    ORDER,
    OUTCOME,
    POSITION,
    PREDICTED,
    Group,
    KnownOutcomes,
    shown,
    tallies,
)


@dataclass(frozen=True, slots=True)
class Joining:
    """How scored rows and outcomes are joined.

    Parameters
    ----------
    keys : tuple of str
    types : tuple of pyarrow.DataType
        Of the keys, in the scored rows.
    target, period : str
    order : str or None
        The column by which the last of several outcomes counts.
    of_scores, of_actuals : tuple of str
        Segments, by the side that has the column.
    scores_where, actuals_where : tuple of Condition
    batch_rows : int
        Outcomes that are looked up together.
    """

    keys: tuple[str, ...]
    types: tuple[pa.DataType, ...]
    target: str
    period: str
    order: str | None
    of_scores: tuple[str, ...]
    of_actuals: tuple[str, ...]
    scores_where: tuple[Condition, ...]
    actuals_where: tuple[Condition, ...]
    batch_rows: int


@dataclass(frozen=True, slots=True)
class Batch:
    """Scored rows that are joined together.

    Parameters
    ----------
    scores, actuals : tuple of Piece
        Where they, and their outcomes, are.
    periods : tuple of (str or None), or None
        Their periods; None for all.
    part, n_parts : int
        The rows are those whose keys' hash falls into this part.
    """

    scores: tuple[Piece, ...]
    actuals: tuple[Piece, ...]
    periods: tuple[str | None, ...] | None
    part: int = 0
    n_parts: int = 1

    def __str__(self) -> str:
        return f"{self.scores[0].file.path}, part {self.part + 1} of {self.n_parts}"


@dataclass(frozen=True, slots=True)
class Joined:
    """What a batch leaves.

    Parameters
    ----------
    tallies : dict
    n_unpredicted : dict of str to int
        Outcomes without a prediction, by period, if the keys have it.
    n_repeated : int
        Outcomes that a row had more than one of.
    """

    tallies: dict[Group, o.Tally]
    n_unpredicted: dict[str, int]
    n_repeated: int


def join(batch: Batch, joining: Joining) -> Joined:
    """Join a batch, and tally its errors by period, model version and segment.

    Raises
    ------
    DataError
        If a row has two predictions, or outcomes that differ, or the keys cannot be compared.
    """
    scored = _scored(batch, joining)
    _refuse_twice(batch, scored, joining)
    found = KnownOutcomes(scored.num_rows, joining.order is not None, joining.of_actuals)
    n_unpredicted: dict[str, int] = {}
    for actuals in _in_chunks(batch, _actuals(batch, joining), joining.batch_rows):
        matched = _matched(scored, actuals, joining)
        rest = matched.filter(pc.is_null(matched[POSITION]))
        if joining.period in joining.keys:
            texts, index = arrays.levels(rest[joining.period])
            for text, n in zip(texts, np.bincount(index, minlength=len(texts)), strict=True):
                n_unpredicted[shown(text)] = n_unpredicted.get(shown(text), 0) + int(n)
        found.add(matched.filter(pc.is_valid(matched[POSITION])))
    _refuse_differing(batch, scored, found.differing, joining)
    tallied = tallies(scored, found, joining.period, joining.of_scores)
    return Joined(tallied, n_unpredicted, found.n_repeated)


def _scored(batch: Batch, joining: Joining) -> pa.Table:
    names = list(dict.fromkeys([*joining.keys, joining.period, *joining.of_scores, *PREDICTED]))
    read = [
        _own(_comparable(piece, rows.table, joining), batch, joining)
        for piece in batch.scores
        for rows in blocks.read(piece, names, joining.scores_where)
    ]
    table = _together(read, batch.scores[0])
    return table.append_column(POSITION, pa.array(np.arange(table.num_rows)))


def _actuals(batch: Batch, joining: Joining) -> Iterator[pa.Table]:
    """Outcomes that are known; null is not."""
    more = [joining.order] if joining.order else []
    names = list(dict.fromkeys([*joining.keys, joining.target, *joining.of_actuals, *more]))
    for piece in batch.actuals:
        for rows in blocks.read(piece, names, joining.actuals_where):
            table = _own(_comparable(piece, rows.table, joining), batch, joining)
            values = arrays.numbers(table[joining.target])
            if arrays.has_infinity(values):
                raise DataError(
                    f"{piece.file.path}, target {joining.target!r}",
                    "has an infinite value",
                    "finite numbers, or nulls where the outcome is not known",
                    "Mend the file, or filter the rows with actuals.where",
                )
            columns = {name: table[name] for name in (*joining.keys, *joining.of_actuals)}
            columns[OUTCOME] = pa.array(values)
            if joining.order:
                columns[ORDER] = pa.array(_order(piece, table, joining.order))
            known = pa.array(~np.isnan(values))
            yield pa.table(columns).filter(known)


def _order(piece: Piece, table: pa.Table, name: str) -> Floats:
    try:
        values = times(table[name])
    except ValueError as error:
        raise DataError(
            f"{piece.file.path}, duplicates, column {name!r}",
            f"cannot be ordered ({error})",
            "dates, timestamps or numbers",
            "Name another column",
        ) from error
    return np.where(np.isnan(values), -np.inf, values)


def _own(table: pa.Table, batch: Batch, joining: Joining) -> pa.Table:
    """The rows of the batch's periods and part."""
    if batch.periods is not None and joining.period in table.column_names:
        texts, index = arrays.levels(table[joining.period])
        own = np.array([text in batch.periods for text in texts] or [False])[index]
        table = table if own.all() else table.filter(pa.array(own))
    if batch.n_parts > 1:
        hashes = np.zeros(table.num_rows, np.uint64)
        for name in joining.keys:
            hashes = b.remix(hashes ^ _numbered(table[name]))
        table = table.filter(pa.array(hashes % np.uint64(batch.n_parts) == batch.part))
    return table


def _numbered(column: pa.ChunkedArray) -> b.Hashes:
    """A number for each value, the same for equal ones."""
    if schema.kind_of(column.type) in ("integer", "number"):
        return (arrays.numbers(column) + 0.0).view(np.uint64)  # -0.0 is 0.0
    import pandas as pd

    texts = pc.fill_null(pc.cast(column, pa.large_string()), "").to_numpy()
    return np.asarray(pd.util.hash_array(texts, categorize=False))


def _comparable(piece: Piece, table: pa.Table, joining: Joining) -> pa.Table:
    """Without dictionaries, and with the keys in the types of the scored rows."""
    for i, field in enumerate(table.schema):
        if pa.types.is_dictionary(field.type):
            table = table.set_column(i, field.name, table[i].cast(field.type.value_type))
    for name, wanted in zip(joining.keys, joining.types, strict=True):
        column, place = table[name], table.schema.get_field_index(name)
        try:
            table = table.set_column(place, name, column.cast(wanted))
        except pa.ArrowException as error:
            raise DataError(
                f"{piece.file.path}, keys {name!r}",
                f"has type {column.type} ({error})",
                f"values that can be compared with {wanted}, as in the scored rows",
                "Convert one of them, or name another key",
            ) from error
    return table


def _together(tables: Sequence[pa.Table], first: Piece) -> pa.Table:
    try:
        return pa.concat_tables(tables, promote_options="permissive")
    except pa.ArrowException as error:
        raise DataError(
            first.file.path,
            f"has other types than the files after it ({error})",
            "one type for each column",
            "Convert the files",
        ) from error


def _in_chunks(batch: Batch, tables: Iterator[pa.Table], n_rows: int) -> Iterator[pa.Table]:
    waiting: list[pa.Table] = []
    for table in tables:
        waiting.append(table)
        if sum(t.num_rows for t in waiting) >= n_rows:
            yield _together(waiting, batch.actuals[0])
            waiting = []
    if waiting:
        yield _together(waiting, batch.actuals[0])


def _matched(scored: pa.Table, actuals: pa.Table, joining: Joining) -> pa.Table:
    """Each outcome with the positions of its scored rows, or null."""
    right = scored.select([*joining.keys, POSITION])
    return actuals.join(right, [*joining.keys], join_type="left outer", use_threads=False)


def _refuse_twice(batch: Batch, scored: pa.Table, joining: Joining) -> None:
    names = list(dict.fromkeys([*joining.keys, joining.period, "model_version"]))
    counted = scored.group_by(names).aggregate([([], "count_all")])
    twice = counted.filter(pc.greater(counted["count_all"], 1))
    if twice.num_rows:
        raise DataError(
            batch.scores[0].file.path,
            f"{twice.num_rows:,} rows have more than one prediction, {_named(twice, joining)}",
            "one for each row of a period and model version",
            "Name all the columns in keys that say which row is which",
        )


def _refuse_differing(
    batch: Batch, scored: pa.Table, differing: NDArray[np.intp], joining: Joining
) -> None:
    if len(differing):
        rows = scored.take(pa.array(differing))
        by = f" at their last {joining.order}" if joining.order else ""
        raise DataError(
            batch.actuals[0].file.path,
            f"{len(differing):,} rows have outcomes that differ{by}, {_named(rows, joining)}",
            "one outcome for each row, which may be repeated",
            "Mend them, or say which counts, with duplicates: last by COLUMN",
        )


def _named(rows: pa.Table, joining: Joining) -> str:
    """The first of some rows, by its keys."""
    chosen = rows.select([*joining.keys]).sort_by([(name, "ascending") for name in joining.keys])
    row = chosen.slice(0, 1).to_pylist()[0]
    return "such as " + ", ".join(f"{name} {value}" for name, value in row.items())


def merge(parts: Iterable[Joined]) -> Joined:
    """What several batches leave together, in the given order."""
    return reduce(_merge, parts)


def _merge(left: Joined, right: Joined) -> Joined:
    tallies = dict(left.tallies)
    for key, tally in right.tallies.items():
        tallies[key] = o.merge(tallies[key], tally) if key in tallies else tally
    counts = dict(left.n_unpredicted)
    for period, n in right.n_unpredicted.items():
        counts[period] = counts.get(period, 0) + n
    return Joined(tallies, counts, left.n_repeated + right.n_repeated)
