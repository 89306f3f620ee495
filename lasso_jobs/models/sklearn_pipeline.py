"""Builds a scikit-learn pipeline that predicts what a model predicts.

It is made of scikit-learn's own classes and functions, so that a stored pipeline is read where this
package is not installed.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.linear_model import Lasso
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.utils import check_array

from lasso_jobs.core.rows.columns import Category
from lasso_jobs.errors import ModelError

if TYPE_CHECKING:
    from lasso_jobs.models.model import Model

_LARGEST = 2**53


def to_sklearn(model: "Model") -> Pipeline:
    """Build the pipeline: impute, encode, add null indicators, scale, predict.

    An unlisted level has no indicator in scikit-learn; here it shares ``(other)``. So the effect
    of ``(other)`` moves into the intercept, and each listed level keeps its difference from it.

    Raises
    ------
    ModelError
        If a feature is part of a date or of a vector: a pipeline has the columns of the data only.
        If a level is an integer that a double cannot hold, or no column is left.
    """
    _check_features(model)
    encode, encoded, kept = _encoder(model)
    scale, lasso = StandardScaler(), Lasso(alpha=model.alpha)
    scale.fit(encoded)
    coef, intercept = _relative_to_other(model)
    coef = coef[kept]
    scale.mean_ = model.means[kept]
    scale.scale_ = np.where(model.deviations > 0, model.deviations, 1.0)[kept]
    scale.var_ = model.deviations[kept] ** 2
    scale.n_samples_seen_ = model.n_rows
    lasso.coef_ = coef * scale.scale_
    lasso.intercept_ = float(intercept + coef @ scale.mean_)
    lasso.n_features_in_, lasso.n_iter_ = len(coef), 0
    return Pipeline([("encode", encode), ("scale", scale), ("lasso", lasso)])


def _check_features(model: "Model") -> None:
    if not model.columns.numeric and not any(c.levels for c in model.columns.categories):
        raise ModelError(
            model.name,
            "has no numbers, and no levels of categories",
            "at least one column for scikit-learn's Lasso",
            "Use model.predict, which is the intercept of every row",
        )
    if model.columns.vectors:
        column = model.columns.vectors[0].column
        raise ModelError(
            model.name,
            f"has features that are elements of the vectors in {column!r}",
            "features that the data has as columns",
            "Use model.predict, or train on data that has a column for each element",
        )
    if model.columns.dates:
        raise ModelError(
            model.name,
            f"has the feature {model.columns.dates[0].name!r}, a part of a date",
            "features that the data has as columns",
            "Use model.predict, or train on columns that have the parts",
        )
    for category in model.columns.categories:
        levels = category.levels if category.type == "integer" else ()
        if any(level is not None and abs(int(level)) > _LARGEST for level in levels):
            raise ModelError(
                model.name,
                f"has levels of {category.name!r} beyond 2**53",
                "integers that a double holds exactly, as scikit-learn makes doubles of them",
                "Use model.predict, or train on the column as text",
            )


def _encoder(model: "Model") -> tuple[ColumnTransformer, Any, list[int]]:
    """The step that imputes and encodes, fitted to a few rows.

    Beside it, these rows, encoded, and the place of each column's coefficient in the model.
    """
    numeric, spans = list(model.columns.numeric), dict(model.columns.spans())
    steps: list[tuple[str, Any, list[str]]] = []
    kept = [*range(len(numeric))]
    if numeric:
        impute = make_pipeline(_doubles(), SimpleImputer(keep_empty_features=True))
        steps.append(("numeric", impute, numeric))
    for category in model.columns.categories:
        if not category.levels:
            continue  # All is (other), which has no effect.
        values, places = _values(category)
        encoder = OneHotEncoder(categories=[values], handle_unknown="ignore", sparse_output=False)
        # The name of a step must not have two underlines in a row.
        steps.append(
            (f"levels {len(steps)}", make_pipeline(_plain(category), encoder), [category.name])
        )
        kept += [spans[category.name].start + place for place in places]
    with_nulls = [numeric[j] for j in model.predictor.indicators]
    if with_nulls:
        indicate = make_pipeline(_doubles(), MissingIndicator(features="all"))
        steps.append(("null indicators", indicate, with_nulls))
        kept += range(model.columns.n_columns, len(model.predictor.coef))
    encode = ColumnTransformer(steps)
    encoded = encode.fit_transform(_example(model))
    if numeric:
        fill, offset = model.predictor.fill.copy(), model.predictor.offset_at
        if offset is not None:
            fill[offset] = np.nan  # So the last step refuses a null of the offset.
        encode.named_transformers_["numeric"][-1].statistics_ = fill
    return encode, encoded, kept


def _plain(category: Category) -> Any:
    """The step that makes NaN of every null (None, NaN, pandas' NA), and doubles of numbers."""
    if category.type == "string":
        # As what is missing, pandas' NA stands for all of them.
        options = {"strategy": "constant", "fill_value": np.nan, "keep_empty_features": True}
        return SimpleImputer(missing_values=pd.NA, **options)
    return _doubles()


def _doubles() -> Any:
    """The step that makes doubles of numbers, whatever their type, and NaN of every null.

    A column without any value is of objects in pandas, whose None no indicator would see.
    """
    options = {"dtype": np.float64, "ensure_all_finite": "allow-nan", "input_name": "X"}
    return FunctionTransformer(check_array, kw_args=options)


def _values(category: Category) -> tuple[Any, list[int]]:
    """The levels as scikit-learn wants them, NaN last, and the place of each in the category."""
    places = dict(zip(category.levels, range(len(category.levels)), strict=True))
    nulls = [places.pop(None)] if None in places else []
    values = {
        place: _value(category, level) for level, place in places.items() if level is not None
    }
    # It wants numbers in ascending order.
    ordered = list(values) if category.type == "string" else sorted(values, key=values.__getitem__)
    listed = [*(values[place] for place in ordered), *[np.nan] * len(nulls)]
    return np.array(listed, object if category.type == "string" else float), [*ordered, *nulls]


def _value(category: Category, level: str) -> Any:
    if category.type == "string":
        return level
    return float({"false": 0, "true": 1}.get(level, level))


def _example(model: "Model") -> pd.DataFrame:
    """Rows that show every column once, to fit shapes and names on."""
    columns = model.columns
    values = {c.name: _values(c)[0] for c in columns.categories if c.levels}
    n_rows = max([1, *map(len, values.values())])
    frame: dict[str, Any] = {name: np.zeros(n_rows) for name in columns.numeric}
    for category in columns.categories:
        own = values.get(category.name, np.array([np.nan]))
        frame[category.name] = own[np.arange(n_rows) % len(own)]
    return pd.DataFrame(frame)


def _relative_to_other(model: "Model") -> tuple[Any, float]:
    """Coefficients as differences from those of ``(other)``, and the intercept with these."""
    coef, intercept = model.predictor.coef.copy(), model.intercept
    spans = dict(model.columns.spans())
    for category in model.columns.categories:
        if category.other:
            span = spans[category.name]
            effect = coef[span.stop - 1]
            coef[span] -= effect
            intercept += effect
    return coef, intercept
