"""The same data and job give bitwise the same model, whatever runs it and in whatever order."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from threadpoolctl import threadpool_limits

from lasso_jobs import ScoreJob, TrainJob, score, train
from lasso_jobs.training.plan import plan
from lasso_jobs.training.read import summary_read

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("small_work_units")]

Values = dict[str, Any]
CLUSTERS = [("local", 2), ("local", 3), ("local-processes", 1), ("local-processes", 2)]


@pytest.fixture
def job(train_values: Values) -> TrainJob:
    """Categories, nulls, groups and a hold-out; the path of its files is part of the model."""
    values = {
        **train_values,
        "data": {**train_values["data"], "where": "day < '2024-01-06'"},
        "preprocess": {"missing": "indicator", "max_levels": 3},
        "registry": "models",
        "cache": False,  # which would save the others the reading
    }
    return TrainJob.from_values(values)


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def digests() -> dict[str, str]:
    """The digest with one worker, once it is known."""
    return {}


@pytest.fixture
def expected(job: TrainJob, digests: dict[str, str]) -> str:
    if not digests:
        digests["one worker"] = train(job, "local", 1).registered.digest
    return digests["one worker"]


def test_the_data_is_cut_into_many_partitions(job: TrainJob) -> None:
    assert len(plan(job).work_units) == 15


@pytest.mark.parametrize(("cluster", "workers"), CLUSTERS)
def test_any_number_of_threads_or_processes_trains_the_same_model(
    job: TrainJob, expected: str, cluster: str, workers: int
) -> None:
    assert train(job, cluster, workers).registered.digest == expected


def test_a_cluster_by_address_trains_the_same_model_time_after_time(
    job: TrainJob, expected: str, scheduler: str
) -> None:
    assert train(job, scheduler).registered.digest == expected
    assert train(job, scheduler).registered.digest == expected


def slowed(function: Callable[..., Any], log: Path) -> Callable[..., Any]:
    """The same function, some of whose calls take longer than those that start after them."""

    def slow(unit: Any, *arguments: Any, **options: Any) -> Any:
        result = function(unit, *arguments, **options)
        piece = unit.pieces[0]
        place = f"{piece.file.name}, row {piece.first_row:03}"
        time.sleep([0.05, 0.0, 0.02, 0.01, 0.0][sum(map(ord, place)) % 5])
        with log.open("a") as file:
            file.write(f"{place}\n")
        return result

    return slow


def test_the_order_in_which_partitions_finish_does_not_matter(
    job: TrainJob, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "read.log"
    monkeypatch.setattr(summary_read, "summarise", slowed(summary_read.summarise, log))
    assert train(job, "local", 3).registered.digest == expected
    finished = log.read_text().splitlines()
    assert len(finished) == 15
    assert finished != sorted(finished)


def test_a_new_model_is_for_new_values_and_not_for_new_times_of_files(
    train_values: Values, own_shop: Path
) -> None:
    job = TrainJob.from_values(
        {
            **train_values,
            "data": {"path": str(own_shop), "where": "day < '2024-01-06'"},
            "cache": False,
        }
    )
    first = train(job, workers=1).registered
    path = own_shop / "day=2024-01-03" / "sales.parquet"
    path.touch()
    assert train(job, workers=1).registered.digest == first.digest
    table = pq.read_table(path, partitioning=None)
    visits = table["visits"].to_numpy() * (1 + 1e-12)
    place = table.column_names.index("visits")
    table = table.set_column(place, "visits", pa.array(visits))
    pq.write_table(table, path, row_group_size=50)
    changed = train(job, workers=1).registered
    assert changed.digest != first.digest
    assert (first.version, changed.version) == (1, 2)


@pytest.mark.parametrize(("cluster", "workers"), [("local", 3), ("local-processes", 2)])
def test_predictions_do_not_depend_on_the_cluster(
    score_values: Values, cluster: str, workers: int
) -> None:
    job = ScoreJob.from_values(score_values).on("2024-01-10")
    score(job, "local", 1)
    before = DeltaTable(job.output.path).to_pandas().sort_values("id")
    score(job, cluster, workers)
    after = DeltaTable(job.output.path).to_pandas().sort_values("id")
    for name in ("prediction", "prediction_low", "prediction_high"):
        np.testing.assert_array_equal(after[name], before[name])


@pytest.mark.parametrize("n_threads", [1, 2])
def test_any_number_of_blas_threads_trains_the_same_model(
    digests: dict[str, str], n_threads: int
) -> None:
    """Of so many columns, a product on two threads is summed in another order."""
    rng = np.random.default_rng(8)
    X = rng.normal(size=(1_000, 300))
    y = X[:, :20].sum(axis=1) + rng.normal(size=len(X))
    columns = {f"x{j}": x for j, x in enumerate(X.T)}
    pq.write_table(pa.table({**columns, "y": y}), "wide.parquet")
    values: Values = {"name": "wide", "data": {"path": "wide.parquet"}, "target": "y"}
    values |= {"cache": False, "search": {"alphas": 20}, "stability": None}
    with threadpool_limits(n_threads):
        digest = train(TrainJob.from_values(values), "local", 1).registered.digest
    assert digests.setdefault("BLAS", digest) == digest
