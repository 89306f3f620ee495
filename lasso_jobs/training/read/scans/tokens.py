"""Scans columns of tokens before the one read: in how many rows each token is."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lasso_jobs.data import blocks
from lasso_jobs.data.arrays import array, values_of
from lasso_jobs.data.dataset import WorkUnit
from lasso_jobs.data.vectors.features import TokenColumn
from lasso_jobs.data.vectors.tokens import TokensOfRows
from lasso_jobs.data.where import Condition
from lasso_jobs.errors import DataError
from lasso_jobs.training.read.cache_folder import StoredEntry
from lasso_jobs.training.read.cached_read import CachedRead, Caching, Span
from lasso_jobs.training.read.read_identity import keys
from lasso_jobs.training.read.reading import MIN_BLOCK_ROWS

MOST_TOKENS = 2_000_000
"""Distinct ones of a column: a tally of so many takes some 60 MB, and their names much more."""

Tally = dict[str, pa.Table]
"""Of each column, its distinct tokens and the rows that each is in."""

# Not of arrays of lists, nor `empty_table`: they load pandas, a third of a second of each training.
_NONE = pa.Table.from_batches([], pa.schema([("token", pa.large_string()), ("rows", pa.int64())]))


class TokenScan(NamedTuple):
    """Rows by token of some columns, how many rows there are, and the bytes read for it."""

    tally: Tally
    n_rows: int
    bytes_read: int


@dataclass(frozen=True, slots=True)
class TokensHeader:
    """The columns that a cached scan is of, and what their tokens are."""

    how: dict[str, str]


@dataclass(frozen=True, slots=True)
class TokenCounts:
    """A column's tally as an entry has it."""

    tokens: tuple[str, ...]
    rows: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class TokensBody:
    """The tallies of an entry."""

    counts: dict[str, TokenCounts]
    n_rows: int


@dataclass(frozen=True)
class TokensRead(CachedRead[TokenScan]):
    """The scan of the tokens of some columns."""

    columns: Sequence[TokenColumn]
    where: Sequence[Condition]
    caching: Caching | None = None

    def read(self, unit: WorkUnit) -> TokenScan:
        """Read its files.

        Raises
        ------
        DataError
            If there are too many tokens to list them.
        """
        names = [each.column for each in self.columns]
        found = TokenScan(dict.fromkeys(names, _NONE), 0, 0)
        for piece in unit.pieces:
            for rows in blocks.read(piece, names, self.where, block_rows=MIN_BLOCK_ROWS):
                tally = {each.column: _of_column(rows.table, each) for each in self.columns}
                block = TokenScan(tally, rows.table.num_rows, rows.n_bytes)
                found = merge_tokens(found, block)
        return found

    def merge(self, left: TokenScan, right: TokenScan) -> TokenScan:
        """Two scans together."""
        return merge_tokens(left, right)

    def keys(self, units: Sequence[WorkUnit]) -> list[str]:
        """What identifies the scan of each unit, but for its columns."""
        return keys("tokens", units, self.where)

    def entry(
        self, result: TokenScan, span: Span, caching: Caching
    ) -> tuple[TokensHeader, TokensBody]:
        """Header and body of the entry that keeps a scan."""
        counts = {
            name: TokenCounts(tuple(tally["token"].to_pylist()), _counts(tally))
            for name, tally in result.tally.items()
        }
        return TokensHeader(self._how()), TokensBody(counts, result.n_rows)

    def fits(self, entry: StoredEntry, span: Span) -> bool:
        """Whether the entry has all of these columns."""
        return self._how().items() <= entry.header(TokensHeader).how.items()

    def from_entry(self, entry: StoredEntry, data: bytes, span: Span) -> TokenScan:
        """The scan of these columns."""
        body = entry.body(TokensBody, data)
        tally = {}
        for name in self._how():
            tokens = pa.array(body.counts[name].tokens, pa.large_string())
            tally[name] = pa.table({"token": tokens, "rows": array(body.counts[name].rows)})
        return TokenScan(tally, body.n_rows, 0)

    def _how(self) -> dict[str, str]:
        return {each.column: each.tokens.how for each in self.columns}


def merge_tokens(a: TokenScan, b: TokenScan) -> TokenScan:
    """Add two scans of tokens.

    Raises
    ------
    DataError
        If there are too many tokens to list them.
    """
    tally = {}
    for name in a.tally:
        both = pa.concat_tables([a.tally[name], b.tally[name]]).combine_chunks()
        added = both.group_by("token", use_threads=False).aggregate([("rows", "sum")])
        tally[name] = pa.table({"token": added["token"], "rows": added["rows_sum"]})
        if len(added) > MOST_TOKENS:
            raise DataError(
                f"features.tokens {name!r}",
                f"has more than {MOST_TOKENS:,} distinct tokens",
                "fewer, as each is listed with its rows",
                f"Hash them, as in {{{name}: {{how: words, hash: 262144}}}}, or exclude the column",
            )
    return TokenScan(tally, a.n_rows + b.n_rows, a.bytes_read + b.bytes_read)


def vocabularies(scan: TokenScan, columns: Sequence[TokenColumn]) -> dict[str, tuple[str, ...]]:
    """The tokens that are columns, in the order of their letters' code points.

    Raises
    ------
    DataError
        If none is in as many rows as the job asks for, and in no more.
    """
    found = {}
    for each in columns:
        tally = scan.tally[each.column]
        rows = _counts(tally)
        kept = (rows >= each.min_rows) & (rows <= each.max_share * scan.n_rows)
        tokens = tally["token"].combine_chunks().take(array(np.flatnonzero(kept)))
        found[each.column] = tuple(sorted(tokens.to_pylist()))
        if not found[each.column]:
            found_tokens = f"none of its {len(rows):,} tokens is in {each.min_rows:,} rows or more"
            if each.max_share < 1:
                found_tokens += f" and in at most {each.max_share:.0%} of them"
            raise DataError(
                f"features.tokens {each.column!r}",
                found_tokens if len(rows) else f"has no tokens in {scan.n_rows:,} rows",
                "at least one token that is a column",
                "Lower min_rows, or raise max_share, or exclude the column",
            )
    return found


def _of_column(table: pa.Table, column: TokenColumn) -> pa.Table:
    chunks = table.column(column.column).chunks
    parts = [TokensOfRows.of(chunk, column.tokens.how) for chunk in chunks]
    tallies = [
        pa.table({"token": part.distinct, "rows": array(part.rows_with())}) for part in parts
    ]
    return pa.concat_tables([_NONE, *tallies])


def _counts(tally: pa.Table) -> NDArray[np.int64]:
    return values_of(tally["rows"].combine_chunks(), np.int64)
