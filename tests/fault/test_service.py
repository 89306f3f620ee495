"""The service while its champion moves, its registry is away and its workers are killed."""

import http.client
import os
import shutil
import signal
import threading
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from lasso_jobs.models.registry import Registry

from ..integration.test_serve import ROW, children
from ..services import ServiceProcess, asked, service

pytestmark = [pytest.mark.fault, pytest.mark.slow, pytest.mark.timeout(900)]

MOVES = 50
AWAY_SECONDS = 10
POLL_SECONDS = 0.1


class Clients:
    """Threads that ask without a pause, and note what does not fit.

    Parameters
    ----------
    running : ServiceProcess
    expected : dict of str to list of float
        What each version predicts for the rows.
    rows : list
    """

    def __init__(
        self, running: ServiceProcess, expected: dict[str, list[float]], rows: list[Any]
    ) -> None:
        self._running, self._expected, self._rows = running, expected, rows
        self._stop = threading.Event()
        self.faults: list[object] = []
        self.answers: Counter[str] = Counter()
        self.cut = 0
        self._threads = [threading.Thread(target=self._ask) for _ in range(4)]

    def __enter__(self) -> "Clients":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _ask(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._running.port, timeout=60)
        while not self._stop.is_set():
            try:
                status, answer = asked(connection, "/predict", self._rows)
            except (OSError, http.client.HTTPException):
                # Of a worker that was killed, with what it had in hand.
                self.cut += 1
                connection.close()
                continue
            if status != 200:
                self.faults.append((status, answer))
                continue
            version = answer["model_version"]
            self.answers[version] += 1
            if [row["prediction"] for row in answer["predictions"]] != self._expected[version]:
                self.faults.append(answer)
        connection.close()


@pytest.fixture
def own(registry: Path, tmp_path: Path) -> Registry:
    """A registry with two versions of sales."""
    shutil.copytree(registry, tmp_path / "models")
    own = Registry(tmp_path / "models")
    model = own.load("sales").model
    predictor = replace(model.predictor, coef=model.predictor.coef * 1.5)
    own.register(replace(model, predictor=predictor), {})
    return own


def until(condition: Any, running: ServiceProcess) -> None:
    end = time.monotonic() + 120
    while not condition(running.ask("/v2/health/ready")[1]):
        assert time.monotonic() < end
        time.sleep(0.05)


def test_no_wrong_version_and_no_fault_whatever_happens(own: Registry, tmp_path: Path) -> None:
    rows = [ROW, {**ROW, "price": None}, {**ROW, "store": "south"}] * 3
    import pandas as pd

    expected = {
        f"v{n}": own.load(f"sales@v{n}").model.predict(pd.DataFrame(rows)).tolist() for n in (1, 2)
    }
    place, away = Path(own.path), tmp_path / "away"
    options = ("--registry", place, "--workers", 2, "--poll-seconds", POLL_SECONDS)
    log = ("--log-requests", "log", "--log-seconds", 2)
    with service(tmp_path, "sales", *options, *log) as running:
        until(lambda ready: ready["registry"] == "readable", running)
        with Clients(running, expected, rows) as clients:
            for move in range(MOVES):
                own.promote("sales@v2", "chaos")
                time.sleep(3 * POLL_SECONDS)
                own.rollback("sales", "chaos")
                time.sleep(3 * POLL_SECONDS)
                if move == 15:
                    assert clients.cut == 0, "a move alone cuts no connection"
                    os.kill(children(running.process.pid)[0], signal.SIGKILL)
                if move == 30:
                    place.rename(away)
                    until(lambda ready: ready["registry"] != "readable", running)
                    # The worker that takes its place waits for the registry; the other answers.
                    os.kill(children(running.process.pid)[0], signal.SIGKILL)
                    time.sleep(AWAY_SECONDS)
                    away.rename(place)
            own.promote("sales@v2", "chaos")
            until(lambda ready: ready["model_version"] == "v2", running)
        assert clients.faults == []
        assert set(clients.answers) == {"v1", "v2"} and min(clients.answers.values()) > 20
        assert clients.cut <= 2 * 4  # requests in hand of two workers that were killed
        # Recovered without help: both workers answer, by the last champion.
        until(lambda _: len(children(running.process.pid)) == 2, running)
        answers = [running.ask("/predict", rows)[1] for _ in range(40)]
        assert {answer["model_version"] for answer in answers} == {"v2"}
        assert running.stop() == 0
    logged = pq.read_table(tmp_path / "log").to_pylist()
    for row in logged:
        assert row["prediction"] == expected[row["model_version"]][row["row"]]
