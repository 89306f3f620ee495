"""The parameters of flows, with what a form in the UI says of each."""

from dataclasses import dataclass
from datetime import date
from typing import Annotated

from pydantic import Field, GetJsonSchemaHandler, PositiveInt
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from lasso_jobs.jobs.monitor_job import MonitorJob
from lasso_jobs.jobs.score_job import ScoreJob
from lasso_jobs.jobs.train_job import TrainJob


@dataclass(frozen=True)
class Told:
    """A description that reaches the form.

    Prefect takes descriptions from docstrings in Google's style only, and with its own puts a
    `pydantic.Field`'s aside.
    """

    text: str

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {**handler(schema), "description": self.text}


_JOB = "A job file as the worker sees it, variable:NAME for a Prefect variable, or the job itself"
Scoring = Annotated[ScoreJob | str, Told(f"What to score. {_JOB}.")]
Monitoring = Annotated[MonitorJob | str, Told(f"What to compare. {_JOB}.")]
Training = Annotated[TrainJob | str, Told(f"What to train. {_JOB}.")]
Retraining = Annotated[
    TrainJob | str | None, Told(f"What an alarm trains; nothing if empty. {_JOB}.")
]
Day = Annotated[date | None, Told("YYYY-MM-DD; by default the day for which the run was scheduled")]
ClusterName = Annotated[
    str | None,
    Told(
        "local, local-processes, tcp://HOST:PORT, tls://HOST:PORT, or the path of a cluster file; "
        "by default what the worker's LASSO_JOBS_CLUSTER says, or local"
    ),
]
Workers = Annotated[PositiveInt | None, Told("Of a new cluster; by default one for each core")]
LookBack = Annotated[
    int, Field(ge=0, le=366), Told("Of so many days before, score those missing or changed, too")
]
CoolDown = Annotated[
    int,
    Field(ge=0),
    Told("No retraining before so many days after the model's last training; 0 is at once"),
]
LateOutcomes = Annotated[
    int, Field(ge=0, le=366), Told("Measure so many days before, too, as outcomes arrive late")
]
RetrainHere = Annotated[
    bool, Told("Answer an alarm in this run; no, where an automation of its event does it")
]
