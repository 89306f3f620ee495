"""Services that tests start, ask and stop: real processes on loopback."""

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


class ServiceProcess:
    """A ``lasso-jobs serve`` that answers.

    Parameters
    ----------
    process : subprocess.Popen
    port : int
    """

    def __init__(self, process: "subprocess.Popen[str]", port: int, errors: Path) -> None:
        self.process, self.port, self._errors = process, port, errors

    def ask(self, path: str, body: object = None, **headers: str) -> tuple[int, Any]:
        """The status and the values of an answer, by a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            return asked(connection, path, body, **headers)
        finally:
            connection.close()

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(60)

    @property
    def errors(self) -> str:
        return self._errors.read_text()


def asked(
    connection: http.client.HTTPConnection, path: str, body: object = None, **headers: str
) -> tuple[int, Any]:
    content = None if body is None else json.dumps(body)
    method = "GET" if body is None else "POST"
    kind = {"Content-Type": "application/json"}
    connection.request(method, path, content, {**kind, **headers})
    answer = connection.getresponse()
    text = answer.read().decode()
    is_json = "json" in (answer.getheader("content-type") or "")
    return answer.status, json.loads(text) if is_json else text


@contextmanager
def service(folder: Path, *options: object, **env: str) -> Iterator[ServiceProcess]:
    """A service of these options, on a port that is free, stopped at the end of a ``with``."""
    errors = folder / f"serve-{time.monotonic_ns()}.log"
    command = [sys.executable, "-m", "lasso_jobs", "serve", *map(str, options)]
    with errors.open("w") as log:
        process = subprocess.Popen(
            [*command, "--port", "0", "--json"],
            cwd=folder,
            env={**os.environ, **env},
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    assert process.stdout is not None
    lines: list[str] = []
    try:
        for line in process.stdout:
            lines.append(line)
            if line == "}\n":
                break
        assert lines, errors.read_text()
        started = json.loads("".join(lines))
        port = int(started["address"].rstrip("/").rpartition(":")[2])
        yield ServiceProcess(process, port, errors)
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
        process.stdout.close()
