import errno
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lasso_jobs.data.blocks import read
from lasso_jobs.data.dataset import WorkUnit
from lasso_jobs.data.discover import discover
from lasso_jobs.data.parquet_file import remedy_for
from lasso_jobs.errors import DataError
from lasso_jobs.models.frames import table_of

from ... import unreadable as u

Write = Callable[..., Path]
TEXTS = (pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string()))


def units(path: object) -> tuple[WorkUnit, ...]:
    dataset = discover(str(path))
    return dataset.work_units(dataset.schema.names)


def message(path: Path, *columns: str) -> str:
    with pytest.raises(DataError) as caught:
        for unit in units(path):
            for piece in unit.pieces:
                for _ in read(piece, columns):
                    pass
    assert "\n" not in str(caught.value)
    return str(caught.value)


def a_file(write: Write, n: int = 60) -> Path:
    numbers = np.arange(n, dtype=float)
    return write("a.parquet", {"x1": numbers, "x2": numbers, "s": ["u", None, "v"] * (n // 3)})


# What cannot be read


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        (pa.ArrowInvalid("damaged"), "Replace it"),
        (OSError("Unexpected end of stream"), "Replace it"),
        (FileNotFoundError(errno.ENOENT, "gone"), "Restore it"),
        (PermissionError(errno.EACCES, "denied"), "Give the user the right to read it"),
        (OSError(errno.EIO, "broken"), "Run this again, once it can be reached"),
        (OSError("GET s3://b/a.parquet: connection refused"), "Run this again, once it can be"),
    ],
)
def test_a_file_out_of_reach_is_not_to_be_replaced(error: Exception, remedy: str) -> None:
    assert remedy_for(error, "Replace it").startswith(remedy)


# Text that is not UTF-8


@pytest.mark.parametrize("type_", TEXTS, ids=str)
def test_text_that_is_not_utf8_is_named_with_its_file_column_and_value(
    write: Write, type_: pa.DataType
) -> None:
    text = pa.table({"x": range(3), "s": pa.array(["u", None, "v"]).cast(type_)})
    path = write("a.parquet", u.latin1(text, "s"))
    expected = f"{path}, column 's': has text that is not UTF-8, b'M\\xfcller'"
    assert message(path, "x", "s").startswith(expected)
    assert [r.table.num_rows for unit in units(path) for r in read(unit.pieces[0], ["x"])] == [3]


@pytest.mark.parametrize("type_", TEXTS, ids=str)
def test_text_of_a_frame_that_is_not_utf8_is_named(type_: pa.DataType) -> None:
    table = u.latin1(pa.table({"s": pa.array(["u", None, "v"]).cast(type_)}), "s")
    with pytest.raises(DataError, match=r"frame, column 's': has text that is not UTF-8"):
        table_of(table, ["s"])


def test_half_a_character_in_a_frame_is_refused() -> None:
    with pytest.raises(DataError, match=r"frame, column 's'"):
        table_of(pd.DataFrame({"s": pd.Series(["\ud800", "u"], dtype=object)}), ["s"])


def test_utf8_of_any_script_is_read(write: Write) -> None:
    text = ["Müller", "größe", "日本", "😀", ""]
    path = write("a.parquet", {"s": text})
    (rows,) = read(units(path)[0].pieces[0], ["s"])
    assert rows.table["s"].to_pylist() == text


def test_the_name_of_a_column_that_is_not_utf8_is_told(write: Write) -> None:
    path = write("a.parquet", {"grosse": [1.0], "y": [2.0]})
    u.wrong_name(path, "grosse")
    expected = f"{path}: has the name of a column that is not UTF-8 (b'\\xfc\\xfc"
    assert message(path).startswith(expected)


def test_the_name_of_a_file_that_is_not_utf8_is_told(write: Write) -> None:
    path = a_file(write)
    path.rename(path.with_name(os.fsdecode(b"M\xfcller.parquet")))
    found = message(path.parent)
    assert found.startswith(f"{path.parent}/M\\xfcller.parquet: is a name that is not UTF-8")
    found.encode()


# Damage and encryption


@pytest.mark.parametrize("name", ["x1", "x2", "s"])
def test_a_page_that_differs_from_its_checksum_is_named_with_its_column(
    write: Write, name: str
) -> None:
    path = a_file(write)
    u.damaged_page(path, name)
    found = message(path, "x1", "x2", "s")
    assert found.startswith(f"{path}, column {name!r}: cannot be read (")
    assert "CRC" in found


def test_a_page_without_checksum_is_read(write: Write) -> None:
    path = write("a.parquet", {"x": [1.0, 2.0]}, write_page_checksum=False)
    (rows,) = read(units(path)[0].pieces[0], ["x"])
    assert rows.table["x"].to_pylist() == [1.0, 2.0]


def test_a_damaged_page_of_a_column_that_is_read_later_is_named(write: Write) -> None:
    path = a_file(write, 30_000)
    u.damaged_page(path, "x2")
    (rows,) = read(units(path)[0].pieces[0], ["x1", "x2"], later=["x1", "x2"])
    assert rows.later("x1").sum() == np.arange(30_000).sum()
    with pytest.raises(DataError, match="column 'x2'"):
        rows.later("x2")


@pytest.mark.parametrize("encrypt", [u.encrypted_column, u.encrypted_footer])
@pytest.mark.parametrize("name", ["x1", "x2", "s"])
def test_a_file_with_encryption_is_refused_before_pyarrow_ends_the_process(
    write: Write, encrypt: u.Spoil, name: str
) -> None:
    path = a_file(write)
    encrypt(path, name)
    column = f", column {name!r}: is" if encrypt is u.encrypted_column else ": its footer is"
    assert message(path, "x1").startswith(
        f"{path}{column} encrypted; expected a Parquet file without encryption. "
    )


def test_an_encrypted_object_is_refused_with_no_request_more(
    write: Write, bucket: str, upload: Callable[[Path, str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from lasso_jobs.storage.remote import Object

    path = a_file(write)
    requests: list[tuple[int, int]] = []
    part = Object._part
    monkeypatch.setattr(
        Object, "_part", lambda self, *span: (requests.append(span), part(self, *span))[1]
    )
    uri = upload(path.parent, f"{bucket}/d")
    assert discover(uri).n_rows == 60
    assert requests == [(0, path.stat().st_size)]
    u.encrypted_column(path, "x2")
    with pytest.raises(DataError, match=r"a\.parquet, column 'x2': is encrypted"):
        discover(upload(path.parent, f"{bucket}/d"))


# Names with dots


@pytest.mark.parametrize("n", [10, 16_384, 40_000])
@pytest.mark.parametrize("order", [["a", "a.b", "y"], ["a.b", "a", "y"]])
def test_a_dotted_name_beside_a_struct_is_the_column_of_that_name(
    write: Write, n: int, order: list[str]
) -> None:
    values = np.arange(n, dtype=float)
    struct = pa.StructArray.from_arrays([pa.array(-values)], ["b"])
    columns = {"a": struct, "a.b": values, "y": 2 * values}
    path = write("a.parquet", pa.table({name: columns[name] for name in order}))
    (rows,) = read(units(path)[0].pieces[0], ["a.b", "y"], later=["a.b"])
    np.testing.assert_array_equal(rows.later("a.b"), values)
    np.testing.assert_array_equal(rows.table["y"].to_numpy(), 2 * values)
    (rows,) = read(units(path)[0].pieces[0], ["y", "a.b"])
    assert rows.table.column_names == ["y", "a.b"]


@pytest.mark.parametrize("n", [10, 16_384])
def test_a_plain_name_beside_a_dotted_one_is_itself(write: Write, n: int) -> None:
    values = np.arange(n, dtype=float)
    path = write("a.parquet", {"a.b": -values, "a": values})
    (rows,) = read(units(path)[0].pieces[0], ["a"], later=["a"])
    np.testing.assert_array_equal(rows.later("a"), values)


def test_a_struct_is_not_taken_for_an_absent_dotted_name(write: Write) -> None:
    struct = pa.StructArray.from_arrays([pa.array([1.0])], ["b"])
    path = write("a.parquet", {"a": struct, "y": [1.0]})
    (rows,) = read(units(path)[0].pieces[0], ["a.b", "y"], absent={"a.b"})
    assert rows.table.to_pydict() == {"a.b": [None], "y": [1.0]}


def test_checksums_are_where_pyarrow_writes_them(write: Write) -> None:
    path = a_file(write)
    u.damaged_page(path, "x1")
    assert pq.ParquetFile(path).read().num_rows == 60  # else the tests above prove nothing
