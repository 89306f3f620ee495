"""When a job is ended for want of workers: by looks at a scheduler that is made up."""

import asyncio
from types import SimpleNamespace
from typing import Any

import dask
import pytest

from lasso_jobs.engine import health
from lasso_jobs.errors import ClusterError


class Scheduler:
    address = "tcp://scheduler:8786"

    def __init__(self) -> None:
        self.workers: dict[str, int] = {}

    async def ncores(self, workers: None) -> dict[str, int]:
        return self.workers


class Client:
    def __init__(self) -> None:
        self.scheduler, self.futures = Scheduler(), {"a task": None}
        self.cancelled: list[str] = []

    async def _cancel(self, lost: list[Any], reason: str, msg: str, force: bool) -> None:
        self.cancelled.append(msg)


def test_time_without_workers_counts_from_a_look_that_found_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """If the last went while the scheduler could not answer, the whole time is still to come."""
    clock, client = SimpleNamespace(now=0.0), Client()
    monkeypatch.setattr(health, "time", SimpleNamespace(monotonic=lambda: clock.now))
    monkeypatch.setattr(health, "Future", lambda key, client: key)
    known = {"tcp://worker:1"}
    with dask.config.set({"distributed.scheduler.no-workers-timeout": "10s"}):
        watch = health._Watch(client, known)

        def look(at: float, workers: set[str]) -> ClusterError | None:
            clock.now, client.scheduler.workers = at, dict.fromkeys(workers, 1)
            asyncio.run(watch.look())
            return watch.error

        assert look(1, known) is None
        assert look(100, set()) is None
        assert look(110, set()) is None
        assert look(111, known) is None
        assert look(200, set()) is None
        client.futures = {}
        assert look(300, set()) is None  # nothing waits for one
        client.futures = {"a task": None}
        error = look(301, set())
        assert error is not None
        assert "no worker for 10 seconds" in str(error)
        assert client.cancelled == [error.found]
