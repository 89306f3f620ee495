"""Writes the demo's data and job files: how late a flight will arrive, as seen when it departs."""

from dataclasses import dataclass
from datetime import date, timedelta
from functools import reduce
from pathlib import Path
from typing import Any

import yaml

from lasso_jobs.core.drift.outcomes import Tally, merge
from lasso_jobs.demo.flights import FlightsSummary, write_flights
from lasso_jobs.jobs.score import ScoreJob
from lasso_jobs.jobs.train import TrainJob
from lasso_jobs.monitoring.history import MonitorResult

FIRST_NIGHT = date(2013, 10, 1)
NIGHTS = tuple(FIRST_NIGHT + timedelta(days=i) for i in range(7))
MODEL, TARGET, KEY = "flights-arrival-delay", "arr_delay", "flight_id"

# What is known when a flight leaves. The month and the weather's seasons would only tell the
# model which part of the year it was trained on.
FEATURES = (
    "dep_delay",
    "distance",
    "sched_block_minutes",
    "sched_dep_minute",
    "origin_departures",
    "precip",
    "visib",
    "wind_speed",
    "carrier",
    "origin",
    "dest",
)


@dataclass(frozen=True, slots=True)
class Demo:
    """The demo, ready to run.

    Parameters
    ----------
    flights : FlightsSummary
    train, score, monitor : str
        Paths of the job files.
    """

    flights: FlightsSummary
    train: str
    score: str
    monitor: str


def prepare(folder: str) -> Demo:
    """Write the flights and the job files; what is there already stays."""
    root = Path(folder)
    flights = write_flights(root / "data" / "flights")
    return Demo(
        flights=flights,
        train=_written(root / "train.yaml", _train_job(root)),
        score=_written(root / "score.yaml", _score_job(root)),
        monitor=_written(root / "monitor.yaml", _monitor_job(root)),
    )


def _train_job(root: Path) -> dict[str, Any]:
    return {
        "name": MODEL,
        "data": {"path": str(root / "data" / "flights"), "where": "date < '{date}'"},
        "target": TARGET,
        "features": {"include": list(FEATURES)},
        # Flights of one day share its weather and its jams: whole days are folds' and hold-out's.
        "search": {"folds": 5, "split": {"group": "date"}, "rule": "1se"},
        "holdout": 0.2,
        "registry": str(root / "models"),
        "promote": "if_better",
    }


def _score_job(root: Path) -> dict[str, Any]:
    return {
        "model": f"{MODEL}@champion",
        "data": {"path": str(root / "data" / "flights"), "where": "date == '{date}'"},
        "keys": [KEY],
        "output": {"path": str(root / "scores" / "flights"), "partition_by": "date"},
        "drift": {"features": "selected", "path": str(root / "drift" / "flights")},
        "registry": str(root / "models"),
    }


def _monitor_job(root: Path) -> dict[str, Any]:
    return {
        "model": MODEL,
        "scores": {"path": str(root / "scores" / "flights")},
        "actuals": {"path": str(root / "data" / "flights")},
        "keys": ["date", KEY],
        "target": TARGET,
        "period": "date",
        "history": {"path": str(root / "errors" / "flights")},
        "registry": str(root / "models"),
    }


def _written(path: Path, job: dict[str, Any]) -> str:
    path.write_text(yaml.safe_dump(job, sort_keys=False), encoding="utf-8")
    return str(path)


def jobs(demo: Demo, version: str) -> tuple[TrainJob, ScoreJob]:
    """The jobs; scoring is with the version that this run of the demo trained."""
    train, score = TrainJob.from_yaml(demo.train), ScoreJob.from_yaml(demo.score)
    return train, score.model_copy(update={"model": f"{train.name}@{version}"})


def outcomes(result: MonitorResult) -> list[dict[str, Any]]:
    """Each night's predictions, and all of them together, against what happened."""
    total = reduce(merge, (row.tally for row in result.rows))
    rows = [{"night": row.period, **_errors(row.tally)} for row in result.rows]
    verdicts = [row.verdict for row in result.rows]
    rows.append({"night": "all nights", **_errors(total)})
    return [
        {**row, "verdict": verdict}
        for row, verdict in zip(rows, [*verdicts, result.verdict], strict=True)
    ]


def _errors(tally: Tally) -> dict[str, Any]:
    names = ("n_scored", "n_known", "rmse", "mae", "r2", "bias", "coverage")
    return {name: getattr(tally, name) for name in names}
