import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import entropy

from lasso_jobs.core import drift
from lasso_jobs.core.drift import Current, Reference, compare

NAN = float("nan")


def numbers(n: int = 1_000, seed: int = 0) -> np.ndarray:
    values = np.random.default_rng(seed).normal(size=n).round(2)
    values[::7] = np.nan
    return values


def test_inner_edges_cut_distinct_values_into_ten_equal_bins() -> None:
    values = np.sort(np.random.default_rng(0).normal(size=1_000))
    counts, _ = np.histogram(values, [-np.inf, *drift.quantile_edges(values), np.inf])
    assert counts.tolist() == [100] * 10


def test_repeated_values_have_fewer_bins_and_none_is_empty() -> None:
    values = np.sort(np.repeat([1.0, 2.0, 3.0], [700, 200, 100]))
    edges = drift.quantile_edges(values)
    assert edges.tolist() == [2.0, 3.0]
    assert drift.bin_counts(values, edges).tolist() == [700, 200, 100, 0]


@pytest.mark.parametrize("values", [[], [5.0], [5.0] * 100])
def test_values_that_do_not_vary_have_a_single_bin(values: list[float]) -> None:
    assert drift.quantile_edges(np.array(values)).size == 0


def test_rows_are_counted_per_bin_and_nulls_last() -> None:
    values, edges = numbers(), np.array([-1.0, 0.0, 0.5, 2.0])
    observed = values[~np.isnan(values)]
    expected = np.bincount(np.searchsorted(edges, observed, side="right"), minlength=5)
    found = drift.bin_counts(values, edges)
    assert np.isin(observed, edges).any()
    assert found.tolist() == [*expected, np.isnan(values).sum()]


def test_a_value_on_an_edge_lies_above_it() -> None:
    assert drift.bin_counts(np.array([1.0]), np.array([1.0, 2.0])).tolist() == [0, 1, 0, 0]


def test_infinities_lie_in_the_outer_bins() -> None:
    values = np.array([-np.inf, np.inf, np.inf])
    assert drift.bin_counts(values, np.array([0.0, 1.0])).tolist() == [1, 0, 2, 0]


def test_without_edges_all_observed_values_share_a_bin() -> None:
    assert drift.bin_counts(np.array([1.0, np.nan, 3.0]), np.empty(0)).tolist() == [2, 1]


def test_no_values_have_counts_of_zero() -> None:
    assert drift.bin_counts(np.empty(0), np.array([0.0])).tolist() == [0, 0, 0]


def test_codes_are_counted_and_those_without_an_indicator_last() -> None:
    codes = np.array([2, 0, -1, 2, -1, 0, 0], np.int32)
    assert drift.of_codes(codes, 4).counts.tolist() == [3, 0, 2, 0, 2]


def test_no_codes_have_counts_of_zero() -> None:
    assert drift.of_codes(np.empty(0, np.int32), 2).counts.tolist() == [0, 0, 0]


def test_the_mean_is_that_of_the_observed_values() -> None:
    values = numbers()
    found = drift.of_numbers(values, np.array([0.0]))
    assert found.n == 1_000
    assert_allclose(found.mean, np.nanmean(values), rtol=1e-13)


def test_the_shares_sum_to_one() -> None:
    found = drift.of_numbers(numbers(), np.array([0.0]))
    assert_allclose(found.shares, found.counts / 1_000)
    assert_allclose(found.shares.sum(), 1.0)


def test_nothing_has_shares_of_zero() -> None:
    assert not drift.of_numbers(np.empty(0), np.array([0.0])).shares.any()


@pytest.mark.parametrize("seed", range(4))
def test_merged_parts_are_counted_as_their_rows_together(seed: int) -> None:
    values, edges = numbers(seed=seed), np.array([-1.0, 0.0, 1.0])
    cuts = np.sort(np.random.default_rng(seed).integers(0, 1_000, 6))
    parts = [drift.of_numbers(part, edges) for part in np.split(values, cuts)]
    forward, backward = parts[0], parts[-1]
    for part in parts[1:]:
        forward = drift.merge(forward, part)
    for part in parts[-2::-1]:
        backward = drift.merge(part, backward)
    whole = drift.of_numbers(values, edges)
    for merged in (forward, backward):
        assert_array_equal(merged.counts, whole.counts)
        assert_allclose(merged.mean, np.nanmean(values), rtol=1e-12, atol=1e-14)


def test_a_part_without_observed_values_does_not_move_the_mean() -> None:
    some = drift.of_numbers(np.array([0.1, 0.2]), np.array([0.0]))
    nulls = drift.of_numbers(np.full(5, np.nan), np.array([0.0]))
    for merged in (drift.merge(some, nulls), drift.merge(nulls, some)):
        assert merged.mean == some.mean
        assert merged.counts.tolist() == [0, 2, 5]


def test_parts_without_observed_values_merge() -> None:
    nulls = drift.of_numbers(np.full(5, np.nan), np.empty(0))
    assert drift.merge(nulls, nulls).counts.tolist() == [0, 10]


