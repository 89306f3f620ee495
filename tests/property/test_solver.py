from dataclasses import dataclass, replace

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lasso_jobs.core.fit import design as d
from lasso_jobs.core.fit.lasso import alpha_grid, alpha_max, solve_path
from lasso_jobs.core.fit.problem import Problem
from lasso_jobs.core.rows import centring
from lasso_jobs.core.rows.columns import Columns

Floats = NDArray[np.float64]

check = settings(deadline=None, max_examples=40)


@dataclass(frozen=True)
class Case:
    """Rows, and how to fit them."""

    X: Floats
    y: Floats
    recipe: d.Recipe

    def solved(self, n_alphas: int = 8) -> tuple[Problem, Floats, Floats, Floats]:
        """The problem, its alphas, and coefficients and intercepts in original units."""
        design = d.fit(self.recipe, centring.of_rows(np.vstack([self.X.T, self.y])))
        largest = alpha_max(design.problem)
        alphas = alpha_grid(largest, n_alphas, 1e-2) if largest > 0 else np.zeros(1)
        path = solve_path(design.problem, alphas)
        return design.problem, alphas, *design.original_units(path.coef)

    def coefficients(self, alphas: Floats) -> tuple[Floats, Floats]:
        design = d.fit(self.recipe, centring.of_rows(np.vstack([self.X.T, self.y])))
        return design.original_units(solve_path(design.problem, alphas).coef)


def recipes(p: int) -> st.SearchStrategy[d.Recipe]:
    names = [f"x{j}" for j in range(p)]
    limits = st.sampled_from([(0.0, np.inf), (-np.inf, 0.0), (-0.1, 0.2), (0.0, 0.0)])
    return st.builds(
        d.Recipe,
        columns=st.just(Columns(tuple(names), ())),
        scaling=st.sampled_from(["standard", "minmax", "none"]),
        l1_ratio=st.sampled_from([1.0, 0.9, 0.3]),
        penalty_factors=st.dictionaries(
            st.sampled_from(names), st.sampled_from([0.0, 0.1, 2.0]), max_size=2
        ),
        bounds=st.dictionaries(st.sampled_from(names), limits, max_size=3),
    )


@st.composite
def rough(draw: st.DrawFn) -> Case:
    """Few distinct integers, few rows: constant, equal, dependent columns, p > n."""
    n, p = draw(st.integers(2, 15)), draw(st.integers(1, 6))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    X = rng.integers(-1, 2, (n, p)).astype(float)
    return Case(X, rng.integers(-3, 4, n).astype(float), draw(recipes(p)))


@st.composite
def smooth(draw: st.DrawFn) -> Case:
    """Well-conditioned columns, so that the solution is unique."""
    p = draw(st.integers(2, 6))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    X = rng.normal(size=(40, p)) @ (np.eye(p) + 0.2 * rng.normal(size=(p, p)))
    y = X @ rng.normal(size=p) + rng.normal(size=40)
    recipe = draw(recipes(p))
    return Case(X, y, replace(recipe, scaling="standard", bounds={}, penalty_factors={}))


def violation(problem: Problem, alpha: float, coef: Floats) -> float:
    """The largest distance of a slope from the subdifferential of penalty and bounds."""
    slope = problem.covariance - problem.gram @ coef - alpha * problem.l2_factor * coef
    l1 = alpha * problem.l1_factor
    left = np.where(coef <= problem.low, -np.inf, np.where(coef > 0, l1, -l1))
    right = np.where(coef >= problem.high, np.inf, np.where(coef < 0, -l1, l1))
    return float(np.maximum(left - slope, slope - right).max(initial=0.0))


def objective(problem: Problem, alpha: float, coef: Floats) -> float:
    smooth_part = problem.variance / 2 - problem.covariance @ coef + coef @ problem.gram @ coef / 2
    penalty = problem.l1_factor @ np.abs(coef) + problem.l2_factor @ coef**2 / 2
    return float(smooth_part + alpha * penalty)


@check
@given(rough())
def test_every_solution_is_within_its_bounds_and_optimal(case: Case) -> None:
    problem, alphas, *_ = case.solved()
    path = solve_path(problem, alphas)
    deviation = np.sqrt(problem.variance)
    for alpha, coef, kkt in zip(alphas, path.coef, path.kkt, strict=True):
        assert np.all((coef >= problem.low) & (coef <= problem.high))
        exact = violation(problem, alpha, coef)
        assert exact <= 1e-10 * deviation
        assert abs(kkt * deviation - exact) <= 1e-12 * deviation


