"""Mean residuals by period against pandas on the rows, their statistics against statsmodels."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from statsmodels.stats.stattools import durbin_watson
from statsmodels.tsa.stattools import acf

from lasso_jobs.core.inference import period_means as p

VALUES = np.random.default_rng(8).normal(size=150).cumsum()


def test_durbin_watson_is_that_of_statsmodels() -> None:
    assert_allclose(p.durbin_watson(VALUES), durbin_watson(VALUES), rtol=1e-12)
    assert p.durbin_watson(np.zeros(5)) == 2.0


def test_autocorrelations_are_those_of_statsmodels() -> None:
    expected = acf(VALUES, nlags=40, adjusted=False, fft=False)[1:]
    assert_allclose(p.autocorrelation(VALUES, 40), expected, rtol=1e-10, atol=1e-14)
    assert p.autocorrelation(np.ones(5), 2).tolist() == [0.0, 0.0]


def test_the_scaled_means_of_independent_rows_vary_alike() -> None:
    rng = np.random.default_rng(1)
    n = np.repeat([1, 25], 4000)
    found = p.PeriodResiduals(
        "day", np.arange(8000.0), n, rng.normal(size=8000) / np.sqrt(n)
    ).scaled
    assert_allclose([found[:4000].var(), found[4000:].var()], 1.0, rtol=0.08)


@pytest.mark.parametrize(
    ("keys", "ordered"), [([1.0, 2.0], True), ([-3.0, 0.0], True), ([4.5, 9.5], False)]
)
def test_names_have_no_order(keys: list[float], ordered: bool) -> None:
    assert p.PeriodResiduals("c", np.array(keys), np.ones(2, int), np.zeros(2)).ordered == ordered
