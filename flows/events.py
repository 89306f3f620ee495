"""What the flows tell Prefect of a model, for automations to act on.

The resource of each event is the model, ``lasso-jobs.model.NAME``. Prefect adds the flow run.
"""

from typing import Any

from prefect import Flow, State
from prefect.client.schemas import FlowRun
from prefect.events import emit_event

from lasso_jobs.errors import LassoJobsError
from lasso_jobs.jobs.job_file import load_yaml

DRIFT_ALARM = "lasso-jobs.drift.alarm"
MODEL_PROMOTED = "lasso-jobs.model.promoted"
SCORE_COMMITTED = "lasso-jobs.score.committed"
SCORE_FAILED = "lasso-jobs.score.failed"
UNKNOWN = "unknown"


def emit(event: str, model: str, **payload: Any) -> None:
    """Tell Prefect that something became of a model.

    Parameters
    ----------
    event : str
        One of the names of this module.
    model : str
        Its name, or a reference to it.
    **payload
        Plain values, which an automation can pass on: ``{{ event.payload.day }}``.
    """
    name = model.partition("@")[0]
    resource = {
        "prefect.resource.id": f"lasso-jobs.model.{name}",
        "prefect.resource.name": name,
    }
    emit_event(event, resource, payload={"model": name, **payload})


def score_failed(flow: "Flow[..., Any]", flow_run: FlowRun, state: "State[Any]") -> None:
    """Tell of a scoring run that failed; a hook of the flow, whatever it was that went wrong."""
    job, day = flow_run.parameters["job"], flow_run.parameters.get("day")
    if isinstance(job, str):
        try:
            job = load_yaml(job)
        except LassoJobsError:  # which is why it failed
            job = {}
    model = job.get("model", UNKNOWN) if isinstance(job, dict) else job.model
    emit(SCORE_FAILED, model, day=day and str(day), message=state.message)
