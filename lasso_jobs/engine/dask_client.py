"""Connects to a Dask cluster, or starts one, and always closes what it opened.

A cluster that was not started here is checked and watched by `health`; what happens to a task
whose worker dies is said in `dask_workers`.
"""

import logging
import re
import signal
import ssl
import sys
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from multiprocessing import resource_tracker
from typing import Any

import dask
from distributed import Client, LocalCluster, Nanny, Worker
from distributed.security import Security
from distributed.versions import VersionMismatchWarning
from threadpoolctl import threadpool_limits

from lasso_jobs.engine import health
from lasso_jobs.engine.cluster_options import LOCAL, LOCAL_PROCESSES, STARTERS, Cluster
from lasso_jobs.engine.threads import cores
from lasso_jobs.errors import ClusterError
from lasso_jobs.storage.remote import one_line

LOOPBACK = "127.0.0.1:0"
"""Any free port, seen by the users of this machine only."""

CONNECT_SECONDS = 10
_NO_WARNING = "ignore::UserWarning:multiprocessing.resource_tracker"


@contextmanager
def dask_client(options: Cluster) -> Iterator[Client]:
    """Connect to a Dask cluster, or start one; close what was opened.

    Raises
    ------
    ClusterError
        As `lasso_jobs.engine.cluster.connect` says.
    """
    # A scheduler in this process would log its every step wherever a handler listens.
    logging.getLogger("distributed").setLevel(logging.WARNING)
    # What a task raises is raised here again, so that a worker need not report it too.
    logging.getLogger("distributed.worker").setLevel(logging.CRITICAL)
    # So does a client whose scheduler is gone.
    logging.getLogger("distributed.client").setLevel(logging.CRITICAL)
    # A scheduler in this process listens to its own worker processes alone. Nor need one say what
    # ended before its first word: a driver was told to stop, or a worker died, which is seen.
    logging.getLogger("distributed.comm.tcp").setLevel(logging.ERROR)
    config = {
        "distributed.scheduler.no-workers-timeout": f"{health.no_workers_seconds()}s",
        "distributed.admin.system-monitor.interval": "10s",
        # Nobody looks at where the workers' threads are, which Dask looks up each 10 milliseconds.
        "distributed.worker.profile.enabled": False,
        # Dask's HTTP servers cannot be left out, but show nothing: logs and calls hold data.
        "distributed.scheduler.http.routes": [],
        "distributed.worker.http.routes": [],
    }
    with (
        threadpool_limits(1),
        dask.config.set(config),
        _started(options) as address,
        _client(address, options) as client,
    ):
        if options.kind in (LOCAL, LOCAL_PROCESSES) and options.address is None:
            yield client
            return
        health.wait_for_a_worker(client)
        with _still_there(str(address)), health.watched(client, health.check_versions(client)):
            yield client


@contextmanager
def _still_there(address: str) -> Iterator[None]:
    try:
        yield
    except health.SCHEDULER_IS_GONE as error:
        raise health.scheduler_is_gone(address, one_line(error)) from error


@contextmanager
def _started(options: Cluster) -> Iterator[Any]:
    """A new cluster, or the address of one."""
    if options.address is not None:
        yield options.address
    elif options.kind in STARTERS:
        with _never_half_done(partial(_started_by_package, options)) as cluster:
            yield _scaled(cluster, options)
    else:
        processes = options.kind == LOCAL_PROCESSES
        bounds = options.workers if isinstance(options.workers, tuple) else None
        number = bounds[0] if bounds else options.workers or cores()
        start = partial(
            LocalCluster,
            n_workers=number if processes else 1,
            threads_per_worker=1 if processes else number,
            processes=processes,
            silence_logs=logging.CRITICAL,
            memory_limit="auto" if processes else 0,
            # Threads speak in memory. What listens on loopback is open to every user of this
            # machine, and a scheduler runs whatever code it is sent.
            security=Security.temporary() if processes else None,
            worker_class=Nanny if processes else _WithoutDashboard,
            # Worker processes have the address of their host, which is loopback.
            worker_dashboard_address=None if processes else LOOPBACK,
            dashboard_address=LOOPBACK,
            scheduler_kwargs={"dashboard": False},
        )
        with _never_half_done(start, processes) as cluster:
            yield _scaled(cluster, options) if bounds else cluster


