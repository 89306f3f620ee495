"""Against refits with scikit-learn to the rows of the halves, and published bounds."""

from collections.abc import Callable
from itertools import combinations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray
from sklearn.impute import SimpleImputer
from sklearn.linear_model import lasso_path
from sklearn.preprocessing import RobustScaler, StandardScaler

from lasso_jobs.core.fit.design import Recipe
from lasso_jobs.core.fit.walk import paths
from lasso_jobs.core.inference.refits.groups import ResamplingGroups
from lasso_jobs.core.inference.refits.stability import (
    Stability,
    Wanted,
    assess,
    complementary_halves,
)
from lasso_jobs.core.rows.columns import Category, Columns
from lasso_jobs.core.rows.moments import Moments
from lasso_jobs.core.rows.sample import Sample

Floats = NDArray[np.float64]
Rows = Callable[..., Moments]
RecipeOf = Callable[..., Recipe]

ALPHA, PAIRS, THRESHOLD, SEED = 0.25, 12, 0.75, 3


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

    def first_to_enter(self, half: tuple[int, ...], q: int, scaler: type) -> NDArray[np.bool_]:
        """The last of scikit-learn's path that has at most q coefficients."""
        rows = np.isin(self.group, half)
        return last_with(scaler().fit_transform(imputed(self.X[rows])), self.y[rows], q)


def imputed(X: Floats) -> Floats:
    return np.asarray(SimpleImputer().fit_transform(X))


def last_with(X: Floats, y: Floats, q: int) -> NDArray[np.bool_]:
    X, y = X - X.mean(axis=0), y - y.mean()
    # The penalty is relative to the scaler, and the grid to where the first column enters.
    largest = np.abs(X.T @ y).max() / len(y)
    alphas = np.geomspace(largest, largest * paths.ENTRY_EPS, paths.ENTRY_ALPHAS)
    _, coefs, _ = lasso_path(X, y, alphas=alphas, tol=1e-12, max_iter=10**6)
    chosen = np.abs(coefs.T) > 1e-9
    return np.asarray(chosen[np.flatnonzero((chosen.sum(axis=1) <= q).cumprod())[-1]])


def assessed(
    recipe: Recipe,
    parts: list[Moments],
    *,
    pairs: int = PAIRS,
    threshold: float = THRESHOLD,
    expected_false: float = 1.0,
    seed: int = SEED,
    sample: Sample | None = None,
) -> Stability:
    wanted = Wanted(pairs=pairs, threshold=threshold, expected_false=expected_false, seed=seed)
    return assess(recipe, ResamplingGroups(tuple(parts), sample), wanted, alpha=ALPHA)


@pytest.mark.parametrize(("n_groups", "pairs"), [(2, 1), (4, 3), (7, PAIRS), (20, PAIRS)])
def test_frequencies_are_those_of_scikit_learns_paths_in_the_halves(
    n_groups: int, pairs: int, moments_of: Rows, recipe_of: RecipeOf
) -> None:
    data = Table(n_groups=n_groups)
    found = assessed(recipe_of(8), data.moments(moments_of), expected_false=2.0)
    assert found.q is not None
    assert 1 < found.q < 8
    halves = [half for pair in complementary_halves(n_groups, PAIRS, SEED) for half in pair]
    chosen = np.array([data.first_to_enter(half, found.q, StandardScaler) for half in halves])
    assert_array_equal(found.frequency, chosen.mean(axis=0))
    assert_array_equal(found.stable, chosen.mean(axis=0) >= THRESHOLD)
    assert found.mean_selected == pytest.approx(chosen.sum(axis=1).mean())
    assert found.mean_selected <= found.q
    assert (found.groups, found.pairs, found.n_candidates) == (n_groups, pairs, 8)
    assert found.bound is not None
    assert found.bound <= 2.0
    assert np.isnan(found.standard_error).all()
    assert found.bootstrap is None
    assert found.converged


def test_each_half_has_the_quartiles_of_its_own_rows(moments_of: Rows, recipe_of: RecipeOf) -> None:
    data = Table()
    data.X[:, 3] = np.exp(data.X[:, 3] * (1 + data.group / 9))
    recipe = recipe_of(8, scaling="robust")
    parts = data.moments(moments_of)
    found = assessed(recipe, parts, sample=data.sample())
    halves = [half for pair in complementary_halves(7, PAIRS, SEED) for half in pair]
    assert found.q is not None
    chosen = np.array([data.first_to_enter(half, found.q, RobustScaler) for half in halves])
    assert_array_equal(found.frequency, chosen.mean(axis=0))
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
    found = assessed(Recipe(columns=columns, max_levels=2), parts, pairs=10)
    kept = np.sort(np.argsort(-np.bincount(level))[:2])
    rest = np.setdiff1d(np.arange(5), kept)
    grouped_levels = np.column_stack([listed[:, kept], listed[:, rest].sum(axis=1)])

    def selected(half: tuple[int, ...]) -> NDArray[np.bool_]:
        rows = np.isin(group, half)
        assert found.q is not None
        X = StandardScaler().fit_transform(grouped_levels[rows])
        return last_with(X, y[rows], found.q)

    halves = [half for pair in complementary_halves(6, 10, SEED) for half in pair]
    tops = {tuple(np.argsort(-np.bincount(level[np.isin(group, h)]))[:2]) for h in halves}
    assert len(tops) > 1
    assert_array_equal(found.frequency, np.mean([selected(h) for h in halves], axis=0))


