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


def dask_process(command: str, *options: str, folder: Path, **env: str) -> "closing[_Stopping]":
    """A ``dask scheduler`` or ``dask worker``, stopped at the end of a ``with``."""
    log = (folder / f"{command}.log").open("ab")
    with log:
        process = subprocess.Popen(
            [sys.executable, "-m", "dask", command, *options],
            cwd=folder,
            env={**os.environ, **env},
            stdout=log,
            stderr=log,
        )
    return closing(_Stopping(process))
