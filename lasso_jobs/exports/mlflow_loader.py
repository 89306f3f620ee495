"""Predicts pandas frames from a file of coefficients; copied into each exported MLflow model.

So it imports nothing of its package, and an MLflow server needs numpy and pandas alone.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd


class LinearModel:
    """A linear model of numbers, categories, parts of dates and elements of vectors.

    Parameters
    ----------
    content : dict
        As ``lasso-jobs models export --format json`` writes it.
    """

    def __init__(self, content: dict[str, Any]) -> None:
        if content["format"] != 1:
            raise ValueError(f"coefficients of format {content['format']}; expected format 1")
        self.content = content

    def predict(self, model_input: pd.DataFrame, params: Any = None) -> Any:
        """Predictions of the rows of a frame, shape (n,); `params` has no effect."""
        total = np.full(len(model_input), self.content["intercept"])
        for term in self.content["terms"]:
            values = _values(model_input[term["column"]], term)
            total += (
                _of_number(values, term) if term["type"] == "number" else _effects(values, term)
            )
        return total


def _values(values: Any, term: dict[str, Any]) -> Any:
    """What a term is of: a column, the parts of its dates, or the elements of its vectors."""
    if "part" in term:
        name = {"weekday": "day_of_week"}.get(term["part"], term["part"])
        return getattr(pd.to_datetime(values).dt, name)
    if "element" in term:
        index = term["element"]
        # In a column of lists a null is None, NA, or NaN, as a join leaves it; isna of a list is
        # an array.
        elements = [None if pd.isna(row) is True else row[index] for row in values]
        return pd.Series(elements, dtype=object)
    return values


def _of_number(values: Any, term: dict[str, Any]) -> Any:
    numbers = _numbers(values)
    null = np.isnan(numbers)
    # Without a mean, as of an offset, a null has no prediction.
    mean = np.nan if term["mean"] is None else term["mean"]
    return np.where(null, term["coef"] * mean + term["null"], term["coef"] * numbers)


def _numbers(column: Any) -> Any:
    """The numbers of a column, as float64; null is NaN."""
    if pd.api.types.is_numeric_dtype(column):
        return column.to_numpy(np.float64, na_value=np.nan)
    return np.array([np.nan if pd.isna(v) else float(v) for v in column], np.float64)


def _effects(values: Any, term: dict[str, Any]) -> Any:
    def effect(value: Any) -> float:
        if term["type"] != "string":
            whole = float(value).is_integer()
            value = str(int(value)) if whole else None
            value = _TRUTH.get(value) if term["type"] == "boolean" else value
        return float(term["levels"].get(value, term["other"]))

    # A null has the code -1, which is the last of the effects.
    codes, distinct = pd.factorize(values)
    return np.array([*map(effect, distinct), term["null"]], np.float64)[codes]


_TRUTH = {"0": "false", "1": "true"}


def _load_pyfunc(path: str) -> LinearModel:
    """What MLflow calls, with the place of the coefficients."""
    return LinearModel(json.loads(Path(path).read_text(encoding="utf-8")))
