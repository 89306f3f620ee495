"""Describes the files of a dataset, and cuts their row groups into work units, one a task."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lasso_jobs.core.rows import buckets as b
from lasso_jobs.data.listing import Constants
from lasso_jobs.data.vectors.footers import VectorLength
from lasso_jobs.storage import files as storage

UNIT_BYTES = 64 * 2**20
"""A work unit has at most so many compressed bytes of the columns that are read."""
UNIT_ROWS = 2_000_000
"""A work unit has at most so many rows, however few their bytes."""
UNIT_FILES = 32
"""A work unit has row groups of at most so many files, each of which has to be opened."""
LEAST_STATIC_BYTES = 8 * 2**20
"""A static work unit of few columns aims at no fewer bytes than this, which take a thread longer
to read than to get the task."""
MOST_STATIC_BYTES = 256 * 2**20
"""A static work unit of very many columns aims at no more bytes than this."""


@dataclass(frozen=True, slots=True, kw_only=True)
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
        Its times and number, or entity tag, as in `storage.State`.
    constants : tuple of (str, pyarrow.Scalar)
        Column values that its folders' names give, such as ``date=2013-01-01``, or a table's log.
    deletions : str
        A digest of which of its rows the table has deleted; nothing if it has not.
    valueless : tuple of (str, pyarrow.DataType)
        Columns that other files have and it has not, or has with the type ``null``: they are null.
    converted : tuple of (str, pyarrow.DataType)
        Columns that are read in another type than it has, that of all files together.
    """

    path: str
    name: str
    size_bytes: int
    stamp: str
    constants: Constants
    deletions: str = ""
    valueless: tuple[tuple[str, pa.DataType], ...] = ()
    converted: tuple[tuple[str, pa.DataType], ...] = ()

    @property
    def state(self) -> storage.State:
        """What a file that took its place would differ in."""
        return storage.State(self.size_bytes, self.stamp)


