"""The bounds against the papers', and against what R's package stabs prints."""

import numpy as np
import pytest

from lasso_jobs.core.inference.refits import false_selections as fs


@pytest.mark.parametrize(
    ("q", "p", "threshold", "pairs", "mb", "unimodal"),
    [
        # Meinshausen & Bühlmann: with q = sqrt(0.8 p) and a threshold of 0.9, one false selection.
        (np.sqrt(0.8 * 500), 500, 0.9, 50, 1.0, 4 * (0.1 + 0.01) / 1.02 * 0.8),
        # The same with q = 10 of p = 1000: Shah & Samworth halve it, about.
        (10.0, 1000, 0.6, 50, 0.5, 0.1 / (2 * (0.2 - 0.01))),
        (10.0, 1000, 0.75, 50, 0.2, 0.1 / (2 * (0.5 - 0.01))),
        (10.0, 1000, 1.0, 50, 0.1, 0.1 * 4 * 0.01 / 1.02),
        # More than a share 1 / sqrt(3) is selected; the threshold is too low; there is one pair.
        (60.0, 100, 0.9, 50, 45.0, None),
        (30.0, 100, 0.55, 50, 90.0, None),
        (10.0, 1000, 0.6, 1, 0.5, None),
        (0.0, 10, 0.6, 50, 0.0, 0.0),
    ],
)
def test_bounds_are_those_of_the_papers(
    q: float, p: int, threshold: float, pairs: int, mb: float, unimodal: float | None
) -> None:
    assert fs.worst_case_bound(q, p, threshold) == pytest.approx(mb)
    found = fs.unimodal_bound(q, p, threshold, pairs)
    assert found == (None if unimodal is None else pytest.approx(unimodal))


R_CONCAVE = [0.1637231, 0.2605329, 0.3820466, 0.5295188, 0.7042719, 0.9077127, 1.141338]
"""stabsel_parameters(cutoff = 0.6, q = 4 .. 10, p = 100, B = 50, sampling.type = "SS",
assumption = "r-concave"), as stabs's tests have recorded them."""


@pytest.mark.parametrize(("q", "expected"), list(enumerate(R_CONCAVE, 4)))
def test_the_r_concave_bound_is_rs(q: int, expected: float) -> None:
    assert fs.r_concave_bound(q, 100, 0.6, 50) == pytest.approx(expected, rel=1e-5)


def test_the_r_concave_bounds_of_r_that_it_rounds_to_three_digits() -> None:
    assert fs.r_concave_bound(6, 200, 0.6, 50) == pytest.approx(0.174, abs=5e-4)
    assert fs.r_concave_bound(7, 200, 0.6, 50) == pytest.approx(0.248, abs=5e-4)
    assert fs.r_concave_bound(7, 200, 0.62, 50) == pytest.approx(0.196, abs=5e-4)
    assert fs.r_concave_bound(7, 200, 0.61, 50) == pytest.approx(0.219, abs=5e-4)


@pytest.mark.parametrize(("t", "n", "theta"), [(8, 10, 0.1), (5, 10, 0.15), (12, 20, 0.05)])
def test_no_r_concave_distribution_has_a_larger_tail(t: int, n: int, theta: float) -> None:
    """Random ones: f is r-concave if f^(1/r..) is convex, so powers of convex sequences."""
    rng, s, i = np.random.default_rng(0), 2.0, np.arange(n + 1)
    largest = fs.r_concave_tail(theta, t, n, s=s)
    best = 0.0
    for _ in range(4000):
        # A convex, positive sequence is the largest of some lines, and infinite from somewhere on.
        lines = rng.exponential(size=(3, 1)) + 10 ** rng.uniform(-2, 2, (3, 1)) * i
        f = lines.max(axis=0) ** -s
        f[i > rng.integers(t, n + 1)] = 0
        f /= f.sum()
        if f @ i <= n * theta:
            best = max(best, float(f[t:].sum()))
    assert 0.3 * largest < best <= largest


@pytest.mark.parametrize("p", [1, 2, 5, 26, 100, 700])
@pytest.mark.parametrize(("threshold", "pairs"), [(0.75, 50), (0.6, 15), (0.9, 3)])
@pytest.mark.parametrize("wanted", [0.2, 1.0, 3.0])
def test_q_is_the_largest_that_brute_force_finds(
    p: int, threshold: float, pairs: int, wanted: float
) -> None:
    q = fs.largest_q(wanted, p, threshold, pairs)
    assert q == 0 or fs.bound(q, p, threshold, pairs) <= wanted
    assert q == p or fs.bound(q + 1, p, threshold, pairs) > wanted


def test_the_qs_of_r() -> None:
    """optimal_q(p = 200, cutoff = 0.6, PFER = 0.2, B = 50), r-concave; and of body fat: 9 columns,
    where the unimodal bound that R takes allows 2 with a bound of 0.454."""
    assert fs.largest_q(0.2, 200, 0.6, 50) == 6
    assert fs.unimodal_bound(2, 9, 0.75, 50) == pytest.approx(0.454, abs=5e-4)