@check
@given(rough(), st.integers(0, 2**32 - 1))
def test_no_other_point_is_better_by_more_than_the_duality_gap(case: Case, seed: int) -> None:
    problem, alphas, *_ = case.solved(3)
    path, rng = solve_path(problem, alphas), np.random.default_rng(seed)
    for alpha, coef, gap in zip(alphas, path.coef, path.dual_gap, strict=True):
        reached = objective(problem, alpha, coef)
        for size in (1e-6, 1e-3, 1.0):
            other = coef + size * rng.normal(size=(20, len(coef))) * rng.integers(0, 2, len(coef))
            for point in np.clip(other, problem.low, problem.high):
                slack = (gap + 1e-14) * problem.variance
                assert objective(problem, alpha, point) >= reached - slack


def assert_close(found: Floats, expected: Floats) -> None:
    assert np.all(np.abs(found - expected) <= 1e-9 * np.abs(expected).max(initial=1e-3))


@check
@given(smooth(), st.sampled_from([1.0, -1e3, 1e6]), st.integers(0, 5))
def test_adding_a_constant_to_a_column_changes_no_coefficient(
    case: Case, constant: float, column: int
) -> None:
    assume(column < case.X.shape[1])
    _, alphas, coef, intercept = case.solved()
    X = case.X.copy()
    X[:, column] += constant
    moved, moved_intercept = replace(case, X=X).coefficients(alphas)
    tolerance = 1e-9 * (1 + abs(constant)) * np.abs(coef).max()
    assert_close(moved, coef)
    expected = intercept - constant * coef[:, column]
    assert np.all(np.abs(moved_intercept - expected) <= tolerance)


@check
@given(smooth(), st.sampled_from([1e-9, 1e-3, -1.0, 7.0, 1e9]), st.integers(0, 5))
def test_rescaling_a_column_rescales_its_coefficient(
    case: Case, factor: float, column: int
) -> None:
    assume(column < case.X.shape[1])
    _, alphas, coef, intercept = case.solved()
    stretch = np.where(np.arange(case.X.shape[1]) == column, factor, 1.0)
    rescaled, same_intercept = replace(case, X=case.X * stretch).coefficients(alphas)
    assert_close(rescaled * stretch, coef)
    assert_close(same_intercept, intercept)


@check
@given(smooth(), st.randoms(use_true_random=False))
def test_permuting_the_columns_permutes_the_coefficients(case: Case, random: object) -> None:
    _, alphas, coef, intercept = case.solved()
    order = list(range(case.X.shape[1]))
    random.shuffle(order)
    permuted, same_intercept = replace(case, X=case.X[:, order]).coefficients(alphas)
    assert_close(permuted, coef[:, order])
    assert_close(same_intercept, intercept)


@check
@given(smooth(), st.randoms(use_true_random=False))
def test_permuting_the_rows_changes_no_coefficient(case: Case, random: object) -> None:
    _, alphas, coef, _ = case.solved()
    order = list(range(40))
    random.shuffle(order)
    permuted, _ = replace(case, X=case.X[order], y=case.y[order]).coefficients(alphas)
    assert np.abs(permuted - coef).max() <= 1e-12 * np.abs(coef).max()


@check
@given(smooth(), st.sampled_from([-50.0, 0.5, 1e6]))
def test_adding_a_constant_to_the_target_moves_the_intercept_alone(
    case: Case, constant: float
) -> None:
    _, alphas, coef, intercept = case.solved()
    moved, moved_intercept = replace(case, y=case.y + constant).coefficients(alphas)
    assert_close(moved, coef)
    assert np.all(np.abs(moved_intercept - intercept - constant) <= 1e-9 * (1 + abs(constant)))


@check
@given(smooth(), st.sampled_from([1e-6, 3.0, 1e6]))
def test_rescaling_the_target_and_its_lasso_penalty_rescales_every_coefficient(
    case: Case, factor: float
) -> None:
    case = replace(case, recipe=replace(case.recipe, l1_ratio=1.0))
    _, alphas, coef, intercept = case.solved()
    rescaled, new_intercept = replace(case, y=case.y * factor).coefficients(alphas * factor)
    assert_close(rescaled / factor, coef)
    assert_close(new_intercept / factor, intercept)


@check
@given(smooth())
def test_repeating_every_row_changes_no_coefficient(case: Case) -> None:
    _, alphas, coef, intercept = case.solved()
    twice = replace(case, X=np.vstack([case.X] * 2), y=np.tile(case.y, 2))
    repeated, same_intercept = twice.coefficients(alphas)
    assert_close(repeated, coef)
    assert_close(same_intercept, intercept)


@check
@given(rough())
def test_a_constant_column_more_changes_nothing_else(case: Case) -> None:
    _, alphas, coef, intercept = case.solved()
    X = np.column_stack([case.X, np.full(len(case.y), 0.1)])
    columns = Columns((*case.recipe.columns.numeric, "more"), ())
    wider = replace(case, X=X, recipe=replace(case.recipe, columns=columns))
    found, same_intercept = wider.coefficients(alphas)
    assert not found[:, -1].any()
    assert_close(case.X @ found[:, :-1].T, case.X @ coef.T)
    assert_close(same_intercept, intercept)
