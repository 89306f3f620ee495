"""Scans of all columns are bitwise the same whether columns are scanned together or in groups."""

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lasso_jobs.core.fit.gradient_sums import Fits
from lasso_jobs.core.rows.columns import Columns
from lasso_jobs.core.rows.marginals import Marginals, side_by_side
from lasso_jobs.data.discover import discover
from lasso_jobs.training.screening import column_scans
from lasso_jobs.training.screening.column_scans import ColumnsScan, GradientScan, in_groups

from .read.test_rows import READING

N, Q, N_FITS = 400, 13, 3


@pytest.fixture
def unit(tmp_path: Path) -> Any:
    rng = np.random.default_rng(2)
    columns: dict[str, Any] = {f"x{j}": rng.normal(3, size=N) for j in range(Q)}
    columns["x4"][rng.random(N) < 0.2] = np.nan
    columns |= {"w": rng.integers(0, 3, N).astype(float), "y": rng.normal(size=N)}
    pq.write_table(pa.table(columns), tmp_path / "a.parquet", row_group_size=150)
    dataset = discover(str(tmp_path))
    (found,) = dataset.work_units(dataset.schema.names)
    return found


@pytest.fixture
def reading() -> Any:
    numeric = Columns(tuple(f"x{j}" for j in range(Q)), ())
    return replace(READING, columns=numeric, n_buckets=5, weight="w")


def test_columns_by_themselves(unit: Any, reading: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(column_scans, "GROUP_BYTES", 4 * 8 * 7 * 6)
    scan = ColumnsScan.of(reading)
    assert [len(group) for group in scan.groups] == [4, 4, 4, 1]
    whole = scan(unit)
    parts = [(each.columns, each(unit)) for each in scan.by_group()]
    assert {part.counts.rows for _, part in parts} == {whole.counts.rows} == {N}
    found = side_by_side([(columns, part.buckets) for columns, part in parts], Q)
    for field in fields(Marginals):
        np.testing.assert_array_equal(
            getattr(found, field.name), getattr(whole.buckets, field.name), err_msg=field.name
        )


@pytest.mark.parametrize("how", ["by_group", "in_passes"])
def test_columns_against_residuals(
    unit: Any, reading: Any, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setattr(column_scans, "GROUP_BYTES", 2 * 8 * N_FITS)
    monkeypatch.setattr(column_scans, "MOST_SUM_BYTES", 3 * 2 * 8 * N_FITS)
    rng = np.random.default_rng(3)
    working_set = Columns(("x1", "x7"), ())
    fits = Fits(
        buckets=(0, 1, 3),
        coef=rng.normal(size=(N_FITS, 2)),
        location=np.array([3.0, 3.0]),
        centre=np.zeros(N_FITS),
    )
    scan = GradientScan(
        reading=reading,
        working_set=working_set,
        indicators=(),
        fits=(fits,),
        reference=np.full(Q, 3.0),
        groups=in_groups(Q, N_FITS),
    )
    whole, scans = scan(unit), list(getattr(scan, how)())
    assert [len(each.groups) for each in scans] == ([1] * 7 if how == "by_group" else [3, 3, 1])
    stops = [each.columns.stop for each in scans]
    assert stops[-1] == Q and [each.columns.start for each in scans] == [0, *stops[:-1]]
    for each in scans:
        found = each(unit)
        np.testing.assert_array_equal(found.products, whole.products[each.columns])
        np.testing.assert_array_equal(found.sums, whole.sums)
        if found.null_products.size:
            np.testing.assert_array_equal(found.null_products, whole.null_products[each.columns])
