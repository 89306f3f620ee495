"""The moments of pairs are bitwise the same whether buckets are read together or one by one."""

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lasso_jobs.core.rows import buckets as b
from lasso_jobs.core.rows.columns import Columns
from lasso_jobs.core.rows.moments import Moments
from lasso_jobs.data.discover import discover
from lasso_jobs.training.read.kept import KeptUnit
from lasso_jobs.training.screening import pairs_scan
from lasso_jobs.training.screening.pairs_scan import (
    PairsScan,
    RowsScan,
    all_buckets,
    merge_rows,
)

from .read.test_rows import READING

N, Q = 700, 13


def assert_same(one: b.BucketMoments, other: b.BucketMoments) -> None:
    for mine, theirs in zip(one.buckets, other.buckets, strict=True):
        for field in fields(Moments):
            np.testing.assert_array_equal(getattr(mine, field.name), getattr(theirs, field.name))


@pytest.mark.parametrize("weight", [None, "w"])
@pytest.mark.parametrize("nulls", [False, True])
@pytest.mark.parametrize("at_once", [1, 2, 4])
def test_groups_of_buckets_change_no_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, weight: str | None, nulls: bool, at_once: int
) -> None:
    rng = np.random.default_rng(1)
    columns: dict[str, Any] = {f"x{j}": rng.normal(3, size=N) for j in range(Q)}
    if nulls:
        columns["x4"][rng.random(N) < 0.2] = np.nan
    columns |= {"w": rng.integers(0, 3, N).astype(float), "y": rng.normal(size=N)}
    pq.write_table(pa.table(columns), tmp_path / "a.parquet", row_group_size=300)
    dataset = discover(str(tmp_path))
    (unit,) = dataset.work_units(dataset.schema.names)
    numeric = Columns(tuple(f"x{j}" for j in range(Q)), ())
    reading = replace(READING, columns=numeric, n_buckets=5, weight=weight)
    scan = PairsScan(reading, range(6))
    whole = scan(unit)
    assert whole.counts.rows == whole.moments.n_rows == N
    kept = KeptUnit.of(unit, reading, "float64")
    monkeypatch.setattr(pairs_scan, "GROUP_BYTES", at_once * 8 * (Q + 1) ** 2)
    groups = list(scan.in_groups())
    assert max(len(each.buckets) for each in groups) == at_once
    assert_same(all_buckets([each(kept) for each in groups]), whole.moments)
    assert_same(scan(kept).moments, whole.moments)
    gathered = RowsScan(reading)(unit)
    assert_same(replace(scan, threads=True)(gathered).moments, whole.moments)
    both = merge_rows(gathered, RowsScan(reading)(kept))
    assert [rows.counts.rows for rows in both.rows(reading)] == 2 * [300, 300, 100]
