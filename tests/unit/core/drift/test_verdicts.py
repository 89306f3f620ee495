"""Verdicts: what raises one, what makes it last, and what never does."""

from dataclasses import replace

import numpy as np
import pytest

from lasso_jobs.core.drift import drift as d
from lasso_jobs.core.drift import verdicts as v
from lasso_jobs.core.drift.current import of_numbers
from lasso_jobs.core.drift.limits import Baseline, Span, limits

BASELINE = Baseline(
    variance=1.0,
    n_sampled=10_000,
    n_periods=200,
    rows=5_000.0,
    spans=(Span(between=0.01, extreme=0.0, psi=0.0, missing=0.02),),
)
SHARES = np.array([0.5, 0.5, 0.0])
SD = 2.0
N = 5_000


def row(shift: float = 0.0, psi: float = 0.0, **values: object) -> d.Drift:
    measured = d.Drift(
        feature="x",
        kind="numeric",
        n=N,
        missing_share=0.0,
        reference_missing_share=0.0,
        psi=psi,
        score_shift=shift,
        bins=("low", "high", "missing"),
        counts=(N // 2, N // 2, 0),
        reference_shares=tuple(SHARES.tolist()),
    )
    return replace(measured, **values)  # type: ignore[arg-type]


def judged(drift: d.Drift) -> d.Drift:
    return v.judge_drift(drift, BASELINE, prediction_sd=SD, n_judged=10)


LIMITS = limits(BASELINE, N, shares=SHARES, missing=0.0, prediction_sd=SD, n_judged=10)


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
    assert ("one that the model does not know" in found.reason) == (raised != "ok")


def test_a_feature_that_the_model_does_not_use_is_only_noted() -> None:
    found = v.not_used(row(100.0, 9.0, missing_share=1.0))
    assert (found.raised, found.verdict) == ("unknown", "unknown")
    assert found.reason == "not judged: the model does not use it; PSI 9"
    assert not v.affected(found)
    assert v.persisting(found, [True] * 9, runs=1, last=1).verdict == "unknown"


@pytest.mark.parametrize(("n", "raised"), [(99, "unknown"), (100, "alarm")])
def test_few_rows_are_noted_and_not_judged(n: int, raised: str) -> None:
    found = judged(row(100.0, n=n))
    assert found.raised == raised
    assert ("not judged" in found.reason) == (raised == "unknown")
    assert np.isnan(found.shift_limit) == (raised == "unknown")


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
    found = v.persisting(WATCHED, before, runs=3, last=5)
    assert found.verdict == verdict
    assert found.raised == "watch"
    assert ("of the last" in found.reason) == (verdict == "alarm")


def test_a_run_that_is_ok_is_so_whatever_was_before() -> None:
    assert v.persisting(judged(row()), [True] * 4, runs=3, last=5).verdict == "ok"


def test_another_distribution_alone_does_not_become_an_alarm() -> None:
    found = judged(row(psi=LIMITS.psi * 1.01))
    assert v.persisting(found, [True] * 4, runs=3, last=5).verdict == "watch"


def test_a_gross_shift_needs_no_second_run() -> None:
    assert v.persisting(judged(row(LIMITS.gross * 1.1)), [], runs=3, last=5).verdict == "alarm"


@pytest.mark.parametrize(
    ("verdicts", "gravest"),
    [
        ([], "unknown"),
        (["ok", "ok"], "ok"),
        (["ok", "unknown"], "unknown"),
        (["watch", "ok"], "watch"),
        (["alarm", "watch"], "alarm"),
    ],
)
def test_the_worst_of_several_verdicts_is_the_gravest(
    verdicts: list[d.Severity], gravest: str
) -> None:
    assert v.worst(verdicts) == gravest


PLACES = np.array([-1.0, 1.0])


def measured_of(values: np.ndarray) -> tuple[d.Drift, np.ndarray]:
    """Values measured against two bins around 0, in a model whose coefficient is 3."""
    reference = d.Reference(
        edges=np.zeros(1),
        shares=SHARES,
        places=PLACES,
        mean=0.0,
        sd=1.0,
        low=-3.0,
        high=3.0,
        missing_share=0.0,
        variance=9.0,
        baseline=BASELINE,
    )
    effect = d.Effect(np.array([3.0]), np.zeros(1), 0.0)
    with np.errstate(over="ignore", invalid="ignore"):
        y = 3 * values
        now = of_numbers(values, y, edges=reference.edges, low=-3.0, high=3.0)
        drift = d.measure(
            reference, now, effect, feature="x", kind="numeric", bins=(), missing_share=0.0
        )
    return drift, effect.terms(reference)


def judged_with(values: np.ndarray) -> d.Drift:
    drift, terms = measured_of(values)
    return v.judge_drift(drift, BASELINE, prediction_sd=SD, n_judged=10, terms=terms)


@pytest.mark.parametrize("share", [1, 7])
def test_extreme_values_do_not_hide_that_the_others_moved(share: int) -> None:
    moved = np.random.default_rng(0).normal(50, 1, N)
    assert judged_with(moved).raised == "alarm"
    moved[:share] = -(moved[share:].sum()) / share  # the mean is that of training
    found = judged_with(moved)
    assert abs(found.score_shift) < found.shift_limit
    assert found.raised == found.verdict == "alarm"
    assert v.affected(found)
    assert found.reason.startswith("extreme values hide that the other rows moved it by +")


def test_rows_as_in_training_with_a_few_beyond_its_range_are_ok() -> None:
    usual = np.random.default_rng(0).normal(0, 1, N)
    usual[:3] = [-4.0, 4.0, 4.5]
    assert judged_with(usual).raised == "ok"


def test_a_shift_by_bins_is_at_most_one_from_the_first_bin_to_the_last() -> None:
    drift, terms = measured_of(np.array([1e70, -1e70, 1e70, 1e70]))
    assert v.moved_by_bins(drift, terms) == pytest.approx(0.25 * 6)
    assert v.moved_by_bins(replace(drift, out_of_range_share=0.0), terms) == 0.0
    assert v.moved_by_bins(replace(drift, counts=()), terms) == 0.0


@pytest.mark.parametrize("value", [1.7e308, -1.7e308, 1e200])
def test_a_statistic_that_is_no_finite_number_is_an_alarm(value: float) -> None:
    moved = np.random.default_rng(0).normal(50, 1, N)
    moved[[3, 4]] = value
    found = judged_with(moved)
    assert found.raised == found.verdict == "alarm"
    assert "nan" not in found.reason
    if abs(value) > 1e300:
        assert "score shift cannot be computed: some values are too large" in found.reason


@pytest.mark.parametrize("value", [1e75, -1e75, 1e40])
@pytest.mark.parametrize("place", [0, 17])
def test_the_largest_numbers_that_are_scored_leave_every_statistic_finite(
    value: float, place: int
) -> None:
    moved = np.random.default_rng(0).normal(50, 1, N)
    moved[place] = value
    found = judged_with(moved)
    assert v.not_finite(found) == []
    assert found.verdict == "alarm"
