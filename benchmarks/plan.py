"""Plans of many columns: the CPU seconds must grow as the columns do, not as their square."""

import argparse
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lasso_jobs import MonitorJob, ScoreJob, TrainJob, train
from lasso_jobs.monitoring import plan as monitor_plan
from lasso_jobs.monitoring.known_outcomes import PREDICTED
from lasso_jobs.scoring import plan as score_plan
from lasso_jobs.training import plan as train_plan


def plan(options: argparse.Namespace) -> None:
    """Plan trainings, scorings and monitorings of more and more columns."""
    widths = [options.columns // 4, options.columns // 2, options.columns]
    sys.stdout.write(f"{options.files} files; CPU seconds, the least of {options.repeat}\n")
    sys.stdout.write("| columns | train | score | monitor |\n")
    sys.stdout.write("| --- | ---: | ---: | ---: |\n")
    for width in widths:
        folder = _files(Path(options.dir) / f"plan-{width}-{options.files}", width, options.files)
        plans = (
            partial(train_plan.plan, _train_job(folder)),
            partial(score_plan.plan, _score_job(folder)),
            partial(monitor_plan.plan, _monitor_job(folder, options.files)),
        )
        seconds = [min(_timed(each) for _ in range(options.repeat)) for each in plans]
        sys.stdout.write(f"| {width:,} | {' | '.join(f'{s:.2f}' for s in seconds)} |\n")


def _timed(work: Callable[[], object]) -> float:
    # Of all threads: other work on the machine counts little.
    start = time.process_time()
    work()
    return time.process_time() - start


def _files(folder: Path, width: int, n_files: int) -> Path:
    """Files of a few rows, whose footers are as long as those of many rows."""
    (folder / "data").mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(0).normal(size=20)
    columns = {f"x{j}": values for j in range(width - 1)}
    table = pa.table({**columns, "y": values + np.arange(20)})
    for i in range(n_files):
        path = folder / "data" / f"{i}.parquet"
        if not path.exists():
            pq.write_table(table, path)
    return folder


def _train_job(folder: Path) -> TrainJob:
    data = {"path": str(folder / "data")}
    return TrainJob.from_values({"name": "wide", "data": data, "target": "y"})


def _score_job(folder: Path) -> ScoreJob:
    """Of a model of a few of the columns, which is trained once."""
    registry = str(folder / "models")
    if not Path(registry).exists():
        few = {"features": {"include": ["x0", "x1"]}, "holdout": None, "registry": registry}
        train(TrainJob.from_values({**_train_job(folder).model_dump(), **few}), workers=1)
    return ScoreJob.from_values(
        {
            "model": "wide@v1",
            "data": {"path": str(folder / "data")},
            "keys": ["x1"],
            "output": {"path": str(folder / "scores"), "format": "parquet", "partition_by": []},
            "registry": registry,
        }
    )


def _monitor_job(folder: Path, n_files: int) -> MonitorJob:
    """Of scored rows that carry all columns, and outcomes beside as many."""
    (folder / "scored").mkdir(exist_ok=True)
    for i in range(n_files):
        path = folder / "scored" / f"{i}.parquet"
        if not path.exists():
            table = pq.read_table(folder / "data" / f"{i}.parquet")
            texts = pa.array(["2024-01-01"] * table.num_rows)
            for name in PREDICTED:
                table = table.append_column(name, texts if name == "model_version" else table["y"])
            pq.write_table(table.append_column("day", texts), path)
    return MonitorJob.from_values(
        {
            "model": "wide",
            "scores": {"path": str(folder / "scored")},
            "actuals": {"path": str(folder / "data")},
            "keys": ["x1"],
            "target": "y",
            "period": "day",
            "registry": str(folder / "models"),
        }
    )
