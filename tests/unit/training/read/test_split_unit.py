from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lasso_jobs import TrainJob
from lasso_jobs.training.plan import plan
from lasso_jobs.training.read.scans.split_unit import NO_PERIODS, SplitUnit

DAYS = [date(2024, 1, 1) + timedelta(i) for i in range(12)]
TOLD = "standard errors count them, not rows. search.split: random deals out single rows"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve folders of dates, each with a time in its rows; the last has no outcomes yet."""
    path = tmp_path_factory.mktemp("days")
    for day in DAYS:
        n, known = 5, day != DAYS[-1]
        rows = {
            "x": pa.array([float(i) for i in range(n)]),
            "shop": pa.array(["a", "b"] * 2 + ["a"]),
            "week": pa.array([i % 3 for i in range(n)]),
            "y": pa.array([float(i * i) if known else None for i in range(n)], pa.float64()),
        }
        (path / f"date={day}").mkdir()
        pq.write_table(pa.table(rows), path / f"date={day}" / "rows.parquet")
    return path


def unit(folder: Path, **keys: Any) -> SplitUnit:
    values = {"name": "m", "data": {"path": str(folder)}, "target": "y", **keys}
    return plan(TrainJob.from_values(values)).unit


@pytest.mark.parametrize(
    ("keys", "column", "because"),
    [
        ({}, "date", f"its 11 values stay together, 5 of them held out (45% of the rows); {TOLD}"),
        ({"search": {"split": "period"}}, "date", "its 11 values stay together"),
        ({"holdout": None}, "date", f"its 11 values stay together; {TOLD}"),
        ({"target": "x"}, "date", "its 12 values stay together, 6 of them held out"),
        ({"search": {"split": "random"}}, None, "search.split is random"),
        ({"search": {"split": {"group": "shop"}}}, "shop", "search.split names it"),
        ({"search": {"split": {"fold": "week"}}}, "date", "its 11 values stay together"),
        (
            {"search": {"split": {"fold": "week"}}, "holdout": None},
            "date",
            "standard errors count its values. search.split: random",
        ),
        ({"search": {"folds": 6}}, "date", "its 11 values stay together"),
        (
            {"search": {"folds": 7}},
            None,
            "6 are left for 7 folds; search.folds: 6 keeps them together",
        ),
        ({"period": "week"}, "week", "its values stay together; with fewer than 10 values, rows"),
        ({"holdout": {"where": "date > '2024-01-08'"}}, "date", "with fewer than 10 values, rows"),
    ],
)
def test_what_a_plan_says_of_the_unit(
    folder: Path, keys: dict[str, Any], column: str | None, because: str
) -> None:
    found = unit(folder, **keys)
    assert found.column == column
    assert because in found.because


@pytest.mark.parametrize(
    ("where", "column", "because"),
    [
        ("date < '2024-01-11'", "date", "its 10 values stay together, 5 of them held out"),
        ("date < '2024-01-10'", None, "date has 9 values, fewer than 10"),
        ("date = '2024-01-10'", None, "date has 1 value, fewer than 10"),
        ("date < '2024-01-05' and x > 1", "date", "with fewer than 10 values, rows"),
    ],
)
def test_periods_are_those_that_the_filter_leaves(
    folder: Path, where: str, column: str | None, because: str
) -> None:
    found = unit(folder, data={"path": str(folder), "where": where})
    assert found.column == column
    assert because in found.because


def test_rows_that_carry_no_period_are_dealt_out_one_by_one(folder: Path) -> None:
    found = unit(folder / f"date={DAYS[0]}" / "rows.parquet")
    assert found == SplitUnit(None, NO_PERIODS)


def test_a_hold_out_of_most_rows_is_told(tmp_path: Path) -> None:
    """Days are drawn whatever their rows are, so that large ones may all be held out."""
    for day in DAYS:
        (tmp_path / f"date={day}").mkdir()
    found = []
    for large in DAYS:
        for day in DAYS:
            n = 1000 if day == large else 10
            rows = pa.table({"x": [1.0] * n, "y": [1.0] * n})
            pq.write_table(rows, tmp_path / f"date={day}" / "rows.parquet")
        found.append(unit(tmp_path).because)
    most = [text for text in found if "which leaves few: another seed may hold out others" in text]
    assert len(most) == 6
    assert all("6 of them held out (" in text for text in found)
    assert all("(95% of the rows, which" in text for text in most)
    assert all("(5% of the rows); standard" in text for text in found if text not in most)
