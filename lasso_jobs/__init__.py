"""LASSO regression on data larger than memory, as jobs: train, score, watch.

The names below are imported when they are first used, so that ``import lasso_jobs`` is light.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lasso_jobs.artifacts.model import Model
    from lasso_jobs.artifacts.registry import load_model
    from lasso_jobs.errors import LassoJobsError
    from lasso_jobs.jobs.monitor import monitor
    from lasso_jobs.jobs.monitor_job import MonitorJob
    from lasso_jobs.jobs.score import score
    from lasso_jobs.jobs.score_job import ScoreJob
    from lasso_jobs.jobs.train import train
    from lasso_jobs.jobs.train_job import TrainJob

__all__ = [
    "LassoJobsError",
    "Model",
    "MonitorJob",
    "ScoreJob",
    "TrainJob",
    "load_model",
    "monitor",
    "score",
    "train",
]

_HOMES = {
    "LassoJobsError": "lasso_jobs.errors",
    "Model": "lasso_jobs.artifacts.model",
    "MonitorJob": "lasso_jobs.jobs.monitor_job",
    "ScoreJob": "lasso_jobs.jobs.score_job",
    "TrainJob": "lasso_jobs.jobs.train_job",
    "load_model": "lasso_jobs.artifacts.registry",
    "monitor": "lasso_jobs.jobs.monitor",
    "score": "lasso_jobs.jobs.score",
    "train": "lasso_jobs.jobs.train",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
