"""Clusters that jobs run on: certificates, packages, versions, adaptivity, nothing left behind."""

import os
import socket
import ssl
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import dask
import distributed.dashboard
import numpy as np
import pandas as pd
import pytest
import yaml
from distributed import Client, LocalCluster
from distributed.security import Security

from lasso_jobs.engine.cluster import connect
from lasso_jobs.engine.cluster_options import Cluster
from lasso_jobs.engine.dask_client import LOOPBACK, dask_client
from lasso_jobs.engine.dask_workers import DaskWorkers
from lasso_jobs.errors import ClusterError

from ..certificates import dask_environment, write_certificates
from ..processes import dask_process

pytestmark = pytest.mark.integration

Values = dict[str, Any]


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return write_certificates(tmp_path_factory.mktemp("ca") / "ours")


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory, certificates: dict[str, str]) -> Iterator[str]:
    """The address of a scheduler with one worker, who speak with those of one CA only."""
    folder = tmp_path_factory.mktemp("tls")
    there = folder / "scheduler.json"
    common = ("--protocol", "tls", "--host", "127.0.0.1", "--no-dashboard")
    env = dask_environment(certificates)
    with ExitStack() as stack:
        start = dask_process(
            "scheduler",
            *common,
            "--port",
            "0",
            "--scheduler-file",
            str(there),
            folder=folder,
            **env,
        )
        stack.enter_context(start)
        worker = ("worker", *common, "--scheduler-file", str(there), "--nthreads", "1")
        stack.enter_context(dask_process(*worker, folder=folder, **env))
        deadline = time.monotonic() + 60
        while not there.exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        yield yaml.safe_load(there.read_text())["address"]


def cluster_file(folder: Path, address: str, tls: dict[str, str]) -> str:
    path = folder / "cluster.yaml"
    path.write_text(yaml.safe_dump({"address": address, "tls": tls}))
    return str(path)


def double(number: int) -> int:
    return 2 * number


def results(workers: Any, numbers: list[int]) -> list[int]:
    return [value for _, value in sorted(workers.map(double, numbers))]


