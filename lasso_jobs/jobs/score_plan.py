"""What a scoring run will read and write: made from footers only."""

from dataclasses import dataclass
from datetime import UTC, datetime

import pyarrow as pa

from lasso_jobs.artifacts.model import Model
from lasso_jobs.artifacts.registry import Registered, Registry
from lasso_jobs.data import schema, staging
from lasso_jobs.data.dataset import Dataset, Partition, discover
from lasso_jobs.errors import DataError, JobError
from lasso_jobs.jobs.config import ScoreJob
from lasso_jobs.jobs.references import PREDICTION
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
    columns_read : tuple of str
    partitions : tuple of Partition
    scoring : Scoring
    """

    job: ScoreJob
    registered: Registered
    dataset: Dataset
    columns_read: tuple[str, ...]
    partitions: tuple[Partition, ...]
    scoring: Scoring

    @property
    def run_id(self) -> str:
        """A hash of the job, the model and the files' identities."""
        return self.scoring.run_id

    @property
    def n_bytes(self) -> int:
        """Compressed bytes of the columns."""
        return self.dataset.column_bytes(self.columns_read)


def plan(job: ScoreJob) -> ScorePlan:
    """Resolve the model, read the footers, and hold the job against both.

    Raises
    ------
    LassoJobsError
    """
    registered = Registry(job.registry).load(job.model)
    model = registered.model
    conditions = job.data.conditions()
    dataset = discover(job.data.path, conditions, job.data.version)
    watched = _watched(job, model)
    used = frozenset(model.predictor.used)
    predictor = model.predictor.only(used | set(watched))
    filters = [name for condition in conditions for name in sorted(condition.columns)]
    by_key = [
        ("keys", job.key_columns),
        ("output.partition_by", job.output.partition_by),
        ("data.where", filters),
    ]
    for key, names in by_key:
        for name in names:
            schema.require(dataset, name, key)
    _check_carried(job, dataset)
    for name in predictor.columns.features:
        schema.require(dataset, name, f"a feature of {registered.reference},")
    schema.check_types(dataset.schema, predictor.columns, dataset.path)
    every = [*predictor.columns.features, *(name for _, names in by_key for name in names)]
    schema.check_files(dataset, tuple(dict.fromkeys(every)))
    joint = "_" if job.output.format == "postgresql" else "-"
    quarantine = f"{job.output.path.rstrip('/')}{joint}quarantine"
    for place in (job.output.path, quarantine):
        # Fails now, and not after the work, if it cannot be reached.
        staging.sink(job.output.format).exists(place)
    scoring = Scoring(
        predictor,
        used,
        {**{n: model.references[n] for n in watched}, PREDICTION: model.references[PREDICTION]},
        model.job["preprocess"]["missing"] != "error",
        None if model.holdout is None else model.holdout.interval,
        job.key_columns,
        job.output.partition_by,
        conditions,
        job.output.path,
        quarantine,
        job.output.format,
        f"v{registered.version}",
        job.digest(registered.digest, *dataset.identities)[:16],
        datetime.now(UTC),
    )
    columns = tuple(dict.fromkeys([*scoring.names(), *filters]))
    return ScorePlan(job, registered, dataset, columns, dataset.partitions(columns), scoring)


def _check_carried(job: ScoreJob, dataset: Dataset) -> None:
    """Keys and partition columns stand beside what scoring writes, and name folders."""
    written = [*RESULT.names, *QUARANTINE.names]
    for name in (*job.key_columns, *job.output.partition_by):
        if name in written:
            raise JobError(
                "keys, output.partition_by",
                f"{name!r} is a column that scoring writes",
                f"names other than {', '.join(dict.fromkeys(written))}",
                "Rename the column in the source",
            )
    for name in job.output.partition_by:
        type_ = dataset.schema.field(name).type
        if schema.kind_of(type_) not in ("string", "integer", "boolean") and type_ != pa.date32():
            raise DataError(
                f"{dataset.path}, output.partition_by {name!r}",
                f"has type {type_}",
                "text, integers, booleans or dates",
                "Name another column, or derive one such as the date",
            )


def _watched(job: ScoreJob, model: Model) -> tuple[str, ...]:
    if job.drift is None:
        return ()
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
