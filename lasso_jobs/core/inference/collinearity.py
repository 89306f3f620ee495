"""Measures how columns depend on one another, feature by feature, from their correlations.

The dummies of a category stand for one thing, and of all its levels one is always told by the
others. So a category is judged as a whole, without the level that the others determine. With R the
correlations of the columns, T those of a feature and O all others, its generalized variance
inflation factor is

    GVIF = det R_TT  det R_OO / det R = det R_TT  det (R^-1)_TT

whichever level is left out (Fox & Monette 1992, "Generalized collinearity diagnostics"). Of one
column it is the usual factor. What is reported is ``GVIF^(1 / df)``, df the columns in T: on the
scale of a usual factor, whose root is Fox and Monette's ``GVIF^(1 / (2 df))``.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lasso_jobs.core.fit import design as d
from lasso_jobs.core.fit.problem import RANK_TOLERANCE
from lasso_jobs.core.rows.columns import Columns
from lasso_jobs.core.rows.moments import Floats, Moments

SAME = 1e-12
"""Columns whose |correlation| is closer than this to 1 are duplicates."""

MAX_CORRELATIONS = 200
"""The correlation matrix of more columns is not kept; that of so many takes 320 kB."""

MOST_COLLINEAR = 1_000
"""Of more columns, the collinearity is that of so many: the active ones and their rivals. The
eigenvalues of 3,000 columns take half a minute, and nobody reads as many factors."""

Places = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Collinearity:
    """How the columns depend on one another, by the correlations of those that vary.

    Parameters
    ----------
    condition_number : float or None
        Largest over smallest eigenvalue, without the level of each category that its other levels
        determine; None if singular to rounding.
    vif : ndarray, shape (p,)
        Variance inflation factor of the feature that the column belongs to, as of `inflation`; inf
        where other features determine it, NaN where the column is constant or dropped, or was not
        looked at, as of more than `MOST_COLLINEAR` columns only the strongest are.
    constant : tuple of int
        Columns that do not vary.
    duplicates : tuple of (int, int)
        A column, and the first one of another feature with which it is correlated by 1 or -1.
    correlation : ndarray, shape (p, p), or None
        NaN for columns that are constant or dropped. None beyond `MAX_CORRELATIONS` columns.
    """

    condition_number: float | None
    vif: Floats
    constant: tuple[int, ...]
    duplicates: tuple[tuple[int, int], ...]
    correlation: Floats | None


def features_of(columns: Columns, indicators: tuple[int, ...] = ()) -> Places:
    """A number for the feature of each coefficient; that of nulls belongs to the number's.

    Examples
    --------
    >>> from lasso_jobs.core.rows.columns import Category
    >>> colour = Category("colour", ("blue", "red"), False, "string")
    >>> features_of(Columns(("x", "z"), (colour,)), indicators=(1,))
    array([0, 1, 2, 2, 1])
    """
    widths = [span.stop - span.start for _, span in columns.spans()]
    owner = np.repeat(np.arange(len(widths)), widths)
    return np.append(owner, owner[list(indicators)])


def independent(gram: Floats, features: Places) -> Places:
    """The columns that none of those before them determine, in the order of `gram`.

    Numbers are looked at before levels, and the first level of a category last: where the others
    determine it, it is the reference that is left out.

    Parameters
    ----------
    gram : ndarray, shape (k, k)
        Products of the columns, as large for each.
    features : ndarray of intp, shape (k,)
        The feature of each column.

    Examples
    --------
    >>> independent(np.array([[1.0, -1.0], [-1.0, 1.0]]), np.array([0, 0]))
    array([1])
    """
    from scipy.linalg import solve_triangular

    k = len(gram)
    try:
        diagonal = np.diag(np.linalg.cholesky(gram))
        if np.square(diagonal).min(initial=1.0) > RANK_TOLERANCE:
            return np.arange(k)
    except np.linalg.LinAlgError:
        pass
    several = np.bincount(features)[features] > 1
    factor, kept = np.zeros((k, k)), np.empty(0, np.intp)
    for j in np.lexsort((np.where(several, -np.arange(k), np.arange(k)), several)).tolist():
        m = len(kept)
        row = solve_triangular(factor[:m, :m], gram[kept, j], lower=True) if m else np.empty(0)
        rest = gram[j, j] - float(row @ row)
        if rest > RANK_TOLERANCE * gram[j, j]:
            factor[m, :m], factor[m, m] = row, np.sqrt(rest)
            kept = np.append(kept, j)
    return np.sort(kept)


def complements(design: d.Design) -> list[tuple[int, int]]:
    """Pairs of levels of which every row has one: with an intercept, either says what both do.

    Parameters
    ----------
    design : Design
    """
    columns, pairs = design.grouping.columns, []
    for _, span in columns.spans()[len(columns.numeric) :]:
        both = np.arange(span.start, span.stop)
        if len(both) == 2 and design.intercept and design.usable[both].all():
            # Each row has one level at most, so shares that sum to one leave no row without.
            share = float(design.location[design.position[both]].sum())
            pairs += [(span.start, span.start + 1)] if abs(share - 1) < SAME else []
    return pairs


def without_references(gram: Floats, features: Places) -> Places:
    """The columns without those that others of the same feature determine."""
    kept = np.ones(len(gram), np.bool_)
    for feature in np.flatnonzero(np.bincount(features) > 1).tolist():
        own = np.flatnonzero(features == feature)
        kept[own] = False
        kept[own[independent(gram[np.ix_(own, own)], features[own])]] = True
    return np.flatnonzero(kept)


@dataclass(frozen=True, slots=True)
class _Inverse:
    """The inverse of correlations; of a singular matrix the pseudo-inverse.

    That still has the factor of a column which the dependent columns do not involve.

    Parameters
    ----------
    gram, inverse : ndarray, shape (k, k)
    involved : ndarray of bool, shape (k,)
        Whether a column is a part of what is dependent.
    """

    gram: Floats
    inverse: Floats
    involved: NDArray[np.bool_]

    @classmethod
    def by_cholesky(cls, gram: Floats) -> "_Inverse | None":
        """A quarter of the time of the eigenvalues; None of a singular matrix."""
        from scipy.linalg import cho_solve

        try:
            lower = np.linalg.cholesky(gram)
        except np.linalg.LinAlgError:
            return None
        if np.square(np.diag(lower)).min() <= RANK_TOLERANCE:
            return None
        inverse = np.asarray(cho_solve((lower, True), np.eye(len(gram))))
        return cls(gram, inverse, np.zeros(len(gram), np.bool_))

    @classmethod
    def by_eigenvalues(cls, gram: Floats, values: Floats, vectors: Floats) -> "_Inverse":
        regular = values > RANK_TOLERANCE * values[-1]
        involved = (vectors[:, ~regular] ** 2).sum(axis=1) > RANK_TOLERANCE
        some = vectors[:, regular]
        return cls(gram, (some / values[regular]) @ some.T, involved)

    def factors(self, features: Places) -> Floats:
        """The factor of each column's feature."""
        found = np.where(self.involved, np.inf, np.diag(self.inverse))
        for feature in np.flatnonzero(np.bincount(features) > 1).tolist():
            own = np.flatnonzero(features == feature)
            found[own] = np.inf if self.involved[own].any() else self._generalized(own)
        return found

    def _generalized(self, own: Places) -> float:
        block = np.ix_(own, own)
        logs = [np.linalg.slogdet(each[block])[1] for each in (self.gram, self.inverse)]
        return float(np.exp(sum(logs) / len(own)))


