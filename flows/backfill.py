"""Scores the days of a range; a person starts it in the UI.

Serve it with ``python flows/backfill.py``.
"""

from lasso_jobs.flows.backfill import backfill_flow
from lasso_jobs.flows.serve import serve

if __name__ == "__main__":
    serve(backfill_flow, "backfill", parameters={"score_job": "score.yaml"})
