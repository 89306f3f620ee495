"""Scores each night, and what the week before lacks, and measures drift.

Serve it with ``python flows/nightly.py``.
"""

from prefect.schedules import Cron

from lasso_jobs.flows.nightly import nightly_flow
from lasso_jobs.flows.serve import serve

if __name__ == "__main__":
    serve(
        nightly_flow,
        "nightly-score",
        # A drift alarm is answered by retrain.py. To answer it in the same run, leave out "retrain"
        # and name a "train_job".
        parameters={"score_job": "score.yaml", "look_back": 7, "retrain": False},
        schedule=Cron("0 4 * * *", timezone="America/New_York"),
    )
