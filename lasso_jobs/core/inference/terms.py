"""Measures features as wholes: what a feature's term adds to predictions, and its rank by that.

A term is all that a feature adds to a prediction: of a number, its coefficient times the value, and
its null indicator; of a category, the effect of the row's level. Its strength is the standard
deviation of that over the training rows, ``sqrt(b' S b)`` with the covariances S of the feature's
columns: the levels of a category exclude each other, so that theirs do not add up. Of a number
without nulls it is the size of the coefficient per standard deviation.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lasso_jobs.core.fit.design import Design
from lasso_jobs.core.rows.columns import Columns
from lasso_jobs.core.rows.moments import Floats, Moments


@dataclass(frozen=True, slots=True)
class Terms:
    """The features, and where their coefficients are.

    Parameters
    ----------
    names : tuple of str
    places : tuple of ndarray of intp
    """

    names: tuple[str, ...]
    places: tuple[NDArray[np.intp], ...]

    @classmethod
    def of(cls, columns: Columns, indicators: tuple[int, ...], offset: str | None) -> "Terms":
        """Those of a design's columns; an offset is no term, as nothing is fitted to it."""
        nulls = {columns.numeric[j]: columns.n_columns + k for k, j in enumerate(indicators)}
        names, places = [], []
        for name, span in columns.spans():
            own = [*range(span.start, span.stop), *([nulls[name]] if name in nulls else [])]
            if name != offset:
                names.append(name)
                places.append(np.array(own, np.intp))
        return cls(tuple(names), tuple(places))

    def strengths(self, design: Design, rows: Moments, coef: Floats) -> Floats:
        """The strength of each term in some models, shape (n_models, k).

        Parameters
        ----------
        design : Design
        rows : Moments
            What it was fitted to.
        coef : ndarray, shape (n_models, p)
            In original units.
        """
        per_sd = coef * design.deviation
        active = np.count_nonzero(per_sd, axis=0) > 0
        found = np.zeros((len(coef), len(self.names)))
        for k, places in enumerate(self.places):
            own = places[active[places]]
            if len(own) == 1:
                found[:, k] = np.abs(per_sd[:, own[0]])
            elif len(own):
                weights = per_sd[:, own]
                squares = ((weights @ design.correlations(own, rows)) * weights).sum(axis=1)
                found[:, k] = np.sqrt(np.maximum(squares, 0.0))
        return found

    def mask(self, k: int, n_coefficients: int) -> NDArray[np.bool_]:
        """Which coefficients are of a term."""
        chosen = np.zeros(n_coefficients, np.bool_)
        chosen[self.places[k]] = True
        return chosen


@dataclass(frozen=True, slots=True)
class Ranks:
    """Between which ranks terms lie in resamples of the rows.

    Parameters
    ----------
    names : tuple of str
        Terms that some resample uses.
    low, high : ndarray, shape (k,)
    """

    names: tuple[str, ...]
    low: Floats
    high: Floats

    @classmethod
    def of(cls, terms: Terms, strengths: Floats, coverage: float) -> "Ranks":
        """The quantiles of the ranks of each term.

        Parameters
        ----------
        terms : Terms
        strengths : ndarray, shape (n_models, k)
        coverage : float
            The share of the models between both.
        """
        (used,) = np.nonzero(strengths.any(axis=0))
        ranks = np.array([ranks_of(each) for each in strengths]).reshape(strengths.shape)[:, used]
        tails = [(1 - coverage) / 2, (1 + coverage) / 2]
        low, high = np.quantile(ranks, tails, axis=0, method="inverted_cdf")
        return cls(tuple(terms.names[k] for k in used.tolist()), low, high)


def ranks_of(strengths: Floats) -> Floats:
    """Ranks from 1, the strongest first; equal ones, such as zeros, have the same.

    Examples
    --------
    >>> ranks_of(np.array([0.5, 2.0, 0.0, 0.0]))
    array([2., 1., 3., 3.])
    """
    weaker = np.searchsorted(np.sort(strengths), strengths, side="right")
    return np.asarray(1.0 + len(strengths) - weaker)
