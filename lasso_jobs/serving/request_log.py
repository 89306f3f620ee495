"""Logs requests to Parquet in batches, in the form of scored rows: `monitor` and `score` take them.

Scored rows go to ``<folder>/scored_on=YYYY-MM-DD/``, and those that could not be scored, with their
reasons, to ``<folder>-quarantine``. A file is whole or absent. Rows wait in a buffer until there
are enough of them for a file, or until they have waited long enough; what a killed process had in
its buffer is lost.
"""

import io
import os
import threading
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from lasso_jobs import escape
from lasso_jobs.data import arrays
from lasso_jobs.data.columns.keys import as_key
from lasso_jobs.errors import JobError, OutputError
from lasso_jobs.serving.answer import Answer, ServedModel
from lasso_jobs.storage import files as storage
from lasso_jobs.storage.failures import as_output_error

FILE_ROWS = 20_000
"""Rows that make a file."""
MOST_ROWS = 200_000
"""Rows that wait at most; more are left out, and counted."""
DAY = "scored_on"
OWN = (
    *("request_id", "row", "prediction", "prediction_low", "prediction_high"),
    *("model_version", "scored_at", "reason", "column", DAY),
)
"""The columns that the log adds to the fields of a request."""


@dataclass(frozen=True, slots=True)
class LoggedRequest:
    """A request that was answered, and when."""

    answer: Answer
    request_id: str
    at: datetime


Group = list[LoggedRequest]
Mask = NDArray[np.bool_]


class RequestLog:
    """A folder of logged requests, and the rows that wait for it.

    Parameters
    ----------
    folder : str
        A path or a URI.
    keys : sequence of str
        Fields that are logged as text.
    """

    def __init__(self, folder: str, keys: Sequence[str] = ()) -> None:
        self.folder, self.keys = folder.rstrip("/"), tuple(keys)
        self._lock, self._writing = threading.Lock(), threading.Lock()
        self._waiting: list[LoggedRequest] = []
        self.n_waiting = 0
        self.trouble: str | None = None

    def check(self, served: ServedModel) -> None:
        """Refuse a model whose fields have names that the log's own columns have.

        Raises
        ------
        JobError
        """
        if taken := [each.name for each in served.fields if each.name in OWN]:
            raise JobError(
                "--log-requests",
                f"{served.registered.reference} has a field {taken[0]!r}, as the log has itself",
                f"fields other than {', '.join(OWN)}",
                "Serve it without --log-requests, or with other --keys",
            )

    def add(self, answer: Answer, request_id: str) -> bool:
        """Take the rows of a request; False if too many wait already."""
        logged = LoggedRequest(answer, request_id, datetime.now(UTC))
        with self._lock:
            if self.n_waiting + answer.table.num_rows > MOST_ROWS:
                return False
            self._waiting.append(logged)
            self.n_waiting += answer.table.num_rows
        return True

    @property
    def is_due(self) -> bool:
        """Whether there are enough rows for a file."""
        return self.n_waiting >= FILE_ROWS

    def flush(self) -> int:
        """Write the rows that wait; if that fails, they wait on, and `trouble` says why.

        Returns
        -------
        int
            How many were written.
        """
        written = 0
        with self._writing:
            with self._lock:
                batch, self._waiting = self._waiting, []
            groups = _groups(batch)
            try:
                while groups:
                    self._write(groups[-1])
                    written += _n_rows(groups.pop())
                self.trouble = None
            except Exception as error:  # noqa: BLE001 - the rows wait on, whatever it is
                known = isinstance(error, OutputError)
                said = str(error) if known else escape.line(f"{type(error).__name__}: {error}")
                self.trouble = said
            with self._lock:
                self._waiting = [each for group in groups for each in group] + self._waiting
                self.n_waiting -= written
        return written

    def _write(self, requests: Group) -> None:
        """Write the files of some requests: all of them or, as far as that can be done, none."""
        table, bad = _table(requests, self.keys), _bad_rows(requests)
        first = requests[0].at
        name = f"{first:%H%M%S}-{os.getpid()}-{uuid.uuid4().hex[:12]}.parquet"
        written: list[str] = []
        for root, rows in (
            (f"{self.folder}-quarantine", _with_reasons(table, requests, bad)),
            (self.folder, _taken(table, ~bad)),
        ):
            if rows.num_rows:
                place = storage.join(root, f"{DAY}={first:%Y-%m-%d}", name)
                try:
                    _create(place, rows)
                except OutputError:
                    with suppress(OSError):
                        for earlier in written:
                            storage.remove(earlier)
                    raise
                written.append(place)


