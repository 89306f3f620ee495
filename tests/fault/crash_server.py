"""Scores, and looks at what is there, in forked children; one may die at any of its operations.

`test_crash_points` starts this as a script. A line on standard input is a request, a line on
standard output its answer. A fork shares what was imported, so that a run takes a tenth of a
second. Only children read, score or compute: threads do not survive a fork.
"""

import faulthandler
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import duckdb
import pandas as pd
import polars as pl
import pyarrow.dataset as ds
import sqlalchemy  # noqa: F401  all of these are imported when they are needed
from adbc_driver_manager import dbapi as adbc
from adbc_driver_postgresql import dbapi
from deltalake import DeltaTable
from pyarrow import fs

from lasso_jobs import ScoreJob
from lasso_jobs.data import dataset
from lasso_jobs.drift import facts, page  # noqa: F401  a run imports them when it needs them
from lasso_jobs.engine import cluster
from lasso_jobs.outputs.verify import verify
from lasso_jobs.scoring import nights
from lasso_jobs.sinks import database, delta, parquet_folder, postgresql
from lasso_jobs.storage import files

READ = ["id", "day", "prediction", "run_id"]


class Operations:
    """Counts what a process does to a folder, or to a database, and dies before one of them.

    Python itself tells of each file that is opened, linked, renamed or removed, whoever does it.
    What it does not tell of is wrapped: the halves of a write, fsync, deltalake and PostgreSQL.
    The requests to a bucket are counted by its server.
    """

    def __init__(self, folder: str, deadly: int | None) -> None:
        self.folder, self.deadly, self.done = folder, deadly, list[str]()
        self.writing = False

    def watch_files(self) -> None:
        sys.addaudithook(self._audited)
        os.fsync = self._wrapped(os.fsync, "fsync")
        files._to_disk = self._torn(files._to_disk)
        for owner, name in (
            (delta, "create_table_with_add_actions"),
            (DeltaTable, "create_write_transaction"),
        ):
            setattr(owner, name, self._wrapped(getattr(owner, name), name, after=True))

    def watch_database(self) -> None:
        run = database.Session.run
        changing = self._wrapped(run, "a statement")
        database.Session.run = lambda session, statement, values=(): (
            run if statement.startswith("SELECT") else changing
        )(session, statement, values)
        adbc.Connection.commit = self._wrapped(adbc.Connection.commit, "commit", after=True)
        adbc.Cursor.adbc_ingest = self._wrapped(adbc.Cursor.adbc_ingest, "ingest")

    def watch_bucket(self, watch: bool = True) -> None:
        moment = self.deadly if watch and self.deadly is not None else -1
        address = f"{os.environ['AWS_ENDPOINT_URL']}/-/kill?pid={os.getpid()}&moment={moment}"
        urlopen(Request(address, method="PUT")).close()

    def next(self, name: str, last_deed: Callable[[], object] = lambda: None) -> None:
        self.done.append(name)
        if len(self.done) - 1 == self.deadly:
            self.deadly = None
            last_deed()
            os.kill(os.getpid(), signal.SIGKILL)

    def _audited(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event not in ("open", "os.rename", "os.link", "os.remove"):
            return
        reads = event == "open" and not arguments[2] & (os.O_WRONLY | os.O_RDWR)
        if reads or (event == "open" and self.writing):
            return
        opened_by_number = isinstance(arguments[0], int)
        place = "" if opened_by_number else str(Path(os.fspath(arguments[0])).absolute())
        if place.startswith(self.folder):
            self.next(f"{event.removeprefix('os.')} {place.removeprefix(self.folder)}")

    def _wrapped(self, function: Any, name: str, after: bool = False) -> Any:
        def wrapped(*arguments: Any, **options: Any) -> Any:
            self.next(f"before {name}")
            result = function(*arguments, **options)
            if after:
                self.next(f"after {name}")
            return result

        return wrapped

    def _torn(self, to_disk: Any) -> Any:
        def torn(target: Path, content: Any, **how: Any) -> None:
            def half() -> None:
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(bytes(content)[: len(content) // 2])

            self.writing = True
            self.next("half a write", half)
            to_disk(target, content, **how)
            self.writing = False

        return torn


def seen_by_others(format_: str, root: str) -> list[list[Any]]:
    """The rows that pandas, Polars and DuckDB find, which agree."""
    if format_ == "postgresql":
        query = f"SELECT {', '.join(READ)} FROM {root}"
        with dbapi.connect(os.environ[database.VARIABLE]) as connection:
            pandas, polars = (
                pd.read_sql(query, connection),
                pl.read_database(query, connection),
            )
            duck = duckdb.from_arrow(polars.to_arrow())
    elif format_ == "delta":
        table = DeltaTable(root)
        pandas, polars = table.to_pandas(), pl.read_delta(table.table_uri)
        duck = (
            duckdb.from_arrow(polars.to_arrow())
            if "://" in root
            else duckdb.read_parquet(table.file_uris(), hive_partitioning=True)
        )
    elif "://" in root:
        # DuckDB fetches what it needs for buckets from its makers' server.
        system, path = filesystem(root)
        hive = ds.partitioning(flavor="hive")
        pandas = ds.dataset(path, filesystem=system, format="parquet", partitioning=hive)
        pandas = pandas.to_table().to_pandas()
        polars = pl.read_parquet(f"{root}/day=*/*.parquet", hive_partitioning=True)
        duck = duckdb.from_arrow(polars.to_arrow())
    else:
        pattern = f"{root}/**/*.parquet"
        pandas, polars = pd.read_parquet(root), pl.read_parquet(pattern, hive_partitioning=True)
        duck = duckdb.read_parquet(pattern, hive_partitioning=True)
    found = [
        pandas[READ].itertuples(index=False, name=None),
        polars.select(READ).rows(),
        duck.select(*READ).fetchall(),
    ]
    one, *others = (sorted([id_, str(day), *rest] for id_, day, *rest in rows) for rows in found)
    assert all(other == one for other in others)
    return one


def filesystem(root: str) -> tuple[fs.FileSystem, str]:
    """What reads a place, and the place as it names it."""
    if "://" not in root:
        return fs.LocalFileSystem(), str(Path(root).absolute())
    endpoint = os.environ["AWS_ENDPOINT_URL"].removeprefix("http://")
    system = fs.S3FileSystem(
        access_key=os.environ["AWS_ACCESS_KEY_ID"],
        secret_key=os.environ["AWS_SECRET_ACCESS_KEY"],
        region=os.environ["AWS_REGION"],
        scheme="http",
        endpoint_override=endpoint,
    )
    return system, root.removeprefix("s3://")


def marker(root: str, day: str) -> Any:
    system, path = filesystem(root)
    try:
        with system.open_input_stream(f"{path}/_lasso/done/{day}.json") as file:
            return json.loads(file.read())
    except FileNotFoundError:
        return None


def journal(root: str) -> list[str]:
    """The files that a run has noted what is done in."""
    system, path = filesystem(root)
    below = fs.FileSelector(f"{path}/_lasso/journal", allow_not_found=True, recursive=True)
    return [found.path for found in system.get_file_info(below) if found.is_file]


def score(job: ScoreJob, day: str) -> dict[str, Any]:
    (night,) = nights.score_nights(job, [day], "missing")
    return {"fate": night.fate, "error": night.error}


def aftermath(job: ScoreJob, day: str) -> dict[str, Any]:
    """What others see after a kill, after a look at the date, and after the run is repeated."""
    format_, root = job.output.format, job.output.path
    told: dict[str, Any] = {
        "at once": seen_by_others(format_, root),
        "marker at once": marker(root, day),
        "status": nights.find_night(job, day).status,
        "after a look": seen_by_others(format_, root),
        **score(job, day),
        "at last": seen_by_others(format_, root),
        "marker at last": marker(root, day),
        "status at last": nights.find_night(job, day).status,
        "left": journal(root),
    }
    bad = parquet_folder if format_ == "parquet" else postgresql if format_ != "delta" else delta
    beside = nights.quarantine_place(root, format_)
    told["quarantined"] = bad.read(beside, ["row"], (("day", day),)).num_rows
    if format_ == "delta":
        told["rescored"] = verify(root, deep=True).rows_rescored
    return told


class InOrder:
    """Workers without a thread, as a process that forks must have none."""

    def map(self, function: Any, items: Any, *arguments: Any, **_: Any) -> Iterator[Any]:
        return ((i, function(item, *arguments)) for i, item in enumerate(items))


@contextmanager
def in_order(*_: object) -> Iterator[InOrder]:
    yield InOrder()


def act(request: dict[str, Any]) -> dict[str, Any]:
    os.environ |= request["environment"]
    os.chdir(request["folder"])
    dataset.UNIT_ROWS = request["unit_rows"]
    if not request["cluster"]:
        cluster.connect = in_order
    job, day = ScoreJob.from_values(request["job"]), request["day"]
    operations = Operations(request["folder"], request["deadly"])
    if in_a_bucket := "://" in job.output.path:
        operations.watch_bucket()
    if request["act"] == "aftermath":
        return aftermath(job, day)
    if job.output.format == "postgresql":
        operations.watch_database()
    elif not in_a_bucket:
        operations.watch_files()
    told = {**score(job, day), "operations": operations.done}
    if in_a_bucket:
        operations.watch_bucket(False)
    return told


def main() -> None:
    for line in sys.stdin:
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            faulthandler.dump_traceback_later(20, exit=True)
            try:
                told = act(json.loads(line))
            except Exception:  # noqa: BLE001 the test tells it
                told = {"error": traceback.format_exc()}
            with os.fdopen(writer, "w") as file:
                json.dump(told, file)
            os._exit(0)
        os.close(writer)
        with os.fdopen(reader) as file:
            told = file.read()
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        answer = {"status": status, **(json.loads(told) if status == 0 and told else {})}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
