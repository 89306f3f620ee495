"""What counts as the runs before a partition."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from lasso_jobs.core.drift.drift import Drift
from lasso_jobs.core.drift.verdicts import affected
from lasso_jobs.drift.facts import facts_of
from lasso_jobs.drift.history import Past
from lasso_jobs.drift.table import DriftRow, as_table, past_rows
from lasso_jobs.drift.watch import Run
from lasso_jobs.sinks import run_table

NAN = float("nan")
START = datetime(2024, 1, 1, tzinfo=UTC)


def stored(path: Path, run: str, hour: int, partition: str, **values: Any) -> None:
    """A run's row of the drift table: by default a feature that was affected."""
    row = {
        "scored_at": START + timedelta(hours=hour),
        "model": "m",
        "model_version": "v1",
        "partition": partition,
        "segment": "",
        "feature": "x",
        "kind": "numeric",
        "n": 500,
        "psi": 0.0,
        "mean": 1.0,
        "score_shift": -3.0,
        "missing_share": 0.0,
        "unseen_share": NAN,
        "shift_limit": 2.0,
        "psi_limit": 0.1,
        "missing_limit": 0.05,
        "raised": "watch",
        "verdict": "watch",
        "run_id": run,
        **values,
    }
    table = pa.table({name: pa.array([value]) for name, value in row.items()})
    run_table.replace_rows(str(path), table, "run_id", run)


def before(path: Path, partition: str, run: str = "now", hour: int = 99) -> list[bool]:
    this = Run(run, "m", "v1", START + timedelta(hours=hour))
    history = Past(str(path)).before(this, 500, 500)
    return [affected(night["x"]) for night in history.before(partition)]


def test_before_any_run_there_is_nothing(tmp_path: Path) -> None:
    assert before(tmp_path / "t", "all") == []


def test_before_a_date_are_the_earlier_dates_whenever_they_were_scored(tmp_path: Path) -> None:
    for hour, (day, shift) in enumerate(
        [("2024-01-03", 1.0), ("2024-01-01", 3.0), ("2024-01-02", 2.5), ("2024-01-09", 3.0)]
    ):
        stored(tmp_path, f"r{hour}", hour, f"date={day}", score_shift=shift)
    assert before(tmp_path, "date=2024-01-04") == [False, True, True]
    assert before(tmp_path, "date=2024-01-02") == [True]
    # A later run of a date takes its place.
    stored(tmp_path, "again", 9, "date=2024-01-03")
    assert before(tmp_path, "date=2024-01-04") == [True, True, True]
    # This run does not come before itself.
    assert before(tmp_path, "date=2024-01-04", run="again") == [False, True, True]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("day=20240131", "day=20240201"),
        ("month=2023-12", "month=2024-01"),
        ("hour=2024-01-01T23", "hour=2024-01-02T00"),
    ],
)
def test_before_a_month_or_an_hour_are_the_earlier_ones(
    tmp_path: Path, first: str, second: str
) -> None:
    stored(tmp_path, "late", 2, first)
    stored(tmp_path, "early", 1, second, score_shift=0.0)
    assert before(tmp_path, second) == [True]
    assert before(tmp_path, first) == []


def test_before_a_date_of_a_shop_are_the_earlier_dates_of_the_same_shop(tmp_path: Path) -> None:
    stored(tmp_path, "a", 1, "date=2024-01-01/shop=a")
    stored(tmp_path, "b", 2, "date=2024-01-01/shop=b", score_shift=0.0)
    assert before(tmp_path, "date=2024-01-02/shop=a") == [True]
    assert before(tmp_path, "date=2024-01-02/shop=b") == [False]
    assert before(tmp_path, "date=2024-01-02") == []


@pytest.mark.parametrize("partition", ["all", "shop=b"])
def test_without_dates_the_runs_of_the_same_partition_come_before(
    tmp_path: Path, partition: str
) -> None:
    stored(tmp_path, "one", 1, partition)
    stored(tmp_path, "two", 2, partition, score_shift=1.0)
    stored(tmp_path, "other", 3, "shop=a")
    assert before(tmp_path, partition) == [False, True]
    # A run that is repeated sees what it saw at first.
    stored(tmp_path, "three", 4, partition)
    assert before(tmp_path, partition, run="two") == [True]


@pytest.mark.parametrize(
    "values",
    [{"segment": "shop=a"}, {"model": "other"}, {"model_version": "v2"}, {"kind": "correlation"}],
)
def test_segments_pairs_and_other_models_are_no_runs_before(
    tmp_path: Path, values: dict[str, str]
) -> None:
    stored(tmp_path, "one", 1, "date=2024-01-01", **values)
    assert before(tmp_path, "date=2024-01-02") == []


