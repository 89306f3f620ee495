"""The Prefect flows: what runs, what is retried, and what a person finds in the UI."""

import functools
import getpass
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import yaml
from deltalake import DeltaTable

from lasso_jobs.models.registry import Registry

from .. import hostile
from ..conftest import a_day

pytestmark = pytest.mark.integration

Values = dict[str, Any]
DAY, SHIFTED = date(2024, 1, 9), date(2024, 1, 12)
PATIENCE_SECONDS = 30
PROGRESS = {"progress-levels", "progress-moments", "progress-alphas", "progress-stability"}


@pytest.fixture(scope="module", autouse=True)
def server(prefect_home: Path) -> Iterator[None]:
    """A Prefect server of the tests' own."""
    from prefect.testing.utilities import prefect_test_harness

    with pytest.MonkeyPatch.context() as patch:
        # The tests look for events, which the server would store every five seconds.
        patch.setenv("PREFECT_SERVER_SERVICES_EVENT_PERSISTER_FLUSH_INTERVAL", "0.2")
        with prefect_test_harness(server_startup_timeout=120):
            yield


@pytest.fixture
def client() -> Iterator[Any]:
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        yield client


def flow_run(client: Any, name: str) -> Any:
    """The newest run of this name."""
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterName
    from prefect.client.schemas.sorting import FlowRunSort

    runs = client.read_flow_runs(
        flow_run_filter=FlowRunFilter(name=FlowRunFilterName(any_=[name])),
        sort=FlowRunSort.START_TIME_DESC,
    )
    assert runs, f"there is no flow run {name!r}"
    return runs[0]


def task_runs(client: Any, run: Any, number: int) -> dict[str, Any]:
    """A flow run's task runs by name; they reach the server a moment after they have ended."""
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId

    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        found = client.read_task_runs(
            flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[run.id]))
        )
        ended = all(task.state is not None and task.state.is_final() for task in found)
        if (ended and len(found) >= number) or time.monotonic() > deadline:
            return {task.name: task for task in found}
        time.sleep(0.2)


def artifacts(client: Any, run: Any) -> dict[str, Any]:
    """A flow run's artifacts by key."""
    from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId

    found = client.read_artifacts(
        artifact_filter=ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[run.id]))
    )
    return {artifact.key: artifact for artifact in found}


def events(client: Any, name: str, run: Any) -> list[Any]:
    """A flow run's events of this name; they reach the server a moment after they were emitted."""
    related = {"id": [f"prefect.flow-run.{run.id}"]}
    wanted = {"event": {"name": [f"lasso-jobs.{name}"]}, "any_resource": related}
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        found = client.request("POST", "/events/filter", json={"filter": wanted}).json()["events"]
        if found or time.monotonic() > deadline:
            return list(found)
        time.sleep(0.2)


def job_file(folder: Path, name: str, values: Values) -> str:
    path = folder / name
    path.write_text(yaml.safe_dump(values))
    return str(path)


@pytest.fixture
def as_of_a_day(train_values: Values) -> Values:
    return {**train_values, "data": {**train_values["data"], "where": "day < '{date}'"}}


def page_named(text: str) -> Path:
    """The page that an artifact names, which is there."""
    (path,) = map(Path, re.findall(r"`([^`]+\.html)`", text))
    assert "<svg" in path.read_text()
    return path


def test_a_training_is_listed_with_its_tasks_and_artifacts(
    train_values: Values, client: Any
) -> None:
    from lasso_jobs import TrainJob
    from lasso_jobs.flows.train import train_flow

    whole = {**train_values, "stability": {"pairs": 1, "resamples": 50}}
    values = train_flow(TrainJob.from_values(whole), workers=1)
    run = flow_run(client, "train sales")
    assert run.state.is_completed()
    names = {"plan sales", "read sales once", "choose alpha", "measure on the hold-out"}
    assert set(task_runs(client, run, 5)) == {*names, "register sales"}
    found = artifacts(client, run)
    assert set(found) == {"train-sales", "coefficients-sales", *PROGRESS}
    assert found["progress-moments"].data == 100
    page = page_named(found["train-sales"].data)
    assert page.name == "report.html"
    assert found["train-sales"].data.endswith((page.parent / "card.md").read_text())
    assert values["promotion"]["reason"] in found["train-sales"].data
    assert "visits" in found["coefficients-sales"].data
    assert values["model_version"] == "v1"
    (promoted,) = events(client, "model.promoted", run)
    assert promoted["resource"]["prefect.resource.id"] == "lasso-jobs.model.sales"
    assert promoted["payload"]["model_version"] == "v1"
    assert promoted["payload"]["reason"] == values["promotion"]["reason"]


