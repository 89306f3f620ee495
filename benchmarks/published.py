"""Train on the Parquet and Delta test files that other projects publish with their sources.

    python -m benchmarks.published [--dir DIR] [--only TEXT]

Fetches the source packages by pip, and trains on each table and on each file in them. A model is
held against scikit-learn's of the rows that DuckDB reads (DataFusion of a Delta table), or the
input is refused in one line. Anything else is a failure: it is printed, and the exit status is 1.
"""

import argparse
import logging
import os
import subprocess
import sys
import tarfile
import tempfile
import traceback
import warnings
from collections import Counter
from decimal import Decimal
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
from deltalake import DeltaTable, QueryBuilder
from distributed import LocalCluster
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Lasso
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from lasso_jobs import LassoJobsError, TrainJob, train

PACKAGES = ("pyarrow", "fastparquet", "deltalake")
MOST_LEVELS = 50
"""Of a text that is compared; more of them would be thousands of columns for scikit-learn."""
STUB = """
import pathlib
def get_requires_for_build_wheel(settings=None):
    return []
def prepare_metadata_for_build_wheel(folder, settings=None):
    text = pathlib.Path("PKG-INFO").read_text()
    named = dict(line.split(": ", 1) for line in text.splitlines()[:9] if ": " in line)
    info = pathlib.Path(folder, f"{named['Name']}-{named['Version']}.dist-info")
    info.mkdir()
    (info / "METADATA").write_text(text)
    (info / "WHEEL").write_text("Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
    return info.name
"""
"""Stands for the backend that builds deltalake: pip asks it for a name, and nothing is built."""


def fetch(folder: Path) -> None:
    """Get the source packages, those that the registry has, and unpack them."""
    (folder / "stub").mkdir(parents=True, exist_ok=True)
    (folder / "stub" / "maturin.py").write_text(STUB)
    for package in PACKAGES:
        if list(folder.glob(f"{package}-*.tar.gz")):
            continue
        # Not of all packages, or pip would build the builders, too.
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps"]
        command += ["--no-binary", package, "-d", str(folder), package]
        tries = [[*command, "--no-build-isolation"], command]
        path = {"PYTHONPATH": str((folder / "stub").resolve())}
        fetched = any(
            subprocess.run(each, env=os.environ | path, capture_output=True).returncode == 0
            for each in tries
        )
        if not fetched:
            print(f"{package}: its source package is not to be had")
    for archive in folder.glob("*.tar.gz"):
        target = folder / archive.name.removesuffix(".tar.gz")
        if not target.exists():
            with tarfile.open(archive) as opened:
                opened.extractall(folder, filter="data")


def sources(folder: Path) -> list[Path]:
    """Each Delta table, and each Parquet file, the smallest first."""
    tables = {path.parent: 0 for path in folder.rglob("_delta_log") if path.is_dir()}
    for path in folder.rglob("*.parquet"):
        if path.is_file():
            tables[path] = path.stat().st_size
            for parent in path.parents:
                if parent in tables:
                    tables[parent] += tables[path]
    return sorted(tables, key=lambda path: (tables[path], path))


def rows_of(path: Path) -> pd.DataFrame | None:
    """The rows as another reader has them; None if it does not read them."""
    try:
        if path.is_dir():
            table = QueryBuilder().register("t", DeltaTable(str(path))).execute("SELECT * FROM t")
            frame: pd.DataFrame = pa.table(table.read_all()).to_pandas()
            return frame
        return duckdb.read_parquet(str(path), hive_partitioning=False).df()
    except Exception:  # noqa: BLE001 - deltalake's reader raises this very class
        return None


