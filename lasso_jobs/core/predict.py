"""Predictions of a linear model from blocks of rows."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from lasso_jobs.core.columns import Block, Columns
from lasso_jobs.core.moments import Floats


@dataclass(frozen=True, slots=True)
class Predictor:
    """A linear model in original units.

    Parameters
    ----------
    columns : Columns
    indicators : tuple of int
        The numeric columns whose null indicators have coefficients, after the columns' own.
    fill : ndarray, shape (n_numeric,)
        What replaces a null.
    coef : ndarray, shape (n_columns + n_indicators,)
    intercept : float
    """

    columns: Columns
    indicators: tuple[int, ...]
    fill: Floats
    coef: Floats
    intercept: float

    @property
    def used(self) -> tuple[str, ...]:
        """The features with a coefficient that is not zero."""
        return tuple(
            name for name in self.columns.features if np.any(self.coef[self.positions(name)] != 0)
        )

    def positions(self, feature: str) -> list[int]:
        """Where a feature's coefficients are."""
        span = dict(self.columns.spans())[feature]
        own = list(range(span.start, span.stop))
        first = self.columns.n_columns
        return own + [first + k for k, j in enumerate(self.indicators) if j in own]

    def only(self, features: Collection[str]) -> "Predictor":
        """The same model of these features alone, the others' terms left out."""
        columns = Columns(
            tuple(name for name in self.columns.numeric if name in features),
            tuple(c for c in self.columns.categories if c.name in features),
            tuple(date for date in self.columns.dates if date.name in features),
        )
        numeric = [j for j, name in enumerate(self.columns.numeric) if name in features]
        indicators = tuple(numeric.index(j) for j in self.indicators if j in numeric)
        spans = [s for name, s in self.columns.spans() if name in features]
        kept = [j for span in spans for j in range(span.start, span.stop)]
        first = self.columns.n_columns
        kept += [first + k for k, j in enumerate(self.indicators) if j in numeric]
        return Predictor(columns, indicators, self.fill[numeric], self.coef[kept], self.intercept)

    def predict(self, block: Block) -> Floats:
        """Predictions, shape (n_rows,); the block has this predictor's columns."""
        prediction = np.full(block.n_rows, self.intercept)
        null_coef = dict(zip(self.indicators, self.coef[self.columns.n_columns :], strict=True))
        for j, values in enumerate(block.numeric):
            effect = null_coef.get(j, 0.0)
            if self.coef[j] == 0 and effect == 0:
                continue
            term = self.coef[j] * values
            nulls = np.isnan(values)
            term[nulls] = self.coef[j] * self.fill[j] + effect
            prediction += term
        start = len(block.numeric)
        for category, codes in zip(self.columns.categories, block.codes, strict=True):
            effects = np.append(self.coef[start : start + category.width], 0.0)
            if effects.any():
                prediction += effects[codes]
            start += category.width
        return prediction
