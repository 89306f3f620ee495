"""The job file of `score`, as a pydantic model."""

from typing import Annotated, Literal

from pydantic import (
    Field,
    PositiveInt,
    PrivateAttr,
    StrictInt,
    ValidationError,
    ValidatorFunctionWrapHandler,
    field_validator,
)

from lasso_jobs.data.staging import Format
from lasso_jobs.data.where import parse
from lasso_jobs.errors import JobError
from lasso_jobs.jobs.job_file import DATE, Data, Job, Place, Section, Share


class Output(Section):
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


class DriftOptions(Section):
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
    data: Data = Field(description="The rows to score")
    # Not called keys, lest dict(job) take it for the method of a mapping.
    key_columns: tuple[str, ...] = Field(
        (), alias="keys", description="Columns of the source that scored rows carry"
    )
    output: Output = Field(description="Where scored rows go")
    drift: DriftOptions | None = Field(
        None, description="Compare the rows with those of the training; without, nothing is"
    )
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
