from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from lasso_jobs.core.rows.columns import Columns
from lasso_jobs.data.dataset import WorkUnit
from lasso_jobs.data.where import parse
from lasso_jobs.errors import DataError
from lasso_jobs.training.read.reading import Reading
from lasso_jobs.training.read.scans import few_columns as scan_module
from lasso_jobs.training.read.scans.few_columns import (
    LevelsRead,
    TimesRead,
    merge_tallies,
    merge_times,
)

READING = Reading(
    columns=Columns((), ()),
    target="y",
    weight=None,
    group=None,
    fold=None,
    folds=(),
    where=parse("w > 0", "data.where"),
    holdout=0.0,
    holdout_where=parse("s == 'a'", "holdout.where"),
    n_folds=1,
    n_buckets=1,
    seed=0,
    nulls_allowed=True,
    time="day",
)


Write = Callable[..., WorkUnit]


def test_levels_are_counted_as_by_hand(write: Write, frame: pd.DataFrame) -> None:
    frame.loc[::4, "s"] = None
    unit = write(frame, frame[:100].astype({"s": "category"}))
    counts, n_bytes = LevelsRead(["s", "f"], parse("w > 0", "data.where")).read(unit)
    rows = pd.concat([frame, frame[:100]]).query("w > 0")
    assert counts["s"] == Counter(v if isinstance(v, str) else None for v in rows["s"])
    assert counts["f"] == Counter(map(str, rows["f"]))
    assert n_bytes > 0


def test_merged_tallies_are_those_of_all_rows(write: Write, frame: pd.DataFrame) -> None:
    parts = [
        LevelsRead(["s"], ()).read(write(f, folder=k))
        for k, f in (("a", frame[:900]), ("b", frame[900:]))
    ]
    counts, n_bytes = merge_tallies(*parts)
    assert counts == {"s": Counter(frame["s"])}
    assert n_bytes == parts[0][1] + parts[1][1]


def test_a_column_with_too_many_levels_is_taken_for_an_identifier(
    write: Write, frame: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scan_module, "MAX_DISTINCT", 150)
    with pytest.raises(DataError, match="'g': has more than 150 distinct values"):
        LevelsRead(["g"], ()).read(write(frame))


def test_times_are_those_of_the_rows_that_are_trained_on(write: Write, frame: pd.DataFrame) -> None:
    timeline, n_bytes = TimesRead(READING, "day").read(write(frame))
    kept = frame.query("w > 0 and s != 'a'").dropna(subset="y")
    expected = kept["day"].value_counts().sort_index()
    times, counts = timeline.distinct()
    assert times.tolist() == [pd.Timestamp(day).timestamp() * 1e6 for day in expected.index]
    assert counts.tolist() == expected.tolist()
    assert n_bytes > 0


def test_merged_times_are_those_of_all_rows(write: Write, frame: pd.DataFrame) -> None:
    parts = [
        TimesRead(READING, "day").read(write(f, folder=k))
        for k, f in (("a", frame[:300]), ("b", frame[300:]))
    ]
    whole = TimesRead(READING, "day").read(write(frame, folder="c"))
    merged = merge_times(*parts)
    for found, expected in zip(merged[0].distinct(), whole[0].distinct(), strict=True):
        np.testing.assert_array_equal(found, expected)
    assert merged[1] == parts[0][1] + parts[1][1]


def test_rows_without_a_target_need_no_time(write: Write, frame: pd.DataFrame) -> None:
    frame.loc[frame["y"].isna(), "day"] = None
    TimesRead(READING, "day").read(write(frame))
    with pytest.raises(DataError, match="time 'day': has a null"):
        TimesRead(replace(READING, where=()), "day").read(write(frame.assign(y=1.0), folder="b"))
