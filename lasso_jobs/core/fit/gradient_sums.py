"""Multiplies columns with the residuals of fits on others, in sums that rows add up to."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from lasso_jobs.core.fit.design import Design, Recipe
from lasso_jobs.core.rows.blocks.block import Block
from lasso_jobs.core.rows.columns import Columns
from lasso_jobs.core.rows.moments import Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Fits:
    """Solutions on the working set for one set of training rows: what their residuals need.

    Parameters
    ----------
    buckets : tuple of int
        The training rows.
    coef : ndarray, shape (n_alphas, p)
        In original units, of the working set's columns and indicators. Levels that a fit has put
        together have the same coefficient.
    location : ndarray, shape (p,)
        Means of the numeric columns, which also fill nulls, and of the indicators; 0 for levels.
    centre : ndarray, shape (n_alphas,)
        The prediction where each number is at its location, for a row without levels.
    """

    buckets: tuple[int, ...]
    coef: Floats
    location: Floats
    centre: Floats

    @classmethod
    def of(cls, recipe: Recipe, design: Design, coef: Floats, buckets: Sequence[int]) -> "Fits":
        """Those of coefficients on the correlation scale, shape (n_alphas, p_usable)."""
        original, _ = design.original_units(coef)
        means = design.location[design.position]
        n_numeric, kept = len(recipe.columns.numeric), design.grouping.columns.n_columns
        levels = slice(n_numeric, kept)
        n_listed = recipe.columns.n_columns
        place = np.concatenate(
            [design.grouping.owner, kept + np.arange(len(recipe.indicators))]
        ).astype(np.intp)
        location = means[place]
        location[n_numeric:n_listed] = 0.0
        centre = design.mean_prediction(original) - original[:, levels] @ means[levels]
        return cls(
            buckets=tuple(int(b) for b in buckets),
            coef=original[:, place],
            location=location,
            centre=centre,
        )

    def at(self, alphas: slice) -> "Fits":
        """Those at some of the alphas."""
        return replace(self, coef=self.coef[alphas], centre=self.centre[alphas])

    def then(self, more: "Fits") -> "Fits":
        """These, and those at the alphas that follow."""
        return replace(
            self,
            coef=np.concatenate([self.coef, more.coef]),
            centre=np.concatenate([self.centre, more.centre]),
        )

    def residuals(
        self, block: Block, columns: Columns, indicators: Sequence[int], target: Floats
    ) -> Floats:
        """The target less each prediction, shape (n_alphas, n); 0 is what a null deviates by.

        Parameters
        ----------
        block : Block
            Rows of the working set's columns. Those that can be had by their entries are taken
            so, and have no nulls.
        columns : Columns
            The working set.
        indicators : sequence of int
            The numeric columns whose indicators have the last coefficients.
        target : ndarray, shape (n,)
        """
        used = np.any(self.coef != 0, axis=0)
        n_numeric, n_columns = len(columns.numeric), columns.n_columns
        of_nulls = dict(zip(indicators, range(n_columns, len(used)), strict=True))
        rows, places = [], []
        residuals = target - np.repeat(self.centre[:, None], len(target), axis=1)
        for each in block.sparse:
            part = each.only(np.flatnonzero(used[each.places]))
            coef = self.coef[:, part.places]
            residuals -= (part.by_row() @ coef.T).T
            residuals += (coef @ self.location[part.places])[:, None]
        by_entries = {j for each in block.sparse for j in each.places.tolist()}
        for j in range(n_numeric):
            k = of_nulls.get(j)
            if not used[j] and (k is None or not used[k]):
                continue
            if j in by_entries:
                if k is not None:  # no value is null
                    residuals += (self.coef[:, k] * self.location[k])[:, None]
                continue
            values = np.asarray(block.numeric[j], float)
            null = np.isnan(values)
            rows.append(np.where(null, 0.0, values - self.location[j]))
            places.append(j)
            if k is not None:
                rows.append(null - self.location[k])
                places.append(k)
        if rows:
            residuals -= self.coef[:, places] @ np.stack(rows)
        start = n_numeric
        for category, codes in zip(columns.categories, block.codes, strict=True):
            effects = self.coef[:, start : start + category.width]
            if effects.any():
                residuals -= np.pad(effects, ((0, 0), (0, 1)))[:, codes]
            start += category.width
        return residuals


@dataclass(frozen=True, slots=True)
class GradientSums:
    """Products of all screened columns with the residuals of some fits; those of all rows add up.

    Parameters
    ----------
    products : ndarray, shape (q, n_fits)
        Sums of ``w (x - reference) r`` over the rows with a value.
    null_products : ndarray, shape (q, n_fits) or (q, 0)
        Sums of ``w r`` over the nulls; nothing where no column has any.
    sums : ndarray, shape (n_fits,)
        Sums of ``w r``.
    """

    products: Floats
    null_products: Floats
    sums: Floats

    def __add__(self, other: "GradientSums") -> "GradientSums":
        return GradientSums(
            self.products + other.products,
            _sum(self.null_products, other.null_products),
            self.sums + other.sums,
        )

    def only(self, columns: slice, fits: slice) -> "GradientSums":
        """Those of some columns and some fits."""
        nulls = self.null_products[columns, fits]
        return GradientSums(self.products[columns, fits], nulls, self.sums[fits])


def _sum(a: Floats, b: Floats) -> Floats:
    if a.shape == b.shape:
        return a + b
    return a if a.size else b
