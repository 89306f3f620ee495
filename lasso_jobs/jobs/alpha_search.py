"""The section of a training job that says which penalties to try, and how they are compared."""

from typing import Annotated, Literal

from pydantic import (
    Field,
    StrictBool,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    field_validator,
)

from lasso_jobs.jobs.base import Section, Share
from lasso_jobs.jobs.split import Split

Alpha = Annotated[float, Field(ge=0)]
Portion = Annotated[float, Field(ge=0, le=1)]
Portions = Annotated[tuple[Portion, ...], Field(min_length=1)]
GAMMAS = (0.0, 0.25, 0.5, 0.75, 1.0)


class AlphaSearch(Section):
    """The search for alpha, and if asked for also for l1_ratio and the gamma of relaxed fits."""

    alphas: Annotated[int, Field(ge=1)] | tuple[Alpha, ...] = Field(
        100, description="How many alphas to try, or a list of them; 0 is least squares"
    )
    eps: Share | None = Field(
        None,
        description="The smallest alpha to try, as a share of the largest. By default 0.001, or "
        "0.01 where there are fewer rows than coefficients; and where the smallest alpha is "
        "chosen, as many smaller ones are tried once. A value, or a list of alphas, ends there",
    )
    l1_ratio: Portion | Portions = Field(
        1.0,
        description="The mix of the two penalties: 1 is the LASSO, 0 is Ridge, and between them "
        "is the Elastic Net. From a list, cross-validation chooses",
    )
    relax: StrictBool | Portions = Field(
        False,
        description="Relaxed LASSO: true, or a list of the gammas to choose from. Gamma 1 is the "
        "penalised fit, gamma 0 is least squares on its active columns; true is 0, "
        "0.25, 0.5, 0.75 and 1",
    )
    adaptive: bool = Field(
        False, description="Adaptive LASSO: each fold weighs the l1 penalty by its own Ridge fit"
    )
    folds: int = Field(5, ge=2, le=1000, description="The number of folds in cross-validation")
    split: Split = Field(
        Split(),
        description="How rows get into folds: period (the rows of a period stay together, if they "
        "carry one and there are at least ten), random, or by one of these columns",
    )
    repeats: int = Field(
        1,
        ge=1,
        le=100,
        description="How many times to draw the folds; more make the curve smoother",
    )
    rule: Literal["min", "1se"] = Field(
        "min",
        description="Which alpha is chosen: that of the least error (min), or the largest within "
        "a standard error of it (1se)",
    )
    fold_means: Literal["size", "equal"] = Field(
        "size",
        description="Whether a fold counts by the weight of its rows (size), or as much as any "
        "other (equal)",
    )
    early_stop: StrictBool | None = Field(
        None,
        description="Leave out the smaller alphas once the last ten are worse than the best, or "
        "three are and the last by twice the standard error of the difference. false tries every "
        "alpha; null leaves out some only where columns are screened",
    )
    engine: Literal["auto", "all", "screened"] = Field(
        "auto",
        description="Whether the moments of all pairs of columns are read (all), or only of those "
        "that screening lets in (screened); auto screens where there are more than 1,000 numeric "
        "columns",
    )

    @property
    def l1_ratios(self) -> tuple[float, ...]:
        """The l1_ratios to choose from."""
        return self.l1_ratio if isinstance(self.l1_ratio, tuple) else (self.l1_ratio,)

    @property
    def gammas(self) -> tuple[float, ...]:
        """The gammas to choose from; 1 alone without relaxed fits."""
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
