"""Many nights: a backfill of a range of dates, each with its own commit and its drift judged."""

import argparse
import json
import shutil
import statistics
import sys
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import yaml

from benchmarks import data
from benchmarks.processes import Run, run, table
from benchmarks.train import write_job

FIRST, TRAINING_DAYS = date(2024, 1, 29), 28
"""Of the nights, and how many days before them the model is trained on."""
FORMATS = ("delta", "parquet")
PARTS = ("plan", "score", "drift", "commit", "page")


def nights(options: argparse.Namespace) -> None:
    """Seconds a night of a range of dates, by part, and of its first and its last nights."""
    folder = Path(options.dir) / f"nights-{options.days}x{options.rows}x{options.features}"
    source = _days(folder, options)
    before = {"path": str(source), "where": f"date < '{FIRST}'"}
    features = {"exclude": ["row_id", "date"]}
    job = write_job(folder, source, "trained", data=before, features=features)
    if not (folder / "models-trained").exists():
        run(["-m", "lasso_jobs", "train", str(job), "--json"])
    last = FIRST + timedelta(days=options.days - 1)
    runs: dict[str, Run] = {}
    for format_ in options.formats:
        score = str(_score_job(folder, source, format_))
        dates = ["--from", str(FIRST), "--to", str(last)]
        cluster = ["--cluster", options.cluster] if options.cluster else []
        runs[format_] = run(["-m", "lasso_jobs", "score", score, *dates, "--json", *cluster])
    head = ("seconds a night", "whole", "CPU", *PARTS, "first tenth", "last tenth", "peak MiB")
    sys.stdout.write(f"{options.days} nights of {options.rows:,} rows x {options.features}\n\n")
    rows = [_row(name, finished, options.days) for name, finished in runs.items()]
    sys.stdout.write(table(head, *rows) + "\n")


def _days(folder: Path, options: argparse.Namespace) -> Path:
    """The files of all dates, each in a folder of its date."""
    n_days = TRAINING_DAYS + options.days
    files = data.write(folder / "all", options.rows * n_days, options.features, n_days)
    for number in range(n_days):
        day = FIRST + timedelta(days=number - TRAINING_DAYS)
        link = folder / "data" / f"date={day}" / "rows.parquet"
        if not link.exists():
            link.parent.mkdir(parents=True)
            link.hardlink_to(files / f"part-{number:03}.parquet")
    return folder / "data"


def _score_job(folder: Path, source: Path, format_: str) -> Path:
    out = folder / f"scores-{format_}"
    for name in (out, folder / f"{out.name}-quarantine", folder / f"{out.name}-drift"):
        shutil.rmtree(name, ignore_errors=True)
    values = {
        "model": "trained@v1",
        "data": {"path": str(source)},
        "keys": ["row_id"],
        "output": {"path": str(out), "format": format_, "partition_by": "date"},
        "drift": {"features": "all", "path": f"{out}-drift"},
        "registry": str(folder / "models-trained"),
    }
    path = folder / f"{out.name}.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


def _row(name: str, finished: Run, n_days: int) -> tuple[Any, ...]:
    of_days = [night["seconds"] for night in json.loads(finished.output)["dates"]]
    parts = (statistics.fmean(night.get(part, 0.0) for night in of_days) for part in PARTS)
    tenth = max(1, n_days // 10)
    ends = (
        statistics.fmean(n["total"] for n in few) for few in (of_days[:tenth], of_days[-tenth:])
    )
    whole, cpu = finished.seconds / n_days, finished.cpu_seconds / n_days
    return (name, whole, cpu, *parts, *ends, f"{finished.peak_bytes / 2**20:,.0f}")
