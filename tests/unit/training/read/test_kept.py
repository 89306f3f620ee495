"""Columns had several together, of rows that are read or kept, equal those had one by one."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lasso_jobs.core.rows.blocks.block import Block
from lasso_jobs.core.rows.columns import Columns
from lasso_jobs.core.rows.vectors import Vector
from lasso_jobs.data.dataset import WorkUnit
from lasso_jobs.data.discover import discover
from lasso_jobs.errors import DataError
from lasso_jobs.training.read.kept import KeptUnit, training_rows
from lasso_jobs.training.read.rows import read_training_rows

from .test_rows import READING

N = 40
LISTS, SPARSE = Vector("v", 9), Vector("m", 5)
COLUMNS = Columns(("x0", "x1", *LISTS.names, "x2", *SPARSE.names), (), vectors=(LISTS, SPARSE))


def unit_of(folder: Path, change: dict[str, Any] | None = None) -> WorkUnit:
    rng = np.random.default_rng(0)
    lists: Any = rng.normal(size=(N, LISTS.length)).astype(np.float32).tolist()
    lists[3], lists[7][2] = None, None
    entries = [[(4, 0.5), (i % 4, 2.0)] if i % 3 else None for i in range(N)]
    columns = {f"x{j}": rng.normal(size=N) for j in range(3)} | (change or {})
    v = pa.array(lists, pa.list_(pa.float32(), LISTS.length))
    m = pa.array(entries, pa.map_(pa.int32(), pa.float32()))
    table = pa.table({**columns, "v": v, "m": m, "y": rng.normal(size=N)})
    pq.write_table(table, folder / "a.parquet", row_group_size=25)
    dataset = discover(str(folder))
    (unit,) = dataset.work_units(dataset.schema.names)
    return unit


def one_by_one(block: Block, places: Sequence[int]) -> list[Any]:
    return [np.array(block.numeric[j]) for j in places]


@pytest.mark.parametrize("sparse", [(), ("m",)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("chunk", [1, 70, 2**19])
def test_columns_are_the_same_together_as_one_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sparse: Any, dtype: str, chunk: int
) -> None:
    monkeypatch.setattr("lasso_jobs.core.rows.blocks.block.CHUNK_VALUES", chunk)
    reading = replace(READING, columns=COLUMNS, sparse=sparse)
    fewer = replace(reading, columns=COLUMNS.with_numeric(["x1", "v[2]", "v[3]", "x2", "m[4]"]))
    unit = unit_of(tmp_path)
    kept = KeptUnit.of(unit, reading, dtype)
    for own in (reading, fewer):
        pairs = zip(read_training_rows(unit, own), training_rows(kept, own), strict=True)
        for rows in (each for pair in pairs for each in pair):
            block, n = rows.block, len(own.columns.numeric)
            expected = one_by_one(block, range(n))
            for places in ([0], list(range(n)), [1, n - 1], list(range(1, 4))):
                found = block.several(np.array(places))
                exact = [expected[j] for j in places]
                np.testing.assert_array_equal(found, exact)
            chunks = list(block.chunks())
            assert [j for places, _ in chunks for j in places.tolist()] == block.laid_out().tolist()
            for places, values in chunks:
                assert values.shape == (len(places), block.n_rows)


def test_what_is_refused_is_named_where_columns_are_kept(tmp_path: Path) -> None:
    reading = replace(READING, columns=COLUMNS, nulls_allowed=False)
    with pytest.raises(DataError, match=r"column 'v\[0\]'.* has nulls"):
        KeptUnit.of(unit_of(tmp_path), reading, "float64")
    infinite = {"x1": np.where(np.arange(N) == 30, np.inf, 1.0)}
    with pytest.raises(DataError, match=r"column 'x1'.* infinite"):
        KeptUnit.of(unit_of(tmp_path, infinite), replace(reading, nulls_allowed=True), "float64")
