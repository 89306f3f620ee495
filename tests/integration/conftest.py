"""Clusters and servers that start once."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from ..processes import dask_process


@pytest.fixture(scope="session")
def scheduler(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Dask scheduler with two workers, each a process of its own."""
    from distributed import Client

    folder = tmp_path_factory.mktemp("dask")
    there = folder / "scheduler.json"
    common = ("--scheduler-file", str(there), "--host", "127.0.0.1", "--no-dashboard")
    with ExitStack() as stack:
        stack.enter_context(dask_process("scheduler", *common, "--port", "0", folder=folder))
        for _ in range(2):
            stack.enter_context(dask_process("worker", *common, "--nthreads", "1", folder=folder))
        with Client(scheduler_file=str(there), timeout=60, set_as_default=False) as client:
            client.wait_for_workers(2, timeout=60)
            address = client.scheduler.address
        yield address
