"""What is usual on a week day and in a month, and what the training has not seen."""

from datetime import date, timedelta

import numpy as np
import pytest

from lasso_jobs.core.drift.normal import seasons as s


def days(n: int, first: date = date(2022, 1, 1)) -> s.Days:
    found = s.days_of(np.array([(first + timedelta(days=i)).toordinal() for i in range(n)], float))
    assert found is not None
    return found


@pytest.mark.parametrize(
    "keys", [[], [-0.5], [1.0, 2.0], [738_000.5], [738_000.0, -0.5], [20241301]]
)
def test_periods_that_are_not_days_have_no_seasons(keys: list[float]) -> None:
    assert s.days_of(np.array(keys, float)) is None


@pytest.mark.parametrize(
    ("months", "night", "unseen"),
    [
        ((1, 2, 3), "2024-07-09", "July"),
        ((1, 2, 3), "2024-04-30", ""),
        ((1, 2, 3), "2024-12-01", ""),
        ((1, 2, 3), "2024-05", "May"),
        ((1, 2, 3), "2024-08-01T05", "August"),
        ((7,), "2024-07-09", ""),
    ],
)
def test_a_month_that_is_far_from_those_of_training_is_unseen(
    months: tuple[int, ...], night: str, unseen: str
) -> None:
    assert s.Calendar(tuple(range(7)), months).unseen(night) == unseen


def test_week_days_that_differ_are_told_apart() -> None:
    of, rng = days(70), np.random.default_rng(0)
    values = np.where(of.week_day >= 5, 1.0, 0.0) + rng.normal(0, 0.1, 70)
    usual = s.usual_of(values, of)
    expected = [values[of.week_day == k].mean() for k in range(7)]
    assert usual.week_days == pytest.approx(expected)
    assert (usual.months, usual.n_means) == ((), 7)
    assert s.expected(usual, of) == pytest.approx(np.array(expected)[of.week_day])
    assert usual.on("2024-06-01") == pytest.approx(expected[5])


@pytest.mark.parametrize("n", [20, 70, 800])
def test_week_days_and_months_that_do_not_differ_are_not(n: int) -> None:
    values = np.random.default_rng(n).normal(size=n)
    assert s.usual_of(values, days(n)) == s.Usual()


@pytest.mark.parametrize(("n", "told"), [(365, False), (600, False), (731, True)])
def test_months_are_compared_with_those_of_two_years(n: int, told: bool) -> None:
    of = days(n)
    values = of.month + np.random.default_rng(1).normal(0, 0.1, n)
    usual = s.usual_of(values, of)
    assert bool(usual.months) == told
    if told:
        assert usual.on("2024-07-03") == pytest.approx(7, abs=0.1)
        assert usual.on("2024-07") == pytest.approx(7, abs=0.1)
