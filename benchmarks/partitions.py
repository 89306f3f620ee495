"""A thousand partitions of one megabyte, and the same rows in 20 files, on a remote scheduler.

    python -m benchmarks.partitions FOLDER JOB JOB ...

starts ``dask scheduler`` and two workers of one thread, trains by each job in turn, the first for
the workers' imports only, and prints the seconds of the others as whole processes.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pyarrow.parquet as pq

from benchmarks import data
from benchmarks.bars.case import Bar, Case, Command, Setting
from benchmarks.processes import run
from benchmarks.train import trains, write_job

PARTITIONS, FILES, WORKERS = 1_000, 20, 2
START_SECONDS, STOP_SECONDS = 60, 10


def _partitions(setting: Setting) -> Mapping[str, Command]:
    folder = setting.folder / f"partitions-{setting.rows}x{setting.features}"
    many = data.write(folder / "written", setting.rows, setting.features, PARTITIONS)
    files = sorted(many.glob("*.parquet"))
    few, parted = folder / "few", folder / "many"
    if not parted.exists():
        few.mkdir(exist_ok=True)
        for i in range(FILES):
            parts = files[i * PARTITIONS // FILES : (i + 1) * PARTITIONS // FILES]
            schema = pq.read_schema(parts[0])
            with pq.ParquetWriter(
                few / f"{i:02}.parquet", schema, compression="zstd", use_dictionary=False
            ) as writer:
                writer.write_table(pq.ParquetDataset(parts).read())
        staged = folder / "staged"
        for i, file in enumerate(files):
            (staged / f"region={i:04}").mkdir(parents=True, exist_ok=True)
            target = staged / f"region={i:04}" / "part.parquet"
            target.unlink(missing_ok=True)
            target.hardlink_to(file)
        staged.rename(parted)
    jobs = [
        write_job(folder, few, "warm-up"),
        write_job(folder, few, "few"),
        write_job(folder, parted, "many", features={"exclude": ["row_id", "region"]}),
    ]
    module = ["-m", "benchmarks.partitions", str(folder)]
    return {"remote": Command([*module, *(str(job) for job in jobs)], "many")}


CASE = Case(
    "partitions",
    "A thousand partitions, and the same rows in 20 files, on a remote scheduler with two workers.",
    1_240_000,
    100,
    _partitions,
    (
        Bar(
            "1,000 partitions beside 20 files, remote, whole",
            ("remote", "many"),
            1.3,
            ("remote", "few"),
        ),
    ),
)


def main(folder: str, *jobs: str) -> None:
    seconds = {}
    with _scheduler(Path(folder)) as address:
        for job in jobs:
            command = trains(Path(job), "--cluster", address)
            seconds[Path(job).stem] = run(command.arguments).seconds
    sys.stdout.write(json.dumps({"seconds": seconds}))


@contextmanager
def _scheduler(folder: Path) -> Iterator[str]:
    """A scheduler with its workers, by its address; both end with the ``with`` block."""
    dask, started = [sys.executable, "-m", "dask"], []
    with tempfile.TemporaryDirectory(dir=folder) as place:
        found = Path(place) / "scheduler.json"
        where = ["--scheduler-file", str(found), "--no-dashboard"]
        worker = ["--nthreads", "1", "--no-nanny", "--local-directory", place]
        commands = [[*dask, "scheduler", *where, "--host", "127.0.0.1", "--port", "0"]]
        commands += [[*dask, "worker", *where, *worker]] * WORKERS
        try:
            for command in commands:
                with (Path(place) / "log").open("a") as log:
                    started.append(subprocess.Popen(command, stderr=log, stdout=log))
                deadline = time.monotonic() + START_SECONDS
                while not found.exists():
                    if time.monotonic() > deadline or started[0].poll() is not None:
                        raise SystemExit(f"no scheduler: {(Path(place) / 'log').read_text()}")
                    time.sleep(0.1)
            yield json.loads(found.read_text())["address"]
        finally:
            # The workers first: one whose scheduler is gone may wait for it.
            for process in reversed(started):
                process.terminate()
                try:
                    process.wait(STOP_SECONDS)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
