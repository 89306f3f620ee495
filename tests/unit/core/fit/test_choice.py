"""Against numbers worked out by hand, and scikit-learn's means over folds."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import make_regression
from sklearn.linear_model import Lasso
from sklearn.model_selection import GridSearchCV, KFold

from lasso_jobs.core.fit.choice import CrossValidation


def curve(
    fold_mse: Sequence[Sequence[float]],
    weight: Sequence[float],
    rule: str,
    fold_means: str = "size",
    l1_ratios: Sequence[float] | None = None,
    gammas: Sequence[float] | None = None,
    alphas: Sequence[float] | None = None,
) -> CrossValidation:
    mse = np.array(fold_mse, float)
    n = mse.shape[1]
    return CrossValidation(
        l1_ratios=np.ones(n) if l1_ratios is None else np.array(l1_ratios),
        gammas=np.ones(n) if gammas is None else np.array(gammas),
        alphas=np.geomspace(1, 0.1, n) if alphas is None else np.array(alphas),
        fold_mse=mse,
        fold_weight=np.array(weight, float),
        n_nonzero=np.zeros(n, np.int64),
        rule=rule,
        fold_means=fold_means,
        n_left_out=0,
        worst_dual_gap=0.0,
        worst_kkt=0.0,
        converged=True,
        worst_sse_bound=0.0,
    )


def test_the_error_of_an_alpha_is_that_of_the_mean_row() -> None:
    cv = curve([[4, 1], [1, 3]], [30, 10], "min")
    assert_allclose(cv.mse, [3.25, 1.5])


def test_the_standard_error_is_that_of_the_weighted_folds() -> None:
    cv = curve([[4, 1], [1, 3]], [30, 10], "min")
    assert_allclose(cv.mse_se, np.sqrt([(0.75 * 0.75**2 + 0.25 * 2.25**2), 0.75]))


def test_folds_of_equal_size_have_the_usual_standard_error() -> None:
    errors = np.random.default_rng(0).random((7, 3))
    cv = curve(errors, [20] * 7, "min")
    assert_allclose(cv.mse_se, errors.std(axis=0, ddof=1) / np.sqrt(7))


@pytest.mark.parametrize(("rule", "chosen"), [("min", 3), ("1se", 1)])
def test_the_rule_chooses_the_alpha(rule: str, chosen: int) -> None:
    # The smallest mean is 3 with a standard error of 1; the second mean is within it.
    cv = curve([[4, 3, 2.5, 2, 3], [6, 5, 4.9, 4, 5]], [1, 1], rule)
    assert cv.index == chosen
    assert cv.alpha == cv.alphas[chosen]


def test_of_equal_errors_the_largest_alpha_is_chosen() -> None:
    assert curve([[3, 2, 2, 3], [3, 2, 2, 3]], [1, 1], "min").index == 1


def test_equal_fold_means_are_those_of_a_grid_search_whatever_the_folds_sizes() -> None:
    X, y = make_regression(53, 4, noise=10.0, random_state=0)
    alphas = [10.0, 3.0, 1.0]
    grid = GridSearchCV(
        Lasso(), {"alpha": alphas}, cv=KFold(5), scoring="neg_mean_squared_error"
    ).fit(X, y)
    found = grid.cv_results_
    folds = -np.array([found[f"split{k}_test_score"] for k in range(5)])
    sizes = [11, 11, 11, 10, 1000]
    cv = curve(folds, sizes, "min", "equal", alphas=alphas)
    assert_allclose(cv.mse, -found["mean_test_score"], rtol=1e-14)
    # scikit-learn's deviation has ddof 0.
    assert_allclose(cv.mse_se, found["std_test_score"] / np.sqrt(4), rtol=1e-12)
    by_size = curve(folds, sizes, "min", alphas=alphas)
    assert np.all(np.abs(by_size.mse / cv.mse - 1) > 0.01)


@pytest.mark.parametrize(
    ("rule", "chosen", "path"), [("min", 5, [16, 10, 5]), ("1se", 4, [16, 10])]
)
def test_the_one_se_rule_stays_within_the_best_ratio(
    rule: str, chosen: int, path: list[float]
) -> None:
    # The smallest mean, 3 with a standard error of 1, is of the second ratio.
    errors = [[3.2, 3.2, 3.2, 4.5, 3.0, 2.0], [3.2, 3.2, 3.2, 4.9, 4.9, 4.0]]
    cv = curve(errors, [1, 1], rule, l1_ratios=np.repeat([1, 0.5], 3), alphas=[80, 4, 2, 16, 10, 5])
    assert cv.index == chosen
    assert (cv.l1_ratio, cv.alpha) == (0.5, path[-1])
    assert_array_equal(cv.alphas_to_chosen, path)


@pytest.mark.parametrize(("rule", "chosen"), [("min", 2), ("1se", 4)])
def test_the_one_se_rule_takes_the_best_gamma_of_the_largest_alpha_near_enough(
    rule: str, chosen: int
) -> None:
    # Gammas 0, 0.5 and 1, alphas 4 and 2 of each but 8 with none near.
    errors = [[9, 3.4, 2, 9, 3.0, 3, 9, 6, 6], [9, 4.4, 4, 9, 4.2, 5, 9, 6, 6]]
    cv = curve(errors, [1, 1], rule, gammas=np.repeat([0, 0.5, 1], 3), alphas=np.tile([8, 4, 2], 3))
    assert cv.index == chosen
    assert (cv.gamma, cv.alpha) == {"min": (0, 2), "1se": (0.5, 4)}[rule]
    assert_array_equal(cv.alphas_to_chosen, {"min": [8, 4, 2], "1se": [8, 4]}[rule])


@pytest.mark.parametrize("means", ["size", "equal"])
def test_repeats_average_their_curves_and_their_variances(means: str) -> None:
    errors = np.random.default_rng(1).random((3, 4, 5))
    weight = [[3, 1, 2, 4], [1, 4, 4, 1], [5, 2, 2, 1]]
    alone = [curve(e, w, "min", means) for e, w in zip(errors, weight, strict=True)]
    together = curve(errors.reshape(12, 5), np.ravel(weight), "min", means)
    together = replace(together, repeats=3)
    assert_allclose(together.mse, np.mean([cv.mse for cv in alone], axis=0))
    expected = np.sqrt(np.mean([cv.mse_se**2 for cv in alone], axis=0))
    assert_allclose(together.mse_se, expected)


def test_repeating_the_same_folds_changes_neither_error_nor_standard_error() -> None:
    errors = np.random.default_rng(2).random((4, 5))
    once = curve(errors, [3, 1, 2, 4], "1se")
    thrice = replace(curve(np.tile(errors, (3, 1)), [3, 1, 2, 4] * 3, "1se"), repeats=3)
    assert_allclose(thrice.mse, once.mse)
    assert_allclose(thrice.mse_se, once.mse_se)
    assert thrice.alpha == once.alpha
