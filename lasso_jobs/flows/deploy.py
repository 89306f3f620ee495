"""Registers the deployments and automations of `deploy/` with a Prefect server."""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from prefect.automations import AutomationCore
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.events.schemas.automations import EventTrigger, Posture
from prefect.exceptions import ObjectNotFound
from prefect.settings.models.flows import FlowsSettings
from pydantic import TypeAdapter, ValidationError

from lasso_jobs.errors import JobError
from lasso_jobs.flows.server import connected
from lasso_jobs.flows.stages import TAG
from lasso_jobs.jobs.base import load_yaml

AUTOMATIONS = "automations.yaml"
EXAMPLE = "deploy/ of this project's repository"
HEARTBEAT = "prefect.flow-run.heartbeat"
_DEPLOY = ("-m", "prefect", "--no-prompt", "deploy", "--all", "--prefect-file")


def deploy(
    file: str, *, api: str | None, pool: str, pool_type: str, directory: str, image: str
) -> dict[str, Any]:
    """Register a `prefect.yaml` and the `automations.yaml` beside it; again changes nothing.

    Parameters
    ----------
    file : str
        The `prefect.yaml`.
    api : str, optional
        The server's; by default the environment's or the profile's ``PREFECT_API_URL``.
    pool, pool_type : str
        The work pool, made if there is none.
    directory : str
        Where runs work.
    image : str
        What docker and kubernetes pools run.

    Returns
    -------
    dict
        The names of the ``deployments`` and ``automations``, the ``pool``, and the ``api``.

    Raises
    ------
    JobError
        If there is no server, Prefect refuses a deployment, one lacks the tag, or an automation
        would act on runs of other teams, or on runs that live.
    """
    remedy = f"Name one with --file: {EXAMPLE} has one to copy"
    deployments = load_yaml(file, "a prefect.yaml", remedy).get("deployments")
    named = isinstance(deployments, list) and all(
        isinstance(d, dict) and "name" in d for d in deployments
    )
    if not deployments or not named:
        raise JobError(file, "has no list of deployments with names", "a prefect.yaml", remedy)
    names = [deployment["name"] for deployment in deployments]
    for deployment in deployments:
        if TAG not in (deployment.get("tags") or ()):
            raise JobError(
                f"{file}, deployment {deployment['name']}",
                f"lacks the tag {TAG}, without which no automation sees its runs",
                "the tag on each deployment",
                f"Add it, tags: [{TAG}]",
            )
    wanted = _automations(Path(file).with_name(AUTOMATIONS))
    with connected(api, named_by="--prefect-api") as (client, api):
        _ensure_pool(client, pool, pool_type)
        _deploy(
            Path(file),
            api=api,
            pool=pool,
            directory=str(Path(directory).absolute()),
            image=image,
        )
        _automate(client, wanted)
    automations = [automation.name for automation in wanted]
    return {"api": api, "pool": pool, "deployments": names, "automations": automations}


def _ensure_pool(client: SyncPrefectClient, pool: str, pool_type: str) -> None:
    try:
        client.read_work_pool(pool)
    except ObjectNotFound:
        known = [type_ for types in client.read_worker_metadata().values() for type_ in types]
        if known and pool_type not in known:
            expected = f"a type of work pool: one of {', '.join(sorted(known))}"
            raise JobError("--pool-type", f"{pool_type!r}", expected, "Name one of them") from None
        try:
            wanted = WorkPoolCreate(name=pool, type=pool_type)
        except ValidationError as error:
            expected = "a name without / % & < and >"
            raise JobError("--pool", f"{pool!r}", expected, "Name it otherwise") from error
        client.create_work_pool(wanted)


def _deploy(file: Path, *, api: str, pool: str, directory: str, image: str) -> None:
    values = {
        "PREFECT_API_URL": api,
        "LASSO_JOBS_POOL": pool,
        "LASSO_JOBS_DIR": directory,
        "LASSO_JOBS_IMAGE": image,
    }
    done = subprocess.run(
        [sys.executable, *_DEPLOY, str(file)],
        env={**os.environ, **values},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        said = " ".join((done.stderr.strip() or done.stdout.strip())[-1000:].split())
        raise JobError(
            str(file),
            f"prefect deploy refused it ({said})",
            "valid deployments",
            "Correct that file, and deploy again",
        )


def _automations(file: Path) -> list[AutomationCore]:
    """The automations of a file, of which none concerns anybody else's runs."""
    if not file.exists():
        return []
    adapter = TypeAdapter(list[AutomationCore])
    try:
        wanted = adapter.validate_python(load_yaml(file).get("automations"))
    except ValidationError as error:
        first = error.errors()[0]
        at = ".".join(map(str, ("automations", *first["loc"])))
        raise JobError(
            str(file),
            f"{at}: {first['msg']}",
            "valid automations",
            "Correct that file, and deploy again",
        ) from error
    for automation in wanted:
        for trigger in _event_triggers(automation.trigger):
            _check(f"{file}, automation {automation.name!r}", trigger)
    return wanted


def _event_triggers(trigger: Any) -> Iterator[EventTrigger]:
    """A trigger of events, or all those that a compound one has."""
    if isinstance(trigger, EventTrigger):
        yield trigger
    for inner in getattr(trigger, "triggers", ()):
        yield from _event_triggers(inner)


def _check(where: str, trigger: EventTrigger) -> None:
    of_runs = any(_covers_runs(text) for text in _labels(trigger.match, "prefect.resource.id"))
    related = trigger.match_related
    specifications = related if isinstance(related, list) else [related]
    tags = [text for each in specifications for text in _labels(each, "prefect.resource.id")]
    if of_runs and f"prefect.tag.{TAG}" not in tags:
        raise JobError(
            where,
            "acts on flow runs of everybody on the Prefect server",
            f"match_related with prefect.resource.role: tag and "
            f"prefect.resource.id: prefect.tag.{TAG}",
            "Add it, as in the automations.yaml of deploy/",
        )
    shortest = FlowsSettings.model_fields["heartbeat_frequency"].default
    beats = trigger.posture is Posture.Proactive and HEARTBEAT in trigger.expect
    if beats and trigger.within.total_seconds() <= shortest:
        raise JobError(
            where,
            f"waits {trigger.within.total_seconds():g} seconds for a heartbeat",
            f"more than the {shortest} seconds between heartbeats that Prefect has by default",
            "Raise within, such as to 400: a run that lives would be marked as crashed",
        )


def _labels(specification: Any, name: str) -> list[str]:
    values = specification.model_dump().get(name) or []
    return [values] if isinstance(values, str) else list(values)


def _covers_runs(pattern: str) -> bool:
    return (
        pattern == "*"
        or pattern.startswith("prefect.flow-run.")
        or (pattern.endswith("*") and "prefect.flow-run.".startswith(pattern.rstrip("*")))
    )


def _automate(client: SyncPrefectClient, wanted: Sequence[AutomationCore]) -> None:
    """Create or update each automation by its name."""
    for automation in wanted:
        known = client.read_automations_by_name(automation.name)
        if known:
            client.update_automation(known[0].id, automation)
        else:
            client.create_automation(automation)
