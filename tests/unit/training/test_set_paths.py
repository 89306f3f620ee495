"""Which alphas are worth a scan."""

from types import SimpleNamespace
from typing import Any

import numpy as np

from lasso_jobs.training.screening.set_paths import Solved, last_ones


def solved(*coefs: Any, indicators: tuple[int, ...] = ()) -> Any:
    """Paths of which only the coefficients are asked for."""
    n_columns = np.shape(coefs[0])[1] - len(indicators)
    recipe: Any = SimpleNamespace(
        columns=SimpleNamespace(n_columns=n_columns), indicators=indicators
    )
    paths: Any = tuple(SimpleNamespace(fits=SimpleNamespace(coef=np.array(c))) for c in coefs)
    return Solved(recipe=recipe, paths=paths, alphas=np.ones(len(coefs[0])))


def test_alphas_end_where_a_candidate_that_was_to_come_last_has_a_coefficient_in_any_fit() -> None:
    first = [[0.0, 1.0, 0.0]] * 4
    second = [*first[:3], [0.0, 1.0, 2.0]]
    assert solved(first, second).worth_without(np.array([2])) == [3]
    assert solved(first, first).worth_without(np.array([2])) == []
    assert solved(first, second).worth_without(np.array([], int)) == []


def test_a_scan_is_for_two_alphas_at_least() -> None:
    assert solved([[1.0], [1.0], [1.0]]).worth_without(np.array([0])) == [2]


def test_the_coefficient_of_an_indicator_of_nulls_is_one_of_its_column() -> None:
    coef = [[0.0, 1.0, 0.0], [0.0, 1.0, 0.0], [0.0, 1.0, 3.0]]
    assert solved(coef, indicators=(0,)).worth_without(np.array([0])) == [2]
    assert solved(coef, indicators=(0,)).used().tolist() == [[0, 1], [0, 1], [1, 1]]


def test_a_tenth_of_the_candidates_comes_last() -> None:
    entry = np.arange(30.0)[::-1]
    assert last_ones(entry, np.arange(5, 25)).tolist() == [24, 23]
    assert last_ones(entry, np.array([], int)).tolist() == []