def test_psi_is_the_symmetrised_relative_entropy_of_the_smoothed_shares() -> None:
    reference, counts = np.array([0.1, 0.2, 0.3, 0.4, 0.0]), np.array([50, 0, 30, 15, 5])
    p = (reference * 100 + 0.5) / 102.5
    q = (counts + 0.5) / 102.5
    assert_allclose(drift.psi(reference, counts), entropy(p, q) + entropy(q, p), rtol=1e-12)


def test_psi_of_many_rows_approaches_the_textbook_sum() -> None:
    reference, current = np.array([0.2, 0.3, 0.5]), np.array([0.3, 0.3, 0.4])
    expected = np.sum((current - reference) * np.log(current / reference))
    found = drift.psi(reference, (current * 10**9).astype(int))
    assert_allclose(found, expected, rtol=1e-7)


def test_equal_shares_have_a_psi_of_zero() -> None:
    assert drift.psi(np.array([0.25, 0.75, 0.0]), np.array([25, 75, 0])) == pytest.approx(0)


def test_no_rows_have_a_psi_of_zero() -> None:
    assert drift.psi(np.array([0.5, 0.5]), np.array([0, 0])) == 0


def test_the_psi_of_another_draw_of_the_same_population_is_about_its_degrees_of_freedom() -> None:
    # n PSI is asymptotically chi-square with bins - 1 degrees of freedom.
    rng, shares = np.random.default_rng(0), np.full(10, 0.1)
    found = [1_000 * drift.psi(shares, rng.multinomial(1_000, shares)) for _ in range(200)]
    assert abs(np.mean(found) - 9) < 4 * np.sqrt(2 * 9 / 200)


REFERENCE = Reference(np.array([0.0]), np.array([0.5, 0.5, 0.0]), 0.3, 0.0)
SAME = Current(np.array([500, 500, 0]), 0.3)
MOVED = Current(np.array([200, 800, 0]), 0.8)


def judged(
    current: Current = MOVED,
    missing: float = 0.0,
    shift: float = 0.0,
    sd: float = 2.0,
    used: bool = True,
    reference: Reference = REFERENCE,
) -> drift.Drift:
    return compare("x", reference, current, missing, shift, sd, used)


@pytest.mark.parametrize(
    ("shift", "verdict"),
    [(0.0, "ok"), (0.39, "ok"), (0.4, "watch"), (-0.99, "watch"), (1.0, "alarm"), (-5.0, "alarm")],
)
def test_a_moved_feature_is_judged_by_how_far_it_moves_the_predictions(
    shift: float, verdict: str
) -> None:
    assert judged(shift=shift).verdict == verdict


def test_a_feature_whose_distribution_has_not_moved_is_never_alarming() -> None:
    assert judged(SAME, shift=100.0).verdict == "ok"


def test_a_feature_that_the_model_does_not_use_is_never_alarming() -> None:
    assert judged(missing=1.0, shift=100.0, used=False).verdict == "ok"


@pytest.mark.parametrize(("n", "verdict"), [(99, "ok"), (100, "alarm")])
def test_few_rows_are_noted_and_not_judged(n: int, verdict: str) -> None:
    found = judged(Current(np.array([0, n, 0]), 0.8), shift=100.0)
    assert found.verdict == verdict
    assert ("not judged" in found.reason) == (verdict == "ok")


@pytest.mark.parametrize(("missing", "verdict"), [(0.29, "ok"), (0.31, "watch")])
def test_more_imputed_rows_than_at_training_are_watched(missing: float, verdict: str) -> None:
    reference = Reference(np.array([0.0]), np.array([0.4, 0.4, 0.2]), 0.3, 0.2)
    current = Current(np.array([400, 400, 200]), 0.3)
    assert judged(current, missing, reference=reference).verdict == verdict


def test_predictions_that_do_not_vary_cannot_be_moved() -> None:
    assert judged(shift=100.0, sd=0.0).verdict == "ok"


def test_the_comparison_carries_both_sides() -> None:
    found = judged(missing=0.1, shift=0.5)
    assert (found.feature, found.n, found.score_shift) == ("x", 1_000, 0.5)
    assert (found.mean, found.reference_mean) == (0.8, 0.3)
    assert (found.missing_share, found.reference_missing_share) == (0.1, 0.0)
    assert found.psi == drift.psi(REFERENCE.shares, MOVED.counts)


def test_a_categorical_feature_has_no_means() -> None:
    reference = Reference(np.empty(0), np.array([0.5, 0.5, 0.0]), NAN, 0.0)
    found = judged(reference=reference)
    assert np.isnan([found.mean, found.reference_mean]).all()


def test_a_numeric_feature_without_observed_values_has_no_mean() -> None:
    found = judged(drift.of_numbers(np.full(200, np.nan), REFERENCE.edges), missing=1.0)
    assert found.verdict == "watch"
    assert np.isnan(found.mean)


@pytest.mark.parametrize(
    ("verdicts", "gravest"),
    [([], "ok"), (["ok", "ok"], "ok"), (["watch", "ok"], "watch"), (["alarm", "watch"], "alarm")],
)
def test_the_worst_of_several_verdicts_is_the_gravest(
    verdicts: list[drift.Verdict], gravest: str
) -> None:
    assert drift.worst(verdicts) == gravest
