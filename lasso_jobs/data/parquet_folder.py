"""Scored rows in a plain Hive-partitioned folder of Parquet files, for tools that know no tables.

Readers see ``day=2024-01-01/lasso-RUN-UUID.parquet`` and pass over ``_lasso``, which holds staged
files and a log. An entry of the log names the files that make up the folder, those it adds and
those it removes. The driver creates the next entry, which one of several writers wins, and then
carries it out: first it deletes what is replaced, then it moves in what was staged. Who finds an
entry that a killed run did not carry out to its end, does so before anything else.

So a reader that lists files while a commit is carried out, or after it was killed and before the
next, may miss rows of the partitions concerned. It sees none twice. No folder can promise more;
`read` looks at the log and sees whole generations.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from lasso_jobs.data import staged, staging, storage
from lasso_jobs.data.staging import (
    BESIDE,
    Partition,
    WrittenFile,
    by_columns,
    refuse_other,
    refuse_overtaken,
    told,
)
from lasso_jobs.errors import OutputError

STAGED, SUFFIX = f"{BESIDE}/staged", ".staged"
_ENTRY = re.compile(r"([0-9]{8})\.json")
_TYPES = {
    "byte": pa.int8(),
    "short": pa.int16(),
    "integer": pa.int32(),
    "long": pa.int64(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "string": pa.string(),
}


@dataclass(frozen=True, slots=True)
class _Shown:
    path: str
    partition: Partition
    rows: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class _Entry:
    version: int
    run_id: str
    also: list[str]
    metadata: dict[str, str]
    partition_by: list[str]
    columns: list[str]
    add: list[str]
    remove: list[str]
    files: list[_Shown]


@dataclass(frozen=True, slots=True)
class _Change:
    root: str
    run_id: str
    also: list[str]
    metadata: dict[str, str]
    partition_by: list[str]
    columns: list[str]
    shown: dict[str, _Shown]
    targets: set[Partition]


def write_files(
    table: pa.Table, root: str, partition_by: Sequence[str], attempt: str
) -> tuple[WrittenFile, ...]:
    """Write a Parquet file for each partition where no reader looks; runs on a worker.

    Parameters are those of the other sinks; `root` is a folder or a URI.
    """
    _refuse_foreign(root)
    return tuple(
        staged.write_parquet(rows, root, STAGED, partition, attempt, SUFFIX)
        for partition, rows in staging.split(table, partition_by, root)
    )


def commit(
    root: str,
    files: Sequence[WrittenFile],
    schema: pa.Schema,
    partition_by: Sequence[str],
    run_id: str,
    metadata: Mapping[str, str],
    replace: Iterable[Partition] = (),
    also: Sequence[str] = (),
    since: int | None = None,
) -> int:
    """Show `files` in place of all that their partitions held; return the folder's new version.

    Parameters are those of `Sink.commit`.
    """
    plain = staging.delta_schema(schema, partition_by, root)
    _refuse_foreign(root)
    targets = staging.targets_of(root, files, plain, partition_by, replace)
    shown = {f.path: _Shown(f.path, f.partition, f.rows, f.size_bytes) for f in files}
    columns, by = [*staging.columns_of(plain)], [*partition_by]
    change = _Change(root, run_id, [*also], dict(metadata), by, columns, shown, targets)

    def look() -> tuple[_Entry | None, set[str]]:
        entry = _fitting(change)
        if entry is not None:
            _carry_out(root, entry)
        return entry, _replaced(change, entry)

    return staging.compare_and_swap(
        root,
        {*shown},
        look,
        lambda entry: _swap(change, entry),
        lambda entry: entry.version,
        _before(change, since),
    )


def check(
    root: str,
    schema: pa.Schema,
    partition_by: Sequence[str],
    targets: Iterable[Partition] = (),
    since: int | None = None,
) -> int:
    """Refuse early what `commit` would refuse; return the folder's version, -1 if it has none."""
    columns = [*staging.columns_of(staging.delta_schema(schema, partition_by, root))]
    _refuse_foreign(root)
    change = _Change(root, "", [], {}, [*partition_by], columns, {}, {*targets})
    entry = _fitting(change)
    refuse_overtaken(root, _before(change, since), _replaced(change, entry))
    return -1 if entry is None else entry.version


def committed(root: str, application: str) -> int | None:
    """The version of the newest commit with this application transaction id, if there is one."""
    known = (e.version for e in _entries(root) if application in (e.run_id, *e.also))
    return next(known, None)


