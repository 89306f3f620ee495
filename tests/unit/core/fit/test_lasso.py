"""Against scikit-learn's two solvers, and an enumeration of all active sets where it has none."""

from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from numpy.typing import NDArray
from sklearn.linear_model import ElasticNet, Lasso, enet_path, lars_path_gram, lasso_path
from statsmodels.datasets import longley

from lasso_jobs.core.fit import descent, lasso
from lasso_jobs.core.fit.lasso import alpha_grid, alpha_max, solve_path
from lasso_jobs.core.fit.problem import Penalised, Problem, dual_gap, kkt_violation
from lasso_jobs.core.threads import Steps, StoppedError

Floats = NDArray[np.float64]
INF = np.inf


def standardised(X: Floats, y: Floats) -> tuple[Floats, Floats]:
    return (X - X.mean(axis=0)) / X.std(axis=0), y - y.mean()


def problem_of(X: Floats, y: Floats, **changes: Floats) -> Problem:
    (X, y), (n, p) = standardised(X, y), X.shape
    one, infinite = np.ones(p), np.full(p, INF)
    found = Problem(
        gram=X.T @ X / n,
        covariance=X.T @ y / n,
        variance=y @ y / n,
        l1_factor=one,
        l2_factor=0 * one,
        low=-infinite,
        high=infinite,
    )
    return replace(found, **changes)


def data(n: int = 200, p: int = 8, seed: int = 0) -> tuple[Floats, Floats]:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p)) @ (np.eye(p) + 0.4 * rng.normal(size=(p, p)))
    return X, X[:, : p // 2].sum(axis=1) + 2 * rng.normal(size=n)


def path_alphas(problem: Problem, n: int = 30, eps: float = 1e-3) -> Floats:
    return alpha_grid(alpha_max(problem), n, eps)


def objective(problem: Problem, alpha: float, coef: Floats) -> float:
    smooth = problem.variance / 2 - problem.covariance @ coef + coef @ problem.gram @ coef / 2
    l1, l2 = alpha * problem.l1_factor, alpha * problem.l2_factor
    return float(smooth + l1 @ np.abs(coef) + l2 @ coef**2 / 2)


def enumerated(problem: Problem, alpha: float) -> Floats:
    """The best of the stationary points of every choice of signs, zeros and bounds."""
    p, best = len(problem.covariance), np.zeros(len(problem.covariance))
    l1, l2 = alpha * problem.l1_factor, alpha * problem.l2_factor
    for state in product(("low", "negative", "zero", "positive", "high"), repeat=p):
        coef = np.array(
            [{"low": low, "high": high}.get(s, 0.0) for s, low, high in
             zip(state, problem.low, problem.high, strict=True)]
        )  # fmt: skip
        if not np.isfinite(coef).all():
            continue
        sign = np.array([{"negative": -1.0, "positive": 1.0}.get(s, 0.0) for s in state])
        free = sign != 0
        right = (problem.covariance - problem.gram @ coef - l1 * sign)[free]
        coef[free] = np.linalg.solve(problem.gram[np.ix_(free, free)] + np.diag(l2[free]), right)
        within = np.all((coef >= problem.low) & (coef <= problem.high))
        if within and objective(problem, alpha, coef) < objective(problem, alpha, best):
            best = coef
    return best


def violations(problem: Problem, alpha: float, coef: Floats) -> Floats:
    """How far each coefficient is from optimal: zero must lie in the subdifferential."""
    slopes = problem.covariance - problem.gram @ coef - alpha * problem.l2_factor * coef
    found = []
    for slope, l1, w, low, high in zip(
        slopes, alpha * problem.l1_factor, coef, problem.low, problem.high, strict=True
    ):
        # The penalty's derivatives to the left and to the right, and the bounds' infinite ones.
        left = -INF if w <= low else (l1 if w > 0 else -l1)
        right = INF if w >= high else (-l1 if w < 0 else l1)
        found.append(max(left - slope, slope - right, 0.0))
    return np.array(found)


X4, _ = data(60, 4)
SMALL = problem_of(X4, X4 @ [1.0, -0.7, 0.4, -0.2] + np.random.default_rng(1).normal(size=60))
KINDS = {
    "lasso": SMALL,
    "elastic net": replace(SMALL, l1_factor=np.full(4, 0.3), l2_factor=np.full(4, 0.7)),
    "ridge": replace(SMALL, l1_factor=np.zeros(4), l2_factor=np.ones(4)),
    "non-negative": replace(SMALL, low=np.zeros(4)),
    "non-positive": replace(SMALL, high=np.zeros(4)),
    "boxed": replace(SMALL, low=np.full(4, -0.1), high=np.full(4, 0.3)),
    "boxed elastic net": replace(
        SMALL,
        l1_factor=np.full(4, 0.3),
        l2_factor=np.full(4, 0.7),
        low=np.full(4, -0.1),
        high=np.full(4, 0.3),
    ),
    "half boxed": replace(SMALL, high=np.array([0.2, INF, 0.0, INF])),
    "one unpenalised": replace(SMALL, l1_factor=np.array([0.0, 1.0, 2.0, 0.5])),
    "unpenalised and boxed": replace(
        SMALL, l1_factor=np.array([0.0, 1.0, 2.0, 0.0]), high=np.array([0.2, INF, INF, INF])
    ),
}
kinds = pytest.mark.parametrize("kind", KINDS)


@kinds
def test_each_kind_of_problem_has_the_solution_found_by_enumeration(kind: str) -> None:
    problem = KINDS[kind]
    alphas = [1.0, 0.3, 0.1, 0.01, 0.0]
    path = solve_path(problem, alphas)
    expected = [enumerated(problem, alpha) for alpha in alphas]
    assert np.count_nonzero(expected) >= 4
    assert_allclose(path.coef, expected, rtol=1e-10, atol=1e-12)
    assert path.converged.all()


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "ridge"])
def test_alpha_max_is_where_the_first_penalised_coefficient_enters(kind: str) -> None:
    problem = KINDS[kind]
    largest, penalised = alpha_max(problem), problem.l1_factor > 0
    assert not enumerated(problem, largest * (1 + 1e-6))[penalised].any()
    assert enumerated(problem, largest * (1 - 1e-6))[penalised].any()


