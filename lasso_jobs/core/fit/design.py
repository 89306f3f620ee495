"""Fits the preprocessing to moments: levels, imputation, indicators of nulls, scaling, intercept.

Every step is affine in the columns, so a fold's own scaler and imputer are read off the moments of
its training rows, and the errors on other rows follow from those rows' moments.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from lasso_jobs.core.fit.adaptive import adaptive_weights
from lasso_jobs.core.fit.problem import Problem
from lasso_jobs.core.rows.columns import Columns
from lasso_jobs.core.rows.levels import Grouping, choose
from lasso_jobs.core.rows.moments import Floats, Moments
from lasso_jobs.core.rows.sample import Sample

Scaling = Literal["standard", "robust", "minmax", "none"]


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
    grouping: Grouping | None = None

    @property
    def labels(self) -> tuple[str, ...]:
        """One label per coefficient: the columns, then the indicators."""
        return self.columns.labels_with(self.indicators)

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
    scale : ndarray, shape (p,)
        What the scaler divides by.
    variance : float
        Of the target.
    usable : ndarray of bool, shape (p,)
        Columns that vary and are not dropped; the others' coefficients are 0.
    problem : Problem
        Over the usable columns.
    """

    grouping: Grouping
    location: Floats
    nulls: NDArray[np.intp]
    target: int
    position: NDArray[np.intp]
    deviation: Floats
    scale: Floats
    variance: float
    usable: NDArray[np.bool_]
    problem: Problem

    def correlations(self, chosen: NDArray[np.intp]) -> Floats:
        """Correlations in training of the columns of some coefficients, all of them usable."""
        place = (np.cumsum(self.usable) - 1)[chosen]
        return np.asarray(self.problem.gram[np.ix_(place, place)])

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
        original[:, self.usable] = coef / self.deviation[self.usable]
        intercept = self.location[self.target] - original @ self.location[self.position]
        return original, intercept


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
    q = training.n_values
    indicators = np.array(recipe.indicators, np.intp)
    training = training.with_nulls(np.union1d(training.nulls, indicators))
    indicator = q + np.searchsorted(training.nulls, indicators)
    position = np.concatenate([np.arange(q - 1), indicator])
    deviation = _deviations(training)
    usable = deviation[position] > 0
    if recipe.drop_first:
        usable[first_levels(recipe.columns)] = False
    if within is not None:
        usable &= within
    if recipe.scaling == "robust":
        if sample is None or not len(sample.hashes):
            raise ValueError("robust scaling needs a sample of the rows")
        scale = _quartile_range(recipe, training, grouping.values(sample.values))
    else:
        scale = _scale(recipe.scaling, training, deviation, position)
    problem = _problem(
        recipe, training, position=position, deviation=deviation, scale=scale, usable=usable
    )
    return Design(
        grouping=grouping,
        location=training.mean,
        nulls=training.nulls,
        target=q - 1,
        position=position,
        deviation=deviation[position],
        scale=scale,
        variance=problem.variance,
        usable=usable,
        problem=problem,
    )


def _deviations(rows: Moments) -> Floats:
    """Standard deviation of each column; 0 where it is constant but for rounding."""
    spread = np.diag(rows.scatter) / rows.weight
    # The bound of a two-pass variance.
    noise = np.finfo(float).eps * (np.sqrt(rows.n) * np.abs(rows.mean) + np.sqrt(spread))
    return np.where(spread > noise**2, np.sqrt(spread), 0.0)


def _problem(
    recipe: Recipe,
    training: Moments,
    *,
    position: NDArray[np.intp],
    deviation: Floats,
    scale: Floats,
    usable: NDArray[np.bool_],
) -> Problem:
    """The problem over the usable columns, on the correlation scale."""
    target = training.n_values - 1
    kept = position[usable]
    unit = deviation[kept]
    gram = training.scatter[np.ix_(kept, kept)]
    gram /= training.weight
    for row, own in zip(gram, unit, strict=True):  # no other array of this size
        row /= own * unit
    covariance = training.scatter[kept, target] / training.weight / unit
    stretch = scale[usable] / unit
    l1_factor, l2_factor = penalties(recipe, stretch, usable)
    if recipe.adaptive:
        l1_factor *= adaptive_weights(gram, covariance, stretch, l1_factor > 0)
    variance = float(training.scatter[target, target] / training.weight)
    low, high = _bounds(recipe, unit, usable)
    return Problem(
        gram=gram,
        covariance=covariance,
        variance=variance if deviation[target] > 0 else 0.0,
        l1_factor=l1_factor,
        l2_factor=l2_factor,
        low=low,
        high=high,
    )


def first_levels(columns: Columns) -> list[int]:
    """Where the first level of each category has its coefficient."""
    spans = dict(columns.spans())
    return [spans[c.name].start for c in columns.categories if c.levels]


def _scale(
    scaling: Scaling, training: Moments, deviation: Floats, position: NDArray[np.intp]
) -> Floats:
    if scaling == "standard":
        scale = deviation[position]
    elif scaling == "minmax":
        span = np.ones(len(training.mean))
        observed = training.observed_weight() > 0
        span[: len(observed)][observed] = (training.high - training.low)[observed]
        scale = span[position]
    else:
        scale = np.ones(len(position))
    return np.where(scale > 0, scale, 1.0)


def _quartile_range(recipe: Recipe, training: Moments, sample: Floats) -> Floats:
    """Interquartile range of each coefficient's column after imputation; 1 where it is zero."""
    nulls = np.isnan(sample)
    filled = np.where(nulls, training.mean[: len(sample), None], sample)
    rows = np.vstack([filled, nulls[list(recipe.indicators)]])
    low, high = np.percentile(rows, [25, 75], axis=1)
    return np.where(high > low, high - low, 1.0)


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
