"""The scripts of `flows/`, served from a folder whose own package is named flows, too."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import yaml
from deltalake import DeltaTable

from ..conftest import DAYS
from ..processes import process
from .conftest import write_jobs
from .stack import ROOT, Stack, until

pytestmark = [pytest.mark.slow, pytest.mark.integration]

SCRIPTS = sorted(path.stem for path in (ROOT / "flows").glob("*.py"))
DEPLOYED = {
    deployed["name"]: deployed
    for deployed in yaml.safe_load((ROOT / "deploy" / "prefect.yaml").read_text())["deployments"]
}
Values = dict[str, Any]


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory, zone: str) -> Path:
    """A team's folder: jobs, data, and `flows/` with a package of their own and our scripts."""
    folder = tmp_path_factory.mktemp("team")
    write_jobs(folder, zone)
    monitor = {
        "model": "sales",
        "scores": {"path": "scores/sales"},
        "actuals": {"path": "shop"},
        "keys": ["day", "id"],
        "target": "sales",
        "history": {"path": "errors"},
    }
    (folder / "monitor.yaml").write_text(yaml.safe_dump(monitor))
    for name in SCRIPTS:
        shutil.copy(ROOT / "flows" / f"{name}.py", folder / "flows" / f"{name}.py")
    return folder


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, team: Path) -> Iterator[Stack]:
    """A Prefect server alone."""
    folder = tmp_path_factory.mktemp("server")
    stack = Stack(folder, f"sqlite+aiosqlite:///{folder / 'prefect.db'}", team)
    with closing(stack):
        stack.start_server()
        yield stack


@pytest.fixture(scope="module")
def api(stack: Stack) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"{stack.api}/", timeout=30) as client:
        yield client


def post(api: httpx.Client, path: str, **values: Any) -> Any:
    # Prefect asks to be asked again (503) while its database is locked.
    for _ in range(30):
        response = api.post(path, json=values)
        if response.status_code != 503:
            break
        time.sleep(1)
    response.raise_for_status()
    return response.json()


def deployments(api: httpx.Client) -> dict[str, Values]:
    return {found["name"]: found for found in post(api, "deployments/filter")}


@pytest.fixture(scope="module")
def served(stack: Stack, api: httpx.Client, team: Path) -> Iterator[dict[str, Values]]:
    """All the scripts at once, and what they have registered."""
    with stack.running:
        for name in SCRIPTS:
            command = [sys.executable, str(Path("flows", f"{name}.py"))]
            stack.running.enter_context(
                process(command, team, name, PREFECT_RUNNER_POLL_FREQUENCY="1", **stack.env)
            )
        until(lambda: set(deployments(api)) == set(DEPLOYED), 240, "serving")
        yield deployments(api)


@pytest.mark.parametrize("name", DEPLOYED)
def test_a_script_registers_what_the_deployment_of_its_name_is(
    served: dict[str, Values], name: str
) -> None:
    found, expected = served[name], DEPLOYED[name]
    schedules = [
        {key: schedule["schedule"][key] for key in ("cron", "timezone")}
        for schedule in found["schedules"]
    ]
    assert schedules == expected.get("schedules", [])
    assert all(schedule["active"] for schedule in found["schedules"])
    assert found["parameters"] == expected["parameters"]
    assert found["entrypoint"] == expected["entrypoint"]
    assert found["work_pool_name"] is None
    assert found["global_concurrency_limit"]["limit"] == 1
    strategy = expected["concurrency_limit"]["collision_strategy"]
    assert found["concurrency_options"]["collision_strategy"] == strategy


def test_a_script_says_what_it_serves(served: dict[str, Values], team: Path, stack: Stack) -> None:
    said = until((team / "nightly.log").read_text, 10, "the first line")
    lines = [" ".join(line.split()) for line in said.splitlines()]
    expected = ["serves nightly/nightly-score", "score_job score.yaml"]
    expected += ["schedule 0 4 * * * (America/New_York)", f"folder {team}", f"server {stack.api}"]
    assert set(expected) <= set(lines)


def test_the_trigger_of_the_retraining_is_an_automation(
    served: dict[str, Values], api: httpx.Client
) -> None:
    (found,) = post(api, "automations/filter")
    (wanted,) = DEPLOYED["retrain-on-drift"]["triggers"]
    assert found["name"] == wanted["name"]
    for key in ("expect", "match", "posture", "threshold"):
        assert found["trigger"][key] == wanted[key]
    assert found["actions"][0]["parameters"] == wanted["parameters"]
    assert found["actions"][0]["deployment_id"] == served["retrain-on-drift"]["id"]


def catches(pid: int, number: int) -> bool:
    """Whether a process has a handler for a signal; Prefect sets its own when it begins to poll."""
    (caught,) = re.findall(r"SigCgt:\s*([0-9a-f]+)", Path(f"/proc/{pid}/status").read_text())
    return bool(int(caught, 16) >> (number - 1) & 1)


def test_a_script_ends_at_sigterm_without_warnings(served: dict[str, Values], team: Path) -> None:
    children = psutil.Process().children(recursive=True)
    (script,) = [c for c in children if "flows/backfill.py" in " ".join(c.cmdline())]
    until(lambda: catches(script.pid, signal.SIGTERM), 120, "the handler")
    script.terminate()
    # Without Prefect's handler it would be -15; its words for it depend on the level of the logs.
    assert script.wait(120) == 0
    said = (team / "backfill.log").read_text()
    assert "Warning" not in said
    assert "Traceback" not in said


def test_a_run_of_a_served_flow_scores(
    served: dict[str, Values], api: httpx.Client, team: Path
) -> None:
    path = f"deployments/{served['nightly-score']['id']}/create_flow_run"
    parameters = {"day": DAYS[9], "look_back": 0, "cluster": "local", "workers": 1}
    made = post(api, path, parameters=parameters)["id"]

    def ended() -> Values | None:
        run: Values = api.get(f"flow_runs/{made}").json()
        return run if run["state_type"] in ("COMPLETED", "FAILED", "CRASHED") else None

    run = until(ended, 120, "the run")
    assert run["state_type"] == "COMPLETED", run["state"]["message"]
    rows = DeltaTable(str(team / "scores" / "sales")).to_pandas()
    assert len(rows[rows["day"] == DAYS[9]]) == 150


@pytest.mark.parametrize("server", [None, "http://127.0.0.1:1/api"])
def test_without_a_server_a_script_ends_with_one_line(
    team: Path, tmp_path: Path, server: str | None
) -> None:
    done = serve(team, tmp_path, **({} if server is None else {"PREFECT_API_URL": server}))
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert (server or "PREFECT_API_URL: no address of a Prefect server") in line


def test_without_its_job_file_a_script_ends_with_one_line(tmp_path: Path, stack: Stack) -> None:
    shutil.copytree(ROOT / "flows", tmp_path / "flows")
    done = serve(tmp_path, tmp_path, **stack.env)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("score.yaml: cannot be read")


def serve(folder: Path, home: Path, **env: str) -> "subprocess.CompletedProcess[str]":
    environment = {k: v for k, v in os.environ.items() if k != "PREFECT_API_URL"}
    return subprocess.run(
        [sys.executable, "flows/nightly.py"],
        cwd=folder,
        env={**environment, "PREFECT_HOME": str(home), **env},
        capture_output=True,
        text=True,
        check=False,
    )
