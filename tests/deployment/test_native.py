"""A deployment at work: what its schedule, its automations, a person and an accident do."""

import re
import shutil
import subprocess
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote
from zoneinfo import ZoneInfo

import psutil
import pyarrow.parquet as pq
import pytest
import yaml
from deltalake import DeltaTable

from lasso_jobs import load_model

from ..conftest import DAYS, SHIFTED
from ..servers import PASSWORD
from .stack import ROOT, Stack, until

pytestmark = [pytest.mark.slow, pytest.mark.integration]

FINAL = {"COMPLETED", "FAILED", "CANCELLED", "CRASHED"}
Values = dict[str, Any]


class Server:
    """The server's API, as anybody would call it."""

    def __init__(self, client: Any) -> None:
        self.client = client

    def post(self, path: str, **values: Any) -> Any:
        response = self.client.post(path, json=values)
        response.raise_for_status()
        return response.json()

    def deployment(self, name: str) -> Values:
        return next(d for d in self.post("deployments/filter") if d["name"] == name)

    def runs(self, deployment: str) -> list[Values]:
        chosen = {"id": {"any_": [self.deployment(deployment)["id"]]}}
        return self.post("flow_runs/filter", deployments=chosen, sort="EXPECTED_START_TIME_ASC")

    def run(self, id_: str) -> Values:
        return self.client.get(f"flow_runs/{id_}").json()

    def start(self, deployment: str, **parameters: Any) -> str:
        id_ = self.deployment(deployment)["id"]
        made = self.post(f"deployments/{id_}/create_flow_run", parameters=parameters)
        return made["id"]

    def ended(self, id_: str, seconds: float = 120) -> Values:
        def final() -> Values | None:
            # A busy server may answer with an error, and wants to be asked again.
            run = self.run(id_)
            return run if run.get("state_type") in FINAL else None

        return until(final, seconds, f"run {id_}")

    def children(self, id_: str) -> list[Values]:
        return self.post("flow_runs/filter", flow_runs={"parent_flow_run_id": {"any_": [id_]}})

    def artifacts(self, run: Values) -> dict[str, Values]:
        chosen = {"flow_run_id": {"any_": [run["id"]]}}
        found = self.post("artifacts/filter", artifacts=chosen)
        return {artifact["key"]: artifact for artifact in found if artifact["key"]}

    def events(self, name: str) -> list[Values]:
        return self.post("events/filter", filter={"event": {"name": [name]}})["events"]

    def logs(self, run: Values) -> str:
        found = self.post("logs/filter", logs={"flow_run_id": {"any_": [run["id"]]}})
        return "\n".join(line["message"] for line in found)


@pytest.fixture(scope="module")
def server(api: Any) -> Server:
    return Server(api)


@pytest.fixture(scope="module")
def nightly(server: Server, stack: Stack) -> Values:
    """The first run that the schedule has started, when it has ended; then the schedule rests."""

    def fired() -> Values | None:
        runs = server.runs("nightly-score")
        return next((run for run in runs if run["state_type"] != "SCHEDULED"), None)

    run = until(fired, 120, "the schedule")
    deployment = server.deployment("nightly-score")
    path = f"deployments/{deployment['id']}/schedules/{deployment['schedules'][0]['id']}"
    server.client.patch(path, json={"active": False}).raise_for_status()
    run = server.ended(run["id"], 200)
    return run


def test_a_scheduled_run_scores_the_day_in_its_schedules_time_zone(
    nightly: Values, server: Server, zone: str
) -> None:
    assert nightly["state_type"] == "COMPLETED", nightly["state"]["message"]
    assert nightly["created_by"]["type"] == "AUTO" or nightly["auto_scheduled"]
    scheduled = datetime.fromisoformat(nightly["expected_start_time"])
    day = scheduled.astimezone(ZoneInfo(zone)).date()
    assert day != scheduled.date()
    assert nightly["name"] == f"nightly {day}"
    (scoring,) = server.children(nightly["id"])
    assert scoring["name"] == f"score sales {day} with v1"
    found = server.artifacts(scoring)
    assert found["progress-score"]["data"] == 100
    assert "150 of 150 rows scored" in found["score-sales"]["data"]
    assert "prediction" in found["drift-sales"]["data"]
    assert "http://127.0.0.1:" in found["dask-dashboard"]["data"]
    # Events reach the server a moment later.
    event = until(lambda: server.events("lasso-jobs.score.committed"), 20, "the event")[0]
    assert event["payload"]["day"] == str(day)
    assert event["payload"]["rows_scored"] == 150


