"""The job files, as pydantic models."""

import datetime
import hashlib
import json
import math
import re
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args, get_origin

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PositiveInt,
    PrivateAttr,
    StrictBool,
    StrictInt,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    field_serializer,
    field_validator,
    model_validator,
)

from lasso_jobs.core.columns import DatePart
from lasso_jobs.data.remote import checked
from lasso_jobs.data.staging import Format
from lasso_jobs.data.times import duration
from lasso_jobs.data.where import Condition, parse
from lasso_jobs.errors import JobError
from lasso_jobs.jobs.compare_job import CompareOptions

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)]
Share = Annotated[float, Field(gt=0, lt=1)]
Alpha = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Portion = Annotated[float, Field(ge=0, le=1)]
Portions = Annotated[tuple[Portion, ...], Field(min_length=1)]
GAMMAS = (0.0, 0.25, 0.5, 0.75, 1.0)
DATE = "{date}"
Factor = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Place = Annotated[str, AfterValidator(checked)]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", validate_by_name=True)


class Data(_Model):
    """Where the rows are."""

    path: Place = Field(description="A Parquet file, a folder, a glob, a Delta table; or a URI")
    version: int | None = Field(None, ge=0, description="Of a Delta table; its newest if null")
    where: str | None = Field(
        None, description="Which rows, such as: date < '2013-10-01', or date < '{date}'"
    )

    @field_validator("where")
    @classmethod
    def _parsed(cls, where: str | None) -> str | None:
        _checked_filter(where)
        return where

    def conditions(self) -> tuple[Condition, ...]:
        """The row filter in its parts.

        Raises
        ------
        JobError
            If it waits for a date.
        """
        if self.where is not None and DATE in self.where:
            raise JobError("data.where", f"has a {DATE}", "a date", "Give --date YYYY-MM-DD")
        return () if self.where is None else parse(self.where, "data.where")

    def on(self, date: str) -> "Data":
        """The same rows as of a date, which takes the place of ``{date}`` in the filter."""
        try:
            if datetime.date.fromisoformat(date).isoformat() != date:
                raise ValueError(date)
        except ValueError as error:
            raise JobError("date", repr(date), "a date, YYYY-MM-DD", "Correct it") from error
        where = None if self.where is None else self.where.replace(DATE, date)
        return self.model_copy(update={"where": where})


class FeatureSelection(_Model):
    """Which columns are features. Names or patterns such as ``*``."""

    include: tuple[str, ...] = Field(("*",), description="Columns to take")
    exclude: tuple[str, ...] = Field((), description="Columns to leave out of these")
    categorical: tuple[str, ...] = Field(
        (), description="Integer columns to take as categories; text and booleans always are"
    )
    dates: dict[str, Annotated[tuple[DatePart, ...], Field(min_length=1)]] = Field(
        {}, description="Parts of dates and timestamps to take as features, by column"
    )


class Preprocess(_Model):
    """Applied inside each fold, fitted on its training rows only."""

    scaling: Literal["standard", "robust", "minmax", "none"] = Field(
        "standard",
        description="What the penalty compares coefficients by: deviations, ranges between the "
        "quartiles, ranges, or nothing",
    )
    missing: Literal["mean", "indicator", "drop", "error"] = Field(
        "mean",
        description="Fill nulls of numbers with the mean; add an indicator besides; leave out the "
        "rows that have one; or refuse them",
    )
    max_levels: PositiveInt = Field(50, description="Rarer levels share the level (other)")
    min_count: PositiveInt = Field(
        1, description="Levels with fewer training rows share the level (other)"
    )
    drop_first: bool = Field(
        False, description="Whether the first level of each category has no coefficient"
    )


