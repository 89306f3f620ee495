"""The sections of a training job that say how rows are split and what is searched."""

import math
from typing import Annotated, Literal, Self

from pydantic import (
    Field,
    StrictBool,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    field_validator,
    model_validator,
)

from lasso_jobs.data.times import duration
from lasso_jobs.data.where import Condition, parse
from lasso_jobs.jobs.job_file import Filter, Section, Share

Alpha = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Portion = Annotated[float, Field(ge=0, le=1)]
Portions = Annotated[tuple[Portion, ...], Field(min_length=1)]
GAMMAS = (0.0, 0.25, 0.5, 0.75, 1.0)


class Split(Section):
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


class Search(Section):
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
    split: Split = Field(
        Split(), description="How rows get into folds: random, or by one of these columns"
    )
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


class HoldoutRows(Section):
    """Held-out rows that a filter selects, or the last by time."""

    where: Filter = Field(None, description="Which rows, in the form of data.where")
    last: Share | None = Field(None, description="A share of the rows")
    time: str | None = Field(None, description="The column that says which are last")

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
