"""Checks and watches a cluster that others run: no workers, other versions, workers that go.

A worker that goes is logged, no more: Dask runs its tasks elsewhere (`dask_workers` says how
often). The job ends when there has been no worker for too long, or when one comes with other
versions of the packages that decide what a result is.
"""

import asyncio
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import dask
from dask.utils import parse_timedelta
from distributed import Client, Future, Worker, WorkerPlugin
from distributed.client import ClosedClientError
from distributed.comm.core import CommClosedError
from distributed.versions import get_versions

from lasso_jobs import escape
from lasso_jobs.errors import ClusterError

NO_WORKERS_SECONDS = 300
CHECK_SECONDS = 2.0
# These decide whether a worker can run a task, and what its result is to the last bit.
PACKAGES = ("lasso_jobs", "numpy", "scipy", "numba", "pyarrow", "pandas", "deltalake")
SCHEDULER_IS_GONE = (CommClosedError, ClosedClientError)
"""What a client raises when its scheduler has ended or been restarted."""
FORWARDED = ("distributed", "lasso_jobs", "py.warnings")
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
        transient=True,
    )


def check_versions(client: Client) -> set[str]:
    """Compare the packages of every worker, and of the scheduler, with this process's.

    Returns
    -------
    set of str
        The addresses of the workers; `watched` compares those that come later.

    Raises
    ------
    ClusterError
        Naming one worker and all that differs there.
    """
    versions: Any = client.get_versions(packages=PACKAGES)
    own = _comparable(versions["client"])
    _compare_workers(own, versions["workers"])
    # A scheduler only passes messages on: Dask's own packages are what it must share.
    shared = ("python", "dask", "distributed", "cloudpickle", "msgpack")
    scheduler = _comparable(versions["scheduler"])
    _compare(
        f"scheduler {client.scheduler_info()['address']}",
        {name: own[name] for name in shared},
        {name: scheduler[name] for name in shared},
    )
    return set(versions["workers"])


def _compare_workers(own: dict[str, str], versions: dict[str, Any]) -> None:
    for address, info in versions.items():
        _compare(f"worker {address}", own, _comparable(info))


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


def scheduler_is_gone(where: str, why: str) -> ClusterError:
    """The error of a job whose scheduler ended, or was restarted, under it."""
    return ClusterError(
        where,
        f"the connection to the Dask scheduler was lost ({why})",
        "a scheduler that runs as long as the job",
        "Look at the scheduler's log, and run this again: what is done is not repeated",
        transient=True,
    )


@contextmanager
def watched(client: Client, compared: set[str]) -> Iterator[None]:
    """Log workers that go and what they warn of; end the job when it cannot go on.

    Parameters
    ----------
    client : distributed.Client
    compared : set of str
        Workers whose versions are this process's.

    Raises
    ------
    ClusterError
        If no worker is left for longer than `no_workers_seconds` (a scheduler that others have
        started need not have a ``no-workers-timeout`` of its own), or if one comes that has other
        versions.
    """
    topic = f"lasso-jobs-{client.id}"
    loop: Any = client.loop
    watch = _Watch(client, compared)
    looking = asyncio.run_coroutine_threadsafe(watch.look_again(), loop.asyncio_loop)
    client.subscribe_topic("all", _log_lost_worker)
    client.subscribe_topic(topic, _log_warning)
    # Of its own name, as another job's end would take a shared one away.
    client.register_plugin(_Forward(topic), name=topic)
    try:
        yield
    finally:
        looking.cancel()
        # The cluster is gone, and the plugin with it; a new scheduler does not know it. What is
        # told then is not that, but what the job itself met.
        with suppress(OSError, TimeoutError, ValueError, ClosedClientError):
            # Once more, for those that came after the last look.
            client.sync(watch.look)
            client.unregister_worker_plugin(topic)
        if watch.error is not None:
            raise watch.error


class _Watch:
    """Looks at the workers; if they will not do, cancels all tasks and keeps the reason."""

    def __init__(self, client: Any, compared: set[str]) -> None:
        self.error: ClusterError | None = None
        self._client, self._compared = client, compared
        self._own = _comparable(get_versions(packages=PACKAGES))
        self._limit = no_workers_seconds()
        self._none_since: float | None = None

    async def look_again(self) -> None:
        while True:
            await asyncio.sleep(min(CHECK_SECONDS, self._limit / 4))
            with suppress(OSError):  # the client itself notices a scheduler that is gone
                await self.look()

    async def look(self) -> None:
        workers = set(await self._client.scheduler.ncores(workers=None))
        now = time.monotonic()
        # Since a look that found none, as a scheduler that was slow to answer is not without any.
        self._none_since = None if workers else self._none_since or now
        if self._client.futures and now - (self._none_since or now) > self._limit:
            await self._cancel("no-workers", _no_workers(self._client))
        try:
            await self._compare(workers - self._compared)
        except ClusterError as error:
            await self._cancel("other-versions", error)

    async def _compare(self, newcomers: set[str]) -> None:
        if newcomers:
            asked = {"op": "versions", "packages": PACKAGES}
            versions = await self._client.scheduler.broadcast(
                msg=asked, workers=list(newcomers), on_error="ignore"
            )
            _compare_workers(self._own, versions)
            self._compared |= set(versions)

    async def _cancel(self, reason: str, error: ClusterError) -> None:
        self.error, client = error, self._client
        lost: list[Future[Any]] = [Future(key, client=client) for key in list(client.futures)]
        await client._cancel(lost, reason=reason, msg=error.found, force=True)


def _log_lost_worker(event: tuple[float, Any]) -> None:
    message = event[1]
    if not isinstance(message, dict) or message.get("action") != "remove-worker":
        return
    again = len(message.get("processing-tasks") or ())
    if again or not message.get("expected"):
        logger.warning("worker %s is gone; its %d tasks run elsewhere", message["worker"], again)


def _log_warning(event: tuple[float, Any]) -> None:
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
        logging.captureWarnings(False)  # a worker may be a thread of a process that goes on


class _ToDriver(logging.Handler):
    def __init__(self, worker: Worker, topic: str) -> None:
        super().__init__(logging.WARNING)
        self._worker, self._topic = worker, topic

    def emit(self, record: logging.LogRecord) -> None:
        # What a task raises is raised again in the driver.
        text = record.getMessage().strip()
        if not text.startswith("Compute Failed"):
            line = f"{self._worker.address}: {escape.line(text)}"
            self._worker.log_event(self._topic, (record.levelno, line))
