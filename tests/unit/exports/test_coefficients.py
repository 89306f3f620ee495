"""The oracle predicts from the files alone, with nothing but the language."""

import csv
import dataclasses
import io
import json
import shutil
import subprocess
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from numpy.testing import assert_allclose

from lasso_jobs import export_model
from lasso_jobs.models.model import Model

CLOSE = {"rtol": 1e-12, "atol": 1e-9}
PART = {
    "year": lambda d: d.year,
    "month": lambda d: d.month,
    "weekday": lambda d: d.weekday(),
    "hour": lambda d: d.hour,
    "day_of_year": lambda d: d.timetuple().tm_yday,
}


def by_json(model: dict[str, Any], row: dict[str, Any]) -> float:
    total = model["intercept"]
    for term in model["terms"]:
        value = row[term["column"]]
        if value is not None and "part" in term:
            value = PART[term["part"]](value)
        if value is not None and "element" in term:
            value = value[term["element"]]
        if term["type"] == "number" and value is None:
            total += term["coef"] * term["mean"] + term["null"]
        elif term["type"] == "number":
            total += term["coef"] * value
        elif value is None:
            total += term["null"]
        else:
            text = str(value).lower() if term["type"] == "boolean" else str(value)
            total += term["levels"].get(text, term["other"])
    return total


def by_csv(text: str, row: dict[str, Any]) -> float:
    total, found = 0.0, set()
    for line in csv.DictReader(io.StringIO(text)):
        kind, value, coef = line["kind"], row.get(line["column"]), float(line["coef"])
        if kind == "half_width":
            continue
        if value is not None and line["part"]:
            value = PART[line["part"]](value)
        if value is not None and line["element"]:
            value = value[int(line["element"])]
        if kind == "number":
            value = float(line["mean"]) if value is None else value
        elif kind == "level":
            own = str(value).lower() if line["type"] == "boolean" else str(value)
            value = value is not None and own == line["level"]
        elif kind == "null":
            value = value is None
        elif kind == "other":
            value = line["feature"] not in found
        else:
            value = 1
        if value and kind in ("level", "null"):
            found.add(line["feature"])
        total += coef * value
    return total


def test_twenty_lines_predict_from_the_json(model: Model, rows: pa.Table) -> None:
    content = json.loads(export_model(model, "json"))
    assert content["format"] == 1
    found = [by_json(content, row) for row in rows.to_pylist()]
    assert_allclose(found, model.predict(rows), **CLOSE)


def test_twenty_lines_predict_from_the_csv(model: Model, rows: pa.Table) -> None:
    text = export_model(model, "csv")
    found = [by_csv(text, row) for row in rows.to_pylist()]
    assert_allclose(found, model.predict(rows), **CLOSE)


def test_javascript_predicts_from_the_json(
    plain_model: Model, rows: pa.Table, tmp_path: Path
) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    export_model(plain_model, "json", tmp_path / "model.json")
    values = rows.drop_columns(["sold"]).to_pylist()
    (tmp_path / "rows.json").write_text(json.dumps(values))
    script = Path(__file__).with_name("by_json.js")
    files = (tmp_path / "model.json", tmp_path / "rows.json")
    run = subprocess.run([node, script, *files], capture_output=True, check=True, text=True)
    assert_allclose(json.loads(run.stdout), plain_model.predict(rows), **CLOSE)


def test_the_intervals_are_there(model: Model) -> None:
    assert model.holdout is not None
    content = json.loads(export_model(model, "json"))["interval"]
    assert content == {
        "coverage": 0.9,
        "overall": model.holdout.interval,
        "column": model.holdout.by,
        "groups": dict(model.holdout.intervals),
    }
    lines = list(csv.DictReader(io.StringIO(export_model(model, "csv"))))
    widths = {r["level"]: float(r["coef"]) for r in lines if r["kind"] == "half_width"}
    # An empty text is a group, too; the last line is of all others.
    assert widths[""] == model.holdout.interval
    without = dataclasses.replace(model, holdout=None)
    assert json.loads(export_model(without, "json"))["interval"] is None
    assert datetime(2024, 1, 1).weekday() == 0