@kinds
def test_the_kkt_residual_is_the_distance_to_the_subdifferential(kind: str) -> None:
    problem, rng = KINDS[kind], np.random.default_rng(0)
    for _ in range(50):
        coef = np.clip(rng.normal(size=4) * rng.integers(0, 2, 4), problem.low, problem.high)
        gradient = problem.covariance - problem.gram @ coef
        l1, l2 = 0.1 * problem.l1_factor, 0.1 * problem.l2_factor
        found = kkt_violation(Penalised(problem, l1, l2), coef, gradient)
        assert_allclose(found, violations(problem, 0.1, coef), rtol=1e-12, atol=1e-13)


@kinds
def test_the_duality_gap_bounds_how_much_worse_than_optimal_a_point_is(kind: str) -> None:
    problem, rng = KINDS[kind], np.random.default_rng(0)
    optimum = enumerated_at_tenth(kind)
    best = objective(problem, 0.1, optimum)
    l1, l2 = 0.1 * problem.l1_factor, 0.1 * problem.l2_factor
    for size in (1.0, 1e-1, 1e-2, 1e-3, 0.0):
        for start in (optimum, np.zeros(4)):
            step = size * rng.normal(size=(25, 4)) * rng.integers(0, 2, (25, 4))
            for coef in np.clip(start + step, problem.low, problem.high):
                gradient = problem.covariance - problem.gram @ coef
                gap = dual_gap(Penalised(problem, l1, l2), coef, gradient)
                assert gap >= objective(problem, 0.1, coef) - best - 1e-13


