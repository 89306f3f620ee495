"""Recounts an output: its log against its files, against its runs' counts, and a sample of rows.

The sample (``deep``) is scored again from the source, with the models that the runs had.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import chain

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lasso_jobs.drift.table import partition_name
from lasso_jobs.errors import OutputError
from lasso_jobs.jobs.score import ScoreJob
from lasso_jobs.models.contributions import top_columns
from lasso_jobs.scoring.plan import ScorePlan, plan, sources_digest
from lasso_jobs.scoring.record import RunRecord, run_records
from lasso_jobs.scoring.rows import score_in_memory
from lasso_jobs.scoring.tables import OutputTables, output_tables
from lasso_jobs.sinks import delta_log, written_file
from lasso_jobs.sinks.partitions import partition_text
from lasso_jobs.sinks.protocol import Partition, WrittenFile
from lasso_jobs.storage import files as storage
from lasso_jobs.storage.failures import as_output_error

DEEP_RUNS = 20
DEEP_UNITS = 3
DEEP_ROWS = 500
_RESCORED = ("prediction", "prediction_low", "prediction_high")
_REQUARANTINED = ("reason", "column", "file", "row")
"""Columns that are the same when a row is scored again."""

Files = dict[Partition, list[WrittenFile]]


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyResult:
    """The counts of an output in which no difference was found.

    Parameters
    ----------
    files, partitions, runs : int
        How many were checked; the runs are those whose rows the output shows.
    rows_scored, rows_quarantined : int
    rows_rescored : int
        Rows of the source that were scored again, and found in the output or its quarantine.
    """

    files: int
    partitions: int
    runs: int
    rows_scored: int
    rows_quarantined: int
    rows_rescored: int

    def as_values(self) -> dict[str, int]:
        """What ``verify --json`` prints."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class _Contents:
    """The files that an output's tables show; each is whole.

    Runs of different times may have different drift tables: `drift` has each table's files by its
    place, and `drift_of` the place for each run.
    """

    tables: OutputTables
    output: Files
    quarantine: Files
    drift: Mapping[str, Files]
    drift_of: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _VisibleRun:
    """A run, and the partitions that no later run has replaced."""

    record: RunRecord
    partitions: frozenset[Partition]


