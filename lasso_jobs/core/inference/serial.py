"""Computes autocorrelations of residuals of rows, of which some may be missing, in their order.

Held-out rows are drawn at random, so of a file one row in five may be there. Rows that are k apart
are still found among them, and pairs of these tell the autocorrelation at lag k (Parzen 1963, "On
spectral analysis with missing observations and amplitude modulation", Sankhya A 25):

    r_k = mean of e_i e_j over the pairs at distance k / mean of e^2
    z_k = sum of e_i e_j / sqrt(sum of (e_i e_j)^2)

z_k is about standard normal if rows are independent, also where their variances differ, as in
White's (1980) covariances. Then few wide rows decide on it: of 220 rows of firms of unlike size
(Grunfeld 1958) r_1 is 0.49, and z_1 3.6. So it is also taken of the errors' signs, less their mean,
where each row counts alike (after Dufour 1981, "Rank tests for serial dependence"): there 6.9.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lasso_jobs.core.rows.moments import Floats

MOST_LAGS = 30
LEAST_PAIRS = 30
"""Of fewer pairs an autocorrelation says nothing."""
AGREES = 2.5
"""z from which on signs may confirm an autocorrelation. Alone they took skewed errors of unlike
widths for dependent ones, in 2 % of such innocent files."""
SORTED = 0.99
"""If so many neighbours ascend, or descend, rows are sorted by the outcome, and errors with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RowOrder:
    """Where rows stand in a file, or in time.

    Parameters
    ----------
    name : str
        What the order is of, such as "position in the file".
    chain : ndarray, shape (n,)
        Rows of different chains are never neighbours.
    place : ndarray, shape (n,)
        Whole numbers; of one chain no two are the same.
    """

    name: str
    chain: Floats
    place: Floats

    @classmethod
    def of_files(cls, file: Floats, position: Floats) -> "RowOrder":
        """The order of the rows in their files."""
        return cls(name="position in the file", chain=file, place=position)

    @classmethod
    def of_times(cls, name: str, time: Floats, files: "RowOrder") -> "RowOrder":
        """The order of the sampled rows in time; those of one time are in that of their files."""
        place = np.empty(len(time))
        place[np.lexsort((files.place, files.chain, time))] = np.arange(len(time))
        return cls(name=name, chain=np.zeros(len(time)), place=place)

    def among_sampled(self) -> "RowOrder":
        """The same order, in which sampled rows are neighbours if no sampled row is between."""
        order = np.lexsort((self.place, self.chain))
        place = np.empty(len(order))
        place[order] = np.arange(len(order))
        return RowOrder(name=f"{self.name}, of the sampled rows", chain=self.chain, place=place)

    def sorts(self, target: Floats) -> bool:
        """Whether the rows are sorted by a target."""
        order = np.lexsort((self.place, self.chain))
        steps = np.diff(target[order])[np.diff(self.chain[order]) == 0]
        steps = steps[steps != 0]
        up = float((steps > 0).mean()) if len(steps) else 0.5
        return max(up, 1 - up) >= SORTED


@dataclass(frozen=True, slots=True, kw_only=True)
class Correlogram:
    """Autocorrelations of residuals by lag.

    Parameters
    ----------
    name : str
        The order.
    lags, pairs : ndarray of int, shape (k,)
        Lags with at least `LEAST_PAIRS` pairs of rows.
    r, error : ndarray, shape (k,)
        Autocorrelations, and their standard errors if rows are independent.
    sign_z : ndarray, shape (k,)
        z of the autocorrelations of the signs.
    """

    name: str
    lags: NDArray[np.int64]
    pairs: NDArray[np.int64]
    r: Floats
    error: Floats
    sign_z: Floats

    @property
    def z(self) -> Floats:
        """How many standard errors from zero."""
        return _over(self.r, self.error)

    @property
    def p_value(self) -> Floats:
        """Of both tests of each lag, with Bonferroni's correction for the two."""
        from scipy.special import ndtr

        wide = np.abs(self.z)
        agree = (self.z * self.sign_z > 0) & (wide > AGREES)
        most = np.where(agree, np.maximum(wide, np.abs(self.sign_z)), wide)
        return np.asarray(np.minimum(1.0, 2 * 2 * ndtr(-most)))

    @classmethod
    def of(cls, residuals: Floats, order: RowOrder, n_lags: int = MOST_LAGS) -> "Correlogram":
        """Compute those of the first lags.

        Examples
        --------
        >>> rows = np.arange(64.0)
        >>> order = RowOrder(name="row", chain=np.zeros(64), place=rows)
        >>> Correlogram.of(np.cos(np.pi * rows), order, n_lags=2).r
        array([-1.,  1.])
        """
        by_place = np.lexsort((order.place, order.chain))
        chain, place = order.chain[by_place], order.place[by_place]
        e = residuals[by_place] - residuals.mean()
        both = np.array([e, (e > 0) - (e > 0).mean()])
        sums, squares = np.zeros((2, 2, n_lags + 1))
        pairs = np.zeros(n_lags + 1)
        for shift in range(1, min(n_lags, len(e) - 1) + 1):
            distance = place[shift:] - place[:-shift]
            near = (chain[shift:] == chain[:-shift]) & (distance <= n_lags)
            lag, products = (
                distance[near].astype(int),
                (both[:, shift:] * both[:, :-shift])[:, near],
            )
            for i in range(2):
                sums[i] += np.bincount(lag, products[i], n_lags + 1)
                squares[i] += np.bincount(lag, products[i] ** 2, n_lags + 1)
            pairs += np.bincount(lag, minlength=n_lags + 1)
        lags = np.flatnonzero(pairs >= LEAST_PAIRS)
        variance = float(e @ e) / len(e) if len(e) else 0.0
        sums, deviation = sums[:, lags], np.sqrt(squares[:, lags])
        products = pairs[lags] * (variance or 1.0)
        return cls(
            name=order.name,
            lags=lags,
            pairs=pairs[lags].astype(int),
            r=sums[0] / products,
            error=deviation[0] / products,
            sign_z=_over(sums[1], deviation[1]),
        )


def _over(r: Floats, error: Floats) -> Floats:
    """The ratio; 0 where nothing varies."""
    return np.divide(r, error, out=np.zeros(len(r)), where=error > 0)
