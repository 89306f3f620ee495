"""Defines the drift table: its rows and columns, how it is read, and the nights of its partitions.

A run has a row for each feature of each partition that it scored, and of each segment.
"""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import pyarrow as pa

from lasso_jobs.core.drift.drift import NAN, Drift
from lasso_jobs.data.columns.new_columns import of_values
from lasso_jobs.data.times import is_date
from lasso_jobs.drift.watch import Run
from lasso_jobs.sinks import delta, run_table
from lasso_jobs.sinks.protocol import Partition

_LISTS = {
    "bins": pa.list_(pa.string()),
    "counts": pa.list_(pa.int64()),
    "reference_shares": pa.list_(pa.float64()),
}
_TYPES = {
    **dict.fromkeys(
        ("feature", "kind", "raised", "verdict", "reason", "acknowledged", "unseen_season"),
        pa.string(),
    ),
    **dict.fromkeys(("n", "n_nonfinite"), pa.int64()),
    **_LISTS,
}
_OF_RUN = pa.schema(
    [
        ("run_id", pa.string()),
        ("scored_at", pa.timestamp("us", "UTC")),
        *((name, pa.string()) for name in ("model", "model_version", "partition", "segment")),
    ]
)
_OF_DRIFT = pa.schema(
    [(field.name, _TYPES.get(field.name, pa.float64())) for field in dataclasses.fields(Drift)]
)
SCHEMA = pa.schema([*_OF_RUN, *_OF_DRIFT])
_PAST = (
    *_OF_RUN.names,
    *("feature", "kind", "n", "mean", "score_shift", "psi", "missing_share", "unseen_share"),
    *("shift_limit", "psi_limit", "missing_limit", "raised", "verdict"),
)
"""What is read of the runs before one."""
_SINCE = (
    *("net_shift", "shift_share", "acknowledged"),
    *("usual_shift", "ewma_shift", "ewma_limit", "unseen_season", "sd"),
)
"""What is read besides, where the table has it: all but the last are not in older tables."""
_COUNTS = ("counts",)
"""What is read besides, to pool runs that are small."""


@dataclass(frozen=True, slots=True)
class DriftRow:
    """The drift of one feature in one partition of a run, or in a segment of it.

    Parameters
    ----------
    run : Run
    partition : str
        As `partition_name` writes it.
    segment : str
        COLUMN=VALUE; empty for the whole partition.
    drift : Drift
    """

    run: Run
    partition: str
    segment: str
    drift: Drift

    def as_values(self) -> dict[str, Any]:
        """The row without its run, for JSON; what is not defined is None."""
        return {"partition": self.partition, "segment": self.segment, **self.drift.as_values()}


def as_table(rows: Sequence[DriftRow]) -> pa.Table:
    """Rows as the table has them; what is not defined is null."""
    of_run = [
        (r.run.id, r.run.scored_at, r.run.model, r.run.model_version, r.partition, r.segment)
        for r in rows
    ]
    columns = [list(column) for column in zip(*of_run, strict=True)] or [[]] * len(_OF_RUN)
    columns += [[getattr(row.drift, name) for row in rows] for name in _OF_DRIFT.names]
    arrays = [of_values(column, field.type) for column, field in zip(columns, SCHEMA, strict=True)]
    return pa.table(arrays, schema=SCHEMA)


def row_of(values: Mapping[str, Any]) -> DriftRow:
    """A row from its columns; those of the statistics may be left out."""
    run = Run(values["run_id"], values["model"], values["model_version"], values["scored_at"])
    statistics: dict[str, Any] = {
        name: _defined(name, values[name]) for name in _OF_DRIFT.names if name in values
    }
    return DriftRow(run, values["partition"], values["segment"], Drift(**statistics))


def _defined(name: str, value: Any) -> Any:
    if name in _LISTS:
        return tuple(value or ())
    if name in ("acknowledged", "unseen_season"):
        return value or ""
    return NAN if value is None else value


def lacks(root: str) -> list[str]:
    """Columns that a table does not have: one of an older version, or another table."""
    known = run_table.read_rows(root, SCHEMA.names, "run_id", ()).column_names
    return [name for name in SCHEMA.names if name not in (*known, *_SINCE)]


def rows_of_run(root: str, run_id: str) -> list[DriftRow]:
    """All rows of a run."""
    rows = run_table.read_rows(root, SCHEMA.names, "run_id", [run_id])
    return [row_of(values) for values in rows.to_pylist()]


def past_rows(root: str, run: Run | None = None, *, counts: bool = False) -> list[DriftRow]:
    """What the table has of whole partitions: of a run's version of its model, or of all.

    Statistics that no history needs are left out (counts of bins unless they are asked for), and
    rows of an older version of the table. A table that is not there, or lacks columns, has no past.
    """
    if not delta.exists(root):
        return []
    equal = {"segment": ""}
    if run is not None:
        equal |= {"model": run.model, "model_version": run.model_version}
    columns = (*_PAST, *(_COUNTS if counts else ()))
    rows = run_table.read_where(root, columns, equal, perhaps=_SINCE)
    return [row_of(values) for values in rows.to_pylist() if values["raised"] is not None]


def as_read_back(rows: Sequence[DriftRow], *, counts: bool = False) -> list[DriftRow]:
    """Rows of a run as `past_rows` reads them, once the table has them."""
    names = [*_PAST, *_SINCE, *(_COUNTS if counts else ())]
    whole = as_table([row for row in rows if not row.segment]).select(names)
    return [row_of(values) for values in whole.to_pylist()]


def partition_name(key: Partition) -> str:
    """A partition as the table has it.

    Examples
    --------
    >>> partition_name((("date", "2013-10-01"), ("store", None)))
    'date=2013-10-01/store=None'
    >>> partition_name(())
    'all'
    """
    return "/".join(f"{column}={value}" for column, value in key) or "all"


@cache
def night_of(partition: str) -> str | None:
    """The day, month or hour that a partition's first column names, in ISO form; None for none.

    Nights sort by time. Six digits are no month, as they could be any number.

    Examples
    --------
    >>> night_of("date=2013-10-01/store=a"), night_of("day=20131001")
    ('2013-10-01', '2013-10-01')
    >>> night_of("hour=2013-10-01 05"), night_of("month=2013-10")
    ('2013-10-01T05', '2013-10')
    >>> night_of("store=a") is None
    True
    """
    return night(partition.partition("/")[0].partition("=")[2])


def series_of(partition: str) -> str:
    """What a partition has in common with those of other nights.

    Examples
    --------
    >>> series_of("date=2013-10-01/store=a")
    'date/store=a'
    >>> series_of("store=a")
    'store=a'
    """
    first, _, rest = partition.partition("/")
    return partition if night_of(partition) is None else f"{first.partition('=')[0]}/{rest}"


_MONTH = re.compile(r"\d{4}-(0[1-9]|1[0-2])")
_COMPACT = re.compile(r"((?:19|20)\d\d)(\d\d)(\d\d)")
_TIME = re.compile(r"[T ]\d\d(:\d\d(:\d\d(\.\d+)?)?)?(Z|[+-]\d\d:?\d\d)?")


def night(text: str) -> str | None:
    """A day, month or hour in ISO form; None if the text is none."""
    if _MONTH.fullmatch(text):
        return text
    text = _COMPACT.sub(r"\1-\2-\3", text) if _COMPACT.fullmatch(text) else text
    day, time = text[:10], text[10:]
    if is_date(day) and (not time or _TIME.fullmatch(time)):
        return f"{day}{time.replace(' ', 'T')}"
    return None
