"""Runs the demo as a Prefect flow: the flights of 2013, from their files to scored nights."""

import os
import sys
from pathlib import Path
from typing import Any

# Prefect reads these when it is imported.
os.environ.setdefault("DO_NOT_TRACK", "1")
os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
os.environ.setdefault("PREFECT_LOGGING_LEVEL", "WARNING")
# Its first start makes a database, for which the default of 20 seconds is short on a busy machine.
os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "180")

from prefect import flow, task
from prefect.runtime import flow_run

from lasso_jobs import escape
from lasso_jobs.demo import jobs as d
from lasso_jobs.errors import JobError, OutputError
from lasso_jobs.flows import run_page
from lasso_jobs.flows.monitor import measure
from lasso_jobs.flows.nightly import nightly_flow
from lasso_jobs.flows.stages import IN_MEMORY
from lasso_jobs.flows.train import train_flow
from lasso_jobs.jobs.monitor import MonitorJob

prepare = task(name="data", task_run_name="write the flights", **IN_MEMORY)(d.prepare)


def _run_name() -> str:
    return run_page.name("demo in", flow_run.parameters["folder"])


@flow(name="demo", flow_run_name=_run_name)
def demo_flow(
    folder: str = "lasso-jobs-demo",
    cluster: str | None = None,
    workers: int | None = None,
    quiet: bool = False,
) -> dict[str, Any]:
    """Train on January to September, score the first seven days of October night by night.

    Parameters
    ----------
    folder : str
        Where everything is written.
    cluster, workers
        As in `lasso_jobs.engine.cluster.connect`.
    quiet : bool
        Say nothing meanwhile.

    Returns
    -------
    dict
        ``train``, ``nights`` and ``outcomes``.
    """
    say = _silent if quiet else _say
    say("Writing the flights of 2013 as Parquet, a folder for each day ...")
    ready = prepare(folder)
    say(f"  {ready.flights.rows:,} flights in {ready.flights.files} files")
    say(f"Training on the flights before {d.FIRST_NIGHT} ...")
    trained = train_flow(ready.train, d.FIRST_NIGHT, cluster=cluster, workers=workers)
    say(f"  {trained['model_version']}, {trained['seconds']['total']:.1f} s")
    train_job, score_job = d.jobs(ready, trained["model_version"])
    nights = {}
    for night in d.NIGHTS:
        say(f"Scoring {night} ...")
        done = nightly_flow(score_job, train_job, night, cluster=cluster, workers=workers)
        say(f"  {done['score']['rows_scored']:,} flights, drift: {done['score']['verdict']}")
        if done["train"] is not None:
            say(f"  retrained: {done['retrain']}")
        nights[night.isoformat()] = done
    first, last = (night.isoformat() for night in (d.NIGHTS[0], d.NIGHTS[-1]))
    monitor_job = MonitorJob.from_yaml(ready.monitor)
    measured = measure(monitor_job, first, last, cluster=cluster, workers=workers)
    return {"train": trained, "nights": nights, "outcomes": d.outcomes(measured)}


def run(folder: str, cluster: str | None, workers: int | None, quiet: bool) -> dict[str, Any]:
    """Run the flow, by a temporary server of Prefect's own if there is no other.

    Raises
    ------
    LassoJobsError
        Also if the temporary server does not start.
    """
    if Path(folder).exists() and not Path(folder).is_dir():
        raise OutputError(folder, "is a file", "a folder, or a new name", "Name one with --dir")
    try:
        return demo_flow(folder, cluster, workers, quiet)
    except RuntimeError as error:
        if "ephemeral" not in str(error):
            raise
        found = "its temporary server has not started in time"
        remedy = "Run this again, or run 'prefect server start' and set PREFECT_API_URL"
        raise JobError("Prefect", found, "a server", remedy, transient=True) from error


def _say(text: str) -> None:
    escape.write(sys.stderr, f"{text}\n")


def _silent(text: str) -> None:
    """Say nothing."""
