"""Against refits with scikit-learn to the rows of the resamples."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray
from sklearn.linear_model import Lasso, LinearRegression, lars_path_gram
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import RobustScaler, StandardScaler

from lasso_jobs.core.fit import one_alpha
from lasso_jobs.core.fit.design import Recipe
from lasso_jobs.core.inference.refits.bootstrap import Bootstrap, bootstrap, draws
from lasso_jobs.core.inference.refits.groups import ResamplingGroups
from lasso_jobs.core.rows.moments import Moments
from lasso_jobs.core.rows.sample import Sample
from lasso_jobs.core.threads import Steps

Floats = NDArray[np.float64]
Rows = Callable[..., Moments]
RecipeOf = Callable[..., Recipe]

ALPHA, RESAMPLES, SEED, GROUPS = 0.3, 60, 5, 20
N, P = 400, 6


class Table:
    """Rows in groups of unequal size; half of the columns are noise."""

    def __init__(self) -> None:
        rng = np.random.default_rng(1)
        self.X = rng.normal(size=(N, P)) * np.geomspace(0.5, 4, P) + 3
        self.y = self.X @ [2.0, -0.8, 0.2, 0, 0, 0] + 2 * rng.normal(size=N)
        self.group = np.sort(rng.integers(0, GROUPS, N))

    def groups(self, moments_of: Rows, sampled: bool = False) -> ResamplingGroups:
        parts = tuple(
            moments_of(self.X[self.group == g], self.y[self.group == g]) for g in range(GROUPS)
        )
        hashes = np.arange(N, dtype=np.uint64)
        values = np.ascontiguousarray(self.X.T)
        sample = Sample(size=N, hashes=hashes, buckets=self.group, values=values)
        return ResamplingGroups(parts, sample if sampled else None)

    def rows(self, times: NDArray[np.intp]) -> NDArray[np.intp]:
        return np.repeat(np.arange(N), times[self.group])


def found_of(
    groups: ResamplingGroups, recipe: Recipe, threads: int | None = None, gamma: float = 1.0
) -> Bootstrap:
    alphas = np.array([ALPHA])
    fit = one_alpha.fit(recipe, groups.merged(), alphas, gamma=gamma, sample=groups.sample)
    steps = Steps(n_threads=threads)
    found = bootstrap(fit, recipe, groups, gamma=gamma, resamples=RESAMPLES, seed=SEED, steps=steps)
    assert found is not None
    return found


@pytest.mark.parametrize("scaler", [StandardScaler, RobustScaler])
def test_errors_and_frequencies_are_those_of_pipelines_refitted_to_the_rows(
    scaler: type, moments_of: Rows, recipe_of: RecipeOf
) -> None:
    data, robust = Table(), scaler is RobustScaler
    groups = data.groups(moments_of, sampled=robust)
    found = found_of(groups, recipe_of(P, scaling="robust" if robust else "standard"))
    coefs = []
    for times in draws(GROUPS, RESAMPLES, SEED):
        rows, lasso = data.rows(times), Lasso(alpha=ALPHA, tol=1e-12, max_iter=10**6)
        pipeline = make_pipeline(scaler(), lasso).fit(data.X[rows], data.y[rows])
        coefs.append(lasso.coef_ / pipeline[0].scale_)
    assert_allclose(np.nan_to_num(found.standard_error), np.std(coefs, axis=0, ddof=1), rtol=1e-6)
    assert_array_equal(found.frequency, (np.array(coefs) != 0).mean(axis=0))
    assert found.frequency[2:].min() > 0 or np.isnan(found.standard_error).any()
    assert found.converged


def test_intervals_join_the_quantiles_with_those_around_a_known_truth(
    moments_of: Rows, recipe_of: RecipeOf
) -> None:
    data = Table()
    found = found_of(data.groups(moments_of), recipe_of(P))
    mean, sd = data.X.mean(axis=0), data.X.std(axis=0)
    lasso = Lasso(alpha=ALPHA, tol=1e-12).fit((data.X - mean) / sd, data.y)
    b, active = lasso.coef_ / sd, np.flatnonzero(lasso.coef_)
    ols = LinearRegression().fit(data.X[:, active], data.y)
    residuals = data.y - ols.predict(data.X[:, active])
    centred = data.X[:, active] - mean[active]
    error = np.sqrt(np.diag(np.linalg.inv(centred.T @ centred)) * residuals.var())
    truth = np.zeros(P)
    truth[active] = np.where(np.abs(ols.coef_) > 2 * error, ols.coef_, 0)
    left = data.y - data.y.mean() - (data.X - mean) @ b
    coefs, moved = [], []
    for times in draws(GROUPS, RESAMPLES, SEED):
        rows = data.rows(times)
        X, y = data.X[rows] - data.X[rows].mean(axis=0), data.y[rows] - data.y[rows].mean()
        scale = X.std(axis=0)
        target = X @ truth + (y - X @ b)
        less = (data.X - mean).T @ left / N
        gram = X.T @ X / len(rows) / np.outer(scale, scale)
        for products, into in (
            (X.T @ y / len(rows), coefs),
            (X.T @ target / len(rows) - less, moved),
        ):
            # Of a "sample" of one row, so that nothing is divided by the number of rows.
            _, _, path = lars_path_gram(
                products / scale, gram, n_samples=1, alpha_min=ALPHA, method="lasso"
            )
            into.append(path[:, -1] / scale)
    low, high = np.quantile(coefs, [0.05, 0.95], axis=0)
    below, above = np.quantile(np.array(moved) - truth, [0.05, 0.95], axis=0)
    seen = found.frequency > 0
    assert_allclose(found.low[seen], np.minimum(low, b - above)[seen], rtol=1e-6, atol=1e-10)
    assert_allclose(found.high[seen], np.maximum(high, b - below)[seen], rtol=1e-6, atol=1e-10)
    assert np.isnan(found.low[~seen]).all()
    assert found.high[0] > np.quantile(coefs, 0.95, axis=0)[0]  # what the penalty takes away


def test_nothing_depends_on_the_number_of_threads(moments_of: Rows, recipe_of: RecipeOf) -> None:
    groups = Table().groups(moments_of)
    one, four = (found_of(groups, recipe_of(P), threads=n, gamma=0.5) for n in (1, 4))
    for name in ("standard_error", "low", "high", "frequency"):
        assert_array_equal(getattr(one, name), getattr(four, name))


def test_few_groups_are_no_bootstrap(moments_of: Rows, recipe_of: RecipeOf) -> None:
    groups = ResamplingGroups(Table().groups(moments_of).moments[:-1])
    fit = one_alpha.fit(recipe_of(P), groups.merged(), np.array([ALPHA]))
    assert bootstrap(fit, recipe_of(P), groups, resamples=50, seed=0) is None


def test_draws_have_as_many_groups_and_are_seeded() -> None:
    first = np.array(draws(30, 400, 0))
    assert_array_equal(first.sum(axis=1), np.full(400, 30))
    assert_array_equal(first, np.array(draws(30, 400, 0)))
    assert not np.array_equal(first, np.array(draws(30, 400, 1)))
    # The count of each group is binomial: mean 1, variance 29 / 30.
    assert abs(first.mean(axis=0) - 1).max() < 4 * np.sqrt(29 / 30 / 400)
    assert first.var(axis=0, ddof=1).mean() == pytest.approx(29 / 30, abs=0.1)


@pytest.mark.slow
def test_errors_come_near_the_spread_over_fresh_data_and_intervals_cover(
    moments_of: Rows, recipe_of: RecipeOf
) -> None:
    estimates, errors, covered = [], [], []
    for seed in range(30):
        rng = np.random.default_rng(seed)
        X = rng.normal(size=(400, 3))
        y = X @ [1.0, -0.5, 0] + rng.normal(size=400)
        parts = tuple(moments_of(X[g::40], y[g::40]) for g in range(40))
        fit = one_alpha.fit(recipe_of(3), ResamplingGroups(parts).merged(), np.array([0.1]))
        found = bootstrap(fit, recipe_of(3), ResamplingGroups(parts), resamples=60, seed=seed)
        assert found is not None
        estimates.append(fit.coef)
        errors.append(found.standard_error)
        covered.append((found.low <= [1, -0.5, 0]) & (found.high >= [1, -0.5, 0]))
    ratio = np.mean(errors, axis=0)[:2] / np.std(estimates, axis=0)[:2]
    assert np.all((ratio > 0.75) & (ratio < 1.35))
    # Alpha takes two standard errors away, and yet about nine of ten hold the truth.
    assert np.mean(covered, axis=0)[:2].min() > 0.8


def test_intervals_keep_within_the_bounds(moments_of: Rows, recipe_of: RecipeOf) -> None:
    found = found_of(Table().groups(moments_of), recipe_of(P, bounds={"x0": (0.0, 1.0)}))
    assert 0.9 < found.low[0] < found.high[0] == 1.0