class _WithoutDashboard(Worker):
    """A worker in this process; `LocalCluster` knows no HTTP server without a dashboard."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **{**options, "dashboard": False})


def _block_ctrl_c(processes: bool) -> None:
    """Keep Ctrl-C from this thread, and from the threads and processes that it will start."""
    if processes:
        # Python would start this process of its own before the first other one, and unblock. It
        # would warn of what a driver that is killed has left, and removes it.
        sys.warnoptions.append(_NO_WARNING)
        resource_tracker.ensure_running()
        sys.warnoptions.remove(_NO_WARNING)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})


@contextmanager
def _never_half_done(start: Callable[[], Any], processes: bool = False) -> Iterator[Any]:
    """What is started, and is closed at the end; Ctrl-C waits for the end of either.

    Half of a cluster could not be closed: its processes would stay, and Dask would say so when
    Python ends. An interrupt reaches the main thread alone, so both are done in another. That one
    has the signal blocked, which the processes that it starts inherit: a terminal sends Ctrl-C to
    them, too, and each would print a traceback.
    """
    with ThreadPoolExecutor(1, initializer=_block_ctrl_c, initargs=(processes,)) as aside:
        opening = aside.submit(lambda: start().__enter__())
        try:
            yield opening.result()
        finally:
            if opening.exception() is None:
                aside.submit(opening.result().__exit__, *sys.exc_info()).result()


def _scaled(cluster: Any, options: Cluster) -> Any:
    if isinstance(options.workers, tuple):
        cluster.adapt(minimum=options.workers[0], maximum=options.workers[1])
    elif options.workers is not None:
        cluster.scale(options.workers)
    return cluster


def _started_by_package(options: Cluster) -> Any:
    starter = STARTERS[options.kind]
    try:
        start = getattr(import_module(starter.module), starter.name)
    except ImportError as error:
        raise ClusterError(
            f"--cluster {options.kind}",
            f"{starter.package} cannot be imported ({error})",
            f"the package {starter.package}",
            f"Run pip install {starter.package}",
        ) from error
    try:
        return start(**options.options)
    except Exception as error:
        raise ClusterError(
            f"--cluster {options.kind}",
            f"{starter.package} did not start it ({type(error).__name__}: {error})",
            "a cluster",
            f"Correct the file's options, which are those of {starter.module}.{starter.name}",
        ) from error


@contextmanager
def _client(address: Any, options: Cluster) -> Iterator[Client]:
    with _never_half_done(partial(_connected, address, _security(options))) as client:
        yield client


def _connected(address: Any, security: Security | None) -> Client:
    try:
        with warnings.catch_warnings():
            # All versions are checked, and refused in words.
            warnings.simplefilter("ignore", VersionMismatchWarning)
            return Client(address, timeout=CONNECT_SECONDS, set_as_default=False, security=security)
    except (OSError, TimeoutError, ssl.SSLError) as error:
        raise _no_connection(str(address), error) from error


def _security(options: Cluster) -> Security | None:
    """Certificates of the options, or of Dask's settings; none unless the address asks for them."""
    if options.address is None or not options.address.startswith("tls://"):
        return None
    if options.tls is None:
        security: Any = Security()
        if not (security.tls_ca_file and security.tls_client_cert):
            raise ClusterError(
                options.address,
                "there is no certificate for it",
                "a CA, a certificate and its key",
                "Set DASK_DISTRIBUTED__COMM__TLS__CA_FILE, __CLIENT__CERT and __CLIENT__KEY, "
                "or name them in a cluster file",
            )
        return Security(require_encryption=True)
    if (missing := options.tls.missing()) is not None:
        raise ClusterError(missing, "does not exist", "a file in PEM format", "Correct its path")
    return Security(
        require_encryption=True,
        tls_ca_file=options.tls.ca_file,
        tls_client_cert=options.tls.cert_file,
        tls_client_key=options.tls.key_file,
    )


def _no_connection(address: str, error: BaseException) -> ClusterError:
    chain, cause = str(error), error.__cause__ or error.__context__
    while cause is not None:
        chain, cause = f"{chain}: {type(cause).__name__}: {cause}", cause.__cause__
    # A certificate that the other side refuses shows in the text alone, or as a closed line.
    reason = re.search(r"\[SSL: ([A-Z0-9_]+)\]|(SSL\w*Error)|(TLS \(closed\))", chain)
    if reason is not None:
        return ClusterError(
            address,
            f"the certificates do not fit ({next(filter(None, reason.groups()))})",
            "a scheduler and a driver with certificates of one CA",
            "Check the CA, the certificate and its key on both sides",
        )
    return ClusterError(
        address,
        f"no Dask scheduler answers ({error})",
        "a running scheduler",
        "Start one with 'dask scheduler', or use --cluster local",
        transient=True,
    )
