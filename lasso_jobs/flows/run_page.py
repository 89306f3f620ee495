"""Shows a run in the UI: its name, progress, artifacts, log, and a link to Dask's dashboard.

The UI renders artifacts, their tables and their descriptions as Markdown. No other module makes
artifacts or writes to the run's log, so that names of columns are escaped for each here.
"""

import logging
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from math import isfinite
from typing import Any
from uuid import UUID

from prefect import get_run_logger
from prefect.artifacts import (
    create_link_artifact,
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)
from prefect.client.orchestration import get_client
from prefect.runtime import flow_run

from lasso_jobs import escape
from lasso_jobs.engine.cluster import connect
from lasso_jobs.progress import Progress

SECONDS_BETWEEN_UPDATES = 2.0
LOGGERS = ("lasso_jobs", "py.warnings")


def rename(name: str) -> None:
    """Give the run a name that says what only its plan knew, such as the model's version."""
    with get_client(sync_client=True) as client:
        client.update_flow_run(UUID(flow_run.id), name=escape.line(name))


def name(*words: object) -> str:
    """A run's name, of those words that are not empty."""
    return escape.line(" ".join(str(word) for word in words if word))


def who() -> str:
    """Name the flow run, for the audit log."""
    return f"flow run {flow_run.name} ({flow_run.id})"


def log(level: int, text: str) -> None:
    """Write a line to the run's log."""
    get_run_logger().log(level, "%s", escape.line(text))


def table(key: tuple[str, str], rows: list[dict[str, Any]], description: str) -> None:
    """Show rows in the UI, with numbers short enough to read.

    Parameters
    ----------
    key : tuple of str
        What it is, and of which model.
    rows : list of dict
    description : str
    """
    shown = [{name: _cell(value) for name, value in row.items()} for row in rows]
    create_table_artifact(shown, _key(*key), escape.markdown(description))


def markdown(key: tuple[str, str], text: str, description: str) -> None:
    """Show Markdown in the UI, whose values are escaped by `escape.markdown`."""
    create_markdown_artifact(text, _key(*key), escape.markdown(description))


def _key(*words: str) -> str:
    """A key of an artifact: letters, digits and dashes, as Prefect wants them."""
    return re.sub(r"[^a-z0-9]+", "-", "-".join(words).lower()).strip("-")


def _cell(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.6g}") if isfinite(value) else None  # JSON has no NaN
    return escape.markdown(value) if isinstance(value, str) else value


def progress() -> Progress:
    """Progress as a bar in the UI, and a line in the log for each quarter of a stage."""
    return _Progress()


class _Progress:
    def __init__(self) -> None:
        self._bars: dict[str, UUID] = {}
        self._quarters: dict[str, int] = {}
        self._last = 0.0

    def __call__(self, stage: str, done: int, total: int) -> None:
        quarter = 4 * done // total
        if quarter > self._quarters.get(stage, 0):
            self._quarters[stage] = quarter
            log(logging.INFO, f"{stage}: {done} of {total}")
        due = time.monotonic() - self._last >= SECONDS_BETWEEN_UPDATES
        if stage not in self._bars or done == total or due:
            self._last = time.monotonic()
            try:
                self._show(stage, 100 * done / total, f"{stage}: {done} of {total}")
            except Exception as error:  # noqa: BLE001 - a server that is away must not end a job
                log(logging.DEBUG, f"progress is not shown: {error}")

    def _show(self, stage: str, percent: float, text: str) -> None:
        if stage in self._bars:
            update_progress_artifact(self._bars[stage], percent, text)
        else:
            made: Any = create_progress_artifact(percent, f"progress-{stage}", text)
            self._bars[stage] = made


@contextmanager
def cluster_of_run(cluster: str | None, workers: int | None) -> Iterator[Any]:
    """As `connect`; what its workers warn of is in the run's log, and a link to its dashboard."""
    with _warnings_in_log(), connect(cluster, workers) as started:
        link = started.dashboard()
        if link is not None:
            log(logging.INFO, f"Dask dashboard: {link}")
            create_link_artifact(link, "Dask dashboard", "dask-dashboard", "While the cluster runs")
        yield started


@contextmanager
def _warnings_in_log() -> Iterator[None]:
    """Send warnings of the package, of its workers and of Python to the run's log."""
    handler = _RunLogHandler(get_run_logger())
    loggers = [logging.getLogger(name) for name in LOGGERS]
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


class _RunLogHandler(logging.Handler):
    """Prefect's own handler finds no run in the threads that hear from workers."""

    def __init__(self, logger: Any) -> None:
        super().__init__(logging.WARNING)
        self._logger = logger

    def emit(self, record: logging.LogRecord) -> None:
        self._logger.log(record.levelno, "%s", escape.line(record.getMessage()))
