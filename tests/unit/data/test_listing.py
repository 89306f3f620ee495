from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lasso_jobs.data import blocks
from lasso_jobs.data.discover import discover
from lasso_jobs.data.listing import files
from lasso_jobs.data.where import parse
from lasso_jobs.errors import DataError

NAMES = [
    "year=2013/month=7/a.parquet",
    "year=2013/month=8/a.parquet",
    "year=2013/month=8/b.parquet",
    "year=2013/month=10/c[1].parquet",
    "year=2014/d.parquet",
    "_delta/e.parquet",
    "year=2014/.f.parquet",
    "g.parquet",
]


@pytest.fixture
def data(tmp_path: Path, bucket: str, upload: Callable[[Path, str], str]) -> tuple[Path, str]:
    """The same files on disk and in a bucket."""
    for i, name in enumerate(NAMES):
        (tmp_path / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table({"x": [i]}), tmp_path / "data" / name)
    return tmp_path / "data", upload(tmp_path / "data", f"{bucket}/some/data")


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        "/",
        "/g.parquet",
        "/*.parquet",
        "/*/*.parquet",
        "/**/*.parquet",
        "/year=2013/month=?/*.parquet",
        "/year=201[3]/**/a.parquet",
        "/*/month=8/[ab].parquet",
        "/year=2013/month=10/c[[]1].parquet",
    ],
)
def test_a_uri_means_the_files_that_the_path_means(data: tuple[Path, str], pattern: str) -> None:
    local, uri = files(f"{data[0]}{pattern}"), files(f"{data[1]}{pattern}")
    assert [(f.name, f.constants) for f in uri] == [(f.name, f.constants) for f in local]
    assert len(uri) > 0
    assert [f.path.removeprefix(data[1]) for f in uri] == [
        f.path.removeprefix(str(data[0])) for f in local
    ]


@pytest.mark.parametrize("pattern", ["/absent", "/*.csv", "/year=2013/*.parquet", "/g.parq"])
def test_a_uri_that_means_no_file_is_refused(data: tuple[Path, str], pattern: str) -> None:
    with pytest.raises(DataError, match=r"no file|cannot be listed \(.*no such object or bucket"):
        files(f"{data[1]}{pattern}")


def test_rows_come_with_their_folders_and_objects_are_known_by_their_tag(
    data: tuple[Path, str],
) -> None:
    where = parse("month == '8'", "where")
    found = discover(f"{data[1]}/year=2013", where)
    columns = ["x", "month"]
    rows = [
        row
        for unit in found.work_units(columns)
        for piece in unit.pieces
        for part in blocks.read(piece, columns, where)
        for row in part.table.to_pylist()
    ]
    assert rows == [{"x": 1, "month": "8"}, {"x": 2, "month": "8"}]
    before = found.identities
    assert discover(f"{data[1]}/year=2013", where).identities == before
    from lasso_jobs.storage import files as storage

    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"x": [9]}), sink)
    content = sink.getvalue().to_pybytes()
    (piece, *_) = found.work_units(columns)[0].pieces
    assert len(content) == piece.file.size_bytes
    storage.write(piece.file.path, content)
    assert discover(f"{data[1]}/year=2013", where).identities != before
    with pytest.raises(DataError, match="has changed since the plan"):
        list(blocks.read(piece, columns))
    storage.remove(piece.file.path)
    with pytest.raises(DataError, match="has disappeared"):
        list(blocks.read(piece, columns))


def test_a_bucket_that_is_not_there_is_refused(s3_server: str) -> None:
    with pytest.raises(DataError, match="NoSuchBucket"):
        files("s3://there-is-none/data")