def test_an_alarm_starts_a_retraining_through_its_automation(
    server: Server, nightly: Values
) -> None:
    run = server.start("nightly-score", day=SHIFTED)
    assert server.ended(run)["state_type"] == "COMPLETED"
    started = until(lambda: server.runs("retrain-on-drift"), 60, "the automation")
    retraining = server.ended(started[0]["id"])
    assert retraining["state_type"] == "COMPLETED", retraining["state"]["message"]
    assert retraining["parameters"]["day"] == SHIFTED
    (training,) = server.children(retraining["id"])
    assert training["name"] == f"train sales as of {SHIFTED}"
    assert "coefficients-sales" in server.artifacts(training)


def test_a_run_that_is_cancelled_leaves_no_process(
    server: Server, stack: Stack, nightly: Values
) -> None:
    range_ = {"first": DAYS[0], "last": DAYS[7], "only": "all"}
    run = server.start("backfill", cluster="local-processes", workers=2, **range_)
    until(lambda: len(stack.processes_of_runs()) >= 3, 120, "the cluster of the run")
    cancelling = {"type": "CANCELLING", "name": "Cancelling"}
    server.post(f"flow_runs/{run}/set_state", state=cancelling)
    assert server.ended(run)["state_type"] == "CANCELLED"
    until(lambda: not stack.processes_of_runs(), 60, "the end of its processes")


def test_a_run_completes_though_the_server_restarts(
    server: Server, stack: Stack, nightly: Values
) -> None:
    run = server.start("backfill", first=DAYS[2], last=DAYS[4], only="all")
    until(lambda: server.children(run), 120, "the first day")
    stack.stop_server()
    stack.start_server()
    ended = server.ended(run, 240)
    assert ended["state_type"] == "COMPLETED", ended["state"]["message"]
    assert {r["state_type"] for r in server.children(run)} == {"COMPLETED"}
    assert len(server.children(run)) == 3


def presume_dead_after(server: Server, seconds: int) -> None:
    """Edit the automation that marks zombies, as the UI does; it forgets what it waits for."""
    name = "lasso-jobs zombie is crashed"
    (id_,) = (a["id"] for a in server.post("automations/filter") if a["name"] == name)
    declared = yaml.safe_load((ROOT / "deploy" / "automations.yaml").read_text())["automations"]
    (automation,) = (a for a in declared if a["name"] == name)
    automation["trigger"]["within"] = seconds
    server.client.put(f"automations/{id_}", json=automation).raise_for_status()


def test_a_run_whose_machine_is_lost_is_crashed_and_runs_again_to_its_end(
    server: Server, stack: Stack, jobs: Path, nightly: Values
) -> None:
    days = DAYS[5:8]
    # Shorter than between heartbeats, of which a run has its first when it starts.
    presume_dead_after(server, 15)
    run = server.start("backfill", first=days[0], last=days[-1], only="all", cluster="local")
    until(lambda: server.children(run), 120, "the first day")
    stack.lose_machine()
    stack.start_worker("lasso-jobs")
    history = {"flow_run_id": run}

    def states() -> set[tuple[str, str]]:
        found = server.client.get("flow_run_states/", params=history).json()
        return {(state["type"], state["name"]) for state in found}

    until(lambda: ("SCHEDULED", "Rescheduled") in states(), 60, "the automations")
    presume_dead_after(server, 120)
    ended = server.ended(run)
    assert ended["state_type"] == "COMPLETED", ended["state"]["message"]
    assert "CRASHED" in {type_ for type_, _ in states()}
    model = load_model(str(jobs / "models"), "sales@v1")
    scored = DeltaTable(jobs / "scores" / "sales").to_pandas()
    for day in days:
        found = scored[scored["day"].astype(str) == day].set_index("id")["prediction"]
        rows = pq.read_table(jobs / "shop" / f"day={day}" / "sales.parquet").to_pandas()
        expected = model.to_sklearn().predict(rows[model.to_sklearn().feature_names_in_])
        assert list(found.sort_index().index) == sorted(rows["id"])
        assert found.loc[rows["id"]].to_numpy() == pytest.approx(expected, rel=1e-9)


