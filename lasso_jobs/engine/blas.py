"""Limits BLAS to one thread in this process, while numbers are computed that must not vary."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from threadpoolctl import threadpool_limits


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Run matrix products and factorisations on one BLAS thread.

    The rounding of a product must not depend on how many cores a machine has. And fits already run
    on a thread for each core: with BLAS threads besides, they wait for each other. 20,000 rows x
    1,000 columns took 37 CPU seconds after the read with two BLAS threads on two busy cores, and 5
    with one.
    """
    import scipy.linalg  # noqa: F401 - its BLAS is another than numpy's, limited once it is loaded

    with threadpool_limits(1):
        yield


@cache
def use_one_blas_thread() -> None:
    """Limit BLAS in this process, for good: called by each task, as workers come and go."""
    threadpool_limits(1)
