"""Servers that stop and come back under a job: what is tried again, and what is not."""

import functools
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from lasso_jobs.engine.cluster import connect
from lasso_jobs.errors import ClusterError, DataError, OutputError
from lasso_jobs.sinks import database

from ..servers import PASSWORD

pytestmark = [pytest.mark.fault]

Values = dict[str, Any]
DAY = date(2024, 1, 9)


class Server:
    """The PostgreSQL server of the tests, stopped and started."""

    def __init__(self, uri: str) -> None:
        from adbc_driver_postgresql import dbapi

        with dbapi.connect(uri) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT current_setting('data_directory')")
            self.data = Path(cursor.fetchall()[0][0])
        options = (self.data / "postmaster.opts").read_text().split(maxsplit=1)
        self.control = str(Path(options[0]).with_name("pg_ctl"))
        self.options = options[1].strip().replace('"', "'")
        self.runs = True

    def stop(self) -> None:
        self._run("-m", "fast", "-w", "stop")
        self.runs = False

    def start(self) -> None:
        self._run("-o", self.options, "-w", "start")
        self.runs = True

    def _run(self, *words: str) -> None:
        user = {"user": "postgres", "group": "postgres"} if os.getuid() == 0 else {}
        command = [self.control, "-D", str(self.data), *words]
        nowhere = subprocess.DEVNULL
        subprocess.run(command, check=True, cwd="/", stdout=nowhere, stderr=nowhere, **user)


@pytest.fixture
def server(postgresql: str) -> Iterator[Server]:
    server = Server(postgresql)
    yield server
    if not server.runs:
        server.start()


def one() -> list[tuple[Any, ...]]:
    with database.connected("a_table") as session:
        return session.run("SELECT 1")


def test_a_database_that_is_away_may_come_back(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "CONNECT_AGAIN_SECONDS", ())
    server.stop()
    with pytest.raises(OutputError) as caught:
        one()
    assert caught.value.transient
    assert "Connection refused" in caught.value.found


def test_a_database_that_restarts_is_called_again(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "CONNECT_AGAIN_SECONDS", (0.1,) * 300)
    server.stop()
    starting = threading.Timer(0.3, server.start)
    starting.start()
    assert one() == [(1,)]
    starting.join()


def test_a_session_that_a_shutdown_ends_is_a_passing_failure(server: Server) -> None:
    with pytest.raises(OutputError) as caught, database.connected("a_table") as session:
        session.run("SELECT 1")
        server.stop()
        session.run("SELECT 1")
    assert caught.value.transient


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (quote(PASSWORD, safe=""), "wrong"),
        ("//lasso:", "//nobody:"),
        ("/postgres", "/no_such_database"),
    ],
)
def test_a_wrong_name_or_password_is_not_tried_again(
    postgresql: str, monkeypatch: pytest.MonkeyPatch, old: str, new: str
) -> None:
    monkeypatch.setattr(database.time, "sleep", lambda seconds: pytest.fail("it waited"))
    monkeypatch.setenv(database.VARIABLE, new.join(postgresql.rsplit(old, 1)))
    with pytest.raises(OutputError) as caught:
        one()
    assert not caught.value.transient


def test_a_wrong_statement_is_not_tried_again(postgresql: str) -> None:
    with pytest.raises(OutputError) as caught, database.connected("a_table") as session:
        session.run("SELECT no_such_column FROM pg_class")
    assert not caught.value.transient


# Flows.


@pytest.fixture(scope="module")
def prefect(prefect_home: Path) -> Iterator[None]:
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness(server_startup_timeout=120):
        yield


