"""Workers and drivers that die in the middle of their work."""

import multiprocessing
import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import dask
import pandas as pd
import pytest
import yaml
from deltalake import DeltaTable
from distributed import Client

from lasso_jobs import ScoreJob, TrainJob, score, train
from lasso_jobs.engine.cluster import connect
from lasso_jobs.errors import ClusterError
from lasso_jobs.outputs.verify import verify
from lasso_jobs.scoring import staging
from lasso_jobs.training.screening import scanner

from ..processes import dask_process

pytestmark = [
    pytest.mark.fault,
    pytest.mark.slow,
    pytest.mark.usefixtures("small_work_units"),
]

Values = dict[str, Any]
DAYS = ("2024-01-09", "2024-01-10", "2024-01-11")
PATIENCE_SECONDS = 60


def worker_processes() -> set[int]:
    """The processes of the local cluster's workers."""
    return {p.pid for p in multiprocessing.active_children() if p.pid and "Worker" in p.name}


class Killer:
    """Kills a worker each time when so many partitions of a stage are done."""

    def __init__(self, **after: int) -> None:
        self.after = after
        self.killed: list[str] = []

    def __call__(self, stage: str, done: int, total: int) -> None:
        if done == self.after.get(stage) and stage not in self.killed:
            assert done < total
            self.killed.append(stage)
            os.kill(min(worker_processes()), signal.SIGKILL)


def scored(values: Values) -> pd.DataFrame:
    table = DeltaTable(values["output"]["path"]).to_pandas()
    return table.sort_values("id", ignore_index=True)


@pytest.fixture
def three_days(score_values: Values) -> ScoreJob:
    where = f"day >= '{DAYS[0]}' and day <= '{DAYS[-1]}'"
    data = {**score_values["data"], "where": where}
    return ScoreJob.from_values({**score_values, "data": data})


def test_workers_that_die_in_each_stage_of_training_change_no_bit_of_the_model(
    train_values: Values,
) -> None:
    data = {**train_values["data"], "where": "day < '2024-01-06'"}
    values = {**train_values, "data": data, "cache": False}
    job = TrainJob.from_values(values)
    undisturbed = train(job, "local", 1).registered
    killer = Killer(levels=2, moments=11)
    survived = train(job, "local-processes", 2, killer).registered
    assert killer.killed == ["levels", "moments"]
    assert (survived.digest, survived.version) == (undisturbed.digest, 1)


@pytest.mark.parametrize("share", [0.3, 0.0], ids=["kept rows", "rows read anew"])
def test_workers_that_die_in_each_scan_of_a_screening_change_no_bit_of_the_model(
    train_values: Values, monkeypatch: pytest.MonkeyPatch, share: float
) -> None:
    monkeypatch.setattr(scanner, "SHARE_TO_KEEP", share)
    data = {**train_values["data"], "where": "day < '2024-01-06'"}
    search = {**train_values.get("search", {}), "engine": "screened"}
    job = TrainJob.from_values({**train_values, "data": data, "cache": False, "search": search})
    undisturbed = train(job, "local", 1).registered
    killer = Killer(**{"columns": 4, "working set": 9, "gradients": 11})
    survived = train(job, "local-processes", 2, killer).registered
    assert killer.killed == ["columns", "working set", "gradients"]
    assert (survived.digest, survived.version) == (undisturbed.digest, 1)


def test_a_worker_that_dies_while_scoring_leaves_each_row_once(
    three_days: ScoreJob, score_values: Values
) -> None:
    killer = Killer(score=3)
    result = score(three_days, "local-processes", 2, killer)
    assert killer.killed == ["score"]
    survived = scored(score_values)
    assert result.rows_in == result.rows_scored == len(survived) == 450
    assert survived["id"].is_unique
    score(three_days, "local", 1)
    columns = ["id", "day", "prediction", "prediction_low", "prediction_high"]
    pd.testing.assert_frame_equal(survived[columns], scored(score_values)[columns])


def deadly(function: Callable[..., Any], file: str, first_row: int) -> Callable[..., Any]:
    """The same function, which kills its process at one partition."""

    def run(partition: Any, *arguments: Any) -> Any:
        piece = partition.pieces[0]
        if piece.file.name == file and piece.first_row == first_row:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(partition, *arguments)

    return run


