"""Measure a training beside its physical limit and scikit-learn, in one run, interleaved.

python -m benchmarks train [--rows N] [--features P] [--repeat R] [--dir DIR] [--no-peer]
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import yaml

from benchmarks import data


@dataclass(frozen=True)
class Run:
    """A finished process."""

    output: str
    seconds: float
    peak_bytes: int


def run(*arguments: str) -> Run:
    """Run a Python module as a process of its own."""
    start = time.perf_counter()
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen([sys.executable, "-m", *arguments], stdout=output)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"{' '.join(arguments)} failed")
        output.seek(0)
        return Run(output.read(), seconds, usage.ru_maxrss * 1024)


def train(options: argparse.Namespace) -> None:
    folder = Path(options.dir) / f"train-{options.rows}x{options.features}"
    data.write(folder / "data", options.rows, options.features)
    job = {"name": "bench", "data": {"path": str(folder / "data")}, "target": "y", "holdout": None}
    job["registry"] = str(folder / "models")
    (folder / "job.yaml").write_text(yaml.safe_dump(job))
    limits, passes, ours, peers = [], [], [], []
    for _ in range(options.repeat):
        limits.append(float(run("benchmarks.limit", str(folder / "data")).output))
        ours.append(run("lasso_jobs", "train", str(folder / "job.yaml"), "--json"))
        passes.append(json.loads(ours[-1].output)["seconds"]["moments"])
        if not options.no_peer:
            peers.append(run("benchmarks.peer", str(folder / "data")))
    median = statistics.median
    limit, seconds = median(limits), median(r.seconds for r in ours)
    print(f"{options.rows:,} rows x {options.features} features, medians of {options.repeat}")
    print(f"limit: read + symmetric product    {limit:8.2f} s")
    seen = median(passes)
    print(f"the pass over the data             {seen:8.2f} s  {seen / limit:.2f} x limit")
    peak = max(r.peak_bytes for r in ours) / 2**20
    print(f"lasso-jobs train, whole process    {seconds:8.2f} s  {peak:,.0f} MiB")
    if peers:
        slower, peak = median(r.seconds for r in peers), max(r.peak_bytes for r in peers) / 2**20
        print(f"scikit-learn, whole process        {slower:8.2f} s  {peak:,.0f} MiB")
        print(f"scikit-learn / lasso-jobs          {slower / seconds:8.2f} x")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("train")
    command.set_defaults(function=train)
    command.add_argument("--rows", type=int, default=2_000_000)
    command.add_argument("--features", type=int, default=100)
    command.add_argument("--repeat", type=int, default=3)
    command.add_argument("--dir", default="benchmark-data")
    command.add_argument("--no-peer", action="store_true")
    options = parser.parse_args()
    options.function(options)


if __name__ == "__main__":
    main()
