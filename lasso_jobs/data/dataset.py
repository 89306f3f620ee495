"""Which Parquet files there are, and what their footers say. No row is read here."""

from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from lasso_jobs.core import buckets as b
from lasso_jobs.data import delta_table, listing, storage
from lasso_jobs.data.listing import Constants, Listed
from lasso_jobs.data.where import Condition
from lasso_jobs.errors import DataError

PARTITION_BYTES = 64 * 2**20
"""Compressed bytes of the needed columns that one unit of work aims at."""

PARTITION_ROWS = 2_000_000
PARTITION_FILES = 32
MOST_STATIC_BYTES = 256 * 2**20
FOOTER_THREADS = 8
OBJECT_THREADS = 32


@dataclass(frozen=True, slots=True)
class FileIdentity:
    """A file as it was when its footer was read.

    Parameters
    ----------
    path : str
        Where it is.
    name : str
        Relative to the dataset's root: the identity of its rows.
    size_bytes : int
    stamp : str
        Its time, or entity tag, as in `storage.State`.
    constants : tuple of (str, pyarrow.Scalar)
        Column values that its folders' names give, such as ``date=2013-01-01``, or a table's log.
    """

    path: str
    name: str
    size_bytes: int
    stamp: str
    constants: Constants

    @property
    def state(self) -> storage.State:
        """What a file that took its place would differ in."""
        return storage.State(self.size_bytes, self.stamp)


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One Parquet file and its footer.

    Parameters
    ----------
    identity : FileIdentity
    schema : pyarrow.Schema
        Without the constants.
    rows : ndarray of int64, shape (n_row_groups,)
    column_bytes : ndarray of int64, shape (n_row_groups, n_columns)
        Compressed size of each column of the schema.
    nulls : ndarray of int64, shape (n_columns,)
        As the footer counts them; -1 where it does not.
    """

    identity: FileIdentity
    schema: pa.Schema
    rows: NDArray[np.int64]
    column_bytes: NDArray[np.int64]
    nulls: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Piece:
    """Row groups of one file.

    Parameters
    ----------
    file : FileIdentity
    row_groups : tuple of int
    first_row : int
        Position in the file of the first row.
    rows : int
    """

    file: FileIdentity
    row_groups: tuple[int, ...]
    first_row: int
    rows: int


@dataclass(frozen=True, slots=True)
class Partition:
    """A unit of work."""

    pieces: tuple[Piece, ...]

    @property
    def rows(self) -> int:
        """Number of rows, before any row filter."""
        return sum(piece.rows for piece in self.pieces)

    def __str__(self) -> str:
        first = self.pieces[0]
        groups = f"row groups {first.row_groups[0]} to {first.row_groups[-1]}"
        more = f" and {len(self.pieces) - 1} more files" if len(self.pieces) > 1 else ""
        return f"{first.file.path}, {groups}{more}"


@dataclass(frozen=True, slots=True)
class Dataset:
    """The files of a dataset, by name.

    Parameters
    ----------
    path : str
        As the job has it.
    files : tuple of SourceFile
    schema : pyarrow.Schema
        Of the first file that knows each column's type, with the constants last.
    constants : tuple of str
        The columns that come from folder names, or from a table's log.
    version : int or None
        Of a Delta table.
    """

    path: str
    files: tuple[SourceFile, ...]
    schema: pa.Schema
    constants: tuple[str, ...]
    version: int | None = None

    @property
    def n_rows(self) -> int:
        """Number of rows, before any row filter."""
        return sum(int(file.rows.sum()) for file in self.files)

    @property
    def identities(self) -> tuple[str, ...]:
        """Name, size and stamp of each file: what a change of the data changes."""
        return tuple(
            f"{f.identity.name} {f.identity.size_bytes} {f.identity.stamp}" for f in self.files
        )

    def column_bytes(self, columns: Iterable[str]) -> int:
        """Compressed bytes of these columns."""
        wanted = set(columns)
        return sum(int(_selected(f, wanted).sum()) for f in self.files)

    def partitions(self, columns: Iterable[str]) -> tuple[Partition, ...]:
        """Cut the row groups, in the order of the files, into units of work.

        The cut depends on the data and the columns only, never on the cluster.
        """
        wanted = set(columns)
        partitions: list[Partition] = []
        pieces: list[Piece] = []
        n_bytes = n_rows = n_files = 0
        for file in self.files:
            starts = np.cumsum(file.rows) - file.rows
            for i, size in enumerate(_selected(file, wanted)):
                rows = int(file.rows[i])
                full = (
                    n_bytes + size > PARTITION_BYTES
                    or n_rows + rows > PARTITION_ROWS
                    or n_files + (i == 0) > PARTITION_FILES
                )
                if pieces and full:
                    partitions.append(_joined(pieces))
                    pieces, n_bytes, n_rows, n_files = [], 0, 0, 0
                pieces.append(Piece(file.identity, (i,), int(starts[i]), rows))
                n_bytes, n_rows, n_files = n_bytes + int(size), n_rows + rows, n_files + (i == 0)
        if pieces:
            partitions.append(_joined(pieces))
        return tuple(partitions)

    def static_partitions(self) -> tuple[Partition, ...]:
        """Cut the row groups so that another file, or one less, changes few of the partitions.

        A large file has partitions of its own. Of small ones several share a partition, and a hash
        of a file's name says whether it is the last: the larger the file, the likelier it is. So
        the cut depends on nothing but each file and its neighbours; not on the columns in use.
        """
        aim = _aim(len(self.schema))
        partitions: list[Partition] = []
        pieces: list[Piece] = []
        share = 0.0

        def close() -> None:
            nonlocal share
            if pieces:
                partitions.append(_joined(pieces))
                pieces.clear()
            share = 0.0

        for file in self.files:
            starts = np.cumsum(file.rows) - file.rows
            sizes = np.maximum(file.column_bytes.sum(axis=1) / aim, file.rows / PARTITION_ROWS)
            large = sizes.sum() >= 0.5
            if large or share + sizes.sum() > 4:
                close()
            for i, size in enumerate(sizes):
                if large and share + size > 1:
                    close()
                rows = int(file.rows[i])
                pieces.append(Piece(file.identity, (i,), int(starts[i]), rows))
                share += float(size)
            chance = max(float(sizes.sum()), 0.5 / PARTITION_FILES)
            draw = b.uniform(np.array([b.text_key(file.identity.name, 0)], np.uint64))[0]
            if large or draw < chance:
                close()
        close()
        return tuple(partitions)


def _aim(n_columns: int) -> int:
    """Bytes of a static partition: at least four times those of the moments that it leaves."""
    state = 4 * n_columns**2 * (b.n_buckets_for(n_columns, 5) + 1)
    return max(PARTITION_BYTES, min(4 * state, MOST_STATIC_BYTES))


def discover(path: str, where: Sequence[Condition] = (), version: int | None = None) -> Dataset:
    """Find the Parquet files of a file, folder, glob or Delta table, and read their footers.

    Parameters
    ----------
    path : str
        A local path or a URI.
    where : sequence of Condition
        Files whose constants contradict a condition are left out.
    version : int, optional
        Of a Delta table; by default its newest.

    Raises
    ------
    DataError
        If there is nothing there, or a file is not Parquet.
    """
    if delta_table.is_table(path):
        version, found = delta_table.live_files(path, version)
        if not found:
            raise DataError(path, f"version {version} holds no files", "rows", "Check data.path")
    elif version is not None:
        raise DataError(path, "is no Delta table", "one, as data.version is set", "Remove it")
    else:
        found = listing.files(path)
    kept = [file for file in found if _may_hold(file.constants, where)]
    if not kept:
        raise DataError(
            path,
            f"none of its {len(found)} files is left by data.where",
            "at least one file",
            "Widen data.where",
        )
    with ThreadPoolExecutor(OBJECT_THREADS if storage.is_uri(path) else FOOTER_THREADS) as pool:
        files = tuple(pool.map(_open, kept))
    if not any(file.rows.sum() for file in files):
        raise DataError(path, f"its {len(files)} files hold no rows", "rows", "Check data.path")
    constants = tuple(name for name, _ in files[0].identity.constants)
    return Dataset(path, files, _common_schema(files), constants, version)


def _may_hold(constants: Constants, where: Sequence[Condition]) -> bool:
    names = {name for name, _ in constants}
    row = pa.table({name: pa.repeat(value, 1) for name, value in constants})
    decided = [c for c in where if c.columns and c.columns <= names]
    return all(c.filter(row).num_rows for c in decided)


def _open(listed: Listed) -> SourceFile:
    path = listed.path
    try:
        state = storage.state(path)
        with pq.ParquetFile(storage.source(path, state)) as file:
            metadata, schema = file.metadata, file.schema_arrow
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            path,
            f"not readable as Parquet ({error})",
            "a Parquet file",
            "Replace or remove it",
        ) from error
    owner = leaf_owners(schema)
    twice = [name for name, count in Counter(schema.names).items() if count > 1]
    if twice:
        raise DataError(
            path, f"has several columns {twice[0]!r}", "names that differ", "Mend the file"
        )
    groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
    column_bytes = np.zeros((len(groups), len(schema)), np.int64)
    nulls = np.zeros(len(schema), np.int64)
    for i, group in enumerate(groups):
        for j in range(group.num_columns):
            column = group.column(j)
            place = owner[j]
            if place >= 0:
                column_bytes[i, place] += column.total_compressed_size
                known = column.statistics
                if nulls[place] >= 0 and known is not None and known.has_null_count:
                    nulls[place] += known.null_count
                else:
                    nulls[place] = -1
    rows = np.array([group.num_rows for group in groups], np.int64)
    return SourceFile(
        FileIdentity(path, listed.name, state.size_bytes, state.stamp, listed.constants),
        schema.remove_metadata(),
        rows,
        column_bytes,
        nulls,
    )


def _common_schema(files: Sequence[SourceFile]) -> pa.Schema:
    fields = {field.name: field for field in files[0].schema}
    for file in files[1:]:
        for name, field in fields.items():
            if pa.types.is_null(field.type) and name in file.schema.names:
                fields[name] = file.schema.field(name)
    for name, value in files[0].identity.constants:
        fields[name] = pa.field(name, value.type)
    return pa.schema(list(fields.values()))


def leaf_owners(schema: pa.Schema) -> list[int]:
    """The column of the schema that each leaf of the file belongs to."""
    return [j for j, field in enumerate(schema) for _ in range(_n_leaves(field.type))]


def _n_leaves(type_: pa.DataType) -> int:
    if isinstance(type_, pa.BaseExtensionType):
        return _n_leaves(type_.storage_type)
    if pa.types.is_dictionary(type_) or not pa.types.is_nested(type_):
        return 1
    return sum(_n_leaves(type_.field(i).type) for i in range(type_.num_fields))


def _selected(file: SourceFile, wanted: set[str]) -> NDArray[np.int64]:
    chosen = [j for j, name in enumerate(file.schema.names) if name in wanted]
    return np.asarray(file.column_bytes[:, chosen].sum(axis=1))


def _joined(pieces: Sequence[Piece]) -> Partition:
    """Join neighbouring row groups of a file into one piece."""
    joined: list[Piece] = []
    for piece in pieces:
        if joined and joined[-1].file == piece.file:
            last = joined[-1]
            joined[-1] = Piece(
                last.file,
                last.row_groups + piece.row_groups,
                last.first_row,
                last.rows + piece.rows,
            )
        else:
            joined.append(piece)
    return Partition(tuple(joined))
