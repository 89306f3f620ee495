"""Runs independent fits on the threads of this machine, with their progress, and stops them."""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from threading import Event
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

LOOK_SECONDS = 0.2
"""How long the thread that waits may not notice progress, or a signal."""


class StoppedError(Exception):
    """The work is not wanted any more."""


class Steps:
    """Counts the steps of some work, whichever threads take them.

    Parameters
    ----------
    progress : callable, optional
        Called, by the thread that waits for the work, with the steps done and expected.
    n_threads : int, optional
        How many threads take steps at once; by default as many as there are cores.

    Examples
    --------
    >>> steps = Steps(lambda done, expected: print(done, "of", expected)).expect(3)
    >>> steps.take()
    >>> steps.tell()
    1 of 3
    """

    def __init__(
        self,
        progress: Callable[[int, int], None] | None = None,
        n_threads: int | None = None,
    ) -> None:
        self._progress = progress
        self.n_threads = n_threads
        self._stopped = Event()
        self._taken: list[None] = []  # whose append needs no lock
        self._expected = self._told = 0

    def expect(self, n: int) -> "Steps":
        """Add to the number of steps that are expected."""
        self._expected += n
        return self

    def take(self) -> None:
        """Count a step.

        Raises
        ------
        StoppedError
        """
        self.check()
        self._taken.append(None)

    def check(self) -> None:
        """Look, within a step that may take long, whether the work is still wanted.

        Raises
        ------
        StoppedError
        """
        if self._stopped.is_set():
            raise StoppedError

    def tell(self) -> None:
        """Call ``progress`` if there was some."""
        done = len(self._taken)
        if self._progress is not None and done != self._told:
            self._told = done
            self._progress(done, max(done, self._expected))

    def stop(self) -> None:
        """Let every thread end at its next step."""
        self._stopped.set()


def in_threads(
    function: Callable[[Item], Result], items: Iterable[Item], steps: Steps
) -> list[Result]:
    """Call a function for each item; the results are in the items' order.

    Where one call fails, or a signal interrupts the wait, the others end at their next step.

    Examples
    --------
    >>> in_threads(abs, [-1, 2], Steps())
    [1, 2]
    """
    pool = ThreadPoolExecutor(steps.n_threads or os.cpu_count())
    futures = [pool.submit(function, item) for item in items]
    waiting = set(futures)
    try:
        while waiting:
            done, waiting = wait(waiting, LOOK_SECONDS, FIRST_COMPLETED)
            for future in done:
                future.result()
            if waiting:
                steps.tell()
        steps.tell()
        return [future.result() for future in futures]
    except BaseException:
        steps.stop()
        raise
    finally:
        pool.shutdown(cancel_futures=True)
