"""A driver that is killed at each of its operations in turn, while it replaces a date's rows.

After each kill, pandas, Polars and DuckDB find the old or the new rows, wholly; in a plain folder,
after anything has been asked of the output. The run is then repeated: it shows the new rows.

On disk, an operation is what Python does or is about to do. deltalake writes its commits by code
that no hook of Python reaches, so that a kill falls before or after a commit of it. In a bucket, an
operation is a request that changes something, and the server kills: each request of such a commit
is among them.

One operation in seven is tried, and all of them by ``--every-crash-point``.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lasso_jobs import MonitorJob, ScoreJob, load_model
from lasso_jobs.engine.cluster import connect
from lasso_jobs.monitoring.plan import plan as monitoring_plan
from lasso_jobs.progress import Stages
from lasso_jobs.scoring.nights import find_night
from lasso_jobs.scoring.plan import plan
from lasso_jobs.scoring.run import run_stages
from lasso_jobs.sinks import database
from lasso_jobs.storage import files

from .. import servers
from ..conftest import a_day
from .crash_server import marker, seen_by_others

pytestmark = pytest.mark.fault
DAY, OTHER = "2024-01-09", "2024-01-10"
ROWS = 24
BAD = {"old": 1, "new": 2}
STRIDE = 7
Answer = dict[str, Any]
Rows = list[list[Any]]


def write_day(data: Path, day: str, index: int, bad_rows: int) -> pd.DataFrame:
    """Rows of a day, of which the first cannot be scored; return the others."""
    frame = a_day(index, ROWS).to_pandas()
    frame["visits"] = frame["visits"].mask(frame.index < bad_rows, np.inf)
    path = data / f"day={day}" / "sales.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    frame.to_parquet(path, row_group_size=ROWS // 2)
    return frame.iloc[bad_rows:]


class Driver:
    """Runs of one job in children of a server that has imported all of it."""

    def __init__(self, server: "subprocess.Popen[str]", values: dict[str, Any]) -> None:
        self._server, self.values = server, values
        self.environment, self.day = dict[str, str](), DAY

    def __call__(
        self, act: str, folder: Path, deadly: int | None = None, *, cluster: bool = False
    ) -> Answer:
        request = {
            "act": act,
            "folder": str(folder),
            "job": self.values,
            "day": self.day,
            "deadly": deadly,
            # Each work unit opens connections of its own, which take a while.
            "unit_rows": ROWS if self.environment else ROWS // 2,
            "cluster": cluster,
            "environment": self.environment,
        }
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.write(json.dumps(request) + "\n")
        self._server.stdin.flush()
        return dict(json.loads(self._server.stdout.readline()))


@pytest.fixture(scope="module")
def server() -> Iterator["subprocess.Popen[str]"]:
    script = Path(__file__).with_name("crash_server.py")
    with subprocess.Popen(
        [sys.executable, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()


class Case:
    """An output whose date has old rows and a source of new ones, in a folder of its own."""

    def __init__(
        self,
        driver: Driver,
        base: Path,
        expected: dict[str, pd.DataFrame],
        bucket: str | None = None,
    ) -> None:
        self.driver, self.base, self.expected, self.bucket = driver, base, expected, bucket
        self.format = driver.values["output"]["format"]

    def copy(self, name: str) -> Path:
        if self.format == "postgresql":
            database_of(self.driver, name, "base")
        if self.bucket is not None:
            there = f"{self.bucket}/{name}"
            for each in files.names(f"{self.bucket}/base"):
                files.write(f"{there}/{each}", files.read(f"{self.bucket}/base/{each}"))
            self.driver.values = write_below(there, self.driver.values)
        return Path(shutil.copytree(self.base, self.base.with_name(name)))

    def is_whole(self, rows: Rows, generations: tuple[str, ...]) -> str:
        """The generation that a date shows, which is one of these; the other date is as ever."""
        assert self._are(rows, OTHER, "other")
        (found,) = [name for name in generations if self._are(rows, DAY, name)]
        assert len({run for _, day, _, run in rows if day == DAY}) == 1
        return found

    def _are(self, rows: Rows, day: str, generation: str) -> bool:
        found = sorted((id_, value) for id_, of, value, _ in rows if of == day)
        ids, predicted = self.expected[generation]["id"], self.expected[generation]["prediction"]
        return [id_ for id_, _ in found] == ids.to_list() and bool(
            np.allclose([value for _, value in found], predicted, rtol=1e-12)
        )

    def is_part(self, rows: Rows) -> None:
        """Some rows of one generation, none twice, or all."""
        assert self._are(rows, OTHER, "other")
        ids = [id_ for id_, day, _, _ in rows if day == DAY]
        assert len(set(ids)) == len(ids)
        assert len({run for _, day, _, run in rows if day == DAY}) <= 1

    def check_marker(self, marker: dict[str, Any] | None, rows: Rows) -> None:
        """A marker counts the rows that are shown, by the run that it names."""
        if marker is not None:
            runs = [run for _, day, _, run in rows if day == DAY]
            assert runs == [marker["run_id"]] * marker["rows_scored"]

    def kill_and_repeat(self, moment: int, *, cluster: bool = False) -> str | None:
        """Kill a run at one operation; None if it has no such, else what is shown after it."""
        folder = self.copy(f"killed_at_{moment}")
        killed = self.driver("score", folder, moment, cluster=cluster)
        if killed["status"] == 0:
            assert killed["error"] is None
            return None
        assert killed["status"] == -signal.SIGKILL
        told = self.driver("aftermath", folder, cluster=cluster)
        assert told.get("error") is None, told
        at_once = told["at once"]
        if self.format == "parquet":
            self.is_part(at_once)
        else:
            self.is_whole(at_once, ("old", "new"))
        if self.format == "delta":  # which says what is done by a version, not by rows
            told["marker at once"] = None
        self.check_marker(told["marker at once"], at_once)
        shown = self.is_whole(told["after a look"], ("old", "new"))
        assert (told["status"] == "done") == (shown == "new")
        assert told["fate"] == ("done" if shown == "new" else "scored")
        assert self.is_whole(told["at last"], ("new",))
        assert told["status at last"] == "done"
        assert told["quarantined"] == BAD["new"]
        if self.format != "postgresql":
            assert told["marker at last"]["rows_quarantined"] == BAD["new"]
            self.check_marker(told["marker at last"], told["at last"])
            assert shown == "new" or told["left"] == []
        assert self.format != "delta" or told["rescored"] > 0
        shutil.rmtree(folder)
        return shown


def write_below(root: str, values: dict[str, Any]) -> dict[str, Any]:
    """A job whose output and drift are below a place."""
    output = {**values["output"], "path": f"{root}/scores"}
    return {**values, "output": output, "drift": {"path": f"{root}/drift"}}


def database_of(driver: Driver, name: str, template: str) -> None:
    """Make a database, which the driver uses from now on."""
    from adbc_driver_postgresql import dbapi

    uri = os.environ[database.VARIABLE]
    with dbapi.connect(uri, autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    driver.environment[database.VARIABLE] = uri.replace("/postgres", f"/{name}")


PLACES = ["delta", "parquet", "postgresql", "delta in a bucket", "parquet in a bucket"]


@pytest.fixture(params=PLACES)
def case(
    request: pytest.FixtureRequest,
    server: "subprocess.Popen[str]",
    registry: Path,
    tmp_path: Path,
) -> Case:
    base, data = tmp_path / "base", tmp_path / "data"
    base.mkdir()
    format_, _, elsewhere = request.param.partition(" ")
    values = {
        "model": "sales",
        "data": {"path": str(data)},
        "keys": ["id"],
        "output": {"path": "scores", "format": format_, "partition_by": "day"},
        "drift": {"path": "drift"},
        "registry": str(registry),
    }
    bucket = request.getfixturevalue("bucket") if elsewhere else None
    driver = Driver(server, values if bucket is None else write_below(f"{bucket}/base", values))
    if bucket is not None:
        driver.environment |= {name: os.environ[name] for name in servers.S3_SETTINGS}
    if format_ == "postgresql":
        request.getfixturevalue("postgresql")
        database_of(driver, "base", "template1")
    sources = {"old": write_day(data, DAY, 1, BAD["old"]), "other": write_day(data, OTHER, 2, 0)}
    for day in (OTHER, DAY):
        driver.day = day
        assert driver("score", base)["error"] is None
    sources["new"] = write_day(data, DAY, 3, BAD["new"])
    model = load_model(str(registry), "sales")
    for frame in sources.values():
        frame["prediction"] = model.predict(frame)
    return Case(driver, base, sources, bucket)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_killed_at_its_operations_a_run_leaves_whole_rows_and_is_repeated(
    case: Case, pytestconfig: pytest.Config
) -> None:
    stride = 1 if pytestconfig.getoption("every_crash_point") else STRIDE
    shown: list[str] = []
    while (found := case.kill_and_repeat(stride * len(shown))) is not None:
        shown.append(found)
    # The last ones are all tried: the commit is among them.
    end = stride * len(shown)
    last = [case.kill_and_repeat(moment) for moment in range(end - stride + 1, end)]
    shown += [found for found in last if found is not None]
    assert stride * len(shown) > 20
    # The old rows up to one operation, and the new ones from there on.
    assert shown == sorted(shown, reverse=True)
    assert {*shown} == {"old", "new"}


# The same in this process and on its cluster, for one output and a few steps of its commit.


class KilledError(BaseException):
    """Nothing catches it, as nothing catches a kill."""


def killed_at_step(moment: int, act: Callable[[], object]) -> bool:
    """Do something whose step of that number, from the new entry of the log on, does not happen."""
    steps: list[str] = []

    def deadly(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*arguments: Any) -> Any:
            if steps or (name == "create" and "quarantine" not in arguments[0]):
                steps.append(name)
            if len(steps) - 1 == moment:
                raise KilledError
            return function(*arguments)

        return wrapped

    with pytest.MonkeyPatch.context() as patch:
        for name in ("create", "move", "remove", "write", "replace"):
            patch.setattr(files, name, deadly(name, getattr(files, name)))
        try:
            act()
        except KilledError:
            return True
    return False


@pytest.mark.slow
def test_killed_in_its_commit_a_plain_folder_is_whole_once_anything_is_asked_of_it(
    tmp_path: Path, registry: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("lasso_jobs.data.dataset.UNIT_ROWS", ROWS // 2)
    job = ScoreJob.from_values(
        {
            "model": "sales",
            "data": {"path": "data"},
            "keys": ["id"],
            "output": {"path": "scores", "format": "parquet", "partition_by": "day"},
            "registry": str(registry),
        }
    )
    watching = MonitorJob.from_values(
        {
            "model": "sales",
            "scores": {"path": "scores"},
            "actuals": {"path": "data"},
            "keys": ["id"],
            "target": "sales",
            "period": "day",
        }
    )
    with connect("local", 1) as workers:

        def score() -> None:
            run_stages(workers, plan(job.on(DAY)), Stages())

        write_day(Path("data"), DAY, 1, 0)
        score()
        for index, moment in enumerate((0, 1, 3, 4), start=2):
            before = seen_by_others("parquet", "scores")
            new = write_day(Path("data"), DAY, index, 0)
            assert killed_at_step(moment, score)
            assert marker("scores", DAY) is None
            if moment < 3:
                assert (find_night(job, DAY).status == "done") == (moment > 0)
            else:
                monitoring_plan(watching)
            seen = seen_by_others("parquet", "scores")
            assert seen == before or moment > 0
            assert moment == 0 or [row[0] for row in seen] == new["id"].to_list()
            score()
            seen = seen_by_others("parquet", "scores")
            assert [row[0] for row in seen] == new["id"].to_list()
            assert marker("scores", DAY)["run_id"] == seen[0][3]