@kinds
def test_the_duality_gap_and_the_kkt_residual_vanish_at_the_optimum_only(kind: str) -> None:
    problem, best = KINDS[kind], enumerated_at_tenth(kind)
    l1, l2 = 0.1 * problem.l1_factor, 0.1 * problem.l2_factor

    def certified(coef: Floats) -> tuple[float, float]:
        gradient = problem.covariance - problem.gram @ coef
        gap = dual_gap(Penalised(problem, l1, l2), coef, gradient)
        return gap, float(kkt_violation(Penalised(problem, l1, l2), coef, gradient).max())

    assert max(certified(best)) < 1e-12
    inside = (best > problem.low + 0.01) & (best < problem.high - 0.01)
    for j in np.flatnonzero(inside):
        gaps, residuals = zip(
            *(certified(best + size * np.eye(4)[j]) for size in (1e-5, 1e-3, 1e-2)), strict=True
        )
        assert 0 < gaps[0] < gaps[1] < gaps[2]
        assert 1e-6 < residuals[0] < residuals[1] < residuals[2]


_AT_TENTH: dict[str, Floats] = {}


def enumerated_at_tenth(kind: str) -> Floats:
    if kind not in _AT_TENTH:
        _AT_TENTH[kind] = enumerated(KINDS[kind], 0.1)
    return _AT_TENTH[kind]


def test_the_path_is_that_of_coordinate_descent_on_the_rows() -> None:
    X, y = data()
    problem = problem_of(X, y)
    alphas = path_alphas(problem)
    _, expected, _ = lasso_path(*standardised(X, y), alphas=alphas, tol=1e-14, max_iter=10**6)
    assert_allclose(solve_path(problem, alphas).coef, expected.T, rtol=1e-8, atol=1e-9)


def test_the_path_is_that_of_least_angle_regression() -> None:
    X, y = data()
    problem, n = problem_of(X, y), len(X)
    alphas, _, expected = lars_path_gram(
        n * problem.covariance, n * problem.gram, n_samples=n, method="lasso"
    )
    assert len(alphas) == 9
    assert_allclose(alpha_max(problem), alphas[0], rtol=1e-12)
    assert_allclose(solve_path(problem, alphas).coef, expected.T, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("sign", [1, -1])
def test_the_one_sided_path_is_that_of_coordinate_descent_on_the_rows(sign: int) -> None:
    X, y = data()
    side = {"low": np.zeros(8)} if sign > 0 else {"high": np.zeros(8)}
    problem = problem_of(X, y, **side)
    alphas = path_alphas(problem)
    X, y = standardised(X, y)
    _, expected, _ = lasso_path(
        sign * X, y, alphas=alphas, positive=True, tol=1e-14, max_iter=10**6
    )
    assert 0 < np.count_nonzero(expected[:, -1]) < 8
    found = solve_path(problem, alphas).coef
    assert_allclose(found, sign * expected.T, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("l1_ratio", [0.9, 0.5, 0.05])
def test_the_elastic_net_path_is_that_of_coordinate_descent_on_the_rows(l1_ratio: float) -> None:
    X, y = data()
    problem = problem_of(X, y, l1_factor=np.full(8, l1_ratio), l2_factor=np.full(8, 1 - l1_ratio))
    alphas = path_alphas(problem)
    _, expected, _ = enet_path(
        *standardised(X, y), l1_ratio=l1_ratio, alphas=alphas, tol=1e-14, max_iter=10**6
    )
    assert_allclose(solve_path(problem, alphas).coef, expected.T, rtol=1e-8, atol=1e-9)


def test_penalty_factors_are_a_rescaling_of_the_columns() -> None:
    (X, y), factors = data(), np.geomspace(0.1, 10, 8)
    problem = problem_of(X, y, l1_factor=factors)
    alphas = path_alphas(problem)
    X, y = standardised(X, y)
    _, expected, _ = lasso_path(X / factors, y, alphas=alphas, tol=1e-14, max_iter=10**6)
    found = solve_path(problem, alphas).coef
    assert_allclose(found, expected.T / factors, rtol=1e-7, atol=1e-8)


def test_an_unpenalised_coefficient_is_partialled_out() -> None:
    X, y = data()
    problem = problem_of(X, y, l1_factor=np.array([0.0, 0.0, 1, 1, 1, 1, 1, 1]))
    alphas = path_alphas(problem)
    X, y = standardised(X, y)
    free, rest = X[:, :2], X[:, 2:]
    rest, residual = (v - free @ np.linalg.lstsq(free, v)[0] for v in (rest, y))
    largest = np.abs(rest.T @ residual).max() / len(y)
    _, expected, _ = lasso_path(rest, residual, alphas=alphas, tol=1e-14, max_iter=10**6)
    found = solve_path(problem, alphas).coef
    assert_allclose(alphas[0], largest, rtol=1e-12)
    assert_allclose(found[:, 2:], expected.T, rtol=1e-7, atol=1e-8)
    on_free = np.linalg.lstsq(free, y[:, None] - X[:, 2:] @ expected)[0]
    assert_allclose(found[:, :2], on_free.T, rtol=1e-7, atol=1e-8)


def collinear() -> tuple[Floats, Floats]:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 3)) @ rng.normal(size=(3, 8)) + 1e-3 * rng.normal(size=(300, 8))
    return X, X @ rng.normal(size=8) + rng.normal(size=300)


