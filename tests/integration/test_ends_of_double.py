"""Numbers near the ends of a double's range: refused in one line, quarantined, or computed."""

import json
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from deltalake import DeltaTable

from lasso_jobs import MonitorJob, ScoreJob, TrainJob, monitor, score, train
from lasso_jobs.cli.main import main
from lasso_jobs.comparison.run import compare
from lasso_jobs.errors import DataError

pytestmark = pytest.mark.integration
HUGE = [1e76, 1e155, 1e300, -1e300, sys.float_info.max]


@pytest.fixture(autouse=True)
def _no_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        yield


def rows(n: int = 300) -> pd.DataFrame:
    r = np.random.default_rng(0)
    frame = pd.DataFrame(r.normal(size=(n, 3)), columns=["x0", "x1", "x2"])
    frame["y"] = 2 * frame.x0 - frame.x1 + 0.5 * r.normal(size=n)
    return frame.assign(w=1.0, id=np.arange(n), day="2024-01-01")


def write(folder: Path, frame: pd.DataFrame, name: str = "data") -> None:
    (folder / name).mkdir(exist_ok=True)
    frame.iloc[::2].to_parquet(folder / name / "a.parquet", index=False)
    frame.iloc[1::2].to_parquet(folder / name / "b.parquet", index=False)


def values(folder: Path, **keys: Any) -> dict[str, Any]:
    common = {
        "name": "m",
        "data": {"path": str(folder / "data")},
        "target": "y",
        "features": {"include": ["x*"]},
        "stability": None,
        "registry": str(folder / "models"),
    }
    return {**common, **keys}


def trained(folder: Path, **keys: Any) -> Any:
    return train(TrainJob.from_values(values(folder, **keys)), workers=1)


@pytest.mark.parametrize("column", ["x1", "y", "w"])
@pytest.mark.parametrize("value", [*HUGE, np.inf])
def test_training_refuses_it_with_file_and_column(
    value: float, column: str, tmp_path: Path
) -> None:
    frame = rows()
    frame.loc[7, column] = value
    write(tmp_path, frame)
    with pytest.raises(DataError, match=rf"b\.parquet, \w+ '{column}': has ") as error:
        trained(tmp_path, weight="w")
    assert "\n" not in str(error.value)
    said = "infinite" if np.isinf(value) else f"{value:g}"
    assert ("negative" if column == "w" and value < 0 else said) in str(error.value)


@pytest.mark.parametrize("scale", [1e-300, 1e-200, 1e-76])
@pytest.mark.parametrize("column", ["x1", "y"])
def test_training_refuses_a_column_whose_squares_are_zero(
    column: str, scale: float, tmp_path: Path
) -> None:
    frame = rows()
    write(tmp_path, frame.assign(**{column: scale * np.tanh(frame[column])}))
    with pytest.raises(DataError, match=f"column '{column}': has values that differ by"):
        trained(tmp_path)


@pytest.mark.parametrize("scales", [(1e70, 1e70), (1e-72, 1e-72), (1e70, 1e-72), (1e-72, 1e70)])
def test_within_the_range_units_do_not_matter(scales: tuple[float, float], tmp_path: Path) -> None:
    write(tmp_path, rows())
    usual = trained(tmp_path, search={"alphas": 20, "eps": 1e-3})
    frame = rows()
    frame[["x0", "x1", "x2"]] *= scales[0]
    write(tmp_path, frame.assign(y=frame.y * scales[1]))
    found = trained(tmp_path, search={"alphas": 20, "eps": 1e-3}, promote="never")
    json.dumps(found.as_values(), allow_nan=False)
    assert found.model.holdout.r2 == pytest.approx(usual.model.holdout.r2, rel=1e-9)
    np.testing.assert_allclose(
        found.model.predictor.coef * scales[0] / scales[1], usual.model.predictor.coef, rtol=1e-9
    )


def test_a_command_says_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frame = rows()
    frame.loc[0, "x1"] = 1e300
    write(tmp_path, frame)
    (tmp_path / "job.yaml").write_text(json.dumps(values(tmp_path)))
    assert main(["train", str(tmp_path / "job.yaml"), "--workers", "1", "--quiet"]) == 1
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert "a.parquet, column 'x1'" in lines[0]


def test_scoring_quarantines_it_and_drift_is_that_of_the_rest(tmp_path: Path) -> None:
    write(tmp_path, rows())
    trained(tmp_path)
    frame = rows(400)
    frame.loc[[3, 8], "x1"] = 1e300
    frame.loc[9, "x0"] = -sys.float_info.max
    frame.loc[11, "x0"] = np.inf
    write(tmp_path, frame, "new")
    job = {
        "model": "m@v1",
        "data": {"path": str(tmp_path / "new")},
        "keys": ["id"],
        "output": {"path": str(tmp_path / "scores"), "partition_by": ["day"]},
        "drift": {"path": str(tmp_path / "drift"), "features": "all"},
        "registry": str(tmp_path / "models"),
    }
    result = score(ScoreJob.from_values(job), workers=1)
    json.dumps(result.as_values(), allow_nan=False)
    kept = DeltaTable(tmp_path / "scores").to_pandas()
    assert sorted(set(frame.id) - set(kept.id)) == [3, 8, 9, 11]
    bad = DeltaTable(str(tmp_path / "scores") + "-quarantine").to_pandas().set_index("id")
    assert bad.reason.to_dict() == {3: "too_large", 8: "too_large", 9: "too_large", 11: "infinite"}
    drift = DeltaTable(tmp_path / "drift").to_pandas().set_index("feature")
    expected = frame.drop([3, 8, 9, 11])
    assert drift.loc["x1", "mean"] == pytest.approx(expected.x1.mean())
    assert drift.loc["x0", "n"] == 396


