"""What a model says of its intervals, and why it has none."""

from dataclasses import replace

import pytest

from lasso_jobs.core.drift.outcomes import Expectation
from lasso_jobs.core.inference.cohorts import Estimate
from lasso_jobs.models.intervals import Interval, covers, in_words, why_none
from lasso_jobs.models.model import Holdout

OF_DAYS = Estimate(mean=0.0, standard_error=1.0, between=0.0, within=1.0, n_cohorts=6)
FEW = Holdout(
    n_rows=7, mse=1.0, rmse=1.0, r2=0.5, mae=0.8, interval=None, n_sampled=7, effective_size=7.0
)
DAYS = replace(
    FEW,
    n_sampled=600,
    cohort="date",
    effective_size=5.5,
    expected=Expectation(
        squared_error=OF_DAYS,
        error=OF_DAYS,
        absolute_error=OF_DAYS,
        covered=None,
        n_sampled=600,
    ),
)


@pytest.mark.parametrize(
    ("holdout", "why"),
    [
        (None, "no intervals: no rows were held out"),
        (
            FEW,
            "no intervals: 7 held-out rows, and a width that covers 90% of new rows needs 9; "
            "hold out more",
        ),
        (
            replace(FEW, n_sampled=20, effective_size=4.25),
            "no intervals: 20 held-out rows, which count as 4.25 equal and independent rows, and a "
            "width that covers 90% of new rows needs 9; hold out more",
        ),
        (
            DAYS,
            "no intervals: 6 held-out values of 'date', which count as 5.5 equal and independent "
            "rows, and a width that covers 90% of new rows needs 9; hold out more",
        ),
    ],
)
def test_why_there_are_none_is_said(holdout: Holdout | None, why: str) -> None:
    assert why_none(holdout) == in_words(holdout) == why
    assert Interval.of(holdout, {}) is None


def test_what_intervals_cover_is_said() -> None:
    some = replace(FEW, interval=2.5, effective_size=50.0)
    assert in_words(some) == "±2.5, for 90% of new rows"
    assert covers(replace(some, cohort="date")) == "90% of the rows of new values of 'date'"
    groups = replace(some, by="origin", intervals={"JFK": 2.0})
    assert in_words(groups) == "±2.5, for 90% of new rows; 1 values of 'origin' have their own"
    # A model of before took its rows for independent ones.
    assert covers(replace(some, cohort="date", effective_size=None)) == "90% of new rows"
