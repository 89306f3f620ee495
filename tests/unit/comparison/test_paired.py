"""The corrected test of folds: by hand, by scipy, and how often it is wrong."""

import numpy as np
import pytest
from scipy import stats

from lasso_jobs.comparison.paired import PairedDifference, paired_difference


def test_by_hand() -> None:
    # Deviations -1, 1, 0, -2, 2 around -2: S^2 = 10 / 4.
    found = paired_difference(np.array([-3.0, -1.0, -2.0, -4.0, 0.0]), np.ones(5), 1 / 4)
    assert found.mean == -2
    assert found.standard_error == pytest.approx(np.sqrt(2.5 * (1 / 5 + 1 / 4)))
    assert found.p_value == pytest.approx(2 * stats.t.sf(2 / found.standard_error, 4))


def test_of_independent_differences_it_is_the_t_test() -> None:
    differences = np.random.default_rng(0).normal(0.3, 1, 12)
    found = paired_difference(differences, np.full(12, 7.0), 0.0)
    expected = stats.ttest_1samp(differences, 0)
    assert found.p_value == pytest.approx(expected.pvalue)
    assert found.standard_error == pytest.approx(stats.sem(differences))


def test_weights_that_are_whole_numbers_weigh_as_so_many_folds() -> None:
    found = paired_difference(np.array([1.0, 2.0, 6.0]), np.array([2.0, 1.0, 1.0]), 0.5)
    variance = np.var([1.0, 1.0, 2.0, 6.0]) * 3 / 2
    assert found.mean == 2.5
    assert found.standard_error == pytest.approx(np.sqrt(variance * (1 / 3 + 1 / 2)))


@pytest.mark.parametrize(
    ("mean", "p", "smaller"), [(0.0, 1.0, False), (-1.0, 0.0, True), (1.0, 0.0, False)]
)
def test_folds_that_all_differ_alike(mean: float, p: float, smaller: bool) -> None:
    found = PairedDifference(mean, 0.0, 5)
    assert (found.p_value, found.smaller) == (p, smaller)
