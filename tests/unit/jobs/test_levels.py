from collections import Counter
from collections.abc import Callable

import pandas as pd
import pytest

from lasso_jobs.data.dataset import Partition
from lasso_jobs.data.where import parse
from lasso_jobs.errors import DataError
from lasso_jobs.jobs import levels as levels_module
from lasso_jobs.jobs.levels import merge_tallies, tally

Write = Callable[..., Partition]


def test_levels_are_counted_as_by_hand(write: Write, frame: pd.DataFrame) -> None:
    frame.loc[::4, "s"] = None
    partition = write(frame, frame[:100].astype({"s": "category"}))
    counts, n_bytes = tally(partition, ["s", "f"], parse("w > 0", "data.where"))
    rows = pd.concat([frame, frame[:100]]).query("w > 0")
    assert counts["s"] == Counter(v if isinstance(v, str) else None for v in rows["s"])
    assert counts["f"] == Counter(map(str, rows["f"]))
    assert n_bytes > 0


def test_merged_tallies_are_those_of_all_rows(write: Write, frame: pd.DataFrame) -> None:
    parts = [
        tally(write(f, folder=k), ["s"], ()) for k, f in (("a", frame[:900]), ("b", frame[900:]))
    ]
    counts, n_bytes = merge_tallies(*parts)
    assert counts == {"s": Counter(frame["s"])}
    assert n_bytes == parts[0][1] + parts[1][1]


def test_a_column_with_too_many_levels_is_taken_for_an_identifier(
    write: Write, frame: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(levels_module, "MAX_DISTINCT", 150)
    with pytest.raises(DataError, match="'g': has more than 150 distinct values"):
        tally(write(frame), ["g"], ())
