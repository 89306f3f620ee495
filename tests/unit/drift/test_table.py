"""The drift table: its columns, rows there and back, and which night a partition names."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lasso_jobs.drift import table
from lasso_jobs.sinks import run_table

from ...drift_tables import SCHEMA, START, a_category, a_row, write_run


def test_the_columns_are_those_that_readers_know() -> None:
    assert table.SCHEMA == SCHEMA
    assert table.as_table([]).schema == SCHEMA


def test_rows_come_back_as_they_were_written(tmp_path: Path) -> None:
    root = str(tmp_path / "drift")
    run_id = write_run(root, 0, [a_row("price"), a_category("store", ["a", "b"])])
    rows = table.rows_of_run(root, run_id)
    again = [
        replace(row, run=replace(row.run, id="again", scored_at=START.replace(microsecond=7)))
        for row in rows
    ]
    run_table.replace_rows(root, table.as_table(again), "run_id", "again")
    for before, after in zip(again, table.rows_of_run(root, "again"), strict=True):
        np.testing.assert_equal(after.as_values(), before.as_values())
        assert after.run == before.run
        assert isinstance(after.drift.bins, tuple)


def test_the_past_is_of_whole_partitions_and_of_a_model_version_if_one_is_asked_for(
    tmp_path: Path,
) -> None:
    root = str(tmp_path / "drift")
    assert table.past_rows(root) == []
    write_run(root, 0, [a_row("price"), a_row("price", segment="region=coast")])
    write_run(root, 1, [a_row("price")], version="v2")
    every = table.past_rows(root)
    assert sorted(row.run.model_version for row in every) == ["v2", "v3"]
    (own,) = table.past_rows(root, next(r.run for r in every if r.run.model_version == "v2"))
    assert own.partition == "date=2024-01-02"


@pytest.mark.parametrize(
    ("partition", "night", "series"),
    [
        # Days.
        ("date=2013-10-01", "2013-10-01", "date/"),
        ("day=20131001", "2013-10-01", "day/"),
        ("date=2024-02-29", "2024-02-29", "date/"),
        ("date=2023-02-29", None, "date=2023-02-29"),
        ("day=20131301", None, "day=20131301"),
        ("store=10131001", None, "store=10131001"),
        # Months; six digits could be any number.
        ("month=2013-10", "2013-10", "month/"),
        ("month=2013-13", None, "month=2013-13"),
        ("month=201310", None, "month=201310"),
        ("year=2013", None, "year=2013"),
        # Hours and timestamps.
        ("hour=2013-10-01T05", "2013-10-01T05", "hour/"),
        ("hour=2013-10-01 05:00", "2013-10-01T05:00", "hour/"),
        ("at=2013-10-01T05:00:00.5Z", "2013-10-01T05:00:00.5Z", "at/"),
        ("at=2013-10-01 05:00:00+02:00", "2013-10-01T05:00:00+02:00", "at/"),
        ("hour=2013-10-01-05", None, "hour=2013-10-01-05"),
        # Several columns: the first names the night.
        ("date=2013-10-01/store=a", "2013-10-01", "date/store=a"),
        ("date=2013-10-01/store=a=b/c", "2013-10-01", "date/store=a=b/c"),
        ("store=a/date=2013-10-01", None, "store=a/date=2013-10-01"),
        # Texts as they are: nothing is unquoted.
        ("date='2013-10-01'", None, "date='2013-10-01'"),
        ("hour=2013-10-01%2005", None, "hour=2013-10-01%2005"),
        ("name=2013-10-01 and more", None, "name=2013-10-01 and more"),
        # None, and null.
        ("all", None, "all"),
        ("date=None", None, "date=None"),
        ("date=", None, "date="),
    ],
)
def test_the_night_of_a_partition(partition: str, night: str | None, series: str) -> None:
    assert table.night_of(partition) == night
    assert table.series_of(partition) == series


def test_nights_sort_by_time() -> None:
    names = ["day=20131009", "day=20131010", "day=20140101"]
    nights = [table.night_of(name) or "" for name in names]
    assert sorted(nights) == nights
