"""Joins a batch of scored rows with their outcomes, on a worker, and tallies the errors.

A batch is as many scored rows as fit in memory. Outcomes are streamed past it, so that their number
does not matter: one number for each scored row is kept of them.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lasso_jobs.core.drift import outcomes as o
from lasso_jobs.core.rows import buckets as b
from lasso_jobs.core.rows.moments import Floats
from lasso_jobs.data import arrays, blocks
from lasso_jobs.data.columns.keys import as_key
from lasso_jobs.data.columns.kinds import NUMBERS, kind_of
from lasso_jobs.data.dataset import Piece
from lasso_jobs.data.times import has_zones, times
from lasso_jobs.errors import DataError
from lasso_jobs.monitoring.known_outcomes import (
    ORDER,
    OUTCOME,
    POSITION,
    PREDICTED,
    KnownOutcomes,
    TallyKey,
    tallies,
    text_of,
)
from lasso_jobs.monitoring.settings import Batch, JoinSettings, as_period, compared

SHOWN_KEYS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinedErrors:
    """The errors of a batch, or of several together.

    Parameters
    ----------
    tallies : dict
    n_unpredicted : dict of str to int
        Outcomes without a prediction, by period, if the keys have it.
    n_repeated : int
        Outcomes that a row had more than one of.
    n_outcomes : int
        All that are known.
    some_scored, some_known : tuple of str
        The keys of a few scored rows, and of a few outcomes.
    """

    tallies: dict[TallyKey, o.Tally]
    n_unpredicted: dict[str, int]
    n_repeated: int
    n_outcomes: int
    some_scored: tuple[str, ...]
    some_known: tuple[str, ...]


_NOTHING = JoinedErrors(
    tallies={}, n_unpredicted={}, n_repeated=0, n_outcomes=0, some_scored=(), some_known=()
)


def join(batch: Batch, settings: JoinSettings) -> JoinedErrors:
    """Join a batch, and tally its errors by period, model version and segment.

    Raises
    ------
    DataError
        If a row has two predictions, or outcomes that differ, or the keys cannot be compared.
    """
    scored = _scored(batch, settings)
    _refuse_twice(batch, scored, settings)
    known = KnownOutcomes(scored.num_rows, settings.order is not None, settings.actuals.segments)
    n_unpredicted: dict[str, int] = {}
    n_outcomes = 0
    some_known: tuple[str, ...] = ()
    labels = _labels(scored, settings)
    for actuals in _in_chunks(batch, _actuals(batch, settings), settings.batch_rows):
        n_outcomes += actuals.num_rows
        some_known = some_known or _some_keys(actuals, settings)
        matched = _matched(scored, actuals, settings)
        rest = matched.filter(pc.is_null(matched[POSITION]))
        if labels:
            texts, index = arrays.levels(rest[compared(settings.period)])
            for text, n in zip(texts, np.bincount(index, minlength=len(texts)), strict=True):
                if text in labels:
                    n_unpredicted[labels[text]] = n_unpredicted.get(labels[text], 0) + int(n)
        known.add(matched.filter(pc.is_valid(matched[POSITION])))
    _refuse_differing(batch, scored, known.differing, settings)
    tallied = tallies(scored, known, settings.period, settings.scores.segments)
    return JoinedErrors(
        tallies=tallied,
        n_unpredicted=n_unpredicted,
        n_repeated=known.n_repeated,
        n_outcomes=n_outcomes,
        some_scored=_some_keys(scored, settings),
        some_known=some_known,
    )


def _labels(scored: pa.Table, settings: JoinSettings) -> dict[str | None, str]:
    """The names of the scored rows' periods, by the text of their key; none if it is no key."""
    if settings.period not in settings.keys:
        return {}
    keys, of_key = arrays.levels(scored[compared(settings.period)])
    names, of_name = arrays.levels(scored[settings.period])
    first = dict(zip(of_key[::-1].tolist(), of_name[::-1].tolist(), strict=True))
    return {keys[key]: text_of(names[name]) for key, name in first.items()}


def _some_keys(rows: pa.Table, settings: JoinSettings) -> tuple[str, ...]:
    few = rows.select([*settings.keys]).slice(0, SHOWN_KEYS).to_pylist()
    return tuple(", ".join(f"{name} {value}" for name, value in row.items()) for row in few)


