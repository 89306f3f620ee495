"""Defines the job file of `train`: which rows to learn from, what to predict, how to search."""

import math
from typing import Annotated, ClassVar, Literal

from pydantic import (
    Field,
    PositiveInt,
    PrivateAttr,
    StrictInt,
    ValidationInfo,
    field_serializer,
    field_validator,
)

from lasso_jobs.data.times import duration
from lasso_jobs.jobs.alpha_search import AlphaSearch
from lasso_jobs.jobs.base import DATE, Data, Job, Name, Place, Section, Share
from lasso_jobs.jobs.compare import CompareOptions
from lasso_jobs.jobs.feature_selection import FeatureSelection
from lasso_jobs.jobs.split import HoldoutRows

Factor = Annotated[float, Field(ge=0)]
Bound = Annotated[float, Field(allow_inf_nan=True)]


class TrainData(Data):
    """Where the rows to train on are, and how far back."""

    window: Annotated[StrictInt, Field(ge=1)] | str | None = Field(
        None,
        description="Only the rows of the last so many days, such as 180d, up to the newest in "
        "the data: by period, a date in the folders' names, or the times of the split. Of periods "
        "that are numbers, how many of them; null takes all rows",
    )

    @field_validator("window")
    @classmethod
    def _of_some_length(cls, window: int | str | None) -> int | str | None:
        if isinstance(window, str) and not (duration(window) or 0.0) > 0:
            raise ValueError("a duration such as 180d or 26w, or a number of periods")
        return window

    def within(self, where: str) -> "TrainData":
        """The same rows as far as they meet one more filter."""
        both = where if self.where is None else f"({self.where}) and {where}"
        return self.model_copy(update={"where": both})


class PreprocessOptions(Section):
    """How features are prepared; each fold fits this to its own training rows."""

    scaling: Literal["standard", "robust", "minmax", "none"] = Field(
        "standard",
        description="What a feature is divided by before the penalty applies: its standard "
        "deviation (standard), the range between its quartiles (robust), its whole "
        "range (minmax), or nothing (none)",
    )
    missing: Literal["mean", "indicator", "drop", "error"] = Field(
        "mean",
        description="What happens to a null in a numeric feature: mean fills in the mean, "
        "indicator does so and adds a feature that says where, drop leaves the row "
        "out, error ends the job",
    )
    max_levels: PositiveInt | None = Field(
        50,
        description="The most levels that a category keeps; rarer levels share the level (other). "
        "null keeps all levels",
    )
    min_count: PositiveInt = Field(
        1,
        description="The fewest training rows that a level needs; rarer levels share the level "
        "(other)",
    )
    drop_first: bool = Field(
        False, description="Leave out the coefficient of each category's first level"
    )

    @property
    def listed_levels(self) -> int | None:
        """How many levels the folds choose from; None if each level is kept."""
        return None if self.max_levels is None else 2 * self.max_levels


class StabilityOptions(Section):
    """Refits that show how stable a model is: to halves of the rows, and to resamples of them."""

    pairs: int = Field(
        50,
        ge=1,
        le=1000,
        description="How many times the rows are split into two halves, with a fit to each half",
    )
    threshold: float = Field(
        0.75,
        gt=0.5,
        le=1,
        description="A coefficient is stable if at least this share of the halves selects it",
    )
    expected_false: float = Field(
        1.0,
        gt=0,
        allow_inf_nan=False,
        description="How many false selections to expect at most among the stable coefficients; it "
        "decides how many columns may enter in each half",
    )
    resamples: int | None = Field(
        200,
        ge=50,
        le=10_000,
        description="How many resamples of the rows to fit to, for standard errors and intervals "
        "of coefficients; null makes none",
    )


class Intervals(Section):
    """Prediction intervals that differ between groups of rows."""

    by: str = Field(description="The column whose groups have intervals of their own")
    min_rows: int = Field(
        100,
        ge=10,
        description="The fewest sampled held-out rows that a group needs to have its own; other "
        "groups have the interval of all rows",
    )


