"""The formulas of the page on scale are those of the code, and its table has their numbers."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lasso_jobs import TrainJob
from lasso_jobs.core.rows import marginals
from lasso_jobs.data.dataset import UNIT_BYTES, UNIT_ROWS
from lasso_jobs.training.plan import plan
from lasso_jobs.training.screening import rounds

PAGE = (Path(__file__).parents[3] / "docs" / "scale.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def formulas() -> dict[str, Any]:
    (code,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.M | re.S)
    found: dict[str, Any] = {}
    exec(compile(code, "scale.md", "exec"), found)
    return found


def test_the_table_has_what_the_formulas_give(formulas: dict[str, Any]) -> None:
    rows = {
        cells[0]: cells[1:]
        for line in PAGE.splitlines()
        if len(cells := [cell.strip() for cell in line.strip("|").split("|")]) == 3
    }
    for k, case in enumerate(("sparse", "dense")):
        found = formulas[case]
        assert rows["work units of 64 MiB"][k] == f"{found['units']:,}"
        assert rows["height of the merge tree"][k] == str(found["height of the tree"])
        for row, name in (
            ("read by a worker in a scan, if nothing is kept", "read"),
            ("kept by a worker between scans", "kept"),
            ("merged by a worker in the first scan", "merged at first"),
            ("merged by a worker in a check", "merged in a check"),
        ):
            number, unit = rows[row][k].split(":")[0].split()
            told = float(number.replace(",", "")) * {"MB": 1, "GB": 1000}[unit]
            assert told == pytest.approx(found[f"{name}, MB a worker"], rel=0.02)
    said = (formulas["first_scan"] / 1e6, formulas["check"] / 1e6, formulas["driver"] / 1e9)
    assert "returns {:.0f} MB, and one of a check {:.0f} MB".format(*said) in PAGE
    assert f"The driver needs {said[2]:.1f} GB" in PAGE
    assert f"{formulas['alphas']} alphas take {formulas['scans']} scans" in PAGE


def test_the_first_scan_and_the_checks_return_as_much_as_is_said(formulas: dict[str, Any]) -> None:
    p, buckets = 1_000, formulas["buckets"]
    state = marginals.empty((buckets,), p)
    of_columns = sum(
        field.nbytes for name in state.__slots__ if (field := getattr(state, name)).shape[-1] == p
    )
    assert of_columns * formulas["p"] // p == formulas["first_scan"]
    at_once = max(2, min(rounds.ALPHAS_AT_ONCE, rounds.MOST_CHECK_BYTES // (9 * formulas["p"])))
    assert formulas["alphas_at_once"] == at_once


def test_work_units_are_cut_as_is_said(formulas: dict[str, Any]) -> None:
    defaults = formulas["scan"].__defaults__
    assert defaults == (UNIT_BYTES, UNIT_ROWS)


@pytest.mark.slow
def test_the_driver_needs_what_the_plan_says(tmp_path: Path, formulas: dict[str, Any]) -> None:
    vectors = [{"indices": [i], "values": [1.0]} for i in range(20)]
    type_ = pa.struct([("indices", pa.list_(pa.int32())), ("values", pa.list_(pa.float64()))])
    rows = pa.table({"v": pa.array(vectors, type_), "y": np.arange(20.0)})
    pq.write_table(rows, tmp_path / "rows.parquet")
    values = {
        "name": "million",
        "data": {"path": str(tmp_path / "rows.parquet")},
        "target": "y",
        "features": {"sizes": {"v": formulas["p"]}},
        "registry": str(tmp_path / "models"),
    }
    planned = plan(TrainJob.from_values(values))
    assert planned.engine == "screened"
    assert planned.memory_bytes == formulas["driver"]
