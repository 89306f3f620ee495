"""Which Parquet files there are, and what their footers say. No row is read here."""

from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from lasso_jobs.core import buckets as b
from lasso_jobs.data.where import Condition
from lasso_jobs.errors import DataError

PARTITION_BYTES = 64 * 2**20
"""Compressed bytes of the needed columns that one unit of work aims at."""

PARTITION_ROWS = 2_000_000
PARTITION_FILES = 32
MOST_STATIC_BYTES = 256 * 2**20
HIVE_NULL = "__HIVE_DEFAULT_PARTITION__"
FOOTER_THREADS = 8


@dataclass(frozen=True, slots=True)
class FileIdentity:
    """A file as it was when its footer was read.

    Parameters
    ----------
    path : str
        Where it is.
    name : str
        Relative to the dataset's root: the identity of its rows.
    size_bytes, mtime_ns : int
    constants : tuple of (str, str or None)
        Column values that its folders' names give, such as ``date=2013-01-01``.
    """

    path: str
    name: str
    size_bytes: int
    mtime_ns: int
    constants: tuple[tuple[str, str | None], ...]


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
        The columns that come from folder names.
    """

    path: str
    files: tuple[SourceFile, ...]
    schema: pa.Schema
    constants: tuple[str, ...]

    @property
    def n_rows(self) -> int:
        """Number of rows, before any row filter."""
        return sum(int(file.rows.sum()) for file in self.files)

    @property
    def identities(self) -> tuple[str, ...]:
        """Name, size and time of each file: what a change of the data changes."""
        return tuple(
            f"{f.identity.name} {f.identity.size_bytes} {f.identity.mtime_ns}" for f in self.files
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


def discover(path: str, where: Sequence[Condition] = ()) -> Dataset:
    """Find the Parquet files of a file, folder or glob, and read their footers.

    Parameters
    ----------
    path : str
    where : sequence of Condition
        Files whose folder names contradict a condition are left out.

    Raises
    ------
    DataError
        If there is nothing there, or a file is not Parquet.
    """
    root, paths = _list(path)
    named = [(p, p.relative_to(root).as_posix()) for p in paths]
    kept = [
        (p, name, constants)
        for p, name, constants in ((p, name, _constants(name)) for p, name in named)
        if _may_hold(constants, where)
    ]
    if not kept:
        raise DataError(
            path,
            f"none of its {len(paths)} files is left by data.where",
            "at least one file",
            "Widen data.where",
        )
    with ThreadPoolExecutor(FOOTER_THREADS) as pool:
        files = tuple(pool.map(lambda item: _open(*item), kept))
    if not any(file.rows.sum() for file in files):
        raise DataError(path, f"its {len(files)} files hold no rows", "rows", "Check data.path")
    return Dataset(
        path, files, _common_schema(files), tuple(name for name, _ in files[0].identity.constants)
    )


def _list(path: str) -> tuple[Path, list[Path]]:
    if "://" in path:
        raise DataError(
            path, "a URI", "a local path", "Copy or mount the data, and name its folder"
        )
    if any(mark in path for mark in "*?[") and not Path(path).exists():
        fixed = Path(*_before_glob(Path(path)))
        pattern = Path(path).relative_to(fixed).as_posix()
        found = sorted(
            p for p in fixed.glob(pattern) if p.is_file() and not _hidden(p.relative_to(fixed))
        )
        return fixed, _nonempty(path, found, "no file matches")
    folder = Path(path)
    if folder.is_file():
        return folder.parent, [folder]
    if not folder.is_dir():
        raise DataError(
            path, "does not exist", "a Parquet file, a folder or a glob", "Check data.path"
        )
    if (folder / "_delta_log").is_dir():
        raise DataError(
            path,
            "is a Delta table",
            "Parquet files",
            "Name the files of one version, or export the table to Parquet",
        )
    found = sorted(
        p for p in folder.rglob("*") if p.is_file() and not _hidden(p.relative_to(folder))
    )
    return folder, _nonempty(path, found, "holds no files")


def _hidden(path: Path) -> bool:
    return any(part.startswith(("_", ".")) for part in path.parts)


def _before_glob(path: Path) -> list[str]:
    parts: list[str] = []
    for part in path.parts:
        if any(mark in part for mark in "*?["):
            break
        parts.append(part)
    return parts


def _nonempty(path: str, found: list[Path], what: str) -> list[Path]:
    if not found:
        raise DataError(path, what, "at least one Parquet file", "Check data.path")
    return found


def _constants(name: str) -> tuple[tuple[str, str | None], ...]:
    pairs = [part.split("=", 1) for part in name.split("/")[:-1] if "=" in part]
    return tuple((key, None if value == HIVE_NULL else unquote(value)) for key, value in pairs)


def _may_hold(constants: tuple[tuple[str, str | None], ...], where: Sequence[Condition]) -> bool:
    names = {name for name, _ in constants}
    row = pa.table({name: pa.array([value], pa.string()) for name, value in constants})
    decided = [c for c in where if c.columns and c.columns <= names]
    return all(c.filter(row).num_rows for c in decided)


def _open(path: Path, name: str, constants: tuple[tuple[str, str | None], ...]) -> SourceFile:
    try:
        with pq.ParquetFile(path) as file:
            metadata, schema = file.metadata, file.schema_arrow
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            str(path),
            f"not readable as Parquet ({error})",
            "a Parquet file",
            "Replace or remove it",
        ) from error
    owner = leaf_owners(schema)
    twice = [name for name, count in Counter(schema.names).items() if count > 1]
    if twice:
        raise DataError(
            str(path), f"has several columns {twice[0]!r}", "names that differ", "Mend the file"
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
    status = path.stat()
    rows = np.array([group.num_rows for group in groups], np.int64)
    return SourceFile(
        FileIdentity(str(path), name, status.st_size, status.st_mtime_ns, constants),
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
    for name, _ in files[0].identity.constants:
        fields[name] = pa.field(name, pa.string())
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