class Split(_Model):
    """How rows get into folds: at random, whole groups together, by a column of folds, by time."""

    group: str | None = Field(None, description="The column of groups that stay together")
    fold: str | None = Field(None, description="The column of folds")
    time: str | None = Field(None, description="The column of times, for folds that only look back")
    window: Literal["expanding", "rolling"] = Field(
        "expanding", description="With time: train on all before the test, or on a segment"
    )
    gap: float | str = Field(
        0.0, description="With time: what to leave out before a test; a number, or such as 7d, 12h"
    )

    @model_validator(mode="before")
    @classmethod
    def _random(cls, value: object) -> object:
        if value == "random":
            return {}
        if not isinstance(value, dict | cls):
            raise ValueError("random, {group: COLUMN}, {fold: COLUMN} or {time: COLUMN}")
        return value

    @field_validator("window", "gap")
    @classmethod
    def _of_time(cls, value: float | str, info: ValidationInfo) -> float | str:
        if info.data.get("time") is None and value not in ("expanding", 0.0):
            raise ValueError(f"{info.field_name} only with split time")
        return value

    @field_validator("gap")
    @classmethod
    def _not_negative(cls, gap: float | str) -> float | str:
        known = duration(gap) is not None if isinstance(gap, str) else 0 <= gap < math.inf
        if not known:
            raise ValueError("a number, zero or more, or a duration such as 7d, 12h, 30min or 2w")
        return gap

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum(column is not None for column in (self.group, self.fold, self.time)) > 1:
            raise ValueError("one of group, fold and time")
        return self


class Search(_Model):
    """The search for alpha, and for l1_ratio and the gamma of relaxed fits."""

    alphas: Annotated[int, Field(ge=1)] | tuple[Alpha, ...] = Field(
        100, description="How many, or which; 0 is least squares"
    )
    eps: Share = Field(1e-3, description="The smallest alpha as a share of the largest")
    l1_ratio: Portion | Portions = Field(
        1.0, description="1 is LASSO, less is Elastic Net, 0 is Ridge; or a list to choose from"
    )
    relax: StrictBool | Portions = Field(
        False,
        description="Relaxed LASSO: true, or the gammas to choose from. 1 is the penalised fit, "
        "0 least squares on its active columns; true is 0, 0.25, 0.5, 0.75, 1",
    )
    adaptive: bool = Field(
        False, description="Adaptive LASSO: weigh the l1 penalty by a Ridge fit in each fold"
    )
    folds: int = Field(5, ge=2, le=1000, description="Of cross-validation")
    split: Split = Split()
    repeats: int = Field(1, ge=1, le=100, description="Times to draw the folds, for a smooth curve")
    rule: Literal["min", "1se"] = Field(
        "min",
        description="The alpha of the least error, or the largest within a standard error of it",
    )
    fold_means: Literal["size", "equal"] = Field(
        "size", description="Folds count by the weight of their rows, or all alike"
    )
    early_stop: bool = Field(
        False,
        description="Leave out the smaller alphas once ten in a row are worse by a standard error",
    )

    @property
    def l1_ratios(self) -> tuple[float, ...]:
        """Those to choose from."""
        return self.l1_ratio if isinstance(self.l1_ratio, tuple) else (self.l1_ratio,)

    @property
    def gammas(self) -> tuple[float, ...]:
        """Those to choose from; 1 alone without relaxed fits."""
        if isinstance(self.relax, tuple):
            return self.relax
        return GAMMAS if self.relax else (1.0,)

    @field_validator("l1_ratio", "relax", mode="wrap")
    @classmethod
    def _one_or_many(
        cls, value: object, validate: ValidatorFunctionWrapHandler, info: ValidationInfo
    ) -> object:
        try:
            return validate(value)
        except ValidationError as error:
            one = "a number from 0 to 1" if info.field_name == "l1_ratio" else "true, false"
            raise ValueError(f"{one}, or a list of numbers from 0 to 1") from error

    @field_validator("relax", "adaptive")
    @classmethod
    def _selects(cls, value: object, info: ValidationInfo) -> object:
        ratio = info.data.get("l1_ratio", 1.0)
        if value is not False and 0 in (ratio if isinstance(ratio, tuple) else (ratio,)):
            raise ValueError("false where search.l1_ratio has a 0, for Ridge selects no columns")
        return value

    @field_validator("repeats")
    @classmethod
    def _redrawn(cls, repeats: int, info: ValidationInfo) -> int:
        split = info.data.get("split")
        if repeats > 1 and isinstance(split, Split) and (split.fold or split.time):
            raise ValueError("1 with split fold or time, whose folds are what they are")
        return repeats

    @field_validator("alphas")
    @classmethod
    def _some(cls, alphas: int | tuple[float, ...]) -> int | tuple[float, ...]:
        if isinstance(alphas, tuple) and not alphas:
            raise ValueError("at least one alpha")
        return alphas


class StabilityOptions(_Model):
    """Refits to halves of the rows, and to all but a twentieth."""

    pairs: int = Field(50, ge=1, le=1000, description="Pairs of halves to fit to")
    threshold: float = Field(
        0.6, gt=0.5, le=1, description="A coefficient is stable if this share of halves selects it"
    )


