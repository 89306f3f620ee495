"""Train a model: plan, one read of the data, selection, evaluation, registration."""

from typing import Any

from prefect import flow, task
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.runtime import flow_run

from flows import events
from flows.common import IN_MEMORY, RETRIED, artifact_key, load, table, who
from flows.observe import cluster_of_run, progress, rename
from flows.parameters import ClusterName, Day, Training, Workers
from flows.schedule import scheduled_day
from lasso_jobs.jobs import alpha_search, summary, train, train_plan
from lasso_jobs.jobs import gather as gathering
from lasso_jobs.jobs.clock import Clock
from lasso_jobs.jobs.report import place_of_report, stored_card
from lasso_jobs.jobs.train_job import TrainJob

plan = task(name="plan", task_run_name="plan {job.name}", **RETRIED)(train_plan.plan)


@task(name="moments", task_run_name="read {planned.job.name} once", **RETRIED)
def gather(client: Any, planned: train_plan.TrainPlan) -> gathering.Gathered:
    """Read the data."""
    return gathering.gather(client, planned, progress())


select = task(name="select", task_run_name="choose alpha", **IN_MEMORY)(alpha_search.select)


evaluate = task(name="evaluate", task_run_name="measure on the hold-out", **IN_MEMORY)(
    train.evaluate
)
register = task(name="register", task_run_name="register {planned.job.name}", **RETRIED)(
    train.finish
)


def _run_name() -> str:
    parameters = flow_run.parameters
    job, day = parameters["job"], parameters.get("day")
    name = job if isinstance(job, str) else getattr(job, "name", None) or job["name"]
    return f"train {name}" + (f" as of {day}" if day else "")


@flow(name="train", flow_run_name=_run_name)
def train_flow(
    job: Training,
    day: Day = None,
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
    clock = Clock()
    planned = plan(load(TrainJob, job, day or scheduled_day()))
    if isinstance(job, str):
        rename(f"train {planned.job.name}" + (f" as of {day}" if day else ""))
    clock.lap("plan")
    with cluster_of_run(cluster, workers) as client:
        clock.lap("cluster")
        gathered = gather(client, planned)
        clock.lap("moments")
    selected = select(planned, gathered)
    clock.lap("select")
    evaluation = evaluate(planned, gathered, selected)
    clock.lap("evaluate")
    result = register(planned, gathered, selected, evaluation, clock, who())
    name, reference = planned.job.name, result.registered.reference
    registry = planned.job.registry
    create_markdown_artifact(
        f"{result.promotion.reason}\n\nReport: `{place_of_report(registry, reference)}`\n\n"
        + stored_card(registry, reference).decode(),
        key=artifact_key("train", name),
        description=f"{reference}: its card",
    )
    create_table_artifact(
        table(summary.coefficients(result.model)),
        key=artifact_key("coefficients", name),
        description=f"{reference}: coefficients that are not zero, the strongest first",
    )
    values = summary.of_training(result)
    if result.promotion.promoted:
        version, reason = values["model_version"], result.promotion.reason
        events.emit(events.MODEL_PROMOTED, name, model_version=version, reason=reason)
    return values
