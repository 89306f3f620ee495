"""Trains a challenger on a drift alarm, unless the last training is too fresh.

Serve it with ``python flows/retrain.py``.
"""

from prefect.client.schemas.objects import ConcurrencyLimitStrategy
from prefect.events import DeploymentEventTrigger

from lasso_jobs.flows.events import DRIFT_ALARM
from lasso_jobs.flows.retrain import retrain_flow
from lasso_jobs.flows.serve import serve

if __name__ == "__main__":
    serve(
        retrain_flow,
        "retrain-on-drift",
        parameters={"job": "train.yaml"},
        triggers=[
            DeploymentEventTrigger(
                name="lasso-jobs drift alarm retrains",
                expect={DRIFT_ALARM},
                match={"prefect.resource.id": "lasso-jobs.model.*"},
                parameters={"day": "{{ event.payload.day }}"},
            )
        ],
        if_running=ConcurrencyLimitStrategy.CANCEL_NEW,
    )
