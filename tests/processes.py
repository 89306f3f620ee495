"""Processes that tests start and stop."""

import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path


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


def process(command: list[str], folder: Path, name: str, **env: str) -> "closing[_Stopping]":
    """A process that logs to a file of its name, stopped at the end of a ``with``."""
    with (folder / f"{name}.log").open("ab") as log:
        started = subprocess.Popen(
            command, cwd=folder, env={**os.environ, **env}, stdout=log, stderr=log
        )
    return closing(_Stopping(started))


def dask_process(command: str, *options: str, folder: Path, **env: str) -> "closing[_Stopping]":
    """A ``dask scheduler`` or ``dask worker``, stopped at the end of a ``with``."""
    return process([sys.executable, "-m", "dask", command, *options], folder, command, **env)
