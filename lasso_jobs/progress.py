"""Runs the stages of a job in order, with their times and their progress."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import ParamSpec, TypeVar

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

Progress = Callable[[str, int, int], None]
"""Called with the stage's name, the work units done, and all of them."""
StageProgress = Callable[[int, int], None]
"""The same of one stage: called with the work units done, and all of them."""


class Clock:
    """Seconds by stage."""

    def __init__(self) -> None:
        self._start = self._last = time.perf_counter()
        self._laps: dict[str, float] = {}

    def start(self) -> None:
        """Begin the next stage now: what came since the last one is of none."""
        now = time.perf_counter()
        self._start, self._last = self._start + now - self._last, now

    def lap(self, stage: str) -> None:
        """End a stage; one that ends more than once has the sum."""
        now = time.perf_counter()
        self._laps[stage] = round(self._laps.get(stage, 0.0) + now - self._last, 3)
        self._last = now

    def seconds(self) -> dict[str, float]:
        """Each stage, and their sum as ``total``."""
        return {**self._laps, "total": round(self._last - self._start, 3)}


class Stages:
    """Runs the stages of a job one after the other, and times them.

    A Prefect flow overrides `call`, so that stages are its tasks.

    Attributes
    ----------
    clock : Clock

    Examples
    --------
    >>> stages = Stages()
    >>> stages.run("sum", sum, [1, 2, 3])
    6
    >>> sorted(stages.clock.seconds())
    ['sum', 'total']
    """

    def __init__(self) -> None:
        self.clock = Clock()

    def run(
        self,
        name: str,
        function: Callable[Parameters, Result],
        /,
        *args: Parameters.args,
        **kwargs: Parameters.kwargs,
    ) -> Result:
        """Run a stage: the function, with its arguments."""
        result = self.call(name, function, *args, **kwargs)
        self.clock.lap(name)
        return result

    def call(
        self,
        name: str,
        function: Callable[Parameters, Result],
        /,
        *args: Parameters.args,
        **kwargs: Parameters.kwargs,
    ) -> Result:
        """Call a stage's function; to be overridden."""
        return function(*args, **kwargs)


@contextmanager
def opened_when_needed(
    open_it: Callable[[], AbstractContextManager[Result]],
) -> Iterator[Callable[[], Result]]:
    """A function that opens something when it is first called, such as a cluster.

    What was opened is closed at the end of the ``with`` block.
    """
    with ExitStack() as stack:
        opened: list[Result] = []

        def get() -> Result:
            if not opened:
                opened.append(stack.enter_context(open_it()))
            return opened[0]

        yield get


def of_stage(progress: Progress | None, stage: str, before: int = 0) -> StageProgress | None:
    """Progress of one stage, of whose work units some were done before.

    Examples
    --------
    >>> advance = of_stage(print, "score", before=2)
    >>> advance(1, 3)
    score 3 5
    """
    if progress is None:
        return None
    return lambda done, total: progress(stage, before + done, before + total)
