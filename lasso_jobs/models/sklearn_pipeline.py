"""Builds a scikit-learn pipeline that predicts what a model predicts."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.linear_model import Lasso
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from lasso_jobs.core.rows.columns import Category
from lasso_jobs.errors import ModelError

if TYPE_CHECKING:
    from lasso_jobs.models.model import Model


def to_sklearn(model: "Model") -> Pipeline:
    """Build the pipeline: impute, encode, add null indicators, scale, predict.

    An unlisted level has no indicator in scikit-learn; here it shares ``(other)``. So the effect
    of ``(other)`` moves into the intercept, and each listed level keeps its difference from it.

    Raises
    ------
    ModelError
        If a feature is part of a date or of a vector: a pipeline has the columns of the data only.
    """
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
    encode, encoded = _encoder(model)
    scale, lasso = StandardScaler(), Lasso(alpha=model.alpha)
    scale.fit(encoded)
    coef, intercept, kept = _relative_to_other(model)
    scale.mean_ = model.means[kept]
    scale.scale_ = np.where(model.deviations > 0, model.deviations, 1.0)[kept]
    scale.var_ = model.deviations[kept] ** 2
    scale.n_samples_seen_ = model.n_rows
    lasso.coef_ = coef * scale.scale_
    lasso.intercept_ = float(intercept + coef @ scale.mean_)
    lasso.n_features_in_, lasso.n_iter_ = len(coef), 0
    return Pipeline([("encode", encode), ("scale", scale), ("lasso", lasso)])


def _encoder(model: "Model") -> tuple[ColumnTransformer, Any]:
    """The step that imputes and encodes, fitted to a few rows; and those rows, encoded."""
    numeric = list(model.columns.numeric)
    steps: list[tuple[str, Any, list[str]]] = []
    if numeric:
        steps.append(("numeric", SimpleImputer(keep_empty_features=True), numeric))
    for category in model.columns.categories:
        if not category.levels:
            continue  # All is (other), which has no effect.
        encoder = OneHotEncoder(
            categories=[_values(category)], handle_unknown="ignore", sparse_output=False
        )
        # The name of a step must not have two underlines in a row.
        number = len(steps)
        steps.append(
            (
                f"levels {number}",
                make_pipeline(FunctionTransformer(nulls_as_nan), encoder),
                [category.name],
            )
        )
    with_nulls = [numeric[j] for j in model.predictor.indicators]
    if with_nulls:
        steps.append(("null indicators", MissingIndicator(features="all"), with_nulls))
    encode = ColumnTransformer(steps)
    encoded = encode.fit_transform(_example(model))
    if numeric:
        fill, offset = model.predictor.fill.copy(), model.predictor.offset_at
        if offset is not None:
            fill[offset] = np.nan  # So the last step refuses a null of the offset.
        encode.named_transformers_["numeric"].statistics_ = fill
    return encode, encoded


def nulls_as_nan(frame: pd.DataFrame) -> pd.DataFrame:
    """Write every null as NaN: scikit-learn takes None and NaN for two levels, and knows no NA."""
    return frame.astype(object).where(frame.notna(), np.nan)


def _values(category: Category) -> list[Any]:
    """The levels as the data has them; a null is NaN, as scikit-learn wants."""
    return [np.nan if level is None else _value(category, level) for level in category.levels]


def _value(category: Category, level: str) -> str | int | bool:
    if category.type == "integer":
        return int(level)
    return level == "true" if category.type == "boolean" else level


def _example(model: "Model") -> pd.DataFrame:
    """Rows that show every column once, to fit shapes and names on."""
    columns = model.columns
    n_rows = max([1, *(len(c.levels) for c in columns.categories)])
    frame: dict[str, Any] = {name: np.zeros(n_rows) for name in columns.numeric}
    for category in columns.categories:
        values = _values(category) or [np.nan]
        frame[category.name] = [values[i % len(values)] for i in range(n_rows)]
    return pd.DataFrame(frame)


def _relative_to_other(model: "Model") -> tuple[Any, float, list[int]]:
    """Coefficients without those of ``(other)``, the intercept, and which ones were kept."""
    coef, intercept = model.predictor.coef.copy(), model.intercept
    kept = list(range(len(coef)))
    spans = dict(model.columns.spans())
    for category in model.columns.categories:
        if category.other:
            span = spans[category.name]
            effect = coef[span.stop - 1]
            coef[span.start : span.stop - 1] -= effect
            intercept += effect
            kept.remove(span.stop - 1)
    return coef[kept], intercept, kept
