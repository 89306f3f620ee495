"""Runs the stages of a job as tasks of a Prefect flow, and again what waiting can help.

A task is tried again by Prefect. A cluster that is gone is not its matter: a new try needs a new
connection, which is the flow's own.
"""

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

from prefect import Task, tags, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas import TaskRun
from prefect.client.schemas.objects import State
from prefect.context import TagsContext
from prefect.runtime import flow_run, task_run

from lasso_jobs import escape
from lasso_jobs.errors import ClusterError, LassoJobsError
from lasso_jobs.flows import run_page
from lasso_jobs.progress import Parameters, Result, Stages

WAIT_SECONDS = [10.0, 30.0, 90.0]
"""Before each new try: a server that restarts is back within these two minutes, by and large."""

TAG = "lasso-jobs"
"""Of our deployments, and so of their runs: the automations of `deploy/` act on no others."""

Value = TypeVar("Value")


def _worth_another_try(task: Task[..., Any], run: TaskRun, state: State[Any]) -> bool:
    """Whether to retry: wrong jobs and data stay wrong; networks, disks and servers recover."""
    try:
        state.result()
    except ClusterError:
        return False
    except LassoJobsError as error:
        return error.transient
    except Exception:  # noqa: BLE001 - whatever else it was
        return True
    return False


# Results stay in memory: what must survive a crash is in the tables and the registry.
IN_MEMORY: dict[str, Any] = {"cache_policy": NO_CACHE, "persist_result": False}
RETRIED: dict[str, Any] = {
    **IN_MEMORY,
    "retries": len(WAIT_SECONDS),
    "retry_delay_seconds": WAIT_SECONDS,
    "retry_condition_fn": _worth_another_try,
}


@contextmanager
def tagged() -> Iterator[None]:
    """Give runs of flows that are called here the tag of this run; Prefect itself does not."""
    with tags(*({TAG} & set(flow_run.tags))):
        yield


def with_new_connections(attempt: Callable[[], Value]) -> Value:
    """Call what connects to a cluster and works on it; again if the cluster was away or is gone."""
    for seconds in WAIT_SECONDS:
        try:
            return attempt()
        except ClusterError as error:
            if not error.transient:
                raise
            run_page.log(logging.WARNING, f"{error} Trying again in {seconds:g} seconds.")
            time.sleep(seconds)
    return attempt()


class TaskStages(Stages):
    """Stages that are tasks; one without options is just called.

    Parameters
    ----------
    options : mapping
        By the stage's name, which is the task's too: what `prefect.task` takes.
    """

    def __init__(self, options: Mapping[str, Mapping[str, Any]]) -> None:
        super().__init__()
        self._options = options

    def call(
        self,
        name: str,
        function: Callable[Parameters, Result],
        /,
        *args: Parameters.args,
        **kwargs: Parameters.kwargs,
    ) -> Result:
        """Run a stage as a task."""
        if name not in self._options:
            return function(*args, **kwargs)
        options = {**self._options[name]}
        template: str = options.pop("task_run_name")

        def run_name() -> str:
            return escape.line(template.format(**task_run.parameters))

        named = task(name=name, task_run_name=run_name, **options)(function)
        # Without the tag of the run: Prefect would ask the server for a slot of each task's tags,
        # and fail a run whose server restarts just then.
        with TagsContext(current_tags=set()):
            return named(*args, **kwargs)
