"""Takes a model apart into the terms that it adds up, in the units of the data.

The prediction of a row is the intercept and a term for each feature: of a number, its coefficient
times the value; of a category, the effect of the row's level. A feature without a coefficient has
no term.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from lasso_jobs.core.fit.predict import Predictor
from lasso_jobs.core.rows.columns import Category, Columns, DateFeature, DatePart, LevelType
from lasso_jobs.errors import ModelError
from lasso_jobs.models import model_file
from lasso_jobs.models.intervals import why_none
from lasso_jobs.models.model import INTERVAL_COVERAGE, Model


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """The term of a number.

    Parameters
    ----------
    feature, column : str
        The feature's name, and the column of the data that it is made of.
    part : str or None
        The part of the column's date that is the number.
    element : int or None
        The index, from 0, of the element of the column's vector that is the number.
    coef : float
    mean : float or None
        What takes the place of a null; None of an offset, without which a row has no prediction.
    null : float
        What a null adds besides.
    """

    feature: str
    column: str
    part: DatePart | None
    element: int | None
    coef: float
    mean: float | None
    null: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Levels:
    """The term of a category.

    Parameters
    ----------
    feature, column : str
        The feature's name, and the column of the data that it is made of.
    part : str or None
        The part of the column's date that is the level, which is an integer then.
    type : {"string", "boolean", "integer"}
        What the column's values are.
    levels : dict of str to float
        The effect of each level. Booleans are ``false`` and ``true``, integers their digits.
    null, other : float
        The effects of a null, and of a level that is not listed.
    """

    feature: str
    column: str
    part: DatePart | None
    type: LevelType
    levels: dict[str, float]
    null: float
    other: float


Term = Number | Levels


@dataclass(frozen=True, slots=True, kw_only=True)
class HalfWidths:
    """Half the widths of the prediction intervals.

    Parameters
    ----------
    coverage : float
    overall : float
        For rows of no group in `groups`.
    column : str or None
        The column of the groups.
    groups : dict of str to float
    """

    coverage: float
    overall: float
    column: str | None
    groups: dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class LinearForm:
    """A model as its terms.

    Parameters
    ----------
    model, digest, target : str
    intercept : float
    terms : tuple of Number or Levels
        In the order in which the model adds them.
    interval : HalfWidths or None
    no_intervals : str or None
        Why there are none.
    """

    model: str
    digest: str
    target: str
    intercept: float
    terms: tuple[Term, ...]
    interval: HalfWidths | None
    no_intervals: str | None

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the data that a prediction needs."""
        return tuple(dict.fromkeys(term.column for term in self.terms))


def linear_form(model: Model) -> LinearForm:
    """Take a model apart.

    Raises
    ------
    ModelError
        If a feature is a token: how texts become tokens is no term.
    """
    predictor = model.predictor.only(model.predictor.used)
    for vector in predictor.columns.vectors:
        if vector.tokens is not None:
            raise ModelError(
                model.name,
                f"has features that are tokens of {vector.column!r}",
                "numbers, categories, parts of dates and elements of vectors",
                "Use model.predict or lasso-jobs score, or train without features.tokens",
            )
    return LinearForm(
        model=model.name,
        digest=model_file.digest(model),
        target=model.target,
        intercept=float(predictor.intercept),
        terms=(*_numbers(predictor), *_categories(predictor)),
        interval=_half_widths(model),
        no_intervals=why_none(model.holdout),
    )


def _numbers(predictor: Predictor) -> Iterator[Number]:
    columns = predictor.columns
    nulls = dict(zip(predictor.indicators, predictor.coef[columns.n_columns :], strict=True))
    element_of = _elements(columns)
    part_of = {date.name: date for date in columns.dates}
    for j, name in enumerate(columns.numeric):
        date, (column, element) = part_of.get(name), element_of.get(name, (name, None))
        yield Number(
            feature=name,
            column=column if date is None else date.column,
            part=None if date is None else date.part,
            element=element,
            coef=float(predictor.coef[j]),
            mean=None if j == predictor.offset_at else float(predictor.fill[j]),
            null=float(nulls.get(j, 0.0)),
        )


def _elements(columns: Columns) -> dict[str, tuple[str, int | None]]:
    """The vector, and the index in it, of each feature that is an element."""
    return {
        columns.numeric[place]: (column, index)
        for column, (places, indices) in columns.elements().items()
        for place, index in zip(places.tolist(), indices.tolist(), strict=True)
    }


def _categories(predictor: Predictor) -> Iterator[Levels]:
    start = len(predictor.columns.numeric)
    part_of = {date.name: date for date in predictor.columns.dates}
    for category in predictor.columns.categories:
        effects = predictor.coef[start : start + category.width].tolist()
        yield _levels(category, effects, part_of.get(category.name))
        start += category.width


def _levels(category: Category, effects: list[float], date: DateFeature | None) -> Levels:
    other = effects[-1] if category.other else 0.0
    own = dict(zip(category.levels, effects, strict=False))
    return Levels(
        feature=category.name,
        column=category.name if date is None else date.column,
        part=None if date is None else date.part,
        type=category.type,
        levels={level: effect for level, effect in own.items() if level is not None},
        null=own.get(None, other),
        other=other,
    )


def _half_widths(model: Model) -> HalfWidths | None:
    holdout = model.holdout
    if holdout is None or holdout.interval is None:
        return None
    return HalfWidths(
        coverage=INTERVAL_COVERAGE,
        overall=holdout.interval,
        column=holdout.by,
        groups=dict(holdout.intervals),
    )
