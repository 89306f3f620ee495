"""What counts as the runs before a partition."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from lasso_jobs.core.drift.verdicts import affected
from lasso_jobs.drift.history import History
from lasso_jobs.drift.table import past_rows
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
    history = History.of(past_rows(str(path), this), this)
    return [affected(night["x"]) for night in history.before(partition)]


def test_before_any_run_there_is_nothing(tmp_path: Path) -> None:
    assert before(tmp_path / "t", "all") == []


def test_before_a_date_are_the_earlier_dates_whenever_they_were_scored(tmp_path: Path) -> None:
    for hour, (date, shift) in enumerate(
        [("2024-01-03", 1.0), ("2024-01-01", 3.0), ("2024-01-02", 2.5), ("2024-01-09", 3.0)]
    ):
        stored(tmp_path, f"r{hour}", hour, f"date={date}", score_shift=shift)
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