@pytest.mark.parametrize("n_groups", [2, 3, 5, 6, 20])
def test_halves_are_complementary_equal_different_and_seeded(n_groups: int) -> None:
    pairs = complementary_halves(n_groups, 200, 1)
    for left, right in pairs:
        assert len(left) == len(right) == n_groups // 2
        assert not set(left) & set(right)
        assert set(left) | set(right) <= set(range(n_groups))
    assert len({frozenset(pair) for pair in pairs}) == len(pairs)
    # Counted by brute force.
    halves = list(combinations(range(n_groups), n_groups // 2)) if n_groups < 10 else []
    disjoint = sum(not set(a) & set(b) for a, b in combinations(halves, 2))
    assert len(pairs) == (min(disjoint, 200) if halves else 200)
    assert complementary_halves(n_groups, 200, 1) == pairs
    if n_groups == 20:
        assert complementary_halves(n_groups, 200, 2) != pairs


def test_each_group_is_in_half_of_the_halves() -> None:
    """Ten groups have 126 pairs, so that some are drawn twice, and passed over."""
    pairs = complementary_halves(10, 100, 0)
    assert len(pairs) == 100
    together = sum(1 in left for left, _ in pairs if 0 in left)  # 4 of 9 expected
    assert 30 < together < 60


def test_more_pairs_begin_with_the_same_ones() -> None:
    few, many = (complementary_halves(20, n, 4) for n in (5, 50))
    assert few == many[:5]


@pytest.mark.slow
def test_noise_is_rarely_stable_and_within_the_bound(moments_of: Rows, recipe_of: RecipeOf) -> None:
    p, signals, false, missed, repeats = 60, 4, 0, 0, 8
    for seed in range(repeats):
        rng = np.random.default_rng(seed)
        X = rng.normal(size=(300, p))
        y = X[:, :signals].sum(axis=1) + rng.normal(size=300)
        parts = [moments_of(X[g::20], y[g::20]) for g in range(20)]
        found = assessed(recipe_of(p), parts, pairs=15, seed=seed)
        false += int(found.stable[signals:].sum())
        missed += int((~found.stable[:signals]).sum())
        assert found.bound is not None
        assert found.bound <= 1.0
        assert found.mean_selected > signals
    assert missed == 0
    assert false / repeats <= 1.0


def test_unpenalised_and_constant_columns_are_no_candidates(
    moments_of: Rows, recipe_of: RecipeOf
) -> None:
    data = Table(nulls=False)
    data.X[:, 7] = 3.0
    recipe = recipe_of(8, penalty_factors={"x6": 0.0})
    found = assessed(recipe, data.moments(moments_of))
    assert np.isnan(found.frequency[6]) and not found.stable[6]
    assert found.frequency[7] == 0.0
    assert found.n_candidates == 6
    assert found.mean_selected == pytest.approx(found.frequency[:6].sum())


def test_where_nothing_is_penalised_there_is_no_bound(
    moments_of: Rows, recipe_of: RecipeOf
) -> None:
    recipe = recipe_of(8, penalty_factors={f"x{j}": 0.0 for j in range(8)})
    found = assessed(recipe, Table().moments(moments_of))
    assert (found.bound, found.unimodal_bound, found.n_candidates, found.q) == (None, None, 0, 0)
    assert np.isnan(found.frequency).all() and not found.stable.any()


def test_where_one_column_is_too_many_nothing_is_judged(
    moments_of: Rows, recipe_of: RecipeOf
) -> None:
    found = assessed(recipe_of(8), Table().moments(moments_of), expected_false=0.001)
    assert (found.q, found.bound, found.mean_selected) == (0, None, 0.0)
    assert np.isnan(found.frequency).all()
    assert not found.stable.any()


def test_of_many_columns_the_first_to_enter_are_those_of_all(
    moments_of: Rows, recipe_of: RecipeOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The candidates are those near to entering at a large alpha; others must be found."""
    data = Table(n=400, p=30, nulls=False)
    parts, recipe = data.moments(moments_of), recipe_of(30)
    whole = assessed(recipe, parts, pairs=4, expected_false=4.0)
    monkeypatch.setattr("lasso_jobs.core.fit.walk.refits.FEW_COLUMNS", 10)
    some = assessed(recipe, parts, pairs=4, expected_false=4.0)
    assert whole.mean_selected > 5
    assert_allclose(some.frequency, whole.frequency)
