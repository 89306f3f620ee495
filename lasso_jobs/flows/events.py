"""Emits the events of a model, for automations to act on.

The resource of each event is the model, ``lasso-jobs.model.NAME``. Prefect adds the flow run.
"""

from typing import Any

from prefect import Flow, State
from prefect.client.schemas import FlowRun
from prefect.events import emit_event

from lasso_jobs import escape
from lasso_jobs.errors import LassoJobsError, NoDataError
from lasso_jobs.jobs.base import load_yaml

DRIFT_ALARM = "lasso-jobs.drift.alarm"
MODEL_PROMOTED = "lasso-jobs.model.promoted"
SCORE_COMMITTED = "lasso-jobs.score.committed"
SCORE_FAILED = "lasso-jobs.score.failed"
SCORE_WAITING = "lasso-jobs.score.waiting"
UNKNOWN = "unknown"


def emit(event: str, model: str, **payload: Any) -> None:
    """Emit an event of a model.

    Parameters
    ----------
    event : str
        One of the names of this module.
    model : str
        Its name, or a reference to it.
    **payload
        Plain values, which an automation can pass on: ``{{ event.payload.day }}``. Characters of
        texts that do not show are written as their escapes.
    """
    name = escape.line(model.partition("@")[0])
    resource = {
        "prefect.resource.id": f"lasso-jobs.model.{name}",
        "prefect.resource.name": name,
    }
    shown = {k: escape.shown(v) if isinstance(v, str) else v for k, v in payload.items()}
    emit_event(event, resource, payload={"model": name, **shown})


def score_failed(flow: "Flow[..., Any]", flow_run: FlowRun, state: "State[Any]") -> None:
    """Emit the event of a scoring run that failed, or has no data yet: a hook of the flow."""
    job, day = flow_run.parameters["job"], flow_run.parameters.get("day")
    if isinstance(job, str):
        try:
            job = load_yaml(job)
        except LassoJobsError:  # which is why it failed
            job = {}
    model = job.get("model", UNKNOWN) if isinstance(job, dict) else job.model
    waits = isinstance(state.result(raise_on_failure=False), NoDataError)
    event = SCORE_WAITING if waits else SCORE_FAILED
    emit(event, model, day=day and str(day), message=state.message)
