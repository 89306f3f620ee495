"""What a training job will read: made from footers only."""

import hashlib
import json
from dataclasses import dataclass

from lasso_jobs.core.columns import stored
from lasso_jobs.data import schema
from lasso_jobs.data.dataset import Dataset, Partition
from lasso_jobs.data.discover import discover
from lasso_jobs.data.times import FORMS, is_date, is_number, is_time
from lasso_jobs.errors import DataError, JobError
from lasso_jobs.jobs.search import HoldoutRows
from lasso_jobs.jobs.train_job import TrainJob


@dataclass(frozen=True, slots=True)
class TrainPlan:
    """What a training will read; made from footers only.

    Parameters
    ----------
    job : TrainJob
    dataset : Dataset
    features : Features
    period : str or None
        The column of periods.
    columns_read : tuple of str
    partitions : tuple of Partition
    data_digest : str
        A hash of the files' identities: names, sizes and times.
    run_id : str
        A hash of the job and of the files' identities.
    """

    job: TrainJob
    dataset: Dataset
    features: schema.Features
    period: str | None
    columns_read: tuple[str, ...]
    partitions: tuple[Partition, ...]
    data_digest: str
    run_id: str

    @property
    def n_bytes(self) -> int:
        """Compressed bytes of the columns."""
        return self.dataset.column_bytes(self.columns_read)


def plan(job: TrainJob) -> TrainPlan:
    """Read the footers, and hold the job against them.

    Raises
    ------
    DataError
        If the data is not there, or not what the job says.
    """
    if job.preprocess.scaling == "robust" and job.weight is not None:
        raise JobError(
            "preprocess.scaling",
            f"is robust, with the weight {job.weight!r}",
            "standard, minmax or none where rows have weights, as quartiles count rows",
            "Change preprocess.scaling, or set weight to null",
        )
    dataset = discover(job.data.path, job.data.conditions(), job.data.version)
    schema.require(dataset, job.target, "target", number=True)
    reserved = {job.target: "target"}
    for key, name in (
        ("weight", job.weight),
        ("search.split.group", job.search.split.group),
        ("search.split.fold", job.search.split.fold),
    ):
        if name is not None:
            schema.require(dataset, name, key, number=key == "weight")
            reserved[name] = key
    if job.time is not None:
        _require_time(dataset, job, job.time)
        reserved[job.time] = "time"
    filters = [("data.where", job.data.conditions())]
    if isinstance(job.holdout, HoldoutRows):
        filters.append(("holdout.where", job.holdout.conditions()))
    in_filters = {c: key for key, parts in filters for part in parts for c in part.columns}
    for name, key in in_filters.items():
        schema.require(dataset, name, key)
    selected = job.features
    dates = schema.date_features(dataset, selected.dates)
    features = schema.select_features(
        dataset, selected.include, selected.exclude, selected.categorical, reserved, dates
    )
    named = [*features.numeric, *(name for name, _ in features.categorical)]
    for key in ("penalty_factors", "bounds"):
        for name in getattr(job, key):
            if name not in named:
                raise JobError(
                    key, f"{name!r} is no feature", f"one of {', '.join(named)}", "Correct it"
                )
    period = _period(dataset, job)
    also = [*_groups(dataset, job), *([period] if period else [])]
    columns = tuple(dict.fromkeys([*stored(named, dates), *reserved, *in_filters, *also]))
    schema.check_files(dataset, columns)
    return TrainPlan(
        job,
        dataset,
        features,
        period,
        columns,
        dataset.static_partitions(),
        hashlib.sha256(json.dumps(dataset.identities).encode()).hexdigest(),
        job.digest(*dataset.identities)[:16],
    )


def _groups(dataset: Dataset, job: TrainJob) -> tuple[str, ...]:
    """The column whose groups have intervals of their own."""
    if job.intervals is None:
        return ()
    name = job.intervals.by
    schema.require(dataset, name, "intervals.by")
    type_ = dataset.schema.field(name).type
    if schema.kind_of(type_) not in ("string", "integer", "boolean"):
        raise DataError(
            f"{dataset.path}, intervals.by {name!r}",
            f"has type {type_}",
            "text, integers or booleans",
            "Name another column",
        )
    return (name,)


def _period(dataset: Dataset, job: TrainJob) -> str | None:
    """The column whose values are periods: as the job says, or a folder's date, or its times."""
    if job.period is not None:
        schema.require(dataset, job.period, "period")
        type_ = dataset.schema.field(job.period).type
        kind = schema.kind_of(type_)
        if kind == "number" or not (is_time(type_) or kind == "boolean"):
            raise DataError(
                f"{dataset.path}, period {job.period!r}",
                f"has type {type_}",
                "dates, timestamps, text or integers",
                "Name another column",
            )
        return job.period
    for name in dataset.constants:
        values = (dict(file.identity.constants).get(name) for file in dataset.files)
        if any(is_date(str(value)) for value in values):
            return name
    if job.time is not None and not is_number(dataset.schema.field(job.time).type):
        return job.time
    return None


def _require_time(dataset: Dataset, job: TrainJob, name: str) -> None:
    """Check that the column holds times, and that the gap is in its unit."""
    key = "search.split.time" if job.search.split.time else "holdout.time"
    schema.require(dataset, name, key)
    type_, gap = dataset.schema.field(name).type, job.search.split.gap
    if not is_time(type_):
        raise DataError(
            f"{dataset.path}, {key} {name!r}", f"has type {type_}", FORMS, "Name another column"
        )
    if gap and isinstance(gap, str) == is_number(type_):
        raise JobError(
            "search.split.gap",
            f"is {gap!r}, but {name!r} has type {type_}",
            "a number" if is_number(type_) else "a duration such as 7d or 12h",
            "Correct it",
        )
