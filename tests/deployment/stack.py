"""The processes of a deployment, natively: what deploy/compose.yaml starts."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import psutil
import yaml

from ..certificates import dask_environment, write_certificates
from ..processes import dask_process, process

ROOT = Path(__file__).parents[2]


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def until(what: Callable[[], Any], seconds: float, name: str) -> Any:
    """The first true value of a function that is called again and again."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := what():
            return found
        time.sleep(0.3)
    raise TimeoutError(f"{name} took more than {seconds:g} seconds")


class Stack:
    """A Prefect server on a database, a worker, and a Dask cluster that speaks TLS."""

    def __init__(self, folder: Path, database: str, jobs: Path) -> None:
        self.folder, self.database, self.jobs = folder, database, jobs
        self.port = free_port()
        self.api = f"http://127.0.0.1:{self.port}/api"
        self.running = ExitStack()
        self.server, self.worker = ExitStack(), ExitStack()
        self.env = {
            "PREFECT_HOME": str(folder / "home"),
            "PREFECT_API_URL": self.api,
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "DO_NOT_TRACK": "1",
        }

    def start_server(self) -> None:
        self.begin_server()
        self.wait_for_server()

    def begin_server(self) -> None:
        env = {
            **self.env,
            "PREFECT_API_DATABASE_CONNECTION_URL": self.database,
            # Sooner than the defaults, so that the tests are.
            "PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "2",
            "PREFECT_SERVER_SERVICES_SCHEDULER_RECENT_DEPLOYMENTS_LOOP_SECONDS": "1",
            "PREFECT_SERVER_SERVICES_SCHEDULER_DEPLOYMENT_BATCH_SIZE": "100",
            "PREFECT_SERVER_SERVICES_TRIGGERS_PROACTIVE_GRANULARITY": "PT1S",
        }
        command = ("server", "start", "--host", "127.0.0.1", "--port", str(self.port))
        self.server.enter_context(self._prefect("server", *command, **env))

    def wait_for_server(self) -> None:
        until(self._answers, 90, "the Prefect server")

    def stop_server(self) -> None:
        self.server.close()

    def _answers(self) -> bool:
        try:
            with urlopen(f"{self.api}/health", timeout=10) as response:
                return bool(response.status == 200)
        except (URLError, OSError):
            return False

    def start_worker(self, pool: str) -> None:
        env = {
            **self.env,
            "PREFECT_WORKER_QUERY_SECONDS": "1",
            "PREFECT_WORKER_PREFETCH_SECONDS": "1",
            "LASSO_JOBS_CLUSTER": str(self.folder / "cluster.yaml"),
        }
        command = ("worker", "start", "--pool", pool, "--type", "process", "--name", "native")
        self.worker.enter_context(self._prefect("worker", *command, **env))

    def _prefect(self, name: str, *command: str, **env: str) -> Any:
        return process(
            [sys.executable, "-m", "prefect", *command], self.folder, f"prefect-{name}", **env
        )

    def start_dask(self) -> None:
        """A scheduler and two workers; the file that names them has certificates for drivers.

        They run where the jobs are: the jobs' paths are relative.
        """
        tls = write_certificates(self.folder / "tls")
        env = dask_environment(tls)
        there = self.folder / "scheduler.json"
        common = ("--protocol", "tls", "--host", "127.0.0.1", "--scheduler-file", str(there))
        command = ("scheduler", *common, "--port", "0", "--dashboard-address", "127.0.0.1:0")
        self.running.enter_context(dask_process(*command, folder=self.jobs, **env))
        for _ in range(2):
            # Without its dashboard a worker's own HTTP server would listen on all addresses.
            worker = ("worker", *common, "--nthreads", "1", "--dashboard-address", "127.0.0.1:0")
            self.running.enter_context(dask_process(*worker, folder=self.jobs, **env))
        until(there.exists, 60, "the Dask scheduler")
        address = yaml.safe_load(there.read_text())["address"]
        values = {"address": address, "tls": tls}
        (self.folder / "cluster.yaml").write_text(yaml.safe_dump(values))

    def deploy(self, file: Path) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "lasso_jobs", "deploy", "--json", "--file", str(file)]
        return subprocess.run(
            [*command, "--dir", str(self.jobs), "--prefect-api", self.api],
            env={**os.environ, **self.env},
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )

    def close(self) -> None:
        for child in psutil.Process().children():  # each takes its time to end
            with suppress(psutil.Error):
                if child.environ().get("PREFECT_HOME") == self.env["PREFECT_HOME"]:
                    child.terminate()
        self.worker.close()
        self.running.close()
        self.server.close()

    def processes(self) -> "list[psutil.Process]":
        """All of them, by the folder where they work: a session may have clusters of its own."""
        folders = {str(self.folder), str(self.jobs)}
        return [c for c in psutil.Process().children(recursive=True) if c.cwd() in folders]

    def processes_of_runs(self) -> "set[psutil.Process]":
        """Flows, and the workers of their own clusters, by the environment they inherit."""
        found = set()
        for running in psutil.process_iter():
            with suppress(psutil.Error):
                line = " ".join(running.cmdline())
                ours = running.environ().get("PREFECT_HOME") == self.env["PREFECT_HOME"]
                if ours and any(word in line for word in ("spawn_main", "prefect.engine")):
                    found.add(running)
        return found

    def lose_machine(self) -> None:
        """Kill the worker and the runs that it has started, as a machine's end does."""
        worker = self._worker_process()
        for lost in (worker, *worker.children(recursive=True), *self.processes_of_runs()):
            with suppress(psutil.NoSuchProcess):
                lost.kill()
        self.worker.close()

    def _worker_process(self) -> psutil.Process:
        children = psutil.Process().children()
        (worker,) = [c for c in children if c.cmdline()[2:5] == ["prefect", "worker", "start"]]
        return worker
