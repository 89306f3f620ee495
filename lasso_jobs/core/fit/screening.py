"""Screens columns: says which of very many can have a coefficient, and proves it of the others.

A *working set* of columns has the moments of all its pairs, and the paths are solved on those. A
column outside it keeps its zero as long as its gradient, for every set of training rows, stays
within the penalty: the optimality condition of `lasso_jobs.core.fit.problem`. The gradients take
one product of all columns with the residuals. What enters next are the columns that pass the
sequential strong rule (Tibshirani et al. 2012, "Strong rules for discarding predictors in
lasso-type problems"), many at a time, as in BASIL (Qian et al. 2020, "A fast and scalable framework
for large-scale and ultrahigh-dimensional sparse regression").
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lasso_jobs.core.fit.design import Recipe, general_first
from lasso_jobs.core.fit.gradient_sums import GradientSums
from lasso_jobs.core.rows.marginals import Marginals
from lasso_jobs.core.rows.moments import Floats

_REASONS = {
    "turned": "the errors had turned",
    "saturated": "a fit explained 99.9 % of the target's variance",
    "end": "the grid ended",
}
TOLERANCE = 1e-10
"""The largest violation of a column that is left out, as a share of the target's deviation: above
the rounding of its gradient, and far below what a converged fit may have."""


COLUMNS_AT_ONCE = 2**14
"""Columns whose gradients are judged together: those of all columns in all fits would be several
times as large as the sums that they follow from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScreeningRecord:
    """How a search over very many columns went; part of the model's certificate.

    Parameters
    ----------
    n_columns : int
        Columns that were looked at: the numeric ones, and levels of categories if those are many.
    n_working_set : int
        Those of them whose moments of all pairs were read.
    n_scans : int
        How often all columns were scanned.
    worst_violation : float
        The largest violation of the optimality conditions by a column outside the working set,
        over all sets of training rows and all alphas that were tried, as a share of the target's
        deviation.
    n_left_out : int
        Alphas of the grid that were not tried.
    stopped : str
        Why: ``turned``, ``saturated``, or ``end`` of the grid; of several l1_ratios, each reason.
    """

    n_columns: int
    n_working_set: int
    n_scans: int
    worst_violation: float
    n_left_out: int
    stopped: str

    def in_words(self) -> str:
        """What was looked at, what is proved, and why no smaller alpha was tried."""
        reasons = ", or ".join(_REASONS[reason] for reason in self.stopped.split(", "))
        return (
            f"{self.n_working_set:,} of {self.n_columns:,} columns in the working set, after "
            f"{self.n_scans} scans of all; the others are zero in every fit "
            f"(largest violation {self.worst_violation:.2g}); it stopped where {reasons}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Penalties:
    """How the screened columns are penalised, whether they are in the working set or not.

    Parameters
    ----------
    scaling : {"standard", "minmax", "none"}
    factor : ndarray, shape (q,)
        The l1 penalty of each column, relative to alpha.
    low, high : ndarray, shape (q,)
        Bounds of the coefficients, around zero. The offset's are zero: it never enters.
    intercept : bool
        Whether the fits have one.
    indicators : bool
        Whether the nulls of a column are a column of their own.
    """

    scaling: str
    factor: Floats
    low: Floats
    high: Floats
    intercept: bool
    indicators: bool

    @classmethod
    def of(cls, recipe: Recipe, *, indicators: bool, levels: bool = False) -> "Penalties":
        """Those of a recipe's numeric columns, and of levels if these are screened, too."""
        columns = recipe.columns
        q = columns.n_columns if levels else len(columns.numeric)
        categories = () if levels else {category.name for category in columns.categories}
        factor, low, high = np.ones(q), np.full(q, -np.inf), np.full(q, np.inf)
        for name in general_first(recipe, recipe.penalty_factors):
            if name not in categories:
                factor[columns.columns_of(name)] = recipe.penalty_factors[name]
        for name in general_first(recipe, recipe.bounds):
            if name not in categories:
                place = columns.columns_of(name)
                low[place], high[place] = recipe.bounds[name]
        if recipe.offset_at is not None:
            low[recipe.offset_at] = high[recipe.offset_at] = 0.0
        return cls(
            scaling=recipe.scaling,
            factor=factor * recipe.l1_ratio,
            low=low,
            high=high,
            intercept=recipe.intercept,
            indicators=indicators,
        )

    def of_columns(self, which: slice) -> "Penalties":
        """Those of some of the columns."""
        of_each = {name: getattr(self, name)[which] for name in ("factor", "low", "high")}
        return replace(self, **of_each)


@dataclass(frozen=True, slots=True)
class Gradients:
    """The gradients of all numeric columns, for one set of training rows.

    Parameters
    ----------
    rows : Marginals
        The training rows'.
    penalties : Penalties
    values : ndarray, shape (q, n_alphas)
        On the correlation scale; 0 for a constant column.
    of_nulls : ndarray, shape (q, n_alphas), or None
        Of the indicators of nulls.
    """

    rows: Marginals
    penalties: Penalties
    values: Floats
    of_nulls: Floats | None

    @classmethod
    def at_zero(cls, rows: Marginals, penalties: Penalties) -> "Gradients":
        """Where every coefficient is zero."""
        values, of_nulls = rows.products, rows.null_products
        if not penalties.intercept:
            total = rows.weight * rows.target_mean
            values, of_nulls = values + rows.mean * total, of_nulls + rows.null_share * total
        nulls = of_nulls[:, None] if penalties.indicators else None
        return cls._scaled(rows, penalties, values[:, None], nulls)

    @classmethod
    def of_sums(
        cls, rows: Marginals, penalties: Penalties, sums: GradientSums, reference: Floats
    ) -> "Gradients":
        """From the sums of a scan whose columns were taken around a reference."""
        n_fits = len(sums.sums)
        nulls = sums.null_products if sums.null_products.size else np.zeros((1, n_fits))
        shift = (rows.mean - reference)[:, None]
        values = sums.products - shift * (sums.sums - nulls)
        if penalties.intercept:
            nulls = nulls - rows.null_share[:, None] * sums.sums
        else:
            values += rows.mean[:, None] * sums.sums
            nulls = np.broadcast_to(nulls, values.shape)
        return cls._scaled(rows, penalties, values, nulls if penalties.indicators else None)

    @classmethod
    def _scaled(
        cls, rows: Marginals, penalties: Penalties, values: Floats, of_nulls: Floats | None
    ) -> "Gradients":
        weight = float(rows.weight[0])
        values = _per_unit(values / weight, rows.unit(penalties.intercept))
        if of_nulls is not None:
            of_nulls = _per_unit(of_nulls / weight, rows.null_unit(penalties.intercept))
        low, high = penalties.low >= 0, penalties.high <= 0
        if low.any() or high.any():
            stuck = ((values > 0) & high[:, None]) | ((values < 0) & low[:, None])
            values = np.where(stuck, 0.0, values)
        return cls(rows, penalties, values, of_nulls)

    @property
    def entry(self) -> Floats:
        """The alpha at which each column would enter, shape (q, n_alphas); infinite if unpenalised.

        A column enters when its gradient, or its indicator's, reaches ``alpha`` times its penalty.
        """
        entry = _reached(np.abs(self.values), self._factor)
        if self.of_nulls is not None:
            nulls = np.abs(self.of_nulls)
            entry = np.maximum(entry, _reached(nulls, self._factor_of_nulls))
        return entry

    def violation(self, alphas: Floats) -> Floats:
        """How far each column's gradient is beyond its penalty, shape (q, n_alphas).

        As a share of the target's deviation, or without an intercept of its root mean square.
        """
        beyond = np.abs(self.values) - self._factor[:, None] * alphas
        if self.of_nulls is not None:
            unit = self._factor_of_nulls[:, None]
            beyond = np.maximum(beyond, np.abs(self.of_nulls) - unit * alphas)
        squares = float(self.rows.target_squares[0] / self.rows.weight[0])
        if not self.penalties.intercept:
            squares += float(self.rows.target_mean[0]) ** 2
        return np.maximum(beyond, 0.0) / (np.sqrt(squares) or 1.0)

    @property
    def _factor(self) -> Floats:
        """What alpha is multiplied by on the correlation scale."""
        rows, how = self.rows, self.penalties
        if how.scaling == "standard" and how.intercept:
            return how.factor
        scale = np.ones(len(rows.mean))
        if how.scaling == "standard":
            scale = np.where(rows.deviation > 0, rows.deviation, scale)
        elif how.scaling == "minmax":
            known = rows.high > rows.low
            scale[known] = (rows.high - rows.low)[known]
        return how.factor * _per_unit(scale, rows.unit(how.intercept))

    @property
    def _factor_of_nulls(self) -> Floats:
        rows, how = self.rows, self.penalties
        if how.scaling == "standard" and how.intercept:
            return how.factor
        scale = np.ones(len(rows.mean))
        if how.scaling == "standard":
            scale = np.where(rows.null_deviation > 0, rows.null_deviation, scale)
        return how.factor * _per_unit(scale, rows.null_unit(how.intercept))


@dataclass(frozen=True, slots=True)
class Check:
    """What the gradients of numeric columns say, at each alpha of the fits that they are of.

    Parameters
    ----------
    worst : ndarray, shape (n_alphas,)
        The largest violation of a column outside the working set, in any fit.
    entry : ndarray, shape (q, n_alphas)
        The alpha at which each column would enter some fit.
    violating : ndarray of bool, shape (q, n_alphas)
        Whether it should have entered one; of columns outside the set alone.
    """

    worst: Floats
    entry: Floats
    violating: NDArray[np.bool_]

    @classmethod
    def empty(cls, n_columns: int, n_alphas: int) -> "Check":
        """Of columns whose gradients are yet to be looked at."""
        shape = n_columns, n_alphas
        return cls(np.zeros(n_alphas), np.zeros(shape), np.zeros(shape, bool))

    def look(
        self,
        columns: slice,
        sets: Sequence[Marginals],
        *,
        penalties: Penalties,
        sums: GradientSums,
        reference: Floats,
        alphas: Floats,
        outside: NDArray[np.bool_],
    ) -> None:
        """Look at some columns.

        Parameters
        ----------
        columns : slice
            The sums are of these, all else is of all columns.
        sets : sequence of Marginals
            Of each set of training rows.
        penalties : Penalties
        sums : GradientSums
            Of the fits at all alphas, set after set.
        reference : ndarray, shape (q,)
            What the columns were taken around.
        alphas : ndarray
        outside : ndarray of bool, shape (q,)
            The columns that are not in the working set.
        """
        for start in range(columns.start, columns.stop, COLUMNS_AT_ONCE):
            some = slice(start, min(start + COLUMNS_AT_ONCE, columns.stop))
            within = slice(some.start - columns.start, some.stop - columns.start)
            penalised = penalties.of_columns(some)
            for k, rows in enumerate(sets):
                fits = slice(k * len(alphas), (k + 1) * len(alphas))
                found = Gradients.of_sums(
                    rows.of_columns(some), penalised, sums.only(within, fits), reference[some]
                )
                entry = found.entry
                np.maximum(self.entry[some], entry, out=self.entry[some])
                if (entry[outside[some]] > alphas).any():
                    violation = np.where(outside[some, None], found.violation(alphas), 0.0)
                    np.maximum(self.worst, violation.max(axis=0), out=self.worst)
                    self.violating[some] |= violation > TOLERANCE


def _per_unit(values: Floats, deviation: Floats) -> Floats:
    deviation = deviation.reshape(-1, *[1] * (values.ndim - 1))
    return np.divide(values, deviation, out=np.zeros(values.shape), where=deviation > 0)


def _reached(gradient: Floats, factor: Floats) -> Floats:
    factor = np.broadcast_to(factor[:, None], gradient.shape)
    entry = np.where(gradient > 0, np.inf, 0.0)
    return np.divide(gradient, factor, out=entry, where=factor > 0)


def entering(
    entry: Floats, inside: NDArray[np.bool_], *, last: float, target: float, most: int
) -> NDArray[np.intp]:
    """The columns that are to join the working set, ascending.

    Parameters
    ----------
    entry : ndarray, shape (q,)
        The alpha at which each would enter, from the gradients at the alpha ``last``.
    inside : ndarray of bool, shape (q,)
        Which are in the set.
    last, target : float
        The strong rule keeps, for ``target``, what would enter at ``2 target - last``.
    most : int
        How many at most, the largest first; a column that would enter at ``last`` counts not.

    Examples
    --------
    >>> inside = np.array([True, False, False, False])
    >>> entering(np.array([1.0, 0.9, 0.5, 0.7]), inside, last=1.0, target=0.8, most=2)
    array([1, 3])
    """
    scores = np.where(inside, -np.inf, entry)
    order = np.argsort(-scores, kind="stable")
    due = int(np.count_nonzero(scores >= last))
    strong = int(np.count_nonzero(scores >= max(2 * target - last, 0.0)))
    n = max(due, min(strong, most), min(most // 10, int(np.count_nonzero(~inside))))
    return np.sort(order[:n])
