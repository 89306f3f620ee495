"""Predicts blocks of rows with a linear model in original units."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

import numpy as np

from lasso_jobs.core.rows.blocks.block import Block
from lasso_jobs.core.rows.columns import Columns
from lasso_jobs.core.rows.moments import Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Predictor:
    """A linear model in original units: what turns a block of rows into predictions.

    A null of a number is replaced by ``fill``, and its indicator, if it has one, adds its own
    coefficient. A category adds the coefficient of the row's level, or nothing without one.

    Parameters
    ----------
    columns : Columns
    indicators : tuple of int
        The numeric columns whose null indicators have coefficients, after the columns' own.
    fill : ndarray, shape (n_numeric,)
        What replaces a null.
    coef : ndarray, shape (n_columns + n_indicators,)
    intercept : float
    offset : str or None
        The numeric feature that is the offset, whose coefficient is 1. A null of it is not
        replaced: the row has no prediction, which is NaN.

    Examples
    --------
    >>> columns = Columns(("price",), ())
    >>> line = Predictor(
    ...     columns=columns,
    ...     indicators=(),
    ...     fill=np.array([20.0]),
    ...     coef=np.array([-2.0]),
    ...     intercept=50.0,
    ... )
    >>> line.predict(Block(2, [np.array([10.0, np.nan])], ()))
    array([30., 10.])
    """

    columns: Columns
    indicators: tuple[int, ...]
    fill: Floats
    coef: Floats
    intercept: float
    offset: str | None = None

    @property
    def offset_at(self) -> int | None:
        """Which coefficient is the offset's."""
        return None if self.offset is None else self.columns.place[self.offset]

    @property
    def n_nonzero(self) -> int:
        """How many coefficients that were fitted are not zero."""
        return int(np.count_nonzero(self.coef)) - (self.offset is not None)

    @property
    def used(self) -> tuple[str, ...]:
        """The features with a coefficient that is not zero."""
        used, first = self.coef != 0, self.columns.n_columns
        by_nulls = {j for k, j in enumerate(self.indicators) if used[first + k]}
        return tuple(
            name
            for name, span in self.columns.spans()
            if used[span].any() or not by_nulls.isdisjoint(range(span.start, span.stop))
        )

    def positions(self, feature: str) -> list[int]:
        """Where a feature's coefficients are."""
        span = dict(self.columns.spans())[feature]
        own = list(range(span.start, span.stop))
        first = self.columns.n_columns
        return own + [first + k for k, j in enumerate(self.indicators) if j in own]

    def by_feature(self) -> dict[str, list[int]]:
        """Where the coefficients of each feature are."""
        place = {name: list(range(s.start, s.stop)) for name, s in self.columns.spans()}
        for k, j in enumerate(self.indicators, self.columns.n_columns):
            place[self.columns.numeric[j]].append(k)
        return place

    def only(self, features: Collection[str]) -> "Predictor":
        """The same model of these features alone, the others' terms left out."""
        features = frozenset(features)
        numeric = [j for j, name in enumerate(self.columns.numeric) if name in features]
        place = {j: k for k, j in enumerate(numeric)}
        indicators = tuple(place[j] for j in self.indicators if j in place)
        spans = [s for name, s in self.columns.spans() if name in features]
        kept = [j for span in spans for j in range(span.start, span.stop)]
        first = self.columns.n_columns
        kept += [first + k for k, j in enumerate(self.indicators) if j in place]
        return Predictor(
            columns=self.columns.only(features),
            indicators=indicators,
            fill=self.fill[numeric],
            coef=self.coef[kept],
            intercept=self.intercept,
            offset=self.offset if self.offset in features else None,
        )

    def predict(self, block: Block) -> Floats:
        """Predictions, shape (n_rows,); the block has this predictor's columns."""
        prediction = np.full(block.n_rows, self.intercept)
        for _, term in self.terms(block):
            prediction += term
        return prediction

    def terms(self, block: Block) -> Iterator[tuple[str, Floats]]:
        """What each feature adds to the predictions, shape (n_rows,); not of features without."""
        null_coef = dict(zip(self.indicators, self.coef[self.columns.n_columns :], strict=True))
        for j, values in enumerate(block.numeric):
            effect = null_coef.get(j, 0.0)
            if self.coef[j] == 0 and effect == 0:
                continue
            term = self.coef[j] * values
            nulls = np.isnan(values)
            term[nulls] = np.nan if j == self.offset_at else self.coef[j] * self.fill[j] + effect
            yield self.columns.numeric[j], term
        start = len(block.numeric)
        for category, codes in zip(self.columns.categories, block.codes, strict=True):
            effects = np.append(self.coef[start : start + category.width], 0.0)
            if effects.any():
                yield category.name, effects[codes]
            start += category.width

    def mean_terms(self, means: Floats) -> dict[str, float]:
        """What each feature adds on average, given the means of the coefficients' columns."""
        used = frozenset(self.used)
        return {
            name: float(self.coef[places] @ means[places])
            for name, places in self.by_feature().items()
            if name in used
        }
