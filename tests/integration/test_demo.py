"""The demo, as a newcomer runs it: twice, on the flights of 2013."""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from deltalake import DeltaTable

from ..conftest import write_package_of_the_team

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(600)]

NIGHTS = [f"2013-10-0{day}" for day in range(1, 8)]
FLIGHTS, FEATURES = 336_776, 11


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("demo")
    write_package_of_the_team(home)
    return home


@pytest.fixture(scope="module")
def runs(home: Path) -> "list[subprocess.CompletedProcess[str]]":
    """Two runs of the demo in one folder, the first for a person and the second for a script."""
    env = {**os.environ, "PREFECT_HOME": str(home / "prefect")}
    command = [sys.executable, "-m", "lasso_jobs", "demo", "--dir", "out"]
    return [
        subprocess.run(
            [*command, *more], cwd=home, env=env, capture_output=True, text=True, check=False
        )
        for more in ((), ("--json",))
    ]


@pytest.fixture(scope="module")
def result(runs: "list[subprocess.CompletedProcess[str]]") -> dict[str, Any]:
    values: dict[str, Any] = json.loads(runs[1].stdout)
    return values


def test_both_runs_end_well(runs: "list[subprocess.CompletedProcess[str]]") -> None:
    assert [done.returncode for done in runs] == [0, 0], runs[0].stderr + runs[1].stderr
    for done in runs:
        assert "Traceback" not in done.stderr
        assert "ERROR" not in done.stderr


def test_progress_is_shown(runs: "list[subprocess.CompletedProcess[str]]") -> None:
    said = runs[0].stderr
    assert f"{FLIGHTS:,} flights in 365 files" in said
    for night in NIGHTS:
        assert f"Scoring {night}" in said


@pytest.mark.parametrize(
    "part",
    [
        "The model",
        "flights-arrival-delay@v1",
        "rows",
        "alpha",
        "hold-out",
        "R2",
        "RMSE",
        "MAE",
        "seconds",
        "coefficients",
        "direction",
        "later",
        "earlier",
        "dep_delay",
        "The nights",
        *NIGHTS,
        "What happened",
        "all nights",
        "Where it is",
        "out/models",
        "out/scores/flights",
        "out/drift/flights",
    ],
)
def test_the_summary_says(runs: "list[subprocess.CompletedProcess[str]]", part: str) -> None:
    assert part in runs[0].stdout


def test_every_flight_of_the_seven_nights_is_scored_once(
    home: Path, runs: "list[subprocess.CompletedProcess[str]]"
) -> None:
    scored = DeltaTable(home / "out" / "scores" / "flights").to_pandas()
    days = [home / "out" / "data" / "flights" / f"date={night}" for night in NIGHTS]
    flights = pd.concat(pd.read_parquet(day / "flights.parquet") for day in days)
    assert sorted(scored["flight_id"]) == sorted(flights["flight_id"])
    assert scored["flight_id"].is_unique
    assert sorted(scored["date"].unique()) == NIGHTS
    assert scored["prediction"].notna().all()


def test_the_second_run_finds_the_same_model(home: Path, result: dict[str, Any]) -> None:
    assert result["train"]["model_version"] == "v1"
    assert list(result["nights"]) == NIGHTS
    assert sum(night["score"]["rows_quarantined"] for night in result["nights"].values()) == 0
    drift = DeltaTable(home / "out" / "drift" / "flights").to_pandas()
    assert not drift.duplicated(["run_id", "partition", "feature"]).any()
    assert sorted(drift["partition"].unique()) == [f"date={night}" for night in NIGHTS]


def test_the_model_saw_no_flight_of_the_nights_nor_what_is_known_later(
    home: Path, result: dict[str, Any]
) -> None:
    train, job = result["train"], yaml.safe_load((home / "out" / "train.yaml").read_text())
    folders = sorted((home / "out" / "data" / "flights").glob("date=*"))
    before = [folder for folder in folders if folder.name < f"date={NIGHTS[0]}"]
    flown = [pd.read_parquet(f / "flights.parquet", columns=["arr_delay"]) for f in before]
    assert train["n_rows"] == pd.concat(flown)["arr_delay"].notna().sum()
    assert train["n_features"] == FEATURES == len(job["features"]["include"])
    assert {"arr_delay", "air_time", "arr_time"}.isdisjoint(job["features"]["include"])


def test_the_predictions_are_of_use(result: dict[str, Any]) -> None:
    assert result["train"]["holdout"]["r2"] > 0.7
    total = result["outcomes"][-1]
    assert total["night"] == "all nights"
    assert total["r2"] > 0.5
    assert 0.8 < total["coverage"] < 1
    assert total["n_scored"] == sum(row["n_scored"] for row in result["outcomes"][:-1])


LISTING = textwrap.dedent(
    """
    import json
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        print(json.dumps({
            "runs": [[run.name, run.state_name] for run in client.read_flow_runs()],
            "tasks": [task.name for task in client.read_task_runs()],
            "artifacts": [[found.key, found.type] for found in client.read_artifacts()],
        }))
    """
)


@pytest.fixture(scope="module")
def listed(home: Path, runs: "list[subprocess.CompletedProcess[str]]") -> dict[str, list[Any]]:
    """What the Prefect client lists afterwards, from the same home."""
    done = subprocess.run(
        [sys.executable, "-c", LISTING],
        env={**os.environ, "PREFECT_HOME": str(home / "prefect")},
        capture_output=True,
        text=True,
        check=True,
    )
    values: dict[str, list[Any]] = json.loads(done.stdout.splitlines()[-1])
    return values


def test_prefect_lists_the_flow_runs(listed: dict[str, list[Any]]) -> None:
    found = [tuple(run) for run in listed["runs"]]
    expected = ["demo in out", *(f"nightly {night}" for night in NIGHTS)]
    expected.append("train flights-arrival-delay as of 2013-10-01")
    for name in expected:
        assert found.count((name, "Completed")) == 2, name
    assert {state for _, state in found} == {"Completed"}


def test_prefect_lists_the_task_runs(listed: dict[str, list[Any]]) -> None:
    named = {"write the flights", "choose alpha", "compare with what happened"}
    assert named <= set(listed["tasks"])


def test_prefect_lists_the_artifacts(listed: dict[str, list[Any]]) -> None:
    found = [tuple(artifact) for artifact in listed["artifacts"]]
    name = "flights-arrival-delay"
    assert {
        (f"train-{name}", "markdown"),
        (f"coefficients-{name}", "table"),
        (f"score-{name}", "markdown"),
        (f"drift-{name}", "table"),
    } <= set(found)
    assert found.count((f"score-{name}", "markdown")) == 14
