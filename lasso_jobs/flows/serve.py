"""Serves a flow from a script: no work pool, and no worker, only a Prefect server."""

import os
import sys
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from prefect import Flow
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.events import DeploymentEventTrigger
from prefect.schedules import Schedule
from prefect.types.entrypoint import EntrypointType

from lasso_jobs import escape
from lasso_jobs.errors import LassoJobsError
from lasso_jobs.flows.parameters import VARIABLE
from lasso_jobs.flows.server import connected
from lasso_jobs.flows.stages import TAG
from lasso_jobs.jobs.base import load_yaml

JOBS = ("job", "score_job", "train_job")
"""Parameters of flows that are jobs."""

HEARTBEAT_SECONDS = 30
"""As in deploy/prefect.yaml: the automations there mark a run without heartbeats as crashed."""


def serve(
    flow: Flow[..., Any],
    name: str,
    *,
    parameters: Mapping[str, Any],
    schedule: Schedule | None = None,
    triggers: Sequence[DeploymentEventTrigger] = (),
    if_running: ConcurrencyLimitStrategy = ConcurrencyLimitStrategy.ENQUEUE,
) -> None:
    """Register a deployment, run it on its schedule, and stop at Ctrl-C.

    Runs are processes of this machine that work in the folder where this one does. Only one runs at
    a time.

    Parameters
    ----------
    flow : Flow
        Of an installed module: runs import it by the module's name.
    name : str
        Of the deployment.
    parameters : mapping
        The path of a job file is checked before anything is registered.
    schedule : Schedule, optional
        When runs start; without, a person or a trigger starts them.
    triggers : sequence of DeploymentEventTrigger
        Events that start a run.
    if_running : ConcurrencyLimitStrategy
        Whether a second run waits, or is cancelled.

    Raises
    ------
    SystemExit
        With one line that says what is wrong.
    """
    try:
        for key in JOBS:
            job = parameters.get(key)
            if isinstance(job, str) and not job.startswith(VARIABLE):
                load_yaml(job)
        os.environ.setdefault("PREFECT_FLOWS_HEARTBEAT_FREQUENCY", str(HEARTBEAT_SECONDS))
        with connected() as (_, api):
            told = _in_words(flow, name, parameters, schedule)
            escape.write(sys.stdout, f"{told}server     {api}\n")
    except LassoJobsError as error:
        raise SystemExit(str(error)) from error
    # At SIGTERM Prefect calls this in a way that does nothing but warn; it stops all the same.
    warnings.filterwarnings("ignore", r"coroutine '.*\.astop' was never awaited", RuntimeWarning)
    flow.serve(
        name=name,
        parameters=dict(parameters),
        schedule=schedule,
        triggers=list(triggers),
        tags=[TAG],
        global_limit=ConcurrencyLimitConfig(limit=1, collision_strategy=if_running),
        # By a path, runs would load a file of the site-packages as if it were in their folder.
        entrypoint_type=EntrypointType.MODULE_PATH,
    )


def _in_words(
    flow: Flow[..., Any], name: str, parameters: Mapping[str, Any], schedule: Schedule | None
) -> str:
    times = "none; a person or an event starts it"
    if schedule is not None:
        every = schedule.cron or schedule.rrule or f"every {schedule.interval}"
        times = f"{every} ({schedule.timezone or 'UTC'})"
    rows = {
        "serves": f"{flow.name}/{name}",
        **parameters,
        "schedule": times,
        "folder": Path.cwd(),
    }
    return "".join(f"{key:<10} {escape.line(str(value))}\n" for key, value in rows.items())
