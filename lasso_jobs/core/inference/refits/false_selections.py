"""Bounds the expected number of false selections, and says how many columns that lets enter.

Each half of the rows selects at most q of p coefficients, and those count as stable that a share
pi of the halves of B complementary pairs selects. A false selection is a stable coefficient that
half of the rows select no oftener than one drawn at random, q / p. With theta = q / p, their
expected number is at most

    q^2 / ((2 pi - 1) p)                          (Meinshausen & Bühlmann 2010, "Stability
                                                  selection", theorem 1; of complementary pairs
                                                  without assumptions)
    C(pi, B) q^2 / p, and with theta <= 1 / sqrt(3)      (Shah & Samworth 2013, "Variable selection
        C = 1 / (2 (2 pi - 1 - 1 / (2 B)))               with error control: another look at
            for pi <= 3/4                                stability selection", theorem 2)
        C = 4 (1 - pi + 1 / (2 B)) / (1 + 1 / B)
            for pi > 3/4
    p min(D(theta^2, 2 pi - 1, B, -1/2), D(theta, pi, 2 B, -1/4))      (their section 3.3)

The second supposes that the share of pairs that agree on a coefficient is unimodal; the third that
it, and the share of halves, are r-concave, which lies between unimodal and log-concave.
``D(theta, t, B, r)`` is the largest tail P(X >= t) of an r-concave variable on 0, 1/B, ..., 1 of
mean theta. It is attained where, with s = -1 / r, ``f(i) = c (a + i)^-s`` for i = 0 .. k, and
k + 1 has what is left for the mean.

That q is chosen by the bound that is wanted, and not the other way round, is Hofner, Boccuto &
Göker's (2015), "Controlling false discoveries in high-dimensional situations".
"""

from collections.abc import Iterator
from math import ceil
from typing import Literal

import numpy as np

from lasso_jobs.core.rows.moments import Floats

SMALLEST_A, LARGEST_A = 1e-5, 1e5
ZOOMS, POINTS = 5, 300
"""Each zoom looks at so many values between the neighbours of the best one."""


def worst_case_bound(q: float, n_candidates: int, threshold: float) -> float:
    """By Meinshausen & Bühlmann's theorem 1.

    Examples
    --------
    >>> round(worst_case_bound(20, n_candidates=500, threshold=0.9), 6)
    1.0
    """
    return q**2 / ((2 * threshold - 1) * n_candidates)


def unimodal_bound(q: float, n_candidates: int, threshold: float, pairs: int) -> float | None:
    """By Shah & Samworth's theorem 2; None where it is silent."""
    theta = q / n_candidates
    lowest = 0.5 + min(theta**2, 1 / (2 * pairs) + 0.75 * theta**2)
    if theta > 1 / np.sqrt(3) or threshold < 0.5 + 1 / pairs or threshold <= lowest:
        return None
    if threshold <= 0.75:
        factor = 1 / (2 * (2 * threshold - 1 - 1 / (2 * pairs)))
    else:
        factor = 4 * (1 - threshold + 1 / (2 * pairs)) / (1 + 1 / pairs)
    return factor * theta * q


def r_concave_bound(q: float, n_candidates: int, threshold: float, pairs: int) -> float:
    """By Shah & Samworth's section 3.3; at most the number of candidates.

    Examples
    --------
    The first number is R's, of ``stabs::stabsel_parameters(cutoff = 0.6, q = 9, p = 100,
    sampling.type = "SS", assumption = "r-concave")``.

    >>> round(r_concave_bound(9, n_candidates=100, threshold=0.6, pairs=50), 4)
    0.9077
    """
    return min(_r_concave_bounds(q, n_candidates, threshold, pairs))


def _r_concave_bounds(q: float, n_candidates: int, threshold: float, pairs: int) -> Iterator[float]:
    theta, halves = q / n_candidates, 2 * pairs
    needed = ceil(halves * threshold - 1e-9)
    yield n_candidates * r_concave_tail(theta**2, needed - pairs, pairs, s=2)
    yield n_candidates * r_concave_tail(theta, needed, halves, s=4)


def r_concave_tail(theta: float, t: int, n: int, *, s: Literal[2, 4]) -> float:
    """The largest P(X >= t) of an r-concave X on 0, 1, ..., n of mean n theta; 1 if not below it.

    Parameters
    ----------
    theta : float
    t, n : int
    s : {2, 4}
        ``-1 / r``.
    """
    mean = n * theta
    if t < ceil(2 * mean) + 1:  # as in the authors' code: so few are no tail
        return 1.0
    low, high, best = np.log(SMALLEST_A), np.log(LARGEST_A), 0.0
    for _ in range(ZOOMS):
        grid = np.linspace(low, high, POINTS)
        tails = _tails(np.exp(grid), mean, t, n, s=s)
        at = int(tails.argmax())
        best = max(best, float(tails[at]))
        low, high = grid[max(at - 1, 0)], grid[min(at + 1, POINTS - 1)]
    return best


def _tails(a: Floats, mean: float, t: int, n: int, *, s: Literal[2, 4]) -> Floats:
    """P(X >= t) of the distributions with these values of a, and the mean or less."""
    i = np.arange(n + 1)
    weights = (a[:, None] / (a[:, None] + i)) ** 2  # numpy's fourth power takes ten times as long
    if s == 4:
        weights **= 2
    mass, moment = np.cumsum(weights, axis=1), np.cumsum(i * weights, axis=1)
    below = moment <= mean * mass  # of the distribution cut off after each i
    k = below.sum(axis=1) - 1
    row = np.arange(len(a))
    scale = 1 / mass[row, k]
    cut = k < n
    rest = (k[cut] + 1) * mass[row[cut], k[cut]] - moment[row[cut], k[cut]]
    scale[cut] = (k[cut] + 1 - mean) / rest
    return np.asarray(np.where(k >= t - 1, 1 - scale * mass[row, np.minimum(t - 1, k)], 0.0))


def bound(q: int, n_candidates: int, threshold: float, pairs: int) -> float:
    """The smaller of the r-concave and the worst-case bound, and of the number of candidates."""
    return min(_bounds(q, n_candidates, threshold, pairs))


def _bounds(q: int, n_candidates: int, threshold: float, pairs: int) -> Iterator[float]:
    """Each of them, the dearest last."""
    yield float(n_candidates)
    yield worst_case_bound(q, n_candidates, threshold)
    yield from _r_concave_bounds(q, n_candidates, threshold, pairs)


def largest_q(expected_false: float, n_candidates: int, threshold: float, pairs: int) -> int:
    """How many columns a half may select for a bound; 0 if even one is too many.

    Examples
    --------
    R's ``stabs`` has 6 for ``optimal_q(p = 200, cutoff = 0.6, PFER = 0.2, B = 50,
    assumption = "r-concave")``.

    >>> largest_q(0.2, n_candidates=200, threshold=0.6, pairs=50)
    6
    """
    low, high = 0, n_candidates + 1
    while high - low > 1:
        middle = (low + high) // 2
        bounds = _bounds(middle, n_candidates, threshold, pairs)
        if any(each <= expected_false for each in bounds):
            low = middle
        else:
            high = middle
    return low
