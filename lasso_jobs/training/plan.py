"""Plans a training: holds the job against the files' footers, and says what will be read."""

import hashlib
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from typing import Any

from lasso_jobs.data import schema
from lasso_jobs.data.columns import column_fates
from lasso_jobs.data.columns.column_fates import ColumnFate, odd_columns
from lasso_jobs.data.columns.date_features import date_features
from lasso_jobs.data.columns.kinds import kind_of
from lasso_jobs.data.columns.selection import SelectedFeatures, select_features
from lasso_jobs.data.columns.vector_options import vector_options
from lasso_jobs.data.dataset import Dataset, WorkUnit
from lasso_jobs.data.discover import discover
from lasso_jobs.data.times import FORMS, is_number, is_time
from lasso_jobs.data.vectors.features import VectorOptions
from lasso_jobs.data.window import Window, constant_of_dates, window_of
from lasso_jobs.engine.memory import of_this_process
from lasso_jobs.errors import DataError, JobError
from lasso_jobs.jobs.split import HoldoutRows
from lasso_jobs.jobs.train import TrainJob
from lasso_jobs.storage.json_text import json_text
from lasso_jobs.training import memory
from lasso_jobs.training.engine import Engine, engine_for, reason_for_engine
from lasso_jobs.training.outlook import outlook
from lasso_jobs.training.read.scans.split_unit import SplitUnit, split_unit


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainPlan:
    """What a training will read.

    Parameters
    ----------
    job : TrainJob
    dataset : Dataset
    features : SelectedFeatures
    engine : {"all", "screened"}
    period : str or None
        The column of periods.
    window : Window or None
        The last part of the data, which ``job.data.where`` keeps besides.
    columns_read : tuple of str
    odd_columns : tuple of ColumnFate
        Those of them that some file lacks, or has in another type.
    work_units : tuple of WorkUnit
    data_digest : str
        A hash of the files' identities.
    run_id : str
        A hash of the job, of the files' identities and of the names of vectors' elements.
    """

    job: TrainJob
    dataset: Dataset
    features: SelectedFeatures
    engine: Engine
    period: str | None
    window: Window | None
    columns_read: tuple[str, ...]
    odd_columns: tuple[ColumnFate, ...]
    work_units: tuple[WorkUnit, ...]
    data_digest: str
    run_id: str

    def as_values(self) -> dict[str, Any]:
        """What ``plan --json`` prints."""
        vectors, job, unit = self.features.vectors, self.job, self.unit
        expected = outlook(job.registry, job.name, self.engine, self.n_bytes)
        return {
            "job": "train",
            "run_id": self.run_id,
            **self.dataset.as_values(self.columns_read, self.work_units),
            "window": None if self.window is None else asdict(self.window),
            "target": job.target,
            "offset": job.offset,
            "intercept": job.intercept,
            "numeric_features": [name for name in self.features.scalars if name != job.offset],
            "vector_features": {v.column: v.length for v in vectors},
            "token_features": {each.column: each.tokens.how for each in self.features.tokens},
            "categorical_features": [name for name, _ in self.features.categorical],
            "left_out": dict(self.features.left_out),
            "engine": self.engine,
            "engine_because": reason_for_engine(self.job, self.features),
            "unit": unit.column or "row",
            "unit_because": unit.because,
            "expected_scans": expected.scans,
            "expected_seconds": expected.seconds,
            "memory_bytes_at_most": self.memory_bytes,
            "schema": column_fates.in_words(self.odd_columns),
            "schema_columns": column_fates.as_values(self.odd_columns),
            "extra_columns": self.extra_columns,
        }

    @property
    def unit(self) -> SplitUnit:
        """What is dealt out to folds and hold-out, and what standard errors count."""
        return split_unit(self.job, self.dataset, self.period)

    @property
    def n_bytes(self) -> int:
        """Compressed bytes of the columns that are read."""
        return self.dataset.column_bytes(self.columns_read)

    @property
    def memory_bytes(self) -> int:
        """What the driver needs if each category has as many levels as it may have."""
        return memory.planned_bytes(
            self.job, self.dataset, self.features, at_most=True, engine=self.engine
        )

    @property
    def extra_columns(self) -> list[str]:
        """Columns of the files that no part of the job uses: they are not read."""
        others = {*self.columns_read, *self.dataset.constants}
        return [name for name in self.dataset.schema.names if name not in others]


