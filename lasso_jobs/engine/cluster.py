"""The cluster that a job runs on: started or found, checked, watched, and always closed."""

import logging
import os
import re
import ssl
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from typing import Any

import dask
from distributed import Client, LocalCluster
from distributed.security import Security
from distributed.versions import VersionMismatchWarning
from threadpoolctl import threadpool_limits

from lasso_jobs.engine import health
from lasso_jobs.engine.cluster_options import LOCAL, LOCAL_PROCESSES, PACKAGES, Cluster
from lasso_jobs.errors import ClusterError

LOOPBACK = "127.0.0.1:0"
"""Any free port, seen from this machine only."""

CONNECT_SECONDS = 10


@contextmanager
def connect(cluster: str | None = LOCAL, workers: int | None = None) -> Iterator[Client]:
    """Connect to a cluster, or start one; close what was opened.

    Parameters
    ----------
    cluster : str, optional
        ``local``: threads of this process (nothing is copied, start-up is a fraction of a
        second). ``local-processes``: worker processes of one thread each. ``tcp://HOST:PORT`` or
        ``tls://HOST:PORT``: a scheduler. ``kubernetes`` and the other names of
        `cluster_options.PACKAGES`: what that package starts. ``NAME.yaml``: a file of the fields of
        `cluster_options.Cluster`. None: what the environment's ``LASSO_JOBS_CLUSTER`` says.
    workers : int, optional
        How many a new cluster has; a local one has one for each core by default. Refused for an
        address, whose workers are what they are.

    Raises
    ------
    ClusterError
        If the options are wrong, a package is missing, there is no scheduler at the address, it
        does not trust our certificate or we not its own, no worker comes within
        `health.no_workers_seconds`, or a worker has other versions than this process, be it there
        at first or come later.

    Notes
    -----
    Every matrix product runs on one BLAS thread, here and on the workers: Dask keeps the cores
    busy, and the rounding of a product must not depend on how many there are.
    """
    options = Cluster.of(cluster, workers)
    # A scheduler in this process would tell of its every step wherever a handler listens.
    logging.getLogger("distributed").setLevel(logging.WARNING)
    # What a task raises is raised here again, so that a worker need not report it too.
    logging.getLogger("distributed.worker").setLevel(logging.CRITICAL)
    config = {
        "distributed.scheduler.no-workers-timeout": f"{health.no_workers_seconds()}s",
        "distributed.admin.system-monitor.interval": "10s",
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
        with health.watched(client, health.check_versions(client)):
            yield client


@contextmanager
def _started(options: Cluster) -> Iterator[Any]:
    """A new cluster, or the address of one."""
    if options.address is not None:
        yield options.address
    elif options.kind in PACKAGES:
        with _of_package(options) as cluster:
            yield _scaled(cluster, options)
    else:
        processes = options.kind == LOCAL_PROCESSES
        bounds = options.workers if isinstance(options.workers, tuple) else None
        number = bounds[0] if bounds else options.workers or _cores()
        with LocalCluster(
            n_workers=number if processes else 1,
            threads_per_worker=1 if processes else number,
            processes=processes,
            silence_logs=logging.CRITICAL,
            memory_limit="auto" if processes else 0,
            dashboard_address=LOOPBACK,
            worker_dashboard_address=LOOPBACK,
        ) as cluster:
            yield _scaled(cluster, options) if bounds else cluster


def _scaled(cluster: Any, options: Cluster) -> Any:
    if isinstance(options.workers, tuple):
        cluster.adapt(minimum=options.workers[0], maximum=options.workers[1])
    elif options.workers is not None:
        cluster.scale(options.workers)
    return cluster


def _of_package(options: Cluster) -> Any:
    module, name, package = PACKAGES[options.kind]
    try:
        start = getattr(import_module(module), name)
    except ImportError as error:
        raise ClusterError(
            f"--cluster {options.kind}",
            f"{package} cannot be imported ({error})",
            f"the package {package}",
            f"pip install {package}",
        ) from error
    try:
        return start(**options.options)
    except Exception as error:
        raise ClusterError(
            f"--cluster {options.kind}",
            f"{package} did not start it ({type(error).__name__}: {error})",
            "a cluster",
            f"See the options of {module}.{name}",
        ) from error


@contextmanager
def _client(address: Any, options: Cluster) -> Iterator[Client]:
    security = _security(options)
    try:
        with warnings.catch_warnings():
            # All versions are checked, and refused in words.
            warnings.simplefilter("ignore", VersionMismatchWarning)
            client = Client(
                address, timeout=CONNECT_SECONDS, set_as_default=False, security=security
            )
    except (OSError, TimeoutError, ssl.SSLError) as error:
        raise _no_connection(str(address), error) from error
    with client:
        yield client


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
        raise ClusterError(missing, "does not exist", "a file in PEM format", "Check its path")
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
    # A certificate that the other side refuses is told of in the text alone, or by hanging up.
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
    )


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@cache
def use_one_blas_thread() -> None:
    """Limit BLAS in this process, for good: called by each task, as workers come and go."""
    threadpool_limits(1)
