"""Finds the day that a run is for, in the time zone of its schedule."""

from datetime import UTC, date, datetime, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from prefect.client.orchestration import get_client
from prefect.context import FlowRunContext
from prefect.runtime import flow_run


def scheduled_day() -> date:
    """The day for which the run was scheduled, so that a late run is still that night's.

    It is the day in the time zone of the schedule that made the run; else, as for a run that a
    person starts, of the first of the deployment's active schedules; else in UTC.
    """
    scheduled: datetime = flow_run.scheduled_start_time
    return scheduled.astimezone(_time_zone()).date()


def _time_zone() -> tzinfo:
    context = FlowRunContext.get()
    run: Any = context.flow_run if context is not None else None
    if run is None or run.deployment_id is None:
        return UTC
    with get_client(sync_client=True) as client:
        schedules = client.read_deployment(run.deployment_id).schedules
    # Prefect keeps no other trace of the schedule: "scheduled DEPLOYMENT SCHEDULE TIME".
    key = run.idempotency_key or ""
    own = [s for s in schedules if str(s.id) in key] or [s for s in schedules if s.active]
    zone = getattr(own[0].schedule, "timezone", None) if own else None
    return ZoneInfo(zone) if zone else UTC