def _scored(batch: Batch, settings: JoinSettings) -> pa.Table:
    names = list(
        dict.fromkeys([*settings.keys, settings.period, *settings.scores.segments, *PREDICTED])
    )
    read = [
        _own(_comparable(piece, _with_usual(piece, rows.table), settings), batch, settings)
        for piece in batch.scores
        for rows in blocks.read(piece, names, settings.scores.where)
    ]
    table = _together(read, batch.scores[0])
    place = table.schema.get_field_index(settings.period)
    table = table.set_column(place, settings.period, as_period(table[settings.period]))
    return table.append_column(POSITION, pa.array(np.arange(table.num_rows)))


def _with_usual(piece: Piece, table: pa.Table) -> pa.Table:
    """The scored rows, once their predictions are known to be numbers that can be squared."""
    for name in PREDICTED[:3]:
        where = f"{piece.file.path}, column {name!r}"
        remedy = "Score these rows again, or filter them with scores.where"
        arrays.check_range(where, arrays.numbers(table[name]), remedy=remedy)
    return table


def _actuals(batch: Batch, settings: JoinSettings) -> Iterator[pa.Table]:
    """Outcomes that are known; null is not."""
    more = [settings.order] if settings.order else []
    names = list(
        dict.fromkeys([*settings.keys, settings.target, *settings.actuals.segments, *more])
    )
    zoned: frozenset[bool] = frozenset()
    for piece in batch.actuals:
        for rows in blocks.read(piece, names, settings.actuals.where):
            table = _own(_comparable(piece, rows.table, settings), batch, settings)
            values = arrays.numbers(table[settings.target])
            remedy = "Mend the file, or filter the rows with actuals.where"
            where = f"{piece.file.path}, target {settings.target!r}"
            arrays.check_range(where, values, remedy=remedy)
            own = (*settings.keys, *settings.compared, *settings.actuals.segments)
            columns = {name: table[name] for name in own}
            columns[OUTCOME] = pa.array(values)
            if settings.order:
                zoned |= has_zones(table[settings.order])
                _refuse_some_zones(piece, settings.order, zoned)
                columns[ORDER] = pa.array(_order(piece, table, settings.order))
            known = pa.array(~np.isnan(values))
            yield pa.table(columns).filter(known)


def _refuse_some_zones(piece: Piece, name: str, zoned: frozenset[bool]) -> None:
    """Refuse times of which some have a zone: without one, a time may be any of many instants."""
    if len(zoned) > 1:
        raise DataError(
            f"{piece.file.path}, duplicates, column {name!r}",
            "has texts of times with a zone, or without one, unlike others before",
            "a zone in all of them, or in none",
            "Write the times in one way, or name another column",
        )


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


def _own(table: pa.Table, batch: Batch, settings: JoinSettings) -> pa.Table:
    """The rows of the batch's periods and part."""
    if batch.periods is not None:
        texts, index = arrays.levels(table[compared(settings.period)])
        own = np.array([text in batch.periods for text in texts] or [False])[index]
        table = table if own.all() else table.filter(pa.array(own))
    if batch.n_parts > 1:
        hashes = np.zeros(table.num_rows, np.uint64)
        for name in settings.compared:
            hashes = b.remix(hashes ^ _numbered(table[name]))
        table = table.filter(pa.array(hashes % np.uint64(batch.n_parts) == batch.part))
    return table


def _numbered(column: pa.ChunkedArray) -> b.Hashes:
    """A number for each value, the same for equal ones."""
    if kind_of(column.type) in ("integer", "number"):
        return (arrays.numbers(column) + 0.0).view(np.uint64)  # -0.0 is 0.0
    import pandas as pd

    texts = pc.fill_null(pc.cast(column, pa.large_string()), "").to_numpy()
    return np.asarray(pd.util.hash_array(texts, categorize=False))


def _comparable(piece: Piece, table: pa.Table, settings: JoinSettings) -> pa.Table:
    """Without dictionaries, and with the keys as they are compared beside them."""
    for i, field in enumerate(table.schema):
        if pa.types.is_dictionary(field.type):
            table = table.set_column(i, field.name, table[i].cast(field.type.value_type))
    for name, wanted in settings.key_types.items():
        column = table[name]
        try:
            table = table.append_column(compared(name), as_key(column, wanted))
        except pa.ArrowException as error:
            raise DataError(
                f"{piece.file.path}, keys {name!r}",
                f"has type {column.type} ({error})",
                f"values that can be compared as {wanted}, with those of the other table",
                "Convert one of them, or name another key",
            ) from error
    return table


