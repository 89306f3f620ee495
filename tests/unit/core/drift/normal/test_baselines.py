"""A feature's baseline from sums by period."""

from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from lasso_jobs.core.drift.limits import Baseline
from lasso_jobs.core.drift.normal.baselines import FeaturePeriods, TrainingPeriods, baseline_of
from lasso_jobs.core.rows.periods import Periods
from lasso_jobs.storage import packing

ROWS, BINS = 1_000, 5


def baseline(
    shifts: np.ndarray, *, keys: np.ndarray | None = None, nulls: np.ndarray | None = None
) -> Baseline:
    t = len(shifts)
    n = np.full(t, ROWS)
    if keys is None:
        keys = date(2024, 1, 1).toordinal() + np.arange(t, dtype=float)
    sums = (shifts - shifts.mean())[None] * ROWS
    periods = Periods(keys=keys, n=n, observed=n[None], sums=sums)
    place = np.arange(2_000) % t
    training = TrainingPeriods.of(periods, keys[place]).with_common(sums)
    feature = FeaturePeriods(
        shifts=sums[0],
        nulls=np.zeros(t) if nulls is None else nulls,
        bins=np.random.default_rng(0).integers(0, BINS, 2_000),
        n_bins=BINS,
        variance=1.0,
    )
    return baseline_of(feature, training)


def usual(t: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.1, t)


def test_an_odd_day_hardly_changes_the_baseline() -> None:
    shifts = usual(60)
    clean = baseline(shifts)
    shifts[19] = 5.0
    found = baseline(shifts)
    assert found.n_periods == 59
    assert found.spans[0].between == pytest.approx(clean.spans[0].between, rel=0.1)
    assert found.spans[0].extreme < 4
    assert found.usual == pytest.approx(-5 / 60, abs=0.02)
    assert found.usual_shift("2024-03-09") == found.usual_shift(None) == found.usual
    assert clean.usual == 0.0
    assert found.lasting is not None
    assert found.lasting.between < 0.1**2


def test_a_day_that_is_odd_in_its_nulls_is_no_reference_of_them() -> None:
    nulls = np.full(60, 10.0)
    nulls[7] = 900.0
    assert baseline(usual(60), nulls=nulls).spans[0].missing == pytest.approx(0.01)


@pytest.mark.parametrize("t", [0, 1])
def test_no_periods_are_no_baseline(t: int) -> None:
    if t == 0:
        empty = Periods(
            keys=np.empty(0),
            n=np.empty(0, np.int64),
            observed=np.empty((1, 0), np.int64),
            sums=np.empty((1, 0)),
        )
        training = TrainingPeriods.of(empty, np.empty(0)).with_common(np.empty((1, 0)))
        feature = FeaturePeriods(
            shifts=np.empty(0), nulls=np.empty(0), bins=np.empty(0, np.intp), n_bins=1, variance=1.0
        )
        assert baseline_of(feature, training) == Baseline(variance=1.0, n_sampled=0)
    else:
        assert baseline(np.zeros(1)) == Baseline(variance=1.0, n_sampled=2_000)


@pytest.mark.parametrize("t", [2, 5, 9, 15, 60])
def test_days_that_do_not_vary_have_a_finite_baseline(t: int) -> None:
    found = baseline(np.zeros(t))
    assert found.spans[0].between == 0.0
    values = [*found.spans[0].__getstate__(), found.lasting]  # type: ignore[attr-defined]
    assert all(value is None or np.all(np.isfinite(value)) for value in values[:-1])


def test_a_feature_whose_week_days_differ_is_compared_with_the_same_week_day() -> None:
    shifts = usual(70) + (np.arange(70) % 7 >= 5)
    found = baseline(shifts)
    assert found.seasonal is not None
    assert found.usual_shift("2024-04-06") - found.usual_shift("2024-04-08") == pytest.approx(
        1.0, abs=0.2
    )
    assert found.usual_shift(None) == 0.0
    day, _ = found.matching_spans(ROWS, "2024-04-06")
    any_day, _ = found.matching_spans(ROWS)
    assert day.between < any_day.between / 5


def test_periods_that_are_names_have_neither_seasons_nor_neighbours() -> None:
    slow = np.cumsum(usual(60))
    found = baseline(slow, keys=np.sort(np.random.default_rng(0).random(60)))
    assert (found.calendar, found.seasonal) == (None, None)
    assert found.spans[0].freedom == 59
    ordered = baseline(slow).spans[0].freedom
    assert ordered is not None
    assert ordered < 30


def test_rows_without_a_period_are_no_period() -> None:
    keys = np.append(-0.5, date(2024, 1, 1).toordinal() + np.arange(59.0))
    assert baseline(usual(60), keys=keys).n_periods == 59


def test_a_baseline_is_stored_and_one_of_before_is_read() -> None:
    shifts = usual(70) + (np.arange(70) % 7 >= 5)
    shifts[20] = 50.0
    known = baseline(shifts)
    content, arrays = packing.pack(known)
    assert packing.unpack(Baseline, content, arrays) == known
    before = {name: content[name] for name in ("variance", "n_sampled", "n_periods", "rows")}
    first = {k: content["spans"][0][k] for k in ("between", "extreme", "psi", "missing")}
    found = packing.unpack(Baseline, {**before, "spans": [first]}, arrays)
    assert found.lasting is None
    assert found.spans[0] == replace(
        known.spans[0], freedom=None, heaviness=0.0, missing_between=0.0, psi_error=0.0
    )