class Intervals(_Model):
    """Prediction intervals of groups of rows."""

    by: str = Field(description="A column of groups")
    min_rows: int = Field(
        100, ge=10, description="Sampled held-out rows for a group to have its own"
    )


class HoldoutRows(_Model):
    """Held-out rows that a filter selects, or the last by time."""

    where: str | None = None
    last: Share | None = Field(None, description="A share of the rows")
    time: str | None = Field(None, description="The column that says which are last")

    @field_validator("where")
    @classmethod
    def _parsed(cls, where: str | None) -> str | None:
        _checked_filter(where)
        return where

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.where is None) == (self.last is None):
            raise ValueError("where or last")
        if self.time is not None and self.last is None:
            raise ValueError("time only with last")
        return self

    def conditions(self) -> tuple[Condition, ...]:
        """The filter in its parts; without one, none."""
        return () if self.where is None else parse(self.where, "holdout.where")


def _checked_filter(where: str | None) -> None:
    if where is not None:
        try:
            parse(where, "where")
        except JobError as error:
            raise ValueError(f"{error.expected}, but {error.found}") from error


class Job(_Model):
    """A job file."""

    @classmethod
    def from_yaml(cls, path: str | Path, settings: Sequence[str] = ()) -> Self:
        """Read a job file.

        Parameters
        ----------
        path : str or Path
        settings : sequence of str
            ``KEY=VALUE`` with dotted keys; they override the file.

        Raises
        ------
        JobError
        """
        values = load_yaml(path)
        for setting in settings:
            _override(values, setting)
        return cls.from_values(values, str(path))

    @classmethod
    def from_values(cls, values: object, where: str = "job") -> Self:
        """Validate values as a job file has them.

        Raises
        ------
        JobError
            Naming the first key that is wrong.
        """
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise _job_error(cls, error, where) from error

    def digest(self, *more: str) -> str:
        """A hash of the job and of what else determines its result."""
        text = json.dumps([self.model_dump(mode="json", by_alias=True), *more], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


class TrainJob(Job):
    """A training job."""

    name: Name = Field(description="Of the model in the registry")
    data: Data
    target: str = Field(description="The column to predict")
    features: FeatureSelection = FeatureSelection()
    weight: str | None = Field(None, description="A column of non-negative sample weights")
    preprocess: Preprocess = Preprocess()
    search: Search = Search()
    holdout: Share | HoldoutRows | None = Field(
        0.2, description="A share of the rows, a filter, or the last by time"
    )
    intervals: Intervals | None = Field(
        None, description="Intervals of their own for groups; without, one width for all rows"
    )
    stability: StabilityOptions | None = StabilityOptions()
    period: str | None = Field(
        None,
        description="A column of days or other periods; how much they differ says which drift is "
        "innocent. By default a folder's date, or the times of the split",
    )
    penalty_factors: dict[str, Factor] = Field({}, description="Per feature; 0 is never penalised")
    bounds: dict[str, tuple[float, float]] = Field({}, description="Per feature, around zero")
    seed: int = Field(
        0, ge=-(2**63), lt=2**63, description="Which rows share a fold, and which are held out"
    )
    registry: Place = Field("models", description="Where models are kept: a folder or a URI")
    promote: Literal["never", "if_better", "always"] = "if_better"
    cache: bool = Field(
        True, description="Keep in the registry what was read, so that no file is read twice"
    )
    # No part of what a training is: it changes neither the run's digest nor the model's.
    compare: CompareOptions = Field(
        CompareOptions(), exclude=True, description="What lasso-jobs compare searches"
    )
    _date: str | None = PrivateAttr(None)

    @field_validator("holdout")
    @classmethod
    def _one_time(cls, holdout: object, info: ValidationInfo) -> object:
        search = info.data.get("search")
        if isinstance(holdout, HoldoutRows) and holdout.last and isinstance(search, Search):
            times = {holdout.time, search.split.time} - {None}
            if not times:
                raise ValueError("{last: SHARE, time: COLUMN}, as search.split has no time")
            if len(times) == 2:
                raise ValueError(f"the time of search.split, {search.split.time!r}, or none")
        return holdout

    @field_validator("intervals")
    @classmethod
    def _of_holdout(cls, intervals: object, info: ValidationInfo) -> object:
        if intervals is not None and info.data.get("holdout", 0.2) is None:
            raise ValueError("null where holdout is null, for intervals come from held-out rows")
        return intervals

    @property
    def time(self) -> str | None:
        """The column of times of the split or of the hold-out; they have one."""
        held = self.holdout.time if isinstance(self.holdout, HoldoutRows) else None
        return self.search.split.time or held

    @property
    def date(self) -> str | None:
        """The date that `on` has fixed."""
        return self._date

    def on(self, date: str) -> "TrainJob":
        """The same job as of a date, which takes the place of ``{date}`` in ``data.where``."""
        holdout = self.holdout
        if isinstance(holdout, HoldoutRows) and holdout.where is not None:
            holdout = HoldoutRows(where=holdout.where.replace(DATE, date))
        dated = self.model_copy(update={"data": self.data.on(date), "holdout": holdout})
        dated._date = date
        return dated

    @field_serializer("bounds", when_used="json")
    def _storable(self, bounds: dict[str, tuple[float, float]]) -> dict[str, list[float | str]]:
        """JSON has no infinity; the text of it is read back as the number."""
        return {
            name: [side if math.isfinite(side) else str(side) for side in sides]
            for name, sides in bounds.items()
        }

    @field_validator("bounds")
    @classmethod
    def _around_zero(cls, bounds: dict[str, tuple[float, float]]) -> dict[str, tuple[float, float]]:
        for name, (low, high) in bounds.items():
            if not low <= 0 <= high or low == high:
                raise ValueError(f"for {name!r} [low, high] with low <= 0 <= high")
        return bounds


class Output(_Model):
    """Where scored rows go."""

    path: Place = Field(description="A folder or a URI; of postgresql, a table")
    format: Format = Field("delta", description="A Delta table, a plain folder, or a database")
    partition_by: tuple[str, ...] = Field(
        (), description="A run replaces the partitions it has rows for; without, the whole table"
    )

    @field_validator("partition_by", mode="before")
    @classmethod
    def _one_or_many(cls, value: object) -> object:
        if value is None:
            return ()
        return (value,) if isinstance(value, str) else value


class DriftOptions(_Model):
    """What to compare with training, and where the history of it goes."""

    features: Literal["selected", "all"] | tuple[str, ...] = Field(
        "selected", description="Those that the model uses, all, or these"
    )
    path: Place = Field(description="A Delta table: a folder, or a URI")
    segment: str | None = Field(None, description="A column whose groups are shown besides")
    correlation: bool = Field(False, description="Whether to look for correlations that moved")
    persistence: tuple[PositiveInt, PositiveInt] = Field(
        (3, 5), description="Of how many of the last runs drift has to be in for an alarm: [3, 5]"
    )

    @field_validator("persistence")
    @classmethod
    def _of_more(cls, persistence: tuple[int, int]) -> tuple[int, int]:
        if persistence[0] > persistence[1]:
            raise ValueError("[K, N] with K runs of the last N, so K at most N")
        return persistence


class ScoreJob(Job):
    """A scoring job."""

    model: str = Field(description="name@champion, name@v3, or a name for its champion")
    data: Data
    # Not called keys, lest dict(job) take it for the method of a mapping.
    key_columns: tuple[str, ...] = Field(
        (), alias="keys", description="Columns of the source that scored rows carry"
    )
    output: Output
    drift: DriftOptions | None = None
    rename: dict[str, str] = Field(
        {}, description="Columns of the source that are features by another name: {SOURCE: FEATURE}"
    )
    missing_columns: Literal["error", "impute"] = Field(
        "error", description="A feature that a file lacks; impute takes it as null"
    )
    bad_rows: Literal["quarantine", "fail"] | Share | Annotated[StrictInt, Field(ge=1)] = Field(
        "quarantine", description="Or the share or number of bad rows above which nothing is kept"
    )
    late: Literal["rescore", "report"] = Field(
        "rescore", description="When the source of a scored date has changed, in a range of dates"
    )
    registry: Place = Field("models", description="Where models are kept: a folder or a URI")
    _date: str | None = PrivateAttr(None)

    @field_validator("rename")
    @classmethod
    def _one_each(cls, rename: dict[str, str]) -> dict[str, str]:
        if len(set(rename.values())) < len(rename):
            raise ValueError("one source column for each feature")
        return rename

    @field_validator("bad_rows", mode="wrap")
    @classmethod
    def _limit(cls, value: object, validate: ValidatorFunctionWrapHandler) -> object:
        try:
            return validate(value)
        except ValidationError as error:
            expected = "quarantine, fail, a share between 0 and 1, or a number of rows from 1"
            raise ValueError(expected) from error

    @property
    def date(self) -> str | None:
        """The date that `on` has fixed."""
        return self._date

    def on(self, date: str) -> "ScoreJob":
        """The same job for one date.

        The date takes the place of ``{date}`` in ``data.where``. Without such a place, it selects
        the rows by the output's first partition column.

        Raises
        ------
        JobError
            If it is no date, or there is neither a place nor a column for it.
        """
        if self.data.where is None or DATE not in self.data.where:
            if not self.output.partition_by:
                raise JobError(
                    "data.where",
                    f"has no {DATE}, and output.partition_by is empty",
                    "a place for the date",
                    f"Write, say, where: \"day == '{DATE}'\"",
                )
            condition = f"{self.output.partition_by[0]} == '{DATE}'"
            where = condition if self.data.where is None else f"({self.data.where}) and {condition}"
            parse(where, "data.where")
            data = self.data.model_copy(update={"where": where})
            return self.model_copy(update={"data": data}).on(date)
        dated = self.model_copy(update={"data": self.data.on(date)})
        dated._date = date
        return dated


def load_yaml(path: str | Path) -> dict[str, Any]:
    """The mapping in a YAML file.

    Raises
    ------
    JobError
    """
    try:
        values = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise JobError(
            str(path), f"cannot be read ({error})", "a job file", "Check the path"
        ) from error
    except yaml.YAMLError as error:
        raise JobError(str(path), f"is not YAML ({error})", "a YAML file", "Mend it") from error
    if not isinstance(values, dict):
        raise JobError(
            str(path), "is not a mapping", "keys and values", "See the README's job file"
        )
    return values


def _override(values: dict[str, Any], setting: str) -> None:
    key, equals, text = setting.partition("=")
    if not equals or not key:
        raise JobError("--set", f"{setting!r}", "KEY=VALUE", "Write, say, --set search.folds=10")
    *parents, last = key.split(".")
    for parent in parents:
        inner = values.setdefault(parent, {})
        if not isinstance(inner, dict):
            raise JobError("--set", f"{parent!r} is no section", "a section", "Check the key")
        values = inner
    try:
        values[last] = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise JobError("--set", f"{setting!r}", "a value in YAML", "Put it in quotes") from error


def _job_error(model: type[BaseModel], error: ValidationError, where: str) -> JobError:
    # A union reports every branch; the error that went deepest is the one that was meant.
    first = max(error.errors(), key=lambda e: (len(e["loc"]), e["type"] == "extra_forbidden"))
    section, place = _section(model, first["loc"])
    key = ".".join(place)
    if first["type"] == "extra_forbidden":
        known = _keys(section)
        close = get_close_matches(place[-1], known, 1, cutoff=0.0)
        return JobError(
            where,
            f"unknown key {key!r}",
            f"one of {', '.join(known)}",
            f"Did you mean {close[0]!r}?" if close else "Remove it",
        )
    if first["type"] == "missing":
        return JobError(where, f"the key {key!r} is missing", "a value", f"Add {key}")
    expected = first["msg"]
    for theirs, ours in _WORDING:
        expected = re.sub(theirs, ours, expected)
    return JobError(where, f"{key} = {first['input']!r}", expected, f"Correct {key}")


_TYPE_LABEL = re.compile(r"constrained-|literal\[|tuple\[")
_WORDING = (
    ("^Value error, ", ""),
    ("^Input should be a valid dictionary or instance of .*", "a section of keys and values"),
    ("^Input should be ", ""),
    ("^String should match pattern", "text that matches"),
)


def _section(
    model: type[BaseModel], location: Sequence[int | str]
) -> tuple[type[BaseModel], list[str]]:
    """The section that an error is in, and the key's parts without the names of types."""
    place: list[str] = []
    of_mapping = False
    for i, part in enumerate(location):
        fields = {field.alias or name: field for name, field in model.model_fields.items()}
        last = i == len(location) - 1 and not _TYPE_LABEL.match(str(part))
        if part in fields or isinstance(part, int) or last or of_mapping:
            place.append(str(part))
        of_mapping = part in fields and get_origin(fields[str(part)].annotation) is dict
        if part in fields:
            annotation = fields[str(part)].annotation
            inner = [t for t in (annotation, *get_args(annotation)) if isinstance(t, type)]
            model = next((t for t in inner if issubclass(t, BaseModel)), model)
    return model, place


def _keys(model: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]
