"""The bytes that a training reads: the needed columns once, and what is listed before once more."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lasso_jobs import TrainJob
from lasso_jobs.core.rows.balance import MOST_LISTED
from lasso_jobs.engine.cluster import connect
from lasso_jobs.training.gather import TrainingData, gather
from lasso_jobs.training.plan import plan

if TYPE_CHECKING:
    from lasso_jobs.engine.tasks import Workers

pytestmark = pytest.mark.integration
N = 2_400
FEATURES = ["x0", "x1"]
DATES = {"include": FEATURES, "dates": {"at": ["month", "weekday", "hour"]}}
GROUP = {"split": {"group": "g"}}
FOLD = {"split": {"fold": "f"}}
RANDOM = {"split": "random"}
TIME = {"split": {"time": "at"}}
LAST = {"last": 0.2, "time": "at"}
HELD = {"where": "x1 > 1"}

# The keys of a job, the columns that it needs besides the features and the target, and those that
# are read before, to list what they hold.
CASES: dict[str, tuple[dict[str, Any], str, str]] = {
    "random": ({}, "", ""),
    "random, none held out": ({"holdout": None}, "", ""),
    "random, a filter held out": ({"holdout": {"where": "z > 1"}}, "z", ""),
    "periods, the last held out": ({"holdout": LAST}, "at", "at y at y"),
    "random, repeated": ({"search": {"repeats": 3}}, "", ""),
    "weights and periods": ({"weight": "w", "period": "at"}, "w at", "at y"),
    "rows, for all their periods": ({"search": RANDOM, "period": "at"}, "at", ""),
    "filtered": ({"data": {"where": "z > 0"}}, "z", ""),
    "a category": ({"features": {"include": [*FEATURES, "city"]}}, "city", "city"),
    "parts of dates": ({"features": DATES}, "at", ""),
    "parts of dates, few levels": (
        {"features": DATES, "preprocess": {"max_levels": 3}},
        "at",
        "at",
    ),
    "a filter and a category": (
        {"features": {"include": [*FEATURES, "city"]}, "data": {"where": "z > 0"}},
        "city z",
        "city z",
    ),
    "folds": ({"search": FOLD}, "f", "f"),
    "folds, none held out": ({"search": FOLD, "holdout": None}, "f", "f"),
    "folds, a filter held out": ({"search": FOLD, "holdout": HELD}, "f", "f"),
    "folds, parts of dates": ({"search": FOLD, "features": DATES, "weight": "w"}, "f at w", "f"),
    "folds, the last held out": ({"search": FOLD, "holdout": LAST}, "f at", "f at y"),
    "times": ({"search": TIME}, "at", "at y at y"),
    "times, none held out": ({"search": TIME, "holdout": None}, "at", "at y"),
    "times, a filter held out": ({"search": TIME, "holdout": HELD}, "at", "at y x1"),
    "times, the last held out": ({"search": TIME, "holdout": {"last": 0.2}}, "at", "at y"),
    "times, rows with nulls dropped": (
        {"search": TIME, "preprocess": {"missing": "drop"}},
        "at",
        "at y x0 x1 at y",
    ),
    "times, weights and intervals": (
        {"search": TIME, "weight": "w", "intervals": {"by": "city"}, "period": "f"},
        "at w city f",
        "at y city f y",
    ),
    "groups": ({"search": GROUP}, "g", "g y"),
    "groups, none held out": ({"search": GROUP, "holdout": None}, "g", "g y"),
    "groups, a filter held out": ({"search": GROUP, "holdout": HELD}, "g", "g y x1"),
    "groups, the last held out": ({"search": GROUP, "holdout": LAST}, "g at", "at y g at y"),
    "groups, weights and intervals": (
        {"search": GROUP, "weight": "w", "intervals": {"by": "city"}, "period": "at"},
        "g w city at",
        "g y city",
    ),
}
FEW: dict[str, tuple[dict[str, Any], str, str]] = {
    "few rows": ({}, "", "y"),
    "few rows, none held out": ({"holdout": None}, "", "y"),
    "few rows in folds": ({"search": FOLD}, "f", "f y"),
    "few rows in folds, none held out": ({"search": FOLD, "holdout": None}, "f", "f"),
    "few rows at times": ({"search": TIME}, "at", "at y at y"),
}


def table(n: int) -> pd.DataFrame:
    r = np.random.default_rng(3)
    frame = pd.DataFrame(r.normal(size=(n, 3)), columns=["x0", "x1", "z"])
    frame["y"] = 2 * frame.x0 - frame.x1 + r.normal(size=n)
    frame.loc[::50, "y"] = None
    frame["w"] = r.integers(1, 4, n).astype(float)
    frame["z"] = frame.z.round()
    frame["city"] = r.choice(["Rome", "Oslo", "Bonn"], n)
    frame["f"], frame["g"] = r.integers(0, 4, n), r.integers(0, 40, n)
    hours = np.sort(r.integers(0, 24 * 300, n))
    frame["at"] = pd.Timestamp("2024-02-03") + pd.to_timedelta(hours, "h")
    return frame


def write(folder: Path, frame: pd.DataFrame) -> Path:
    """Three files, of two row groups each."""
    folder.mkdir(parents=True)
    for i, part in enumerate(np.array_split(np.arange(len(frame)), 3)):
        rows = pa.Table.from_pandas(frame.iloc[part], preserve_index=False)
        pq.write_table(rows, folder / f"{i}.parquet", row_group_size=len(part) // 2 + 1)
    return folder


def stored_bytes(folder: Path) -> dict[str, int]:
    """The compressed bytes of each column, from pyarrow."""
    sizes: dict[str, int] = {}
    for path in folder.glob("*.parquet"):
        footer = pq.read_metadata(path)
        for i in range(footer.num_row_groups):
            for j in range(footer.num_columns):
                column = footer.row_group(i).column(j)
                name = column.path_in_schema
                sizes[name] = sizes.get(name, 0) + column.total_compressed_size
    return sizes


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    root = tmp_path_factory.mktemp("read")
    return {n: write(root / str(n), table(n)) for n in (N, 300)}


@pytest.fixture(scope="module")
def workers() -> Iterator["Workers"]:
    with connect(workers=1) as started:
        yield started


def gathered(workers: "Workers", folder: Path, **keys: Any) -> TrainingData:
    values = {
        "name": "m",
        "target": "y",
        "stability": None,
        "features": {"include": FEATURES},
        "registry": str(folder.parent / "models"),
        "cache": False,
        **keys,
        "data": {"path": str(folder), **keys.get("data", {})},
    }
    return gather(lambda: workers, plan(TrainJob.from_values(values)))


@pytest.mark.parametrize("case", [*CASES, *FEW])
def test_needed_columns_are_read_once_and_what_is_listed_once_more(
    case: str, folders: dict[int, Path], workers: "Workers"
) -> None:
    n, (keys, more, listed) = (N, CASES[case]) if case in CASES else (300, FEW[case])
    sizes = stored_bytes(folders[n])
    needed = sum(sizes[name] for name in [*FEATURES, "y", *more.split()])
    before = sum(sizes[name] for name in listed.split())
    found = gathered(workers, folders[n], **keys).counts
    assert found.bytes_read == needed + before
    if not listed:
        assert found.bytes_read <= 1.05 * needed


def test_groups_are_listed_until_they_are_many(tmp_path: Path, workers: "Workers") -> None:
    frame = table(6 * MOST_LISTED)
    # The first row group of each file, of two, has as many as are listed, and then one more.
    frame["g"] = np.arange(len(frame))
    folder = write(tmp_path / "many", frame)
    keys: dict[str, Any] = {"search": {"split": {"group": "g"}}}
    sizes = stored_bytes(folder)
    found = gathered(workers, folder, **keys)
    assert found.reading.listed == ()
    assert found.counts.bytes_read < sum(sizes[name] for name in [*FEATURES, "y", "g"]) + 0.6 * (
        sizes["y"] + sizes["g"]
    )


@pytest.mark.parametrize("nulls", [False, True])
def test_only_parts_of_dates_that_rows_have_are_levels(
    nulls: bool, tmp_path: Path, workers: "Workers"
) -> None:
    frame = table(N)
    frame = frame[~frame["at"].dt.day_of_week.isin([2, 5])]
    if nulls:
        frame.loc[frame.index[::7], "at"] = None
    folder = write(tmp_path / "dates", frame)
    found = gathered(workers, folder, features=DATES)
    month, weekday = found.columns.categories
    expected = frame.dropna(subset="y")["at"].dropna().dt
    null = (None,) if nulls else ()
    assert month.levels == (*map(str, sorted(set(expected.month))), *null)
    assert weekday.levels == ("0", "1", "3", "4", "6", *null)
    assert found.reading.columns == found.columns
    everything = found.moments.merged(range(len(found.moments.buckets)))
    expected_means = [
        *(frame.dropna(subset="y")["at"].dt.month.eq(int(v)).mean() for v in month.levels if v),
    ]
    start = dict(found.columns.spans())["at.month"].start
    assert everything.mean[start : start + len(expected_means)] == pytest.approx(expected_means)
