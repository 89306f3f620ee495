"""The window of a dataset: its newest period, by listing or footers, and the filter that it is."""

from datetime import date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lasso_jobs.data.discover import discover
from lasso_jobs.data.where import parse
from lasso_jobs.data.window import window_of
from lasso_jobs.errors import LassoJobsError


def folders(root: Path, *days: str, name: str = "day") -> str:
    for day in days:
        (root / f"{name}={day}").mkdir(parents=True)
        pq.write_table(pa.table({"x": [1.0, 2.0]}), root / f"{name}={day}" / "0.parquet")
    return str(root)


def column(root: Path, values: list[Any], type_: pa.DataType | None = None) -> str:
    for k, value in enumerate(values):
        table = pa.table({"t": pa.array([value, None], type_), "x": [1.0, 2.0]})
        pq.write_table(table, root / f"{k}.parquet")
    return str(root)


def test_files_outside_are_not_opened(tmp_path: Path) -> None:
    path = folders(tmp_path, "2024-02-27", "2024-02-28", "2024-02-29", "2024-03-01")
    (tmp_path / "day=2024-02-28" / "0.parquet").write_bytes(b"no Parquet file")
    window = window_of(path, (), None, width="2d")
    assert (window.column, window.newest) == ("day", "2024-03-01")
    assert window.where == "day >= '2024-02-29'"
    assert len(discover(path, parse(window.where, "data.where")).files) == 2


def test_the_newest_is_one_of_those_that_the_filter_leaves(tmp_path: Path) -> None:
    path = folders(tmp_path, "2024-02-27", "2024-02-28", "2024-02-29", "2024-03-01")
    where = parse("day < '2024-02-29'", "data.where")
    assert window_of(path, where, None, width="1w").where == "day >= '2024-02-22'"


@pytest.mark.parametrize(
    ("value", "type_", "width", "filters", "expected"),
    [
        (date(2024, 3, 1), None, "1d", "", "t >= '2024-03-01'"),
        ("2024-03-01 05:00", None, "2d", "", "t >= '2024-02-29'"),
        (datetime(2024, 3, 1, 5), None, "2d", "", "t >= '2024-02-29T00:00:00'"),
        (datetime(2024, 3, 1, 5), None, "6h", "", "t > '2024-02-29T23:00:00'"),
        (
            datetime(2024, 3, 1, 5),
            pa.timestamp("us", "UTC"),
            "1d",
            "",
            "t >= '2024-03-01T00:00:00Z'",
        ),
        (40, None, 10, "", "t > 30"),
        (40, None, 10, "t < 36 and x > 0", "t > 25"),
        (40, None, 10, "t <= 50", "t > 30"),
        (date(2024, 3, 1), None, "1d", "t < '2024-02-10'", "t >= '2024-02-09'"),
        (datetime(2024, 3, 1, 5), None, "1d", "t < '2024-02-10'", "t >= '2024-02-09T00:00:00'"),
    ],
)
def test_a_column_in_the_files_is_known_by_their_footers(
    tmp_path: Path, value: Any, type_: Any, width: str | int, filters: str, expected: str
) -> None:
    path = column(tmp_path, [value, value], type_)
    where = parse(filters, "data.where") if filters else ()
    window = window_of(path, where, None, width=width, period="t")
    assert window.where == expected
    (kept,) = parse(window.where, "data.where")
    if not filters:  # it fits the column, and keeps the newest
        assert kept.filter(pq.read_table(tmp_path / "0.parquet")).num_rows == 1


@pytest.mark.parametrize(
    ("value", "width", "period", "words"),
    [
        (date(2024, 3, 1), "12h", "t", "expected a number of whole days"),
        (date(2024, 3, 1), 3, "t", "expected a duration such as 180d"),
        (7, "3d", "t", "expected a number of periods"),
        ("20240301", "3d", "t", "has the value '20240301'"),
        (1.5, 3, "t", "has the value 1.5"),
        (True, 3, "t", "has the value True"),
        (None, 3, "t", "has no statistics"),
        (7, 3, "u", "has no values of one kind"),
        (7, 3, None, "no column of periods is known"),
        (date(2024, 3, 1), "9999999d", "t", "expected a shorter window"),
    ],
)
def test_what_has_no_window(
    tmp_path: Path, value: Any, width: str | int, period: str | None, words: str
) -> None:
    with pytest.raises(LassoJobsError, match=words):
        window_of(column(tmp_path, [value]), (), None, width=width, period=period)


def test_footers_without_statistics_say_so(tmp_path: Path) -> None:
    pq.write_table(pa.table({"t": [1, 2]}), tmp_path / "0.parquet", write_statistics=False)
    with pytest.raises(LassoJobsError, match="has no statistics in the file's footer"):
        window_of(str(tmp_path), (), None, width=1, period="t")
