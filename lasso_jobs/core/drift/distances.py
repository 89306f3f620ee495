"""Computes distances between two distributions over the same bins.

Shares come first, counts second: a reference has no number of rows that matters, a day has.
"""

import numpy as np

from lasso_jobs.core.drift.current import BinCounts
from lasso_jobs.core.rows.moments import Floats


def psi(reference: Floats, counts: BinCounts) -> float:
    """Population stability index, ``sum (q - p) log(q / p)``.

    Half a row is added to every bin of the current counts, and the same share to the reference's,
    so that an empty bin is finite: its weight shrinks as the rows grow.

    Examples
    --------
    >>> psi(np.array([0.5, 0.5]), np.array([50, 50]))
    0.0
    >>> round(psi(np.array([0.5, 0.5]), np.array([80, 20])), 3)
    0.406
    """
    n = counts.sum()
    if n == 0:
        return 0.0
    extra = 0.5
    total = n + extra * len(counts)
    current = (counts + extra) / total
    expected = (reference * n + extra) / total
    return float(np.sum((current - expected) * np.log(current / expected)))


def kolmogorov_smirnov(reference: Floats, counts: BinCounts) -> float:
    """Largest difference of the distribution functions at the edges; bins are in order.

    Of the values themselves it is larger by at most the largest share of a bin.

    Examples
    --------
    >>> kolmogorov_smirnov(np.array([0.5, 0.5]), np.array([75, 25]))
    0.25
    """
    if not reference.sum() or not counts.sum():
        return float("nan")
    return float(np.abs(np.cumsum(reference / reference.sum() - counts / counts.sum())).max())


def jensen_shannon(reference: Floats, counts: BinCounts) -> float:
    """Jensen-Shannon distance to base 2: from 0 to 1 (Endres & Schindelin 2003).

    With ``m = (p + q) / 2`` and ``p, q = m (1 + d), m (1 - d)``, so that small distances keep their
    digits.
    """
    from scipy.special import xlog1py

    if not counts.sum():
        return float("nan")
    p, q = reference / reference.sum(), counts / counts.sum()
    middle = (p + q) / 2
    d = np.divide(p - q, p + q, out=np.zeros(len(p)), where=middle > 0)
    divergence = middle @ (xlog1py(1 + d, d) + xlog1py(1 - d, -d)) / 2
    return float(np.sqrt(max(divergence / np.log(2), 0.0)))


def wasserstein(reference: Floats, at: Floats, counts: BinCounts, now_at: Floats) -> float:
    """Mean distance that the one has to be moved to be the other, rows at the means of their bins.

    The integral of the absolute difference of the distribution functions. Of the values themselves
    it is off by at most their mean distances from the means of their bins, of both together.

    Examples
    --------
    >>> at = np.array([1.0, 3.0])
    >>> wasserstein(np.array([0.5, 0.5]), at, np.array([10, 10]), at + 2)
    2.0
    """
    if not reference.sum() or not counts.sum():
        return float("nan")
    places = np.concatenate([at, now_at])
    steps = np.concatenate([reference / reference.sum(), -counts / counts.sum()])
    order = np.argsort(places, kind="stable")
    gaps = np.diff(places[order])
    return float(np.abs(np.cumsum(steps[order])[:-1]) @ gaps)


def chi_square(reference: Floats, counts: BinCounts) -> float:
    """Symmetric chi-square distance ``1/2 sum (p - q)^2 / (p + q)``: from 0 to 1.

    Examples
    --------
    >>> chi_square(np.array([1.0, 0.0]), np.array([0, 7]))
    1.0
    """
    if not counts.sum():
        return float("nan")
    p, q = reference, counts / counts.sum()
    some = p + q > 0
    return float(np.sum((p - q)[some] ** 2 / (p + q)[some]) / 2)
