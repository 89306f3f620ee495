"""The files of a dataset, and how they are cut into units of work."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lasso_jobs.core import buckets as b
from lasso_jobs.data import storage
from lasso_jobs.data.listing import Constants

PARTITION_BYTES = 64 * 2**20
"""Compressed bytes of the needed columns that one unit of work aims at."""

PARTITION_ROWS = 2_000_000
PARTITION_FILES = 32
MOST_STATIC_BYTES = 256 * 2**20


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
