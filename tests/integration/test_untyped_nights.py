"""Nights without rows whose files, as pandas writes them, have columns of the type ``null``."""

from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lasso_jobs import ScoreJob, score
from lasso_jobs.errors import DataError
from lasso_jobs.sinks import protocol

from ..conftest import a_day

pytestmark = pytest.mark.integration

Values = dict[str, Any]
NIGHTS = ("2024-02-01", "2024-02-02", "2024-02-03")


def write(path: Path, table: pa.Table) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)


@pytest.mark.parametrize("format_", ["delta", "parquet"])
def test_a_night_whose_columns_have_no_type_is_one_of_no_rows(
    score_values: Values, tmp_path: Path, format_: str
) -> None:
    data = tmp_path / "nights"
    output = {**score_values["output"], "format": format_, "partition_by": ["day", "store"]}
    values = {**score_values, "data": {"path": str(data)}, "output": output}
    for i, night in enumerate(NIGHTS):
        table = a_day(i, 150)
        if i == 1:
            table = pa.table({name: pa.nulls(0) for name in table.column_names})
        write(data / f"day={night}" / "a.parquet", table)
        result = score(ScoreJob.from_values(values).on(night), workers=1)
        assert result.rows_scored == (0 if i == 1 else 150)
        assert (i == 1) <= (result.verdict == "unknown")
    shown = protocol.sink(output["format"]).read(output["path"], ["day", "id", "store"], ())
    assert Counter(shown["day"].to_pylist()) == {NIGHTS[0]: 150, NIGHTS[2]: 150}
    assert shown.schema.field("id").type == pa.int64()


def test_columns_without_a_type_settle_no_output(score_values: Values, tmp_path: Path) -> None:
    data = tmp_path / "nights"
    table = pa.table({name: pa.nulls(0) for name in a_day(0, 1).column_names})
    write(data / f"day={NIGHTS[0]}" / "a.parquet", table)
    for by in ("day", "store"):
        output = {**score_values["output"], "partition_by": by}
        values = {**score_values, "data": {"path": str(data)}, "output": output}
        with pytest.raises(DataError, match="has no value in any file, and so no type"):
            score(ScoreJob.from_values(values).on(NIGHTS[0]), workers=1)
