"""Problems that are solved by the signs of similar ones, against each alone."""

from dataclasses import replace

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray

from lasso_jobs.core.fit.lasso import solve_path
from lasso_jobs.core.fit.problem import Problem
from lasso_jobs.core.fit.walk.paths import settle
from lasso_jobs.core.fit.walk.signs import from_signs

Floats = NDArray[np.float64]


def resamples(n: int, rho: float, *, rows: int = 2_000, p: int = 30) -> list[Problem]:
    """Problems of rows drawn with replacement, of columns correlated in groups of ten."""
    rng = np.random.default_rng(7)
    shared = rng.normal(size=(rows, p // 10))[:, np.arange(p) // 10]
    X = np.sqrt(1 - rho) * rng.normal(size=(rows, p)) + np.sqrt(rho) * shared
    y = X[:, ::5] @ rng.normal(size=len(range(0, p, 5))) + 2 * rng.normal(size=rows)
    found, one = [], np.ones(p)
    for _ in range(n):
        drawn = rng.integers(0, rows, rows)
        own, target = X[drawn] - X[drawn].mean(axis=0), y[drawn] - y[drawn].mean()
        own /= own.std(axis=0)
        found.append(
            Problem(
                gram=own.T @ own / rows,
                covariance=own.T @ target / rows,
                variance=float(target @ target / rows),
                l1_factor=one,
                l2_factor=0 * one,
                low=-np.inf * one,
                high=np.inf * one,
            )
        )
    return found


def by_signs(problems: list[Problem], alpha: float) -> tuple[Floats, NDArray[np.bool_]]:
    """From the solution of the first."""
    near = solve_path(problems[0], [alpha]).coef[0]
    return from_signs(
        [each.gram for each in problems],
        np.array([each.covariance for each in problems]),
        alpha * np.array([each.l1_factor for each in problems]),
        np.array([near] * len(problems)),
    )


def test_similar_problems_are_solved() -> None:
    several = resamples(20, 0.5)
    coef, solved = by_signs(several, 0.02)
    assert solved.all()
    for problem, own in zip(several, coef, strict=True):
        assert_allclose(own, solve_path(problem, [0.02]).coef[0], rtol=1e-10, atol=1e-13)


def test_columns_without_a_penalty_stay_whatever_their_signs() -> None:
    free = np.ones(30)
    free[[3, 17]] = 0.0
    several = [replace(each, l1_factor=free) for each in resamples(10, 0.5)]
    coef, solved = by_signs(several, 0.05)
    assert solved.sum() > 5
    for problem, own in zip(np.array(several)[solved], coef[solved], strict=True):
        assert own[[3, 17]].all()
        assert_allclose(own, solve_path(problem, [0.05]).coef[0], rtol=1e-10, atol=1e-13)


def test_what_signs_do_not_solve_is_nearer_than_before_and_walked() -> None:
    several = resamples(20, 0.9, rows=100)
    near = solve_path(several[0], [0.05]).coef[0]
    coef, solved = by_signs(several, 0.05)
    assert 0 < np.count_nonzero(~solved) < 20
    paths = settle(several, np.full(20, 0.05), [near] * 20)
    exact = np.array([path.coef[0] for path in paths])
    wrong = np.sign(coef) != np.sign(exact)
    assert wrong[~solved].sum() < (np.sign(near) != np.sign(exact))[~solved].sum()
    for problem, path in zip(several, paths, strict=True):
        assert path.kkt.max() <= 1e-12
        assert_allclose(path.coef[0], solve_path(problem, [0.05]).coef[0], rtol=1e-9, atol=1e-12)


def test_a_problem_whose_active_columns_depend_on_each_other_is_left_and_no_other() -> None:
    regular, singular = resamples(2, 0.0)
    gram = singular.gram.copy()
    gram[1], gram[:, 1] = gram[0], gram[:, 0]
    gram[1, 1] = gram[0, 0]
    twins = replace(singular, gram=gram)
    near = solve_path(regular, [0.02]).coef[0]
    near[[0, 1]] = 1.0
    coef, solved = from_signs(
        [regular.gram, twins.gram],
        np.array([regular.covariance, twins.covariance]),
        np.full((2, 30), 0.02),
        np.array([near, near]),
    )
    assert_array_equal(solved, [True, False])
    assert_array_equal(coef[1], near)
