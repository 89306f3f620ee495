"""The files of `deploy/`: what they name exists, and what they promise is in them."""

import os
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any, ClassVar

import pytest
import yaml

pytestmark = pytest.mark.integration

Values = dict[str, Any]
ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
PREFECT = yaml.safe_load((DEPLOY / "prefect.yaml").read_text())
DEPLOYED = {deployed["name"]: deployed for deployed in PREFECT["deployments"]}
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
OURS = {k: v for k, v in COMPOSE["services"].items() if k != "database"}
MANIFESTS = {
    (document["kind"], document["metadata"]["name"]): document
    for path in (DEPLOY / "kubernetes").glob("*.yaml")
    if path.name != "kustomization.yaml"
    for document in yaml.safe_load_all(path.read_text())
}


def test_these_are_deployed() -> None:
    assert set(DEPLOYED) == {
        *("train", "nightly-score", "monitor-outcomes", "backfill", "retrain-on-drift")
    }


def test_the_scripts_are_shipped_and_not_installed() -> None:
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"][
        "targets"
    ]
    assert build["wheel"]["packages"] == ["lasso_jobs"]
    assert "/flows" in build["sdist"]["include"]
    assert not (ROOT / "flows" / "__init__.py").exists()
    assert len(list((ROOT / "flows").glob("*.py"))) == len(DEPLOYED)


@pytest.mark.parametrize("name", DEPLOYED)
def test_a_deployment_names_a_flow_that_takes_its_parameters(name: str) -> None:
    from prefect.flows import load_flow_from_entrypoint

    deployed = DEPLOYED[name]
    flow = load_flow_from_entrypoint(deployed["entrypoint"])
    assert set(deployed["parameters"]) <= set(flow.parameters.properties)
    given = {**deployed["parameters"], "day": "2024-01-01"}
    if name == "backfill":
        given = {**deployed["parameters"], "first": "2024-01-01", "last": "2024-01-02"}
    assert flow.validate_parameters(given).items() >= deployed["parameters"].items()


@pytest.mark.parametrize("name", DEPLOYED)
def test_a_form_says_what_each_parameter_is(name: str) -> None:
    from prefect.flows import load_flow_from_entrypoint

    schema = load_flow_from_entrypoint(DEPLOYED[name]["entrypoint"]).parameters
    for parameter, shown in schema.properties.items():
        assert shown["description"], parameter
    for model in schema.definitions.values():
        # What is not plain from its name and choices has words, too.
        shown = model["properties"]
        told = [key for key in shown if {"description", "$ref", "enum"} & set(shown[key])]
        assert len(told) >= len(shown) / 2, model["title"]


def test_schedules_have_a_time_zone_and_runs_a_limit() -> None:
    from prefect.client.schemas.schedules import CronSchedule

    for deployed in DEPLOYED.values():
        assert deployed["concurrency_limit"]["limit"] == 1
        for schedule in deployed.get("schedules", ()):
            assert schedule["timezone"]
            assert CronSchedule(**schedule).cron == schedule["cron"]
    scheduled = {name for name, deployed in DEPLOYED.items() if deployed.get("schedules")}
    assert scheduled == {"train", "nightly-score", "monitor-outcomes"}


def test_automations_act_on_events_that_the_flows_emit() -> None:
    from prefect.automations import AutomationCore
    from pydantic import TypeAdapter

    from lasso_jobs.flows import events

    values = yaml.safe_load((DEPLOY / "automations.yaml").read_text())["automations"]
    automations = TypeAdapter(list[AutomationCore]).validate_python(values)
    assert len({automation.name for automation in automations}) == len(automations) == 4
    known = {getattr(events, name) for name in dir(events) if name.isupper()}
    named = {event for value in values for event in value["trigger"]["expect"]}
    named |= set(DEPLOYED["retrain-on-drift"]["triggers"][0]["expect"])
    ours = {event for event in named if event.startswith("lasso-jobs.")}
    assert ours
    assert ours <= known
    # The second acts on the words of the first.
    words = values[0]["actions"][0]["message"]
    assert values[1]["trigger"]["match"]["prefect.state-message"] == words