def _together(tables: Sequence[pa.Table], first: Piece) -> pa.Table:
    try:
        try:
            return pa.concat_tables(tables, promote_options="permissive")
        except pa.ArrowException:
            return pa.concat_tables(_alike(tables), promote_options="permissive")
    except pa.ArrowException as error:
        raise DataError(
            first.file.path,
            f"has other types than the files after it ({error})",
            "one type for each column",
            "Convert the files",
        ) from error


def _alike(tables: Sequence[pa.Table]) -> Sequence[pa.Table]:
    """With numbers of types that differ as texts: Arrow joins no integers and narrow decimals."""
    for name in tables[0].column_names:
        types = {table.schema.field(name).type for table in tables}
        if len(types) > 1 and {kind_of(type_) for type_ in types} <= {"boolean", *NUMBERS}:
            tables = [_as_texts(table, name) for table in tables]
    return tables


def _as_texts(table: pa.Table, name: str) -> pa.Table:
    place = table.schema.get_field_index(name)
    return table.set_column(place, name, as_key(table[name], pa.string()))


def _in_chunks(batch: Batch, tables: Iterator[pa.Table], n_rows: int) -> Iterator[pa.Table]:
    waiting: list[pa.Table] = []
    for table in tables:
        waiting.append(table)
        if sum(t.num_rows for t in waiting) >= n_rows:
            yield _together(waiting, batch.actuals[0])
            waiting = []
    if waiting:
        yield _together(waiting, batch.actuals[0])


def _matched(scored: pa.Table, actuals: pa.Table, settings: JoinSettings) -> pa.Table:
    """Each outcome with the positions of its scored rows, or null."""
    right = scored.select([*settings.compared, POSITION])
    return actuals.join(right, settings.compared, join_type="left outer", use_threads=False)


def _refuse_twice(batch: Batch, scored: pa.Table, settings: JoinSettings) -> None:
    by = [*settings.compared, settings.period, "model_version"]
    counted = scored.group_by(by).aggregate([("model_version", "count"), (POSITION, "min")])
    twice = counted.filter(pc.greater(counted["model_version_count"], 1))
    if twice.num_rows:
        named = _named(scored.take(twice[f"{POSITION}_min"]), settings)
        raise DataError(
            batch.scores[0].file.path,
            f"{twice.num_rows:,} rows have more than one prediction, {named}",
            "one for each row of a period and model version",
            "Name all the columns in keys that say which row is which",
        )


def _refuse_differing(
    batch: Batch, scored: pa.Table, differing: NDArray[np.intp], settings: JoinSettings
) -> None:
    if len(differing):
        rows = scored.take(pa.array(differing))
        by = f" at their last {settings.order}" if settings.order else ""
        raise DataError(
            batch.actuals[0].file.path,
            f"{len(differing):,} rows have outcomes that differ{by}, {_named(rows, settings)}",
            "one outcome for each row, which may be repeated",
            "Mend them, or set duplicates to last by COLUMN, with a column that orders them",
        )


def _named(rows: pa.Table, settings: JoinSettings) -> str:
    """The first of some rows, by its keys."""
    chosen = rows.select([*settings.keys]).sort_by([(name, "ascending") for name in settings.keys])
    row = chosen.slice(0, 1).to_pylist()[0]
    return "such as " + ", ".join(f"{name} {value}" for name, value in row.items())


def nothing_joined() -> JoinedErrors:
    """The errors of no batch."""
    return JoinedErrors(
        tallies={}, n_unpredicted={}, n_repeated=0, n_outcomes=0, some_scored=(), some_known=()
    )


def merge(parts: Iterable[JoinedErrors]) -> JoinedErrors:
    """The errors of several batches together, in the given order; there may be none."""
    return reduce(_merge, parts, _NOTHING)


def _merge(left: JoinedErrors, right: JoinedErrors) -> JoinedErrors:
    tallies = dict(left.tallies)
    for key, tally in right.tallies.items():
        tallies[key] = o.merge(tallies[key], tally) if key in tallies else tally
    counts = dict(left.n_unpredicted)
    for period, n in right.n_unpredicted.items():
        counts[period] = counts.get(period, 0) + n
    return JoinedErrors(
        tallies=tallies,
        n_unpredicted=counts,
        n_repeated=left.n_repeated + right.n_repeated,
        n_outcomes=left.n_outcomes + right.n_outcomes,
        some_scored=(*left.some_scored, *right.some_scored)[:SHOWN_KEYS],
        some_known=(*left.some_known, *right.some_known)[:SHOWN_KEYS],
    )