def plan(job: TrainJob) -> TrainPlan:
    """Read the footers, and hold the job against them.

    Raises
    ------
    DataError
        If the data is not there, or not what the job says.
    """
    _refuse_quartiles_of_weighted_rows(job)
    window = _window(job)
    if window is not None:
        job = job.model_copy(update={"data": job.data.within(window.where)})
    dataset = discover(job.data.path, job.data.conditions(), job.data.version)
    roles = _columns_with_roles(dataset, job)
    filters = _columns_of_filters(dataset, job)
    options = options_of(job, dataset)
    features = select_features(
        dataset,
        include=job.features.include,
        exclude=job.features.exclude,
        categorical=job.features.categorical,
        reserved=roles,
        dates=date_features(dataset, job.features.dates),
        options=options,
    )
    refuse_unknown_features(job, features)
    features = features.with_offset(job.offset)
    period = _period(dataset, job)
    groups = dict.fromkeys(_groups(dataset, job), "intervals.by")
    others = roles | dict.fromkeys(filters, "filter") | groups
    others |= {period: "period"} if period and period not in others else {}
    columns = tuple(dict.fromkeys([*features.stored, *others]))
    nullable = () if job.preprocess.missing == "error" else set(columns) - set(others)
    schema.check_files(dataset, columns, nullable=nullable)
    engine = engine_for(job, features)
    least = memory.planned_bytes(job, dataset, features, at_most=False, engine=engine)
    if least > memory.WORTH_A_LOOK:  # how many levels there are, only a scan can tell
        memory.refuse_too_large(dataset.path, least, of_this_process(), "in the driver")
    return TrainPlan(
        job=job,
        dataset=dataset,
        features=features,
        engine=engine,
        period=period,
        window=window,
        columns_read=columns,
        odd_columns=odd_columns(dataset, {name: others.get(name, "feature") for name in columns}),
        work_units=dataset.static_work_units(pairs=engine == "all"),
        data_digest=hashlib.sha256(json_text(dataset.identities).encode()).hexdigest(),
        # Of files of names, also what is in them.
        run_id=job.digest(*dataset.identities, *map(json_text, options.names.items()))[:16],
    )


def _window(job: TrainJob) -> Window | None:
    """The last part of the data, as the job says."""
    if (width := job.data.window) is None:
        return None
    where, version = job.data.conditions(), job.data.version
    return window_of(job.data.path, where, version, width=width, period=job.period, time=job.time)


def _refuse_quartiles_of_weighted_rows(job: TrainJob) -> None:
    if job.preprocess.scaling == "robust" and job.weight is not None:
        raise JobError(
            "preprocess.scaling",
            f"is robust, with the weight {job.weight!r}",
            "standard, minmax or none where rows have weights, as quartiles count rows",
            "Change preprocess.scaling, or set weight to null",
        )


def options_of(job: TrainJob, dataset: Dataset) -> VectorOptions:
    """What a job says of vectors.

    Raises
    ------
    DataError
        If the data has no such columns, or a file of names is not as it should be.
    """
    return vector_options(
        dataset,
        sizes=job.features.sizes,
        files_of_names=job.features.names,
        tokens=job.features.token_columns(),
    )


def refuse_unknown_features(job: TrainJob, features: SelectedFeatures) -> None:
    """Refuse what the job says of features that are none; tokens may not be known yet.

    Raises
    ------
    JobError
    """
    if not (job.penalty_factors or job.bounds):
        return
    awaited = tuple(each.column for each in features.tokens)
    vectors = (*(vector.column for vector in features.vectors), *awaited)
    categories = tuple(name for name, _ in features.categorical)
    known = {*job.penalty_factors, *job.bounds}.intersection((*features.names, *vectors))
    for key in ("penalty_factors", "bounds"):
        for name in getattr(job, key):
            if name not in known and not name.startswith(tuple(f"{column}[" for column in awaited)):
                # A look at a million names of elements would take minutes.
                named = (*features.scalars, *categories, *vectors)
                close = get_close_matches(name, named, 1)
                raise JobError(
                    key,
                    f"{name!r} is no feature",
                    f"one of {schema.listed(named)}",
                    f"Did you mean {close[0]!r}?" if close else "Correct it, or remove it",
                )


def _columns_with_roles(dataset: Dataset, job: TrainJob) -> dict[str, str]:
    """The columns that are no features, each with the key of the job that names it."""
    schema.require(dataset, job.target, "target", number=True)
    roles = {job.target: "target"}
    for key, name in (
        ("weight", job.weight),
        ("offset", job.offset),
        ("search.split.group", job.search.split.group),
        ("search.split.fold", job.search.split.fold),
    ):
        if name is not None:
            schema.require(dataset, name, key, number=key in ("weight", "offset"))
            if key == "offset" and name in roles:
                raise JobError(
                    "offset",
                    f"is {name!r}, which is also {roles[name]}",
                    "a column of its own",
                    "Name another column, or set offset to null",
                )
            roles[name] = key
    if job.time is not None:
        _require_time(dataset, job, job.time)
        roles[job.time] = "time"
    return roles


def _columns_of_filters(dataset: Dataset, job: TrainJob) -> list[str]:
    """The columns that conditions name."""
    held = job.holdout.conditions() if isinstance(job.holdout, HoldoutRows) else ()
    parts = (*job.data.conditions(), *held)
    for part in parts:
        part.require(dataset.schema, dataset.path)
    return sorted({name for part in parts for name in part.columns})


def _groups(dataset: Dataset, job: TrainJob) -> tuple[str, ...]:
    """The column whose groups have intervals of their own."""
    if job.intervals is None:
        return ()
    name = job.intervals.by
    schema.require(dataset, name, "intervals.by")
    type_ = dataset.schema.field(name).type
    discrete = kind_of(type_) in ("string", "integer", "boolean")
    if not (discrete or schema.has_integers(dataset, name)):
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
        kind = kind_of(type_)
        if not (is_time(type_) or kind == "boolean") or (
            kind == "number" and not schema.has_integers(dataset, job.period)
        ):
            raise DataError(
                f"{dataset.path}, period {job.period!r}",
                f"has type {type_}",
                "dates, timestamps, text or integers",
                "Name another column",
            )
        return job.period
    name = constant_of_dates([file.identity.constants for file in dataset.files])
    if name is not None:
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
            "Write it so",
        )