@pytest.mark.parametrize(("column", "file"), [("y", "actuals"), ("prediction", "scores")])
def test_monitoring_refuses_it(column: str, file: str, tmp_path: Path) -> None:
    write(tmp_path, rows())
    trained(tmp_path)
    frame = rows(200)
    scores = frame[["id", "day"]].assign(prediction=0.0, prediction_low=-1.0, prediction_high=1.0)
    scores["model_version"] = "v1"
    actuals = frame[["id", "day", "y"]].copy()
    (scores if column == "prediction" else actuals).loc[3, column] = 1e300
    write(tmp_path, scores, "scores")
    write(tmp_path, actuals, "actuals")
    job = {
        "model": "m",
        "scores": {"path": str(tmp_path / "scores")},
        "actuals": {"path": str(tmp_path / "actuals")},
        "target": "y",
        "keys": ["id"],
        "period": "day",
        "registry": str(tmp_path / "models"),
    }
    said = rf"{file}.b\.parquet, \w+ '{column}': has the value 1e\+300"
    with pytest.raises(DataError, match=said):
        monitor(MonitorJob.from_values(job), workers=1)


def test_comparing_refuses_it(tmp_path: Path) -> None:
    frame = rows()
    frame.loc[7, "x1"] = 1e300
    write(tmp_path, frame)
    job = TrainJob.from_values(values(tmp_path))
    with pytest.raises(DataError, match=r"b\.parquet, column 'x1': has the value 1e\+300"):
        compare(job, workers=1)


def strictly(text: str) -> Any:
    def refused(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    return json.loads(text, parse_constant=refused)


@pytest.mark.slow
def test_every_command_and_every_file_writes_json_that_is_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frame = rows().assign(twin=lambda f: f.x0, constant=1.0)
    frame["day"] = [f"2024-01-{1 + i // 20:02d}" for i in range(len(frame))]
    write(tmp_path, frame)
    training = values(tmp_path, features={"include": ["x*", "twin", "constant"]}, period="day")
    scored = rows(400)
    scored.loc[0, "x0"], scored.loc[5, "x1"] = 1e74, sys.float_info.max
    write(tmp_path, scored.assign(twin=scored.x0, constant=np.nan), "new")
    scoring = {
        "model": "m@v1",
        "data": {"path": str(tmp_path / "new")},
        "keys": ["id"],
        "output": {"path": str(tmp_path / "scores"), "partition_by": ["day"]},
        "drift": {"path": str(tmp_path / "drift"), "features": "all", "correlation": True},
        "registry": str(tmp_path / "models"),
    }
    plain = {**scoring, "output": {**scoring["output"], "format": "parquet"}}
    plain["output"]["path"] = str(tmp_path / "plain")
    monitoring = {
        "model": "m",
        "scores": {"path": str(tmp_path / "scores")},
        "actuals": {"path": str(tmp_path / "actuals")},
        **{"keys": ["id"], "target": "y", "period": "day"},
        "registry": str(tmp_path / "models"),
    }
    write(tmp_path, rows(400)[["id", "y"]].head(3), "actuals")
    jobs = {"train": training, "score": scoring, "plain": plain, "monitor": monitoring}
    for name, job in jobs.items():
        (tmp_path / f"{name}.yaml").write_text(json.dumps(job))
    place = {name: str(tmp_path / f"{name}.yaml") for name in jobs}
    registry = ("--registry", str(tmp_path / "models"))
    one = ("--workers", "1")
    said = {}
    for command in (
        ("plan", place["train"]),
        ("train", place["train"], *one),
        ("plan", place["score"]),
        ("score", place["score"], *one),
        ("score", place["plain"], *one),
        ("drift", "show", place["score"]),
        ("monitor", place["monitor"], *one),
        ("compare", place["train"], "--set", "compare.families=[ridge]", *one),
        ("verify", str(tmp_path / "scores"), "--deep"),
        ("vacuum", str(tmp_path / "scores")),
        ("models", "list", *registry),
        ("models", "show", "m@v1", *registry),
        ("models", "rollback", "m", *registry),
        ("cache", "list", *registry),
        ("schema", "train"),
    ):
        json_flag = () if command[0] == "schema" else ("--json",)
        status = main([*command, *json_flag])
        out, err = capsys.readouterr()
        assert status in (0, 3) or "rollback" in command, (command, err)
        if status != 1:
            said[command[:2]] = strictly(out)
    assert said["score", place["score"]]["verdict"] == "alarm"
    for path in tmp_path.rglob("*.json"):
        for line in path.read_text().splitlines() if "_log" in str(path) else [path.read_text()]:
            strictly(line)
