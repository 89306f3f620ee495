"""Limits hold what they say: how often innocent days exceed them, simulated."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from lasso_jobs.core.drift import distances, limits
from lasso_jobs.core.drift.limits import Baseline, Span
from lasso_jobs.core.drift.normal.seasons import Calendar
from lasso_jobs.core.drift.normal.variation import Variation, variation_of
from lasso_jobs.core.rows import periods

SHARES = np.array([0.25, 0.25, 0.25, 0.25, 0.0])


def alike(variance: float = 1.0, missing: float = 0.0, psi: float = 0.0) -> Baseline:
    """A hundred days that differ by chance only."""
    return Baseline(
        variance=variance,
        n_sampled=10_000,
        n_periods=100,
        rows=500.0,
        spans=(Span(between=0.0, extreme=0.0, psi=psi, missing=missing),),
    )


def span_of(found: Variation) -> Span:
    return Span(
        between=found.between,
        extreme=found.extreme,
        psi=0.0,
        missing=0.0,
        freedom=found.knowledge.freedom,
    )


def of(
    days: Baseline, n: int = 5_000, judged: int = 20, sd: float = 1.0, missing: float = 0.0
) -> limits.Limits:
    return limits.limits(days, n, shares=SHARES, missing=missing, prediction_sd=sd, n_judged=judged)


def test_between_variance_is_that_of_the_simulated_days() -> None:
    rng = np.random.default_rng(0)
    n = rng.integers(200, 2_000, 4_000)
    effects = rng.normal(0, 0.2, 4_000)
    means = effects + rng.normal(size=4_000) / np.sqrt(n)
    found = periods.between_variance(means, n, 1.0 + 0.04)
    assert_allclose(found, 0.04, rtol=4 * np.sqrt(2 / 4_000) * 1.1)


def test_days_that_differ_by_chance_have_no_variance_between_them() -> None:
    rng = np.random.default_rng(1)
    n = np.full(2_000, 1_000)
    found = periods.between_variance(rng.normal(size=2_000) / np.sqrt(n), n, 1.0)
    assert 0 <= found < 4 * np.sqrt(2 / 2_000) / 1_000


@pytest.mark.parametrize("between", [0.0, 0.03])
def test_innocent_days_exceed_the_limit_of_a_shift_as_rarely_as_stated(between: float) -> None:
    rng, n = np.random.default_rng(2), np.full(365, 2_000)

    def days(t: int, rows: int) -> np.ndarray:
        effects = rng.normal(0, np.sqrt(between), t)
        return effects + rng.normal(0, np.sqrt((1 - between) / rows), t)

    found = variation_of(days(365, 2_000), n, 1.0)
    seen = Span(
        between=found.between,
        extreme=found.extreme,
        psi=0.0,
        missing=0.0,
        freedom=found.knowledge.freedom,
    )
    known = Baseline(variance=1.0, n_sampled=10_000, n_periods=365, rows=2_000.0, spans=(seen,))
    limit = of(known, sd=1e-9).shift
    exceeded = np.abs(days(200_000, 5_000)) > limit
    assert exceeded.mean() < 2 * limits.FALSE_ALARMS / 20


def test_a_day_of_training_that_is_not_odd_is_within_the_limit() -> None:
    seen = Span(between=0.01, extreme=4.5, psi=0.0, missing=0.0, freedom=99.0)
    known = Baseline(variance=1.0, n_sampled=10_000, n_periods=100, rows=500.0, spans=(seen,))
    assert of(known, 500).shift == pytest.approx(4.5 * np.sqrt(0.01 + 0.99 / 500))


def test_a_model_of_before_is_judged_as_before() -> None:
    """Limits that version 0fac17a computed from the same baseline."""
    known = Baseline(
        variance=1.0,
        n_sampled=10_000,
        n_periods=60,
        rows=500.0,
        spans=(Span(between=0.02, extreme=2.9, psi=0.03, missing=0.1),),
    )
    found = of(known)
    width = stats.t(59).isf(limits.FALSE_ALARMS / 20 / 2)
    assert found.shift == pytest.approx(width * np.sqrt(0.02 + 0.98 / 5_000), rel=1e-12)
    assert found.missing == pytest.approx(0.15)
    chance = 3 * (1 / 5_000 + 1 / 10_000)
    mean, square = 0.03 + chance, 0.03**2 + 0.06 * chance / 3 + chance**2 / 3
    df = mean**2 / square
    assert found.psi == pytest.approx(mean / df * stats.chi2(df).isf(0.01 / 20), rel=1e-9)
    assert known.usual_shift("2024-07-01") == 0.0
    assert known.unseen("2024-07-01") == ""


@pytest.mark.parametrize("t", [2, 3, 5, 9])
def test_few_days_have_the_limit_that_students_t_asks_for(t: int) -> None:
    """A new day is away from the mean of t days by s sqrt(1 + 1/t), with t - 1 degrees."""
    shifts = np.random.default_rng(t).normal(0, 1, t)
    shifts -= shifts.mean()
    found = variation_of(shifts, np.full(t, 10**9), 1.0)
    seen = Span(
        between=found.between,
        extreme=found.extreme,
        psi=0.0,
        missing=0.0,
        freedom=found.knowledge.freedom,
    )
    known = Baseline(variance=1.0, n_sampled=10_000, n_periods=t, rows=500.0, spans=(seen,))
    expected = stats.t(t - 1).isf(0.01 / 20 / 2) * shifts.std(ddof=1) * np.sqrt(1 + 1 / t)
    expected = min(expected, limits.SEASON_GROSS * np.sqrt(1 + found.between))
    assert of(known, 10**9, sd=1e-9).shift == pytest.approx(expected, rel=1e-6)
    assert of(known, sd=1e9).shift == 1e9 * limits.SHIFT_GROSS


@pytest.mark.parametrize(("rows", "night", "k"), [(5_000, None, 2), (5_000, "2024-01-05", 0)])
def test_a_night_that_is_a_day_is_compared_with_days(rows: int, night: str | None, k: int) -> None:
    spans = tuple(
        Span(between=0.1 / (k + 1), extreme=0.0, psi=0.0, missing=0.0, freedom=50.0)
        for k in range(3)
    )
    calendar = Calendar(tuple(range(7)), (1,))
    known = Baseline(
        variance=1.0, n_sampled=10_000, n_periods=60, rows=500.0, spans=spans, calendar=calendar
    )
    assert known.matching_spans(rows, night) == (spans[k], 50.0)
    assert known.matching_spans(rows, "2024-01") == (spans[2], 50.0)


def test_more_rows_are_known_better_and_more_features_wider() -> None:
    days = alike()
    shifts = [of(days, n, sd=1e-9).shift for n in (1_000, 4_000)]
    assert_allclose(shifts[0] / shifts[1], 2.0)
    wide = of(days, 1_000, 200, sd=1e-9).shift
    assert wide > shifts[0]
    expected = stats.t(99).isf(limits.FALSE_ALARMS / 20 / 2) / np.sqrt(1_000)
    assert_allclose(shifts[0], expected, rtol=1e-9)


def test_what_would_not_matter_is_within_the_limit() -> None:
    found = of(alike(1e-6), sd=3.0)
    assert (found.shift, found.gross) == (3 * limits.SHIFT_FLOOR, 3 * limits.SHIFT_GROSS)
    assert found.psi == limits.PSI_FLOOR


def test_without_periods_the_conventional_limits_hold() -> None:
    found = of(Baseline(variance=1e-6, n_sampled=10_000), sd=3.0)
    assert (found.shift, found.psi) == (3 * limits.SHIFT_GROSS, limits.PSI_GROSS)


def in_days(n: np.ndarray) -> periods.Periods:
    return periods.Periods(
        keys=np.arange(len(n)) * 2.0, n=n, observed=n[None], sums=np.zeros((1, len(n)))
    )


def test_spans_are_of_neighbouring_days_with_enough_rows() -> None:
    n = np.where(np.arange(50) % 10 == 3, 19, np.arange(50) + 100)
    found = periods.spans(in_days(n))
    kept = n[n > 19]
    assert len(kept) == 45
    assert [len(cut.n) for cut in found] == [45, 22, 11]
    for k, cut in enumerate(found):
        whole = kept[: len(cut.n) * 2**k].reshape(-1, 2**k)
        assert cut.n.tolist() == whole.sum(axis=1).tolist()
        assert cut.sums(n * 3.0).tolist() == (3.0 * cut.n).tolist()
    assert found[1].of_rows(np.array([0, 2, 4, 6, 8, 98, 99, 500, -1.0])).tolist() == [
        *(0, 0, 1, -1, 1),
        *(-1, -1, -1, -1),
    ]


def test_too_few_days_say_nothing() -> None:
    assert periods.spans(in_days(np.full(1, 500))) == []
    assert [cut.n.tolist() for cut in periods.spans(in_days(np.full(9, 500)))] == [[500] * 9]
    assert periods.spans(in_days(np.empty(0, np.int64))) == []


def test_a_month_is_compared_with_spans_of_its_size() -> None:
    spans = tuple(Span(between=0.1 / (k + 1), extreme=0.0, psi=0.0, missing=0.0) for k in range(3))
    days = Baseline(variance=1.0, n_sampled=10_000, n_periods=50, rows=500.0, spans=spans)
    assert [days.matching_spans(n) for n in (10, 999, 1_000, 2_000, 10**6)] == [
        (spans[0], 49),
        (spans[0], 49),
        (spans[1], 24),
        (spans[2], 11),
        (spans[2], 11),
    ]


def test_the_limit_of_nulls_is_above_the_worst_day_and_above_chance() -> None:
    days = alike(missing=0.3)
    assert of(days).missing == pytest.approx(0.35)
    assert of(days, 100, missing=0.5).missing > 0.5 + 3 * 0.05
    assert of(days, 100, missing=0.99).missing == 0.995


@pytest.mark.parametrize("missing", [0.0, 0.3, 0.8])
@pytest.mark.parametrize("t", [2, 3, 5, 9])
def test_however_few_the_days_half_of_the_values_and_a_wrong_unit_are_beyond(
    t: int, missing: float
) -> None:
    day = Span(between=0.5, extreme=1.0, psi=0.5, missing=missing, missing_between=0.1)
    few = Baseline(
        variance=1.0,
        n_sampled=10_000,
        n_periods=t,
        rows=500.0,
        spans=(replace(day, freedom=t - 1.0),),
    )
    found = of(few, missing=missing)
    assert found.shift <= 10 * np.sqrt(1.5)
    assert found.missing <= (1 + missing) / 2 + 1e-12
    worst = replace(day, freedom=t - 1.0, missing=0.9, extreme=40.0)  # a day of the training
    as_training = of(replace(few, spans=(worst,)), missing=missing)
    assert_allclose(as_training.missing, 0.95)
    assert_allclose(as_training.shift, 40 * np.sqrt(0.5 + 0.5 / 5_000))


@pytest.mark.parametrize("effect", [0.0, 0.6])
def test_innocent_days_exceed_the_limit_of_the_psi_as_rarely_as_stated(effect: float) -> None:
    rng, k = np.random.default_rng(5), 10

    def shares(n: int) -> np.ndarray:
        tilt = effect * rng.normal(size=(n, 1)) * np.linspace(-1, 1, k)
        weights = np.exp(tilt)
        return np.asarray(weights / weights.sum(axis=1, keepdims=True))

    per_day = np.array([rng.multinomial(100, p) for p in shares(100)])
    sample = np.repeat(np.tile(np.arange(k), 100), per_day.ravel())
    psi = periods.psi_between(np.repeat(np.arange(100), 100), sample, k)
    pooled = per_day.sum(axis=0) / per_day.sum()
    found = limits.limits(
        alike(psi=psi), 1_000, shares=pooled, missing=0.0, prediction_sd=1.0, n_judged=1
    )
    values = [distances.psi(pooled, rng.multinomial(1_000, p)) for p in shares(2_000)]
    assert np.mean(np.array(values) > found.psi) < 2 * limits.FALSE_ALARMS
    if effect:
        assert psi == pytest.approx(np.mean(values), rel=0.4)
    else:
        assert psi < 0.02


def test_a_sample_of_one_row_a_day_says_nothing_of_days() -> None:
    days = np.arange(100)
    assert periods.psi_between(days, (days > 50).astype(np.intp), 2) == 0.0


def test_too_many_periods_are_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(periods, "MOST_BYTES", 16 * 3)

    def some(*keys: float) -> periods.Periods:
        n = np.ones(len(keys), np.int64)
        return periods.Periods(
            keys=np.array(keys), n=n, observed=n[None], sums=np.ones((1, len(keys)))
        )

    three = periods.merge(some(1, 2), some(2, 3))
    assert three.whole
    assert three.n.tolist() == [1, 2, 1]
    for order in ((three, some(4)), (some(4), three)):
        found = periods.merge(*order)
        assert not found.whole
        assert not len(periods.merge(found, some(1)).keys)
    assert not periods.merge(periods.merge(some(4), three), three).whole