@pytest.mark.slow
def test_a_training_that_finds_all_in_the_cache_starts_no_cluster(
    train_values: Values, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lasso_jobs import LassoJobsError
    from lasso_jobs.flows import stages
    from lasso_jobs.flows.train import train_flow

    monkeypatch.setattr(stages, "WAIT_SECONDS", [])
    first = train_flow(train_values, workers=1)
    assert {"cluster", "moments"} <= set(first["seconds"])
    nowhere = "tcp://127.0.0.1:1"
    values = {**train_values, "search": {"alphas": 20, "folds": 10}}
    again = train_flow(values, cluster=nowhere)
    assert (again["bytes_read"], again["model_version"]) == (0, "v2")
    assert "cluster" not in again["seconds"]
    with pytest.raises(LassoJobsError, match=nowhere):
        train_flow({**values, "cache": False}, cluster=nowhere)


def test_a_scoring_is_listed_with_its_tasks_and_artifacts(
    score_values: Values, client: Any
) -> None:
    from lasso_jobs import ScoreJob
    from lasso_jobs.flows.score import score_flow

    values = score_flow(ScoreJob.from_values(score_values), DAY, workers=1)
    assert (values["rows_scored"], values["verdict"]) == (150, "ok")
    assert len(DeltaTable(score_values["output"]["path"]).to_pandas()) == 150
    run = flow_run(client, f"score scores {DAY} with v1")
    assert run.state.is_completed()
    expected = {
        "plan sales",
        "score with sales@v1",
        f"commit {score_values['output']['path']}",
        f"drift of {values['run_id']}",
    }
    assert set(task_runs(client, run, 4)) == expected
    found = artifacts(client, run)
    assert set(found) == {"drift-sales", "score-sales", "progress-score"}
    assert found["progress-score"].description == "score: 1 of 1"
    assert "150 of 150 rows scored" in found["score-sales"].data
    assert "No feature has drifted." in found["score-sales"].data
    assert page_named(found["score-sales"].data).stem == values["run_id"]
    assert "prediction" in found["drift-sales"].data
    (committed,) = events(client, "score.committed", run)
    assert committed["resource"]["prefect.resource.id"] == "lasso-jobs.model.sales"
    assert committed["payload"]["day"] == DAY.isoformat()
    assert committed["payload"]["rows_scored"] == 150


@pytest.mark.slow
def test_flows_take_the_paths_of_job_files(
    tmp_path: Path, as_of_a_day: Values, score_values: Values, client: Any
) -> None:
    from lasso_jobs.flows.score import score_flow
    from lasso_jobs.flows.train import train_flow

    training = job_file(tmp_path, "train.yaml", as_of_a_day)
    train_flow(training, DAY, workers=1)
    assert flow_run(client, f"train sales as of {DAY}").state.is_completed()
    values = {**score_values, "registry": as_of_a_day["registry"]}
    scoring = job_file(tmp_path, "score.yaml", values)
    assert score_flow(scoring, DAY, workers=1)["rows_scored"] == 150
    assert flow_run(client, f"score scores {DAY} with v1").state.is_completed()


def test_a_night_without_an_alarm_does_not_retrain(
    as_of_a_day: Values, score_values: Values, client: Any
) -> None:
    from lasso_jobs import ScoreJob, TrainJob
    from lasso_jobs.flows.nightly import nightly_flow

    score_job, train_job = ScoreJob.from_values(score_values), TrainJob.from_values(as_of_a_day)
    done = nightly_flow(score_job, train_job, DAY, workers=1)
    assert done["score"]["verdict"] == "ok"
    assert done["train"] is None
    assert flow_run(client, f"nightly {DAY}").state.is_completed()
    assert not Path(as_of_a_day["registry"]).exists()


@pytest.mark.slow
def test_a_night_with_an_alarm_retrains_as_of_that_day(
    as_of_a_day: Values, score_values: Values, client: Any
) -> None:
    from lasso_jobs.flows.nightly import nightly_flow

    done = nightly_flow(score_values, as_of_a_day, SHIFTED, workers=1)
    assert done["score"]["verdict"] == "alarm"
    # Eleven days lie before it.
    assert done["train"]["n_rows"] + done["train"]["rows_without_target"] == 11 * 150
    assert flow_run(client, f"nightly {SHIFTED}").state.is_completed()
    assert flow_run(client, f"train sales as of {SHIFTED}").state.is_completed()
    scoring = flow_run(client, f"score scores {SHIFTED} with v1")
    assert "**alarm** price" in artifacts(client, scoring)["score-sales"].data
    (alarm,) = events(client, "drift.alarm", scoring)
    assert alarm["resource"]["prefect.resource.id"] == "lasso-jobs.model.sales"
    assert (alarm["payload"]["day"], alarm["payload"]["cause"]) == (SHIFTED.isoformat(), "drift")
    assert "price: " in alarm["payload"]["reason"]


def test_an_alarm_without_a_training_job_is_only_reported(score_values: Values) -> None:
    from lasso_jobs.flows.nightly import nightly_flow

    done = nightly_flow(score_values, day=SHIFTED, workers=1)
    assert (done["score"]["verdict"], done["train"]) == ("alarm", None)


# The closed loop, from a drifted night to the rollback of what it led to.

FIRST_DRIFTED, LOOP_DAYS, LOOP_ROWS = 8, 17, 400


def loop_day(index: int) -> str:
    return f"2024-02-{index + 1:02d}"


@pytest.fixture
def changing_shop(tmp_path: Path) -> Path:
    """From the ninth day on prices are higher, and sales are lower than prices explain."""
    for index in range(LOOP_DAYS):
        drifted = index >= FIRST_DRIFTED
        table = a_day(index, LOOP_ROWS, shift=25.0 if drifted else 0.0)
        sales = pc.add(table["sales"], -30.0 if drifted else 0.0)
        table = table.set_column(table.schema.get_field_index("sales"), "sales", sales)
        path = tmp_path / "shop" / f"day={loop_day(index)}" / "sales.parquet"
        path.parent.mkdir(parents=True)
        pq.write_table(table, path)
    return tmp_path / "shop"


@pytest.mark.slow
def test_the_loop_closes_and_opens_again(
    changing_shop: Path,
    tmp_path: Path,
    client: Any,
    cli: Callable[..., "subprocess.CompletedProcess[str]"],
) -> None:
    from lasso_jobs.flows.monitor import monitor_flow
    from lasso_jobs.flows.nightly import nightly_flow
    from lasso_jobs.flows.train import train_flow

    registry, days = str(tmp_path / "models"), [loop_day(i) for i in range(LOOP_DAYS)]
    training = {
        "name": "sales",
        "data": {"path": str(changing_shop), "where": "day < '{date}'"},
        "target": "sales",
        "features": {"include": ["price", "visits", "promo", "store"]},
        "search": {"alphas": 20},
        "holdout": {"last": 0.3, "time": "day"},
        "registry": registry,
    }
    scoring = {
        "model": "sales",
        "data": {"path": str(changing_shop)},
        "keys": ["id"],
        "output": {"path": str(tmp_path / "scores"), "partition_by": "day"},
        "drift": {"path": str(tmp_path / "drift")},
        "registry": registry,
    }
    monitoring = {
        "model": "sales",
        "scores": {"path": str(tmp_path / "scores")},
        "actuals": {"path": str(changing_shop)},
        "keys": ["day", "id"],
        "target": "sales",
        "period": "day",
        "history": {"path": str(tmp_path / "errors")},
        "registry": registry,
    }

    def versions() -> Values:
        scored = DeltaTable(tmp_path / "scores").to_pandas()
        return dict(scored.groupby("day")["model_version"].first())

    # A quiet night with the first champion, then drifted ones, until the drift is an alarm.
    assert (
        train_flow(training, date.fromisoformat(days[FIRST_DRIFTED - 1]))["model_version"] == "v1"
    )
    quiet = nightly_flow(scoring, training, date.fromisoformat(days[FIRST_DRIFTED - 1]))
    assert (quiet["score"]["verdict"], quiet["train"]) != ("alarm", None)
    assert quiet["retrain"] is None
    for night in days[13:16]:
        done = nightly_flow(scoring, training, date.fromisoformat(night))
        assert versions()[night] == "v1"
        if done["score"]["verdict"] == "alarm":
            break
    (alarm,) = events(client, "drift.alarm", flow_run(client, f"score scores {night} with v1"))
    assert alarm["resource"]["prefect.resource.id"] == "lasso-jobs.model.sales"
    assert (alarm["payload"]["day"], alarm["payload"]["model_version"]) == (night, "v1")

    # It is answered by a challenger, which is better on the days that neither has seen.
    assert done["train"]["model_version"] == "v2"
    assert done["train"]["promotion"]["promoted"], done["retrain"]
    assert done["retrain"].startswith("better: hold-out MSE")
    run = flow_run(client, f"train sales as of {night}")
    (promoted,) = events(client, "model.promoted", run)
    assert promoted["payload"]["model_version"] == "v2"
    move = Registry(registry).moves("sales")[-1]
    assert (move.action, move.old, move.new) == ("promote", 1, 2)
    assert (move.by, move.why) == (f"flow run {run.name} ({run.id})", done["retrain"])

    # What happened says so too: of the nights that the first version scored.
    told = monitor_flow(monitoring, day=date.fromisoformat(night), look_back=10)
    rows = {row["period"]: row for row in told["monitor"]["rows"]}
    assert rows[days[FIRST_DRIFTED - 1]]["verdict"] == "ok", rows[days[FIRST_DRIFTED - 1]]["reason"]
    assert rows[night]["verdict"] == "alarm"
    run = flow_run(client, f"monitor sales to {night}")
    (alarm,) = events(client, "drift.alarm", run)
    assert (alarm["payload"]["cause"], alarm["payload"]["model_version"]) == ("outcomes", "v1")
    assert f"{night}: RMSE" in alarm["payload"]["reason"]
    assert set(artifacts(client, run)) == {"monitor-sales"}

    # The next night is scored by the second version, and its errors are smaller.
    after = date.fromisoformat(night) + timedelta(days=1)
    nightly_flow(scoring, training, after)
    assert versions()[after.isoformat()] == "v2"
    told = monitor_flow(monitoring, training, after, look_back=1)
    last = told["monitor"]["rows"][-1]
    assert last["model_version"] == "v2"
    assert last["rmse"] < 0.5 * rows[night]["rmse"]

    # One command takes it back; the alarm of the first version waits for the cool-down.
    back = cli("models", "rollback", "sales", "--registry", registry, folder=tmp_path)
    assert back.returncode == 0, back.stderr
    move = Registry(registry).moves("sales")[-1]
    assert (move.action, move.old, move.new) == ("rollback", 2, 1)
    assert (move.by, move.why) == (getpass.getuser(), "by hand")
    again = nightly_flow(scoring, training, after)
    assert versions()[after.isoformat()] == "v1"
    assert (again["score"]["verdict"], again["train"]) == ("alarm", None)
    assert again["retrain"].startswith(f"sales@v2 is as of {night}, less than 3 days before")
    told = nightly_flow(scoring, training, after, retrain=False)
    assert (told["score"]["verdict"], told["train"], told["retrain"]) == ("alarm", None, None)


@pytest.mark.slow
def test_a_night_catches_up_with_the_nights_before_that_are_due(
    score_values: Values, client: Any
) -> None:
    from lasso_jobs.flows.nightly import nightly_flow

    day, before = DAY + timedelta(days=2), DAY + timedelta(days=1)
    nightly_flow(score_values, day=DAY, workers=1)
    done = nightly_flow(score_values, day=day, look_back=3, workers=1)
    # The first of the three was done; the other days before are of no night, but have rows.
    assert before.isoformat() in done["caught_up"]
    assert DAY.isoformat() not in done["caught_up"]
    assert len(done["caught_up"]) == 2
    rows = DeltaTable(score_values["output"]["path"]).to_pandas()
    assert rows["day"].nunique() == 4
    assert flow_run(client, f"score scores {before} with v1").state.is_completed()
    assert nightly_flow(score_values, day=day, look_back=3, workers=1)["caught_up"] == {}


@pytest.mark.slow
def test_a_night_whose_data_is_late_scores_what_is_there(
    score_values: Values, own_shop: Path, client: Any
) -> None:
    from lasso_jobs.errors import NoDataError
    from lasso_jobs.flows.nightly import nightly_flow

    values = score_values | {"data": {"path": str(own_shop)}}
    before, closed = DAY - timedelta(days=1), DAY - timedelta(days=2)
    away = own_shop / "_away"
    (own_shop / f"day={DAY}").rename(away)
    (own_shop / f"day={closed}").rename(own_shop / "_closed")
    with pytest.raises(NoDataError, match=f"the data of {DAY}: is not there yet"):
        nightly_flow(values, day=DAY, look_back=2, workers=1)
    run = flow_run(client, f"nightly {DAY}")
    assert run.state.is_failed()
    assert f"the data of {DAY}: is not there yet" in run.state.message
    (told,) = events(client, "score.waiting", run)
    assert told["payload"]["day"] == DAY.isoformat()
    assert set(DeltaTable(values["output"]["path"]).to_pandas()["day"]) == {before.isoformat()}
    # The data comes in the morning; the next night scores both, and the shop was closed before.
    away.rename(own_shop / f"day={DAY}")
    after = DAY + timedelta(days=1)
    done = nightly_flow(values, day=after, look_back=3, workers=1)
    assert (done["score"]["rows_scored"], list(done["caught_up"])) == (150, [DAY.isoformat()])
    assert list(done["waiting"]) == [closed.isoformat()]
    assert flow_run(client, f"nightly {after}").state.is_completed()


@pytest.mark.slow
def test_a_night_that_fails_lets_the_nights_before_have_their_try(
    score_values: Values, own_shop: Path
) -> None:
    from lasso_jobs.errors import DataError
    from lasso_jobs.flows.nightly import nightly_flow

    values = score_values | {"data": {"path": str(own_shop)}}
    (own_shop / f"day={DAY}" / "sales.parquet").write_bytes(b"PAR1 no more")
    with pytest.raises(DataError, match="not readable as Parquet"):
        nightly_flow(values, day=DAY, look_back=1, workers=1)
    assert len(DeltaTable(values["output"]["path"]).to_pandas()) == 150


def test_a_wrong_job_fails_without_another_try(train_values: Values, client: Any) -> None:
    from lasso_jobs import LassoJobsError
    from lasso_jobs.flows.train import train_flow

    values = {**train_values, "name": "wrong", "data": {"path": "nowhere"}}
    with pytest.raises(LassoJobsError, match="nowhere: does not exist"):
        train_flow(values, workers=1)
    run = flow_run(client, "train wrong")
    assert run.state.is_failed()
    tried = task_runs(client, run, 1)
    assert list(tried) == ["plan wrong"]
    assert tried["plan wrong"].run_count == 1
    assert tried["plan wrong"].state.is_failed()


@pytest.mark.parametrize("given", ["job", "file"])
def test_a_scoring_that_failed_is_told(
    tmp_path: Path, score_values: Values, client: Any, given: str
) -> None:
    from lasso_jobs import LassoJobsError, ScoreJob
    from lasso_jobs.flows.score import score_flow

    values = {**score_values, "model": f"{given}@v1"}
    job = job_file(tmp_path, "score.yaml", values)
    with pytest.raises(LassoJobsError, match=f"there is no model '{given}'"):
        score_flow(job if given == "file" else ScoreJob.from_values(values), DAY, workers=1)
    name = f"score {DAY} with {job if given == 'file' else values['model']}"
    (failed,) = events(client, "score.failed", flow_run(client, name))
    assert failed["resource"]["prefect.resource.id"] == f"lasso-jobs.model.{given}"
    assert failed["payload"]["day"] == DAY.isoformat()
    assert "there is no model" in failed["payload"]["message"]


def test_a_scoring_without_a_job_is_told(tmp_path: Path, client: Any) -> None:
    from lasso_jobs import LassoJobsError
    from lasso_jobs.flows.score import score_flow

    job = str(tmp_path / "nowhere.yaml")
    with pytest.raises(LassoJobsError, match="cannot be read"):
        score_flow(job, workers=1)
    (failed,) = events(client, "score.failed", flow_run(client, f"score with {job}"))
    assert failed["resource"]["prefect.resource.id"] == "lasso-jobs.model.unknown"


def test_a_commit_that_failed_after_it_was_made_is_tried_again_and_doubles_nothing(
    score_values: Values, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lasso_jobs.flows import score as flow
    from lasso_jobs.scoring import run

    calls, commit = [], run.commit

    @functools.wraps(commit)
    def interrupted(*arguments: Any, **options: Any) -> int:
        version = commit(*arguments, **options)
        calls.append(version)
        if len(calls) == 1:
            raise OSError("the network went away")
        return version

    monkeypatch.setattr(run, "commit", interrupted)
    monkeypatch.setitem(flow.TASKS["commit"], "retry_delay_seconds", 0)
    assert flow.score_flow(score_values, DAY, workers=1)["output_version"] == 0
    assert calls == [0, 0]
    rows = DeltaTable(score_values["output"]["path"]).to_pandas()
    assert len(rows) == rows["id"].nunique() == 150


@pytest.mark.slow
def test_the_database_may_be_named_by_a_secret(
    postgresql: str, score_values: Values, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from adbc_driver_postgresql import dbapi
    from prefect.blocks.system import Secret

    from lasso_jobs.errors import OutputError
    from lasso_jobs.flows.parameters import CONNECTION_SECRET, CONNECTION_VARIABLE
    from lasso_jobs.flows.score import score_flow
    from lasso_jobs.jobs.score import ScoreJob
    from lasso_jobs.sinks import database

    assert database.VARIABLE == CONNECTION_VARIABLE
    score_values["output"] = {"path": "by_flow", "format": "postgresql", "partition_by": "day"}
    job = ScoreJob.from_values(score_values)
    monkeypatch.delenv(CONNECTION_VARIABLE)
    with pytest.raises(OutputError, match=f"{CONNECTION_VARIABLE} is not set"):
        score_flow(job, DAY)
    Secret(value=postgresql).save(CONNECTION_SECRET)
    assert score_flow(job, DAY)["rows_scored"] == 150
    run = flow_run(client, f"score scores {DAY} with v1")
    assert postgresql.split("@")[0] not in run.model_dump_json()
    with dbapi.connect(postgresql) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM by_flow")
        assert cursor.fetchall() == [(150,)]


def test_a_flow_refuses_parameters_that_are_no_job(train_values: Values) -> None:
    from prefect.exceptions import ParameterTypeError

    from lasso_jobs.flows.train import train_flow

    with pytest.raises(ParameterTypeError, match="targets"):
        train_flow({**train_values, "targets": "y"})


# What a person sees while a run is at work.


def test_the_bar_of_a_stage_moves(
    score_values: Values, small_work_units: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lasso_jobs.flows import run_page
    from lasso_jobs.flows.score import score_flow

    shown = []

    def update(artifact: Any, percent: float, text: str) -> Any:
        shown.append((round(percent), text))
        return observed(artifact, percent, text)

    observed = run_page.update_progress_artifact
    monkeypatch.setattr(run_page, "update_progress_artifact", update)
    monkeypatch.setattr(run_page, "SECONDS_BETWEEN_UPDATES", 0.0)
    score_flow(score_values, DAY, workers=1)
    assert shown == [(67, "score: 2 of 3"), (100, "score: 3 of 3")]


def test_a_server_that_is_away_stops_no_bar_and_no_run(
    score_values: Values, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lasso_jobs.flows import run_page
    from lasso_jobs.flows.score import score_flow

    def fails(*arguments: Any) -> None:
        raise ConnectionError("the server is away")

    monkeypatch.setattr(run_page, "create_progress_artifact", fails)
    assert score_flow(score_values, DAY, workers=1)["rows_scored"] == 150


def test_a_job_may_be_a_prefect_variable(score_values: Values) -> None:
    from prefect.variables import Variable

    from lasso_jobs.errors import JobError
    from lasso_jobs.flows.score import score_flow

    Variable.set("nightly_job", score_values, overwrite=True)
    assert score_flow("variable:nightly_job", DAY, workers=1)["rows_scored"] == 150
    with pytest.raises(JobError, match="Prefect variable 'other': does not exist"):
        score_flow("variable:other", DAY, workers=1)
    Variable.set("wrong", {**score_values, "keyz": ["id"]}, overwrite=True)
    with pytest.raises(JobError, match="Prefect variable 'wrong': unknown key 'keyz'"):
        score_flow("variable:wrong", DAY, workers=1)


@pytest.mark.filterwarnings("always::UserWarning")
def test_warnings_are_in_the_log_of_the_run(client: Any) -> None:
    import logging
    import warnings

    from prefect import flow
    from prefect.client.schemas.filters import LogFilter, LogFilterFlowRunId
    from prefect.runtime import flow_run as running

    from lasso_jobs.flows.run_page import cluster_of_run

    @flow
    def warns() -> str:
        with cluster_of_run("local", 1) as cluster:
            logging.getLogger("lasso_jobs.engine.health").warning("worker %s is gone", "tcp://a")
            list(cluster.map(warnings.warn, ["a warning\nof two lines"]))
        return str(running.id)

    id_ = warns()
    chosen = LogFilter(flow_run_id=LogFilterFlowRunId(any_=[id_]))
    deadline = time.monotonic() + PATIENCE_SECONDS
    said = ""
    while "of two lines" not in said and time.monotonic() < deadline:
        time.sleep(0.2)
        said = "\n".join(log.message for log in client.read_logs(chosen) if log.level >= 30)
    assert "worker tcp://a is gone" in said
    assert "a warning of two lines" in said


def test_no_artifact_run_name_or_log_line_acts_on_a_name_of_the_data(
    tmp_path: Path, client: Any
) -> None:
    from prefect.client.schemas.filters import LogFilter, LogFilterFlowRunId
    from prefect.client.schemas.sorting import FlowRunSort
    from prefect.exceptions import ParameterTypeError

    from lasso_jobs.flows.score import score_flow
    from lasso_jobs.flows.train import train_flow

    jobs = hostile.jobs(tmp_path)
    path = tmp_path / "![x](evil) \u202e # h <img src=y> {} `{{"
    jobs["score"]["output"]["path"] = str(path)
    train_flow(jobs["train"], workers=1)
    score_flow(jobs["score"], workers=1)
    with pytest.raises(ParameterTypeError, match="date"):
        score_flow(jobs["score"], hostile.NAME, workers=1)
    failed, scored, trained = client.read_flow_runs(sort=FlowRunSort.START_TIME_DESC, limit=3)
    assert trained.name == "train m"
    assert scored.name == r"score ![x](evil) \u202e # h <img src=y> {} `{{ with v1"
    assert failed.state.is_failed()
    tasks = task_runs(client, scored, 4)
    assert any(name.startswith("commit ") for name in tasks)
    chosen = LogFilter(flow_run_id=LogFilterFlowRunId(any_=[trained.id, scored.id, failed.id]))
    lines = [log.message for log in client.read_logs(chosen)]
    for text in (failed.name, scored.name, failed.state.message, *tasks, *lines):
        assert hostile.obeyed(text) == set()
    found = artifacts(client, trained) | artifacts(client, scored)
    assert {"train-m", "coefficients-m", "score-m", "drift-m"} <= set(found)
    for artifact in found.values():
        # Of the card, what a person is to fill in.
        ours = ["em_open"] if artifact.key == "train-m" else []
        assert hostile.acted_on(artifact.description) == []
        text = artifact.data
        if artifact.type == "table":
            cells = [cell for row in yaml.safe_load(text) for cell in row.values()]
            assert sum(hostile.SIGN in str(cell) for cell in cells) >= 2
            assert [hostile.acted_on(cell) for cell in cells if isinstance(cell, str)] != []
            assert not any(hostile.acted_on(cell) for cell in cells if isinstance(cell, str))
        elif artifact.type == "markdown":
            assert hostile.SIGN in text
            assert hostile.acted_on(text.partition("```")[0]) == ours
            assert len(re.findall("(?m)^# ", text)) == 1


def test_a_run_gives_our_tag_to_the_runs_that_it_starts(client: Any) -> None:
    from prefect import flow
    from prefect.flow_engine import run_flow
    from prefect.runtime import flow_run as running

    from lasso_jobs.flows.stages import TAG, tagged

    @flow
    def inner() -> list[str]:
        return list(running.tags)

    @flow
    def outer() -> list[str]:
        with tagged():
            return inner()

    # As that of a deployment, on which the automations of deploy/ act by the tag.
    for given, expected in (([TAG, "auto-scheduled"], [TAG]), (["another"], [])):
        assert run_flow(outer, flow_run=client.create_flow_run(outer, tags=given)) == expected