def test_a_failure_names_the_partition_and_the_remedy(
    server: Server, jobs: Path, nightly: Values
) -> None:
    broken = jobs / "shop" / f"day={DAYS[1]}" / "sales.parquet"
    broken.write_bytes(broken.read_bytes()[:-4] + b"junk")
    run = server.start("backfill", first=DAYS[1], last=DAYS[1], only="all")
    ended = server.ended(run)
    assert ended["state_type"] == "FAILED"
    assert f"day={DAYS[1]}/sales.parquet" in ended["state"]["message"]
    assert "expected" in ended["state"]["message"]


def test_wrong_parameters_are_refused_before_there_is_a_run(server: Server) -> None:
    id_ = server.deployment("backfill")["id"]
    wrong = {"first": DAYS[0], "last": DAYS[1], "only": "some"}
    response = server.client.post(f"deployments/{id_}/create_flow_run", json={"parameters": wrong})
    assert response.status_code in (409, 422)
    assert "some" in response.text


def test_deploying_again_changes_nothing(
    stack: Stack, server: Server, prefect_file: Path, nightly: Values
) -> None:
    before = {d["name"]: d["id"] for d in server.post("deployments/filter")}
    automations = sorted(a["name"] for a in server.post("automations/filter"))
    assert {"train", "nightly-score", "backfill", "retrain-on-drift"} <= set(before)
    done = stack.deploy(prefect_file)
    assert done.returncode == 0, done.stderr
    assert before == {d["name"]: d["id"] for d in server.post("deployments/filter")}
    assert automations == sorted(a["name"] for a in server.post("automations/filter"))


@pytest.mark.browser
def test_a_browser_shows_the_deployments_the_form_and_the_run(
    stack: Stack, server: Server, nightly: Values, tmp_path: Path
) -> None:
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("Chromium is not installed (Debian: apt-get install chromium)")

    (scoring,) = server.children(nightly["id"])
    form = f"deployments/deployment/{server.deployment('nightly-score')['id']}/run"
    paths = ("deployments", form, f"runs/flow-run/{scoring['id']}")

    def page(number: int) -> "subprocess.Popen[str]":
        options = ("--headless=new", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=20000")
        profile = f"--user-data-dir={tmp_path / str(number)}"
        url = f"{stack.api.removesuffix('/api')}/{paths[number]}"
        command = [chromium, *options, profile, "--dump-dom", url]
        return subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )

    listed, filled, shown = (p.communicate(timeout=60)[0] for p in list(map(page, range(3))))
    assert "nightly-score" in listed
    assert "retrain-on-drift" in listed
    assert "by default the day for which the run was scheduled" in filled
    assert "Of so many days before, score those missing or changed, too" in filled
    assert scoring["name"] in shown
    assert "Completed" in shown


def test_no_secret_is_in_a_log_an_artifact_a_parameter_or_the_database(
    stack: Stack, server: Server, postgresql: str, nightly: Values
) -> None:
    """After all of the above; the secrets are the database's password and the keys of TLS."""
    key = (stack.folder / "tls" / "key.pem").read_text().splitlines()[1]
    secrets = [PASSWORD, quote(PASSWORD, safe=""), key]
    database = re.sub("/postgres$", "/prefect", postgresql)
    dump = subprocess.run(
        ["pg_dump", "--data-only", database], check=True, capture_output=True, text=True
    ).stdout
    assert "score sales" in dump
    logs = [*stack.folder.glob("*.log"), *stack.jobs.glob("*.log")]
    assert len(logs) >= 4
    texts = {"the database": dump} | {
        str(path): path.read_text(errors="replace") for path in logs if path.is_file()
    }
    for where, text in texts.items():
        for secret in secrets:
            assert secret not in text, where
            assert secret not in unquote(text), where


def test_the_server_and_the_cluster_listen_on_this_machine_only(stack: Stack) -> None:
    listening = [
        (connection.laddr.ip, " ".join(process.cmdline()))
        for process in stack.processes()
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert len(listening) >= 4
    assert [(ip, line) for ip, line in listening if ip not in ("127.0.0.1", "::1")] == []
