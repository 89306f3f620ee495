"""Files that are alike share what was found out of their columns; others do not."""

from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lasso_jobs.data.columns.file_columns import FileColumns
from lasso_jobs.data.discover import discover
from lasso_jobs.errors import DataError


@pytest.fixture
def found_out(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files whose columns were found out by themselves."""
    paths: list[str] = []
    of = FileColumns.of

    def counted(path: str, schema: pa.Schema) -> FileColumns:
        paths.append(Path(path).name)
        return of(path, schema)

    monkeypatch.setattr(FileColumns, "of", counted)
    return paths


def test_the_columns_of_files_that_are_alike_are_found_out_once(
    found_out: list[str], tmp_path: Path
) -> None:
    for i in range(20):
        pq.write_table(pa.table({"x": [1, i], "y": [0.5, i]}), tmp_path / f"{i:02}.parquet")
    dataset = discover(str(tmp_path))
    assert len(found_out) == 1
    assert len({id(file.schema) for file in dataset.files}) == 1
    assert dataset.schema.names == ["x", "y"]


def test_each_file_that_differs_is_found_out_by_itself(
    found_out: list[str], tmp_path: Path
) -> None:
    pq.write_table(pa.table({"x": [1]}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"x": [1.5]}), tmp_path / "b.parquet")
    pq.write_table(pa.table({"x": [1], "z": ["t"]}), tmp_path / "c.parquet")
    dataset = discover(str(tmp_path))
    assert sorted(found_out) == ["a.parquet", "b.parquet", "c.parquet"]
    assert [file.schema.names for file in dataset.files] == [["x"], ["x"], ["x", "z"]]
    assert dataset.schema.field("x").type == pa.float64()


def test_leaves_of_one_name_are_of_their_own_columns(tmp_path: Path) -> None:
    # Parquet's own schemas of these two are equal, leaf by leaf.
    inner = pa.struct([pa.field("x", pa.int64(), nullable=False)])
    for name in ("a", "b"):
        schema = pa.schema([pa.field(name, inner, nullable=False), ("y", pa.int64())])
        table = pa.Table.from_pylist([{name: {"x": 1}, "y": 2}], schema)
        pq.write_table(table, tmp_path / f"{name}.parquet", store_schema=False)
    a, b = (pq.read_metadata(tmp_path / f"{name}.parquet").schema for name in ("a", "b"))
    assert a.equals(b)
    assert [f.schema.names for f in discover(str(tmp_path)).files] == [["a", "y"], ["b", "y"]]


def test_an_index_of_pandas_is_that_of_its_own_file(tmp_path: Path) -> None:
    frame = pd.DataFrame({"x": [1, 2, 3], "k": [4, 3, 7]})
    frame.to_parquet(tmp_path / "plain.parquet", index=False)
    frame.set_index("k").to_parquet(tmp_path / "indexed.parquet")
    asides = {f.identity.name: dict(f.aside) for f in discover(str(tmp_path)).files}
    assert asides == {"plain.parquet": {}, "indexed.parquet": {"k": "an index of pandas"}}


def test_sizes_and_nulls_are_those_of_all_leaves_and_row_groups(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"s": {"a": i, "b": [i, None]}, "x": None if i % 3 else i, "y": i} for i in range(10)
    ]
    place = tmp_path / "a.parquet"
    pq.write_table(pa.Table.from_pylist(rows), place, row_group_size=4, write_statistics=["x"])
    (file,) = discover(str(place)).files
    metadata = pq.read_metadata(place)
    groups = [metadata.row_group(i) for i in range(3)]
    leaves = [[g.column(j).total_compressed_size for j in range(4)] for g in groups]
    assert file.column_bytes.tolist() == [[a + b, x, y] for a, b, x, y in leaves]
    # 0, 3, 6 and 9 are no nulls; of the others the footer says nothing.
    assert file.nulls.tolist() == [-1, 6, -1]


def test_names_that_are_there_twice_are_refused_in_each_file(tmp_path: Path) -> None:
    table = pa.Table.from_arrays([pa.array([1]), pa.array([2])], ["x", "x"])
    pq.write_table(pa.table({"x": [1]}), tmp_path / "a.parquet")
    pq.write_table(table, tmp_path / "b.parquet")
    with pytest.raises(DataError, match=r"b\.parquet: has several columns 'x'"):
        discover(str(tmp_path))
