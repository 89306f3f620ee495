"""Columns of Python's values, against pyarrow's own."""

import math
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lasso_jobs.data.columns.new_columns import of_values

INSTANT = datetime(1969, 12, 31, 23, 59, 59, 7, tzinfo=UTC)
KINDS: dict[pa.DataType, st.SearchStrategy[Any]] = {
    pa.string(): st.text(st.characters(exclude_categories=["Cs"]), max_size=4),
    pa.int64(): st.integers(-(2**63), 2**63 - 1),
    pa.float64(): st.floats(),
    pa.timestamp("us", "UTC"): st.integers(-(10**12), 10**12).map(
        lambda n: INSTANT + timedelta(microseconds=n)
    ),
}
KINDS |= {pa.list_(type_): st.lists(values, max_size=3) for type_, values in KINDS.items()}


@given(st.data())
@pytest.mark.parametrize("type_", KINDS, ids=str)
def test_a_column_is_pyarrows(type_: pa.DataType, data: st.DataObject) -> None:
    values = data.draw(st.lists(KINDS[type_], max_size=4))
    found = of_values(values, type_)
    found.validate(full=True)
    assert found.equals(pa.array(values, type_, from_pandas=True))


def test_what_is_not_known_is_null() -> None:
    assert of_values([math.nan, 1.0, None], pa.float64()).to_pylist() == [None, 1.0, None]


def test_pandas_is_not_loaded() -> None:
    code = f"import sys; from {of_values.__module__} import of_values; import pyarrow as pa\n"
    code += "of_values([0.5, None], pa.float64()), of_values([[1]], pa.list_(pa.int64()))\n"
    done = subprocess.run([sys.executable, "-c", code + "assert 'pandas' not in sys.modules"])
    assert done.returncode == 0