def test_collinear_columns_without_a_penalty_have_the_least_squares_solution() -> None:
    X, y = collinear()
    path = solve_path(problem_of(X, y, l1_factor=np.zeros(8)), [0.1])
    X, y = standardised(X, y)
    expected = np.linalg.lstsq(X, y)[0]
    assert path.converged.all()
    assert_allclose(X @ path.coef[0], X @ expected, rtol=1e-7, atol=1e-8)


def test_collinear_columns_of_which_some_are_unpenalised_have_a_certified_path() -> None:
    X, y = collinear()
    problem = problem_of(X, y, l1_factor=np.array([0.0, 0, 0, 0, 1, 1, 1, 1]))
    path = solve_path(problem, path_alphas(problem))
    assert path.converged.all()


def test_without_a_penalty_the_longley_slopes_are_nists_to_ten_digits() -> None:
    rows = longley.load_pandas()
    X, y = rows.exog.to_numpy(float), rows.endog.to_numpy(float)
    certified = [
        15.0618722713733,
        -0.0358191792925910,
        -2.02022980381683,
        -1.03322686717359,
        -0.0511041056535807,
        1829.15146461355,
    ]
    path = solve_path(problem_of(X, y), [0.0])
    assert path.converged.all()
    assert_allclose(path.coef[0] / X.std(axis=0), certified, rtol=1e-10)


def test_some_unpenalised_columns_of_the_longley_data_have_a_certified_path() -> None:
    rows = longley.load_pandas()
    X, y = rows.exog.to_numpy(float), rows.endog.to_numpy(float)
    problem = problem_of(X, y, l1_factor=np.array([0.0, 0.0, 1.0, 1.0, 1.0, 1.0]))
    assert solve_path(problem, path_alphas(problem)).converged.all()


def test_more_columns_than_rows_have_the_path_of_coordinate_descent_on_the_rows() -> None:
    X, y = data(40, 100)
    problem = problem_of(X, y)
    alphas = path_alphas(problem, 20, 1e-2)
    path = solve_path(problem, alphas)
    _, expected, _ = lasso_path(*standardised(X, y), alphas=alphas, tol=1e-14, max_iter=10**6)
    assert path.converged.all()
    assert_allclose(path.coef, expected.T, rtol=1e-6, atol=1e-7)


