"""Defines ``features`` of a training job: which columns to predict from, and what they are."""

from typing import Annotated

from pydantic import Field, PositiveInt, ValidationInfo, field_validator

from lasso_jobs.core.rows.columns import DatePart
from lasso_jobs.core.rows.vectors import Tokens, TokensCount, TokensHow
from lasso_jobs.data.vectors.features import TokenColumn
from lasso_jobs.jobs.base import Place, Section


class TokenOptions(Section):
    """How the tokens of a column become the columns of a sparse vector."""

    how: TokensHow = Field(
        description="What the tokens are: the words of a text, the items of a list of texts, or "
        "the whole value"
    )
    count: TokensCount = Field(
        "counts",
        description="The value of a token's column in a row: how often the row has it (counts), 1 "
        "(binary), or its share of all tokens of the row (tf)",
    )
    min_rows: PositiveInt = Field(
        1, description="The fewest rows that a token must be in to be a column"
    )
    max_share: float = Field(
        1.0, gt=0, le=1, description="The largest share of the rows that it may be in"
    )
    hash: int | None = Field(
        None,
        ge=2,
        description="Into how many columns tokens are hashed, with no scan to list them first; "
        "null gives each a column of its own",
    )

    @field_validator("hash")
    @classmethod
    def _uncounted(cls, hash: int | None, info: ValidationInfo) -> int | None:
        limits = (info.data.get("min_rows", 1), info.data.get("max_share", 1.0))
        if hash is not None and limits != (1, 1.0):
            raise ValueError("null beside min_rows or max_share, as no scan counts hashed tokens")
        return hash


class FeatureSelection(Section):
    """Which columns are features, by name or by a pattern such as ``*``."""

    include: tuple[str, ...] = Field(
        ("*",),
        description="Columns to use as features; patterns do not take indexes of pandas, and "
        "columns of extension types such as its periods, which are to be named",
    )
    exclude: tuple[str, ...] = Field(
        (), description="Columns to leave out of those that include names"
    )
    categorical: tuple[str, ...] = Field(
        (),
        description="Integer columns to treat as categories; columns of text and booleans always "
        "are",
    )
    sizes: dict[str, PositiveInt] = Field(
        {},
        description="Lengths of vectors by column, such as {words: 50000}: sparse vectors that "
        "state none are else as long as the largest index needs",
    )
    names: dict[str, Place] = Field(
        {},
        description="Files that name the elements of vectors by column, such as {words: "
        "words.txt}: a name a line, or in the first column of a .csv or .parquet file",
    )
    tokens: dict[str, TokensHow | TokenOptions] = Field(
        {},
        description="Columns of text, of lists of texts, or of categories with very many levels "
        "whose tokens become sparse columns, such as {review: words}",
    )
    dates: dict[str, Annotated[tuple[DatePart, ...], Field(min_length=1)]] = Field(
        {},
        description="Parts of date and timestamp columns to use as features, such as {when: "
        "[month, weekday]}",
    )

    @field_validator("tokens")
    @classmethod
    def _no_category(
        cls, tokens: dict[str, TokensHow | TokenOptions], info: ValidationInfo
    ) -> dict[str, TokensHow | TokenOptions]:
        both = tokens.keys() & {*info.data.get("categorical", ())}
        if both:
            raise ValueError(f"none of the columns of categorical, such as {min(both)!r}")
        return tokens

    def token_columns(self) -> dict[str, TokenColumn]:
        """How each column's tokens are to be columns."""
        every = {
            column: TokenOptions(how=options) if isinstance(options, str) else options
            for column, options in self.tokens.items()
        }
        return {
            column: TokenColumn(
                column=column,
                tokens=Tokens(options.how, options.count),
                hashed=options.hash,
                min_rows=options.min_rows,
                max_share=options.max_share,
            )
            for column, options in every.items()
        }
