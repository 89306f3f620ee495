"""Gradients of columns outside a working set equal those of the problem on all columns."""

from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lasso_jobs.core.fit import design as d
from lasso_jobs.core.fit.design import Scaling
from lasso_jobs.core.fit.gradient_sums import Fits, GradientSums
from lasso_jobs.core.fit.lasso import alpha_grid, alpha_max, solve_path
from lasso_jobs.core.fit.problem import Penalised, kkt_violation
from lasso_jobs.core.fit.screening import Gradients, Penalties, entering
from lasso_jobs.core.rows import marginals as mg
from lasso_jobs.core.rows.blocks.block import Block
from lasso_jobs.core.rows.centring import of_rows
from lasso_jobs.core.rows.columns import Columns
from lasso_jobs.core.rows.moments import Floats

Q, N = 12, 60


def data(seed: int, nulls: float, offset: float) -> tuple[Floats, Floats, Floats]:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(Q, N)) * rng.uniform(0.5, 5, (Q, 1)) + offset
    target = values[0] - 2 * values[1] + rng.normal(size=N)
    values[rng.random((Q, N)) < nulls] = np.nan
    return values, target, rng.uniform(0.1, 2, N)


def scanned(
    fits: Fits, values: Floats, target: Floats, weights: Floats, reference: Floats, recipe: d.Recipe
) -> GradientSums:
    """What a scan leaves of all rows, by plain sums."""
    inside = [int(name[1:]) for name in recipe.columns.numeric]
    block = Block(N, [values[j] for j in inside], ())
    residuals = fits.residuals(block, recipe.columns, recipe.indicators, target) * weights
    null = np.isnan(values)
    shifted = np.where(null, 0.0, values - reference[:, None])
    return GradientSums(shifted @ residuals.T, null.astype(float) @ residuals.T, residuals.sum(1))


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 10_000),
    nulls=st.sampled_from([0.0, 0.2]),
    offset=st.sampled_from([0.0, 1e5]),
    scaling=st.sampled_from(["standard", "minmax", "none"]),
    indicators=st.booleans(),
    l1_ratio=st.sampled_from([1.0, 0.5]),
)
def test_gradients_are_those_of_the_problem_on_all_columns(
    seed: int, nulls: float, offset: float, scaling: Scaling, indicators: bool, l1_ratio: float
) -> None:
    values, target, weights = data(seed, nulls, offset)
    names = tuple(f"x{j}" for j in range(Q))
    with_nulls = tuple(np.flatnonzero(np.isnan(values).any(axis=1)).tolist())
    options = {"scaling": scaling, "l1_ratio": l1_ratio, "penalty_factors": {"x3": 0.5}}
    whole = d.Recipe(
        columns=Columns(names, ()), indicators=with_nulls if indicators else (), **options
    )
    everything = d.fit(whole, of_rows(np.vstack([values, target]), weights))
    # Of the working set alone: half of the columns.
    inside = np.arange(0, Q, 2)
    kept = {int(j): k for k, j in enumerate(inside)}
    part = d.Recipe(
        columns=Columns(tuple(names[j] for j in inside), ()),
        indicators=tuple(kept[j] for j in whole.indicators if j in kept),
        scaling=scaling,
        l1_ratio=l1_ratio,
    )
    small = d.fit(part, of_rows(np.vstack([values[inside], target]), weights))
    alphas = alpha_grid(alpha_max(everything.problem), 5, 0.05)
    path = solve_path(small.problem, alphas)
    fits = Fits.of(part, small, path.coef, [0])
    marginals = mg.of_rows(values, target, np.array([N]), weights)[0]
    penalties = Penalties.of(whole, indicators=indicators)
    reference = marginals.mean + 0.01
    sums = scanned(fits, values, target, weights, reference, part)
    found = Gradients.of_sums(marginals, penalties, sums, reference)
    # The same coefficients among all columns.
    labels = dict(zip(part.labels, range(len(part.labels)), strict=True))
    coef = np.zeros((len(alphas), len(whole.labels)))
    small_coef = np.zeros((len(alphas), len(part.labels)))
    small_coef[:, small.usable] = path.coef
    for j, label in enumerate(whole.labels):
        if label in labels:
            coef[:, j] = small_coef[:, labels[label]]
    problem = everything.problem
    coef = coef[:, everything.usable]
    expected = problem.covariance - coef @ problem.gram
    numbers = np.flatnonzero(everything.usable[:Q])
    np.testing.assert_allclose(
        found.values[numbers].T, expected[:, : len(numbers)], atol=1e-9, rtol=1e-7
    )
    for i, alpha in enumerate(alphas):
        here = Penalised(problem, alpha * problem.l1_factor, 0 * problem.l2_factor)
        violation = kkt_violation(here, coef[i], expected[i]) / np.sqrt(problem.variance)
        outside = [k for k, j in enumerate(numbers) if j % 2]
        mine = found.violation(alphas)[numbers[outside], i]
        assert (mine >= violation[outside] - 1e-9).all()
        if not indicators:
            np.testing.assert_allclose(mine, violation[outside], atol=1e-9)


def test_a_column_enters_where_its_gradient_meets_its_penalty() -> None:
    values, target, _ = data(4, 0.0, 0.0)
    columns = Columns(tuple(f"x{j}" for j in range(Q)), ())
    marginals = mg.of_rows(values, target, np.array([N]))[0]
    recipe = d.Recipe(columns=columns, penalty_factors={"x0": 2.0, "x5": 0.0})
    found = Gradients.at_zero(marginals, Penalties.of(recipe, indicators=False)).entry[:, 0]
    plain = Gradients.at_zero(
        marginals, Penalties.of(d.Recipe(columns=columns), indicators=False)
    ).entry[:, 0]
    assert found[5] == np.inf
    np.testing.assert_allclose(found[0], plain[0] / 2)
    correlation = np.corrcoef(values, target)[-1, :-1] * target.std()
    np.testing.assert_allclose(plain, np.abs(correlation))


@pytest.mark.parametrize(
    ("bounds", "stuck"),
    [({"x0": (-1.0, 0.0)}, [0]), ({"x1": (0.0, np.inf)}, [1]), ({"x0": (0.0, 1.0)}, [])],
)
def test_a_bound_at_zero_keeps_a_column_out(
    bounds: Mapping[str, tuple[float, float]], stuck: list[int]
) -> None:
    values, target, _ = data(4, 0.0, 0.0)
    columns = Columns(tuple(f"x{j}" for j in range(Q)), ())
    marginals = mg.of_rows(values, target, np.array([N]))[0]
    penalties = Penalties.of(d.Recipe(columns=columns, bounds=bounds), indicators=False)
    entry = Gradients.at_zero(marginals, penalties).entry[:, 0]
    assert np.flatnonzero(entry == 0).tolist() == stuck


def test_whoever_must_enter_does_beyond_the_most() -> None:
    entry = np.array([1.0, 2.0, 3.0, np.inf, 0.1])
    found = entering(entry, np.zeros(5, bool), last=1.0, target=0.9, most=1)
    assert found.tolist() == [0, 1, 2, 3]