def test_the_pins_the_image_and_the_deployments_are_of_one_prefect_and_python() -> None:
    pins = (DEPLOY / "constraints.txt").read_text()
    assert f"prefect=={PREFECT['prefect-version']}" in pins.splitlines()
    assert "on Python 3.11 " in pins
    lines = (DEPLOY / "Dockerfile").read_text().splitlines()
    images = [line.split()[1] for line in lines if line.startswith("FROM ")]
    assert all(image.startswith("python:3.11.") for image in images)


def test_the_image_runs_as_nobody_special_and_holds_what_it_copies() -> None:
    lines = (DEPLOY / "Dockerfile").read_text().splitlines()
    assert "USER 10001:10001" in lines
    assert any(line.startswith("HEALTHCHECK") for line in lines)
    kept = {
        line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line[0] == "!"
    }
    copied = [line.split()[1:-1] for line in lines if line.startswith("COPY ")]
    sources = {name for names in copied for name in names if not name.startswith(("--", "/"))}
    assert sources == kept
    assert all((ROOT / name).exists() for name in sources)


def test_compose_publishes_on_loopback_only_and_keeps_no_secret() -> None:
    for service in COMPOSE["services"].values():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))
        for name, value in service.get("environment", {}).items():
            assert "PASSWORD" not in name or value.startswith("${"), name
    for name, service in OURS.items():
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        assert set(service.get("depends_on", ())) <= set(COMPOSE["services"])
    for name in ("prefect-worker", "dask-scheduler", "dask-worker"):
        assert OURS[name]["environment"]["DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION"] == "True"


def pods() -> Iterator[tuple[str, Values]]:
    yield "worker", MANIFESTS["Deployment", "prefect-worker"]["spec"]["template"]["spec"]
    dask = MANIFESTS["DaskCluster", "lasso-jobs"]["spec"]
    for part in ("scheduler", "worker"):
        yield f"dask {part}", dask[part]["spec"]


def test_pods_have_a_read_only_root_requests_and_secrets_by_reference() -> None:
    claims = {name for kind, name in MANIFESTS if kind == "PersistentVolumeClaim"}
    for name, pod in pods():
        assert pod["securityContext"]["runAsNonRoot"], name
        assert pod["automountServiceAccountToken"] is False
        (container,) = pod["containers"]
        assert container["image"] == "lasso-jobs"
        assert container["securityContext"]["readOnlyRootFilesystem"], name
        assert {"cpu", "memory"} <= set(container["resources"]["requests"]), name
        assert "env" not in container
        assert {"secretRef": {"name": "lasso-jobs"}} in container["envFrom"]
        volumes = {volume["name"]: volume for volume in pod["volumes"]}
        assert {mount["name"] for mount in container["volumeMounts"]} == set(volumes)
        assert volumes["work"]["persistentVolumeClaim"]["claimName"] in claims
    policies = [m for (kind, _), m in MANIFESTS.items() if kind == "NetworkPolicy"]
    assert len(policies) == 2


def test_kustomize_names_every_file() -> None:
    values = yaml.safe_load((DEPLOY / "kubernetes" / "kustomization.yaml").read_text())
    there = {path.name for path in (DEPLOY / "kubernetes").iterdir()}
    assert set(values["resources"]) | {"kustomization.yaml"} == there


def test_the_certificates_of_the_script_are_of_their_ca(tmp_path: Path) -> None:
    folder = tmp_path / "tls"
    subprocess.run([DEPLOY / "certificates.sh", folder, "2"], check=True, capture_output=True)
    assert {path.name for path in folder.iterdir()} == {
        *("ca.pem", "ca-key.pem", "cert.pem", "key.pem")
    }
    assert (folder / "key.pem").stat().st_mode & 0o077 == 0
    verify = ["openssl", "verify", "-CAfile", folder / "ca.pem", folder / "cert.pem"]
    assert subprocess.run(verify, capture_output=True, check=True).stdout.endswith(b"OK\n")


@pytest.mark.slow
def test_deploy_without_a_server_is_one_clear_line(cli: Any, tmp_path: Path) -> None:
    file = ("--file", DEPLOY / "prefect.yaml")
    home = {"PREFECT_HOME": str(tmp_path)}
    nowhere = cli("deploy", *file, folder=tmp_path, **home)
    assert nowhere.returncode == 1
    assert "no address of a Prefect server; expected one such as" in nowhere.stderr
    url = "http://127.0.0.1:1/api"
    silent = cli("deploy", *file, "--prefect-api", url, folder=tmp_path, **home)
    assert silent.returncode == 1
    assert f"{url}: no Prefect server answers" in silent.stderr
    assert len(silent.stderr.splitlines()) == 1


