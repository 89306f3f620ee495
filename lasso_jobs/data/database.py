"""A connection to PostgreSQL, and the tables of one output there."""

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import unquote

import pyarrow as pa

from lasso_jobs.data import remote
from lasso_jobs.errors import OutputError

VARIABLE = "LASSO_JOBS_POSTGRESQL_URI"
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
        found = self.run(
            "SELECT attname::text, format_type(atttypid, atttypmod) FROM pg_attribute"
            " WHERE attrelid = to_regclass($1::text) AND attnum > 0 AND NOT attisdropped",
            [table or self.table],
        )
        return dict(found)

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
    try:
        with dbapi.connect(uri) as connection, connection.cursor() as cursor:
            yield Session(root, connection, cursor)
    except Error as error:
        found = _without_password(remote.one_line(error), uri)
        remedy = "Mend that, then run this again; the table is as it was"
        # Not chained: the text of the original may hold the password.
        raise OutputError(root, found, "a database that can be written to", remedy) from None


def _without_password(text: str, uri: str) -> str:
    found = re.findall(r"//[^/@]*?:([^/]*)@|password=('[^']*'|[^\s&]*)", uri)
    for password in {part.strip("'") for pair in found for part in pair if part}:
        for form in (password, unquote(password)):
            text = text.replace(form, "***")
    return text