@dataclass(frozen=True, slots=True, kw_only=True)
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
    deleted : tuple of bytes
        Of each row group, a bit for each row, set if the table has deleted it; nothing if no row
        of the file is deleted.
    aside : mapping of str to str
        Columns that ``*`` does not mean, and why: an index of pandas, an extension type.
    vectors : mapping of str to VectorLength
        How long the vectors of columns are, where the footer tells.
    """

    identity: FileIdentity
    schema: pa.Schema
    rows: NDArray[np.int64]
    column_bytes: NDArray[np.int64]
    nulls: NDArray[np.int64]
    deleted: tuple[bytes, ...] = ()
    aside: Mapping[str, str] = field(default_factory=dict)
    vectors: Mapping[str, VectorLength] = field(default_factory=dict)

    @property
    def n_left(self) -> int:
        """Number of rows that the table has not deleted, before any row filter."""
        bits = np.frombuffer(b"".join(self.deleted), np.uint8)
        return int(self.rows.sum()) - int(np.bitwise_count(bits).sum())

    def piece(self, row_groups: Sequence[int]) -> "Piece":
        """Row groups that follow each other."""
        first, last = (row_groups[0], row_groups[-1] + 1) if row_groups else (0, 0)
        return Piece(
            file=self.identity,
            row_groups=tuple(row_groups),
            first_row=int(self.rows[:first].sum()),
            rows=int(self.rows[first:last].sum()),
            deleted=self.deleted[first:last],
        )


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
        With those that the table has deleted.
    deleted : tuple of bytes
        As of a `SourceFile`.
    """

    file: FileIdentity
    row_groups: tuple[int, ...]
    first_row: int
    rows: int
    deleted: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class WorkUnit:
    """The rows that one task reads: row groups that follow each other, of one or more files."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """The files of a dataset, by name.

    Parameters
    ----------
    path : str
        As the job has it.
    files : tuple of SourceFile
    schema : pyarrow.Schema
        Of all files, as `lasso_jobs.data.columns.common_schema` settles it; the constants are last.
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
        """Number of rows, with those that the table has deleted, before any row filter."""
        return sum(int(file.rows.sum()) for file in self.files)

    @property
    def n_left(self) -> int:
        """Number of rows that the table has not deleted, before any row filter."""
        return sum(file.n_left for file in self.files)

    @property
    def aside(self) -> dict[str, str]:
        """Columns that ``*`` does not mean, and why: those of any file."""
        return {name: why for file in reversed(self.files) for name, why in file.aside.items()}

    @property
    def identities(self) -> tuple[str, ...]:
        """Name, size, stamp and deletions of each file: what a change of the data changes."""
        return tuple(
            " ".join([i.name, str(i.size_bytes), i.stamp, *filter(None, [i.deletions])])
            for i in (file.identity for file in self.files)
        )

    def column_bytes(self, columns: Iterable[str]) -> int:
        """Compressed bytes of these columns."""
        wanted = set(columns)
        return sum(int(_selected(f, wanted).sum()) for f in self.files)

    def may_have_nulls(self, name: str) -> bool:
        """Whether a column has nulls, or no footer says that it has none.

        Of numbers it tells nothing of NaN, which footers do not count.
        """
        for file in self.files:
            constant, place = (
                dict(file.identity.constants).get(name),
                file.schema.get_field_index(name),
            )
            known = place >= 0 and file.nulls[place] == 0 if constant is None else constant.is_valid
            if not known:
                return True
        return False

    def has_nulls(self, name: str) -> bool:
        """Whether a footer counts nulls of a column."""
        places = ((file, file.schema.get_field_index(name)) for file in self.files)
        return any(place >= 0 and file.nulls[place] > 0 for file, place in places)

    def as_values(self, columns: Iterable[str], units: Sequence[WorkUnit]) -> dict[str, Any]:
        """What a plan that reads these columns says of its input, for JSON."""
        return {
            "path": self.path,
            "table_version": self.version,
            "files": len(self.files),
            "rows_before_filter": self.n_rows,
            "bytes_to_read": self.column_bytes(columns),
            "work_units": len(units),
        }

    def work_units(self, columns: Iterable[str]) -> tuple[WorkUnit, ...]:
        """Cut the row groups, in the order of the files, into work units.

        The cut depends on the data and the columns only, never on the cluster. A row group is
        never cut: one that is larger than the limits is a work unit by itself.
        """
        wanted = set(columns)
        units: list[WorkUnit] = []
        pieces: list[Piece] = []
        n_bytes = n_rows = n_files = 0
        for file in self.files:
            for i, size in enumerate(_selected(file, wanted)):
                rows = int(file.rows[i])
                full = (
                    n_bytes + size > UNIT_BYTES
                    or n_rows + rows > UNIT_ROWS
                    or n_files + (i == 0) > UNIT_FILES
                )
                if pieces and full:
                    units.append(_joined(pieces))
                    pieces, n_bytes, n_rows, n_files = [], 0, 0, 0
                pieces.append(file.piece([i]))
                n_bytes, n_rows, n_files = n_bytes + int(size), n_rows + rows, n_files + (i == 0)
        if pieces:
            units.append(_joined(pieces))
        return tuple(units)

    def static_work_units(self, *, pairs: bool = True) -> tuple[WorkUnit, ...]:
        """Cut the row groups so that another file, or one less, changes few of the work units.

        A large file has work units of its own. Of small ones several share a work unit, and a hash
        of a file's name says whether it is the last: the larger the file, the likelier it is. So
        the cut depends on nothing but each file and its neighbours; not on the columns in use.

        Parameters
        ----------
        pairs : bool
            Whether each leaves the moments of all pairs of columns, which must be worth their size.
            What a screening leaves is not. Of 4,000 rows x 10,000 columns in four files, units for
            pairs were one file and three, so that in each scan one thread waited for the other.
        """
        aim = _aim(len(self.schema)) if pairs else UNIT_BYTES
        units: list[WorkUnit] = []
        pieces: list[Piece] = []
        share = 0.0

        def close() -> None:
            nonlocal share
            if pieces:
                units.append(_joined(pieces))
                pieces.clear()
            share = 0.0

        for file in self.files:
            sizes = np.maximum(file.column_bytes.sum(axis=1) / aim, file.rows / UNIT_ROWS)
            large = sizes.sum() >= 0.5
            if large or share + sizes.sum() > 4:
                close()
            for i, size in enumerate(sizes):
                if large and share + size > 1:
                    close()
                pieces.append(file.piece([i]))
                share += float(size)
            chance = max(float(sizes.sum()), 0.5 / UNIT_FILES)
            draw = b.uniform(np.array([b.text_key(file.identity.name, 0)], np.uint64))[0]
            if large or draw < chance:
                close()
        close()
        return tuple(units)


def _aim(n_columns: int) -> int:
    """Bytes of a static work unit: 16 times those of the moments that it leaves, if that is few.

    At most `UNIT_BYTES`, but at least four times those of the moments. The smaller, the less is
    read again where a window moves: of 360 files of 10,000 rows x 50 columns 2 %, not 7.5 %.
    """
    state = 4 * n_columns**2 * (b.n_buckets_for(n_columns, 5) + 1)
    few = min(max(16 * state, LEAST_STATIC_BYTES), UNIT_BYTES)
    return max(few, min(4 * state, MOST_STATIC_BYTES))


def _selected(file: SourceFile, wanted: set[str]) -> NDArray[np.int64]:
    chosen = [j for j, name in enumerate(file.schema.names) if name in wanted]
    return np.asarray(file.column_bytes[:, chosen].sum(axis=1))


def _joined(pieces: Sequence[Piece]) -> WorkUnit:
    """Join neighbouring row groups of a file into one piece."""
    joined: list[Piece] = []
    for piece in pieces:
        if joined and joined[-1].file == piece.file:
            last = joined[-1]
            joined[-1] = dataclasses.replace(
                last,
                row_groups=last.row_groups + piece.row_groups,
                rows=last.rows + piece.rows,
                deleted=last.deleted + piece.deleted,
            )
        else:
            joined.append(piece)
    return WorkUnit(tuple(joined))
