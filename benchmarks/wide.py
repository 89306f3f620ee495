"""Many columns: a screened training as a whole process, beside peers that have the same alphas."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.processes import installed, median, peak, run, table, take_turns
from benchmarks.train import write_job

PEERS = {"scikit-learn": "sklearn", "celer": "celer"}
FILES = 4


def wide(options: argparse.Namespace) -> None:
    """Search the alphas until the errors turn: we, and peers on the alphas that we tried."""
    shape = f"{options.rows}x{options.features}-{options.true}-{options.rho:g}-{options.snr:g}"
    folder = Path(options.dir) / f"wide-{shape}"
    source = _data(folder / "data", options)
    # Whoever compares searches does without the refits that show how stable a model is.
    job = str(write_job(folder, source, features={}, stability=None))
    ours = ["-m", "lasso_jobs", "train", job, "--json"]
    first = json.loads(run(ours).output)
    tried = folder / "alphas.json"
    tried.write_text(json.dumps(first["cv"]["alphas"]))
    peers = [name for name in options.peers if installed(name)]
    cases = {"lasso-jobs": ours} | {
        name: ["-m", "benchmarks.peers.wide", PEERS[name], str(source), str(tried)]
        for name in peers
    }
    runs = take_turns(cases, options.repeat)
    screening = first["certificate"]["screening"]
    said = "all pairs" if screening is None else f"{screening['n_scans']} scans of all columns, "
    if screening is not None:
        said += f"{screening['n_working_set']:,} in the working set"
    sys.stdout.write(
        f"{options.rows:,} rows x {options.features:,} columns, {options.true} true, "
        f"{len(first['cv']['alphas'])} alphas; {said}; medians of {options.repeat}\n\n"
    )
    whole = median(runs["lasso-jobs"])
    rows = [
        (name, median(each), median(each) / whole, f"{peak(each):,.0f}")
        for name, each in runs.items()
    ]
    sys.stdout.write(table(("whole process", "seconds", "x lasso-jobs", "peak MiB"), *rows) + "\n")
    seconds = json.loads(runs["lasso-jobs"][0].output)["seconds"]
    stages = ", ".join(f"{stage} {value:.1f}" for stage, value in seconds.items())
    sys.stdout.write(f"stages of one run: {stages}\n")


def _data(folder: Path, options: argparse.Namespace) -> Path:
    """Neighbouring columns are correlated by ``rho``; some, at random, have coefficients."""
    if folder.exists():
        return folder
    staged = folder.with_name("data.staged")
    staged.mkdir(parents=True, exist_ok=True)
    n, p = options.rows, options.features
    rng = np.random.default_rng([3, n, p])
    X = rng.normal(size=(p, n))
    for j in range(1, p if options.rho else 0):
        X[j] = options.rho * X[j - 1] + np.sqrt(1 - options.rho**2) * X[j]
    coef: Any = np.zeros(p)
    coef[rng.choice(p, options.true, replace=False)] = rng.normal(size=options.true)
    signal = coef @ X
    y = signal + rng.normal(size=n) * signal.std() / np.sqrt(options.snr)
    for i in range(FILES):
        rows = slice(i * n // FILES, (i + 1) * n // FILES)
        columns = {f"x{j}": X[j, rows] for j in range(p)}
        pq.write_table(pa.table({**columns, "y": y[rows]}), staged / f"{i}.parquet")
    staged.rename(folder)
    return folder