def has_compose() -> bool:
    command = ["docker", "compose", "version"]
    return (
        bool(shutil.which("docker")) and not subprocess.run(command, capture_output=True).returncode
    )


@pytest.mark.skipif(not has_compose(), reason="there is no docker compose")
def test_compose_accepts_its_file_and_insists_on_a_password(tmp_path: Path) -> None:
    def config(**env: str) -> "subprocess.CompletedProcess[str]":
        command = ["docker", "compose", "-f", DEPLOY / "compose.yaml", "config"]
        path = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
        return subprocess.run(command, env={**path, **env}, capture_output=True, text=True)

    done = config(POSTGRES_PASSWORD="of-the-test")
    assert done.returncode == 0, done.stderr
    assert set(yaml.safe_load(done.stdout)["services"]) == set(COMPOSE["services"])
    assert "write it into .env" in config().stderr


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="there is no kubectl")
def test_kustomize_builds_every_manifest_with_the_image_of_one_registry() -> None:
    command = ["kubectl", "kustomize", DEPLOY / "kubernetes"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    built = list(yaml.safe_load_all(done.stdout))
    named = {(m["kind"], m["metadata"]["name"]) for m in built}
    assert named == set(MANIFESTS) | {("ConfigMap", "lasso-jobs")}
    (worker,) = (m for m in built if m["kind"] == "Deployment")
    (container,) = worker["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "registry.example.org/lasso-jobs:0.1.0"
    assert all(
        m["metadata"].get("namespace") == "lasso-jobs" for m in built if m["kind"] != "Namespace"
    )


def test_ports_and_limits_agree_between_the_files() -> None:
    scheduler = MANIFESTS["DaskCluster", "lasso-jobs"]["spec"]["scheduler"]
    (container,) = scheduler["spec"]["containers"]
    ports = {p["name"]: p["containerPort"] for p in container["ports"]}
    assert ports == {p["name"]: p["port"] for p in scheduler["service"]["ports"]}
    assert str(ports["tcp-comm"]) == container["args"][container["args"].index("--port") + 1]
    assert OURS["prefect-worker"]["environment"]["LASSO_JOBS_CLUSTER"].endswith(":8786")
    for name, pod in pods():
        (container,) = pod["containers"]
        assert "memory" in container["resources"]["limits"], name
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}, name
        assert container["securityContext"]["allowPrivilegeEscalation"] is False, name
    assert "-c /src/deploy/constraints.txt" in (DEPLOY / "Dockerfile").read_text()


def test_a_work_pool_that_cannot_be_made_is_refused() -> None:
    """A server would take any type, and no worker would ever come."""
    from prefect.exceptions import ObjectNotFound

    from lasso_jobs.errors import JobError
    from lasso_jobs.flows import deploy as module

    class Client:
        made: ClassVar[list[str]] = []

        def read_work_pool(self, name: str) -> None:
            raise ObjectNotFound(Exception())

        def read_worker_metadata(self) -> Values:
            return {"prefect": {"process": {}}, "prefect-docker": {"docker": {}}}

        def create_work_pool(self, pool: Any) -> None:
            self.made.append(f"{pool.name} {pool.type}")

    with pytest.raises(JobError, match=r"--pool-type: 'proces'; expected .* docker, process"):
        module._ensure_pool(Client(), "p", "proces")
    with pytest.raises(JobError, match="--pool: 'a/b'; expected a name without /"):
        module._ensure_pool(Client(), "a/b", "process")
    module._ensure_pool(Client(), "p", "docker")
    assert Client.made == ["p docker"]


def test_a_request_that_the_server_refuses_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    from prefect.exceptions import PrefectHTTPStatusError

    from lasso_jobs.errors import JobError
    from lasso_jobs.flows import server

    class Client:
        def api_healthcheck(self) -> None:
            """It answers."""

    monkeypatch.setattr(server, "get_client", lambda **_: nullcontext(Client()))
    refusal = PrefectHTTPStatusError("Client error '409 Conflict'", request=None, response=None)
    with (
        pytest.raises(JobError, match=r"http://host/api: .* refused a request .*409 Conflict"),
        server.connected("http://host/api"),
    ):
        raise refusal


def test_without_a_file_deploy_says_which_one_is_needed(cli: Any, tmp_path: Path) -> None:
    done = cli("deploy", folder=tmp_path)
    assert done.returncode == 1
    assert "expected a prefect.yaml. Name one with --file" in done.stderr
    assert "job file" not in done.stderr


@pytest.mark.parametrize(
    "text", ["name: m", "deployments: []", "deployments: [{x: 1}]", "deployments: 3"]
)
def test_a_file_that_is_no_prefect_yaml_is_refused_before_any_server_is_asked(
    text: str, tmp_path: Path
) -> None:
    from lasso_jobs.errors import JobError
    from lasso_jobs.flows.deploy import deploy

    file = tmp_path / "prefect.yaml"
    file.write_text(text)
    with pytest.raises(JobError, match="has no list of deployments with names"):
        deploy(str(file), api=None, pool="p", pool_type="process", directory=".", image="i")


# Other teams' runs on the same Prefect server.

OTHERS = [  # by what an automation would act on runs of everybody, or on runs that live
    {"match_related": {}},
    {"match_related": {"prefect.resource.role": "deployment"}},
    {"match_related": {"prefect.resource.role": "tag", "prefect.resource.id": "prefect.tag.x"}},
    {"match_related": {}, "match": {"prefect.resource.id": "*"}},
    {"match_related": {}, "match": {"prefect.resource.id": "prefect.*"}},
]


def deployed_with(folder: Path, trigger: Values, **deployment: Any) -> Path:
    """The files of `deploy/`, with other values for the first trigger and a deployment."""
    automations = yaml.safe_load((DEPLOY / "automations.yaml").read_text())
    automations["automations"][0]["trigger"].update(trigger)
    (folder / "automations.yaml").write_text(yaml.safe_dump(automations))
    values = yaml.safe_load((DEPLOY / "prefect.yaml").read_text())
    values["deployments"][0].update(deployment)
    (folder / "prefect.yaml").write_text(yaml.safe_dump(values))
    return folder / "prefect.yaml"


def refused(file: Path) -> str:
    from lasso_jobs.errors import JobError
    from lasso_jobs.flows.deploy import deploy

    with pytest.raises(JobError) as caught:  # before any server is asked
        deploy(str(file), api=None, pool="p", pool_type="process", directory=".", image="i")
    return str(caught.value)


@pytest.mark.parametrize("trigger", OTHERS, ids=str)
def test_an_automation_of_everybodys_runs_is_refused(trigger: Values, tmp_path: Path) -> None:
    said = refused(deployed_with(tmp_path, trigger))
    assert "'lasso-jobs zombie is crashed': acts on flow runs of everybody" in said


def test_one_inside_a_compound_trigger_too(tmp_path: Path) -> None:
    file = deployed_with(tmp_path, {})
    values = yaml.safe_load((tmp_path / "automations.yaml").read_text())
    inner = {**values["automations"][1]["trigger"], "match_related": {}}
    both = {"type": "compound", "require": "all", "triggers": [inner], "within": 60}
    values["automations"][1]["trigger"] = both
    (tmp_path / "automations.yaml").write_text(yaml.safe_dump(values))
    assert "'lasso-jobs zombie runs again': acts on flow runs of everybody" in refused(file)


@pytest.mark.parametrize("seconds", [30, 120, 180])
def test_an_automation_that_waits_for_less_than_a_heartbeat_is_refused(
    seconds: int, tmp_path: Path
) -> None:
    said = refused(deployed_with(tmp_path, {"within": seconds}))
    assert f"waits {seconds} seconds for a heartbeat; expected more than the 180 seconds" in said


def test_a_deployment_without_the_tag_is_refused(tmp_path: Path) -> None:
    said = refused(deployed_with(tmp_path, {}, tags=["other"]))
    assert "deployment train: lacks the tag lasso-jobs" in said


def test_the_files_as_they_are_get_as_far_as_the_server(tmp_path: Path) -> None:
    assert "no address of a Prefect server" in refused(deployed_with(tmp_path, {}))
