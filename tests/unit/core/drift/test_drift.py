"""A feature against its reference: exact parts of what happens to the predictions."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from lasso_jobs.core.drift.bins import bin_labels, quantile_edges
from lasso_jobs.core.drift.current import of_codes, of_numbers
from lasso_jobs.core.drift.drift import Drift, Effect, Reference, measure
from lasso_jobs.core.drift.limits import Baseline

NAN = float("nan")
BASELINE = Baseline(variance=1.0, n_sampled=1_000)


def rows(n: int = 500, seed: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A number with nulls, a category with unseen levels, and predictions of both."""
    rng = np.random.default_rng(seed)
    number, codes = rng.normal(3, 2, n), rng.integers(-1, 3, n).astype(np.int32)
    number[rng.random(n) < 0.2] = np.nan
    return number, codes, predicted(number, codes)


FILL, COEF, INDICATOR, LEVELS = 2.5, 1.5, -4.0, np.array([1.0, 0.0, -2.0])


def columns(number: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """The design's columns, written out."""
    filled = np.where(np.isnan(number), FILL, number)
    return np.array([filled, np.isnan(number), *(codes == k for k in range(3))], float)


def predicted(number: np.ndarray, codes: np.ndarray) -> np.ndarray:
    return 7 + np.array([COEF, INDICATOR, *LEVELS]) @ columns(number, codes)


def measured(before: tuple[np.ndarray, ...], now: tuple[np.ndarray, ...]) -> list[Drift]:
    """The number and the category of some rows, against those before."""
    z, y = columns(before[0], before[1]), before[2]
    coef = np.array([COEF, INDICATOR, *LEVELS])
    parts = coef * np.array([np.cov(column, y, bias=True)[0, 1] for column in z])
    known = before[0][~np.isnan(before[0])]
    edges = quantile_edges(np.sort(known))
    own = of_numbers(before[0], y, edges=edges, low=known.min(), high=known.max())
    levels = of_codes(before[1], y, 3)
    number = Reference(
        edges=edges,
        shares=own.shares,
        places=own.means,
        mean=own.mean,
        sd=known.std(),
        low=known.min(),
        high=known.max(),
        missing_share=float(own.shares[-1]),
        variance=parts[:2].sum(),
        baseline=BASELINE,
    )
    category = Reference(
        edges=np.empty(0),
        shares=levels.shares,
        places=np.empty(0),
        mean=NAN,
        sd=NAN,
        low=NAN,
        high=NAN,
        missing_share=0.0,
        variance=parts[2:].sum(),
        baseline=BASELINE,
    )
    counted = of_numbers(now[0], now[2], edges=edges, low=known.min(), high=known.max())
    missing = float(np.isnan(now[0]).sum() / max(len(now[0]), 1))
    means, bins = z.mean(axis=1), bin_labels(edges)
    return [
        measure(
            number,
            counted,
            Effect(coef[:2], means[:2], FILL),
            feature="x",
            kind="numeric",
            bins=bins,
            missing_share=missing,
        ),
        measure(
            category,
            of_codes(now[1], now[2], 3),
            Effect(coef[2:], means[2:], NAN),
            feature="c",
            kind="categorical",
            bins=("a", "b", "c", "unseen", "missing"),
            missing_share=0.0,
        ),
    ]


@pytest.mark.parametrize("seed", range(3))
def test_the_parts_of_the_features_are_the_change_of_the_predictions(seed: int) -> None:
    number, codes, _ = rows(seed=seed)
    number, codes = number * 1.3 + 1, np.where(codes == 0, 2, codes).astype(np.int32)
    before, now = rows(seed=seed + 10), (number, codes, predicted(number, codes))
    found = measured(before, now)
    assert_allclose(
        sum(row.score_shift for row in found), now[2].mean() - before[2].mean(), rtol=1e-12
    )
    assert_allclose(
        sum(row.variance_shift for row in found), now[2].var() - before[2].var(), rtol=1e-11
    )


def test_rows_like_those_before_have_not_drifted() -> None:
    for row in measured(rows(), rows()):
        assert_allclose([row.psi, row.js, row.score_shift, row.variance_shift], 0.0, atol=1e-12)
        assert sum(row.counts) == row.n == 500
        assert len(row.bins) == len(row.counts) == len(row.reference_shares)
        assert_allclose(sum(row.reference_shares), 1.0)


def test_a_number_has_its_own_statistics() -> None:
    before, now = rows(), rows(seed=4)
    found, known = measured(before, now)[0], now[0][~np.isnan(now[0])]
    past = before[0][~np.isnan(before[0])]
    assert_allclose([found.mean, found.sd], [known.mean(), known.std()], rtol=1e-12)
    assert_allclose([found.reference_mean, found.reference_sd], [past.mean(), past.std()])
    assert (found.minimum, found.maximum) == (known.min(), known.max())
    assert found.missing_share == np.isnan(now[0]).mean()
    outside = (known < past.min()) | (known > past.max())
    assert found.out_of_range_share == outside.sum() / 500
    assert np.isnan([found.chi2, found.unseen_share]).all()
    assert 0 < found.wasserstein < 0.3


def test_a_distance_in_deviations_grows_with_the_shift() -> None:
    before = rows()
    moved = before[0] + 2 * np.nanstd(before[0])
    found = measured(before, (moved, before[1], predicted(moved, before[1])))[0]
    assert_allclose(found.wasserstein, 2.0, rtol=1e-12)


def test_a_category_has_its_own_statistics() -> None:
    found = measured(rows(), rows(seed=4))[1]
    assert found.unseen_share == (rows(seed=4)[1] == -1).mean()
    assert np.isnan([found.mean, found.sd, found.ks, found.wasserstein, found.minimum]).all()
    assert found.bins[-2:] == ("unseen", "missing")
    assert found.counts[-1] == 0


def test_a_number_without_values_has_no_mean_and_is_filled() -> None:
    number, codes, _ = rows()
    nulls = np.full(500, np.nan)
    found = measured(rows(), (nulls, codes, predicted(nulls, codes)))[0]
    assert np.isnan([found.mean, found.sd, found.minimum, found.ks, found.wasserstein]).all()
    z = columns(number, codes)
    expected = COEF * (FILL - z[0].mean()) + INDICATOR * (1 - z[1].mean())
    assert_allclose(found.score_shift, expected, rtol=1e-12)


def test_of_no_rows_nothing_is_known() -> None:
    none = np.empty(0)
    for row in measured(rows(), (none, none.astype(np.int32), none)):
        assert row.n == 0
        assert np.isnan([row.psi, row.score_shift, row.variance_shift]).all()
        assert np.isnan([row.missing_share, row.unseen_share]).all()


def test_a_prediction_enters_as_itself() -> None:
    _, _, before = rows()
    _, _, now = rows(seed=4)
    edges = quantile_edges(np.sort(before))
    own = of_numbers(before, before, edges=edges, low=before.min(), high=before.max())
    reference = Reference(
        edges=edges,
        shares=own.shares,
        places=own.means,
        mean=before.mean(),
        sd=before.std(),
        low=before.min(),
        high=before.max(),
        missing_share=0.0,
        variance=before.var(),
        baseline=BASELINE,
    )
    effect = Effect(np.ones(1), np.array([before.mean()]), NAN)
    found = measure(
        reference,
        of_numbers(now, now, edges=edges, low=before.min(), high=before.max()),
        effect,
        feature="prediction",
        kind="prediction",
        bins=bin_labels(edges),
        missing_share=0.0,
    )
    assert_allclose(found.score_shift, now.mean() - before.mean(), rtol=1e-12)
    assert_allclose(found.variance_shift, now.var() - before.var(), rtol=1e-11)
