"""The job file of `monitor`, as a pydantic model."""

from typing import Annotated

from pydantic import Field, field_validator

from lasso_jobs.core.outcomes import Tolerance
from lasso_jobs.jobs.job_file import Data, Job, Name, Place, Section, Share

Rise = Annotated[float, Field(gt=0, allow_inf_nan=False)]
_LAST_BY = "last by "


class Tolerances(Section):
    """Differences from the hold-out that matter; smaller ones are never an alarm."""

    rmse: Rise = Field(0.1, description="A rise of the RMSE, as a share of it")
    bias: Rise = Field(0.25, description="A change of the bias, as a share of the expected RMSE")
    coverage: Share = Field(0.05, description="A loss of coverage")

    def values(self) -> Tolerance:
        """The same for the mathematics."""
        return Tolerance(self.rmse, self.bias, self.coverage)


class History(Section):
    """Where the results go."""

    path: Place = Field(description="A Delta table; it is made if need be")


class MonitorJob(Job):
    """A monitoring job: scored rows, and the outcomes that became known since."""

    model: Name = Field(description="The model's name; rows have the version")
    scores: Data = Field(description="Scored rows: a Delta table, or a folder of Parquet files")
    actuals: Data = Field(description="Rows with outcomes")
    # Not called keys, lest dict(job) take it for the method of a mapping.
    key_columns: Annotated[tuple[str, ...], Field(min_length=1)] = Field(
        alias="keys", description="Columns of both that say which row is which"
    )
    target: str = Field(description="The column of outcomes; null is not yet known")
    period: str = Field(
        description="A column of the scored rows, such as their date. If it is one of the keys, "
        "outcomes are only read of the same periods, and those without a prediction are counted"
    )
    segments: tuple[str, ...] = Field((), description="Columns of either, to measure by")
    duplicates: str = Field(
        "error",
        pattern=rf"^(error|{_LAST_BY}.+)$",
        description="Outcomes of one row that differ: error, or: last by COLUMN",
    )
    min_rows: int = Field(100, ge=2, description="Known outcomes to judge by")
    tolerance: Tolerances = Field(
        Tolerances(), description="Differences from the hold-out that matter"
    )
    history: History | None = Field(
        None, description="Keep the results; a run replaces those of its periods and versions"
    )
    registry: Place = Field("models", description="Where models are kept: a folder or a URI")

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
