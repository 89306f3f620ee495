"""Each check finds what it is for, and lets the innocent go."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from lasso_jobs.core.inference import checks as c
from lasso_jobs.core.inference import shape
from lasso_jobs.core.inference.collinearity import inflation
from lasso_jobs.core.inference.residuals import CategoryOfRows, HeldOutPredictions

N = 5000
RNG = np.random.default_rng(11)
X = RNG.normal(size=N)
NOISE = RNG.normal(size=N)


def held(residuals: np.ndarray, leverage: float = 0.001) -> HeldOutPredictions:
    predicted = 3 * X
    far = np.full(N, 0.001)
    far[: N // 20] = leverage
    return HeldOutPredictions(
        predicted=predicted,
        actual=predicted + residuals,
        features=["x"],
        values=[X],
        slopes=np.array([3.0]),
        leverage=far,
        mean_leverage=0.001,
    )


@pytest.mark.parametrize("check", [shape.linearity, shape.homoscedasticity, c.outliers])
def test_normal_residuals_are_ok(check: Callable[[HeldOutPredictions], c.Check]) -> None:
    found = check(held(NOISE))
    assert (found.verdict, found.remedy) == ("fine", "")
    assert found.how and found.finding


@pytest.mark.parametrize(
    ("check", "residuals", "verdict"),
    [
        (shape.linearity, NOISE + 0.15 * (X**2 - 1), "needs a look"),
        (shape.linearity, NOISE + 0.5 * (X**2 - 1), "violated"),
        (shape.homoscedasticity, NOISE * np.exp(0.2 * X), "needs a look"),
        (shape.homoscedasticity, NOISE * np.exp(0.6 * X), "violated"),
        (c.outliers, NOISE + 8 * (RNG.random(N) < 0.006), "needs a look"),
        (c.outliers, NOISE + 60 * (RNG.random(N) < 0.004), "violated"),
    ],
)
def test_each_finds_what_it_is_for(
    check: Callable[[HeldOutPredictions], c.Check], residuals: np.ndarray, verdict: str
) -> None:
    found = check(held(residuals))
    assert found.verdict == verdict, found
    assert found.remedy


@pytest.mark.parametrize("noise", [NOISE, np.zeros(N)])
def test_the_line_that_a_penalty_leaves_is_no_curve(noise: np.ndarray) -> None:
    assert shape.linearity(held(noise + 0.5 * X)).verdict == "fine"


def test_the_curve_is_named() -> None:
    found = shape.linearity(held(NOISE + 0.5 * (X**2 - 1)))
    assert "A curve in " in found.finding
    assert found.statistics["x"] > 0.2


@pytest.mark.parametrize("check", [shape.linearity, shape.homoscedasticity])
def test_a_few_rows_are_not_accused_by_chance(
    check: Callable[[HeldOutPredictions], c.Check],
) -> None:
    for seed in range(30):
        rng = np.random.default_rng([seed, 1])
        x, noise = rng.normal(size=(2, c.MIN_ROWS))
        few = HeldOutPredictions(
            predicted=x,
            actual=x + noise,
            features=["x"],
            values=[x],
            slopes=np.ones(1),
            leverage=np.zeros(c.MIN_ROWS),
            mean_leverage=1.0,
        )
        assert check(few).verdict == "fine"


def of_predicted(predicted: np.ndarray, residuals: np.ndarray) -> HeldOutPredictions:
    n = len(predicted)
    return HeldOutPredictions(
        predicted=predicted,
        actual=predicted + residuals,
        features=[],
        values=[],
        slopes=np.empty(0),
        leverage=np.ones(n),
        mean_leverage=1,
    )


def test_a_bin_of_two_rows_is_not_a_width() -> None:
    levels = np.where(np.arange(N) < 2, -1.0, np.arange(N) % 3)
    residuals = NOISE * (1 + 0.2 * (levels == 2))
    residuals[:2] = 0.01, 0.02
    assert shape.homoscedasticity(of_predicted(levels, residuals)).verdict == "fine"


def test_residuals_that_vary_only_here_and_there() -> None:
    found = shape.homoscedasticity(of_predicted(np.arange(N) % 2.0, NOISE * (np.arange(N) % 2)))
    assert found.verdict == "violated"
    assert found.finding == "Residuals do not vary in a bin (prediction about 0)."
    assert "ratio" not in found.statistics


def test_leverage_is_told() -> None:
    assert c.outliers(held(NOISE, 0.02)).statistics["high_leverage_share"] == 0.05
    assert c.outliers(held(NOISE)).statistics["high_leverage_share"] == 0.0


def test_residuals_that_are_all_zero() -> None:
    for check in (shape.linearity, shape.homoscedasticity, c.outliers):
        assert check(held(np.zeros(N))).verdict == "fine"


@pytest.mark.parametrize(
    ("rho", "verdict"),
    [(0.1, "fine"), (0.9, "needs a look"), (0.96, "violated"), (1.0, "violated")],
)
def test_columns_that_say_the_same(rho: float, verdict: str) -> None:
    found = c.multicollinearity(["a", "b"], inflation(np.array([[1, rho], [rho, 1]]), np.arange(2)))
    assert found.verdict == verdict
    if rho < 1:
        assert found.statistics["a"] == pytest.approx(1 / (1 - rho**2))
    assert c.multicollinearity(["a"], np.ones(1)).verdict == "fine"


def test_the_columns_that_others_determine_are_named() -> None:
    found = c.multicollinearity(["a", "b", "c"], np.array([1.0, np.inf, np.inf]))
    assert found.verdict == "violated"
    assert found.finding == "Other selected columns determine b, c."


def among(others: int, residuals: np.ndarray, **more: object) -> HeldOutPredictions:
    """Features without a coefficient, of which the last is X, and residuals."""
    noise = np.random.default_rng(12).normal(size=(others, N))
    return HeldOutPredictions(
        predicted=noise[0],
        actual=noise[0] + residuals,
        features=[*(f"n{j}" for j in range(others)), "x"],
        values=[*noise, X],
        slopes=np.zeros(others + 1),
        leverage=np.ones(N),
        mean_leverage=1.0,
        **more,
    )


def test_a_curve_and_a_width_in_a_feature_that_is_not_selected_are_found() -> None:
    found = shape.linearity(among(20, NOISE + 0.5 * X**2))
    assert (found.verdict, found.finding[:12]) == ("violated", "A curve in x")
    assert "square or bins of x" in found.remedy
    assert len(found.statistics) == shape.MOST_STATISTICS
    found = shape.homoscedasticity(among(20, NOISE * np.exp(0.5 * X)))
    assert found.verdict == "violated"
    assert "(x about" in found.finding


def test_a_curve_in_whole_numbers_can_be_a_category() -> None:
    whole = np.round(2 * X)
    held = among(1, NOISE + 0.5 * X**2)
    found = shape.linearity(replace(held, values=[held.values[0], whole]))
    assert "features.categorical: [x]" in found.remedy


def test_limits_are_those_of_all_features_together() -> None:
    rng = np.random.default_rng(3)
    bent = rng.normal(size=400)
    # The p-value of this bend is 4e-5: less than 0.001 / 2, and more than 0.001 / 202.
    residuals = rng.normal(size=400) + 0.18 * (bent**2 - 1)
    verdicts = []
    for others in (0, 100):
        noise = rng.normal(size=(others, 400))
        held = HeldOutPredictions(
            predicted=np.zeros(400),
            actual=residuals,
            features=[f"x{j}" for j in range(others + 1)],
            values=[bent, *noise],
            slopes=np.zeros(others + 1),
            leverage=np.ones(400),
            mean_leverage=1.0,
        )
        verdicts.append(shape.linearity(held).verdict)
    assert verdicts == ["needs a look", "fine"]


def test_a_width_by_the_levels_of_a_category_is_found() -> None:
    codes = np.arange(N) % 3
    shop = CategoryOfRows("shop", ["a", "b"], codes)  # the third is null
    found = shape.homoscedasticity(among(1, NOISE * (1 + (codes == 2)), categories=[shop]))
    assert found.verdict == "needs a look"
    assert "(shop null)" in found.finding
    assert "intervals.by: shop" in found.remedy


def test_too_few_rows_are_said() -> None:
    assert "No row has a prediction" in c.too_few("linearity", 0).finding
    assert "Only 17 rows" in c.too_few("linearity", 17).finding
