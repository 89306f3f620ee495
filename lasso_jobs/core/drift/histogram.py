"""Scans a column of scored rows once: counts and sums of bins, extremes, products.

A tile of rows stays in the processor's cache while it is compared with all edges at once, many rows
an instruction. The number of edges that a value reaches is its bin: that takes 2.7 ns a value for
20 bins, where a search takes 27 and sorting 7. Compiled by numba all of it took 3.8 ns a value, and
this takes 7 to 9. But loading numba and its code took a second of each process, as much as the
difference in 200 million values, or 2,000 nights of 10,000 rows and 10 features.
"""

from dataclasses import dataclass
from math import inf

import numpy as np
from numpy.typing import NDArray

from lasso_jobs.core.rows.moments import Floats

TILE = 16_384


@dataclass(slots=True, kw_only=True)
class Scan:
    """The sums of some rows with finite values.

    Parameters
    ----------
    pivot, y_pivot : float
        What the sums are taken around, for offsets do harm.
    counts : ndarray of int, shape (k,)
        Rows in each bin.
    sums : ndarray, shape (k,)
        Of their deviations from the pivot.
    xx, y, xy : float
        Sums of the deviations' squares, of the predictions', and of their products.
    low, high : float
    """

    pivot: float
    y_pivot: float
    counts: NDArray[np.int64]
    sums: Floats
    xx: float = 0.0
    y: float = 0.0
    xy: float = 0.0
    low: float = inf
    high: float = -inf


def scan(values: Floats, y: Floats, edges: Floats) -> Scan:
    """Sum up the rows whose values are finite.

    Parameters
    ----------
    values, y : ndarray, shape (n,)
        A column, and the predictions of the same rows.
    edges : ndarray, shape (k - 1,)
        Ascending, fewer than 256; a value equal to an edge lies above it.
    """
    k = len(edges) + 1
    found = Scan(
        pivot=_first_finite(values),
        y_pivot=float(y[0]) if len(y) else 0.0,
        counts=np.zeros(k, np.int64),
        sums=np.zeros(k),
    )
    reached = np.empty((k - 1, min(TILE, len(values))), np.bool_)
    for start in range(0, len(values), TILE):
        tile = slice(start, start + TILE)
        _add(found, values[tile], y[tile], edges=edges[:, None], reached=reached)
    return found


def _add(found: Scan, x: Floats, y: Floats, *, edges: Floats, reached: NDArray[np.bool_]) -> None:
    deviations, of_y, n_odd = x - found.pivot, y - found.y_pivot, 0
    xx = float(deviations @ deviations)
    if not xx < inf:  # most columns have no value that is not finite
        finite = np.isfinite(x)
        n_odd = len(x) - int(np.count_nonzero(finite))
        # In place of taking the others out, which is slower: they are below all edges, and add 0.
        x = np.where(finite, x, np.nan)
        deviations, of_y = np.where(finite, deviations, 0.0), np.where(finite, of_y, 0.0)
        xx = float(deviations @ deviations)
    if n_odd == len(x):
        return
    reached, k = reached[:, : len(x)], len(found.counts)
    np.greater_equal(x, edges, out=reached)
    bins = np.add.reduce(reached.view(np.uint8), axis=0, dtype=np.uint8).astype(np.intp)
    found.counts += np.bincount(bins, minlength=k)
    found.counts[0] -= n_odd
    found.sums += np.bincount(bins, deviations, k)
    found.xx += xx
    found.y += float(of_y.sum())
    found.xy += float(deviations @ of_y)
    low, high = (np.fmin.reduce(x), np.fmax.reduce(x)) if n_odd else (x.min(), x.max())
    found.low, found.high = min(found.low, float(low)), max(found.high, float(high))


def _first_finite(values: Floats) -> float:
    for start in range(0, len(values), TILE):
        finite = np.flatnonzero(np.isfinite(values[start : start + TILE]))
        if len(finite):
            return float(values[start + finite[0]])
    return 0.0
