"""Problems that are solved together, against each alone and scikit-learn's paths."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray
from sklearn.linear_model import lars_path_gram

from lasso_jobs.core.fit.lasso import alpha_max, solve_path
from lasso_jobs.core.fit.problem import Problem
from lasso_jobs.core.fit.walk import paths
from lasso_jobs.core.fit.walk.homotopy import Walk
from lasso_jobs.core.fit.walk.paths import Paths, entering, settle

Floats = NDArray[np.float64]


def problem_of(X: Floats, y: Floats, **changes: Floats) -> Problem:
    X, y = X - X.mean(axis=0), y - y.mean()
    X /= X.std(axis=0)
    one, infinite = np.ones(X.shape[1]), np.full(X.shape[1], np.inf)
    found = Problem(
        gram=X.T @ X / len(y),
        covariance=X.T @ y / len(y),
        variance=y @ y / len(y),
        l1_factor=one,
        l2_factor=0 * one,
        low=-infinite,
        high=infinite,
    )
    return replace(found, **changes)


def problems(n: int, p: int, seed: int = 0, rows: int = 150) -> list[Problem]:
    """Of correlated columns, half of them without effect, as in halves of the same rows."""
    rng = np.random.default_rng(seed)
    mixing = np.eye(p) + 0.4 * rng.normal(size=(p, p))
    found = []
    for _ in range(n):
        X = rng.normal(size=(rows, p)) @ mixing
        found.append(problem_of(X, X[:, : p // 2].sum(axis=1) + 3 * rng.normal(size=rows)))
    return found


def objective(problem: Problem, alpha: float, coef: Floats) -> float:
    smooth = problem.variance / 2 - problem.covariance @ coef + coef @ problem.gram @ coef / 2
    return float(smooth + alpha * problem.l1_factor @ np.abs(coef))


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Let no problem be walked any more."""
    return lambda: monkeypatch.setattr(paths, "walkable", lambda _: False)


def test_the_paths_are_those_of_least_angle_regression() -> None:
    several, alphas = problems(4, 12), np.geomspace(2.0, 1e-3, 25)
    for problem, path in zip(several, Paths(several).solve(alphas), strict=True):
        knots, _, coef = lars_path_gram(
            150 * problem.covariance, 150 * problem.gram, n_samples=150, method="lasso", alpha_min=0
        )
        expected = [np.interp(alphas, knots[::-1], each[::-1]) for each in coef]
        assert_allclose(path.coef, np.transpose(expected), atol=1e-10)
        assert path.converged.all()
        assert path.kkt.max() <= 1e-13
        assert not path.n_iter.any()


def test_a_path_goes_on_where_it_ended() -> None:
    several, alphas = problems(3, 8), np.geomspace(1.0, 1e-3, 20)
    whole, parts = Paths(several).solve(alphas), Paths(several)
    first, last = parts.solve(alphas[:7]), parts.solve(alphas[7:])
    for path, *two in zip(whole, first, last, strict=True):
        assert_allclose(np.vstack([each.coef for each in two]), path.coef, rtol=1e-12, atol=1e-14)


def test_a_problem_that_waits_goes_on_where_it_stood() -> None:
    """Alone among those of its number of columns, beside others, and where each is solved alone."""
    several = [*problems(3, 8), *problems(1, 6), *problems(1, 7)]
    several[4] = replace(several[4], l2_factor=np.ones(7))
    alphas, waits = np.geomspace(1.0, 1e-3, 20), np.full(10, np.nan)
    whole, parts = Paths(several).solve(alphas), Paths(several)
    first, last = alphas[:10], alphas[10:]
    one = parts.solve(np.array([first, waits, first, first, waits]))
    two = parts.solve(np.array([last, first, waits, waits, first]))
    three = parts.solve(np.array([waits, last, last, last, last]))
    for k, (path, rounds) in enumerate(zip(whole, zip(one, two, three, strict=True), strict=True)):
        found = [each.coef for each in rounds if len(each.coef)]
        assert len(found) == 2, k
        assert_allclose(np.vstack(found), path.coef, rtol=1e-9, atol=1e-11)


def test_problems_of_other_kinds_and_sizes_are_solved_beside_the_others() -> None:
    a, b, c, d = problems(4, 6)
    several = [
        a,
        replace(b, low=np.zeros(6)),
        replace(c, l2_factor=np.ones(6)),
        replace(d, l1_factor=np.array([0.0, 1.0, 2.0, 0.5, 0.0, 1.0])),
        *problems(1, 9),
        replace(a, variance=0.0),
    ]
    alphas = np.geomspace(0.8, 0.01, 10)
    for problem, path in zip(several, Paths(several).solve(alphas), strict=True):
        assert_allclose(path.coef, solve_path(problem, alphas).coef, rtol=1e-9, atol=1e-11)
        assert path.converged.all()


@pytest.mark.parametrize("near", ["zeros", "another solution", "anything"])
def test_a_solution_does_not_depend_on_where_it_was_sought_from(near: str) -> None:
    several, alphas = problems(5, 10), np.array([0.5, 0.2, 0.1, 0.05, 0.01])
    start = {
        "zeros": np.zeros(10),
        "another solution": solve_path(several[0], [0.2]).coef[0],
        "anything": np.random.default_rng(0).normal(size=10),
    }[near]
    found = settle(several, alphas, [start] * 5)
    for problem, alpha, path in zip(several, alphas, found, strict=True):
        assert_allclose(path.coef, solve_path(problem, [alpha]).coef, rtol=1e-9, atol=1e-11)
        assert path.converged.all()