def test_duplicated_columns_share_the_coefficient_of_one() -> None:
    X, y = data()
    once = problem_of(X, y)
    alphas = path_alphas(once)
    path = solve_path(problem_of(np.hstack([X, X, -X]), y), alphas)
    _, expected, _ = lasso_path(*standardised(X, y), alphas=alphas, tol=1e-14, max_iter=10**6)
    shared = path.coef[:, :8] + path.coef[:, 8:16] - path.coef[:, 16:]
    assert path.converged.all()
    assert_allclose(shared, expected.T, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("copies", [2, 3])
def test_duplicated_columns_without_a_penalty_have_a_certified_least_squares_fit(
    copies: int,
) -> None:
    for seed in range(20):
        X, y = data(seed=seed)
        problem = problem_of(np.hstack([X] * copies), y, l1_factor=np.zeros(8 * copies))
        path = solve_path(problem, [0.1])
        X, y = standardised(X, y)
        shared = path.coef[0].reshape(copies, 8).sum(axis=0)
        assert_allclose(shared, np.linalg.lstsq(X, y)[0], rtol=1e-8, atol=1e-9)
        assert path.converged.all()


def test_all_levels_of_categories_without_a_penalty_have_a_certified_least_squares_fit() -> None:
    for seed in range(20):
        rng = np.random.default_rng(seed)
        levels = [rng.integers(0, k, 1000)[:, None] == np.arange(k) for k in (10, 5)]
        X = np.hstack([rng.normal(size=(1000, 10)), *levels]).astype(float)
        y = X @ rng.normal(size=25) + rng.normal(size=1000)
        path = solve_path(problem_of(X, y, l1_factor=np.zeros(25)), [0.1])
        X, y = standardised(X, y)
        assert_allclose(X @ path.coef[0], X @ np.linalg.lstsq(X, y)[0], rtol=1e-8, atol=1e-9)
        assert path.converged.all()


def test_a_linearly_dependent_column_leaves_the_optimal_objective() -> None:
    X, y = data()
    X = np.column_stack([X, X @ np.arange(1.0, 9.0), X.sum(axis=1)])
    problem = problem_of(X, y)
    alphas = path_alphas(problem, 10)
    path = solve_path(problem, alphas)
    assert path.converged.all()
    for alpha, coef in zip(alphas, path.coef, strict=True):
        model = Lasso(alpha=alpha, fit_intercept=False, tol=1e-12, max_iter=10**6)
        expected = model.fit(*standardised(X, y)).coef_
        best = objective(problem, alpha, expected)
        assert_allclose(objective(problem, alpha, coef), best, rtol=1e-10)


def test_active_columns_that_depend_on_others_cost_no_hundreds_of_sweeps() -> None:
    """As rare columns do: of twins both are active where a fit starts that had them so."""
    X, y = data(n=300, p=60, seed=5)
    X = np.hstack([X + X[:, :1], X + X[:, :1]])
    problem = problem_of(X, y)
    alpha = 0.01 * alpha_max(problem)
    start = np.tile(solve_path(problem, [alpha]).coef[0][:60] / 2, 2)
    path = solve_path(problem, [alpha / 2], start)
    assert np.linalg.matrix_rank(problem.gram[:, path.coef[0] != 0]) < np.sum(path.coef != 0)
    assert path.n_iter[0] <= 600  # 400 or 500, as the processor rounds, and not 1,100
    assert path.kkt[0] <= 1e-14
    alone = solve_path(problem_of(X[:, :60], y), [alpha / 2])
    assert_allclose(path.coef[0].reshape(2, 60).sum(axis=0), alone.coef[0], atol=1e-12)


@pytest.mark.parametrize("n_columns", [600, 300])
def test_sweeps_of_some_of_many_columns_find_the_solution_of_all(n_columns: int) -> None:
    X, y = data(n=150, p=n_columns, seed=6)
    problem = problem_of(X, y)
    alphas = path_alphas(problem, 8, 0.05)
    path = solve_path(problem, alphas)
    expected = lasso_path(*standardised(X, y), alphas=alphas, tol=1e-14, max_iter=100_000)[1].T
    assert_allclose(path.coef, expected, atol=1e-7)
    assert path.kkt.max() <= 1e-12


@pytest.mark.parametrize("p", [8, 100])
def test_the_residuals_stored_along_the_path_are_those_of_its_solutions(p: int) -> None:
    X, y = data(60, p)
    problem = problem_of(np.hstack([X, X]), y)
    alphas = path_alphas(problem, 15, 1e-2)
    path = solve_path(problem, alphas)
    for alpha, coef, kkt in zip(alphas, path.coef, path.kkt, strict=True):
        exact = violations(problem, alpha, coef).max() / np.sqrt(problem.variance)
        assert exact < 1e-11
        assert abs(kkt - exact) < 1e-12


def test_a_fit_cut_short_says_by_its_gap_how_far_it_is_from_optimal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    X, y = data(60, 20)
    problem = problem_of(X, y)
    exact = solve_path(problem, [0.01])
    monkeypatch.setattr(lasso, "MAX_SWEEPS", 2)
    monkeypatch.setattr(lasso, "_polish", lambda *_, **__: False)
    short = solve_path(problem, [0.01])
    excess = objective(problem, 0.01, short.coef[0]) - objective(problem, 0.01, exact.coef[0])
    assert exact.converged.all()
    assert not short.converged.any()
    assert 0 < excess <= short.dual_gap[0] * problem.variance
    assert short.kkt[0] > 1e-6 > 1e-12 > exact.kkt[0]


def test_coordinate_descent_alone_reaches_the_same_solutions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    problem = problem_of(*data())
    alphas = path_alphas(problem)
    polished = solve_path(problem, alphas)
    monkeypatch.setattr(lasso, "_polish", lambda *_, **__: False)
    descended = solve_path(problem, alphas)
    assert descended.converged.all()
    assert_allclose(descended.coef, polished.coef, rtol=1e-7, atol=1e-8)


def test_a_solution_does_not_depend_on_the_alphas_before_it() -> None:
    problem = problem_of(*data(60, 30))
    alphas = path_alphas(problem, 20)
    path = solve_path(problem, alphas).coef
    cold = np.array([solve_path(problem, [alpha]).coef[0] for alpha in alphas])
    assert_allclose(cold, path, rtol=1e-9, atol=1e-11)


def test_columns_that_the_strong_rule_discards_wrongly_are_brought_back() -> None:
    X, y = data(60, 30)
    problem = problem_of(X, y)
    # From so large an alpha the rule keeps no column at all.
    largest = alpha_max(problem)
    coef = solve_path(problem, [100 * largest, 0.1 * largest]).coef[1]
    model = Lasso(alpha=0.1 * largest, fit_intercept=False, tol=1e-12, max_iter=10**6)
    expected = model.fit(*standardised(X, y)).coef_
    assert_allclose(coef, expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("weighed", [False, True])
def test_at_alpha_max_every_coefficient_is_zero_exactly(weighed: bool) -> None:
    for seed in range(100):
        X, y = data(60, seed=seed)
        factors = np.random.default_rng(seed).uniform(0.5, 2, 8) if weighed else np.ones(8)
        problem = problem_of(X, y, l1_factor=factors)
        path = solve_path(problem, path_alphas(problem, 3))
        assert not path.coef[0].any()
        assert path.coef[1].any()


def test_at_alpha_max_only_unpenalised_coefficients_are_not_zero_exactly() -> None:
    for seed in range(100):
        X, y = data(200, 30, seed=seed)
        factors = np.repeat([0.0, 1.0], [3, 27])
        problem = problem_of(X + 3 * X[:, :1], y, l1_factor=factors)
        path = solve_path(problem, path_alphas(problem, 3))
        assert path.coef[0, :3].all()
        assert not path.coef[0, 3:].any()
        assert path.coef[1, 3:].any()


def test_a_target_without_variance_has_zero_coefficients() -> None:
    X, y = data()
    problem = replace(problem_of(X, y), covariance=np.zeros(8), variance=0.0)
    path = solve_path(problem, [1.0, 0.1, 0.0])
    assert path.coef.shape == (3, 8)
    assert not path.coef.any()
    assert path.converged.all()


def test_a_problem_without_columns_has_an_empty_path() -> None:
    problem = problem_of(np.empty((10, 0)), np.arange(10.0))
    path = solve_path(problem, [1.0, 0.1])
    assert path.coef.shape == (2, 0)
    assert alpha_max(problem) == 0
    assert path.converged.all()


def test_no_alphas_have_an_empty_path() -> None:
    assert solve_path(problem_of(*data()), []).coef.shape == (0, 8)


def test_the_problem_is_left_as_it_was() -> None:
    problem = problem_of(*data())
    before = [value.tobytes() for value in (problem.gram, problem.covariance)]
    solve_path(problem, path_alphas(problem, 5))
    assert [value.tobytes() for value in (problem.gram, problem.covariance)] == before


def test_solving_again_gives_the_same_bits() -> None:
    problem = problem_of(*data(40, 60))
    alphas = path_alphas(problem, 20, 1e-2)
    once, again = solve_path(problem, alphas), solve_path(problem, alphas)
    assert once.coef.tobytes() == again.coef.tobytes()
    assert once.dual_gap.tobytes() == again.dual_gap.tobytes()


def test_the_sweeps_of_solutions_that_need_some_are_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    problem = problem_of(*data())
    assert not solve_path(problem, path_alphas(problem, 10)).n_iter.any()
    monkeypatch.setattr(lasso, "_polish", lambda *_, **__: False)
    path = solve_path(problem, path_alphas(problem, 10))
    assert np.all(path.n_iter[1:] >= 1)


def test_the_alphas_fall_from_the_largest_by_equal_ratios() -> None:
    alphas = alpha_grid(45.0, 100, 1e-3)
    assert len(alphas) == 100
    assert alphas[0] == 45.0
    assert_allclose(alphas[-1], 0.045, rtol=1e-12)
    assert_allclose(alphas[1:] / alphas[:-1], 1e-3 ** (1 / 99), rtol=1e-12)


def test_where_nothing_is_penalised_every_alpha_is_zero() -> None:
    assert alpha_grid(0.0, 5, 1e-3).tolist() == [0.0] * 5


def test_an_elastic_net_of_correlated_copies_shares_alike() -> None:
    X, y = data()
    twice = np.hstack([X, X])
    problem = problem_of(twice, y, l1_factor=np.full(16, 0.5), l2_factor=np.full(16, 0.5))
    coef = solve_path(problem, path_alphas(problem, 10)).coef
    model = ElasticNet(
        alpha=path_alphas(problem, 10)[-1],
        l1_ratio=0.5,
        fit_intercept=False,
        tol=1e-14,
        max_iter=10**6,
    )
    expected = model.fit(*standardised(twice, y)).coef_
    assert_allclose(coef[:, :8], coef[:, 8:], rtol=1e-9, atol=1e-11)
    assert_allclose(coef[-1], expected, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("copies", [2, 3, 60])
def test_of_equal_columns_one_has_the_coefficient_and_the_others_are_zero(copies: int) -> None:
    few, y = data(120, 25, 5)
    alphas = np.geomspace(alpha_max(problem_of(few, y)), 0.01, 40)
    expected = solve_path(problem_of(few, y), alphas).coef
    path = solve_path(problem_of(np.repeat(few, copies, axis=1), y), alphas)
    assert path.converged.all()
    by_column = path.coef.reshape(len(alphas), 25, copies)
    assert_allclose(by_column.sum(axis=2), expected, atol=1e-10)
    assert ((by_column != 0).sum(axis=2) == (expected != 0)).all()


def test_a_fit_to_one_alpha_ends_when_the_work_is_not_wanted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    steps, problem = Steps(), problem_of(*data())
    sweep, calls = descent.descend, []

    def descend(**of: Any) -> int:
        calls.append(1)
        steps.stop()
        return sweep(**of)

    monkeypatch.setattr(descent, "descend", descend)
    monkeypatch.setattr(lasso, "_polish", lambda *_, **__: False)
    with pytest.raises(StoppedError):
        solve_path(problem, [0.01], steps=steps)
    assert len(calls) == 1
