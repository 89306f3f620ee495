"""Many columns: a screened training as a whole process, beside peers that have the same alphas."""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.bars.case import Bar, Case, Command, Setting
from benchmarks.environments import python_of
from benchmarks.processes import median, peak, run, table, take_turns
from benchmarks.train import write_job

# What pip installs for each peer, in an environment of its own, and what that must import; nothing
# for the one that we need ourselves.
# adelie is compiled for numpy 1; celer 0.7 wants a scikit-learn that still has n_alphas.
OLD = ["numpy<2", "scikit-learn<1.8", "pyarrow<22"]
PEERS: dict[str, tuple[list[str], str]] = {
    "scikit-learn": ([], "sklearn"),
    "celer": (["celer", *OLD], "celer"),
    "adelie": (["adelie", *OLD], "adelie"),
    "glmnet": (["python-glmnet", "pyarrow"], "glmnet"),
}
PEER = Path(__file__).parent / "peers" / "wide.py"
FILES = 4
HEAD = ("whole process", "seconds", "x lasso-jobs", "processor s", "peak MiB", "alpha", "off by")


def wide(options: argparse.Namespace) -> None:
    """Search the alphas until the errors turn: we, and peers on the alphas that we tried."""
    shape = _shape(options)
    title = f"{options.rows:,} rows x {options.features:,} columns, {options.true} true"
    if options.entries is None:
        beside_peers(_data(Path(options.dir) / f"wide-{shape}" / "data", options), title, options)
        return
    folder = Path(options.dir) / f"wide-{shape}-{options.entries}"
    options.peers = []  # they lay the columns out
    title += f", {options.entries} entries a row"
    sizes = {"sizes": {"v": options.features}}
    beside_peers(_sparse_data(folder / "data", options), title, options, features=sizes)


def _shape(options: argparse.Namespace) -> str:
    return f"{options.rows}x{options.features}-{options.true}-{options.rho:g}-{options.snr:g}"


def beside_peers(
    source: Path, title: str, options: argparse.Namespace, features: Mapping[str, Any] | None = None
) -> None:
    """Ours, then all in turns; a table of their time, memory, alpha and coefficients."""
    folder = source.parent
    first, cases, pythons = _searches(source, Path(options.dir), options.peers, features)
    runs = take_turns(cases, options.repeat, pythons)
    screening = first["certificate"]["screening"]
    said = "all pairs" if screening is None else f"{screening['n_scans']} scans of all columns, "
    if screening is not None:
        said += f"{screening['n_working_set']:,} in the working set"
    sys.stdout.write(
        f"{title}, {len(first['cv']['alphas'])} alphas; {said}; medians of {options.repeat}\n\n"
    )
    whole = median(runs["lasso-jobs"])
    rows: list[tuple[object, ...]] = []
    for name in ("lasso-jobs", *options.peers):
        if name not in runs:
            rows.append((name, "cannot be installed here", "", "", "", "", ""))
            continue
        each = runs[name]
        alpha, off = first["alpha"], ""
        if name != "lasso-jobs":
            theirs = json.loads(each[0].output)
            alpha, off = theirs["alpha"], f"{_difference(folder, source, theirs):.1g}"
        seconds, cpu = median(each), median(each, lambda run: run.cpu_seconds)
        rows.append((name, seconds, seconds / whole, cpu, f"{peak(each):,.0f}", alpha, off))
    sys.stdout.write(table(HEAD, *rows) + "\n")
    stages = json.loads(runs["lasso-jobs"][0].output)["seconds"]
    told = ", ".join(f"{stage} {value:.1f}" for stage, value in stages.items())
    sys.stdout.write(f"stages of one run: {told}\n")


