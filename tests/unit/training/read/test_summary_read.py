"""Summaries that the cache gives back are those that it was given, bit by bit."""

from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lasso_jobs.core.rows.columns import Category, Columns
from lasso_jobs.data.dataset import WorkUnit
from lasso_jobs.training.read.cached_read import Caching
from lasso_jobs.training.read.reading import Reading
from lasso_jobs.training.read.row_summary import RowSummary, summarise
from lasso_jobs.training.read.sampled_rows import SampledRows
from lasso_jobs.training.read.summary_read import SummaryRead

N = 3000  # as the rows of conftest
Write = Callable[..., WorkUnit]
LEVELS = Category("s", ("a", "b", "c", "d"), False, "string")
READING = Reading(
    columns=Columns(("x", "w"), (LEVELS,)),
    target="y",
    weight=None,
    group="g",
    fold=None,
    folds=(),
    where=(),
    holdout=0.2,
    holdout_where=None,
    n_folds=5,
    n_buckets=10,
    seed=0,
    nulls_allowed=True,
    period="day",
)


def assert_same(a: Any, b: Any) -> None:
    assert type(a) is type(b)
    if is_dataclass(a):
        for field in fields(a):
            assert_same(getattr(a, field.name), getattr(b, field.name))
    elif isinstance(a, tuple):
        assert len(a) == len(b)
        for left, right in zip(a, b, strict=True):
            assert_same(left, right)
    elif isinstance(a, np.ndarray):
        assert (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes())
    else:
        assert a == b


def read_of(tmp_path: Path, columns: Columns = READING.columns) -> SummaryRead:
    caching = Caching(str(tmp_path / "models"), N)
    return SummaryRead(replace(READING, columns=columns), caching)


def result_of(read: SummaryRead, unit: WorkUnit) -> RowSummary:
    """What a worker makes of a unit: read, or from the cache."""
    return read(read.cover(read.tree([unit])).item)


def loaded_by(read: SummaryRead, unit: WorkUnit) -> RowSummary | None:
    return read.load(read.tree([unit]).item)


def as_cached(summary: RowSummary) -> RowSummary:
    return replace(summary, counts=replace(summary.counts, bytes_read=0, cached=1))


def test_what_is_stored_is_loaded(write: Write, frame: pd.DataFrame, tmp_path: Path) -> None:
    unit, read = write(frame), read_of(tmp_path)
    assert loaded_by(read, unit) is None
    summary = result_of(read, unit)
    assert summary.counts.bytes_read > 0
    loaded = loaded_by(read, unit)
    assert loaded is not None
    assert_same(loaded, as_cached(summary))


def test_a_scatter_that_is_not_symmetric_is_kept_whole(
    write: Write, frame: pd.DataFrame, tmp_path: Path
) -> None:
    unit, read = write(frame), read_of(tmp_path)
    summary = summarise(unit, READING)
    first, *others = summary.moments.buckets
    scatter = first.scatter.copy()
    scatter[0, 1] = np.nextafter(scatter[0, 1], np.inf)
    moments = replace(summary.moments, buckets=(replace(first, scatter=scatter), *others))
    read.store(read.tree([unit]).item, replace(summary, moments=moments))
    loaded = loaded_by(read, unit)
    assert loaded is not None
    assert_same(loaded, as_cached(replace(summary, moments=moments)))


@pytest.mark.parametrize(
    "columns",
    [
        Columns(("w",), ()),
        Columns(("w", "x"), ()),
        Columns((), (LEVELS,)),
        Columns(("x",), (Category("s", ("d", "a", "c", "b", "e"), True, "string"),)),
    ],
)
def test_some_of_the_columns_are_those_of_a_read_of_their_own(
    columns: Columns, write: Write, frame: pd.DataFrame, tmp_path: Path
) -> None:
    unit = write(frame)
    result_of(read_of(tmp_path), unit)
    loaded = loaded_by(read_of(tmp_path, columns), unit)
    assert loaded is not None
    own = as_cached(summarise(unit, replace(READING, columns=columns)))
    # Rows that repeat in more columns do so in fewer.
    assert loaded.repeats.counts.sum() > 0
    assert_same(loaded, replace(own, repeats=loaded.repeats))


@pytest.mark.parametrize(
    "columns",
    [
        Columns(("x", "f"), ()),
        Columns((), (Category("s", ("a", "b"), True, "string"),)),
        Columns((), (Category("s", ("a", "b", "c", "d"), False, "integer"),)),
    ],
)
def test_other_columns_or_levels_are_not_loaded(
    columns: Columns, write: Write, frame: pd.DataFrame, tmp_path: Path
) -> None:
    unit = write(frame)
    result_of(read_of(tmp_path), unit)
    assert loaded_by(read_of(tmp_path, columns), unit) is None


def test_a_fresh_reading_loads_nothing(write: Write, frame: pd.DataFrame, tmp_path: Path) -> None:
    unit, read = write(frame), read_of(tmp_path)
    result_of(read, unit)
    fresh = replace(read, caching=Caching(str(tmp_path / "models"), N, fresh=True))
    assert loaded_by(fresh, unit) is None
    assert loaded_by(replace(read, caching=None), unit) is None


def test_a_sampled_row_says_where_it_is_and_what_its_outcome_was(
    write: Write, frame: pd.DataFrame
) -> None:
    summary = summarise(write(frame, frame), READING)
    for sample in (summary.sample, summary.held_out):
        rows = SampledRows(sample.values)
        at = rows.position.astype(int)
        assert len(np.unique(rows.file)) == 2
        assert len(np.unique([rows.file, rows.position], axis=1).T) == len(at)
        np.testing.assert_array_equal(rows.target, frame["y"].to_numpy()[at])
        np.testing.assert_array_equal(rows.X[0], frame["x"].to_numpy(float)[at])
        assert (rows.weight == 1).all() and (rows.period >= 0).all()
