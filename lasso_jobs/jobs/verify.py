"""Recounting an output: its log against its files, its runs' accounts, and a sample of its rows."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake import DeltaTable

from lasso_jobs.data import delta_log, staged, storage
from lasso_jobs.data.staging import Partition, WrittenFile, partition_text, told
from lasso_jobs.errors import OutputError
from lasso_jobs.jobs.output import Tables, tables_of
from lasso_jobs.jobs.record import Record, records
from lasso_jobs.jobs.score_job import ScoreJob
from lasso_jobs.jobs.score_plan import ScorePlan, plan, sources_digest
from lasso_jobs.jobs.score_rows import QUARANTINE, RESULT, score_in_memory

DEEP_RUNS = 20
DEEP_UNITS = 3
DEEP_ROWS = 500

Files = dict[Partition, list[WrittenFile]]


@dataclass(frozen=True, slots=True)
class Verified:
    """An output in which no difference was found.

    Parameters
    ----------
    files, partitions, runs : int
        That were counted: the runs are those whose rows the output shows.
    rows_scored, rows_quarantined : int
    rows_rescored : int
        Of the source, and found in the output or in the quarantine again.
    """

    files: int
    partitions: int
    runs: int
    rows_scored: int
    rows_quarantined: int
    rows_rescored: int


@dataclass(frozen=True, slots=True)
class _Shown:
    """A run, and the partitions that no later run has replaced."""

    record: Record
    partitions: frozenset[Partition]


def verify(root: str, deep: bool = False, seed: int = 0) -> Verified:
    """Recount an output from its log and its files.

    Parameters
    ----------
    root : str
        A scoring job's output.
    deep : bool
        Score a sample of the source again, with the models that the runs had.
    seed : int
        Of the sample.

    Returns
    -------
    Verified

    Raises
    ------
    OutputError
        With the first difference.
    """
    tables = tables_of(root)
    output, quarantine = _checked_files(root), _checked_files(tables.quarantine)
    drift = _checked_files(tables.drift) if tables.drift else {}
    shown = tuple(_shown(root))
    for run in shown:
        _check_run(tables, run, output, quarantine, drift)
    _check_no_other(root, output, shown)
    _check_no_other(tables.quarantine, quarantine, shown)
    every = [file for table in (output, quarantine, drift) for fs in table.values() for file in fs]
    rescored = sum(_rescore(tables, run, seed) for run in _sample(shown, seed)) if deep else 0
    return Verified(
        len(every),
        len(output.keys() | quarantine.keys()),
        len(shown),
        _rows(output),
        _rows(quarantine),
        rescored,
    )


def _checked_files(root: str) -> Files:
    """Files that the table shows, by partition; each is whole and has the rows of the log."""
    version, found = delta_log.version(root), Files()
    for file in () if version < 0 else delta_log.files_at(root, version):
        place = storage.join(root, file.path)
        wrong = staged.damage(place, file)
        if wrong is None:
            with told(place, "a readable Parquet file", "Restore it"):
                rows = pq.read_metadata(storage.source(place, storage.state(place))).num_rows
            wrong = None if rows == file.rows else f"has {rows:,} rows, not {file.rows:,}"
        if wrong is not None:
            raise OutputError(
                place,
                wrong,
                f"the file that version {version} of its table has",
                "Restore it, or score its partition again",
            )
        found.setdefault(file.partition, []).append(file)
    return found


def _rows(files: Files, partition: Partition | None = None) -> int:
    chosen = files.values() if partition is None else [files.get(partition, [])]
    return sum(file.rows for several in chosen for file in several)


def _shown(root: str) -> Iterator[_Shown]:
    """The runs whose rows the output shows, the newest first."""
    taken: set[Partition] = set()
    for _, record in records(root):
        own = {counted.partition for counted in record.partitions} - taken
        if own:
            yield _Shown(record, frozenset(own))
        if () in own:  # a table without partition columns is replaced whole
            return
        taken |= own


def _check_run(tables: Tables, run: _Shown, output: Files, quarantine: Files, drift: Files) -> None:
    record = run.record
    _equal(
        f"{tables.output}, run {record.run_id}",
        "rows scored, quarantined or filtered",
        record.rows_scored + record.rows_quarantined + record.rows_filtered,
        record.rows_in,
        "rows of its source",
    )
    for counted in record.partitions:
        if counted.partition not in run.partitions:
            continue
        name = "/".join(f"{column}={value}" for column, value in counted.partition) or "all"
        for root, files, rows in (
            (tables.output, output, counted.scored),
            (tables.quarantine, quarantine, counted.quarantined),
        ):
            where, found = f"{root}, {name}", _rows(files, counted.partition)
            _equal(where, "rows", found, rows, f"of run {record.run_id}")
            for file in files.get(counted.partition, []):
                if f"lasso-{record.run_id}-" not in file.path:
                    raise OutputError(
                        where, file.path, f"files of run {record.run_id}", "Score it again"
                    )
    if record.drift_version >= 0 and not _rows(drift, (("run_id", record.run_id),)):
        raise OutputError(
            str(tables.drift), f"no rows of run {record.run_id}", "its drift", "Score it again"
        )


def _equal(where: str, what: str, found: int, expected: int, of: str) -> None:
    if found != expected:
        raise OutputError(
            where,
            f"{found:,} {what}",
            f"the {expected:,} {of}",
            "Score it again; a run that was stopped between its commits does so by itself",
        )


def _check_no_other(root: str, files: Files, shown: Sequence[_Shown]) -> None:
    known = {partition for run in shown for partition in run.partitions}
    for partition, several in files.items():
        if partition not in known:
            raise OutputError(
                f"{root}/{several[0].path}",
                "no run has committed it",
                "rows that this program's runs have scored",
                "Find out what wrote it, or name another output",
            )


def _sample(shown: Sequence[_Shown], seed: int) -> list[_Shown]:
    rng = np.random.default_rng(seed)
    chosen = rng.permutation(len(shown))[:DEEP_RUNS]
    return [shown[i] for i in sorted(chosen)]


def _rescore(tables: Tables, run: _Shown, seed: int) -> int:
    """Score some rows of a run's source again; return how many were compared."""
    planned, rng = _planned(run.record), np.random.default_rng(seed)
    n_rows = 0
    for i in sorted(rng.permutation(len(planned.partitions))[:DEEP_UNITS]):
        unit = score_in_memory(planned.partitions[i], planned.scoring)
        for root, rows, fields, by in (
            (tables.output, unit.good, list(RESULT)[:3], "prediction"),
            (tables.quarantine, unit.bad, list(QUARANTINE)[:4], "row"),
        ):
            names = [*planned.contract.carried.names, *(field.name for field in fields)]
            chosen = np.sort(rng.permutation(rows.num_rows)[:DEEP_ROWS])
            sample = _still_shown(rows.take(pa.array(chosen)), planned, run)
            if sample.num_rows:
                _find(root, sample.select(names), by, str(planned.partitions[i]))
            n_rows += sample.num_rows
    return n_rows


