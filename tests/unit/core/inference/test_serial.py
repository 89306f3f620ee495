"""Autocorrelations of rows in their order, by statsmodels and by pairs counted one by one."""

import numpy as np
import pytest
import scipy.signal
from numpy.testing import assert_allclose
from statsmodels.tsa.stattools import acf

from lasso_jobs.core.inference import independence
from lasso_jobs.core.inference.serial import LEAST_PAIRS, Correlogram, RowOrder


def ar1(n: int, rho: float, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    e = rng.normal(size=n)
    for t in range(1, n):
        e[t] += rho * e[t - 1]
    return e


def in_files(n: int, n_files: int = 1) -> tuple[np.ndarray, np.ndarray]:
    return np.arange(n) * n_files // n * 1.0, np.arange(n) % (n // n_files) * 1.0


def test_of_all_rows_they_are_those_of_statsmodels() -> None:
    e = ar1(500, 0.6)
    found = Correlogram.of(e, RowOrder.of_files(*in_files(500)), n_lags=10)
    # Which divides by all rows at each lag, not by the pairs.
    assert_allclose(found.r * found.pairs / 500, acf(e, nlags=10)[1:], rtol=1e-9)


def test_of_some_rows_they_are_of_the_pairs_at_each_distance() -> None:
    e, (file, position) = ar1(1200, 0.7), in_files(1200, 3)
    kept = np.random.default_rng(1).permutation(1200)[:500]
    found = Correlogram.of(e[kept], RowOrder.of_files(file[kept], position[kept]), n_lags=4)
    away, variance = e - e[kept].mean(), e[kept].var()
    for lag, pairs, r, z in zip(found.lags, found.pairs, found.r, found.z, strict=True):
        both = [
            away[i] * away[j]
            for i in kept
            for j in kept
            if file[i] == file[j] and position[j] - position[i] == lag
        ]
        assert pairs == len(both)
        assert r == pytest.approx(np.mean(both) / variance, rel=1e-9)
        assert z == pytest.approx(np.sum(both) / np.sqrt(np.sum(np.square(both))), rel=1e-9)


def test_rows_of_different_files_are_no_neighbours() -> None:
    order = RowOrder.of_files(np.arange(100.0), np.zeros(100))
    assert len(Correlogram.of(np.ones(100), order).lags) == 0


def test_time_orders_rows_of_many_files() -> None:
    e = ar1(400, 0.8)
    mixed = np.random.default_rng(2).permutation(400)
    files = RowOrder.of_files(mixed % 7.0, mixed * 1.0)
    found = Correlogram.of(e[mixed], RowOrder.of_times("sold_at", mixed * 60.0, files), n_lags=1)
    assert found.r[0] * found.pairs[0] / 400 == pytest.approx(acf(e, nlags=1)[1])


def test_sampled_rows_that_follow_one_another_tell_slow_changes() -> None:
    n = 400_000
    kept = np.sort(np.random.default_rng(3).permutation(n)[:2000])
    slow = np.sin(kept / 20_000)
    order = RowOrder.of_files(np.zeros(2000), kept * 1.0)
    assert len(Correlogram.of(slow, order, n_lags=1).lags) == 0  # fewer pairs than 30
    near = Correlogram.of(slow, order.among_sampled(), n_lags=1)
    assert near.r[0] > 0.99
    assert near.pairs[0] == 1999 >= LEAST_PAIRS


@pytest.mark.parametrize("sign", [-1, 1])
def test_sorted_rows_are_known(sign: int) -> None:
    y = np.random.default_rng(4).normal(size=300)
    order = RowOrder.of_files(*in_files(300, 3))
    assert not order.sorts(y)
    assert order.sorts(sign * np.sort(y))
    assert not order.sorts(np.ones(300))


@pytest.mark.parametrize(
    ("rho", "verdict"), [(0.0, "fine"), (0.35, "needs a look"), (0.8, "violated")]
)
def test_the_check_tells_rows_that_follow_one_another(rho: float, verdict: str) -> None:
    found = Correlogram.of(ar1(3000, rho), RowOrder.of_files(*in_files(3000)))
    check = independence.independence([], None, [found])
    assert check.verdict == verdict, check.finding
    assert "By position in the file" in check.finding
    assert ("more than chance" in check.finding) == (verdict == "fine")
    assert check.statistics["autocorrelation by position in the file"] == pytest.approx(
        rho, abs=0.06
    )


def test_a_few_wide_rows_do_not_hide_that_neighbours_err_alike() -> None:
    rng, found = np.random.default_rng(5), {"dependent": 0, "independent": 0}
    for _ in range(40):
        width = np.repeat(np.exp(rng.normal(size=11)), 20)
        for name, rho in (("dependent", 0.5), ("independent", 0.0)):
            e = width * scipy.signal.lfilter([1.0], [1.0, -rho], rng.normal(size=220))
            check = independence.independence(
                [], None, [Correlogram.of(e, RowOrder.of_files(np.zeros(220), np.arange(220.0)))]
            )
            found[name] += check.verdict != "fine"
    assert found["independent"] == 0
    assert found["dependent"] > 25  # by the errors alone, without their signs: 9


def test_without_pairs_it_is_not_checked() -> None:
    order = RowOrder.of_files(np.arange(60.0), np.zeros(60))
    check = independence.independence([], None, [Correlogram.of(np.ones(60), order)])
    assert check.verdict == "not checked"
