"""The files of `deploy/`: what they name exists, and what they promise is in them."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

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

    from flows import events

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
