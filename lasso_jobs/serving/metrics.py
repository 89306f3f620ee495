"""Counts what a service does, for Prometheus; with several workers, of all of them together."""

import os
from collections.abc import Mapping

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
    multiprocess,
)

SHARED = "PROMETHEUS_MULTIPROC_DIR"
"""The environment variable of the folder in which several workers keep their numbers."""
CONTENT_TYPE = CONTENT_TYPE_LATEST
disable_created_metrics()  # type: ignore[no-untyped-call]
_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)


class Metrics:
    """The numbers of a worker."""

    def __init__(self) -> None:
        self._own = CollectorRegistry()

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"lasso_jobs_{name}", text, labels, registry=self._own)

        def gauge(name: str, text: str) -> Gauge:
            return Gauge(
                f"lasso_jobs_{name}", text, registry=self._own, multiprocess_mode="liveall"
            )

        self.requests = counter("requests", "Requests", "path", "status")
        self.rows = counter("rows", "Rows, by their fate", "fate")
        self.logged = counter("logged_rows", "Rows of the request log, by their fate", "fate")
        self.swaps = counter("model_swaps", "Versions that another took the place of")
        self.version = gauge("model_version", "Number of the version that answers")
        self.readable = gauge("registry_readable", "1 if the registry could be read last, else 0")
        self.seconds = Histogram(
            "lasso_jobs_request_seconds",
            "Time from a request's head to its answer",
            ["path"],
            buckets=_SECONDS,
            registry=self._own,
        )

    def count_rows(self, n_rows: int, reasons: Mapping[str, int]) -> None:
        """Count the rows of a request: those that were scored, and the others by their reason."""
        self.rows.labels("scored").inc(n_rows - sum(reasons.values()))
        for code, n in reasons.items():
            self.rows.labels(code).inc(n)

    def text(self) -> bytes:
        """All numbers in Prometheus' text form."""
        registry = self._own
        if SHARED in os.environ:
            registry = CollectorRegistry()
            multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry)
