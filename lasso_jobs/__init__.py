"""LASSO regression on data larger than memory, as jobs: train, score, watch.

The names below are what users import; all else may change from one version to the next. They are
imported when they are first used, so that ``import lasso_jobs`` is light.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lasso_jobs.drift.acknowledge import acknowledge_drift
    from lasso_jobs.errors import LassoJobsError
    from lasso_jobs.estimator.lasso_cv import LassoCV
    from lasso_jobs.exports.export import export_model
    from lasso_jobs.jobs.monitor import MonitorJob
    from lasso_jobs.jobs.score import ScoreJob
    from lasso_jobs.jobs.train import TrainJob
    from lasso_jobs.models.model import Model
    from lasso_jobs.models.registry import load_model
    from lasso_jobs.monitoring.run import monitor
    from lasso_jobs.scoring.run import score
    from lasso_jobs.training.run import train

    __version__: str

__all__ = [
    "LassoCV",
    "LassoJobsError",
    "Model",
    "MonitorJob",
    "ScoreJob",
    "TrainJob",
    "__version__",
    "acknowledge_drift",
    "export_model",
    "load_model",
    "monitor",
    "score",
    "train",
]

_HOMES = {
    "LassoCV": "lasso_jobs.estimator.lasso_cv",
    "LassoJobsError": "lasso_jobs.errors",
    "Model": "lasso_jobs.models.model",
    "MonitorJob": "lasso_jobs.jobs.monitor",
    "ScoreJob": "lasso_jobs.jobs.score",
    "TrainJob": "lasso_jobs.jobs.train",
    "acknowledge_drift": "lasso_jobs.drift.acknowledge",
    "export_model": "lasso_jobs.exports.export",
    "load_model": "lasso_jobs.models.registry",
    "monitor": "lasso_jobs.monitoring.run",
    "score": "lasso_jobs.scoring.run",
    "train": "lasso_jobs.training.run",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return import_module("importlib.metadata").version("lasso_jobs")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