@pytest.mark.slow
def test_certificates_of_one_ca_are_let_in_and_all_others_refused_in_one_line(
    secure: str, certificates: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert secure.startswith("tls://127.0.0.1:")
    with connect(cluster_file(tmp_path, secure, certificates)) as workers:
        assert workers.client.run(os.getpid)
    for name, value in dask_environment(certificates).items():
        monkeypatch.setenv(name, value)
    dask.config.refresh()
    with connect(secure) as workers:
        assert workers.client.scheduler_info()["address"] == secure
    monkeypatch.undo()
    dask.config.refresh()
    with pytest.raises(ClusterError, match="there is no certificate for it"), connect(secure):
        pass
    monkeypatch.setattr("lasso_jobs.engine.dask_client.CONNECT_SECONDS", 2)
    theirs = write_certificates(tmp_path / "theirs")
    wrong = {
        "another CA": theirs,
        "the right CA, but another's certificate": {**theirs, "ca_file": certificates["ca_file"]},
    }
    for tls in wrong.values():
        with (
            pytest.raises(ClusterError, match="the certificates do not fit") as caught,
            connect(cluster_file(tmp_path, secure, tls)),
        ):
            pass
        assert "\n" not in str(caught.value)
    plain = secure.replace("tls://", "tcp://")
    with pytest.raises(ClusterError, match="no Dask scheduler answers"), connect(plain):
        pass


def patience() -> Any:
    return dask.config.set({"distributed.scheduler.no-workers-timeout": "1s"})


def linger(number: int) -> int:
    time.sleep(0.2)
    return number


@pytest.mark.slow
def test_no_workers_or_workers_of_other_versions_end_a_job_in_one_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    other = tmp_path / "packages" / "numpy-0.1.dist-info"
    other.mkdir(parents=True)
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: numpy\nVersion: 0.1\n")
    there = tmp_path / "scheduler.json"
    common = ("--scheduler-file", str(there), "--host", "127.0.0.1", "--no-dashboard")
    paths = os.pathsep.join([str(other.parent), os.environ.get("PYTHONPATH", "")])
    odd = partial(dask_process, "worker", *common, folder=tmp_path, PYTHONPATH=paths)
    refused = partial(pytest.raises, ClusterError, match=r"^worker tcp://.*: numpy 0.1; expected ")
    with dask_process("scheduler", *common, "--port", "0", folder=tmp_path), ExitStack() as worker:
        deadline = time.monotonic() + 60
        while not there.exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        address = yaml.safe_load(there.read_text())["address"]
        with patience(), pytest.raises(ClusterError, match="no worker for 1 sec"), connect(address):
            pass
        with odd(), refused() as bad, connect(address):
            pass
        assert "\n" not in str(bad.value)
        named = ("--name", "lasting")
        worker.enter_context(dask_process("worker", *common, *named, folder=tmp_path))
        wait_for({"lasting"}, address)
        # One that comes while a job runs is refused, too; the job would last for minutes.
        with refused() as late, connect(address) as workers, odd():
            list(workers.map(linger, range(2000)))
        assert "\n" not in str(late.value)
        wait_for({"lasting"}, address)
        # The scheduler's own setting is to wait for ever.
        with patience(), pytest.raises(ClusterError, match="no worker for 1 sec"):  # noqa: SIM117
            with connect(address) as workers:
                assert results(workers, [1, 2]) == [2, 4]
                for done, _ in workers.map(linger, range(100)):
                    if done == 20:  # with workers, a job may last longer than that
                        worker.close()
        assert "is gone; its" in caplog.text


def wait_for(names: set[str], address: str) -> None:
    """Wait until just these workers are there: one that was stopped leaves a moment later."""
    deadline = time.monotonic() + 60
    with Client(address, set_as_default=False) as client:
        while True:
            workers = client.scheduler_info()["workers"].values()
            if {worker["name"] for worker in workers} == names:
                return
            assert time.monotonic() < deadline, workers
            time.sleep(0.1)


def warned(number: int) -> int:
    warnings.warn(f"partition {number} is odd", stacklevel=1)
    return number


def test_what_workers_warn_of_reaches_the_driver(
    scheduler: str, caplog: pytest.LogCaptureFixture
) -> None:
    with connect(scheduler) as workers:
        assert len(list(workers.map(warned, [1, 3]))) == 2
        deadline = time.monotonic() + 30
        while "partition 3 is odd" not in caplog.text and time.monotonic() < deadline:
            time.sleep(0.1)
    assert "tcp://127.0.0.1:" in caplog.text
    assert "partition 1 is odd" in caplog.text
    assert "partition 3 is odd" in caplog.text


def test_a_package_that_is_missing_is_one_line_with_the_command() -> None:
    with pytest.raises(ClusterError) as caught, connect("slurm"):
        pass
    assert str(caught.value).startswith("--cluster slurm: dask-jobqueue cannot be imported")
    assert str(caught.value).endswith("pip install dask-jobqueue.")


class Packaged(LocalCluster):
    """As the clusters of other packages: Dask's interface, options of its own."""

    closed = 0

    def __init__(self, queue: str) -> None:
        if queue == "full":
            raise RuntimeError("the queue is full")
        super().__init__(
            n_workers=0, threads_per_worker=1, processes=False, dashboard_address=LOOPBACK
        )

    def close(self, *arguments: Any, **named: Any) -> Any:
        type(self).closed += 1
        return super().close(*arguments, **named)


@pytest.mark.parametrize("workers", [2, [1, 3]])
def test_a_packages_cluster_gets_its_options_and_workers_and_is_closed(
    workers: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = ModuleType("dask_jobqueue")
    module.__dict__["SLURMCluster"] = Packaged
    monkeypatch.setitem(sys.modules, "dask_jobqueue", module)
    monkeypatch.setattr(Packaged, "closed", 0)
    path = tmp_path / "slurm.yaml"
    values = {"kind": "slurm", "workers": workers, "options": {"queue": "long"}}
    path.write_text(yaml.safe_dump(values))
    with connect(str(path)) as started:
        assert results(started, list(range(5))) == [0, 2, 4, 6, 8]
    assert Packaged.closed
    path.write_text(yaml.safe_dump({**values, "options": {"queue": "full"}}))
    with pytest.raises(ClusterError, match=r"did not start it .RuntimeError: the queue is full"):
        connect(str(path)).__enter__()


def listening(pid: int) -> set[tuple[str, int]]:
    """The TCP addresses that a process and its children listen on."""
    import psutil

    process = psutil.Process(pid)
    return {
        (found.laddr.ip, found.laddr.port)
        for one in (process, *process.children(recursive=True))
        for found in one.net_connections("tcp")
        if found.status == psutil.CONN_LISTEN
    }


def answer(url: str) -> int:
    try:
        with urlopen(url, timeout=10) as page:
            return int(page.status)
    except HTTPError as refused:
        return refused.code
    except OSError:  # no HTTP is spoken there
        return 0


@pytest.mark.parametrize("kind", ["local", "local-processes"])
def test_other_users_of_this_machine_can_neither_run_code_nor_look(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever a local cluster listens on speaks to its own certificate alone, or says nothing."""
    shown: list[str] = []
    for name in ("scheduler", "worker"):
        module = ModuleType(f"distributed.dashboard.{name}")
        module.connect = lambda *_, which=name, **__: shown.append(which)  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, module.__name__, module)
        monkeypatch.setattr(distributed.dashboard, name, module, raising=False)
    before = listening(os.getpid())
    with dask_client(Cluster.of(kind, 2)) as client:
        assert results(DaskWorkers(client), [1, 2, 3]) == [2, 4, 6]
        addresses = listening(os.getpid()) - before
        own = client.scheduler_info()
    assert {ip for ip, _ in addresses} <= {"127.0.0.1"}
    assert own["address"].startswith("tls://" if kind == "local-processes" else "inproc://")
    assert all(worker.startswith(own["address"][:5]) for worker in own["workers"])
    assert shown == []


def test_threads_listen_on_nothing() -> None:
    before = listening(os.getpid())
    with connect("local", 2) as threads:
        assert results(threads, [1, 2, 3]) == [2, 4, 6]
        assert listening(os.getpid()) == before


def is_refused(port: int, certificate: Path | None = None) -> bool:
    """Whether a port speaks no TLS with whoever has not the cluster's own certificate."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if certificate is not None:
        context.load_cert_chain(certificate)
    try:
        with (
            socket.create_connection(("127.0.0.1", port), timeout=2) as plain,
            context.wrap_socket(plain) as encrypted,
        ):
            return encrypted.recv(1) == b""
    except (ssl.SSLError, ConnectionError, TimeoutError):
        return True


@pytest.mark.slow
def test_a_scheduler_of_worker_processes_lets_nobody_else_in(tmp_path: Path) -> None:
    others: Any = Security.temporary()
    certificate = tmp_path / "others.pem"
    certificate.write_text(others.tls_client_key + others.tls_client_cert)
    before = listening(os.getpid())
    with dask_client(Cluster.of("local-processes", 1)) as client:
        for _, port in listening(os.getpid()) - before:
            assert is_refused(port) and is_refused(port, certificate)
            for path in ("status", "info/main/workers.html", "json/counts.json", "metrics"):
                assert answer(f"http://127.0.0.1:{port}/{path}") in (0, 404)
        own = tmp_path / "own.pem"
        security: Any = client.security
        own.write_text(security.tls_client_key + security.tls_client_cert)
        assert not is_refused(int(client.scheduler.address.rpartition(":")[2]), own)
        assert results(DaskWorkers(client), [1]) == [2]


def test_workers_in_another_folder_are_told_of(scheduler: str, cli: Any, tmp_path: Path) -> None:
    """Their folder has other files by the relative paths of the job, or none."""
    x = np.arange(40.0)
    (tmp_path / "data").mkdir()
    pd.DataFrame({"x": x, "y": x + x % 3}).to_parquet(tmp_path / "data" / "a.parquet")
    job = {"name": "m", "data": {"path": "data"}, "target": "y", "registry": str(tmp_path / "m")}
    (tmp_path / "job.yaml").write_text(yaml.safe_dump(job))
    done = cli("train", "job.yaml", "--cluster", scheduler, folder=tmp_path)
    assert done.returncode == 1
    said = done.stderr.splitlines()[-1]
    assert "data/a.parquet: has disappeared; expected the file that the plan names" in said
    assert "if the workers run in another folder than the command" in said
    assert "name the data by an absolute path" in said
