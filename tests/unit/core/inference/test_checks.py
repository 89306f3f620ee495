"""Each check finds what it is for, and lets the innocent go."""

from collections.abc import Callable

import numpy as np
import pytest

from lasso_jobs.core.inference import checks as c
from lasso_jobs.core.inference.residuals import HeldOutPredictions, inflation

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
        values=X[None],
        slopes=np.array([3.0]),
        leverage=far,
        mean_leverage=0.001,
    )


@pytest.mark.parametrize("check", [c.linearity, c.homoscedasticity, c.outliers])
def test_normal_residuals_are_ok(check: Callable[[HeldOutPredictions], c.Check]) -> None:
    found = check(held(NOISE))
    assert (found.verdict, found.remedy) == ("ok", "")
    assert found.how and found.finding


@pytest.mark.parametrize(
    ("check", "residuals", "verdict"),
    [
        (c.linearity, NOISE + 0.15 * (X**2 - 1), "watch"),
        (c.linearity, NOISE + 0.5 * (X**2 - 1), "alarm"),
        (c.homoscedasticity, NOISE * np.exp(0.2 * X), "watch"),
        (c.homoscedasticity, NOISE * np.exp(0.6 * X), "alarm"),
        (c.outliers, NOISE + 8 * (RNG.random(N) < 0.006), "watch"),
        (c.outliers, NOISE + 60 * (RNG.random(N) < 0.004), "alarm"),
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
    assert c.linearity(held(noise + 0.5 * X)).verdict == "ok"


def test_the_curve_is_named() -> None:
    found = c.linearity(held(NOISE + 0.5 * (X**2 - 1)))
    assert "A curve in " in found.finding
    assert found.statistics["x"] > 0.2


@pytest.mark.parametrize("check", [c.linearity, c.homoscedasticity])
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
            values=x[None],
            slopes=np.ones(1),
            leverage=np.zeros(c.MIN_ROWS),
            mean_leverage=1.0,
        )
        assert check(few).verdict == "ok"


def of_predicted(predicted: np.ndarray, residuals: np.ndarray) -> HeldOutPredictions:
    n = len(predicted)
    return HeldOutPredictions(
        predicted=predicted,
        actual=predicted + residuals,
        features=[],
        values=np.empty((0, n)),
        slopes=np.empty(0),
        leverage=np.ones(n),
        mean_leverage=1,
    )


def test_a_bin_of_two_rows_is_not_a_width() -> None:
    levels = np.where(np.arange(N) < 2, -1.0, np.arange(N) % 3)
    residuals = NOISE * (1 + 0.2 * (levels == 2))
    residuals[:2] = 0.01, 0.02
    assert c.homoscedasticity(of_predicted(levels, residuals)).verdict == "ok"


def test_residuals_that_vary_only_here_and_there() -> None:
    found = c.homoscedasticity(of_predicted(np.arange(N) % 2.0, NOISE * (np.arange(N) % 2)))
    assert found.verdict == "alarm"
    assert found.finding == "Residuals do not vary at predictions about 0."
    assert "ratio" not in found.statistics


def test_leverage_is_told() -> None:
    assert c.outliers(held(NOISE, 0.02)).statistics["high_leverage_share"] == 0.05
    assert c.outliers(held(NOISE)).statistics["high_leverage_share"] == 0.0


def test_residuals_that_are_all_zero() -> None:
    for check in (c.linearity, c.homoscedasticity, c.outliers):
        assert check(held(np.zeros(N))).verdict == "ok"


@pytest.mark.parametrize(
    ("rho", "verdict"), [(0.1, "ok"), (0.9, "watch"), (0.96, "alarm"), (1.0, "alarm")]
)
def test_columns_that_say_the_same(rho: float, verdict: str) -> None:
    found = c.multicollinearity(["a", "b"], inflation(np.array([[1, rho], [rho, 1]])))
    assert found.verdict == verdict
    if rho < 1:
        assert found.statistics["a"] == pytest.approx(1 / (1 - rho**2))
    assert c.multicollinearity(["a"], np.ones(1)).verdict == "ok"


def test_too_few_rows_are_said() -> None:
    assert "no row is held out" in c.too_few("linearity", 0).finding
    assert "only 17" in c.too_few("linearity", 17).finding
