"""Plans a scoring run: its model, its work units and its tables, from the files' footers alone."""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from lasso_jobs.core.inference.collinearity import MAX_CORRELATIONS
from lasso_jobs.core.rows.columns import Columns
from lasso_jobs.data import schema
from lasso_jobs.data.columns.contract import Contract, Needs, contract_of
from lasso_jobs.data.dataset import Dataset, WorkUnit
from lasso_jobs.data.discover import Listing, discover
from lasso_jobs.drift.references import MOST_REFERENCES, PREDICTION
from lasso_jobs.drift.watch import Run, SegmentColumn, Watch
from lasso_jobs.errors import JobError
from lasso_jobs.jobs.score import Output, ScoreJob
from lasso_jobs.models.contributions import TopContributions
from lasso_jobs.models.intervals import Interval
from lasso_jobs.models.intervals import in_words as intervals_in_words
from lasso_jobs.models.model import Model
from lasso_jobs.models.registry import Registered, Registry
from lasso_jobs.scoring.carried import as_written, carried_columns, check_written_types
from lasso_jobs.scoring.journal import Journal
from lasso_jobs.scoring.record import run_records
from lasso_jobs.scoring.tables import quarantine_place
from lasso_jobs.scoring.task import Destination, Features, ScoringTask
from lasso_jobs.sinks import protocol
from lasso_jobs.storage.json_text import json_text


@dataclass(frozen=True, slots=True, kw_only=True)
class ScorePlan:
    """What a scoring run will read and write.

    Parameters
    ----------
    job : ScoreJob
    registered : Registered
        The model; an alias such as ``champion`` is resolved here, once.
    dataset : Dataset
    contract : Contract
        What the files have for each column.
    columns_read : tuple of str
        All columns that are read, those of ``data.where`` among them.
    work_units : tuple of WorkUnit
    task : ScoringTask
        What every worker needs.
    output_version, quarantine_version : int
        The versions of the tables when the plan was made, -1 for none. A commit is refused if
        another run has changed its partitions after them.
    """

    job: ScoreJob
    registered: Registered
    dataset: Dataset
    contract: Contract
    columns_read: tuple[str, ...]
    work_units: tuple[WorkUnit, ...]
    task: ScoringTask
    output_version: int
    quarantine_version: int

    @property
    def run_id(self) -> str:
        """A hash of the job, the model and the files' identities."""
        return self.task.run.id

    @property
    def n_bytes(self) -> int:
        """Compressed bytes of the columns that are read."""
        return self.dataset.column_bytes(self.columns_read)

    @property
    def journal(self) -> Journal | None:
        """Where the run notes the work units that are done; None if its output is no folder."""
        return _journal(self.job.output, self.run_id)

    @property
    def expected_seconds(self) -> float | None:
        """At the throughput of the newest run that measured it; None before there is one."""
        output = self.job.output
        runs = run_records(output.path, output.format)
        rates = (record.bytes_per_second for _, record in runs)
        rate = next((rate for rate in rates if rate), None)
        return None if rate is None else self.n_bytes / rate

    def as_values(self) -> dict[str, Any]:
        """What ``plan --json`` prints."""
        return {
            "job": "score",
            "run_id": self.run_id,
            "model": self.registered.reference,
            "digest": self.registered.digest,
            **self.dataset.as_values(self.columns_read, self.work_units),
            "columns": list(self.columns_read),
            "output": self.job.output.path,
            "intervals": intervals_in_words(self.registered.model.holdout),
            "schema": self.contract.summary,
            "schema_columns": [asdict(column) for column in self.contract.columns],
            "extra_columns": list(self.contract.extra),
            "expected_seconds": self.expected_seconds,
        }


def plan(
    job: ScoreJob, registered: Registered | None = None, listed: Listing | None = None
) -> ScorePlan:
    """Resolve the model, read the footers, and hold the job against both.

    Parameters
    ----------
    job : ScoreJob
    registered : Registered, optional
        The model, if it is there already.
    listed : Listing, optional
        The source files, likewise.

    Raises
    ------
    LassoJobsError
    """
    registered = registered or Registry(job.registry).load(job.model)
    conditions, data = job.data.conditions(), job.data
    dataset = discover(data.path, conditions, data.version, may_be_empty=True, listed=listed)
    for condition in conditions:
        condition.require(dataset.schema, dataset.path)
    filters = [name for condition in conditions for name in sorted(condition.columns)]
    task, contract = _task(job, registered, dataset, filters)
    columns = tuple(dict.fromkeys([*task.columns_read, *filters]))
    check = protocol.sink(task.destination.format).check
    return ScorePlan(
        job=job,
        registered=registered,
        dataset=dataset,
        contract=contract,
        columns_read=columns,
        work_units=tuple(unit for unit in dataset.work_units(columns) if unit.rows),
        task=task,
        output_version=check(task.output_change),
        quarantine_version=check(task.quarantine_change),
    )


