"""Training: the pass beside its limit, the whole process beside its peers; memory; a retrain."""

import argparse
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import yaml

from benchmarks import data
from benchmarks.processes import Run, installed, median, peak, run, table, take_turns

PEERS = {"scikit-learn": "train_sklearn", "dask-ml": "train_dask_ml"}
LIMITS = ("read", "product")


def train(options: argparse.Namespace) -> None:
    """Read, read and multiply, our pass on threads and on processes, we and peers as a whole."""
    folder = _folder(options)
    source = data.write(folder / "data", options.rows, options.features)
    job = str(write_job(folder, source))
    ours = ["-m", "lasso_jobs", "train", job, "--json"]
    cases: dict[str, list[str]] = {
        name: ["-m", "benchmarks.limit", name, str(source), str(options.features)]
        for name in LIMITS
    }
    cases |= {"local": ours, "local-processes": [*ours, "--cluster", "local-processes"]}
    peers = [name for name in options.peers if installed(name)]
    cases |= {name: ["-m", f"benchmarks.peers.{PEERS[name]}", str(source)] for name in peers}
    runs = take_turns(cases, options.repeat)
    limit = median(runs["product"], _printed)
    inner = [
        ("read", median(runs["read"], _printed)),
        ("read + symmetric product", limit),
        ("pass, local threads", median(runs["local"], _pass)),
        ("pass, local processes", median(runs["local-processes"], _pass)),
        ("path and diagnostics", median(runs["local"], _select)),
    ]
    _say(f"{options.rows:,} rows x {options.features} features, medians of {options.repeat}\n")
    _say(table(("inside", "seconds", "x limit"), *((n, s, s / limit) for n, s in inner)) + "\n")
    whole = median(runs["local"])
    rows = [
        (name, median(runs[name]), median(runs[name]) / whole, f"{peak(runs[name]):,.0f}")
        for name in ("local", "local-processes", *peers)
    ]
    _say(table(("whole process", "seconds", "x local", "peak MiB"), *rows) + "\n")
    if "scikit-learn" in peers:
        found = json.loads(runs["scikit-learn"][0].output)
        _say(
            f"largest difference of a coefficient per sd from scikit-learn's, at its alpha: "
            f"{_difference(folder, source, found):.2g}"
        )


def _difference(folder: Path, source: Path, theirs: dict[str, Any]) -> float:
    job = write_job(folder, source, "at-their-alpha", search={"alphas": [theirs["alpha"]]})
    ours = json.loads(run(["-m", "lasso_jobs", "train", str(job), "--json"]).output)
    return max(abs(ours["per_sd"][name] - value) for name, value in theirs["per_sd"].items())


def memory(options: argparse.Namespace) -> None:
    """Peak memory of a training of all rows, and of a tenth of them."""
    cases = {}
    for rows in (options.rows // 10, options.rows):
        folder = Path(options.dir) / f"train-{rows}x{options.features}"
        # Row groups of the same size, whatever the number of rows.
        source = data.write(folder / "data", rows, options.features, max(1, rows // 1_000_000))
        cases[f"{rows:,} rows"] = [
            "-m",
            "lasso_jobs",
            "train",
            str(write_job(folder, source)),
            "--json",
        ]
    runs = take_turns(cases, options.repeat)
    rows_of = [(n, median(r), median(r, _pass), f"{peak(r):,.0f}") for n, r in runs.items()]
    _say(table(("lasso-jobs train", "seconds", "pass", "peak MiB"), *rows_of))


def retrain(options: argparse.Namespace) -> None:
    """Train on 32 files, then with one more, then with other folds; and on all from nothing."""
    folder = _folder(options, "retrain")
    staged = data.write(folder / "all", options.rows, options.features, 33)
    files = sorted(staged.glob("*.parquet"))
    cases = ("32 files", "33 files", "33 files, 10 folds", "33 files, anew")
    found: dict[str, list[Run]] = {name: [] for name in cases}
    for i in range(options.repeat):
        for name in (f"models-run-{i}", f"data-{i}"):
            shutil.rmtree(folder / name, ignore_errors=True)
        for name, n in (("32 files", 32), ("33 files", 33)):
            source = folder / f"data-{i}"
            source.mkdir(exist_ok=True)
            for file in files[:n]:
                link = source / file.name
                if not link.exists():
                    link.hardlink_to(file)
            job = write_job(folder, source, f"run-{i}", cache=True)
            found[name].append(run(["-m", "lasso_jobs", "train", str(job), "--json"]))
        folds = ["--set", "search.folds=10"]
        found[cases[2]].append(run(["-m", "lasso_jobs", "train", str(job), "--json", *folds]))
        job = write_job(folder, staged, f"anew-{i}")
        found["33 files, anew"].append(run(["-m", "lasso_jobs", "train", str(job), "--json"]))
    full = median(found["33 files, anew"], _pass)
    rows = [
        (name, median(r, _pass), median(r, _pass) / full, f"{median(r, _bytes):,.0f}", median(r))
        for name, r in found.items()
    ]
    _say(table(("pass over", "seconds", "x anew", "bytes read", "whole process"), *rows))


def startup(options: argparse.Namespace) -> None:
    """The smallest things: the import, the help, and a training of few rows."""
    folder = Path(options.dir) / "startup"
    source = data.write(folder / "data", options.rows, options.features, 1)
    job = str(write_job(folder, source))
    cases = {
        "python -c pass": ["-c", "pass"],
        "import lasso_jobs": ["-c", "import lasso_jobs"],
        "lasso-jobs --help": ["-m", "lasso_jobs", "--help"],
        f"lasso-jobs train, {options.rows:,} x {options.features}": [
            "-m",
            "lasso_jobs",
            "train",
            job,
            "--json",
        ],
    }
    runs = take_turns(cases, options.repeat)
    rows = [(name, median(r), f"{peak(r):,.0f}") for name, r in runs.items()]
    _say(table(("whole process", "seconds", "peak MiB"), *rows))


def write_job(folder: Path, source: Path, name: str = "bench", **more: Any) -> Path:
    """A job file with its own registry."""
    values = {
        "name": name,
        "data": {"path": str(source)},
        "target": "y",
        "features": {"exclude": ["row_id"]},
        "holdout": None,
        "registry": str(folder / f"models-{name}"),
        "cache": False,
        **more,
    }
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


def _folder(options: argparse.Namespace, what: str = "train") -> Path:
    return Path(options.dir) / f"{what}-{options.rows}x{options.features}"


def _printed(run: Run) -> float:
    return float(run.output)


def _pass(run: Run) -> float:
    return float(json.loads(run.output)["seconds"]["moments"])


def _select(run: Run) -> float:
    return float(json.loads(run.output)["seconds"]["select"])


def _bytes(run: Run) -> float:
    return float(json.loads(run.output)["bytes_read"])


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
