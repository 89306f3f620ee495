"""The check finds rows that err alike, and lets independent ones go."""

import numpy as np
import pytest

from lasso_jobs.core.inference.independence import CohortResiduals, independence
from lasso_jobs.core.inference.period_means import PeriodResiduals

RNG = np.random.default_rng(12)


def cohorts(bias: np.ndarray, name: str = "day") -> CohortResiduals:
    return CohortResiduals(name, bias, np.full(len(bias), 100.0), 1.0)


def test_cohorts_that_err_alike() -> None:
    alike = RNG.normal(size=60) * 0.5
    apart = RNG.normal(size=60) * 0.1  # as of 100 independent rows
    assert independence([cohorts(alike)], None).verdict == "violated"
    assert independence([cohorts(apart)], None).verdict == "fine"
    both = independence([cohorts(apart), cohorts(alike, "store")], None)
    assert both.verdict == "violated"
    assert [*both.statistics] == ["design_effect by day", "design_effect by store"]
    assert independence([], None).verdict == "not checked"
    assert independence([cohorts(alike[:4])], None).verdict == "not checked"


def test_few_cohorts_are_not_accused_by_chance() -> None:
    for seed in range(200):
        bias = np.random.default_rng(seed).normal(size=6) * 0.1
        assert independence([cohorts(bias)], None).verdict == "fine"


def series(mean: np.ndarray, first: float = 735_000.0) -> PeriodResiduals:
    return PeriodResiduals("day", first + np.arange(len(mean)), np.full(len(mean), 100), mean)


@pytest.mark.parametrize(
    ("rho", "verdict"),
    [(0.0, "fine"), (0.35, "needs a look"), (0.8, "violated"), (-0.8, "violated")],
)
def test_neighbouring_periods_that_err_alike(rho: float, verdict: str) -> None:
    noise, values = np.random.default_rng(2).normal(size=400), np.zeros(400)
    for i in range(1, 400):
        values[i] = rho * values[i - 1] + noise[i]
    found = independence([], series(values))
    assert found.verdict == verdict, found
    assert found.statistics["durbin_watson"] == pytest.approx(2 - 2 * rho, abs=0.2)
    assert found.statistics["autocorrelation"] == pytest.approx(rho, abs=0.1)
    assert found.statistics["periods"] == 400


def test_few_periods_are_not_accused_by_chance() -> None:
    for seed in range(200):
        assert (
            independence([], series(np.random.default_rng(seed).normal(size=12))).verdict == "fine"
        )


def test_periods_without_an_order_or_too_few_have_no_neighbours() -> None:
    falling = np.linspace(1, -1, 40)
    assert independence([], series(falling)).verdict == "violated"
    assert independence([], series(falling, 0.5)).verdict == "not checked"
    assert independence([], series(falling[:9])).verdict == "not checked"
