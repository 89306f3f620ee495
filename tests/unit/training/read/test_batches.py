"""Small blocks of rows are joined to batches."""

from dataclasses import replace

import numpy as np
import pytest

from lasso_jobs.core.rows.columns import Columns
from lasso_jobs.errors import DataError
from lasso_jobs.training.read.batches import in_batches
from lasso_jobs.training.read.rows import read_training_rows
from tests.unit.training.read.test_summary_read import READING


@pytest.mark.parametrize(
    "kinds", [("float64", "float64"), ("float32", "float32"), ("int32", "float32")]
)
def test_a_batch_has_the_values_of_its_blocks(write, frame, kinds):
    # "x" has nulls, and so has the target, whose rows are left out.
    frame = frame.assign(w=frame["w"].astype(kinds[0]), x=frame["x"].astype(kinds[1]))
    unit = write(frame, rows=300)
    reading = replace(READING, columns=Columns(("x", "w"), ()))
    (batch,) = in_batches(read_training_rows(unit, reading), 10_000)
    kept = frame[frame["y"].notna()]
    assert batch.counts.rows == len(kept)
    for j, name in enumerate(("x", "w")):
        np.testing.assert_array_equal(batch.block.numeric[j], kept[name].astype(float))


@pytest.mark.parametrize("kind", ["float64", "float32"])
def test_an_infinite_value_of_a_small_block_is_refused(write, frame, kind):
    frame = frame.assign(w=frame["w"].astype(kind), x=frame["x"].astype(kind))
    frame.loc[frame.index[701], ["w", "y"]] = [np.inf, 1.0]
    reading = replace(READING, columns=Columns(("x", "w"), ()))
    with pytest.raises(DataError, match="column 'w': has an infinite value"):
        list(in_batches(read_training_rows(write(frame, rows=300), reading), 10_000))
