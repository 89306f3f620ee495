"""The cluster that a job runs on."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import dask
from distributed import Client, LocalCluster
from threadpoolctl import threadpool_limits

from lasso_jobs.errors import ClusterError

LOCAL = "local"
LOCAL_PROCESSES = "local-processes"
LOOPBACK = "127.0.0.1:0"
"""Any free port, seen from this machine only."""

CONNECT_SECONDS = 10
NO_WORKERS_SECONDS = 300


@contextmanager
def connect(cluster: str = LOCAL, workers: int | None = None) -> Iterator[Client]:
    """Connect to a cluster, or start one; close what was opened.

    Parameters
    ----------
    cluster : str
        ``local``: threads of this process (nothing is copied, start-up is a fraction of a
        second). ``local-processes``: worker processes of one thread each. Otherwise the address
        of a scheduler, ``tcp://HOST:PORT`` or ``tls://HOST:PORT``.
    workers : int, optional
        Threads or processes of a local cluster; by default one for each core. Refused for an
        address, whose workers are what they are.

    Raises
    ------
    ClusterError
        If there is no scheduler at the address.

    Notes
    -----
    Every matrix product runs on one BLAS thread, here and on the workers: Dask keeps the cores
    busy, and the rounding of a product must not depend on how many there are.
    """
    if workers is not None and workers < 1:
        raise ClusterError("--workers", f"{workers}", "at least 1", "Correct it")
    # A scheduler in this process would tell of its every step wherever a handler listens.
    logging.getLogger("distributed").setLevel(logging.WARNING)
    # What a task raises is raised here again, so that a worker need not report it too.
    logging.getLogger("distributed.worker").setLevel(logging.CRITICAL)
    config = {
        "distributed.scheduler.no-workers-timeout": f"{NO_WORKERS_SECONDS}s",
        "distributed.admin.system-monitor.interval": "10s",
    }
    with (
        threadpool_limits(1),
        dask.config.set(config),
        _scheduler(cluster, workers) as address,
        _client(address) as client,
    ):
        yield client


@contextmanager
def _scheduler(cluster: str, workers: int | None) -> Iterator[LocalCluster | str]:
    if cluster in (LOCAL, LOCAL_PROCESSES):
        processes = cluster == LOCAL_PROCESSES
        number = workers or _cores()
        with LocalCluster(
            n_workers=number if processes else 1,
            threads_per_worker=1 if processes else number,
            processes=processes,
            silence_logs=logging.CRITICAL,
            memory_limit="auto" if processes else 0,
            dashboard_address=LOOPBACK,
            worker_dashboard_address=LOOPBACK,
        ) as local:
            yield local
        return
    if "://" not in cluster:
        raise ClusterError(
            "--cluster",
            f"{cluster!r}",
            f"{LOCAL}, {LOCAL_PROCESSES}, tcp://HOST:PORT or tls://HOST:PORT",
            "Correct it",
        )
    if workers is not None:
        raise ClusterError("--workers", f"given with {cluster}", "a local cluster", "Leave it out")
    yield cluster


@contextmanager
def _client(address: LocalCluster | str) -> Iterator[Client]:
    try:
        client = Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, TimeoutError) as error:
        raise ClusterError(
            str(address),
            f"no Dask scheduler answers ({error})",
            "a running scheduler",
            "Start one with 'dask scheduler', or use --cluster local",
        ) from error
    with client:
        yield client


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@cache
def use_one_blas_thread() -> None:
    """Limit BLAS in this process, for good: called by each task, as workers come and go."""
    threadpool_limits(1)
