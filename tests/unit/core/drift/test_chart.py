"""Small shifts that last."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from lasso_jobs.core.drift import chart as c
from lasso_jobs.core.drift.drift import Drift
from lasso_jobs.core.drift.limits import Baseline, Lasting, Span
from lasso_jobs.core.drift.normal.seasons import Calendar
from lasso_jobs.core.drift.normal.variation import Knowledge, known_by

SD = 0.1
BASELINE = Baseline(
    variance=1.0,
    n_sampled=10_000,
    n_periods=60,
    rows=1e6,
    spans=(Span(between=SD**2, extreme=0.0, psi=0.0, missing=0.0, freedom=59.0),),
    lasting=Lasting(SD**2 / 9, 59.0),
)


def night(shift: float, **values: object) -> dict[str, Drift]:
    drift = Drift(
        feature="x", kind="numeric", n=10**6, score_shift=shift, shift_limit=0.35, raised="ok"
    )
    return {"x": replace(drift, verdict="ok", **values)}  # type: ignore[arg-type]


def judged(shifts: list[float], baseline: Baseline = BASELINE, on: str | None = None) -> Drift:
    nights = [night(shift) for shift in shifts]
    return c.Chart({"x": baseline}, 1.0, on).judge(nights[0], nights)["x"]


def test_the_average_is_that_of_pandas() -> None:
    shifts = np.random.default_rng(0).normal(0, 0.05, 12).tolist()
    found = judged(shifts[::-1])
    average = pd.Series([0.0, *shifts]).ewm(alpha=c.WEIGHT, adjust=False).mean().iloc[-1]
    assert found.ewma_shift == pytest.approx(average)
    assert found.verdict == "ok"


def test_a_shift_within_its_limit_each_night_is_watched_if_it_lasts() -> None:
    assert [judged([0.2] * n).verdict for n in (1, 2)] == ["ok", "ok"]
    found = judged([0.2] * 12)
    assert found.verdict == "watch"
    assert found.reason.startswith("has moved the mean prediction by +0.186 for long")


@pytest.mark.parametrize("after", [1, 2, 5])
def test_nights_that_were_far_away_do_not_echo(after: int) -> None:
    assert judged([0.0] * after + [3.0] * 20).verdict == "ok"


def test_what_others_cancel_is_not_told() -> None:
    nights = [{"x": night(0.2)["x"], "p": night(0.0, kind="prediction")["x"]}] * 12
    found = c.Chart({"x": BASELINE, "p": BASELINE}, 1.0, None).judge(nights[0], nights)
    assert {drift.verdict for drift in found.values()} == {"ok"}
    nights = [{"x": night(0.2)["x"], "p": night(0.2, kind="prediction")["x"]}] * 12
    found = c.Chart({"x": BASELINE, "p": BASELINE}, 1.0, None).judge(nights[0], nights)
    assert {drift.verdict for drift in found.values()} == {"watch"}


def test_a_model_of_before_has_no_chart() -> None:
    found = judged([0.2] * 12, replace(BASELINE, lasting=None))
    assert (found.verdict, np.isnan(found.ewma_shift)) == ("ok", True)


def test_in_an_unseen_season_a_lasting_shift_is_unknown() -> None:
    winter = replace(BASELINE, calendar=Calendar(tuple(range(7)), (1, 2)))
    found = judged([0.2] * 12, winter, "2024-07-01")
    assert (found.verdict, found.unseen_season) == ("unknown", "July")
    assert judged([0.2] * 12, winter, "2024-02-01").verdict == "watch"


@pytest.mark.parametrize("r", [0.0, 0.5, 0.8])
def test_the_average_of_days_varies_as_expected(r: float) -> None:
    """Away from the mean of 200 days of training, long after them."""
    rng = np.random.default_rng(0)
    series = rng.normal(size=(600, 400))
    for t in range(1, 400):
        series[:, t] = r * series[:, t - 1] + np.sqrt(1 - r * r) * series[:, t]
    past = series[:, :200]
    away = series[:, 300:] - past.mean(axis=1)[:, None]
    average = pd.DataFrame(away.T).ewm(alpha=c.WEIGHT, adjust=False).mean().iloc[-1]
    n = np.full(200, 10**9)
    found = []
    for row in past:
        around = row - row.mean()
        known = known_by(around, ordered=True)
        found.append(c.lasting_of(around, n, 1.0, known).between)
    assert np.median(found) == pytest.approx(average.var(), rel=0.3)


def test_a_trend_in_training_widens_the_limit() -> None:
    flat = np.random.default_rng(0).normal(size=80)
    slow = flat + 1.5 * np.sin(np.arange(80) / 13)
    n, known = np.full(80, 10**9), Knowledge(0.0, 80.0, 79.0)
    assert c.lasting_of(slow, n, 10.0, known).between > 1.0
    assert c.lasting_of(flat, n, 10.0, known).between < 0.3
