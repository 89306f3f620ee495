"""Register the deployments and automations of `deploy/` with a Prefect server."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from prefect.automations import AutomationCore
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.exceptions import ObjectNotFound
from prefect.settings import PREFECT_API_URL, temporary_settings
from pydantic import TypeAdapter

from lasso_jobs.errors import JobError
from lasso_jobs.jobs.job_file import load_yaml

AUTOMATIONS = "automations.yaml"
_DEPLOY = ("-m", "prefect", "--no-prompt", "deploy", "--all", "--prefect-file")


def deploy(
    file: str, api: str | None, pool: str, pool_type: str, directory: str, image: str
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
        If there is no server, or Prefect refuses a deployment.
    """
    names = [deployment["name"] for deployment in load_yaml(file)["deployments"]]
    api = api or PREFECT_API_URL.value()
    if not api:
        raise JobError(
            "--prefect-api",
            "no address of a Prefect server",
            "one such as http://127.0.0.1:4200/api",
            "Run 'prefect server start', and give its address or set PREFECT_API_URL",
        )
    with temporary_settings({PREFECT_API_URL: api}), get_client(sync_client=True) as client:
        if (error := client.api_healthcheck()) is not None:
            raise JobError(api, f"no Prefect server answers ({error})", "a running one", "Start it")
        _ensure_pool(client, pool, pool_type)
        _deploy(Path(file), api, pool, str(Path(directory).absolute()), image)
        automations = _automate(client, Path(file).with_name(AUTOMATIONS))
    return {"api": api, "pool": pool, "deployments": names, "automations": automations}


def _ensure_pool(client: SyncPrefectClient, pool: str, pool_type: str) -> None:
    try:
        client.read_work_pool(pool)
    except ObjectNotFound:
        client.create_work_pool(WorkPoolCreate(name=pool, type=pool_type))


def _deploy(file: Path, api: str, pool: str, directory: str, image: str) -> None:
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
            str(file), f"prefect deploy refused it ({said})", "valid deployments", "Correct it"
        )


def _automate(client: SyncPrefectClient, file: Path) -> list[str]:
    """Create or update each automation by its name."""
    if not file.exists():
        return []
    adapter = TypeAdapter(list[AutomationCore])
    wanted = adapter.validate_python(load_yaml(file)["automations"])
    for automation in wanted:
        known = client.read_automations_by_name(automation.name)
        if known:
            client.update_automation(known[0].id, automation)
        else:
            client.create_automation(automation)
    return [automation.name for automation in wanted]
