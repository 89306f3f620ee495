"""Scans a column of scored rows once: counts and sums of bins, extremes, products.

A tile of rows stays in the processor's first cache while it is compared with one edge after the
other, four or eight rows at once. That is faster than to search each row's bin (measured: 2.7 ns a
value against 6.0 for 20 bins), and the sums come along.
"""

from typing import Any

import numpy as np

from lasso_jobs.core.njit_cached import njit_cached

TILE = 1024


@njit_cached(nogil=True)
def first_finite(values: Any) -> float:
    """The first value that is finite, or 0: what sums are taken around, for offsets do harm."""
    for value in values:
        if np.isfinite(value):
            return float(value)
    return 0.0


@njit_cached(nogil=True, fastmath={"reassoc"})
def scan(
    values: Any, y: Any, edges: Any, pivot: float, y_pivot: float, above: Any, sums: Any, out: Any
) -> None:
    """Add the finite ones of some values to the sums of them.

    Parameters
    ----------
    values, y : ndarray, shape (n,)
        A column, and the predictions of the same rows.
    edges : ndarray, shape (k,)
    pivot, y_pivot : float
        What the sums are taken around.
    above : ndarray of int, shape (k,)
        Rows at or above each edge, counted here.
    sums : ndarray, shape (k,)
        Their values' sums.
    out : ndarray, shape (7,)
        Rows, sums of x, x², y, xy; the smallest and the largest x.
    """
    tile = np.empty(TILE)
    for start in range(0, len(values), TILE):
        n = min(TILE, len(values) - start)
        rows, theirs = values[start : start + n], y[start : start + n]
        count, x, xx, of_y, xy, low, high = 0, 0.0, 0.0, 0.0, 0.0, np.inf, -np.inf
        for i in range(n):
            value = rows[i]
            finite = abs(value) < np.inf
            d = value - pivot if finite else 0.0
            e = theirs[i] - y_pivot if finite else 0.0
            count += finite
            x += d
            xx += d * d
            of_y += e
            xy += d * e
            tile[i] = value if finite else np.nan
        for i in range(n):
            low = tile[i] if tile[i] < low else low
            high = tile[i] if tile[i] > high else high
        for k in range(len(edges)):
            edge, reached, total = edges[k], 0, 0.0
            for i in range(n):
                at_or_above = tile[i] >= edge
                reached += at_or_above
                total += tile[i] - pivot if at_or_above else 0.0
            above[k] += reached
            sums[k] += total
        out[0] += count
        out[1] += x
        out[2] += xx
        out[3] += of_y
        out[4] += xy
        out[5] = min(out[5], low)
        out[6] = max(out[6], high)
