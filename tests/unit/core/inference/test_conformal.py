"""Half widths of conformal intervals: by brute force, and by what they promise."""

from fractions import Fraction
from math import ceil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lasso_jobs.core.inference.conformal import half_width, least_cohorts


@pytest.mark.parametrize("n", [*range(1, 70), 999, 1000])
@pytest.mark.parametrize("percent", [50, 80, 90, 95])
def test_of_rows_that_count_alike_it_is_the_order_statistic_or_there_is_none(
    n: int, percent: int
) -> None:
    sizes = np.random.default_rng(n).permutation(np.arange(1.0, n + 1))
    rank = ceil(Fraction((n + 1) * percent, 100))
    found = half_width(sizes, np.ones(n), coverage=percent / 100)
    assert found.half == (float(rank) if rank <= n else None)
    assert (found.half is None) == (n < least_cohorts(percent / 100))
    assert found.n_effective == n
    # Of n + 1 exchangeable rows, the last is as often among the smallest as any other.
    if found.half is not None:
        assert np.mean(sizes <= found.half) * found.of_new == pytest.approx(rank / (n + 1))


@given(
    st.lists(
        st.tuples(st.integers(0, 30), st.integers(1, 5), st.integers(0, 12)),
        min_size=1,
        max_size=60,
    )
)
def test_with_weights_and_cohorts_it_is_the_least_size_that_reaches_the_coverage(
    rows: list[tuple[int, int, int]],
) -> None:
    masses: dict[int, int] = {}
    for _, weight, cohort in rows:
        masses[cohort] = masses.get(cohort, 0) + weight
    total = sum(masses.values())
    new = Fraction(sum(m * m for m in masses.values()), total)
    wanted = Fraction(9, 10) * (total + new)
    reached = [s for s in {s for s, _, _ in rows} if sum(w for t, w, _ in rows if t <= s) >= wanted]
    sizes, weights, cohorts = np.array(rows, float).T
    found = half_width(sizes, weights, cohorts, coverage=0.9)
    assert found.half == (min(reached) if reached else None)
    assert found.n_effective == pytest.approx(float(total / new))


def test_rows_of_weight_zero_do_not_count() -> None:
    sizes = np.append(np.arange(1.0, 20.0), [100.0] * 5)
    weights = np.append(np.ones(19), np.zeros(5))
    assert half_width(sizes, weights, coverage=0.9).half == 18