@pytest.fixture
def short_waits(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    from lasso_jobs.flows import stages

    waits = list(stages.WAIT_SECONDS)
    stages.WAIT_SECONDS[:] = [0.5] * len(waits)
    monkeypatch.setattr(database, "CONNECT_AGAIN_SECONDS", ())
    try:
        yield
    finally:
        stages.WAIT_SECONDS[:] = waits


@pytest.mark.slow
def test_a_flow_waits_for_a_database_that_restarts_and_commits_once(
    prefect: None,
    short_waits: None,
    server: Server,
    score_values: Values,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from adbc_driver_postgresql import dbapi

    from lasso_jobs.flows import score as flow
    from lasso_jobs.scoring import run

    calls, commit = [], run.commit

    @functools.wraps(commit)
    def in_a_restart(*arguments: Any, **options: Any) -> int:
        calls.append(server.runs)
        if len(calls) == 1:
            server.stop()
        elif len(calls) == 2:
            server.start()
        return commit(*arguments, **options)

    monkeypatch.setattr(run, "commit", in_a_restart)
    score_values["output"] = {"path": "restarted", "format": "postgresql", "partition_by": "day"}
    assert flow.score_flow(score_values, DAY, workers=1)["rows_scored"] == 150
    assert calls == [True, False]
    uri = os.environ[database.VARIABLE]
    with dbapi.connect(uri) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(*), count(DISTINCT id) FROM restarted")
        assert cursor.fetchall() == [(150, 150)]


@pytest.mark.slow
def test_a_flow_does_not_try_bad_data_again(
    prefect: None, short_waits: None, score_values: Values, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lasso_jobs.flows import score as flow

    calls = []

    @functools.wraps(flow.plan)
    def counted(*given: Any) -> Any:
        calls.append(given)
        return plan(*given)

    plan = flow.plan
    monkeypatch.setattr(flow, "plan", counted)
    with pytest.raises(DataError, match="no_such_key"):
        flow.score_flow({**score_values, "keys": ["no_such_key"]}, DAY, workers=1)
    assert len(calls) == 1


class Cluster:
    """A Dask scheduler and a worker, of which the scheduler is killed and started again."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.address, self.folder = f"tcp://127.0.0.1:{self.port}", folder
        self.workers: list[subprocess.Popen[bytes]] = []
        self.start()

    def start(self) -> None:
        where = ("--host", "127.0.0.1", "--port", str(self.port))
        self.scheduler = self._dask("scheduler", *where, "--no-dashboard")
        self.workers.append(self._dask("worker", self.address, "--nthreads", "1", "--no-nanny"))

    def _dask(self, *words: str) -> "subprocess.Popen[bytes]":
        nowhere = subprocess.DEVNULL
        command = [sys.executable, "-m", "dask", *words]
        return subprocess.Popen(command, cwd=self.folder, stdout=nowhere, stderr=nowhere)

    def kill(self) -> None:
        self.scheduler.send_signal(signal.SIGKILL)
        self.scheduler.wait()

    def end(self) -> None:
        for process in (self.scheduler, *self.workers):
            process.kill()
            process.wait()


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path)
    deadline = time.monotonic() + 60
    while True:
        try:
            with connect(cluster.address):
                break
        except ClusterError:
            assert time.monotonic() < deadline
    yield cluster
    cluster.end()


def waited(item: int) -> int:
    time.sleep(0.05)
    return item


def mapped(cluster: Cluster, once: Callable[[], None]) -> list[int]:
    """Some tasks on the cluster; after a few of them something happens, the first time."""
    done = []
    with connect(cluster.address) as workers:
        for _, result in workers.map(waited, range(100)):
            done.append(result)
            if len(done) == 5:
                once()
    return sorted(done)


@pytest.mark.slow
@pytest.mark.parametrize("restarts", [False, True])
def test_a_scheduler_that_goes_is_the_cause_that_is_told(cluster: Cluster, restarts: bool) -> None:
    def once() -> None:
        cluster.kill()
        if restarts:
            cluster.start()

    with pytest.raises(ClusterError) as caught:
        mapped(cluster, once)
    assert caught.value.transient
    assert caught.value.where == cluster.address
    assert "the connection to the Dask scheduler was lost" in str(caught.value)


@pytest.mark.slow
def test_a_flow_connects_anew_to_a_scheduler_that_restarted(
    prefect: None, short_waits: None, cluster: Cluster
) -> None:
    from prefect import flow

    from lasso_jobs.flows.stages import with_new_connections

    restarts = []

    def once() -> None:
        if not restarts:
            restarts.append(True)
            cluster.kill()
            cluster.start()

    @flow
    def on_the_cluster() -> list[int]:
        return with_new_connections(lambda: mapped(cluster, once))

    assert on_the_cluster() == list(range(100))
    assert restarts


def test_a_cluster_that_is_not_there_may_come_and_wrong_options_stay_wrong() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    with pytest.MonkeyPatch.context() as patch, pytest.raises(ClusterError) as caught:
        patch.setattr("lasso_jobs.engine.dask_client.CONNECT_SECONDS", 1)
        with connect(address):
            pass
    assert caught.value.transient
    with pytest.raises(ClusterError) as caught, connect(address, 2):
        pass
    assert not caught.value.transient
