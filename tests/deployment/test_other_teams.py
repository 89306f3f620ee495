"""A Prefect server that another team uses, too: our automations leave its runs alone."""

import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import httpx
import pytest
import yaml

from .stack import ROOT, Stack, until

pytestmark = [pytest.mark.slow, pytest.mark.integration]

Values = dict[str, Any]
WITHIN_SECONDS = 10  # the least that Prefect accepts


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A server on which ours is deployed, whose automations wait for a few seconds only."""
    folder = tmp_path_factory.mktemp("server")
    stack = Stack(folder, f"sqlite+aiosqlite:///{folder / 'prefect.db'}", folder)
    with closing(stack):
        stack.start_server()
        done = stack.deploy(ROOT / "deploy" / "prefect.yaml")
        assert done.returncode == 0, done.stderr
        with httpx.Client(base_url=f"{stack.api}/", timeout=30) as client:
            declared = yaml.safe_load((ROOT / "deploy" / "automations.yaml").read_text())
            (zombies,) = (a for a in declared["automations"] if a["name"].endswith("is crashed"))
            zombies["trigger"]["within"] = WITHIN_SECONDS
            known = {a["name"]: a["id"] for a in post(client, "automations/filter")}
            changed = client.put(f"automations/{known[zombies['name']]}", json=zombies)
            changed.raise_for_status()
            yield client


def post(client: httpx.Client, path: str, **values: Any) -> Any:
    response = client.post(path, json=values)
    response.raise_for_status()
    return response.json() if response.content else None


class Run:
    """A run of some deployment, driven as Prefect's engine does."""

    def __init__(self, client: httpx.Client, deployment: str) -> None:
        self.client = client
        self.run = post(client, f"deployments/{deployment}/create_flow_run")
        post(client, f"flow_runs/{self.run['id']}/set_state", state={"type": "PENDING"})
        post(client, f"flow_runs/{self.run['id']}/set_state", state={"type": "RUNNING"})

    def heartbeat(self) -> None:
        """The event that `prefect.flow_engine` emits, with what it relates it to."""
        related = [
            {
                "prefect.resource.id": f"prefect.deployment.{self.run['deployment_id']}",
                "prefect.resource.role": "deployment",
            },
            *(
                {"prefect.resource.id": f"prefect.tag.{tag}", "prefect.resource.role": "tag"}
                for tag in self.run["tags"]
            ),
        ]
        event = {
            "occurred": datetime.now(UTC).isoformat(),
            "event": "prefect.flow-run.heartbeat",
            "resource": {"prefect.resource.id": f"prefect.flow-run.{self.run['id']}"},
            "related": related,
            "id": str(uuid4()),
        }
        self.client.post("events", json=[event]).raise_for_status()

    @property
    def states(self) -> list[str]:
        history = {"flow_run_id": self.run["id"]}
        found = self.client.get("flow_run_states/", params=history).json()
        return [state["name"] for state in sorted(found, key=lambda state: state["timestamp"])]


def of_another_team(client: httpx.Client, **deployment: Any) -> str:
    """A deployment that is not ours, though its name may be."""
    flow = post(client, "flows/", name=f"of another team {uuid4()}")
    values = {"name": "nightly-score", "flow_id": flow["id"], "entrypoint": "their.py:flow"}
    made: str = post(client, "deployments/", **values, **deployment)["id"]
    return made


def test_runs_of_another_team_live_on_while_our_zombie_is_crashed_and_runs_again(
    api: httpx.Client,
) -> None:
    named = {d["name"]: d["id"] for d in post(api, "deployments/filter")}
    ours = Run(api, named["nightly-score"])
    theirs = [Run(api, of_another_team(api)), Run(api, of_another_team(api, tags=["lasso", "x"]))]
    for run in (ours, *theirs):
        run.heartbeat()
    until(lambda: "Rescheduled" in ours.states, 60, "the automations")
    assert "Crashed" in ours.states
    time.sleep(WITHIN_SECONDS + 5)  # theirs were silent for as long, and longer
    for run in theirs:
        assert run.states[-1] == "Running", run.states


def test_a_run_of_ours_that_has_heartbeats_lives_on(api: httpx.Client) -> None:
    named = {d["name"]: d["id"] for d in post(api, "deployments/filter")}
    run = Run(api, named["train"])
    for _ in range(WITHIN_SECONDS + 5):
        run.heartbeat()
        time.sleep(1)
    assert run.states[-1] == "Running"


def test_every_automation_is_limited_to_our_tag(api: httpx.Client) -> None:
    for automation in post(api, "automations/filter"):
        if automation["trigger"]["match"].get("prefect.resource.id") == "prefect.flow-run.*":
            assert "prefect.tag.lasso-jobs" in str(automation["trigger"]["match_related"])


def test_every_deployment_of_ours_and_its_runs_have_the_tag(api: httpx.Client) -> None:
    deployments = [d for d in post(api, "deployments/filter") if "lasso_jobs" in d["entrypoint"]]
    assert len(deployments) == 5
    for deployment in deployments:
        days = {"first": "2024-01-01", "last": "2024-01-01"}
        parameters = days if deployment["name"] == "backfill" else {}
        path = f"deployments/{deployment['id']}/create_flow_run"
        run = post(api, path, parameters=parameters)
        assert "lasso-jobs" in run["tags"]
