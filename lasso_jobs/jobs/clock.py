"""Time and progress of a job's stages."""

import time
from collections.abc import Callable

Report = Callable[[str, int, int], None]
"""Called with the stage's name, the partitions done, and all partitions."""


class Clock:
    """Seconds by stage."""

    def __init__(self) -> None:
        self._start = self._last = time.perf_counter()
        self._laps: dict[str, float] = {}

    def lap(self, stage: str) -> None:
        """End a stage."""
        now = time.perf_counter()
        self._laps[stage] = round(now - self._last, 3)
        self._last = now

    def seconds(self) -> dict[str, float]:
        """Each stage, and their sum as ``total``."""
        return {**self._laps, "total": round(self._last - self._start, 3)}


def progress_of(
    report: Report | None, stage: str, before: int = 0
) -> Callable[[int, int], None] | None:
    """A report bound to a stage, of whose partitions some were done before."""
    if report is None:
        return None
    return lambda done, total: report(stage, before + done, before + total)
