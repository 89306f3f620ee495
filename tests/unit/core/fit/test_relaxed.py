"""Against least squares on the active columns, and scipy's within bounds."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray
from scipy.optimize import lsq_linear

from lasso_jobs.core.fit.lasso import alpha_grid, alpha_max, solve_path
from lasso_jobs.core.fit.problem import Problem
from lasso_jobs.core.fit.relaxed import mixed, relaxed

Floats = NDArray[np.float64]


def rows() -> tuple[Floats, Floats]:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(120, 8)) @ (np.eye(8) + 0.4 * rng.normal(size=(8, 8)))
    y = X[:, :4] @ [1.0, -1.0, 0.5, 0.2] + 2 * rng.normal(size=120)
    return (X - X.mean(axis=0)) / X.std(axis=0), y - y.mean()


def problem_of(low: float = -np.inf, high: float = np.inf) -> Problem:
    X, y = rows()
    n, one = len(y), np.ones(8)
    return Problem(
        gram=X.T @ X / n,
        covariance=X.T @ y / n,
        variance=y @ y / n,
        l1_factor=one,
        l2_factor=0 * one,
        low=low * one,
        high=high * one,
    )


def path_of(problem: Problem) -> Floats:
    return solve_path(problem, alpha_grid(alpha_max(problem), 30, 1e-3)).coef


def test_each_relaxed_fit_is_least_squares_on_the_active_columns() -> None:
    (X, y), problem = rows(), problem_of()
    coef = path_of(problem)
    path = relaxed(problem, coef)
    expected = np.zeros_like(coef)
    for i, row in enumerate(coef):
        active = row != 0
        expected[i, active] = np.linalg.lstsq(X[:, active], y)[0]
    assert len({tuple(row != 0) for row in coef}) >= 6
    assert_allclose(path.coef, expected, rtol=1e-11, atol=1e-13)
    assert path.converged.all()
    assert path.kkt.max() < 1e-12


@pytest.mark.parametrize(("low", "high"), [(0.0, np.inf), (-0.3, 0.6)])
def test_each_relaxed_fit_keeps_the_bounds(low: float, high: float) -> None:
    (X, y), problem = rows(), problem_of(low, high)
    coef = path_of(problem)
    path = relaxed(problem, coef)
    at_a_bound = 0
    for row, found in zip(coef, path.coef, strict=True):
        active = row != 0
        if active.any():
            expected = lsq_linear(X[:, active], y, (low, high), tol=1e-14, method="bvls").x
            assert_allclose(found[active], expected, rtol=1e-9, atol=1e-10)
            at_a_bound += np.count_nonzero(np.isin(found[active], [low, high]))
    assert at_a_bound >= (1 if low < 0 else 0)
    assert path.converged.all()


def test_a_relaxed_fit_of_more_active_columns_than_rows_is_certified() -> None:
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(20, 40)), rng.normal(size=20)
    X, y = (X - X.mean(axis=0)) / X.std(axis=0), y - y.mean()
    one = np.ones(40)
    problem = Problem(
        gram=X.T @ X / 20,
        covariance=X.T @ y / 20,
        variance=y @ y / 20,
        l1_factor=0.1 * one,
        l2_factor=0.9 * one,
        low=-np.inf * one,
        high=np.inf * one,
    )
    coef = path_of(problem)
    assert np.count_nonzero(coef[-1]) > 20
    path = relaxed(problem, coef)
    assert path.converged.all()
    assert_allclose(X @ path.coef[-1], y, atol=1e-6)


def test_the_mixture_goes_from_the_relaxed_fit_to_the_penalised_one() -> None:
    problem = problem_of()
    coef = path_of(problem)
    mixtures, path = mixed(problem, coef, [0.0, 0.25, 1.0])
    assert_array_equal(mixtures[0], path.coef)
    assert_allclose(mixtures[1], 0.25 * coef + 0.75 * path.coef, rtol=1e-14)
    assert_array_equal(mixtures[2], coef)


def test_without_relaxing_nothing_is_fitted() -> None:
    problem = problem_of()
    coef = path_of(problem)
    mixtures, path = mixed(problem, coef, [1.0])
    assert_array_equal(mixtures[0], coef)
    assert len(path.coef) == 0
