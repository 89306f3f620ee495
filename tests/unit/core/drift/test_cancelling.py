"""Movements that cancel: what is left of them, and when they do not count as cancelled."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lasso_jobs.core.drift import verdicts as v
from lasso_jobs.core.drift.cancelling import OTHERS, Cancelled, cancelled
from lasso_jobs.core.drift.drift import NAN, Drift
from lasso_jobs.core.drift.limits import Baseline, Span
from lasso_jobs.core.drift.pools import judge_with_earlier

N = 1_000
SHARES = (0.5, 0.5, 0.0)


def night(
    shifts: dict[str, float], *, sd: float = 1.0, psi: float = 0.0, limit: float = 1.0
) -> dict[str, Drift]:
    """Features judged by themselves, and the predictions, which they move together."""
    shifts = {**shifts, "prediction": sum(shifts.values())}
    return {
        name: Drift(
            feature=name,
            kind="prediction" if name == "prediction" else "numeric",
            n=N,
            sd=sd if name == "prediction" else NAN,
            reference_sd=1.0,
            score_shift=shift,
            net_shift=shift,
            shift_limit=limit,
            psi=psi if name == "prediction" else 0.0,
            psi_limit=0.1,
            missing_limit=0.1,
            missing_share=0.0,
            reference_missing_share=0.0,
            counts=(N // 2, N // 2, 0),
            reference_shares=SHARES,
            raised="ok" if abs(shift) <= limit and psi <= 0.1 else "watch",
        )
        for name, shift in shifts.items()
    }


def test_two_features_that_move_together_and_have_opposite_effects_cancel() -> None:
    found = cancelled(night({"a": 4.39, "b": -4.37, "c": 0.3}))
    assert found == {
        "a": Cancelled(pytest.approx(1 - 4.37 / 4.39), (("b", -4.37),)),
        "b": Cancelled(0.0, (("a", 4.39),)),
    }


@pytest.mark.parametrize(
    ("shifts", "values"),
    [
        # Nothing moved the other way unusually: what is ordinary excuses nothing.
        ({"a": 3.0, "b": -0.4, "c": -0.3}, {}),
        # The predictions moved.
        ({"a": 4.0, "b": -2.0}, {}),
        # The predictions' distribution has changed, though not their mean.
        ({"a": 4.0, "b": -4.0}, {"psi": 0.2}),
        # Few rows are far away, up and down: PSI hardly sees them.
        ({"a": 4.0, "b": -4.0}, {"sd": 1.3}),
        ({"a": 4.0, "b": -4.0}, {"sd": 0.7}),
        # Nobody knows.
        ({"a": 4.0, "b": -4.0}, {"sd": NAN}),
        # Nothing is beyond its limit.
        ({"a": 0.9, "b": -0.9}, {}),
    ],
)
def test_nothing_is_cancelled(shifts: dict[str, float], values: dict[str, float]) -> None:
    assert cancelled(night(shifts, **values)) == {}


def test_many_small_movements_cancel_a_large_one_together() -> None:
    shifts = {"a": 4.0, **{f"b{j}": -0.2 for j in range(18)}}
    found = cancelled(night(shifts))
    assert found == {"a": Cancelled(pytest.approx(0.1), ((OTHERS, pytest.approx(-3.6)),))}


def test_one_movement_is_not_cancelled_twice() -> None:
    found = cancelled(night({"a": 4.0, "b": 4.0, "c": -7.5}))
    assert found["a"].left == found["b"].left == pytest.approx(1 - 7.5 / 8)
    assert found["c"].left == 0.0
    assert found["c"].by == (("a", 4.0), ("b", 4.0))


@given(st.lists(st.floats(-10, 10), min_size=1, max_size=6), st.floats(0.1, 3))
def test_what_is_left_is_a_share_and_has_the_sign_of_the_movement(
    shifts: list[float], limit: float
) -> None:
    judged = night({str(j): shift for j, shift in enumerate(shifts)}, limit=limit)
    found = cancelled(judged)
    for name, undone in found.items():
        assert 0 <= undone.left < 1
        assert abs(judged[name].net_shift) > limit
        assert undone.by
        assert all(by * judged[name].net_shift < 0 for _, by in undone.by)
    if abs(judged["prediction"].net_shift) > limit:
        assert not found
    one_way = [shift for shift in shifts if shift >= 0]
    if len(one_way) in (0, len(shifts)):
        assert not found


BASELINE = Baseline(
    variance=1.0,
    n_sampled=10_000,
    n_periods=200,
    rows=5_000.0,
    spans=(Span(between=0.01, extreme=0.0, psi=0.0, missing=0.02),),
)


def judges(names: dict[str, Drift]) -> dict[str, v.Judge]:
    judge = partial(v.judge_drift, baseline=BASELINE, prediction_sd=2.0, n_judged=3)
    return dict.fromkeys(names, judge)


def measured(shifts: dict[str, float], n: int = N, **values: float) -> dict[str, Drift]:
    """The same, measured and not judged, by `BASELINE`, whose limit is 0.43 and gross 0.87."""
    drifts = night(shifts, **values)
    rows = (n // 2, n - n // 2, 0)
    return {
        name: replace(
            drift,
            n=n,
            counts=rows,
            mean=0.0,
            net_shift=NAN,
            shift_limit=NAN,
            psi_limit=NAN,
            missing_limit=NAN,
            raised="unknown",
        )
        for name, drift in drifts.items()
    }


def test_features_that_cancel_are_watched_and_say_by_what() -> None:
    drifts = measured({"a": 4.39, "b": -4.37, "c": 0.1})
    found = v.judge_together(drifts, judges(drifts))
    assert {name: drift.raised for name, drift in found.items()} == {
        "a": "watch",
        "b": "watch",
        "c": "ok",
        "prediction": "ok",
    }
    assert "moves the mean prediction by +4.39 by itself, far beyond" in found["a"].reason
    assert "cancelled by b (-4.37), and the predictions are as at training" in found["a"].reason
    assert "cancelled by a (+4.39)" in found["b"].reason
    assert found["a"].net_shift == pytest.approx(0.02)
    assert found["a"].score_shift == 4.39
    assert not v.affected(found["a"])
    assert np.isnan(found["a"].shift_share)


def test_what_is_left_is_judged_where_a_part_is_cancelled() -> None:
    baseline = replace(BASELINE, spans=(Span(between=0.3, extreme=0.0, psi=0.0, missing=0.02),))
    drifts = measured({"a": 4.0, "b": -2.5})
    every = judges(drifts) | {
        "prediction": partial(v.judge_drift, baseline=baseline, prediction_sd=2.0, n_judged=3)
    }
    found = v.judge_together(drifts, every)
    assert found["prediction"].raised == "ok"
    assert found["a"].raised == "alarm"
    assert "in part cancelled by b (-2.5), so that +1.5 is left" in found["a"].reason
    assert found["b"].raised == "watch"


def test_each_feature_s_share_is_told_where_the_predictions_moved() -> None:
    drifts = measured({"a": 4.0, "b": -1.0, "c": 0.1})
    found = v.judge_together(drifts, judges(drifts))
    assert found["a"].raised == found["prediction"].raised == "alarm"
    assert "129% of the mean prediction's movement by +3.1" in found["a"].reason
    shares = [found[name].shift_share for name in ("a", "b", "c")]
    assert sum(shares) == pytest.approx(1.0)
    assert np.isnan(found["prediction"].shift_share)
    assert "movement" not in found["c"].reason
    assert "the mean prediction moved by +3.1" in found["prediction"].reason


def run(drifts: dict[str, Drift], earlier: list[dict[str, Drift]]) -> dict[str, Drift]:
    return judge_with_earlier(drifts, earlier, judges(drifts), min_rows=100, persistence=(3, 5))


@pytest.mark.parametrize("n", [1_000, 60])
def test_what_is_cancelled_night_after_night_is_watched_also_in_small_nights(n: int) -> None:
    nights: list[dict[str, Drift]] = []
    for _ in range(8):
        nights.insert(0, run(measured({"a": 4.0, "b": -3.9}, n), nights))
    verdicts = {drift.verdict for found in nights[:6] for drift in found.values()}
    assert verdicts == ({"ok", "watch"} if n == 1_000 else {"ok", "watch", "unknown"} - {"unknown"})
    # One of the two goes on alone.
    alone = run(measured({"a": 4.0, "b": 0.0}, n), nights)
    assert alone["a"].verdict == alone["prediction"].verdict == "alarm"


def test_a_shift_that_lasts_is_an_alarm_on_the_third_night() -> None:
    nights: list[dict[str, Drift]] = []
    for _ in range(3):
        nights.insert(0, run(measured({"a": 0.6, "b": 0.0}), nights))
    assert [found["a"].verdict for found in nights] == ["alarm", "watch", "watch"]


def test_a_table_without_net_shifts_has_its_own_verdicts() -> None:
    old = [
        {
            name: replace(drift, net_shift=NAN)
            for name, drift in run(measured({"a": 0.6}), []).items()
        }
        for _ in range(2)
    ]
    assert run(measured({"a": 0.6}), old)["a"].verdict == "alarm"
