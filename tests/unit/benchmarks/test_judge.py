"""The judge of bars, on runs that are made up: its size, its power, and what it does not judge."""

from typing import Any

import numpy as np
import pytest
from scipy import stats

from benchmarks.bars import judge as j
from benchmarks.bars.case import Bar, Case

BAR = Bar("whole", ("ours", "whole"), 1.2, ("theirs", "whole"))
CASE = Case("case", "", 100, 10, lambda setting: {}, (BAR,))


def record(ours: list[float], theirs: list[float] | None = None, **more: Any) -> dict[str, Any]:
    """What a measurement would have found."""
    turns = {"ours": ours, "theirs": theirs or [1.0] * len(ours)}
    found = {name: [{"whole": v} for v in values] for name, values in turns.items()}
    return {"rows": 100, "features": 10, "whole size": True, "others": 0.0, "turns": found, **more}


def verdict(found: dict[str, Any] | None, *bars: Bar) -> str:
    case = Case("case", "", 100, 10, lambda setting: {}, bars or (BAR,))
    (judgement,) = j.judged(case, found)
    return judgement.verdict


@pytest.mark.parametrize("n", [5, 6, 7, 8, 12, 30])
def test_the_noise_is_the_interval_of_a_median_by_the_binomial_distribution(n: int) -> None:
    low, high = j.interval([float(i) for i in range(1, n + 1)])
    k = int(low)
    assert stats.binom.cdf(k - 1, n, 0.5) <= j.ERROR < stats.binom.cdf(k, n, 0.5)
    assert high == n + 1 - k


def test_a_bar_that_is_just_reached_is_missed_in_one_run_of_twenty_at_most() -> None:
    """Skewed turns, whose median is the bar."""
    turns = 1.2 * np.exp(0.2 * np.random.default_rng(0).normal(size=(4_000, 5)))
    missed = [j.verdict_of(row, 1.2)[0] == j.MISSED for row in turns.tolist()]
    assert np.mean(missed) == pytest.approx(1 / 32, abs=0.01)


def test_a_ratio_a_tenth_above_its_bar_is_missed_in_nine_runs_of_ten() -> None:
    turns = 1.2 * np.random.default_rng(1).normal(1.1, 0.05, size=(4_000, 5))
    found = [j.verdict_of(row, 1.2)[0] for row in turns.tolist()]
    assert np.mean([each == j.MISSED for each in found]) > 0.85
    assert np.mean([each == j.MET for each in found]) < 0.001


def test_a_turn_in_which_the_machine_was_busy_decides_nothing() -> None:
    assert verdict(record([1.1, 1.1, 9.0, 1.1, 1.1])) == j.MET


def test_both_sides_of_a_ratio_are_of_the_same_turn() -> None:
    theirs = [1.0, 2.0, 3.0, 4.0, 5.0]
    assert verdict(record([1.1 * t for t in theirs], theirs)) == j.MET
    assert verdict(record([1.4 * t for t in theirs], theirs)) == j.MISSED
    assert verdict(record([1.4 * t for t in theirs], theirs[::-1])) == j.UNJUDGED


def test_a_ratio_above_its_bar_is_within_the_noise_if_some_turn_is_not_above() -> None:
    assert verdict(record([1.22, 1.19, 1.23, 1.21, 1.25])) == j.NOISE
    assert verdict(record([1.5, 1.19, 1.6, 1.5, 1.5])) == j.UNJUDGED


def test_without_another_side_the_number_itself_has_the_bar() -> None:
    assert verdict(record([36.5] * 5), Bar("a night", ("ours", "whole"), 0.15, per=365)) == j.MET
    assert verdict(record([73.0] * 5), Bar("a night", ("ours", "whole"), 0.15, per=365)) == j.MISSED


def test_a_known_shortfall_is_told_as_such_only_while_it_is_one() -> None:
    bar = Bar("whole", ("ours", "whole"), 1.2, known="no way is known")
    assert verdict(record([2.0] * 5), bar) == j.KNOWN
    assert verdict(record([1.0] * 5), bar) == j.MET


@pytest.mark.parametrize(
    ("found", "because"),
    [
        (None, "not measured"),
        (record([1.0] * 4), "of 4 turns"),
        (record([1.0] * 5, others=0.5), "others used 0.50 cores"),
        (record([1.0] * 5, **{"whole size": False}), "another size"),
        ({**record([1.0] * 5), "turns": {"ours": [{"whole": 1.0}] * 5}}, "theirs was left out"),
    ],
)
def test_what_was_not_measured_as_it_should_be_is_not_judged(
    found: dict[str, Any] | None, because: str
) -> None:
    (judgement,) = j.judged(CASE, found)
    assert judgement.verdict == j.UNJUDGED
    assert because in judgement.because


def test_a_case_that_failed_has_failed_all_its_bars() -> None:
    (judgement,) = j.judged(CASE, {**record([1.0] * 5), "failed": "lasso-jobs failed"})
    assert (judgement.verdict, judgement.because) == (j.FAILED, "lasso-jobs failed")