class TrainJob(Job):
    """A training job: which rows to learn from, what to predict, and how to search.

    ``lasso-jobs schema train`` prints its keys; ``name``, ``data`` and ``target`` are required.

    Examples
    --------
    >>> from lasso_jobs import TrainJob
    >>> job = TrainJob.from_values({"name": "sales", "data": {"path": "data"}, "target": "sales"})
    >>> job.search.folds
    5
    >>> TrainJob.from_yaml("train.yaml", ["search.folds=10"]).search.folds
    10
    """

    command: ClassVar[str] = "train"

    name: Name = Field(description="The model's name in the registry")
    data: TrainData = Field(description="The rows to train on")
    target: str = Field(description="The column to predict")
    features: FeatureSelection = Field(
        FeatureSelection(), description="Which columns to predict it from"
    )
    weight: str | None = Field(
        None, description="A column of sample weights, zero or more; null weighs all rows alike"
    )
    offset: str | None = Field(
        None,
        description="A column of numbers that predictions start from: its coefficient is 1, and "
        "the rest of the target is fitted. Rows where it is null are left out; null has none",
    )
    intercept: bool = Field(
        True,
        description="Whether to fit an intercept; without one the prediction is zero, or the "
        "offset, where every column is zero",
    )
    preprocess: PreprocessOptions = Field(
        PreprocessOptions(),
        description="How features are prepared; each fold fits this to its own training rows",
    )
    search: AlphaSearch = Field(
        AlphaSearch(),
        description="Which penalties to try, and how cross-validation splits the rows",
    )
    holdout: Share | HoldoutRows | None = Field(
        0.2,
        description="The rows that test the model: a share of the rows (whole periods or groups of "
        "them, see search.split), those of a filter, or the last by time; null holds out none",
    )
    intervals: Intervals | None = Field(
        None,
        description="Prediction intervals of their own for groups of rows; null has one width "
        "for all rows",
    )
    stability: StabilityOptions | None = Field(
        StabilityOptions(),
        description="How often refits to halves of the rows select each coefficient, and how far "
        "refits to resamples move it; null leaves the refits out",
    )
    period: str | None = Field(
        None,
        description="A column of days or other periods. How much a feature differs between them "
        "is its normal variation, and only what moves further is drift. The rows of one stay "
        "together, unless search.split says otherwise. The default is the date in the folders' "
        "names, or the times of the split",
    )
    penalty_factors: dict[str, Factor] = Field(
        {}, description="How strongly features are penalised, by name: 1 is as usual, 0 is never"
    )
    bounds: dict[str, tuple[Bound, Bound]] = Field(
        {},
        description="The range that a feature's coefficient must stay in, as {FEATURE: [LOW, "
        "HIGH]} around zero",
    )
    seed: int = Field(
        0,
        ge=-(2**63),
        lt=2**63,
        description="The number that decides which rows share a fold, and which are held out",
    )
    registry: Place = Field("models", description="Where models are kept: a folder or a URI")
    promote: Literal["never", "if_better", "if_not_worse", "always"] = Field(
        "if_not_worse",
        description="When the new version becomes champion. if_better asks for a squared error "
        "on the held-out rows that is lower than the champion's by more than chance "
        "explains; if_not_worse is content with one that is surely less than margin above the "
        "champion's, if the new version has seen later rows",
    )
    margin: Share = Field(
        0.01,
        description="With promote: if_not_worse, how far the squared error may be above the "
        "champion's, as a share of it",
    )
    cache: bool = Field(
        True, description="Keep in the registry what was read, so that no file is read twice"
    )
    # No part of what a training is: it changes neither the run's digest nor the model's.
    compare: CompareOptions = Field(
        CompareOptions(),
        exclude=True,
        description="Which other estimators lasso-jobs compare searches; a training ignores it",
    )
    _date: str | None = PrivateAttr(None)

    @field_validator("holdout")
    @classmethod
    def _one_time(cls, holdout: object, info: ValidationInfo) -> object:
        search = info.data.get("search")
        if isinstance(holdout, HoldoutRows) and holdout.last and isinstance(search, AlphaSearch):
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
                raise ValueError(f"for {name!r} [low, high] with low <= 0 <= high, and low < high")
        return bounds