@pytest.mark.parametrize(
    ("values", "affected"),
    [
        ({"score_shift": 1.9}, False),
        ({"score_shift": 1.9, "psi": 9.0}, False),
        ({"score_shift": 0.0, "psi": 0.2, "kind": "prediction"}, True),
        ({"score_shift": 0.0, "missing_share": 0.04, "unseen_share": 0.02}, True),
        ({"score_shift": 0.0, "missing_share": 0.04}, False),
        ({"shift_limit": NAN, "psi_limit": NAN, "missing_limit": NAN}, False),
    ],
)
def test_a_stored_row_is_as_affected_as_it_was(
    tmp_path: Path, values: dict[str, Any], affected: bool
) -> None:
    stored(tmp_path, "one", 1, "date=2024-01-01", **values)
    assert before(tmp_path, "date=2024-01-02") == [affected]


# What is kept in memory while runs follow each other is what the table has.


def scored(
    past: Past, path: Path, run: str, hour: int, partitions: dict[str, float], n: int = 500
) -> None:
    """A run that is judged and stored: a shift for each partition."""
    this = Run(run, "m", "v1", START + timedelta(hours=hour))
    past.before(this, n, 500)
    rows = [
        DriftRow(this, partition, "", Drift(feature="x", kind="numeric", n=n, score_shift=shift))
        for partition, shift in partitions.items()
    ]
    version = run_table.replace_rows(str(path), as_table(rows), "run_id", run)
    past.add(this, rows, version)


def agrees(past: Past, path: Path, least: int = 500) -> None:
    """The kept past says of any run what one says that reads the table now."""
    for run, hour in (("r1", 1), ("now", 99)):
        this = Run(run, "m", "v1", START + timedelta(hours=hour))
        kept, read = past.before(this, 500, least), Past(str(path)).before(this, 500, least)
        for partition in ("date=2024-01-03", "date=2024-02-01", "shop=a"):
            assert repr(kept.before(partition)) == repr(read.before(partition))
            recent, again = (each.recent(partition, ["x"]) for each in (kept, read))
            assert sorted(map(repr, recent)) == sorted(map(repr, again))


def test_runs_that_follow_each_other_are_kept_as_the_table_has_them(tmp_path: Path) -> None:
    root, past = tmp_path / "t", Past(str(tmp_path / "t"))
    for hour in range(6):
        day = f"date=2024-01-0{hour + 1}"
        scored(past, root, f"r{hour}", hour, {day: float(hour), "shop=a": 1.0})
        agrees(past, root)
    # A run that is repeated, and a night that another run has again.
    scored(past, root, "r2", 7, {"date=2024-01-03": 8.0})
    scored(past, root, "again", 8, {"date=2024-01-02": 9.0})
    agrees(past, root)


def test_what_others_write_meanwhile_is_read(tmp_path: Path) -> None:
    root, past = tmp_path / "t", Past(str(tmp_path / "t"))
    scored(past, root, "r0", 0, {"date=2024-01-01": 1.0})
    scored(Past(str(root)), root, "r1", 1, {"date=2024-01-02": 2.0})
    agrees(past, root)
    # Between the look and the commit, too.
    this = Run("r2", "m", "v1", START)
    past.before(this, 500, 500)
    scored(Past(str(root)), root, "r3", 3, {"date=2024-01-01": 5.0})
    rows = [DriftRow(this, "date=2024-01-03", "", Drift(feature="x", kind="numeric", n=500))]
    past.add(this, rows, run_table.replace_rows(str(root), as_table(rows), "run_id", "r2"))
    agrees(past, root)


def test_counts_are_kept_from_the_first_run_on_that_is_small(tmp_path: Path) -> None:
    root, past = tmp_path / "t", Past(str(tmp_path / "t"))
    scored(past, root, "r0", 0, {"date=2024-01-01": 1.0})
    scored(past, root, "small", 1, {"date=2024-01-02": 1.0}, n=20)
    agrees(past, root)
    scored(past, root, "r2", 2, {"date=2024-01-04": 1.0})
    agrees(past, root)


def test_a_page_has_as_many_nights_as_it_shows(tmp_path: Path) -> None:
    root, past = tmp_path / "t", Past(str(tmp_path / "t"))
    days = [date(2024, 1, 1) + timedelta(days=i) for i in range(40)]
    rows = []
    for i, day in enumerate(days):
        this = Run(f"r{i}", "m", "v1", START + timedelta(hours=i))
        shift = NAN if i == 20 else float(i)
        drift = Drift(feature="x", kind="numeric", n=500, score_shift=shift)
        rows.append(DriftRow(this, f"date={day}", "", drift))
    for row in rows:
        past.before(row.run, 500, 500)
        table = as_table([row])
        past.add(row.run, [row], run_table.replace_rows(str(root), table, "run_id", row.run.id))
    own = [DriftRow(Run("now", "m", "v1", START), "date=2024-03-01", "", rows[0].drift)]
    recent = past.before(own[0].run, 500, 500).recent("date=2024-03-01", ["x"])
    assert len(recent) == 31  # one of them has no shift
    assert facts_of(own, recent).history == facts_of(own, past_rows(str(root))).history
