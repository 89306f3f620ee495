"""Groups of buckets, against the rows that they are to have."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from lasso_jobs.core.inference.refits import groups as groups_module
from lasso_jobs.core.inference.refits.groups import ResamplingGroups
from lasso_jobs.core.rows.moments import Moments
from lasso_jobs.core.rows.sample import Sample

Rows = Callable[..., Moments]


def one_a_bucket(n: int) -> Sample:
    """A row of each bucket, and one that is held out."""
    hashes = np.arange(n + 1, dtype=np.uint64)
    return Sample(size=n + 1, hashes=hashes, buckets=np.arange(n + 1), values=np.empty((0, n + 1)))


def test_groups_are_merged_buckets_without_the_empty_ones(
    moments_of: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    X = np.random.default_rng(2).normal(size=(300, 3))
    buckets = [moments_of(X[g::60], X[g::60, 0]) for g in range(60)]
    buckets[4] = moments_of(np.empty((0, 3)), np.empty(0))
    assert len(ResamplingGroups.of(buckets).moments) == 59
    monkeypatch.setattr(groups_module, "MANY_COLUMNS", 3)
    found = ResamplingGroups.of(buckets, one_a_bucket(60))
    groups = found.moments
    assert len(groups) == 20
    assert found.sample is not None
    group_of = found.sample.buckets
    assert group_of[4] == group_of[60] == -1
    assert np.flatnonzero(group_of == 0).tolist() == [0, 21, 41]
    assert sum(g.n for g in groups) == 295
    # The buckets that have rows, by turns: the first, the 21st and the 41st of them.
    rows = np.isin(np.arange(300) % 60, [0, 21, 41])
    assert_allclose(groups[0].mean[:3], X[rows].mean(axis=0), rtol=1e-12)
    few = ResamplingGroups.of(buckets[:6], one_a_bucket(6))
    assert len(few.moments) == 5
    assert few.sample is not None
    assert few.sample.buckets.tolist() == [0, 1, 2, 3, -1, 4, -1]
    assert_array_equal(few.moments[4].mean, buckets[5].mean)
