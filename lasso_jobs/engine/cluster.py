"""Gives a job the workers that it runs on: threads of this process, or those of a Dask cluster."""

from collections.abc import Iterator
from contextlib import contextmanager

from threadpoolctl import threadpool_limits

from lasso_jobs.engine.cluster_options import LOCAL, Cluster
from lasso_jobs.engine.tasks import Workers
from lasso_jobs.engine.threads import Threads, cores


@contextmanager
def connect(cluster: str | None = LOCAL, workers: int | None = None) -> Iterator[Workers]:
    """Start workers, or connect to a cluster that has some; close what was opened.

    Parameters
    ----------
    cluster : str, optional
        ``local``: threads of this process (nothing is copied, and they start at once).
        ``local-processes``: worker processes of one thread each, whose connections have a
        certificate of their own, which ends with the cluster. ``tcp://HOST:PORT`` or
        ``tls://HOST:PORT``: a scheduler. ``kubernetes`` and the other names of
        `cluster_options.STARTERS`: what that package starts. ``NAME.yaml``: a file of the fields of
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
    Every matrix product runs on one BLAS thread, here and on the workers: tasks keep the cores
    busy, and the rounding of a product must not depend on how many there are.

    Threads need no scheduler. Dask's own for threads took 0.35 CPU seconds to import, 0.3 to start
    and to close, and 1 ms for each task.

    Examples
    --------
    >>> with connect(workers=1) as started:
    ...     sorted(started.map(abs, [-2, 3]))
    [(0, 2), (1, 3)]
    """
    options = Cluster.of(cluster, workers)
    if options.kind == LOCAL and options.address is None:
        n = options.workers
        with threadpool_limits(1), Threads(n if isinstance(n, int) else cores()) as threads:
            yield threads
        return
    # Only here, as few jobs run on Dask: to import it takes longer than to train on 10,000 rows.
    from lasso_jobs.engine.dask_client import dask_client
    from lasso_jobs.engine.dask_workers import DaskWorkers

    with dask_client(options) as client:
        yield DaskWorkers(client)
