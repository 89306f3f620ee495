"""The demo: the flights of 2013 from New York City, from their files to scored nights."""

import json
import os
import sys
from typing import Any

# Prefect reads these when it is imported.
os.environ.setdefault("DO_NOT_TRACK", "1")
os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
os.environ.setdefault("PREFECT_LOGGING_LEVEL", "WARNING")
# Its first start makes a database, for which the default of 20 seconds is short on a busy machine.
os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "180")

from prefect import flow, task

from flows.common import IN_MEMORY
from flows.monitor import measure
from flows.nightly import nightly_flow
from flows.train import train_flow
from lasso_jobs import terminal
from lasso_jobs.jobs import demo as d
from lasso_jobs.jobs.monitor_job import MonitorJob

prepare = task(name="data", task_run_name="write the flights", **IN_MEMORY)(d.prepare)


@flow(name="demo", flow_run_name="demo in {folder}")
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
    trained = train_flow(ready.train, d.FIRST_NIGHT, cluster, workers)
    say(f"  {trained['model_version']}, {trained['seconds']['total']:.1f} s")
    train_job, score_job = d.jobs(ready, trained["model_version"])
    nights = {}
    for night in d.NIGHTS:
        say(f"Scoring {night} ...")
        done = nightly_flow(score_job, train_job, night, cluster, workers)
        say(f"  {done['score']['rows_scored']:,} flights, drift: {done['score']['verdict']}")
        if done["train"] is not None:
            say(f"  retrained: {done['retrain']}")
        nights[night.isoformat()] = done
    first, last = (night.isoformat() for night in (d.NIGHTS[0], d.NIGHTS[-1]))
    found = measure(MonitorJob.from_yaml(ready.monitor), first, last, cluster, workers)
    return {"train": trained, "nights": nights, "outcomes": d.outcomes(found)}


def run(folder: str, cluster: str | None, workers: int | None, as_json: bool, quiet: bool) -> int:
    """Run the demo flow and print its summary; return an exit status."""
    quiet = quiet or as_json
    if not quiet and not os.environ.get("PREFECT_API_URL"):
        _say("Starting a temporary Prefect server (about 10 seconds) ...")
    result = demo_flow(folder, cluster, workers, quiet)
    if as_json:
        sys.stdout.write(json.dumps(result, indent=2, allow_nan=False) + "\n")
    elif not quiet:
        _summary(folder, result)
    return 0


def _summary(folder: str, result: dict[str, Any]) -> None:
    trained, held = result["train"], result["train"]["holdout"]
    terminal.heading("The model")
    terminal.show(
        {
            "version": f"{trained['name']}@{trained['model_version']}",
            "rows": f"{trained['n_rows']:,}; {trained['rows_without_target']:,} have no outcome",
            "alpha": f"{trained['alpha']:.4g}, of {len(trained['cv']['alphas'])} tried",
            "hold-out": f"R2 {held['r2']:.3f}, RMSE {held['rmse']:.2f} min, "
            f"MAE {held['mae']:.2f} min on {held['n_rows']:,} flights of other days",
            "read": f"{trained['bytes_read']:,} bytes",
            "seconds": ", ".join(f"{k} {v:.2f}" for k, v in trained["seconds"].items()),
        }
    )
    terminal.heading(f"Kept: {trained['n_nonzero']} of {len(trained['coef'])} coefficients")
    kept = sorted(
        ((name, value) for name, value in trained["coef"].items() if value),
        key=lambda item: -abs(trained["per_sd"][item[0]]),
    )
    terminal.table(
        [
            {
                "feature": name,
                "minutes per unit": value,
                "per sd": trained["per_sd"][name],
                "direction": "later" if value > 0 else "earlier",
            }
            for name, value in kept
        ]
    )
    terminal.heading("The nights")
    terminal.table([_night(name, night["score"]) for name, night in result["nights"].items()])
    terminal.heading("What happened (minutes)")
    terminal.table(result["outcomes"])
    terminal.heading("Where it is")
    terminal.show(
        {
            "models": f"{folder}/models",
            "scores": f"{folder}/scores/flights (Delta table)",
            "drift": f"{folder}/drift/flights (Delta table)",
            "errors": f"{folder}/errors/flights (Delta table)",
            "jobs": f"{folder}/train.yaml, score.yaml, monitor.yaml",
            "Prefect": "run 'prefect server start' to see the runs and their artifacts",
        }
    )


def _night(name: str, scored: dict[str, Any]) -> dict[str, Any]:
    features = [row for row in scored["drift"] if row["feature"] != "prediction"]
    most = max(features, key=lambda row: abs(row["score_shift"]))
    return {
        "night": name,
        "flights": scored["rows_scored"],
        "drift": scored["verdict"],
        "most moved by": most["feature"],
        "minutes": most["score_shift"],
        "PSI": most["psi"],
        "seconds": scored["seconds"]["total"],
    }


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def _silent(text: str) -> None:
    """Say nothing."""
