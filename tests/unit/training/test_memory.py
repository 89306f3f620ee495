"""A training that does not fit into memory is refused before its rows are read."""

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lasso_jobs import TrainJob, train
from lasso_jobs.core.rows import buckets as b
from lasso_jobs.core.rows.folds import KFold
from lasso_jobs.engine.memory import WorkerMemory
from lasso_jobs.engine.threads import Threads
from lasso_jobs.errors import DataError
from lasso_jobs.jobs.train import PreprocessOptions
from lasso_jobs.training import gather, memory, plan
from lasso_jobs.training.memory import Squares
from lasso_jobs.training.read import all_units

N_LEVELS = 40


@pytest.fixture
def job(tmp_path: Path) -> TrainJob:
    rng = np.random.default_rng(0)
    (tmp_path / "data").mkdir()
    for name in ("a", "b"):
        levels = [f"level {i % N_LEVELS}" for i in range(400)]
        x, y = rng.normal(size=(2, 400))
        table = pa.table({"c": levels, "x": x, "z": pa.array(x, mask=x > 1), "y": y})
        pq.write_table(table, tmp_path / "data" / name)
    values: dict[str, Any] = {
        "name": "m",
        "data": {"path": str(tmp_path / "data")},
        "target": "y",
        "preprocess": {"max_levels": 1000},
        "search": {"alphas": 3},
        "registry": str(tmp_path / "models"),
    }
    return TrainJob.from_values(values)


@pytest.fixture
def any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small trainings are looked at as large ones are, and may read no row."""
    for module in (plan.memory, gather):
        monkeypatch.setattr(module, "WORTH_A_LOOK", 0)

    def never(*_: object, pairs: bool) -> None:
        raise AssertionError("a row was read")

    monkeypatch.setattr("lasso_jobs.training.read.summary_read.summarise", never)


def give(monkeypatch: pytest.MonkeyPatch, n_bytes: int) -> None:
    for module in (plan, gather, all_units):
        monkeypatch.setattr(module, "of_this_process", lambda: n_bytes)


def refused(job: TrainJob) -> str:
    with pytest.raises(DataError, match="GiB of memory") as caught:
        train(job, workers=2)
    line = str(caught.value)
    assert line.startswith(job.data.path)
    assert "\n" not in line
    assert "Lower preprocess.max_levels or search.folds, exclude columns" in line
    return line


@pytest.mark.usefixtures("any_size")
def test_what_surely_does_not_fit_is_refused_by_the_plan(
    job: TrainJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    give(monkeypatch, 1000)
    with pytest.raises(DataError, match=r"needs 0\.0 GiB of memory in the driver;"):
        plan.plan(job)


@pytest.mark.usefixtures("any_size")
def test_what_does_not_fit_is_refused_once_the_levels_are_known(
    job: TrainJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    needed = Squares(N_LEVELS + 4, 60, 5).driver_bytes
    give(monkeypatch, needed - 1)
    assert "in the driver" in refused(job)
    # Of one process, whose threads keep what waits to be merged.
    give(monkeypatch, needed + 1)
    assert "for 2 threads of one process" in refused(job)


@pytest.mark.usefixtures("any_size")
def test_a_worker_that_is_too_small_is_refused(
    job: TrainJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Each file is a row group of 400 rows.
    needed = 2 * Squares(N_LEVELS + 4, 60, 5, block_rows=400).thread_bytes
    for limit in (needed - 1, needed):
        monkeypatch.setattr(Threads, "memory", lambda _, n=limit: [WorkerMemory(2, n)])
        if limit < needed:
            assert "in a worker of 2 threads" in refused(job)
    with pytest.raises(AssertionError, match="a row was read"):
        train(job, workers=2)


@pytest.mark.parametrize("max_levels", [5, 15, 50])
def test_what_is_counted_is_what_the_read_leaves(
    job: TrainJob, monkeypatch: pytest.MonkeyPatch, max_levels: int
) -> None:
    """However many levels there are: twice `max_levels` are kept, and one stands for the rest."""
    counted: list[int] = []
    taken: list[int] = []
    summary = gather._summary

    def measured(reads: Any, reading: Any) -> Any:
        result = summary(reads, reading)
        taken.append(sum(bucket.scatter.nbytes for bucket in result.moments.buckets))
        return result

    def refuse(self: Any, workers: object, squares: Squares, tree: object) -> None:
        counted.append(squares.state_bytes)

    monkeypatch.setattr(gather, "_summary", measured)
    monkeypatch.setattr(all_units.AllUnits, "_refuse_small_workers", refuse)
    options = PreprocessOptions(max_levels=max_levels)
    train(job.model_copy(update={"preprocess": options}), workers=1)
    # A bucket in which no value is null has no indicator.
    assert 0.95 * counted[0] < taken[0] <= counted[0]


def test_the_plan_says_what_the_levels_may_need(job: TrainJob) -> None:
    planned = plan.plan(job)
    values, n_rows = planned.as_values(), 800
    # Two numbers, the target, the indicator of nulls of one; no more levels than rows.
    most = Squares(4 + n_rows, 5, 5)
    assert values["memory_bytes_at_most"] == most.driver_bytes
    how = {"at_most": False, "engine": "all"}
    certain = memory.planned_bytes(job, planned.dataset, planned.features, **how)
    assert certain == Squares(3, 60, 5).driver_bytes


@pytest.mark.parametrize("n_folds", [3, 8])
def test_folds_take_the_memory_that_is_counted(n_folds: int) -> None:
    """The states of the training rows, and those of the rows behind each fold."""
    q, n = 300, 400
    values = np.random.default_rng(0).normal(size=(q, n * (n_folds + 1)))
    moments = b.of_rows(values, [n] * (n_folds + 1))
    tracemalloc.start()
    try:
        folds = [*KFold(n_folds, n_folds).folds(moments)]
        peak = tracemalloc.get_traced_memory()[1] / (8 * q**2)
    finally:
        tracemalloc.stop()
    assert len(folds) == n_folds
    squares = Squares(q, n_folds, n_folds)
    # A problem for each fold comes to these, and the squares of errors; and not all at once.
    counted = (squares.driver_bytes - squares.state_bytes) / (8 * q**2)
    assert counted - n_folds - 3 <= peak <= counted
