"""What can be wrong with a cluster that answers: no workers, other versions, workers that go."""

import asyncio
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import dask
from dask.utils import parse_timedelta
from distributed import Client, Future, LocalCluster, Worker, WorkerPlugin

from lasso_jobs.errors import ClusterError

NO_WORKERS_SECONDS = 300
CHECK_SECONDS = 2.0
# These decide whether a worker can run a task, and what its result is to the last bit.
PACKAGES = ("lasso_jobs", "numpy", "scipy", "numba", "pyarrow", "pandas", "deltalake")
FORWARDED = ("distributed", "lasso_jobs", "py.warnings")
LONGEST_LINE = 1000
COMPARED = (*PACKAGES, "dask", "distributed", "cloudpickle", "msgpack")

logger = logging.getLogger(__name__)


def no_workers_seconds() -> float:
    """How long a job waits for a worker: Dask's own setting, or five minutes."""
    setting = dask.config.get("distributed.scheduler.no-workers-timeout")
    return NO_WORKERS_SECONDS if setting is None else parse_timedelta(setting)


def wait_for_a_worker(client: Client) -> None:
    """Wait for the first worker.

    Raises
    ------
    ClusterError
        If none comes.
    """
    try:
        client.wait_for_workers(1, timeout=no_workers_seconds())
    except TimeoutError as error:
        raise _no_workers(client) from error


def _no_workers(client: Any) -> ClusterError:
    return ClusterError(
        str(client.scheduler.address),
        f"it has had no worker for {no_workers_seconds():g} seconds",
        "workers",
        "Start some with 'dask worker', or see why they do not come",
    )


def check_versions(client: Client) -> None:
    """Compare the packages of every worker, and of the scheduler, with this process's.

    Workers that come later are not compared.

    Raises
    ------
    ClusterError
        Naming one worker and all that differs there.
    """
    found: Any = client.get_versions(packages=PACKAGES)
    own = _comparable(found["client"])
    for address, info in found["workers"].items():
        _compare(f"worker {address}", own, _comparable(info))
    # A scheduler only passes messages on: Dask's own packages are what it must share.
    shared = ("python", "dask", "distributed", "cloudpickle", "msgpack")
    scheduler = _comparable(found["scheduler"])
    _compare(
        f"scheduler {client.scheduler_info()['address']}",
        {name: own[name] for name in shared},
        {name: scheduler[name] for name in shared},
    )


def _comparable(info: dict[str, Any]) -> dict[str, str]:
    packages = info["packages"]
    python = ".".join(str(packages["python"]).split(".")[:2])
    return {"python": python} | {name: packages.get(name) or "none" for name in COMPARED}


def _compare(where: str, own: dict[str, str], its: dict[str, str]) -> None:
    other = [name for name in own if own[name] != its[name]]
    if other:
        raise ClusterError(
            where,
            ", ".join(f"{name} {its[name]}" for name in other),
            ", ".join(f"{name} {own[name]}" for name in other) + ", as in this process",
            "Install both from one constraints.txt, or run both from one image",
        )


def dashboard(client: Client) -> str | None:
    """The address of the dashboard; None if there is none, or the cluster is this process's."""
    local = isinstance(client.cluster, LocalCluster)
    has_one = "dashboard" in client.scheduler_info()["services"]
    return None if local or not has_one else client.dashboard_link


@contextmanager
def watched(client: Client) -> Iterator[None]:
    """Log workers that go and what they warn of; end the job when none is left for too long.

    A scheduler that others have started need not have a ``no-workers-timeout`` of its own.
    """
    topic = f"lasso-jobs-{client.id}"
    loop: Any = client.loop
    watch = asyncio.run_coroutine_threadsafe(_watch(client), loop.asyncio_loop)
    client.subscribe_topic("all", _tell_of_lost)
    client.subscribe_topic(topic, _tell)
    # Of its own name, as another job's end would take a shared one away.
    client.register_plugin(_Forward(topic), name=topic)
    try:
        yield
    finally:
        watch.cancel()
        with suppress(OSError, TimeoutError):  # the cluster is gone, and the plugin with it
            client.unregister_worker_plugin(topic)


async def _watch(client: Any) -> None:
    limit, last_seen = no_workers_seconds(), time.monotonic()
    while True:
        await asyncio.sleep(min(CHECK_SECONDS, limit / 4))
        try:
            workers = await client.scheduler.nthreads(workers=None)
        except OSError:  # the client itself notices a scheduler that is gone
            continue
        if workers:
            last_seen = time.monotonic()
        elif client.futures and time.monotonic() - last_seen > limit:
            why = _no_workers(client)
            lost: list[Future[Any]] = [Future(key, client=client) for key in list(client.futures)]
            await client._cancel(lost, reason="no-workers", msg=why.found, force=True)


def _tell_of_lost(event: tuple[float, Any]) -> None:
    message = event[1]
    if not isinstance(message, dict) or message.get("action") != "remove-worker":
        return
    again = len(message.get("processing-tasks") or ())
    if again or not message.get("expected"):
        logger.warning("worker %s is gone; its %d tasks run elsewhere", message["worker"], again)


def _tell(event: tuple[float, Any]) -> None:
    level, text = event[1]
    logger.log(level, "%s", text)


class _Forward(WorkerPlugin):
    """Sends what a worker logs, and Python's warnings there, to the driver."""

    def __init__(self, topic: str) -> None:
        self.topic = topic

    def setup(self, worker: Worker) -> None:
        logging.captureWarnings(True)
        self._handler = _ToDriver(worker, self.topic)
        for name in FORWARDED:
            logging.getLogger(name).addHandler(self._handler)

    def teardown(self, worker: Worker) -> None:
        for name in FORWARDED:
            logging.getLogger(name).removeHandler(self._handler)


class _ToDriver(logging.Handler):
    def __init__(self, worker: Worker, topic: str) -> None:
        super().__init__(logging.WARNING)
        self._worker, self._topic = worker, topic

    def emit(self, record: logging.LogRecord) -> None:
        # What a task raises is raised again in the driver.
        text = record.getMessage().strip()
        if not text.startswith("Compute Failed"):
            line = " ".join(text.split())[:LONGEST_LINE]
            self._worker.log_event(self._topic, (record.levelno, f"{self._worker.address}: {line}"))
