"""Declares the parameters of flows, with their descriptions in forms, and loads jobs from them."""

import os
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, TypeVar

from prefect.blocks.system import Secret
from prefect.variables import Variable
from pydantic import Field, GetJsonSchemaHandler, PositiveInt
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from lasso_jobs.errors import JobError
from lasso_jobs.jobs.monitor import MonitorJob
from lasso_jobs.jobs.score import ScoreJob
from lasso_jobs.jobs.train import TrainJob


@dataclass(frozen=True)
class Described:
    """A parameter's description, in a way that reaches the form in the UI.

    Prefect takes descriptions from docstrings in Google's style only, and with its own puts a
    `pydantic.Field`'s aside.
    """

    text: str

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {**handler(schema), "description": self.text}


_JOB = "A job file as the worker sees it, variable:NAME for a Prefect variable, or the job itself"
Scoring = Annotated[ScoreJob | str, Described(f"What to score. {_JOB}.")]
Monitoring = Annotated[MonitorJob | str, Described(f"What to compare. {_JOB}.")]
Training = Annotated[TrainJob | str, Described(f"What to train. {_JOB}.")]
Retraining = Annotated[
    TrainJob | str | None, Described(f"What an alarm trains; nothing if empty. {_JOB}.")
]
Day = Annotated[
    date | None, Described("YYYY-MM-DD; by default the day for which the run was scheduled")
]
ClusterName = Annotated[
    str | None,
    Described(
        "local, local-processes, tcp://HOST:PORT, tls://HOST:PORT, or the path of a cluster file; "
        "by default what the worker's LASSO_JOBS_CLUSTER says, or local"
    ),
]
Workers = Annotated[PositiveInt | None, Described("Of a new cluster; by default one for each core")]
LookBack = Annotated[
    int,
    Field(ge=0, le=366),
    Described("Of so many days before, score those missing or changed, too"),
]
CoolDown = Annotated[
    int,
    Field(ge=0),
    Described("No retraining before so many days after the model's last training; 0 is at once"),
]
LateOutcomes = Annotated[
    int, Field(ge=0, le=366), Described("Measure so many days before, too, as outcomes arrive late")
]
RetrainHere = Annotated[
    bool, Described("Answer an alarm in this run; no, where an automation of its event does it")
]

VARIABLE = "variable:"
CONNECTION_SECRET = "lasso-jobs-postgresql-uri"
CONNECTION_VARIABLE = "LASSO_JOBS_POSTGRESQL_URI"
Job = TypeVar("Job", TrainJob, ScoreJob, MonitorJob)


def load(model: type[Job], job: Job | str, day: date | None) -> Job:
    """Load the job that a parameter names: a file's or a Prefect variable's; as of a day."""
    loaded = _named(model, job) if isinstance(job, str) else job
    if isinstance(loaded, ScoreJob) and loaded.output.format == "postgresql":
        _resolve_connection()
    return loaded if day is None else loaded.on(day.isoformat())


def _named(model: type[Job], text: str) -> Job:
    name = text.removeprefix(VARIABLE)
    if name == text:
        return model.from_yaml(text)
    value: Any = Variable.get(name)
    if not isinstance(value, dict):
        found = "does not exist" if value is None else "is not a mapping"
        remedy = f"{'Create' if value is None else 'Correct'} it in the UI, as JSON"
        raise JobError(f"Prefect variable {name!r}", found, "a job, as its file has it", remedy)
    return model.from_values(value, f"Prefect variable {name!r}")


def _resolve_connection() -> None:
    """Give the sink the database's URI that a Prefect secret holds, unless the environment does.

    Workers on other machines need the variable themselves.
    """
    if CONNECTION_VARIABLE in os.environ:
        return
    try:
        secret: Any = Secret.load(CONNECTION_SECRET)
    except ValueError:  # there is no such block; the sink says what it lacks
        return
    os.environ[CONNECTION_VARIABLE] = secret.get()


def name_in_run(job: Any, key: str) -> str:
    """A job's name as a run's name has it: its file, or the value of a key."""
    if isinstance(job, str):
        return job
    return str(job[key] if isinstance(job, dict) else getattr(job, key))
