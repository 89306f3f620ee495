"""Verdicts: what raises one, what makes it last, and what never does."""

from dataclasses import replace

import numpy as np
import pytest

from lasso_jobs.core import drift as d
from lasso_jobs.core import verdicts as v
from lasso_jobs.core.limits import Innocent, Span, limits

DAYS = Innocent(1.0, 10_000, 200, 5_000.0, (Span(0.01, 0.0, 0.0, 0.02),))
SHARES = np.array([0.5, 0.5, 0.0])
SD = 2.0
N = 5_000


def row(shift: float = 0.0, psi: float = 0.0, **values: object) -> d.Drift:
    nan = d.NAN
    measured = d.Drift(
        "x",
        "numeric",
        N,
        *(0.0, 0.0, 0, nan, nan, nan, nan, nan, nan),
        *(psi, nan, nan, nan, nan, nan, nan, shift, nan),
        ("low", "high", "missing"),
        (N // 2, N // 2, 0),
        tuple(SHARES.tolist()),
    )
    return replace(measured, **values)  # type: ignore[arg-type]


def judged(drift: d.Drift, used: bool = True) -> d.Drift:
    return v.judge(drift, DAYS, SD, used, 10)


LIMITS = limits(DAYS, N, SHARES, 0.0, SD, 10)


@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize(
    ("shift", "raised"),
    [
        (LIMITS.shift * 0.999, "ok"),
        (LIMITS.shift * 1.001, "watch"),
        (LIMITS.gross * 0.999, "watch"),
        (LIMITS.gross * 1.001, "alarm"),
    ],
)
def test_a_shift_of_the_mean_prediction_is_judged_by_its_limits(
    sign: int, shift: float, raised: str
) -> None:
    found = judged(row(sign * shift))
    assert (found.raised, found.verdict) == (raised, raised)
    assert v.affected(found) == (raised != "ok")
    assert (found.shift_limit, found.psi_limit) == (LIMITS.shift, LIMITS.psi)
    assert found.missing_limit == LIMITS.missing


def test_another_distribution_alone_is_watched_and_affects_no_prediction() -> None:
    found = judged(row(psi=LIMITS.psi * 1.01))
    assert found.verdict == "watch"
    assert not v.affected(found)


def test_another_distribution_of_the_predictions_affects_them() -> None:
    assert v.affected(judged(row(psi=LIMITS.psi * 1.01, kind="prediction")))


@pytest.mark.parametrize(
    ("missing", "unseen", "raised"),
    [
        (0.06, d.NAN, "ok"),
        (0.08, d.NAN, "watch"),
        (0.06, 0.02, "watch"),
        (0.0, 0.1, "watch"),
        (0.51, d.NAN, "alarm"),
        (0.2, 0.4, "alarm"),
    ],
)
def test_rows_without_a_value_that_the_model_knows_are_judged(
    missing: float, unseen: float, raised: str
) -> None:
    found = judged(row(missing_share=missing, unseen_share=unseen))
    assert found.raised == raised
    assert ("none that the model knows" in found.reason) == (raised != "ok")


def test_a_feature_that_the_model_does_not_use_is_only_noted() -> None:
    found = judged(row(100.0, 9.0, missing_share=1.0), used=False)
    assert (found.raised, found.verdict) == ("ok", "ok")
    assert found.reason == "noted: PSI 9; the model does not use it"
    assert not v.affected(found)
    assert v.persisting(found, [True] * 9, 1, 1).verdict == "ok"


@pytest.mark.parametrize(("n", "raised"), [(99, "ok"), (100, "alarm")])
def test_few_rows_are_noted_and_not_judged(n: int, raised: str) -> None:
    found = judged(row(100.0, n=n))
    assert found.raised == raised
    assert ("not judged" in found.reason) == (raised == "ok")
    assert np.isnan(found.shift_limit) == (raised == "ok")


WATCHED = judged(row(LIMITS.shift * 1.1))


@pytest.mark.parametrize(
    ("before", "verdict"),
    [
        ([], "watch"),
        ([True], "watch"),
        ([True, True], "alarm"),
        ([True, False, False, True], "alarm"),
        ([True, False, False, False, True], "watch"),
        ([False, False, True, True], "alarm"),
    ],
)
def test_an_alarm_takes_three_of_the_last_five_runs(before: list[bool], verdict: str) -> None:
    found = v.persisting(WATCHED, before, 3, 5)
    assert found.verdict == verdict
    assert found.raised == "watch"
    assert ("of the last" in found.reason) == (verdict == "alarm")


def test_a_run_that_is_ok_is_so_whatever_was_before() -> None:
    assert v.persisting(judged(row()), [True] * 4, 3, 5).verdict == "ok"


def test_another_distribution_alone_does_not_become_an_alarm() -> None:
    found = judged(row(psi=LIMITS.psi * 1.01))
    assert v.persisting(found, [True] * 4, 3, 5).verdict == "watch"


def test_a_gross_shift_needs_no_second_run() -> None:
    assert v.persisting(judged(row(LIMITS.gross * 1.1)), [], 3, 5).verdict == "alarm"


@pytest.mark.parametrize(
    ("verdicts", "gravest"),
    [([], "ok"), (["ok", "ok"], "ok"), (["watch", "ok"], "watch"), (["alarm", "watch"], "alarm")],
)
def test_the_worst_of_several_verdicts_is_the_gravest(
    verdicts: list[d.Verdict], gravest: str
) -> None:
    assert v.worst(verdicts) == gravest
