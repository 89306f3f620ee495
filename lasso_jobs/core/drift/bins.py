"""Cuts the values of a number at training into bins, which are frozen with the model.

Bins have about equal shares of the rows. A value with more than a bin's share has a bin of its own:
quantiles that fall on it would merge otherwise, and a flag that goes from 3 % to 60 % would stay in
the one bin that is left.
"""

from itertools import pairwise

import numpy as np

from lasso_jobs.core.rows.moments import Floats

N_BINS = 20
LEAST_REPEATS = 10
"""A value of fewer rows has no bin of its own: among few rows it may be repeated by chance."""

_POINT = 4e-9
"""The width of a bin that is a single value, as a share of it; at most."""


def quantile_edges(sorted_values: Floats, slack: float = 0.0) -> Floats:
    """Inner edges of the bins, ascending: at most `N_BINS` + 19 bins.

    Parameters
    ----------
    sorted_values : ndarray, shape (n,)
    slack : float
        By how much values that are one may differ, where they are sums and not given.

    Examples
    --------
    >>> quantile_edges(np.array([1.0, 1.0, 2.0, 3.0]))
    array([2., 3.])
    >>> flags = quantile_edges(np.repeat([0.0, 1.0], [970, 30]))
    >>> bin_labels(flags)
    ('< 0', '0', '> 0', 'missing')
    """
    n = len(sorted_values)
    if n == 0:
        return np.empty(0)
    # Each value with more than a bin's share is at one of the ranks.
    edges = np.unique(sorted_values[np.arange(1, N_BINS) * n // N_BINS])
    first, end = (np.searchsorted(sorted_values, edges, side) for side in ("left", "right"))
    heavy = edges[end - first >= max(LEAST_REPEATS, n // N_BINS + 1)]
    lower = np.concatenate([edges[edges > sorted_values[0]], heavy]) - slack
    return np.unique(np.concatenate([lower, _just_above(heavy + slack)]))


def _just_above(values: Floats) -> Floats:
    """The next numbers; of zero the next normal one, as some processors take others for zero."""
    above = np.nextafter(values, np.inf)
    tiny = np.finfo(np.float64).tiny
    return np.asarray(np.where((above > 0) & (above < tiny), tiny, above), np.float64)


def middles(edges: Floats, low: float) -> Floats:
    """A value in each bin, shape (k + 1,), for those that no row is in; `low` if it is only one."""
    if not len(edges):
        return np.array([low])
    return np.concatenate([edges[:1], (edges[:-1] + edges[1:]) / 2, edges[-1:]])


def bin_labels(edges: Floats) -> tuple[str, ...]:
    """Names of the bins of a number, and of the rows in none.

    Examples
    --------
    >>> bin_labels(np.array([1.5, 3.0]))
    ('< 1.5', '[1.5, 3)', '>= 3', 'missing')
    >>> bin_labels(np.array([1.5, np.nextafter(1.5, 2), 3.0]))
    ('< 1.5', '1.5', '(1.5, 3)', '>= 3', 'missing')
    """
    if not len(edges):
        return ("any", "missing")
    values = edges.tolist()
    points = [_is_point(low, high) for low, high in pairwise(values)]
    # The edge after a point is the same value in words.
    texts = [f"{values[k - 1 if k and points[k - 1] else k]:.6g}" for k in range(len(values))]
    opened = [k > 0 and points[k - 1] for k in range(len(values))]
    inner = [
        texts[k] if point else f"{'(' if opened[k] else '['}{texts[k]}, {texts[k + 1]})"
        for k, point in enumerate(points)
    ]
    return (f"< {texts[0]}", *inner, f"{'>' if opened[-1] else '>='} {texts[-1]}", "missing")


def _is_point(low: float, high: float) -> bool:
    return high - low <= max(_POINT * abs(low), 4 * float(np.finfo(np.float64).tiny))
