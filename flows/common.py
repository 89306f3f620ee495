"""What the flows share: job parameters, retries, artifact keys."""

import os
import re
from datetime import date
from typing import Any, TypeVar

from prefect import Task
from prefect.blocks.system import Secret
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas import TaskRun
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.variables import Variable

from lasso_jobs.errors import JobError, LassoJobsError
from lasso_jobs.jobs.monitor_job import MonitorJob
from lasso_jobs.jobs.score_job import ScoreJob
from lasso_jobs.jobs.train_job import TrainJob

VARIABLE = "variable:"
CONNECTION_SECRET = "lasso-jobs-postgresql-uri"
CONNECTION_VARIABLE = "LASSO_JOBS_POSTGRESQL_URI"
Job = TypeVar("Job", TrainJob, ScoreJob, MonitorJob)


def who() -> str:
    """Name the flow run, for the audit log."""
    return f"flow run {flow_run.name} ({flow_run.id})"


def load(model: type[Job], job: Job | str, day: date | None) -> Job:
    """The job that a flow's parameter means: a file's, a Prefect variable's; as of a day."""
    loaded = _named(model, job) if isinstance(job, str) else job
    if isinstance(loaded, ScoreJob) and loaded.output.format == "postgresql":
        _resolve_connection()
    return loaded if day is None else loaded.on(day.isoformat())


def _named(model: type[Job], text: str) -> Job:
    name = text.removeprefix(VARIABLE)
    if name == text:
        return model.from_yaml(text)
    value: Any = Variable.get(name)
    if not isinstance(value, dict):
        found = "does not exist" if value is None else "is not a mapping"
        raise JobError(
            f"Prefect variable {name!r}", found, "a job, as its file has it", "Mend it in the UI"
        )
    return model.from_values(value, f"Prefect variable {name!r}")


def _resolve_connection() -> None:
    """Give the sink the database's URI that a Prefect secret holds, unless the environment does.

    Workers on other machines need the variable themselves.
    """
    if CONNECTION_VARIABLE in os.environ:
        return
    try:
        secret: Any = Secret.load(CONNECTION_SECRET)
    except ValueError:  # there is no such block; the sink says what it lacks
        return
    os.environ[CONNECTION_VARIABLE] = secret.get()


def _worth_another_try(task: Task[..., Any], run: TaskRun, state: State[Any]) -> bool:
    """Wrong jobs and wrong data stay wrong; networks, disks and clusters recover."""
    try:
        state.result()
    except LassoJobsError:
        return False
    except Exception:  # noqa: BLE001 - whatever else it was
        return True
    return False


# Results stay in memory: what must survive a crash is in the tables and the registry.
IN_MEMORY: dict[str, Any] = {"cache_policy": NO_CACHE, "persist_result": False}
RETRIED: dict[str, Any] = {
    **IN_MEMORY,
    "retries": 2,
    "retry_delay_seconds": 10,
    "retry_condition_fn": _worth_another_try,
}


def artifact_key(*words: str) -> str:
    """Letters, digits and dashes, as Prefect wants keys."""
    return re.sub(r"[^a-z0-9]+", "-", "-".join(words).lower()).strip("-")


def table(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows with numbers short enough to read."""
    return [
        {k: float(f"{v:.6g}") if isinstance(v, float) else v for k, v in row.items()}
        for row in rows
    ]
