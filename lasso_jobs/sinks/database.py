"""Connects to PostgreSQL, and runs statements on the tables of one output."""

import os
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pyarrow as pa

from lasso_jobs.errors import OutputError
from lasso_jobs.storage import remote

VARIABLE = "LASSO_JOBS_POSTGRESQL_URI"
CONNECT_AGAIN_SECONDS = (1.0, 4.0)
"""How long to wait before a server that does not answer is called again: one may be restarting."""
_PASSING_STATES = ("08", "53", "57P", "40001", "40P01", "55P03")
"""SQLSTATE: lost connections, lack of resources, shutdowns, serialisation, deadlocks, locks."""
_IS_AWAY = re.compile(
    r"refused|reset by peer|timed? ?out|could not translate host name|no route to host|unreachable"
    r"|closed the connection|terminating connection|is (starting up|shutting down)"
    r"|not yet accepting|in recovery mode|too many (clients|connections)|no connection"
    r"|could not (receive|send) data|SSL SYSCALL|broken pipe",
    re.IGNORECASE,
)
_ROOT = re.compile(r"(?:([a-z_][a-z0-9_]{0,62})\.)?([a-z_][a-z0-9_]{0,54})")


class Session:
    """A connection, and the tables of one output."""

    def __init__(self, root: str, connection: Any, cursor: Any) -> None:
        match = _ROOT.fullmatch(root)
        if match is None:
            expected = "TABLE or SCHEMA.TABLE, of at most 55 lower-case letters, digits and _"
            raise OutputError(root, "is no name of a table", expected, "Correct output.path")
        self.connection, self.cursor = connection, cursor
        self.namespace, self.name = match[1] or "public", match[2]
        self.table = f'"{self.namespace}"."{self.name}"'
        self.log = f'"{self.namespace}"."{self.name}_commits"'

    def run(self, statement: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Execute a statement; return its rows."""
        self.cursor.execute(statement, tuple(values) or None)
        return list(self.cursor.fetchall()) if self.cursor.description else []

    def has(self, table: str) -> bool:
        """Whether there is such a table."""
        return bool(self.run("SELECT to_regclass($1::text) IS NOT NULL", [table])[0][0])

    def types(self, table: str | None = None) -> dict[str, str]:
        """The columns of a table and their types."""
        columns = self.run(
            "SELECT attname::text, format_type(atttypid, atttypmod) FROM pg_attribute"
            " WHERE attrelid = to_regclass($1::text) AND attnum > 0 AND NOT attisdropped",
            [table or self.table],
        )
        return dict(columns)

    def shape(self, schema: pa.Schema) -> None:
        """Make an empty table of these columns, which the end of the session takes away."""
        self.cursor.adbc_ingest("lasso_shape", schema.empty_table(), mode="create", temporary=True)


@contextmanager
def connected(root: str) -> Iterator[Session]:
    """Open a session; failures of the database become an `OutputError`, without the password."""
    try:
        from adbc_driver_manager import Error
        from adbc_driver_postgresql import dbapi
    except ImportError as error:
        found, expected = "the PostgreSQL driver is not installed", "the extra 'postgresql'"
        remedy = "Run pip install 'lasso_jobs[postgresql]', on the workers too"
        raise OutputError(root, found, expected, remedy) from error
    uri = os.environ.get(VARIABLE)
    if not uri:
        found = f"the environment variable {VARIABLE} is not set"
        expected = "postgresql://USER:PASSWORD@HOST:PORT/DATABASE in it"
        raise OutputError(root, found, expected, "Set it, on the workers too")
    _check_encoding(root, uri)
    try:
        with _opened(dbapi, uri) as connection, connection.cursor() as cursor:
            yield Session(root, connection, cursor)
    except Error as error:
        found = remote.one_line(error)
        remedy = "Mend what the database says, then run this again; the table is as it was"
        # Not chained: the text of the original may hold the password.
        helps, expected = _waiting_helps(error), "a database that can be written to"
        raise OutputError(root, found, expected, remedy, transient=helps) from None


def _opened(dbapi: Any, uri: str) -> Any:
    """A connection; a server that does not answer is called again."""
    for seconds in CONNECT_AGAIN_SECONDS:
        try:
            return dbapi.connect(uri)
        except dbapi.Error as error:
            if not _waiting_helps(error):
                raise
            time.sleep(seconds)
    return dbapi.connect(uri)


def _waiting_helps(error: Any) -> bool:
    """Whether a failure of the database may pass by itself, as when its server restarts."""
    state = (getattr(error, "sqlstate", None) or "").strip("\0")
    if state and not state.startswith("08"):
        return state.startswith(_PASSING_STATES)
    return bool(_IS_AWAY.search(str(error)))


def _check_encoding(root: str, uri: str) -> None:
    """Refuse a URI whose password has been written as it is: it would be taken apart wrongly."""
    _, is_uri, rest = uri.partition("://")
    user, at, host = rest.partition("?")[0].partition("@")
    if is_uri and at and ("@" in host or "/" in user):
        raise OutputError(
            root,
            f"the user or password in {VARIABLE} has an @ or a / that is not encoded",
            "postgresql://USER:PASSWORD@HOST:PORT/DATABASE, with %40 for @ and %2F for / in each",
            "Encode it, on the workers too",
        )