@pytest.mark.parametrize("most", [1, 3, 8, 12])
def test_the_first_to_enter_are_those_of_the_paths_one_by_one(
    most: int, alone: Callable[[], None]
) -> None:
    free = np.append(np.zeros(2), np.ones(10))
    several = [*problems(4, 12), *(replace(p, l1_factor=free) for p in problems(2, 12, 1))]
    together, alphas = entering(several, most)
    alone()
    expected, same = entering(several, most)
    assert_array_equal(alphas, same)
    for path, one, problem in zip(together, expected, several, strict=True):
        assert_allclose(path.coef, one.coef, rtol=1e-9, atol=1e-11)
        assert np.count_nonzero(path.coef[0, problem.l1_factor > 0]) <= most


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(3, 15), st.integers(1, 6))
def test_of_few_distinct_rows_every_solution_is_as_good_as_that_of_the_problem_alone(
    seed: int, rows: int, p: int
) -> None:
    """Of equal and dependent columns, more columns than rows, and ties."""
    rng, several = np.random.default_rng(seed), []
    while len(several) < 4:
        X, y = rng.integers(-1, 2, (rows, p)).astype(float), rng.integers(-3, 4, rows).astype(float)
        several += [problem_of(X, y)] if X.std(axis=0).all() and y.std() else []
        rows += 1
    alphas = np.geomspace(1.0, 0.01, 6) * max(map(alpha_max, several))
    from_zero = settle(several, np.full(4, alphas[-1]), [np.zeros(p)] * 4)
    for problem, path, last in zip(several, Paths(several).solve(alphas), from_zero, strict=True):
        assert path.converged.all()
        assert last.converged.all()
        expected = solve_path(problem, alphas)
        for alpha, coef, one in zip(alphas, path.coef, expected.coef, strict=True):
            best = objective(problem, alpha, one)
            assert_allclose(objective(problem, alpha, coef), best, rtol=1e-10)
        assert_allclose(objective(problem, alphas[-1], last.coef[0]), best, rtol=1e-10)


def test_what_a_walk_does_not_reach_is_solved_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    several, alphas = problems(3, 8), np.geomspace(1.0, 1e-2, 12)
    expected = Paths(several).solve(alphas)
    look, calls = Walk._change, []

    def end_soon(walk: Walk, m: int) -> None:
        look(walk, m)
        calls.append(m)
        if len(calls) == 4:
            walk.end(np.array([0, 2]))

    monkeypatch.setattr(Walk, "_change", end_soon)
    for path, whole in zip(Paths(several).solve(alphas), expected, strict=True):
        assert_allclose(path.coef, whole.coef, rtol=1e-9, atol=1e-11)
        assert path.converged.all()


def test_a_level_that_the_others_determine_takes_the_place_of_one_of_them() -> None:
    """The indicators of all levels of a category sum to one, whatever enters last."""
    rng = np.random.default_rng(3)
    level = rng.integers(0, 5, 400)
    X = np.hstack([np.eye(5)[level], rng.normal(size=(400, 3))])
    several = [
        problem_of(X, rng.normal(0, 3, 5)[level] + X[:, 5:].sum(axis=1) + rng.normal(size=400))
        for _ in range(6)
    ]
    alphas = np.geomspace(1.0, 1e-4, 40) * max(map(alpha_max, several))
    for problem, path in zip(several, Paths(several).solve(alphas), strict=True):
        assert path.kkt.max() <= 1e-12
        assert not path.n_iter.any()
        for alpha, coef, one in zip(
            alphas, path.coef, solve_path(problem, alphas).coef, strict=True
        ):
            best = objective(problem, alpha, one)
            assert_allclose(objective(problem, alpha, coef), best, rtol=1e-11)


def test_a_walk_to_no_penalty_ends_in_a_solution_where_levels_determine_each_other() -> None:
    """Down there, ties of rounding may leave a column that enters nothing to take the place of."""
    rng = np.random.default_rng(3)
    several = []
    for _ in range(20):
        level = rng.integers(0, 3, 200)
        X = np.hstack([rng.normal(size=(200, 2)), np.eye(3)[level]])
        several.append(problem_of(X, X[:, 0] + level + rng.normal(size=200)))
    for problem, path in zip(several, Paths(several).solve(np.zeros(1)), strict=True):
        assert path.converged.all()
        best = np.linalg.lstsq(problem.gram, problem.covariance)[0]
        assert_allclose(path.coef[0] @ problem.gram, best @ problem.gram, atol=1e-10)


def test_a_start_that_leads_to_no_solution_is_left_for_zeros() -> None:
    """Columns of 0 and 1 depend on each other in 48 rows: 4 of 71 such problems had no end."""
    for seed in range(60):
        rng = np.random.default_rng(seed)
        X = (rng.normal(size=(60, 120)) > 0.8).astype(float)
        y = X[:, :5] @ [3.0, -2.0, 2.0, 1.0, 1.0] + 0.5 * rng.normal(size=60)
        varies = X[:48].std(axis=0) > 0
        every, some = problem_of(X[:, varies], y), problem_of(X[:48, varies], y[:48])
        alpha = 0.01 * alpha_max(every)
        near = solve_path(every, [alpha]).coef[0]
        (found,) = settle([some], np.array([alpha]), [near])
        assert found.converged.all()
        best = objective(some, alpha, solve_path(some, [alpha]).coef[0])
        assert objective(some, alpha, found.coef[0]) <= best + 1e-9
