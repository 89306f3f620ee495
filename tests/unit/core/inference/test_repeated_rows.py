"""Rows that are copied are found, and rows that are equal by chance are not accused."""

import numpy as np
import pytest
from numpy.typing import NDArray

from lasso_jobs.core.inference.checks import Check
from lasso_jobs.core.inference.repeated_rows import repeated_rows
from lasso_jobs.core.rows.repeats import NOT_COUNTED, Hashing, none

Floats = NDArray[np.float64]
N = 20_000


def judged(X: Floats, y: Floats, buckets: NDArray[np.intp] | None = None) -> Check:
    rng = np.random.default_rng(1)
    buckets = rng.integers(0, 60, len(y)) if buckets is None else buckets
    hashing = Hashing(none(1), y, len(X))
    for column in X:
        hashing.add(column)
    sampled = rng.permutation(len(y))[:10_000]
    return repeated_rows(hashing.counted(buckets), X[:, sampled], y[sampled])


def table(copied: float = 0.0, seed: int = 0) -> tuple[Floats, Floats]:
    """The last rows are copies of the first."""
    rng = np.random.default_rng(seed)
    X, y = rng.normal(size=(5, N)), rng.normal(size=N)
    k = int(copied * N / 2)
    X[:, N - k :], y[N - k :] = X[:, :k], y[:k]
    return X, y


@pytest.mark.parametrize(
    ("copied", "verdict"),
    [(0.0, "fine"), (0.002, "fine"), (0.05, "needs a look"), (0.3, "violated")],
)
def test_the_share_of_the_copies_decides(copied: float, verdict: str) -> None:
    check = judged(*table(copied))
    assert check.verdict == verdict
    assert check.statistics["share"] == pytest.approx(copied, abs=0.025)
    assert ("search.split: {group:" in check.remedy) == (verdict != "fine")


def test_copies_that_the_split_keeps_together_are_no_fault() -> None:
    X, y = table(0.3)
    k = 3 * N // 20
    together = np.arange(N) % 7
    together[N - k :] = together[:k]
    check = judged(X, y, together)
    assert (check.verdict, check.statistics["share_elsewhere"]) == ("fine", 0.0)
    assert check.finding.endswith("have copies that it keeps together.")


def few_features_few_targets(rng: np.random.Generator) -> tuple[Floats, Floats]:
    return rng.integers(0, 2, (5, N)).astype(float), rng.integers(1, 6, N).astype(float)


def products_with_rounded_revenue(rng: np.random.Generator) -> tuple[Floats, Floats]:
    """20 products decide all features; revenue has a thousand values."""
    product = rng.integers(0, 20, N)
    return rng.normal(size=(4, 20))[:, product], np.round(product + 100 * rng.random(N), 1)


def minutes_of_delay(rng: np.random.Generator) -> tuple[Floats, Floats]:
    X = np.vstack([rng.integers(0, 24, N), rng.integers(0, 7, N), rng.integers(0, 300, N)])
    return X.astype(float), np.round(30 * rng.normal(size=N))


@pytest.mark.parametrize(
    ("world", "verdict"),
    [
        (few_features_few_targets, "not checked"),
        (products_with_rounded_revenue, "fine"),
        (minutes_of_delay, "fine"),
    ],
)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_rows_that_are_equal_by_chance_are_no_copies(
    world: object, verdict: str, seed: int
) -> None:
    assert callable(world)
    assert judged(*world(np.random.default_rng(seed))).verdict == verdict


def test_what_was_not_compared_is_unknown() -> None:
    X, y = table()
    for repeats, screened in ((none(NOT_COUNTED), False), (none(), False), (none(1), True)):
        check = repeated_rows(repeats, X, y, screened=screened)
        assert check.verdict == "not checked"
        assert "not compared" in check.finding
