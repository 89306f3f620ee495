"""Fits the preprocessing to moments: levels, imputation, indicators of nulls, scaling, intercept.

Every step is affine in the columns, so a fold's own scaler and imputer are read off the moments of
its training rows, and the errors on other rows follow from those rows' moments.

An offset is a column whose coefficient is 1: what is fitted is the target less the offset. Without
an intercept the columns and the target are not centred, so products around zero take the place of
those around the means, ``S + weight m m'``. The scaler still divides by the deviation around the
mean: so do glmnet with ``intercept = FALSE`` and scikit-learn's ``StandardScaler(with_mean=False)``
before ``Lasso(fit_intercept=False)``.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from lasso_jobs.core.fit.adaptive import adaptive_weights
from lasso_jobs.core.fit.problem import Problem
from lasso_jobs.core.fit.spread import (
    Response,
    Scaling,
    deviations,
    per_unit,
    quartile_range,
)
from lasso_jobs.core.fit.spread import scale as scale_of
from lasso_jobs.core.rows.columns import Columns
from lasso_jobs.core.rows.levels import Grouping, choose
from lasso_jobs.core.rows.moments import Floats, Moments
from lasso_jobs.core.rows.sample import Sample


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How columns become a design, and how their coefficients are penalised.

    Parameters
    ----------
    columns : Columns
        As the moments have them; each fit chooses which of their levels it keeps.
    scaling : {"standard", "robust", "minmax", "none"}
        The scale on which the penalty compares coefficients.
    indicators : tuple of int
        The numeric columns whose null indicators are features too.
    l1_ratio : float
        1 for LASSO, less for Elastic Net, 0 for Ridge.
    penalty_factors : mapping of str to float
        By feature; 0 is never penalised.
    bounds : mapping of str to (float, float)
        By feature, around zero, for coefficients in original units.
    adaptive : bool
        Whether the l1 penalty is weighted by a ridge fit: see `lasso_jobs.core.fit.adaptive`.
    max_levels, min_count
        As in `lasso_jobs.core.rows.levels.choose`.
    drop_first : bool
        Whether the first level that a fit keeps of each category has no coefficient.
    drop_other : bool
        Whether ``(other)`` has none, as where it is the levels outside a working set.
    intercept : bool
        Whether there is one; without it the prediction is zero where all columns are.
    offset : str or None
        The numeric column whose coefficient is 1, not fitted. It has no nulls.
    grouping : Grouping or None
        The levels to keep; if None, each fit chooses them.
    """

    columns: Columns
    scaling: Scaling = "standard"
    indicators: tuple[int, ...] = ()
    l1_ratio: float = 1.0
    penalty_factors: Mapping[str, float] = field(default_factory=dict)
    bounds: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    adaptive: bool = False
    max_levels: int | None = None
    min_count: int = 1
    drop_first: bool = False
    drop_other: bool = False
    intercept: bool = True
    offset: str | None = None
    grouping: Grouping | None = None

    @property
    def labels(self) -> tuple[str, ...]:
        """One label per coefficient: the columns, then the indicators."""
        return self.columns.labels_with(self.indicators)

    @property
    def offset_at(self) -> int | None:
        """Where the offset is among the columns."""
        return None if self.offset is None else self.columns.place[self.offset]

    def by_coefficient(self, name: str) -> NDArray[np.bool_]:
        """Which coefficients belong to a feature, or to all elements of a vector."""
        chosen = np.zeros(self.columns.n_columns, np.bool_)
        chosen[self.columns.columns_of(name)] = True
        return np.append(chosen, chosen[list(self.indicators)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """A recipe fitted to training moments.

    Parameters
    ----------
    grouping : Grouping
        The levels that are kept. All else is about the columns after it.
    location : ndarray, shape (q + m,)
        Means of the training rows: fill values, the target's mean at ``target``, null shares.
    nulls : ndarray of intp, shape (m,)
        The columns whose null shares these are.
    target : int
        Position of the target.
    position : ndarray of intp, shape (p,)
        Of each coefficient's column in the moments.
    deviation : ndarray, shape (p,)
        Standard deviations (population); 0 for constant columns.
    unit : ndarray, shape (p,)
        What a coefficient of the problem is per: the deviation, or without an intercept the root
        mean square, which a constant column has as well.
    scale : ndarray, shape (p,)
        What the scaler divides by.
    variance : float
        Of the target less the offset.
    usable : ndarray of bool, shape (p,)
        Columns that vary and are not dropped; the others' coefficients are 0, that of the offset 1.
    intercept : bool
    offset : int or None
        Which coefficient is that of the offset.
    problem : Problem
        Over the usable columns.
    """

    grouping: Grouping
    location: Floats
    nulls: NDArray[np.intp]
    target: int
    position: NDArray[np.intp]
    deviation: Floats
    unit: Floats
    scale: Floats
    variance: float
    usable: NDArray[np.bool_]
    intercept: bool
    offset: int | None
    problem: Problem

    def among_usable(self, chosen: NDArray[np.intp]) -> NDArray[np.intp]:
        """Where some coefficients are among the problem's."""
        return np.asarray((np.cumsum(self.usable) - 1)[chosen])

    def gram(self, chosen: NDArray[np.intp]) -> Floats:
        """The part of the problem's matrix of some coefficients, all of them usable."""
        place = self.among_usable(chosen)
        return np.asarray(self.problem.gram[np.ix_(place, place)])

    def correlations(self, chosen: NDArray[np.intp], training: Moments) -> Floats:
        """Correlations of the columns of some coefficients, all of which vary.

        Parameters
        ----------
        chosen : ndarray of intp
        training : Moments
            What this was fitted to.
        """
        if self.intercept and self.usable[chosen].all():
            every = len(chosen) == len(self.problem.covariance)
            return self.problem.gram if every else self.gram(chosen)
        rows = self.grouping.moments(training)
        rows = rows.with_nulls(self.nulls)
        return per_unit(rows, self.position[chosen], self.deviation[chosen])

    def original_units(self, coef: Floats) -> tuple[Floats, Floats]:
        """Coefficients and intercepts in original units.

        Parameters
        ----------
        coef : ndarray, shape (n, p_usable)
            On the correlation scale.

        Returns
        -------
        coef : ndarray, shape (n, p)
        intercept : ndarray, shape (n,)
        """
        original = np.zeros((len(coef), len(self.position)))
        original[:, self.usable] = coef / self.unit[self.usable]
        if self.offset is not None:
            original[:, self.offset] = 1.0
        if not self.intercept:
            return original, np.zeros(len(coef))
        intercept = self.location[self.target] - original @ self.location[self.position]
        return original, intercept

    def mean_prediction(self, coef: Floats) -> Floats:
        """The mean over the training rows, shape (n,), of coefficients in original units."""
        if self.intercept:
            return np.full(len(coef), self.location[self.target])
        return np.asarray(coef @ self.location[self.position])


def fit(
    recipe: Recipe,
    training: Moments,
    sample: Sample | None = None,
    *,
    within: NDArray[np.bool_] | None = None,
) -> Design:
    """Fit levels, scaler, imputer and penalties to training moments.

    Parameters
    ----------
    recipe : Recipe
    training : Moments
        Of the recipe's columns and, last, the target; of at least one row.
    sample : Sample, optional
        Of the same rows, at least one; robust scaling takes its quartiles from it.
    within : ndarray of bool, shape (p,), optional
        The coefficients that the problem is about; the others are not usable.

    Raises
    ------
    ValueError
        If the scaling is robust, and no row is sampled.
    """
    grouping = recipe.grouping or choose(
        recipe.columns, training, recipe.max_levels, recipe.min_count
    )
    recipe, training = replace(recipe, columns=grouping.columns), grouping.moments(training)
    training = training.with_nulls(np.union1d(training.nulls, recipe.indicators).astype(np.intp))
    sampled = None if sample is None or not len(sample.hashes) else grouping.values(sample.values)
    spread = _Spread.of(recipe, training, sampled)
    if within is not None:
        spread = replace(spread, usable=spread.usable & within)
    response = Response.of(training, recipe.offset_at)
    return Design(
        grouping=grouping,
        location=training.mean,
        nulls=training.nulls,
        target=training.n_values - 1,
        position=spread.position,
        deviation=spread.deviation,
        unit=spread.unit,
        scale=spread.scale,
        variance=response.variance,
        usable=spread.usable,
        intercept=recipe.intercept,
        offset=recipe.offset_at,
        problem=_problem(recipe, training, response, spread),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Spread:
    """Position, deviation, unit and scale of each coefficient's column, and which are usable."""

    position: NDArray[np.intp]
    deviation: Floats
    unit: Floats
    scale: Floats
    usable: NDArray[np.bool_]

    @classmethod
    def of(cls, recipe: Recipe, training: Moments, sampled: Floats | None) -> "_Spread":
        q = training.n_values
        indicators = q + np.searchsorted(training.nulls, recipe.indicators)
        position = np.concatenate([np.arange(q - 1), indicators]).astype(np.intp)
        deviation = deviations(training)[position]
        unit = deviation if recipe.intercept else np.hypot(deviation, training.mean[position])
        usable = unit > 0
        usable[fixed(recipe)] = False
        if recipe.scaling != "robust":
            scale = scale_of(recipe.scaling, training, deviation, position)
        elif sampled is None:
            raise ValueError("robust scaling needs a sample of the rows")
        else:
            scale = quartile_range(training, sampled, recipe.indicators)
        return cls(position=position, deviation=deviation, unit=unit, scale=scale, usable=usable)


def _problem(recipe: Recipe, training: Moments, response: Response, columns: _Spread) -> Problem:
    """The problem over the usable columns, on the correlation scale."""
    usable, unit = columns.usable, columns.unit[columns.usable]
    kept = columns.position[usable]
    mean = None if recipe.intercept else training.mean[kept]
    gram = per_unit(training, kept, unit, mean)
    covariance, variance = response.products[kept] / training.weight, response.variance
    if mean is not None:
        covariance += mean * response.mean
        variance += response.mean**2
    covariance /= unit
    stretch = columns.scale[usable] / unit
    l1_factor, l2_factor = penalties(recipe, stretch, usable)
    if recipe.adaptive:
        deviation = columns.deviation[usable]
        spread = np.where(deviation > 0, deviation, 1.0) / unit
        l1_factor *= adaptive_weights(gram, covariance, stretch, l1_factor > 0, spread=spread)
    low, high = _bounds(recipe, unit, usable)
    return Problem(
        gram=gram,
        covariance=covariance,
        variance=variance,
        l1_factor=l1_factor,
        l2_factor=l2_factor,
        low=low,
        high=high,
    )


def fixed(recipe: Recipe) -> list[int]:
    """The coefficients that are not fitted: the offset's, and those of the levels that are dropped.

    Parameters
    ----------
    recipe : Recipe
        Of the columns that a fit keeps.
    """
    categories, offset = recipe.columns.categories, recipe.offset_at
    dropped = recipe.drop_first or recipe.drop_other
    spans = dict(recipe.columns.spans()) if dropped else {}
    levels = [spans[c.name].start for c in categories if c.levels and recipe.drop_first]
    levels += [spans[c.name].stop - 1 for c in categories if c.other and recipe.drop_other]
    return levels if offset is None else [*levels, offset]


def penalties(recipe: Recipe, stretch: Floats, usable: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """l1 and l2 factors; ``stretch`` turns correlation-scale weights into the scaler's."""
    factor = np.ones(len(usable))
    for name in general_first(recipe, recipe.penalty_factors):
        factor[recipe.by_coefficient(name)] = recipe.penalty_factors[name]
    factor = factor[usable]
    return recipe.l1_ratio * factor * stretch, (1 - recipe.l1_ratio) * factor * stretch**2


def general_first(recipe: Recipe, names: Iterable[str]) -> list[str]:
    """Vectors come before their elements, for which something else may be said."""
    vectors = {vector.column for vector in recipe.columns.vectors}
    return sorted(names, key=lambda name: name not in vectors)


def _bounds(recipe: Recipe, unit: Floats, usable: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    low, high = np.full(len(usable), -np.inf), np.full(len(usable), np.inf)
    for name in general_first(recipe, recipe.bounds):
        chosen = recipe.by_coefficient(name)
        low[chosen], high[chosen] = recipe.bounds[name]
    return low[usable] * unit, high[usable] * unit
