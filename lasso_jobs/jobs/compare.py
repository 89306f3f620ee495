"""Defines the section of a training job that says which estimators `compare` searches."""

from typing import Annotated, Any, Literal, Self, get_args

from pydantic import (
    Field,
    FiniteFloat,
    PositiveInt,
    ValidationError,
    ValidatorFunctionWrapHandler,
    field_validator,
    model_validator,
)

from lasso_jobs.jobs.base import Section

LASSO, LASSO_MIN = "lasso", "lasso (min)"
FamilyName = Literal["elastic_net", "ridge", "random_forest", "gradient_boosting"]
FAMILIES: tuple[FamilyName, ...] = get_args(FamilyName)
Range = tuple[FiniteFloat, FiniteFloat]


class Distribution(Section):
    """What the values of a parameter are drawn from: one of these, each as [LOW, HIGH]."""

    uniform: Range | None = Field(None, description="Drawn evenly between LOW and HIGH")
    loguniform: Range | None = Field(
        None, description="Drawn evenly in the logarithm between LOW and HIGH; LOW is above 0"
    )
    integers: tuple[int, int] | None = Field(
        None, description="Whole numbers drawn evenly from LOW to HIGH, both included"
    )

    @model_validator(mode="after")
    def _one(self) -> Self:
        given = [r for r in (self.uniform, self.loguniform, self.integers) if r is not None]
        if len(given) != 1 or given[0][0] >= given[0][1]:
            raise ValueError("one of uniform, loguniform and integers, as [LOW, HIGH]")
        if self.loguniform is not None and self.loguniform[0] <= 0:
            raise ValueError("loguniform from above 0")
        return self


Values = Annotated[tuple[Any, ...], Field(min_length=1)]


class EstimatorOptions(Section):
    """An estimator of scikit-learn, or one that behaves like it, and its search."""

    estimator: str = Field(
        pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)+$",
        description="The path that its class is imported from, such as "
        "sklearn.neighbors.KNeighborsRegressor",
    )
    params: dict[str, Any] = Field(
        {}, description="Parameters of the estimator that are the same in every fit"
    )
    search: dict[str, Values | Distribution] = Field(
        {},
        description="Parameters to search: for each a list of values, or a distribution to draw "
        "from",
    )
    iterations: PositiveInt | None = Field(
        None, description="How many settings to draw at random; null tries every combination"
    )

    @field_validator("search", mode="wrap")
    @classmethod
    def _to_try(cls, value: object, validate: ValidatorFunctionWrapHandler) -> object:
        try:
            return validate(value)
        except ValidationError as error:
            raise ValueError(
                "per parameter a list of values or {uniform: [LOW, HIGH]}, with LOW below HIGH; or "
                "loguniform, with LOW above 0; or integers"
            ) from error

    @model_validator(mode="after")
    def _drawn(self) -> Self:
        drawn = [name for name, v in self.search.items() if isinstance(v, Distribution)]
        if drawn and self.iterations is None:
            raise ValueError(f"iterations, as search.{drawn[0]} is a distribution")
        if self.iterations is not None and not self.search:
            raise ValueError("a search where there are iterations")
        return self


class CompareOptions(Section):
    """Which estimators ``compare`` searches, and on how many rows; a training ignores it."""

    rows: int = Field(
        20_000, ge=10, description="The most rows to sample; if there are fewer, all of them"
    )
    families: tuple[FamilyName, ...] = Field(
        FAMILIES, description="The built-in families to search"
    )
    estimators: dict[str, EstimatorOptions] = Field(
        {}, description="Other estimators to search, by a name of your choice"
    )
    iterations: PositiveInt = Field(
        10, description="How many settings each of the built-in families tries: the same for all"
    )
    min_gain: float = Field(
        0.01,
        ge=0,
        lt=1,
        description="By which share another model's RMSE must be lower than the LASSO's to be "
        "worth it",
    )

    @model_validator(mode="after")
    def _some(self) -> Self:
        if not self.families and not self.estimators:
            raise ValueError("some families or estimators")
        if len(set(self.families)) < len(self.families):
            raise ValueError("families that differ")
        if taken := {LASSO, LASSO_MIN, *FAMILIES} & set(self.estimators):
            raise ValueError(f"estimators by another name than {min(taken)!r}")
        return self