def inflation(gram: Floats, features: Places) -> Floats:
    """Variance inflation factors of columns among themselves, from their correlations.

    Parameters
    ----------
    gram : ndarray, shape (k, k)
    features : ndarray of intp, shape (k,)
        The feature of each column.

    Returns
    -------
    ndarray, shape (k,)
        ``GVIF^(1 / df)`` of each column's feature; inf where other features determine it.

    Examples
    --------
    Both levels of a category, and a number that is correlated with them by 0.6:

    >>> gram = np.array([[1.0, 0.6, -0.6], [0.6, 1.0, -1.0], [-0.6, -1.0, 1.0]])
    >>> inflation(gram, np.array([0, 1, 1]))
    array([1.5625, 1.5625, 1.5625])
    """
    from scipy.linalg import eigh

    if not len(gram):
        return np.empty(0)
    kept = without_references(gram, features)
    among = gram[np.ix_(kept, kept)]
    inverse = _Inverse.by_cholesky(among) or _Inverse.by_eigenvalues(among, *eigh(among))
    return _of_every_column(inverse, kept, features)


def _of_every_column(inverse: _Inverse, kept: Places, features: Places) -> Floats:
    """The factors; a column that was left out has its feature's."""
    by_feature = np.empty(features.max() + 1)
    by_feature[features[kept]] = inverse.factors(features[kept])
    return np.asarray(by_feature[features])


def collinearity(
    design: d.Design,
    rows: Moments,
    strongest: Places | None = None,
    indicators: tuple[int, ...] = (),
) -> Collinearity:
    """Analyse the correlation matrix of the columns that vary, with an intercept or without.

    With its eigenvalues e and eigenvectors V, the factor of a column is ``sum_i V_ji^2 / e_i``, the
    diagonal of the inverse (Belsley, Kuh & Welsch 1980, "Regression diagnostics", section 3.2).

    Parameters
    ----------
    design : Design
    rows : Moments
        What it was fitted to.
    strongest : ndarray of intp, shape (p,), optional
        All coefficients in order: of more than `MOST_COLLINEAR` the first are analysed.
    indicators : tuple of int
        The numbers whose nulls have coefficients.
    """
    from scipy.linalg import eigh

    usable, p = design.usable & (design.deviation > 0), len(design.usable)
    every = np.flatnonzero(usable)
    if strongest is not None and len(every) > MOST_COLLINEAR:
        every = np.sort(strongest[usable[strongest]][:MOST_COLLINEAR])
    gram = design.correlations(every, rows)
    features = features_of(design.grouping.columns, indicators)[every]
    vif, condition = np.full(p, np.nan), None
    correlation = np.full((p, p), np.nan) if p <= MAX_CORRELATIONS else None
    if len(every):
        kept = without_references(gram, features)
        among = gram[np.ix_(kept, kept)]
        values, vectors = eigh(among)
        inverse = _Inverse.by_eigenvalues(among, values, vectors)
        vif[every] = _of_every_column(inverse, kept, features)
        if values[0] > RANK_TOLERANCE * values[-1]:
            condition = float(values[-1] / values[0])
    if correlation is not None:
        correlation[np.ix_(every, every)] = gram
    return Collinearity(
        condition_number=condition,
        vif=vif,
        constant=tuple(np.flatnonzero(design.deviation == 0).tolist()),
        duplicates=_duplicates(gram, features, every),
        correlation=correlation,
    )


def _duplicates(gram: Floats, features: Places, every: Places) -> tuple[tuple[int, int], ...]:
    alike = (np.abs(gram) >= 1 - SAME) & (features[:, None] != features)
    later, earlier = np.nonzero(np.tril(alike, -1))
    first: dict[int, int] = {}
    for i, j in zip(every[later].tolist(), every[earlier].tolist(), strict=True):
        first.setdefault(i, j)
    return tuple(first.items())
