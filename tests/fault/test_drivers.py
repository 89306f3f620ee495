"""A driver that dies at any moment and is started again: the same table, and no work twice."""

import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from deltalake import DeltaTable

from lasso_jobs import ScoreJob, score
from lasso_jobs.errors import OutputError
from lasso_jobs.outputs.vacuum import vacuum
from lasso_jobs.outputs.verify import verify
from lasso_jobs.scoring import run, staging
from lasso_jobs.scoring.nights import find_night, score_nights

from ..conftest import a_day

pytestmark = [pytest.mark.fault, pytest.mark.slow]

Values = dict[str, Any]
NIGHT = "2024-02-01"
DAYS, ROWS = 25, 80
UNITS = 2 * DAYS
BAD_ROWS = 6
PATIENCE_SECONDS = 60

DRIVER = textwrap.dedent(
    """
    import sys, time
    from pathlib import Path
    from lasso_jobs import ScoreJob
    from lasso_jobs.data import dataset
    from lasso_jobs.scoring import staging
    from lasso_jobs.scoring.nights import score_nights

    job, night, done = sys.argv[1:]
    dataset.UNIT_ROWS = 40
    original = staging.score_work_unit

    def counted(partition, *arguments):
        scored = original(partition, *arguments)
        time.sleep(0.01)
        with open(done, "a") as file:
            file.write(f"{partition}\\n")
        return scored

    staging.score_work_unit = counted
    Path(done).touch()
    (result,) = score_nights(ScoreJob.from_yaml(job), [night], "missing", workers=2)
    sys.exit(result.error)
    """
)


def write_night(folder: Path) -> Path:
    """A night of 25 files of two row groups, a few of whose rows cannot be scored."""
    for i in range(DAYS):
        table = a_day(100 + i, ROWS)
        if i < BAD_ROWS:
            visits = table["visits"].to_numpy().copy()
            visits[7 * i] = np.inf
            table = table.set_column(
                table.schema.get_field_index("visits"), "visits", pa.array(visits)
            )
        path = folder / f"night={NIGHT}" / f"day=d{i:02d}" / "sales.parquet"
        path.parent.mkdir(parents=True)
        pq.write_table(table, path, row_group_size=40)
    return folder


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_night(tmp_path_factory.mktemp("night") / "data")


def values_of(folder: Path, night: Path, registry: Path) -> Values:
    return {
        "model": "sales",
        "data": {"path": str(night), "where": "night == '{date}'"},
        "keys": ["id"],
        "output": {"path": str(folder / "scores"), "partition_by": "day"},
        "drift": {"path": str(folder / "drift")},
        "registry": str(registry),
    }


@pytest.fixture
def values(tmp_path: Path, night: Path, registry: Path) -> Values:
    return values_of(tmp_path, night, registry)


