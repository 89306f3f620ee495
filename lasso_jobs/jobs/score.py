"""Defines the job file of `score`: which rows a model scores, and where they go."""

from typing import Annotated, ClassVar, Literal

from pydantic import (
    Field,
    PositiveInt,
    PrivateAttr,
    StrictInt,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    field_validator,
)

from lasso_jobs.core.drift.verdicts import MIN_ROWS
from lasso_jobs.data.condition import column
from lasso_jobs.data.where import parse
from lasso_jobs.errors import JobError
from lasso_jobs.jobs.base import DATE, Data, Job, Place, Section, Share, is_same_place
from lasso_jobs.sinks.protocol import Format

MOST_CONTRIBUTIONS = 50


class Output(Section):
    """The table that scored rows are written to."""

    path: Place = Field(
        description="Where scored rows go: a folder or a URI; for postgresql, the name of a table"
    )
    format: Format = Field(
        "delta",
        description="A Delta table (delta), a plain folder of Parquet files (parquet), or a "
        "table of a database (postgresql)",
    )
    partition_by: tuple[str, ...] = Field(
        (),
        description="Columns that partition the output. A run replaces the partitions that it "
        "has rows for; without columns it replaces the whole table",
    )

    contributions: Annotated[StrictInt, Field(ge=0, le=MOST_CONTRIBUTIONS)] = Field(
        0,
        description="How many features each scored row names that moved its prediction most from "
        "the mean prediction, each with its contribution, the largest first",
    )

    @field_validator("partition_by", mode="before")
    @classmethod
    def _one_or_many(cls, value: object) -> object:
        if value is None:
            return ()
        return (value,) if isinstance(value, str) else value


class DriftOptions(Section):
    """Which features to compare with the training rows, and where the results are kept."""

    features: Literal["selected", "all"] | tuple[str, ...] = Field(
        "selected",
        description="Which features to compare: those that the model uses (selected), all of "
        "them (all), or a list",
    )
    path: Place = Field(
        description="Where the results are kept: a Delta table, as a folder or a URI"
    )
    segment: str | None = Field(
        None, description="A column whose groups are measured as well, each by itself"
    )
    correlation: bool = Field(
        False, description="Also look for features whose correlation has changed"
    )
    persistence: tuple[PositiveInt, PositiveInt] = Field(
        (3, 5), description="[K, N]: drift becomes an alarm once it is in K of the last N runs"
    )
    min_rows: PositiveInt = Field(
        MIN_ROWS,
        description="The fewest rows that are judged. A smaller run is judged together with the "
        "runs before it, once they have so many rows",
    )

    @field_validator("persistence")
    @classmethod
    def _of_more(cls, persistence: tuple[int, int]) -> tuple[int, int]:
        if persistence[0] > persistence[1]:
            raise ValueError("[K, N] with K runs of the last N, so K at most N")
        return persistence


class ScoreJob(Job):
    """A scoring job: which rows a model scores, and where they go.

    ``lasso-jobs schema score`` prints its keys.

    Examples
    --------
    >>> from lasso_jobs import ScoreJob
    >>> job = ScoreJob.from_yaml("score.yaml")
    >>> job.output.format, job.output.partition_by
    ('delta', ('day',))
    >>> job.on("2024-03-02").data.where
    "day = '2024-03-02'"
    """

    command: ClassVar[str] = "score"

    model: str = Field(
        description="Which model: NAME for its champion, NAME@ALIAS, or NAME@v3 for a version"
    )
    data: Data = Field(description="The rows to score")
    # Not called keys, lest dict(job) take it for the method of a mapping.
    key_columns: tuple[str, ...] = Field(
        (),
        alias="keys",
        description="Columns of the source that say which row is which; scored rows carry them",
    )
    output: Output = Field(description="Where scored rows go")
    drift: DriftOptions | None = Field(
        None,
        description="How to compare the rows with those of the training; null does not compare "
        "them",
    )
    rename: dict[str, str] = Field(
        {},
        description="Columns of the source whose features have another name, as {SOURCE: FEATURE}",
    )
    missing_columns: Literal["error", "impute"] = Field(
        "error",
        description="What happens if a file lacks a feature's column: error ends the job, impute "
        "takes it as null",
    )
    bad_rows: Literal["quarantine", "fail"] | Share | Annotated[StrictInt, Field(ge=1)] = Field(
        "quarantine",
        description="What happens to rows that cannot be scored: quarantine keeps them in a "
        "table of their own, if they are at most half of the rows; fail ends the job. A share or "
        "a number of rows is the most to quarantine. With more, or with all rows of a night, the "
        "job ends, and the rows of its last run are still shown",
    )
    late: Literal["rescore", "report"] = Field(
        "rescore",
        description="In a range of dates, what happens to a scored date whose source has changed "
        "since: score it again (rescore), or only say so (report)",
    )
    registry: Place = Field("models", description="Where models are kept: a folder or a URI")
    _date: str | None = PrivateAttr(None)

    @field_validator("drift")
    @classmethod
    def _of_its_own(cls, drift: DriftOptions | None, info: ValidationInfo) -> DriftOptions | None:
        output = info.data.get("output")
        if drift is not None and isinstance(output, Output) and output.format != "postgresql":
            for other in (output.path, f"{output.path.rstrip('/')}-quarantine"):
                if is_same_place(drift.path, other):
                    raise ValueError(f"another drift.path, as {other} is for the scored rows")
        return drift

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
                    f"Write, say, where: \"day = '{DATE}'\"",
                )
            condition = f"{column(self.output.partition_by[0])} = '{DATE}'"
            where = condition if self.data.where is None else f"({self.data.where}) and {condition}"
            parse(where, "data.where")
            data = self.data.model_copy(update={"where": where})
            return self.model_copy(update={"data": data}).on(date)
        dated = self.model_copy(update={"data": self.data.on(date)})
        dated._date = date
        return dated
