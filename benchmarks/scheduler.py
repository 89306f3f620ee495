"""The plan and the scheduler alone: a dataset of as many units, and tasks that do nothing."""

import argparse
import resource
import sys
import time

import numpy as np
import pyarrow as pa

from benchmarks import data
from benchmarks.processes import table
from lasso_jobs.data.dataset import (
    MOST_STATIC_BYTES,
    Dataset,
    FileIdentity,
    SourceFile,
    WorkUnit,
)
from lasso_jobs.engine.cluster import connect


def scheduler(options: argparse.Namespace) -> None:
    """Plan, then map and reduce, with the driver's, the scheduler's and a worker's part of it."""
    start, before = time.perf_counter(), _peak()
    dataset = _dataset(options.units, options.features)
    made = time.perf_counter()
    units = dataset.static_work_units()
    planned, after_plan = time.perf_counter(), _peak()
    with connect(options.cluster, options.workers) as workers:
        connected, cpu = time.perf_counter(), time.process_time()
        found = workers.reduce(_rows, _add, units)
        done, cpu = time.perf_counter(), time.process_time() - cpu
    if (len(units), found) != (options.units, dataset.n_rows):
        raise SystemExit(f"{found:,} rows of {len(units):,} units")
    n_tasks = 2 * len(units) - 1
    rows = [
        ("footers made up", made - start, ""),
        ("plan", planned - made, f"{after_plan - before:,.0f}"),
        ("map and reduce", done - connected, f"{_peak() - after_plan:,.0f}"),
    ]
    sys.stdout.write(
        f"{len(units):,} units of {options.features} features, {n_tasks:,} tasks\n\n"
        + table(("", "seconds", "more MiB"), *rows)
        + f"\n\n{1e3 * (done - connected) / n_tasks:.2f} ms a task, "
        + f"{1e3 * cpu / n_tasks:.2f} ms of this process's processor time\n"
    )


def _dataset(n: int, features: int) -> Dataset:
    """Files of one row group, each as large as a unit of a wide table."""
    names = [*data.names(features), "y"]
    schema = pa.schema([(name, pa.float64()) for name in names])
    column = MOST_STATIC_BYTES // len(names)
    rows, sizes = np.array([column // 8]), np.full((1, len(names)), column)
    nulls = np.zeros(len(names), np.int64)
    files = tuple(
        SourceFile(
            identity=FileIdentity(
                path=f"/data/{i}.parquet",
                name=f"{i}.parquet",
                size_bytes=1,
                stamp="1",
                constants=(),
            ),
            schema=schema,
            rows=rows,
            column_bytes=sizes,
            nulls=nulls,
        )
        for i in range(n)
    )
    return Dataset(path="/data", files=files, schema=schema, constants=())


def _rows(unit: WorkUnit) -> int:
    return unit.rows


def _add(a: int, b: int) -> int:
    return a + b


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
