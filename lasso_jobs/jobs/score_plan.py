"""What a scoring run will read and write: made from footers only."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import pyarrow as pa

from lasso_jobs.artifacts.model import Model
from lasso_jobs.artifacts.registry import Registered, Registry
from lasso_jobs.core.columns import Columns
from lasso_jobs.core.diagnostics import MAX_CORRELATIONS
from lasso_jobs.data import schema, staging
from lasso_jobs.data.contract import Contract, hold
from lasso_jobs.data.dataset import Dataset, Partition
from lasso_jobs.data.discover import discover
from lasso_jobs.errors import DataError, JobError
from lasso_jobs.jobs.intervals import Interval
from lasso_jobs.jobs.journal import Journal
from lasso_jobs.jobs.output import quarantine_of
from lasso_jobs.jobs.record import records
from lasso_jobs.jobs.references import PREDICTION
from lasso_jobs.jobs.score_job import Output, ScoreJob
from lasso_jobs.jobs.score_rows import QUARANTINE, RESULT, Scoring


@dataclass(frozen=True, slots=True)
class ScorePlan:
    """What a scoring run will read and write; made from footers only.

    Parameters
    ----------
    job : ScoreJob
    registered : Registered
        The model, resolved once.
    dataset : Dataset
    contract : Contract
        What the files have for each column.
    columns_read : tuple of str
    partitions : tuple of Partition
    scoring : Scoring
    output_version, quarantine_version : int
        Of the tables when the plan was made, -1 for none: a commit refuses what came after.
    """

    job: ScoreJob
    registered: Registered
    dataset: Dataset
    contract: Contract
    columns_read: tuple[str, ...]
    partitions: tuple[Partition, ...]
    scoring: Scoring
    output_version: int
    quarantine_version: int

    @property
    def run_id(self) -> str:
        """A hash of the job, the model and the files' identities."""
        return self.scoring.run_id

    @property
    def n_bytes(self) -> int:
        """Compressed bytes of the columns."""
        return self.dataset.column_bytes(self.columns_read)

    @property
    def journal(self) -> Journal | None:
        """Where the run notes what it has done; None if its output is no folder."""
        return _journal(self.job.output, self.run_id)

    @property
    def expected_seconds(self) -> float | None:
        """By the throughput of the newest run that measured it; None before there is one."""
        measured = (
            record.bytes_per_second for _, record in records(self.scoring.root, self.scoring.format)
        )
        rate = next((rate for rate in measured if rate), None)
        return None if rate is None else self.n_bytes / rate


def plan(job: ScoreJob) -> ScorePlan:
    """Resolve the model, read the footers, and hold the job against both.

    Raises
    ------
    LassoJobsError
    """
    registered = Registry(job.registry).load(job.model)
    conditions = job.data.conditions()
    dataset = discover(job.data.path, conditions, job.data.version)
    filters = [name for condition in conditions for name in sorted(condition.columns)]
    scoring, contract = _scoring(job, registered, dataset, filters)
    columns = tuple(dict.fromkeys([*scoring.names(), *filters]))
    by, check = scoring.partition_by, staging.sink(scoring.format).check
    return ScorePlan(
        job,
        registered,
        dataset,
        contract,
        columns,
        dataset.partitions(columns),
        scoring,
        check(scoring.root, extended(contract.carried, RESULT), by),
        check(scoring.quarantine, extended(contract.carried, QUARANTINE), by),
    )


def _scoring(
    job: ScoreJob, registered: Registered, dataset: Dataset, filters: Sequence[str]
) -> tuple[Scoring, Contract]:
    """What the workers need, and the verdict on the columns that they will read."""
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
    imputes = job.missing_columns == "impute"
    carried = _carried(job)
    columns, reference = predictor.columns, registered.reference
    contract = hold(dataset, reference, columns, sources, carried, others, imputes, nulls_allowed)
    _check_partition_types(job, contract.carried)
    run_id = job.digest(registered.digest, *dataset.identities)[:16]
    output = job.output
    journal = _journal(output, run_id)
    scoring = Scoring(
        predictor,
        used,
        {} if job.drift is None else {n: model.references[n] for n in (*watched, PREDICTION)},
        segment,
        job.drift is not None and job.drift.correlation,
        nulls_allowed,
        interval,
        sources,
        contract.absent,
        contract.carried,
        output.partition_by,
        job.data.conditions(),
        output.path,
        quarantine_of(output.path, output.format),
        output.format,
        f"v{registered.version}",
        run_id,
        (journal and journal.scored_at()) or datetime.now(UTC),
    )
    return scoring, contract


def _journal(output: Output, run_id: str) -> Journal | None:
    if output.format not in staging.FOLDERS:
        return None
    quarantine = quarantine_of(output.path, output.format)
    return Journal(output.path, quarantine, run_id, output.format)


def extended(carried: pa.Schema, fields: pa.Schema) -> pa.Schema:
    """The columns of a table that scoring writes."""
    return pa.schema([*carried, *fields])


def sources_digest(dataset: Dataset) -> str:
    """What changes when a source file does."""
    return hashlib.sha256(json.dumps(dataset.identities).encode()).hexdigest()[:16]


def _sources(job: ScoreJob, columns: Columns, registered: Registered) -> dict[str, str]:
    """The source's column for each feature."""
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


def _carried(job: ScoreJob) -> dict[str, str]:
    """Keys and partition columns: they stand beside what scoring writes."""
    written = [*RESULT.names, *QUARANTINE.names]
    roles = dict.fromkeys(job.key_columns, "keys")
    roles = {**roles, **dict.fromkeys(job.output.partition_by, "output.partition_by")}
    for name in roles:
        if name in written:
            raise JobError(
                "keys, output.partition_by",
                f"{name!r} is a column that scoring writes",
                f"names other than {', '.join(dict.fromkeys(written))}",
                "Rename the column in the source",
            )
    return roles


def _check_partition_types(job: ScoreJob, carried: pa.Schema) -> None:
    """Partition columns name folders."""
    for name in job.output.partition_by:
        type_ = carried.field(name).type
        if schema.kind_of(type_) not in ("string", "integer", "boolean") and type_ != pa.date32():
            raise DataError(
                f"{job.data.path}, output.partition_by {name!r}",
                f"has type {type_}",
                "text, integers, booleans or dates",
                "Name another column, or derive one such as the date",
            )


def _watched(job: ScoreJob, model: Model) -> tuple[str, ...]:
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
        return model.columns.features
    for name in job.drift.features:
        if name not in model.columns.features:
            raise JobError(
                "drift.features",
                f"{name!r} is no feature of {model.name}",
                f"some of {', '.join(model.columns.features)}",
                "Correct the list, or use selected or all",
            )
    return job.drift.features