def history(root: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Versions and metadata of the commits, the newest first."""
    return ((entry.version, dict(entry.metadata)) for entry in _entries(root))


def _fitting(change: _Change) -> _Entry | None:
    """The newest entry, if there is one; its columns are the change's."""
    entry = _newest(change.root)
    if entry is not None:
        by, columns = by_columns(change.partition_by), change.columns
        refuse_other(change.root, "partitions", [by], [by_columns(entry.partition_by)])
        refuse_other(change.root, "columns", columns, entry.columns)
    return entry


def _before(change: _Change, since: int | None) -> set[str] | None:
    """Files that the partitions had in the version that the caller has seen."""
    if since is None:
        return None
    return _replaced(change, None if since < 0 else _entry(change.root, since))


def _swap(change: _Change, entry: _Entry | None) -> int | None:
    """Write the next version and return it, or None if another writer took it."""
    old = {f.path: f for f in entry.files} if entry else {}
    gone = _replaced(change, entry) - change.shown.keys()
    new = _Entry(
        entry.version + 1 if entry else 0,
        change.run_id,
        change.also,
        change.metadata,
        change.partition_by,
        change.columns,
        sorted(change.shown.keys() - old.keys()),
        sorted(gone),
        [f for path, f in sorted({**old, **change.shown}.items()) if path not in gone],
    )
    place, content = _place(change.root, new.version), json.dumps(asdict(new)).encode()
    with told(change.root, "a folder that can be written to", "Mend that, then run this again"):
        try:
            storage.create(place, content)
        except FileExistsError:
            return None
    _carry_out(change.root, new)
    return new.version


def _replaced(change: _Change, entry: _Entry | None) -> set[str]:
    whole, files = not change.partition_by, entry.files if entry else ()
    return {f.path for f in files if whole or f.partition in change.targets}


def exists(root: str) -> bool:
    """Whether something has been committed to the folder."""
    return _newest(root) is not None


def read(root: str, columns: Sequence[str], partition: Partition) -> pa.Table:
    """The rows of the newest commit, of one partition, or of all for an empty one."""
    entry = _newest(root)
    if entry is None:
        raise OutputError(root, "holds no commit", "a folder that a job wrote", "Check the path")
    kinds = dict(column.rsplit(" ", 1) for column in entry.columns)
    tables = [pa.table({name: pa.nulls(0) for name in columns})]
    for file in (f for f in entry.files if not partition or f.partition == partition):
        with told(file.path, "an intact Parquet file", "Score that partition again"):
            place = place_of(root, file.path)
            with pq.ParquetFile(storage.source(place, storage.state(place))) as parquet:
                table = parquet.read()
        for name, text in file.partition:
            value = pa.scalar(text, pa.string()).cast(_TYPES[kinds[name]])
            table = table.append_column(name, pa.repeat(value, len(table)))
        tables.append(table.select(list(columns)))
    return pa.concat_tables(tables, promote_options="default")


def place_of(root: str, path: str) -> str:
    """Where a file is that was staged, and perhaps committed."""
    shown = storage.join(root, path)
    return shown if _is_there(shown) else storage.join(root, STAGED, path + SUFFIX)


def _place(root: str, version: int, suffix: str = "json") -> str:
    return storage.join(root, BESIDE, f"{version:08d}.{suffix}")


def _newest(root: str) -> _Entry | None:
    return next(_entries(root), None)


def _entries(root: str) -> Iterator[_Entry]:
    """The newest first."""
    with told(root, "a folder that can be read", "Check its path, and the credentials"):
        found = [_ENTRY.fullmatch(name) for name in storage.names(storage.join(root, BESIDE))]
    versions = sorted((int(match[1]) for match in found if match), reverse=True)
    return (_entry(root, version) for version in versions)


def _entry(root: str, version: int) -> _Entry:
    with told(root, "a folder that can be read", "Check its path, and the credentials"):
        values = json.loads(storage.read(_place(root, version)))
    files = [
        _Shown(f["path"], tuple((n, v) for n, v in f["partition"]), f["rows"], f["size_bytes"])
        for f in values.pop("files")
    ]
    return _Entry(**values, files=files)


def _carry_out(root: str, entry: _Entry) -> None:
    """Make the folder what an entry says; another may have begun, or do the same now."""
    done = _place(root, entry.version, "done")
    with told(root, "a folder that can be written to", "Mend that, then run this again"):
        if _is_there(done):
            return
        for path in entry.remove:
            storage.remove(storage.join(root, path))
        for path in entry.add:
            staged = storage.join(root, STAGED, path + SUFFIX)
            try:
                storage.move(staged, storage.join(root, path))
            except FileNotFoundError:
                later = _place(root, entry.version + 1)  # which may have replaced it
                if not (_is_there(storage.join(root, path)) or _is_there(later)):
                    raise
        storage.write(done, b"")


def _is_there(place: str) -> bool:
    try:
        storage.state(place)
    except FileNotFoundError:
        return False
    return True


def _refuse_foreign(root: str) -> None:
    """Refuse a place that no job has committed to and that holds files of others."""
    if exists(root):
        return
    with told(root, "a new or empty folder", "Name another output"):
        names = storage.names(root)
    found = [name for name in names if not name.startswith(f"{BESIDE}/")]
    # Files appear after the commit that names them: another job's first may have come between.
    if found and not exists(root):
        expected = "a new or empty folder, or one that format: parquet wrote"
        raise OutputError(root, f"holds {found[0]}", expected, "Name another output")
