"""The job file of `train`, as a pydantic model."""

import math
from typing import Annotated, Literal

from pydantic import (
    Field,
    PositiveInt,
    PrivateAttr,
    ValidationInfo,
    field_serializer,
    field_validator,
)

from lasso_jobs.core.columns import DatePart
from lasso_jobs.jobs.compare_job import CompareOptions
from lasso_jobs.jobs.job_file import DATE, Data, Job, Name, Place, Section, Share
from lasso_jobs.jobs.search import HoldoutRows, Search

Factor = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class FeatureSelection(Section):
    """Which columns are features. Names or patterns such as ``*``."""

    include: tuple[str, ...] = Field(("*",), description="Columns to take")
    exclude: tuple[str, ...] = Field((), description="Columns to leave out of these")
    categorical: tuple[str, ...] = Field(
        (), description="Integer columns to take as categories; text and booleans always are"
    )
    dates: dict[str, Annotated[tuple[DatePart, ...], Field(min_length=1)]] = Field(
        {}, description="Parts of dates and timestamps to take as features, by column"
    )


class Preprocess(Section):
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


class StabilityOptions(Section):
    """Refits to halves of the rows, and to all but a twentieth."""

    pairs: int = Field(50, ge=1, le=1000, description="Pairs of halves to fit to")
    threshold: float = Field(
        0.6, gt=0.5, le=1, description="A coefficient is stable if this share of halves selects it"
    )


class Intervals(Section):
    """Prediction intervals of groups of rows."""

    by: str = Field(description="A column of groups")
    min_rows: int = Field(
        100, ge=10, description="Sampled held-out rows for a group to have its own"
    )


class TrainJob(Job):
    """A training job."""

    name: Name = Field(description="Of the model in the registry")
    data: Data = Field(description="The rows to train on")
    target: str = Field(description="The column to predict")
    features: FeatureSelection = Field(
        FeatureSelection(), description="Which columns to predict from"
    )
    weight: str | None = Field(None, description="A column of non-negative sample weights")
    preprocess: Preprocess = Field(
        Preprocess(), description="Fitted in each fold on its training rows"
    )
    search: Search = Field(Search(), description="What to choose from, and by which folds")
    holdout: Share | HoldoutRows | None = Field(
        0.2, description="A share of the rows, a filter, or the last by time"
    )
    intervals: Intervals | None = Field(
        None, description="Intervals of their own for groups; without, one width for all rows"
    )
    stability: StabilityOptions | None = Field(
        StabilityOptions(), description="How often halves of the rows select each coefficient"
    )
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
    promote: Literal["never", "if_better", "always"] = Field(
        "if_better",
        description="When the new version becomes champion; if_better asks for a squared error on "
        "the held-out rows that is lower by more than chance explains",
    )
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
