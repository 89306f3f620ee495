"""Many nights: a backfill of a range of dates, each with its own commit and its drift judged."""

import argparse
import json
import statistics
import sys
from pathlib import Path
from typing import Any

from benchmarks.backfill import days, scores_days
from benchmarks.processes import Run, run, table

FORMATS = ("delta", "parquet")
PARTS = ("plan", "score", "drift", "commit", "page")


def nights(options: argparse.Namespace) -> None:
    """Seconds a night of a range of dates, by part, and of its first and its last nights."""
    folder = Path(options.dir) / f"nights-{options.days}x{options.rows}x{options.features}"
    source = days(folder, options.rows, options.features, options.days)
    runs: dict[str, Run] = {}
    for format_ in options.formats:
        scored, anew = scores_days(folder, source, options.days, format_)
        anew()
        cluster = ["--cluster", options.cluster] if options.cluster else []
        runs[format_] = run([*scored, *cluster])
    head = ("seconds a night", "whole", "CPU", *PARTS, "first tenth", "last tenth", "peak MiB")
    sys.stdout.write(f"{options.days} nights of {options.rows:,} rows x {options.features}\n\n")
    rows = [_row(name, finished, options.days) for name, finished in runs.items()]
    sys.stdout.write(table(head, *rows) + "\n")


def _row(name: str, finished: Run, n_days: int) -> tuple[Any, ...]:
    of_days = [night["seconds"] for night in json.loads(finished.output)["dates"]]
    parts = (statistics.fmean(night.get(part, 0.0) for night in of_days) for part in PARTS)
    tenth = max(1, n_days // 10)
    ends = (
        statistics.fmean(n["total"] for n in few) for few in (of_days[:tenth], of_days[-tenth:])
    )
    whole, cpu = finished.seconds / n_days, finished.cpu_seconds / n_days
    return (name, whole, cpu, *parts, *ends, f"{finished.peak_bytes / 2**20:,.0f}")
