"""Compares predictions with what has happened since, each noon.

Serve it with ``python flows/monitor.py``.
"""

from prefect.schedules import Cron

from lasso_jobs.flows.monitor import monitor_flow
from lasso_jobs.flows.serve import serve

if __name__ == "__main__":
    serve(
        monitor_flow,
        "monitor-outcomes",
        # An alarm is answered by retrain.py.
        parameters={"job": "monitor.yaml", "retrain": False},
        schedule=Cron("0 12 * * *", timezone="America/New_York"),
    )