def usable(frame: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The columns of numbers, and those of booleans and few texts, as texts."""
    numbers, texts = {}, {}
    for name in map(str, frame.columns):
        column = frame[name]
        kinds = {type(value) for value in column[column.notna()]} if len(frame) else set()
        if kinds and kinds <= {bool, np.bool_}:
            spelled = column.map({True: "true", False: "false"}).astype(object)
            texts[name] = spelled.where(column.notna(), "(null)")
        elif pd.api.types.is_numeric_dtype(column) or kinds == {Decimal}:
            present = column.notna()
            numbers[name] = column[present].map(float).reindex(frame.index)
        elif kinds == {str} and column.nunique() < MOST_LEVELS:
            texts[name] = column.astype(object).where(column.notna(), "(null)")
    return pd.DataFrame(numbers, frame.index), pd.DataFrame(texts, frame.index)


def job_of(path: Path, target: str, registry: Path, **keys: object) -> TrainJob:
    """A training with as few demands as can be."""
    return TrainJob.from_values(
        {
            "name": "published",
            "data": {"path": str(path)},
            "target": target,
            "holdout": None,
            "stability": None,
            "registry": str(registry),
            "promote": "never",
            "cache": False,
            **keys,
        }
    )


def compare(path: Path, frame: pd.DataFrame, registry: Path, cluster: str) -> str:
    """Train on the columns of numbers and texts, and hold the model against scikit-learn's."""
    numbers, texts = usable(frame)
    numbers = numbers.replace([np.inf, -np.inf], np.nan)
    numbers = numbers.loc[:, numbers.notna().any()]
    features = [*numbers.columns[:-1], *texts.columns]
    if numbers.empty or not features:
        return "no column of numbers, or no other column"
    target = numbers.columns[-1]
    known = numbers[target].notna()
    scale = float(numbers[target].std(ddof=0)) or 1.0
    alpha = 0.1 * scale
    job = job_of(
        path,
        target,
        registry,
        features={"include": features},
        search={"alphas": [alpha], "folds": 2},
        preprocess={"missing": "mean", "max_levels": MOST_LEVELS},
    )
    result = train(job, cluster=cluster)
    pipeline = make_pipeline(
        make_column_transformer(
            (SimpleImputer(keep_empty_features=True), list(numbers.columns[:-1])),
            (OneHotEncoder(), list(texts.columns)),
            sparse_threshold=0,
        ),
        StandardScaler(),
        Lasso(alpha, tol=1e-12, max_iter=1_000_000),
    )
    rows, y = pd.concat([numbers, texts], axis=1)[known], numbers[target][known]
    expected = pipeline.fit(rows[features], y).predict(rows[features])
    found = result.model.predict(frame[known][features])
    if result.counts.rows != known.sum():
        return f"FAILED: {result.counts.rows} rows, and {known.sum()} by another reader"
    if not np.allclose(found, expected, rtol=1e-6, atol=1e-6 * scale):
        return f"FAILED: predictions differ by {np.abs(found - expected).max() / scale:.2g} sd"
    return "equal"


def outcome(path: Path, registry: Path, cluster: str) -> str:
    """What a training on one input comes to."""
    frame = rows_of(path)
    numbers = [] if frame is None else list(usable(frame)[0].columns)
    try:
        # All columns, of whatever type; the target need not be there.
        every = job_of(path, numbers[-1] if numbers else "y", registry, search={"folds": 2})
        train(every, cluster=cluster)
        told = "trained"
    except LassoJobsError as error:
        told = f"refused: {error}"
        if "\n" in str(error):
            return f"FAILED: more than a line: {error}"
    if frame is None:
        return told
    try:
        found = compare(path, frame, registry, cluster)
    except LassoJobsError as error:
        found = f"refused: {error}"
    return found if found.startswith(("FAILED", "equal", "refused")) else told


def main() -> int:
    """Run all, and print what each came to."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.published")
    parser.add_argument("--dir", default="benchmark-data/published", help="where they are kept")
    parser.add_argument("--only", default="", help="a part of the path")
    options = parser.parse_args()
    folder = Path(options.dir)
    fetch(folder)
    counts: Counter[str] = Counter()
    warnings.simplefilter("ignore")
    local = LocalCluster(
        n_workers=1, threads_per_worker=1, dashboard_address=None, silence_logs=logging.CRITICAL + 1
    )
    with local as cluster, tempfile.TemporaryDirectory() as registry:
        for path in sources(folder):
            name = path.relative_to(folder).as_posix()
            if options.only not in name:
                continue
            try:
                found = outcome(path, Path(registry), cluster.scheduler_address)
            except Exception:  # noqa: BLE001 - whatever it is, it is what is looked for
                found = f"FAILED: {traceback.format_exc(limit=-3)}"
            counts[found.split(":")[0]] += 1
            print(f"{name}: {found}", flush=True)
    print(dict(sorted(counts.items())))
    return int(counts["FAILED"] > 0 or not counts["equal"])


if __name__ == "__main__":
    sys.exit(main())
