"""Scoring with three features in ten, and the drift of all, beside DuckDB and Polars."""

import argparse
import json
import shutil
import sys
from pathlib import Path

import yaml

from benchmarks import data
from benchmarks.processes import Run, installed, median, peak, run, table, take_turns
from benchmarks.train import write_job
from lasso_jobs import load_model

PEERS = {"duckdb": "score_duckdb", "polars": "score_polars"}


def score(options: argparse.Namespace) -> None:
    """Our scoring, the limits, and the peers that are installed."""
    folder = Path(options.dir) / f"train-{options.rows}x{options.features}"
    source = data.write(folder / "data", options.rows, options.features)
    names, used = data.names(options.features), max(1, 3 * options.features // 10)
    # An alpha that leaves no coefficient but those that are not penalised.
    free = dict.fromkeys(names[:used], 0.0)
    search = {"alphas": [1e12]}
    job = write_job(folder, source, "scorer", penalty_factors=free, search=search)
    run(["-m", "lasso_jobs", "train", str(job), "--json"])
    model = _plain_model(folder, names)
    out = folder / "scores"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    cases = {
        f"read {used} + write": ["copy", str(source), str(used), str(out)],
        "read all": ["read", str(source), str(options.features)],
    }
    cases = {name: ["-m", "benchmarks.limit", *arguments] for name, arguments in cases.items()}
    for name, drift in (("lasso-jobs", None), ("lasso-jobs, drift", "all")):
        file = str(_score_job(folder, source, out / name, drift))
        cases[name] = ["-m", "lasso_jobs", "score", file, "--json"]
    for peer in (name for name in options.peers if installed(name)):
        module = ["-m", f"benchmarks.peers.{PEERS[peer]}", str(source), str(model)]
        cases[peer] = [*module, str(out / f"{peer}.parquet")]
        cases[f"{peer}, drift"] = [*module, str(out / f"{peer}-drift.parquet"), "drift"]
    runs = take_turns(cases, options.repeat)
    rows = [(n, median(r, _inner), median(r), f"{peak(r):,.0f}") for n, r in runs.items()]
    sys.stdout.write(
        f"{options.rows:,} rows, {used} of {options.features} features used\n\n"
        + table(("", "seconds of the work", "whole process", "peak MiB"), *rows)
        + "\n"
    )


def _plain_model(folder: Path, names: list[str]) -> Path:
    """What the peers need of the model."""
    model = load_model(str(folder / "models-scorer"), "scorer")
    path = folder / "scorer.json"
    values = {
        "intercept": float(model.intercept),
        "coef": {name: float(model.coef[name]) for name in names},
        "edges": {name: model.references[name].edges.tolist() for name in names},
    }
    path.write_text(json.dumps(values))
    return path


def _score_job(folder: Path, source: Path, target: Path, drift: str | None) -> Path:
    values = {
        "model": "scorer@v1",
        "data": {"path": str(source)},
        "keys": ["row_id"],
        "output": {"path": str(target)},
        "registry": str(folder / "models-scorer"),
    }
    if drift:
        values["drift"] = {"features": drift, "path": f"{target} statistics"}
    path = folder / f"{target.name}.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


def _inner(run: Run) -> float:
    """Seconds of the work itself: our score stage, a peer's queries, or what a limit prints."""
    found = json.loads(run.output)
    if isinstance(found, float):
        return found
    seconds = found["seconds"]
    return float(seconds["score"] if "score" in seconds else seconds["total"])