def _searches(
    source: Path, folder: Path, peers: Sequence[str], features: Mapping[str, Any] | None = None
) -> tuple[Any, dict[str, list[str]], dict[str, str]]:
    """A first run of ours; ours and the peers', by name; and the peers' interpreters."""
    # Whoever compares searches does without the refits that show how stable a model is.
    job = str(write_job(source.parent, source, features=features or {}, stability=None))
    ours = ["-m", "lasso_jobs", "train", job, "--json"]
    first = json.loads(run(ours).output)
    tried = source.parent / "alphas.json"
    tried.write_text(json.dumps(first["cv"]["alphas"]))
    cases, pythons = {"lasso-jobs": ours}, {}
    for name in peers:
        python = python_of(folder / "environments" / name, *PEERS[name])
        if python is not None:
            cases[name] = [str(PEER), name, str(source), str(tried)]
            pythons[name] = python
    return first, cases, pythons


def _beside_adelie(setting: Setting) -> Mapping[str, Command]:
    shape = argparse.Namespace(
        rows=setting.rows, features=setting.features, true=20, rho=0.0, snr=1.0
    )
    source = _data(setting.folder / f"wide-{_shape(shape)}" / "data", shape)
    peers = [peer for peer in CASE.peers if setting.peers is None or peer in setting.peers]
    _, cases, pythons = _searches(source, setting.folder, peers)
    return {name: Command(arguments, python=pythons.get(name)) for name, arguments in cases.items()}


CASE = Case(
    "wide-adelie",
    "4,000 x 10,000 beside adelie, which has the alphas at which our search stopped.",
    4_000,
    10_000,
    _beside_adelie,
    (
        Bar(
            "4,000 x 10,000 beside adelie, whole",
            ("lasso-jobs", "whole"),
            0.5,
            ("adelie", "whole"),
            known="the screened search has been as fast as adelie's so far, no faster",
        ),
    ),
    peers=("adelie",),
)


def _difference(folder: Path, source: Path, theirs: dict[str, Any]) -> float:
    """The largest difference of a coefficient per standard deviation, at the alpha of the peer."""
    search = {"alphas": [theirs["alpha"]], "engine": "screened"}
    job = write_job(folder, source, "at-their-alpha", search=search, features={}, stability=None)
    ours = json.loads(run(["-m", "lasso_jobs", "train", str(job), "--json"]).output)["per_sd"]
    names = {*ours, *theirs["per_sd"]}
    return max(abs(ours.get(name, 0.0) - theirs["per_sd"].get(name, 0.0)) for name in names)


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


def _sparse_data(folder: Path, options: argparse.Namespace) -> Path:
    """Columns as frequent as words are: the r-th as 1 / (r + 100); frequent ones have coefficients.

    A row's entries are drawn with replacement, so that some rows have fewer.
    """
    if folder.exists():
        return folder
    staged = folder.with_name("data.staged")
    staged.mkdir(parents=True, exist_ok=True)
    n, p, k = options.rows, options.features, options.entries
    rng = np.random.default_rng([5, n, p, k])
    chance = np.cumsum(1 / (np.arange(p) + 100.0))
    column = rng.permutation(p)
    places = np.sort(column[np.searchsorted(chance, rng.random((n, k)) * chance[-1])], axis=1)
    kept = np.diff(places, axis=1, prepend=-1) > 0
    values = rng.gamma(2.0, size=(n, k)).astype(np.float32)
    coef = np.zeros(p)
    coef[column[rng.choice(min(2_000, p), options.true, replace=False)]] = rng.normal(
        size=options.true
    )
    signal = (coef[places] * values * kept).sum(axis=1)
    y = signal + rng.normal(size=n) * signal.std() / np.sqrt(options.snr)
    for i in range(FILES):
        rows = slice(i * n // FILES, (i + 1) * n // FILES)
        starts = np.append(0, np.cumsum(kept[rows].sum(axis=1))).astype(np.int32)
        indices = pa.ListArray.from_arrays(starts, pa.array(places[rows][kept[rows]], pa.int32()))
        entries = pa.ListArray.from_arrays(starts, pa.array(values[rows][kept[rows]]))
        vectors = pa.StructArray.from_arrays([indices, entries], ["indices", "values"])
        pq.write_table(pa.table({"v": vectors, "y": y[rows]}), staged / f"{i}.parquet")
    staged.rename(folder)
    return folder
