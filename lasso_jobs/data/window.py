"""Finds the newest period of a dataset, and the filter that keeps the last so many days of it.

The newest period is one of the data, not of the clock: the same data have the same window on any
day. Of a column of folders' names it is in the listing, and the files outside the window are not
opened; of a column inside the files it is in their footers' statistics. No row is read.
"""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from typing import Any

from lasso_jobs.data import condition as c
from lasso_jobs.data.columns.file_columns import SharedColumns
from lasso_jobs.data.discover import FOOTER_THREADS, Listing
from lasso_jobs.data.listing import Constants, ListedFile
from lasso_jobs.data.parquet_file import read_footer
from lasso_jobs.data.times import duration, is_date
from lasso_jobs.data.where import Condition
from lasso_jobs.errors import DataError, JobError
from lasso_jobs.storage import files as storage

KEY = "data.window"
_DAY = 86_400e6
Period = date | datetime | int


@dataclass(frozen=True, slots=True)
class Window:
    """The last part of a dataset.

    Parameters
    ----------
    column : str
        Of the periods.
    newest : str
        The newest of them, or where the filter of the rows ends if that is earlier.
    where : str
        The filter that keeps the window.
    """

    column: str
    newest: str
    where: str


def constant_of_dates(constants: Sequence[Constants]) -> str | None:
    """The first column of the folders' names that has dates; None if there is none.

    Parameters
    ----------
    constants : sequence
        Of each file.
    """
    known = [dict(own) for own in constants]
    for name in dict.fromkeys(name for own in known for name in own):
        values = [own.get(name) for own in known]
        if None not in values and any(is_date(str(value)) for value in values):
            return name
    return None


def window_of(
    path: str,
    where: Sequence[Condition],
    version: int | None,
    *,
    width: str | int,
    period: str | None = None,
    time: str | None = None,
) -> Window:
    """The window of a dataset.

    Parameters
    ----------
    path, where, version
        As for `lasso_jobs.data.discover.discover`.
    width : str or int
        A duration such as ``180d``, or of periods that are numbers, how many of them.
    period, time : str, optional
        The columns that the job names; a date in the folders' names comes between them.

    Raises
    ------
    LassoJobsError
        If no period is known, or the width is not of its unit.

    Examples
    --------
    >>> window_of("data", (), None, width="2d").where
    "day >= '2024-03-02'"
    """
    files = Listing.of(path, version).found(where)
    constants = [file.constants for file in files]
    column = period or constant_of_dates(constants) or time
    if column is None:
        raise JobError(
            KEY,
            f"is {width!r}, and no column of periods is known",
            "a date in the folders' names, or period, or search.split.time",
            "Name the column in period, or filter the rows with data.where",
        )
    if any(column in dict(own) for own in constants):
        scalars = (dict(own).get(column) for own in constants)
        found: list[Any] = [scalar.as_py() for scalar in scalars if scalar is not None]
    else:
        found = _newest_of_footers(files, column)
    place = f"{path}, {KEY}, column {column!r}"
    periods = [_period(place, value) for value in found if value is not None]
    if not periods or len({type(value) for value in periods}) > 1:
        raise DataError(place, "has no values of one kind", "dates, times or integers", _NAME)
    newest = min([max(periods), *_ends(where, column, max(periods))])
    return Window(column, str(newest), _filter(column, newest, width))


_NAME = "Name another column in period, or filter the rows with data.where"


def _newest_of_footers(files: Sequence[ListedFile], column: str) -> list[Any]:
    """The largest value of each row group; none if no file has the column."""
    with ThreadPoolExecutor(FOOTER_THREADS) as pool:
        of_files = pool.map(partial(_largest, column=column, shared=SharedColumns()), files)
        return [value for values in of_files for value in values]


def _largest(file: ListedFile, column: str, shared: SharedColumns) -> list[Any]:
    if file.fault is not None:
        raise file.fault
    metadata, _ = read_footer(file.path, storage.state(file.path), shared)
    names = [metadata.schema.column(j).path for j in range(metadata.num_columns)]
    if column not in names:
        return []
    values = []
    for i in range(metadata.num_row_groups):
        chunk = metadata.row_group(i).column(names.index(column))
        statistics = chunk.statistics
        if statistics is not None and statistics.has_min_max:
            values.append(statistics.max)
        elif statistics is None or statistics.num_values:
            raise DataError(
                f"{file.path}, {KEY}, column {column!r}",
                "has no statistics in the file's footer, which would tell its newest value",
                "a file written with statistics, or a date in the folders' names",
                "Filter the rows with data.where",
            )
    return values


def _period(place: str, value: Any) -> Period:
    """A value as a date, a time or an integer; of texts, the day."""
    if isinstance(value, str) and is_date(value[:10]):
        return date.fromisoformat(value[:10])
    if isinstance(value, date | int) and not isinstance(value, bool):
        return value
    raise DataError(place, f"has the value {value!r}", "dates, times or integers", _NAME)


def _ends(where: Iterable[Condition], column: str, like: Period) -> Iterator[Period]:
    """Where the filter ends the periods; times of other kinds are left to the filter itself."""
    for condition in where:
        match condition.tree:
            case c.Comparison(operator="<" | "<=" as operator, other=c.Constant(value=value)):
                pass
            case _:
                continue
        if condition.columns != {column}:
            continue
        try:
            end = _period("", value)
        except DataError:
            continue
        if isinstance(like, datetime) and type(end) is date:
            end = datetime.combine(end, time(), like.tzinfo)
        if type(end) is not type(like):
            continue
        if isinstance(end, datetime) and isinstance(like, datetime):
            if (end.tzinfo is None) == (like.tzinfo is None):
                yield end - timedelta(microseconds=operator == "<")
        elif isinstance(end, date):
            yield end - timedelta(days=operator == "<")
        else:
            yield end - (operator == "<")


def _filter(column: str, newest: Period, width: str | int) -> str:
    """The periods after the newest less the width; of times, whole days begin at midnight."""
    name, micros = c.column(column), duration(width) if isinstance(width, str) else None
    if isinstance(newest, int):
        if isinstance(width, str):
            raise _misfit(column, width, "numbers", "a number of periods")
        return f"{name} > {newest - width}"
    if micros is None:
        raise _misfit(column, width, "dates or times", "a duration such as 180d or 26w")
    days, rest = divmod(micros, _DAY)
    zone = ""
    if isinstance(newest, datetime) and newest.tzinfo is not None:
        newest, zone = newest.astimezone(UTC).replace(tzinfo=None), "Z"
    try:
        if not isinstance(newest, datetime):
            if rest:
                raise _misfit(column, width, "days", "a number of whole days")
            return f"{name} >= '{newest - timedelta(days - 1)}'"
        if rest:
            after = newest - timedelta(microseconds=micros)
            return f"{name} > '{after.isoformat()}{zone}'"
        start = datetime.combine(newest.date() - timedelta(days - 1), time())
        return f"{name} >= '{start.isoformat()}{zone}'"
    except OverflowError:
        raise _misfit(column, width, f"{newest} as its newest", "a shorter window") from None


def _misfit(column: str, width: str | int, kind: str, expected: str) -> JobError:
    return JobError(KEY, f"is {width!r}, and {column!r} has {kind}", expected, "Write it so")