def _task(
    job: ScoreJob, registered: Registered, dataset: Dataset, filters: Sequence[str]
) -> tuple[ScoringTask, Contract]:
    """What the workers need, and what becomes of the columns that they will read."""
    model, watched = registered.model, _watched(job, registered.model)
    used = frozenset(model.predictor.used)
    predictor = model.predictor.only(used | set(watched))
    sources = _sources(job, predictor.columns, registered)
    nulls_allowed = model.job["preprocess"]["missing"] in ("mean", "indicator")
    interval = Interval.of(model.holdout, {new: old for old, new in job.rename.items()})
    others = dict.fromkeys(filters, "data.where")
    if interval is not None and interval.column is not None:
        others |= {interval.column: "the groups of the model's intervals"}
    segment = None if job.drift is None else job.drift.segment
    if segment is not None:
        others |= {segment: "drift.segment"}
    columns = predictor.columns
    needs = Needs(
        model=registered.reference,
        features=columns,
        sources=sources,
        carried=carried_columns(job),
        others=others,
        imputes=job.missing_columns == "impute",
        nulls_allowed=nulls_allowed,
        offset=predictor.offset,
    )
    contract = as_written(job.output, contract_of(dataset, needs), dataset)
    check_written_types(job, contract.carried)
    return ScoringTask(
        features=Features(
            predictor=predictor,
            used=used,
            nulls_allowed=nulls_allowed,
            sources=sources,
            absent=contract.absent,
        ),
        interval=interval,
        top=TopContributions(job.output.contributions, model.mean_terms),
        watch=_watch(job, model, columns, watched),
        where=job.data.conditions(),
        destination=_destination(job.output, contract.carried),
        run=_run(job, registered, dataset),
    ), contract


def _watch(job: ScoreJob, model: Model, columns: Columns, watched: Sequence[str]) -> Watch:
    drift, by = job.drift, job.output.partition_by
    names = () if drift is None else (*watched, PREDICTION)
    return Watch(
        columns=columns,
        references={name: model.references[name] for name in names},
        segment=_segment(job, model),
        correlation=drift is not None and drift.correlation,
        partition_by=by,
    )


def _segment(job: ScoreJob, model: Model) -> SegmentColumn | None:
    name = None if job.drift is None else job.drift.segment
    if name is None:
        return None
    feature = job.rename.get(name, name)
    known = (c for c in model.columns.categories if c.name == feature)
    return SegmentColumn(name, any(category.type == "boolean" for category in known))


def _destination(output: Output, carried: pa.Schema) -> Destination:
    return Destination(
        root=output.path,
        quarantine=quarantine_place(output.path, output.format),
        format=output.format,
        carried=carried,
        partition_by=output.partition_by,
    )


def _run(job: ScoreJob, registered: Registered, dataset: Dataset) -> Run:
    """The run; one that is continued keeps the time at which it was started."""
    id_ = job.digest(registered.digest, *dataset.identities)[:16]
    journal = _journal(job.output, id_)
    scored_at = (journal and journal.scored_at()) or datetime.now(UTC)
    return Run(id_, registered.model.name, f"v{registered.version}", scored_at)


def _journal(output: Output, run_id: str) -> Journal | None:
    if output.format not in protocol.FOLDERS:
        return None
    quarantine = quarantine_place(output.path, output.format)
    return Journal(output.path, quarantine, run_id, output.format)


def sources_digest(dataset: Dataset) -> str:
    """A digest of the source files' identities: it changes when one of them does."""
    return hashlib.sha256(json_text(dataset.identities).encode()).hexdigest()[:16]


def _sources(job: ScoreJob, columns: Columns, registered: Registered) -> dict[str, str]:
    """The column of the source that each feature is read from."""
    reference, holdout = registered.reference, registered.model.holdout
    known = [*columns.stored, *([holdout.by] if holdout and holdout.by else [])]
    renamed = {feature: source for source, feature in job.rename.items()}
    for source, feature in job.rename.items():
        if feature not in known:
            raise JobError(
                "rename",
                f"{source!r} is to be {feature!r}, which {reference} does not use",
                f"one of {schema.listed(known)}",
                "Correct it, or leave it out",
            )
    return {name: renamed.get(name, name) for name in columns.stored}


def _watched(job: ScoreJob, model: Model) -> tuple[str, ...]:
    """The features whose drift the job asks for."""
    if job.drift is None:
        return ()
    if job.drift.correlation and model.diagnostics.collinearity.correlation is None:
        raise JobError(
            "drift.correlation",
            f"{model.name} keeps no correlations, as it has {len(model.labels):,} columns",
            f"a model of at most {MAX_CORRELATIONS} columns",
            "Set drift.correlation to false",
        )
    if job.drift.features == "selected":
        return model.predictor.used
    if job.drift.features == "all":
        return tuple(name for name in model.columns.features if name in model.references)
    known = frozenset(model.columns.features)
    for name in job.drift.features:
        if name not in known:
            raise JobError(
                "drift.features",
                f"{name!r} is no feature of {model.name}",
                f"some of {schema.listed(model.columns.features)}",
                "Correct the list, or use selected or all",
            )
        if name not in model.references:
            raise JobError(
                "drift.features",
                f"{model.name} keeps no reference of {name!r}, which it does not use",
                f"one of the {len(model.references) - 1:,} features that have one, as models of "
                f"more than {MOST_REFERENCES} keep them of those that can matter",
                "Leave it out, or use selected or all",
            )
    return job.drift.features
