"""The service answers rows of every kind of feature as `predict` and the nightly job do."""

import json
import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lasso_jobs import ScoreJob, TrainJob, score, train
from lasso_jobs.models.registry import Registry
from lasso_jobs.serving import bodies, openapi
from lasso_jobs.serving.answer import ServedModel

pytestmark = [pytest.mark.integration, pytest.mark.slow]

N = 3_000


def table() -> pa.Table:
    rng = np.random.default_rng(0)
    at = [datetime(2024, 1, 1) + timedelta(hours=int(h)) for h in rng.integers(0, 8000, N)]
    v, load = rng.normal(size=(N, 3)), rng.gamma(4, 5, N)
    text = rng.choice(["good and new", "old but good", "broken", "new"], N)
    zone, group = rng.integers(1, 6, N), rng.choice(["a", "b"], N)
    hour = np.array([t.hour for t in at])
    y = load + hour * 0.3 + v @ [1.0, -2.0, 3.0] + 4.0 * (text == "broken") + zone
    y = y + rng.normal(0, 1 + 3 * (group == "b"))
    return pa.table(
        {
            "id": np.arange(N),
            "at": at,
            "v": pa.FixedSizeListArray.from_arrays(v.ravel(), 3),
            "text": pa.array(text, mask=rng.random(N) < 0.1),
            "zone": zone,
            "group": group,
            "load": load,
            "y": y,
        }
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("kinds")
    pq.write_table(table(), folder / "rows.parquet")
    job = {
        "name": "kinds",
        "data": {"path": str(folder / "rows.parquet")},
        "target": "y",
        "stability": None,
        "features": {
            "exclude": ["id", "group"],
            "categorical": ["zone"],
            "dates": {"at": ["hour", "weekday"]},
            "tokens": {"text": "words"},
        },
        "offset": "load",
        "intervals": {"by": "group"},
        "search": {"alphas": [0.01]},
        "registry": str(folder / "models"),
    }
    train(TrainJob.from_values(job), workers=1)
    return folder


@pytest.fixture(scope="module")
def served(folder: Path) -> ServedModel:
    return ServedModel.of(Registry(folder / "models").load("kinds"), "impute", ("id",))


def records(served: ServedModel) -> list[dict[str, Any]]:
    names = [field.name for field in served.fields]
    rows = table().select(names).to_pylist()
    return [{**row, "at": row["at"].isoformat()} for row in rows]


def asked(served: ServedModel, rows: list[dict[str, Any]]) -> dict[str, Any]:
    return served.answer(bodies.records(bodies.json_values(json.dumps(rows).encode()))).values


def test_every_row_is_as_the_nightly_job_scores_it(served: ServedModel, folder: Path) -> None:
    job = {
        "model": "kinds",
        "data": {"path": str(folder / "rows.parquet")},
        "keys": ["id"],
        "output": {"path": str(folder / "scores"), "format": "parquet"},
        "registry": str(folder / "models"),
    }
    score(ScoreJob.from_values(job), workers=1)
    nightly = pq.read_table(folder / "scores").sort_by("id").to_pylist()
    answers = asked(served, records(served))["predictions"]
    names = ("prediction", "prediction_low", "prediction_high")
    assert [tuple(row[name] for name in names) for row in answers] == [
        tuple(row[name] for name in names) for row in nightly
    ]
    assert len({round(row["prediction_high"] - row["prediction"], 6) for row in answers}) == 2


@pytest.mark.parametrize(
    ("change", "reason", "column"),
    [
        ({"load": None}, "null", "load"),
        ({"v": [1.0, 2.0]}, "length", "v"),
        ({"zone": 2.5}, "not_integer", "zone"),
        ({"v": [1.0, 1e300, 0.0]}, "too_large", "v[1]"),
    ],
)
def test_bad_rows_have_the_reasons_of_the_quarantine(
    served: ServedModel, change: dict[str, Any], reason: str, column: str
) -> None:
    row = records(served)[0]
    good, bad = asked(served, [row, {**row, **change}])["predictions"]
    assert good["prediction"] is not None and bad["prediction"] is None
    assert (bad["error"]["reason"], bad["error"]["column"]) == (reason, column)


def test_odd_values_are_taken_as_in_training(served: ServedModel) -> None:
    row = records(served)[0]
    sparse = {"indices": [0, 1, 2], "values": row["v"]}
    (plain,) = asked(served, [row])["predictions"]
    (of_sparse,) = asked(served, [{**row, "v": sparse}])["predictions"]
    assert of_sparse == plain
    for change, said in (
        ({"v": None}, "v has nulls"),
        ({"v": [1.0, None, 2.0]}, "v has nulls"),
        ({"zone": 99}, "zone has no level"),
        ({"at": None}, "at.hour is null"),
    ):
        (answer,) = asked(served, [{**row, **change}])["predictions"]
        assert answer["prediction"] is not None and said in " ".join(answer["notes"])
    (no_words,) = asked(served, [{**row, "text": None}])["predictions"]
    assert "notes" not in no_words
    east = row["at"] + "+09:00"  # what the clock shows counts
    assert asked(served, [{**row, "at": east}])["predictions"] == [plain]


def test_fields_that_are_never_filled_are_needed(served: ServedModel) -> None:
    from lasso_jobs.errors import DataError

    row = records(served)[0]
    for name in ("load", "group", "id"):
        with pytest.raises(DataError, match=f"lacks the field '{name}'"):
            asked(served, [{k: value for k, value in row.items() if k != name}])
    (answer,) = asked(served, [{k: v for k, v in row.items() if k != "at"}])["predictions"]
    assert "at.hour is null" in " ".join(answer["notes"])


def test_the_examples_of_the_schema_are_answered(served: ServedModel) -> None:
    schema = openapi.description(served, 10)["components"]["schemas"]["Row"]
    assert sorted(schema["required"]) == ["group", "id", "load"]
    (answer,) = asked(served, schema["examples"])["predictions"]
    assert answer["prediction"] is not None and "notes" not in answer, answer
    page = openapi.docs(served, "http://127.0.0.1/", False)
    assert all(f"<bdi>{name}</bdi>" in page for name in schema["properties"])
    assert not re.search(r"<script|src=", page)