@pytest.fixture(autouse=True)
def units(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every row group is a work unit."""
    monkeypatch.setattr("lasso_jobs.data.dataset.UNIT_ROWS", 40)


def tables(values: Values) -> list[pd.DataFrame]:
    """The output, the quarantine and the drift, without the names and the time of the run."""
    root = values["output"]["path"]
    found = [
        DeltaTable(root).to_pandas().sort_values("id"),
        DeltaTable(f"{root}-quarantine").to_pandas().sort_values(["file", "row"]),
        DeltaTable(values["drift"]["path"]).to_pandas().sort_values(["partition", "feature"]),
    ]
    for frame in found:
        assert frame["run_id"].nunique() == 1
        assert frame.get("scored_at", pd.Series([0])).nunique() == 1
    runs = ["run_id", "scored_at"]
    return [frame.drop(columns=runs, errors="ignore").reset_index(drop=True) for frame in found]


@pytest.fixture(scope="module")
def undisturbed(
    tmp_path_factory: pytest.TempPathFactory, night: Path, registry: Path
) -> list[pd.DataFrame]:
    """What a run leaves that nothing disturbs."""
    values = values_of(tmp_path_factory.mktemp("undisturbed"), night, registry)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lasso_jobs.data.dataset.UNIT_ROWS", 40)
        result = score(ScoreJob.from_values(values).on(NIGHT), workers=2)
    assert (result.work_units, result.work_units_resumed) == (UNITS, 0)
    assert (result.rows_in, result.rows_quarantined) == (DAYS * ROWS, BAD_ROWS)
    return tables(values)


def is_as(values: Values, expected: list[pd.DataFrame]) -> None:
    for found, other in zip(tables(values), expected, strict=True):
        pd.testing.assert_frame_equal(found, other)
    verify(values["output"]["path"])


def journaled(values: Values) -> list[Path]:
    return sorted(Path(values["output"]["path"]).glob("_lasso/journal/*/unit-*.json"))


class Drivers:
    """Drivers of one job, each a process of its own."""

    def __init__(self, folder: Path, values: Values) -> None:
        self.job, self.done = folder / "job.yaml", folder / "done"
        self.job.write_text(yaml.safe_dump(values))

    def start(self) -> "subprocess.Popen[str]":
        """Start one, and wait until it begins to work."""
        self.done.unlink(missing_ok=True)
        command = [sys.executable, "-c", DRIVER, str(self.job), NIGHT, str(self.done)]
        driver = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not self.done.exists() and driver.poll() is None and time.monotonic() < deadline:
            time.sleep(0.005)
        return driver

    def units(self) -> list[str]:
        """The work units that the newest one scored."""
        return self.done.read_text().splitlines()


@pytest.fixture
def scored_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """The work units that this process scores."""
    original, noted = staging.score_work_unit, tmp_path / "scored here"
    noted.touch()

    def counted(partition: Any, *arguments: Any) -> Any:
        scored = original(partition, *arguments)
        with noted.open("a") as file:
            file.write(f"{partition}\n")
        return scored

    monkeypatch.setattr(staging, "score_work_unit", counted)
    return lambda: noted.read_text().splitlines()


# The crash points are all tried elsewhere; here two threads are at work when the kill comes.
@pytest.mark.parametrize("seed", range(6))
def test_a_driver_killed_at_a_random_moment_is_gone_on_with(
    tmp_path: Path,
    values: Values,
    undisturbed: list[pd.DataFrame],
    scored_here: Callable[[], list[str]],
    seed: int,
) -> None:
    drivers, rng = Drivers(tmp_path, values), random.Random(seed)
    driver = drivers.start()
    # A stage and a moment in it: before the work, at any unit of it, at the commits.
    wanted = rng.choice([0, *rng.sample(range(1, UNITS), 3), UNITS])
    deadline = time.monotonic() + PATIENCE_SECONDS
    while len(drivers.units()) < wanted and driver.poll() is None and time.monotonic() < deadline:
        time.sleep(0.001)
    time.sleep(rng.uniform(0, 0.3))
    driver.kill()
    _, said = driver.communicate()
    assert driver.returncode in (-signal.SIGKILL, 0), said
    root, job = Path(values["output"]["path"]), ScoreJob.from_values(values)
    before, kept = find_night(job, NIGHT).status, len(journaled(values))
    shown = len(DeltaTable(root).to_pandas()) if DeltaTable.is_deltatable(str(root)) else 0
    assert shown == (DAYS * ROWS - BAD_ROWS if before == "done" else 0)

    (again,) = score_nights(job, [NIGHT], "missing", workers=2)
    assert again.error is None
    # What was noted is not done again, whatever was written and not noted is.
    assert len(scored_here()) == (0 if before == "done" else UNITS - kept)
    assert len(set(scored_here())) == len(scored_here())
    is_as(values, undisturbed)
    assert find_night(job, NIGHT).status == "done"
    if before != "done":
        assert not journaled(values)


# A journal that is not as it was written.


class StoppedError(Exception):
    """Stands for a kill, just before the commits."""


@pytest.fixture
def stopped(values: Values, monkeypatch: pytest.MonkeyPatch) -> ScoreJob:
    """A run all of whose units are journaled, and nothing is committed."""
    job = ScoreJob.from_values(values)

    def stop(*_: object, **__: object) -> None:
        raise StoppedError

    with monkeypatch.context() as patch, pytest.raises(StoppedError):
        patch.setattr(run, "measure_drift", stop)
        score(job.on(NIGHT), workers=2)
    assert len(journaled(values)) == UNITS
    assert not DeltaTable.is_deltatable(job.output.path)
    return job


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


def empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [cut, flip, empty, Path.unlink])
@pytest.mark.parametrize("pattern", ["_lasso/journal/*/unit-*.json", "day=*/*.parquet"])
def test_what_is_damaged_is_scored_anew_and_the_rest_is_not(
    values: Values,
    stopped: ScoreJob,
    undisturbed: list[pd.DataFrame],
    damage: Callable[[Path], None],
    pattern: str,
) -> None:
    for path in sorted(Path(stopped.output.path).glob(pattern))[::10]:
        damage(path)
    result = score(stopped.on(NIGHT), workers=2)
    assert (result.work_units, result.work_units_resumed) == (UNITS, UNITS - UNITS // 10)
    is_as(values, undisturbed)


def test_a_damaged_file_of_the_quarantine_is_written_anew(
    values: Values, stopped: ScoreJob, undisturbed: list[pd.DataFrame]
) -> None:
    flip(sorted(Path(f"{stopped.output.path}-quarantine").rglob("*.parquet"))[0])
    assert score(stopped.on(NIGHT), workers=2).work_units_resumed == UNITS - 1
    is_as(values, undisturbed)


@pytest.mark.parametrize("damage", [cut, flip, Path.unlink])
def test_a_journal_without_its_head_counts_for_nothing(
    values: Values,
    stopped: ScoreJob,
    undisturbed: list[pd.DataFrame],
    damage: Callable[[Path], None],
) -> None:
    (head,) = Path(stopped.output.path).glob("_lasso/journal/*/run.json")
    damage(head)
    assert score(stopped.on(NIGHT), workers=2).work_units_resumed == 0
    is_as(values, undisturbed)


def test_a_journal_of_another_version_counts_for_nothing(
    values: Values, stopped: ScoreJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lasso_jobs.scoring.journal._version", lambda: "another")
    assert score(stopped.on(NIGHT), workers=2).work_units_resumed == 0


def test_a_journal_of_another_cut_of_the_files_counts_for_nothing(
    values: Values, stopped: ScoreJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lasso_jobs.data.dataset.UNIT_ROWS", 10_000)
    result = score(stopped.on(NIGHT), workers=2)
    assert (result.work_units, result.work_units_resumed) == (1, 0)


def test_a_run_that_goes_on_has_the_time_at_which_it_was_started(
    values: Values, stopped: ScoreJob
) -> None:
    (head,) = Path(stopped.output.path).glob("_lasso/journal/*/run.json")
    time.sleep(0.05)
    score(stopped.on(NIGHT), workers=2)
    (at,) = DeltaTable(stopped.output.path).to_pandas()["scored_at"].unique()
    assert pd.Timestamp(at).timestamp() <= time.time() - 0.05
    assert not head.exists()


def test_a_changed_source_starts_anew(tmp_path: Path, registry: Path) -> None:
    own = write_night(tmp_path / "own")
    values = values_of(tmp_path, own, registry)
    job = ScoreJob.from_values({**values, "bad_rows": 2})
    assert score_nights(job, [NIGHT], workers=2)[0].error is not None
    assert len(journaled(values)) == UNITS
    for i in range(BAD_ROWS):
        path = own / f"night={NIGHT}" / f"day=d{i:02d}" / "sales.parquet"
        pq.write_table(a_day(100 + i, ROWS), path, row_group_size=40)
    (again,) = score_nights(job, [NIGHT], workers=2)
    assert again.result is not None
    assert again.result.work_units_resumed == 0
    assert not list(Path(job.output.path).glob("_lasso/journal/*"))


# Every task twice, on purpose.


@pytest.mark.parametrize("kept", [0, 1], ids=["the first counts", "the second counts"])
def test_every_task_run_twice_gives_the_same_table(
    values: Values, undisturbed: list[pd.DataFrame], monkeypatch: pytest.MonkeyPatch, kept: int
) -> None:
    once = staging.score_work_unit

    def twice(*arguments: Any) -> Any:
        return [once(*arguments), once(*arguments)][kept]

    monkeypatch.setattr(staging, "score_work_unit", twice)
    score(ScoreJob.from_values(values).on(NIGHT), workers=2)
    is_as(values, undisturbed)
    left = vacuum(values["output"]["path"], 0, remove=True)
    assert len(left.orphans) == UNITS + BAD_ROWS
    is_as(values, undisturbed)


def test_two_drivers_of_one_run_leave_it_once(
    tmp_path: Path, values: Values, undisturbed: list[pd.DataFrame]
) -> None:
    first, second = (Drivers(tmp_path / name, values) for name in named(tmp_path, "one", "two"))
    drivers = [first.start(), second.start()]
    said = [driver.communicate()[1] for driver in drivers]
    failed = [text for driver, text in zip(drivers, said, strict=True) if driver.returncode]
    assert len(failed) < 2, failed
    for text in failed:
        assert "another run committed the same partitions meanwhile" in text
    is_as(values, undisturbed)


def named(folder: Path, *names: str) -> tuple[str, ...]:
    for name in names:
        (folder / name).mkdir()
    return names


# A disk that is full.


@pytest.fixture
def small_disk(tmp_path: Path) -> Any:
    """A file system of a given size in KiB."""
    place = tmp_path / "disk"
    place.mkdir()

    def mount(kib: int) -> Path:
        command = ["mount", "-t", "tmpfs", "-o", f"size={kib}k", "tmpfs", str(place)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"mounting a tmpfs is not permitted here: {done.stderr.strip()}")
        return place

    yield mount
    if os.path.ismount(place):
        subprocess.run(["umount", "-l", str(place)], check=True)


def resize(place: Path, kib: int) -> None:
    subprocess.run(["mount", "-o", f"remount,size={kib}k", str(place)], check=True)


def test_a_disk_that_fills_while_staging_leaves_the_old_generation(
    small_disk: Callable[[int], Path],
    night: Path,
    registry: Path,
    undisturbed: list[pd.DataFrame],
) -> None:
    place = small_disk(16_384)
    values = values_of(place, night, registry)
    job = ScoreJob.from_values(values)
    score(job.on(NIGHT), workers=1)
    is_as(values, undisturbed)
    resize(place, used_kib(place) + 60)
    with pytest.raises(OutputError, match="No space left on device"):
        score(job.on(NIGHT), workers=1)
    is_as(values, undisturbed)
    kept = len(journaled(values))
    assert kept < UNITS
    resize(place, 16_384)
    assert score(job.on(NIGHT), workers=1).work_units_resumed == kept
    is_as(values, undisturbed)


@pytest.mark.parametrize("table", ["drift", "scores-quarantine", "scores"])
def test_a_disk_that_fills_while_committing_leaves_the_old_generation(
    small_disk: Callable[[int], Path],
    night: Path,
    registry: Path,
    undisturbed: list[pd.DataFrame],
    monkeypatch: pytest.MonkeyPatch,
    table: str,
) -> None:
    place = small_disk(16_384)
    values = values_of(place, night, registry)
    job = ScoreJob.from_values(values)
    score(job.on(NIGHT), workers=1)
    before = DeltaTable(job.output.path).version()
    full = FullDisk(place, table)
    with monkeypatch.context() as patch, pytest.raises(OutputError) as caught:
        patch.setattr("lasso_jobs.sinks.delta._Turn.swap", lambda *turn: full.swap(*turn))
        score(job.on(NIGHT), workers=1)
    assert full.filled
    assert "No space left on device" in str(caught.value)
    (place / "filling").unlink()
    assert DeltaTable(job.output.path).version() == before
    is_as_output(values, undisturbed)
    assert score(job.on(NIGHT), workers=1).work_units_resumed == UNITS
    is_as(values, undisturbed)


def is_as_output(values: Values, expected: list[pd.DataFrame]) -> None:
    """Quarantine and drift may be ahead of the output, never behind it."""
    for found, other in zip(tables(values), expected, strict=True):
        pd.testing.assert_frame_equal(found, other)


class FullDisk:
    """Fills a disk to the last byte just before a table's commit."""

    def __init__(self, place: Path, table: str) -> None:
        from lasso_jobs.sinks import delta

        self.place, self.table, self.original, self.filled = place, table, delta._Turn.swap, False

    def swap(self, turn: Any, state: Any) -> Any:
        if Path(turn.change.root).name == self.table:
            with (self.place / "filling").open("ab", buffering=0) as file:
                try:
                    while True:
                        file.write(b"\0" * 4096)
                except OSError:
                    self.filled = True
        return self.original(turn, state)


def used_kib(place: Path) -> int:
    state = os.statvfs(place)
    return (state.f_blocks - state.f_bfree) * state.f_frsize // 1024


TOLD_TO_STOP = textwrap.dedent(
    """
    import os, signal
    from contextlib import contextmanager
    from lasso_jobs import __main__
    from lasso_jobs.cli import terminal
    from lasso_jobs.data import dataset

    dataset.UNIT_ROWS = 50

    @contextmanager
    def progress(quiet):
        def stop(stage, done, total):
            if stage == "score" and done == 3:
                assert done < total
                os.kill(os.getpid(), signal.SIGTERM)
        yield stop

    terminal.progress = progress
    __main__.run()
    """
)


def test_a_command_told_to_stop_closes_its_cluster_and_says_so_in_one_line(
    tmp_path: Path, score_values: Values
) -> None:
    job = tmp_path / "score.yaml"
    job.write_text(yaml.safe_dump(score_values))
    options = ("score", str(job), "--debug", "--cluster", "local-processes", "--workers", "2")
    secret = "the-secret-of-a-test"
    done = subprocess.run(
        [sys.executable, "-c", TOLD_TO_STOP, *options],
        env={**os.environ, "AWS_SECRET_ACCESS_KEY": secret, "MARK_OF_THE_RUN": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert done.returncode == 130, done.stderr
    lines = [line for line in done.stderr.splitlines() if not line.startswith("INFO:")]
    assert lines == [
        "lasso-jobs: Interrupted. Each output is as its last commit left it; run the same "
        "command again to continue."
    ]
    assert secret not in done.stdout + done.stderr
    left = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get("MARK_OF_THE_RUN") == str(tmp_path):
                left.append(process.cmdline())
    assert left == []
    assert not DeltaTable.is_deltatable(score_values["output"]["path"])