def test_a_partition_that_kills_every_worker_is_named_and_nothing_is_committed(
    three_days: ScoreJob, score_values: Values, monkeypatch: pytest.MonkeyPatch
) -> None:
    score(three_days, "local", 1)
    before = scored(score_values)
    file = f"day={DAYS[1]}/sales.parquet"
    kills = deadly(staging.score_work_unit, file, 50)
    monkeypatch.setattr(staging, "score_work_unit", kills)
    allowed = dask.config.set({"distributed.scheduler.allowed-failures": 1})
    with allowed, pytest.raises(ClusterError) as caught:
        score(three_days, "local-processes", 2)
    assert f"{file}, row groups 1 to 1: its workers died, 2 times" in str(caught.value)
    assert "Give the workers more memory" in str(caught.value)
    pd.testing.assert_frame_equal(scored(score_values), before)


def dies_twice(item: int, victim: int, folder: str) -> int:
    """The item; a process of the victim kills itself, unless two have done so."""
    deaths = Path(folder)
    if item == victim and len(list(deaths.iterdir())) < 2:
        (deaths / str(os.getpid())).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return item


def add(left: int, right: int) -> int:
    return left + right


def test_an_item_that_dask_gives_up_is_run_once_more_alone(tmp_path: Path) -> None:
    allowed = dask.config.set({"distributed.scheduler.allowed-failures": 1})
    with allowed, connect("local-processes", 2) as workers:
        function = partial(dies_twice, victim=4, folder=str(tmp_path))
        assert workers.reduce(function, add, range(9)) == sum(range(9))
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("_", range(2))  # An innocent one was blamed in one of six runs.
def test_the_item_that_kills_is_named_and_none_that_waited_beside_it(_: int) -> None:
    allowed = dask.config.set({"distributed.scheduler.allowed-failures": 1})
    with (
        allowed,
        connect("local-processes", 2) as workers,
        pytest.raises(ClusterError, match=r"^5: its workers died, 2 times"),
    ):
        list(workers.map(kills, range(9), 5))


def kills(item: int, victim: int) -> None:
    if item == victim:
        time.sleep(0.02)  # Until others wait behind it.
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.01)


@pytest.mark.parametrize("seed", range(3))
def test_workers_that_die_at_random_moments_leave_each_row_once(
    three_days: ScoreJob, score_values: Values, seed: int
) -> None:
    rng, total = random.Random(seed), 9
    moments = {done: rng.uniform(0, 0.1) for done in rng.sample(range(1, total), 3)}
    killed = []

    def kill(stage: str, done: int, _: int) -> None:
        if stage == "score" and done in moments:
            time.sleep(moments[done])
            victims = sorted(worker_processes())
            os.kill(rng.choice(victims), signal.SIGKILL)
            killed.append(done)

    result = score(three_days, "local-processes", 2, kill)
    assert sorted(killed) == sorted(moments)
    assert result.rows_in == result.rows_scored == 450
    assert scored(score_values)["id"].tolist() == ids(score_values)
    verify(score_values["output"]["path"], deep=True)


def ids(values: Values) -> list[int]:
    folder = Path(values["data"]["path"])
    frames = [pd.read_parquet(folder / f"day={day}" / "sales.parquet") for day in DAYS]
    return sorted(pd.concat(frames)["id"])


def greedy(function: Callable[..., Any], file: str, once: Path | None) -> Callable[..., Any]:
    """The same function, which takes all memory at one file; only the first time, if so asked."""

    def run(partition: Any, *arguments: Any) -> Any:
        if partition.pieces[0].file.name == file and not (once and once.exists()):
            if once:
                once.touch()
            taken = []
            while True:
                taken.append(bytearray(os.urandom(1 << 20) * 25))
                time.sleep(0.02)
        return function(partition, *arguments)

    return run


@pytest.fixture
def narrow_cluster(tmp_path: Path) -> Iterator[str]:
    """A scheduler, and a worker that its nanny kills above a limit of memory."""
    there = tmp_path / "scheduler.json"
    common = ("--scheduler-file", str(there), "--host", "127.0.0.1", "--no-dashboard")
    worker = ("--nthreads", "1", "--memory-limit", "700MiB")
    allowed = {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "1"}
    with (
        dask_process("scheduler", *common, "--port", "0", folder=tmp_path, **allowed),
        dask_process("worker", *common, *worker, folder=tmp_path),
        Client(scheduler_file=str(there), timeout=60, set_as_default=False) as client,
    ):
        client.wait_for_workers(1, timeout=60)
        yield client.scheduler.address