def verify(root: str, deep: bool = False, seed: int = 0) -> VerifyResult:
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
    VerifyResult

    Raises
    ------
    OutputError
        With the first difference.
    """
    tables, runs = output_tables(root), tuple(_visible_runs(root))
    contents = _contents(tables, runs)
    for run in runs:
        _check_run(contents, run)
    _check_no_other(root, contents.output, runs)
    _check_no_other(contents.tables.quarantine, contents.quarantine, runs)
    output, quarantine = (
        list(chain.from_iterable(table.values()))
        for table in (contents.output, contents.quarantine)
    )
    drift = [file for table in contents.drift.values() for file in chain(*table.values())]
    sampled = _sample(runs, seed) if deep else []
    return VerifyResult(
        files=len(output) + len(quarantine) + len(drift),
        partitions=len(contents.output.keys() | contents.quarantine.keys()),
        runs=len(runs),
        rows_scored=_rows(output),
        rows_quarantined=_rows(quarantine),
        rows_rescored=sum(_rescore(contents.tables, run, seed) for run in sampled),
    )


def _contents(tables: OutputTables, runs: Sequence[_VisibleRun]) -> _Contents:
    tables.require_quarantine()
    drift_of: dict[str, str] = {}
    known: dict[object, str | None] = {}  # a table is opened once, not for each run
    for record in (run.record for run in runs if run.record.drift_version >= 0):
        link = record.drift_table or record.job["drift"]["path"]
        if link not in known:
            known[link] = tables.drift_of(record)
        if (place := known[link]) is not None:
            drift_of[record.run_id] = place
    return _Contents(
        tables=tables,
        output=_checked_files(tables.output),
        quarantine=_checked_files(tables.quarantine),
        drift={place: _checked_files(place) for place in {*drift_of.values()}},
        drift_of=drift_of,
    )


def _checked_files(root: str) -> Files:
    """The files that a table shows, by partition: each is whole, and has the rows of the log."""
    version, files = delta_log.version(root), Files()
    for file in () if version < 0 else delta_log.files_at(root, version):
        place = storage.join(root, file.path)
        wrong = written_file.damage(place, file)
        if wrong is None:
            with as_output_error(place, "a readable Parquet file", "Restore it"):
                rows = pq.read_metadata(storage.source(place, storage.state(place))).num_rows
            wrong = None if rows == file.rows else f"has {rows:,} rows, not {file.rows:,}"
        if wrong is not None:
            raise OutputError(
                place,
                wrong,
                f"the file that version {version} of its table has",
                "Restore it, or score its date again",
            )
        files.setdefault(file.partition, []).append(file)
    return files


def _rows(files: Iterable[WrittenFile]) -> int:
    return sum(file.rows for file in files)


def _visible_runs(root: str) -> Iterator[_VisibleRun]:
    """The runs whose rows the output shows, the newest first."""
    taken: set[Partition] = set()
    for _, record in run_records(root):
        own = record.replaced - taken
        if own:
            yield _VisibleRun(record, frozenset(own))
        if () in own:  # a table without partition columns is replaced whole
            return
        taken |= own


def _check_run(contents: _Contents, run: _VisibleRun) -> None:
    record, tables = run.record, contents.tables
    _check_equal(
        f"{tables.output}, run {record.run_id}",
        record.rows_scored + record.rows_quarantined + record.rows_filtered,
        record.rows_in,
        what="rows scored, quarantined or filtered",
        of="rows of its source",
    )
    for counted in record.partitions:
        if counted.partition not in run.partitions:
            continue
        name = partition_name(counted.partition)
        for root, table, rows in (
            (tables.output, contents.output, counted.scored),
            (tables.quarantine, contents.quarantine, counted.quarantined),
        ):
            where, files = f"{root}, {name}", table.get(counted.partition, [])
            of_run = f"of run {record.run_id}"
            _check_equal(where, _rows(files), rows, what="rows", of=of_run)
            for file in files:
                if f"lasso-{record.run_id}-" not in file.path:
                    raise OutputError(where, file.path, f"files {of_run}", "Score it again")
    place = contents.drift_of.get(record.run_id)
    if place and not _rows(contents.drift[place].get((("run_id", record.run_id),), [])):
        raise OutputError(place, f"no rows of run {record.run_id}", "its drift", "Score it again")


def _check_equal(where: str, found: int, expected: int, *, what: str, of: str) -> None:
    if found != expected:
        raise OutputError(
            where,
            f"{found:,} {what}",
            f"the {expected:,} {of}",
            "Score it again; a run that was stopped between its commits does so by itself",
        )


def _check_no_other(root: str, files: Files, runs: Sequence[_VisibleRun]) -> None:
    known = {partition for run in runs for partition in run.partitions}
    for partition, several in files.items():
        if partition not in known:
            raise OutputError(
                f"{root}/{several[0].path}",
                "no run has committed it",
                "rows that this program's runs have scored",
                "Find out what wrote it, or name another output",
            )


def _sample(runs: Sequence[_VisibleRun], seed: int) -> list[_VisibleRun]:
    rng = np.random.default_rng(seed)
    chosen = rng.permutation(len(runs))[:DEEP_RUNS]
    return [runs[i] for i in sorted(chosen)]


def _rescore(tables: OutputTables, run: _VisibleRun, seed: int) -> int:
    """Score a sample of a run's source again, and return how many of its rows were compared."""
    planned, rng = _planned_again(tables.output, run.record), np.random.default_rng(seed)
    n_rows = 0
    for i in sorted(rng.permutation(len(planned.work_units))[:DEEP_UNITS]):
        unit = score_in_memory(planned.work_units[i], planned.task)
        top = top_columns(planned.job.output.contributions).names
        for root, rows, written, by in (
            (tables.output, unit.scored, (*_RESCORED, *top), "prediction"),
            (tables.quarantine, unit.quarantined, _REQUARANTINED, "row"),
        ):
            names = [*planned.contract.carried.names, *written]
            chosen = np.sort(rng.permutation(rows.num_rows)[:DEEP_ROWS])
            sample = _still_shown(rows.take(pa.array(chosen)), planned, run)
            if sample.num_rows:
                _check_shown(root, sample.select(names), by, str(planned.work_units[i]))
            n_rows += sample.num_rows
    return n_rows


def _planned_again(root: str, record: RunRecord) -> ScorePlan:
    """The plan of a run, made again with the model that it had, for the output as it is here."""
    pinned = f"{record.model.partition('@')[0]}@{record.digest[:32]}"
    output = {**record.job["output"], "path": root}
    planned = plan(ScoreJob.from_values({**record.job, "model": pinned, "output": output}))
    if sources_digest(planned.dataset) != record.sources:
        raise OutputError(
            f"{planned.dataset.path}, run {record.run_id}",
            "its files have changed since they were scored",
            "the files of the run",
            "Score the date again, or restore the files",
        )
    return planned


def _still_shown(rows: pa.Table, planned: ScorePlan, run: _VisibleRun) -> pa.Table:
    """The rows whose partitions no later run has replaced."""
    by = planned.job.output.partition_by
    columns = [rows[name].to_pylist() for name in by]
    keys = [
        tuple((name, partition_text(name, value)) for name, value in zip(by, row, strict=True))
        for row in (zip(*columns, strict=True) if by else [()] * rows.num_rows)
    ]
    return rows.filter(pa.array([key in run.partitions for key in keys], pa.bool_()))


def _check_shown(root: str, sample: pa.Table, by: str, source: str) -> None:
    """Refuse a table that shows a row of the sample less often than the sample has it."""
    dataset = delta_log.dataset(root)
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
