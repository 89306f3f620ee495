"""What the UI shows of a run: its name, progress, warnings of workers, the dashboard."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from prefect import get_run_logger
from prefect.artifacts import (
    create_link_artifact,
    create_progress_artifact,
    update_progress_artifact,
)
from prefect.client.orchestration import get_client
from prefect.runtime import flow_run

from lasso_jobs.engine import health
from lasso_jobs.engine.cluster import connect
from lasso_jobs.jobs.clock import Report

SECONDS_BETWEEN_UPDATES = 2.0
HEARD = ("lasso_jobs", "py.warnings")


def rename(name: str) -> None:
    """Give the run a name that says what only its plan knew, such as the model's version."""
    with get_client(sync_client=True) as client:
        client.update_flow_run(UUID(flow_run.id), name=name)


def progress() -> Report:
    """A report that moves a bar in the UI, and logs each quarter of a stage."""
    return _Progress(get_run_logger())


class _Progress:
    def __init__(self, logger: Any) -> None:
        self._logger = logger
        self._bars: dict[str, UUID] = {}
        self._quarters: dict[str, int] = {}
        self._last = 0.0

    def __call__(self, stage: str, done: int, total: int) -> None:
        quarter = 4 * done // total
        if quarter > self._quarters.get(stage, 0):
            self._quarters[stage] = quarter
            self._logger.info("%s: %d of %d partitions", stage, done, total)
        due = time.monotonic() - self._last >= SECONDS_BETWEEN_UPDATES
        if stage not in self._bars or done == total or due:
            self._last = time.monotonic()
            try:
                self._show(stage, 100 * done / total, f"{stage}: {done} of {total} partitions")
            except Exception as error:  # noqa: BLE001 - a server that is away must not end a job
                self._logger.debug("progress is not shown: %s", error)

    def _show(self, stage: str, percent: float, text: str) -> None:
        if stage in self._bars:
            update_progress_artifact(self._bars[stage], percent, text)
        else:
            made: Any = create_progress_artifact(percent, f"progress-{stage}", text)
            self._bars[stage] = made


@contextmanager
def cluster_of_run(cluster: str | None, workers: int | None) -> Iterator[Any]:
    """As `connect`; what its workers warn of is in the run's log, and a link to its dashboard."""
    with _heard(), connect(cluster, workers) as client:
        link = health.dashboard(client)
        if link is not None:
            get_run_logger().info("Dask dashboard: %s", link)
            create_link_artifact(link, "Dask dashboard", "dask-dashboard", "While the cluster runs")
        yield client


@contextmanager
def _heard() -> Iterator[None]:
    """Send warnings of the package, of its workers and of Python to the run's log."""
    handler = _ToRun(get_run_logger())
    loggers = [logging.getLogger(name) for name in HEARD]
    before = [logger.propagate for logger in loggers]
    logging.captureWarnings(True)
    for logger in loggers:
        logger.addHandler(handler)
        logger.propagate = False
    try:
        yield
    finally:
        logging.captureWarnings(False)
        for logger, propagate in zip(loggers, before, strict=True):
            logger.removeHandler(handler)
            logger.propagate = propagate


class _ToRun(logging.Handler):
    """Prefect's own handler finds no run in the threads that hear from workers."""

    def __init__(self, logger: Any) -> None:
        super().__init__(logging.WARNING)
        self._logger = logger

    def emit(self, record: logging.LogRecord) -> None:
        self._logger.log(record.levelno, "%s", " ".join(record.getMessage().split()))