@pytest.mark.parametrize("again", [False, True], ids=["once", "each time"])
def test_a_worker_killed_for_its_memory_is_replaced_or_its_partition_named(
    three_days: ScoreJob,
    score_values: Values,
    narrow_cluster: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    again: bool,
) -> None:
    file, once = f"day={DAYS[1]}/sales.parquet", tmp_path / "once"
    hungry = greedy(staging.score_work_unit, file, None if again else once)
    with monkeypatch.context() as patch:
        patch.setattr(staging, "score_work_unit", hungry)
        if not again:
            assert score(three_days, narrow_cluster).rows_scored == 450
            assert once.exists()
        else:
            with pytest.raises(ClusterError, match="its workers died, 2 times") as caught:
                score(three_days, narrow_cluster)
            assert file in str(caught.value)
            assert not DeltaTable.is_deltatable(score_values["output"]["path"])
    if again:
        # What the other partitions had done is kept.
        assert score(three_days, "local", 1).work_units_resumed > 0
    assert scored(score_values)["id"].tolist() == ids(score_values)
    verify(score_values["output"]["path"])


# The driver dies. It runs in a process of its own, and stops just where the test wants to kill it.

DRIVER = textwrap.dedent(
    """
    import sys, time
    from pathlib import Path
    from lasso_jobs import ScoreJob, score
    from lasso_jobs.sinks import delta, run_table

    job, signal, function, table = sys.argv[1:]
    module = delta if function == "commit" else run_table
    original = getattr(module, function)

    def stopped(first, *arguments):
        if (first if isinstance(first, str) else first.root).endswith(table):
            Path(signal).touch()
            time.sleep(600)
        return original(first, *arguments)

    setattr(module, function, stopped)
    score(ScoreJob.from_yaml(job), workers=1)
    """
)


def kill_driver(values: Values, folder: Path, function: str, table: str) -> None:
    """Run a scoring job until it calls a function for a table, and kill it there."""
    job, reached = folder / "job.yaml", folder / "reached"
    job.write_text(yaml.safe_dump(values))
    command = [sys.executable, "-c", DRIVER, str(job), str(reached), function, table]
    driver = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not reached.exists() and driver.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
    finally:
        driver.kill()
        _, said = driver.communicate()
    assert reached.exists(), said
    assert driver.returncode == -signal.SIGKILL


@pytest.fixture
def two_generations(score_values: Values, own_shop: Path) -> Values:
    """A day that is scored and then changes, a row of it for the worse; the next is new."""
    where = f"day in ('{DAYS[0]}', '{DAYS[1]}')"
    values = {**score_values, "data": {"path": str(own_shop), "where": where}}
    only_first = {**values, "data": {"path": str(own_shop), "where": f"day == '{DAYS[0]}'"}}
    score(ScoreJob.from_values(only_first), workers=1)
    path = own_shop / f"day={DAYS[0]}" / "sales.parquet"
    frame = pd.read_parquet(path, partitioning=None)
    frame.loc[4, "visits"] = float("inf")
    frame.assign(price=frame["price"] + 1).to_parquet(path)
    return values


@pytest.mark.parametrize(
    ("function", "table"),
    [("commit", "quarantine"), ("commit", "scores"), ("replace_rows", "drift")],
    ids=["between drift and quarantine", "between quarantine and scores", "before the drift"],
)
def test_a_driver_that_is_killed_leaves_the_old_or_the_new_generation_and_can_run_again(
    two_generations: Values, tmp_path: Path, function: str, table: str
) -> None:
    before, output = scored(two_generations), Path(two_generations["output"]["path"])
    kill_driver(two_generations, tmp_path, function, table)
    between = scored(two_generations)
    # Its files are written, and no reader sees them.
    assert len(list(output.rglob("*.parquet"))) > len(DeltaTable(output).file_uris())
    pd.testing.assert_frame_equal(between, before)
    drift = DeltaTable(two_generations["drift"]["path"]).to_pandas()
    assert len(drift) == (15 if function == "commit" else 5)

    result = score(ScoreJob.from_values(two_generations), workers=1)
    after = scored(two_generations)
    bad = DeltaTable(f"{output}-quarantine").to_pandas()
    assert (result.rows_scored, result.rows_quarantined) == (299, 1)
    assert after["id"].is_unique
    assert len(after) == 299
    assert set(after["run_id"]) == {result.run_id}
    assert bad["row"].tolist() == [4]
    rows = DeltaTable(two_generations["drift"]["path"]).to_pandas()
    assert not rows.duplicated(["run_id", "partition", "feature"]).any()
    assert len(rows) == 15
