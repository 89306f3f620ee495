"""Scoring with three features in ten, and the drift of all, beside DuckDB and Polars."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import yaml

from benchmarks import data
from benchmarks.bars.case import Bar, Case, Command, Setting
from benchmarks.processes import run
from benchmarks.train import limit, trains, write_job
from lasso_jobs import load_model

PEERS = ("duckdb", "polars")
OURS, WATCHED, POLARS = "lasso-jobs", "lasso-jobs, drift", "polars, drift"


def _score(setting: Setting) -> Mapping[str, Command]:
    folder = setting.folder / f"train-{setting.rows}x{setting.features}"
    source = data.write(folder / "data", setting.rows, setting.features)
    names, used = data.names(setting.features), max(1, 3 * setting.features // 10)
    # An alpha that leaves no coefficient but those that are not penalised.
    free = dict.fromkeys(names[:used], 0.0)
    search = {"alphas": [1e12]}
    job = write_job(folder, source, "scorer", penalty_factors=free, search=search)
    run(trains(job).arguments)
    model = _plain_model(folder, names)
    out = folder / "scores"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    commands = {
        "read some + write": limit("copy", source, used, str(out)),
        "read all": limit("read", source, setting.features),
    }
    for name, drift in ((OURS, None), (WATCHED, "all")):
        file = str(score_job(folder, source, out / name, drift))
        commands[name] = Command(["-m", "lasso_jobs", "score", file, "--json"], "score")
    for peer in filter(setting.wants, PEERS):
        module = ["-m", f"benchmarks.peers.score_{peer}", str(source), str(model)]
        commands[peer] = Command([*module, str(out / f"{peer}.parquet")], "total")
        drift_of = [*module, str(out / f"{peer}-drift.parquet"), "drift"]
        commands[f"{peer}, drift"] = Command(drift_of, "total")
    return commands


CASE = Case(
    "score",
    "Our scoring, the limits, and the peers that are installed.",
    2_000_000,
    100,
    _score,
    (
        Bar("scoring, work, beside DuckDB", (OURS, "score"), 1.0, ("duckdb", "total")),
        Bar("scoring, whole, beside DuckDB", (OURS, "whole"), 1.5, ("duckdb", "whole")),
        Bar("with drift, work, beside Polars", (WATCHED, "score"), 0.9, (POLARS, "total")),
        Bar("with drift, whole, beside Polars", (WATCHED, "whole"), 1.2, (POLARS, "whole")),
    ),
    peers=PEERS,
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


def score_job(folder: Path, source: Path, target: Path, drift: str | None, **output: str) -> Path:
    """A job file of the model ``scorer``."""
    values = {
        "model": "scorer@v1",
        "data": {"path": str(source)},
        "keys": ["row_id"],
        "output": {"path": str(target), **output},
        "registry": str(folder / "models-scorer"),
    }
    if drift:
        values["drift"] = {"features": drift, "path": f"{target} statistics"}
    path = folder / f"{target.name}.yaml"
    path.write_text(yaml.safe_dump(values))
    return path