def _planned(record: Record) -> ScorePlan:
    """The run's plan, made again with the model that it had."""
    pinned = f"{record.model.partition('@')[0]}@{record.digest[:32]}"
    planned = plan(ScoreJob.from_values({**record.job, "model": pinned}))
    if sources_digest(planned.dataset) != record.sources:
        raise OutputError(
            f"{planned.dataset.path}, run {record.run_id}",
            "its files have changed since they were scored",
            "the files of the run",
            "Score the date again, or restore the files",
        )
    return planned


def _still_shown(rows: pa.Table, planned: ScorePlan, run: _Shown) -> pa.Table:
    """The rows whose partitions no later run has replaced."""
    by = planned.scoring.partition_by
    columns = [rows[name].to_pylist() for name in by]
    keys = [
        tuple((name, partition_text(name, value)) for name, value in zip(by, row, strict=True))
        for row in (zip(*columns, strict=True) if by else [()] * rows.num_rows)
    ]
    return rows.filter(pa.array([key in run.partitions for key in keys], pa.bool_()))


def _find(root: str, sample: pa.Table, by: str, source: str) -> None:
    """Find each row of a sample in a table, as often as the sample has it."""
    dataset = DeltaTable(root).to_pyarrow_dataset()
    sample = sample.cast(pa.schema([dataset.schema.field(name) for name in sample.schema.names]))
    wanted = pc.field(by).isin(sample[by].combine_chunks())
    there = dataset.to_table(columns=sample.schema.names, filter=wanted)
    counts = Counter(map(repr, there.to_pylist()))
    counts.subtract(Counter(map(repr, sample.to_pylist())))
    for row in sample.to_pylist():
        if counts[repr(row)] < 0:
            values = ", ".join(f"{name} {value}" for name, value in row.items())
            raise OutputError(
                root,
                f"no such row: {values}",
                f"the rows that {source} gives when it is scored again",
                "Score it again, and find out what changed it",
            )