def _groups(batch: Sequence[LoggedRequest]) -> list[Group]:
    """Requests that share a file: of one day, with columns of the same types."""
    groups: dict[object, Group] = {}
    for each in batch:
        # As text: of a schema, a hash takes longer than all else here.
        types = each.answer.table.schema.to_string()
        groups.setdefault((each.at.date(), types), []).append(each)
    return list(groups.values())


def _n_rows(requests: Group) -> int:
    return sum(each.answer.table.num_rows for each in requests)


def _table(requests: Sequence[LoggedRequest], keys: Sequence[str]) -> pa.Table:
    """The rows of requests of the same columns, with the log's own columns."""
    sizes = [each.answer.table.num_rows for each in requests]
    table = pa.concat_tables([each.answer.table for each in requests]).combine_chunks()
    moments = [int(each.at.timestamp() * 1e6) for each in requests]
    answers = [each.answer for each in requests]
    at = arrays.array(np.repeat(moments, sizes)).view(pa.timestamp("us", "UTC"))
    own = {
        "request_id": _repeated([each.request_id for each in requests], sizes),
        "row": arrays.array(np.concatenate([np.arange(n) for n in sizes])),
        "prediction": arrays.array(np.concatenate([a.prediction for a in answers])),
        "prediction_low": _bounds([a.low for a in answers], sizes),
        "prediction_high": _bounds([a.high for a in answers], sizes),
        "model_version": _repeated([a.model_version for a in answers], sizes),
        "scored_at": at,
    }
    return pa.table(
        [*(_column(table, name, keys) for name in table.column_names), *own.values()],
        names=[*table.column_names, *own],
    )


def _column(table: pa.Table, name: str, keys: Sequence[str]) -> pa.ChunkedArray:
    """A column; keys as text, which equals numbers and dates of other tables by value."""
    column = table[name]
    if name not in keys or pa.types.is_null(column.type):
        return column
    return as_key(column, pa.string())


def _repeated(texts: Sequence[str], sizes: Sequence[int]) -> pa.Array:
    return pa.array(texts, pa.string()).take(arrays.array(np.repeat(np.arange(len(texts)), sizes)))


def _bounds(bounds: Sequence[object], sizes: Sequence[int]) -> pa.Array:
    """A bound of the intervals; null of versions that have none."""
    parts = [
        pa.nulls(n, pa.float64()) if b is None else arrays.array(np.asarray(b))
        for b, n in zip(bounds, sizes, strict=True)
    ]
    return pa.chunked_array(parts, pa.float64()).combine_chunks()


def _bad_rows(requests: Sequence[LoggedRequest]) -> Mask:
    masks = []
    for each in requests:
        mask = np.zeros(each.answer.table.num_rows, bool)
        mask[list(each.answer.reasons)] = True
        masks.append(mask)
    return np.concatenate(masks)


def _with_reasons(table: pa.Table, requests: Sequence[LoggedRequest], bad: Mask) -> pa.Table:
    reasons = [reason for each in requests for _, reason in sorted(each.answer.reasons.items())]
    rows = _taken(table, bad)
    rows = rows.drop_columns(["prediction", "prediction_low", "prediction_high"])
    rows = rows.append_column("reason", pa.array([code for code, _ in reasons], pa.string()))
    return rows.append_column("column", pa.array([name for _, name in reasons], pa.string()))


def _taken(table: pa.Table, chosen: Mask) -> pa.Table:
    return table.take(arrays.array(np.flatnonzero(chosen)))


def _create(place: str, table: pa.Table) -> None:
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    with as_output_error(place, "room and the right to write there", "Make room or give access"):
        storage.create(place, buffer.getvalue())
