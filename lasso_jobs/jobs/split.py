"""The sections of a training job that say how rows are split into folds and hold-out."""

import math
from typing import Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from lasso_jobs.data.times import duration
from lasso_jobs.data.where import Condition, parse
from lasso_jobs.jobs.base import Filter, Section, Share


class Split(Section):
    """How rows get into folds: in whole periods, groups or one by one, by a column, or by time."""

    random: bool = Field(
        False,
        description="Deal rows out one by one, also where they carry a period: the rows of a day "
        "are then in several folds, in the training and in the hold-out",
    )
    group: str | None = Field(
        None, description="A column of groups; the rows of a group share a fold"
    )
    fold: str | None = Field(None, description="A column that says which fold a row is in")
    time: str | None = Field(
        None,
        description="A column of times; each fold is trained on earlier rows than it is tested on",
    )
    window: Literal["expanding", "rolling"] = Field(
        "expanding",
        description="With time: train on all rows before the test (expanding), or only on the "
        "segment before it (rolling)",
    )
    gap: float | str = Field(
        0.0,
        description="With time: how much to leave out between training and test, as a number or "
        "as a duration such as 7d or 12h",
    )

    @model_validator(mode="before")
    @classmethod
    def _by_word(cls, value: object) -> object:
        if value in ("period", "random"):
            return {"random": value == "random"}
        if not isinstance(value, dict | cls):
            ways = "period, random, {group: COLUMN}, {fold: COLUMN} or {time: COLUMN}"
            raise ValueError(ways)
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
        ways = (self.group, self.fold, self.time, self.random or None)
        if sum(way is not None for way in ways) > 1:
            raise ValueError("one of group, fold, time and random")
        return self

    @property
    def by_period(self) -> bool:
        """Whether the rows of a period stay together where they carry one, and are not grouped."""
        return self.group is None and not self.random


class HoldoutRows(Section):
    """Rows to hold out: those that a filter selects, or the last by time."""

    where: Filter = Field(
        None, description="A filter for the rows to hold out, in the form of data.where"
    )
    last: Share | None = Field(
        None, description="The share of the rows to hold out, the latest of them"
    )
    time: str | None = Field(
        None, description="With last: the column of times; the default is that of search.split"
    )

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
