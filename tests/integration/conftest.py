"""Clusters and servers that start once."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def scheduler(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Dask scheduler with two workers, each a process of its own."""
    from distributed import Client

    folder = tmp_path_factory.mktemp("dask")
    there = folder / "scheduler.json"
    common = ("--scheduler-file", str(there), "--host", "127.0.0.1", "--no-dashboard")
    with ExitStack() as stack:
        stack.enter_context(_dask("scheduler", *common, "--port", "0", folder=folder))
        for _ in range(2):
            stack.enter_context(_dask("worker", *common, "--nthreads", "1", folder=folder))
        with Client(scheduler_file=str(there), timeout=60, set_as_default=False) as client:
            client.wait_for_workers(2, timeout=60)
            address = client.scheduler.address
        yield address


class _Stopping:
    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process

    def close(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _dask(command: str, *options: str, folder: Path) -> "closing[_Stopping]":
    log = (folder / f"{command}.log").open("ab")
    with log:
        process = subprocess.Popen(
            [sys.executable, "-m", "dask", command, *options],
            cwd=folder,
            env=os.environ,
            stdout=log,
            stderr=log,
        )
    return closing(_Stopping(process))
