"""Trains a model: plan, one read of the data, selection, evaluation, registration."""

from typing import Any

from prefect import flow
from prefect.runtime import flow_run

from lasso_jobs import escape
from lasso_jobs.flows import events, run_page
from lasso_jobs.flows.parameters import ClusterName, Day, Training, Workers, load, name_in_run
from lasso_jobs.flows.run_page import cluster_of_run, progress, rename, who
from lasso_jobs.flows.schedule import scheduled_day
from lasso_jobs.flows.stages import IN_MEMORY, RETRIED, TaskStages, with_new_connections
from lasso_jobs.jobs.train import TrainJob
from lasso_jobs.models import summary
from lasso_jobs.training.report.store import place_of_report, stored_card
from lasso_jobs.training.run import run_stages

TASKS: dict[str, dict[str, Any]] = {
    "plan": {"task_run_name": "plan {job.name}", **RETRIED},
    "moments": {"task_run_name": "read {planned.job.name} once", **RETRIED},
    "select": {"task_run_name": "choose alpha", **IN_MEMORY},
    "evaluate": {"task_run_name": "measure on the hold-out", **IN_MEMORY},
    "register": {"task_run_name": "register {planned.job.name}", **RETRIED},
}


def _run_name() -> str:
    parameters = flow_run.parameters
    job, day = parameters["job"], parameters.get("day")
    name = name_in_run(job, "name")
    return run_page.name("train", name, day and f"as of {day}")


@flow(name="train", flow_run_name=_run_name)
def train_flow(
    job: Training,
    day: Day = None,
    *,
    cluster: ClusterName = None,
    workers: Workers = None,
) -> dict[str, Any]:
    """Train a model and register it.

    Parameters
    ----------
    job : TrainJob or str
        The job, the path of its file, or ``variable:NAME``.
    day : date, optional
        Takes the place of ``{date}`` in ``data.where``; by default the day for which the run was
        scheduled.
    cluster, workers
        As in `lasso_jobs.engine.cluster.connect`.

    Returns
    -------
    dict
        What ``lasso-jobs train --json`` prints.
    """
    loaded = load(TrainJob, job, day or scheduled_day())
    if isinstance(job, str):
        rename(run_page.name("train", loaded.name, day and f"as of {day}"))
    result = with_new_connections(
        lambda: run_stages(
            loaded,
            TaskStages(TASKS),
            lambda: cluster_of_run(cluster, workers),
            progress=progress(),
            by=who(),
        )
    )
    name, reference, registry = loaded.name, result.registered.reference, loaded.registry
    run_page.markdown(
        ("train", name),
        f"{escape.markdown(result.promotion.reason)}\n\n"
        f"Report: {escape.markdown_code(place_of_report(registry, reference))}\n\n"
        + stored_card(registry, reference).decode(),
        f"{reference}: its card",
    )
    run_page.table(
        ("coefficients", name),
        summary.coefficients(result.model),
        f"{reference}: coefficients that are not zero, the strongest first",
    )
    values = result.as_values()
    if result.promotion.promoted:
        version, reason = values["model_version"], result.promotion.reason
        events.emit(events.MODEL_PROMOTED, name, model_version=version, reason=reason)
    return values
