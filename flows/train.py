"""Trains each week, on the data up to the scheduled day.

Serve it with ``python flows/train.py``.
"""

from prefect.schedules import Cron

from lasso_jobs.flows.serve import serve
from lasso_jobs.flows.train import train_flow

if __name__ == "__main__":
    serve(
        train_flow,
        "train",
        parameters={"job": "train.yaml"},
        schedule=Cron("0 6 * * 0", timezone="America/New_York"),
    )
