"""Against refits with scikit-learn to the rows of the halves, and published bounds."""

from collections.abc import Callable
from itertools import combinations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Lasso
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import RobustScaler, StandardScaler

from lasso_jobs.core.fit.design import Recipe
from lasso_jobs.core.inference import stability as st
from lasso_jobs.core.inference.resampling import ResamplingGroups
from lasso_jobs.core.inference.stability import (
    Stability,
    assess,
    complementary_halves,
    jackknife,
)
from lasso_jobs.core.rows.columns import Category, Columns
from lasso_jobs.core.rows.moments import Moments
from lasso_jobs.core.rows.sample import Sample

Floats = NDArray[np.float64]
Rows = Callable[..., Moments]
RecipeOf = Callable[..., Recipe]

ALPHA, PAIRS, THRESHOLD, SEED = 0.25, 12, 0.6, 3


class Table:
    """Rows with nulls in groups of unequal size, half of the columns noise."""

    def __init__(self, n: int = 240, p: int = 8, n_groups: int = 7, nulls: bool = True) -> None:
        rng = np.random.default_rng(5)
        self.X = rng.normal(size=(n, p)) * np.geomspace(0.5, 4, p) + 3
        self.y = self.X[:, : p // 2] @ np.linspace(1, 0.2, p // 2) + 2 * rng.normal(size=n)
        if nulls:
            self.X[rng.random((n, p)) < 0.05] = np.nan
        self.group = rng.choice(
            n_groups, n, p=np.arange(2, 2 + n_groups) / sum(range(2, 2 + n_groups))
        )
        self.n_groups = n_groups

    def moments(self, moments_of: Rows) -> list[Moments]:
        return [
            moments_of(self.X[rows], self.y[rows])
            for rows in (self.group == g for g in range(self.n_groups))
        ]

    def sample(self) -> Sample:
        """All rows, by their group."""
        hashes = np.arange(len(self.y), dtype=np.uint64)
        return Sample(
            size=len(hashes),
            hashes=hashes,
            buckets=self.group,
            values=np.ascontiguousarray(self.X.T),
        )

    def refitted(self, groups: object, scaler: type = StandardScaler) -> Floats:
        """Coefficients in original units of a pipeline fitted to some groups' rows."""
        rows = np.isin(self.group, groups)
        lasso = Lasso(alpha=ALPHA, tol=1e-13, max_iter=10**6)
        pipeline: Pipeline = make_pipeline(SimpleImputer(), scaler(), lasso)
        pipeline.fit(self.X[rows], self.y[rows])
        return np.asarray(lasso.coef_ / pipeline[1].scale_)


def assessed(
    recipe: Recipe,
    parts: list[Moments],
    *,
    alpha: float = ALPHA,
    pairs: int = PAIRS,
    threshold: float = THRESHOLD,
    seed: int = SEED,
    sample: Sample | None = None,
) -> Stability:
    groups = ResamplingGroups(tuple(parts), sample)
    return assess(recipe, groups, alpha=alpha, pairs=pairs, threshold=threshold, seed=seed)


def of(data: Table, moments_of: Rows, recipe: Recipe) -> Stability:
    return assessed(recipe, data.moments(moments_of))


@pytest.mark.parametrize("n_groups", [2, 5, 7, 20])
def test_frequencies_are_those_of_pipelines_refitted_to_the_rows_of_the_halves(
    n_groups: int, moments_of: Rows, recipe_of: RecipeOf
) -> None:
    data = Table(n_groups=n_groups)
    found = of(data, moments_of, recipe_of(8))
    halves = [half for pair in complementary_halves(n_groups, PAIRS, SEED) for half in pair]
    chosen = np.array([data.refitted(half) != 0 for half in halves])
    assert_array_equal(found.frequency, chosen.mean(axis=0))
    assert_array_equal(found.stable, chosen.mean(axis=0) >= THRESHOLD)
    assert len(np.unique(found.frequency)) > 1
    assert found.mean_selected == pytest.approx(chosen.sum(axis=1).mean())
    assert (found.groups, found.pairs, found.n_candidates) == (n_groups, PAIRS, 8)
    assert found.converged


@pytest.mark.parametrize("n_groups", [2, 7])
def test_standard_errors_are_those_of_pipelines_refitted_without_each_group(
    n_groups: int, moments_of: Rows, recipe_of: RecipeOf
) -> None:
    data = Table(n_groups=n_groups)
    groups = np.arange(n_groups)
    without = np.array([data.refitted(groups[groups != g]) for g in groups])
    everything = data.refitted(groups)
    # Busing, Meijer & van der Leeden (1999), equation 9, written out.
    n, g = len(data.y), n_groups
    sizes = np.bincount(data.group)
    jackknifed = g * everything - sum((1 - m / n) * b for m, b in zip(sizes, without, strict=True))
    variance = np.zeros(8)
    for m, b in zip(sizes, without, strict=True):
        h = n / m
        variance += (h * everything - (h - 1) * b - jackknifed) ** 2 / (h - 1) / g
    found = of(data, moments_of, recipe_of(8))
    assert_allclose(found.standard_error, np.sqrt(variance), rtol=1e-7, atol=1e-12)
    assert found.standard_error.max() > 0.01


def test_each_half_has_the_quartiles_of_its_own_rows(moments_of: Rows, recipe_of: RecipeOf) -> None:
    data = Table()
    data.X[:, 3] = np.exp(data.X[:, 3] * (1 + data.group / 9))
    recipe = recipe_of(8, scaling="robust")
    parts = data.moments(moments_of)
    found = assessed(recipe, parts, sample=data.sample())
    halves = [half for pair in complementary_halves(7, PAIRS, SEED) for half in pair]
    chosen = np.array([data.refitted(half, RobustScaler) != 0 for half in halves])
    assert_array_equal(found.frequency, chosen.mean(axis=0))
    groups = np.arange(7)
    without = np.array([data.refitted(groups[groups != g], RobustScaler) for g in groups])
    everything, sizes = data.refitted(groups, RobustScaler), np.bincount(data.group)
    assert_allclose(
        found.standard_error, jackknife(everything, without, sizes.astype(float)), rtol=1e-7
    )
    with pytest.raises(ValueError, match="robust scaling needs a sample"):
        assessed(recipe, parts)


def test_all_halves_keep_the_levels_that_all_rows_keep(moments_of: Rows) -> None:
    """Of five levels the most frequent two of all rows, though other halves have others."""
    rng = np.random.default_rng(12)
    group = np.repeat(np.arange(6), 60)
    shares = np.full((6, 5), 0.1)
    shares[:3, 0] = shares[3:, 1] = shares[::2, 2] = 0.6
    level = np.array([rng.choice(5, p=shares[g] / shares[g].sum()) for g in group])
    y = np.array([2.0, -1.5, 1.0, -3.0, 0.5])[level] + rng.normal(size=360)
    listed = np.eye(5)[level]
    columns = Columns((), (Category("s", tuple("abcde"), False, "string"),))
    parts = [moments_of(listed[group == g], y[group == g]) for g in range(6)]
    found = assessed(Recipe(columns=columns, max_levels=2), parts, alpha=0.1, pairs=10)
    kept = np.sort(np.argsort(-np.bincount(level))[:2])
    rest = np.setdiff1d(np.arange(5), kept)
    grouped_levels = np.column_stack([listed[:, kept], listed[:, rest].sum(axis=1)])

    def selected(half: tuple[int, ...]) -> NDArray[np.bool_]:
        rows = np.isin(group, half)
        lasso = Lasso(alpha=0.1, tol=1e-13, max_iter=10**6)
        make_pipeline(StandardScaler(), lasso).fit(grouped_levels[rows], y[rows])
        return np.asarray(np.abs(lasso.coef_) > 1e-9)

    halves = [half for pair in complementary_halves(6, 10, SEED) for half in pair]
    tops = {tuple(np.argsort(-np.bincount(level[np.isin(group, h)]))[:2]) for h in halves}
    assert len(tops) > 1
    assert_array_equal(found.frequency, np.mean([selected(h) for h in halves], axis=0))


def test_the_jackknife_of_equal_groups_is_the_textbook_one() -> None:
    without = np.random.default_rng(0).normal(size=(6, 3))
    expected = np.sqrt(5 / 6 * ((without - without.mean(axis=0)) ** 2).sum(axis=0))
    assert_allclose(jackknife(np.ones(3), without, np.full(6, 17.0)), expected, rtol=1e-12)


def test_the_jackknife_of_a_mean_is_its_standard_error() -> None:
    values = np.random.default_rng(1).normal(size=40)
    without = (values.sum() - values) / 39
    error = jackknife(np.array([values.mean()]), without[:, None], np.ones(40))
    assert error[0] == pytest.approx(values.std(ddof=1) / np.sqrt(40), rel=1e-12)


def test_the_jackknife_comes_near_the_spread_over_fresh_data(
    moments_of: Rows, recipe_of: RecipeOf
) -> None:
    rng = np.random.default_rng(8)
    estimates, errors = [], []
    for _ in range(60):
        X = rng.normal(size=(400, 2))
        y = X @ [1.0, -0.5] + rng.normal(size=400)
        parts = [moments_of(X[g::20], y[g::20]) for g in range(20)]
        found = assessed(recipe_of(2), parts, alpha=0.05, pairs=1, seed=0)
        errors.append(found.standard_error)
        scaled = make_pipeline(StandardScaler(), Lasso(alpha=0.05)).fit(X, y)
        estimates.append(scaled[1].coef_ / scaled[0].scale_)
    ratio = np.mean(errors, axis=0) / np.std(estimates, axis=0)
    assert np.all((ratio > 0.65) & (ratio < 1.35))


@pytest.mark.parametrize("n_groups", [2, 3, 5, 6, 20])
def test_halves_are_complementary_equal_and_seeded(n_groups: int) -> None:
    pairs = list(complementary_halves(n_groups, 200, 1))
    for left, right in pairs:
        assert len(left) == len(right) == n_groups // 2
        assert not set(left) & set(right)
        assert set(left) | set(right) <= set(range(n_groups))
    again = list(complementary_halves(n_groups, 200, 1))
    assert_array_equal(np.array(pairs), np.array(again))
    if n_groups > 3:
        assert not np.array_equal(
            np.array(pairs), np.array(list(complementary_halves(n_groups, 200, 2)))
        )


def test_every_half_of_few_groups_is_equally_likely() -> None:
    halves = [tuple(half) for pair in complementary_halves(6, 1000, 0) for half in pair]
    counts = [halves.count(half) for half in combinations(range(6), 3)]
    assert sum(counts) == 2000
    # 100 are expected of each; the deviation of a binomial count is less than 10.
    assert min(counts) > 60
    assert max(counts) < 140


def test_more_pairs_begin_with_the_same_ones() -> None:
    few, many = (list(complementary_halves(20, n, 4)) for n in (5, 50))
    assert_array_equal(np.array(few), np.array(many[:5]))


@pytest.mark.parametrize(
    ("q", "p", "threshold", "pairs", "mb", "unimodal"),
    [
        # Meinshausen & Bühlmann: with q = sqrt(0.8 p) and a threshold of 0.9, one false selection.
        (np.sqrt(0.8 * 500), 500, 0.9, 50, 1.0, 4 * (0.1 + 0.01) / 1.02 * 0.8),
        # The same with q = 10 of p = 1000: Shah & Samworth halve it, about.
        (10.0, 1000, 0.6, 50, 0.5, 0.1 / (2 * (0.2 - 0.01))),
        (10.0, 1000, 0.75, 50, 0.2, 0.1 / (2 * (0.5 - 0.01))),
        (10.0, 1000, 1.0, 50, 0.1, 0.1 * 4 * 0.01 / 1.02),
        # More than a share 1 / sqrt(3) is selected; the threshold is too low; there is one pair.
        (60.0, 100, 0.9, 50, 45.0, None),
        (30.0, 100, 0.55, 50, 90.0, None),
        (10.0, 1000, 0.6, 1, 0.5, None),
        (0.0, 10, 0.6, 50, 0.0, 0.0),
    ],
)
def test_bounds_are_those_of_the_papers(
    q: float, p: int, threshold: float, pairs: int, mb: float, unimodal: float | None
) -> None:
    assert st.mb_bound(q, p, threshold) == pytest.approx(mb)
    found = st.unimodal_bound(q, p, threshold, pairs)
    assert found == (None if unimodal is None else pytest.approx(unimodal))


def test_noise_is_rarely_stable_and_within_the_bound(moments_of: Rows, recipe_of: RecipeOf) -> None:
    p, signals, false, missed, bounds = 60, 4, 0, 0, []
    repeats = 20
    for seed in range(repeats):
        rng = np.random.default_rng(seed)
        X = rng.normal(size=(300, p))
        y = X[:, :signals].sum(axis=1) + rng.normal(size=300)
        parts = [moments_of(X[g::20], y[g::20]) for g in range(20)]
        found = assessed(recipe_of(p), parts, alpha=0.15, pairs=25, threshold=0.9, seed=seed)
        false += int(found.stable[signals:].sum())
        missed += int((~found.stable[:signals]).sum())
        bounds.append(found.mb_bound)
        assert found.unimodal_bound < found.mb_bound
        assert found.frequency[signals:].max() < 1
        assert found.mean_selected > signals + 0.2
    assert missed == 0
    assert false / repeats <= np.mean(bounds)
    assert np.mean(bounds) < 2


def test_unpenalised_and_constant_columns_are_no_candidates(
    moments_of: Rows, recipe_of: RecipeOf
) -> None:
    data = Table(nulls=False)
    data.X[:, 7] = 3.0
    found = of(data, moments_of, recipe_of(8, penalty_factors={"x6": 0.0}))
    assert (found.frequency[6], found.frequency[7]) == (1.0, 0.0)
    assert found.standard_error[7] == 0
    assert found.n_candidates == 6
    assert found.mean_selected == pytest.approx(found.frequency[:6].sum())


def test_where_nothing_is_penalised_there_is_no_bound(
    moments_of: Rows, recipe_of: RecipeOf
) -> None:
    data = Table()
    recipe = recipe_of(8, penalty_factors={f"x{j}": 0.0 for j in range(8)})
    found = of(data, moments_of, recipe)
    assert (found.mb_bound, found.unimodal_bound, found.n_candidates) == (None, None, 0)
    assert_array_equal(found.frequency, np.ones(8))
