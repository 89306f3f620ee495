"""Defines the job file of `monitor`: scored rows, their outcomes, and what is tolerated."""

from typing import Annotated, ClassVar

from pydantic import Field, ValidationInfo, field_validator

from lasso_jobs.core.drift.outcomes import Tolerance
from lasso_jobs.jobs.base import Data, Job, Name, Place, Section, Share, is_same_place

Rise = Annotated[float, Field(gt=0)]
_LAST_BY = "last by "


class Tolerances(Section):
    """How much worse than on the held-out rows errors may be; less is never an alarm."""

    rmse: Rise = Field(0.1, description="A rise of the RMSE, as a share of the expected RMSE")
    bias: Rise = Field(0.25, description="A change of the bias, as a share of the expected RMSE")
    coverage: Share = Field(
        0.05, description="A loss of the intervals' coverage; 0.05 is from 90 % to 85 %"
    )

    def to_tolerance(self) -> Tolerance:
        """The same as the mathematics takes it."""
        return Tolerance(self.rmse, self.bias, self.coverage)


class History(Section):
    """Where results are kept."""

    path: Place = Field(description="A Delta table; it is made if there is none")


class MonitorJob(Job):
    """A monitoring job: scored rows, and the outcomes that became known since.

    ``lasso-jobs schema monitor`` prints its keys.

    Examples
    --------
    >>> from lasso_jobs import MonitorJob
    >>> job = MonitorJob.from_yaml("monitor.yaml")
    >>> job.target, job.period, job.min_rows
    ('sales', 'day', 20)
    """

    command: ClassVar[str] = "monitor"

    model: Name = Field(description="The model's name; each scored row says which version it is of")
    scores: Data = Field(description="The scored rows: a Delta table, or a folder of Parquet files")
    actuals: Data = Field(description="The rows with the outcomes")
    # Not called keys, lest dict(job) take it for the method of a mapping.
    key_columns: Annotated[tuple[str, ...], Field(min_length=1)] = Field(
        alias="keys", description="Columns, in both tables, that say which row is which"
    )
    target: str = Field(description="The column of outcomes; null means that it is not known yet")
    period: str = Field(
        description="The column of the scored rows by which errors are measured, such as their "
        "date. If it is one of the keys, only outcomes of the same periods are read, "
        "and those without a prediction are counted"
    )
    segments: tuple[str, ...] = Field(
        (), description="Columns of either table whose groups are measured as well, each by itself"
    )
    duplicates: str = Field(
        "error",
        pattern=rf"^(error|{_LAST_BY}.+)$",
        description="What happens if outcomes of one row differ: error ends the job, last by "
        "COLUMN takes the last by that column",
    )
    min_rows: int = Field(
        100,
        ge=2,
        description="The fewest known outcomes that are judged. A period with fewer is judged "
        "together with the periods before it, if it is a day, a month or an hour",
    )
    tolerance: Tolerances = Field(
        Tolerances(),
        description="How much worse than on the held-out rows errors may be; less is never an "
        "alarm",
    )
    history: History | None = Field(
        None,
        description="Where results are kept; a run replaces those of its own periods and "
        "versions. Null keeps none",
    )
    registry: Place = Field("models", description="Where models are kept: a folder or a URI")

    @field_validator("history")
    @classmethod
    def _of_its_own(cls, history: History | None, info: ValidationInfo) -> History | None:
        for key in ("scores", "actuals"):
            data = info.data.get(key)
            if history and isinstance(data, Data) and is_same_place(history.path, data.path):
                raise ValueError(f"another history.path, as {data.path} is that of {key}")
        return history

    @field_validator("segments", mode="before")
    @classmethod
    def _one_or_many(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @property
    def order_column(self) -> str | None:
        """The column by which the last of several outcomes counts; None if they may not differ."""
        return self.duplicates.removeprefix(_LAST_BY) if self.duplicates != "error" else None

    def on(self, date: str) -> "MonitorJob":
        """The same job as of a date, which takes the place of ``{date}`` in the filters.

        Raises
        ------
        JobError
            If it is no date.
        """
        dated = {"scores": self.scores.on(date), "actuals": self.actuals.on(date)}
        return self.model_copy(update=dated)
