"""Half widths of conformal intervals: by brute force, and by what they promise."""

from fractions import Fraction
from math import ceil

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2, norm

from lasso_jobs.core.inference.conformal import half_width, least_rows
from lasso_jobs.core.rows.moments import Floats


@pytest.mark.parametrize("n", [*range(1, 70), 999, 1000])
@pytest.mark.parametrize("percent", [50, 80, 90, 95])
def test_of_rows_that_count_alike_it_is_the_order_statistic_or_there_is_none(
    n: int, percent: int
) -> None:
    sizes = np.random.default_rng(n).permutation(np.arange(1.0, n + 1))
    rank = ceil(Fraction((n + 1) * percent, 100))
    found = half_width(sizes, np.ones(n), coverage=percent / 100)
    assert found.half == (float(rank) if rank <= n else None)
    assert (found.half is None) == (n < least_rows(percent / 100))
    assert found.effective_size == n
    # Of n + 1 exchangeable rows, the last is as often among the smallest as any other.
    if found.half is not None:
        assert np.mean(sizes <= found.half) * found.of_new == pytest.approx(rank / (n + 1))


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 5)), min_size=1, max_size=60))
def test_with_weights_it_is_the_least_size_that_reaches_the_coverage(
    rows: list[tuple[int, int]],
) -> None:
    total = sum(w for _, w in rows)
    new = Fraction(sum(w * w for _, w in rows), total)
    wanted = Fraction(9, 10) * (total + new)
    reached = [s for s in {s for s, _ in rows} if sum(w for t, w in rows if t <= s) >= wanted]
    found = half_width(*np.array(rows, float).T, coverage=0.9)
    assert found.half == (min(reached) if reached else None)
    assert found.effective_size == pytest.approx(float(total / new))


def days(n: int, rows: int, alike: float, seed: int) -> tuple[Floats, Floats]:
    """Normal errors of days, of whose variance a share is their day's, and the days."""
    rng = np.random.default_rng(seed)
    day = np.repeat(np.arange(float(n)), rows)
    errors = np.sqrt(alike) * rng.normal(size=n)[day.astype(int)]
    return np.abs(errors + np.sqrt(1 - alike) * rng.normal(size=len(day))), day


def test_cohorts_count_as_the_rows_that_their_shares_vary_like() -> None:
    sizes, day = days(20, 30, 0.5, seed=3)
    found = half_width(sizes, np.ones(600), day, coverage=0.9)
    pooled = half_width(sizes, np.ones(600), coverage=0.9)
    inside = pd.Series(sizes <= pooled.half).groupby(day).mean()
    assert found.effective_size == pytest.approx(
        0.09 / (inside.var() / 20 * 19 / chi2.ppf(0.1, 19))
    )
    rank = ceil(0.9 * 600 * (1 + 1 / found.effective_size))
    assert found.half == np.sort(sizes)[rank - 1] > (pooled.half or 0)


@pytest.mark.parametrize("n", [9, 12, 20, 40])
@pytest.mark.parametrize("alike", [0.0, 0.1, 0.5, 0.9])
def test_rows_of_new_cohorts_are_covered_however_alike_those_of_one_are(
    n: int, alike: float
) -> None:
    found = [
        half_width(sizes, np.ones(len(sizes)), day, coverage=0.9)
        for sizes, day in (days(n, 20, alike, seed) for seed in range(300))
    ]
    covered = [2 * norm.cdf(width.half) - 1 for width in found if width.half is not None]
    assert len(covered) == 300
    assert np.mean(covered) + 2 * np.std(covered) / 300**0.5 > 0.9
    # By the rule for rows that err wholly alike it would be 98 %.
    assert np.mean(covered) < 0.95


def test_few_cohorts_count_as_a_row_each() -> None:
    for n in (1, 2, 5):
        sizes, day = days(n, 100, 0.0, seed=0)
        found = half_width(sizes, np.ones(len(sizes)), day, coverage=0.9)
        assert (found.half, found.effective_size) == (None, n)


def test_cohorts_say_no_more_than_their_rows() -> None:
    sizes, day = days(50, 1, 0.0, seed=0)
    alike = half_width(sizes, np.ones(50), day, coverage=0.9)
    assert alike.effective_size == half_width(sizes, np.ones(50), coverage=0.9).effective_size == 50


def test_rows_of_weight_zero_do_not_count() -> None:
    sizes = np.append(np.arange(1.0, 20.0), [100.0] * 5)
    weights = np.append(np.ones(19), np.zeros(5))
    assert half_width(sizes, weights, coverage=0.9).half == 18
