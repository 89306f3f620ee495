"""Runs tasks on threads of this process, without a scheduler."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import suppress
from itertools import islice
from queue import Empty, SimpleQueue
from threading import Thread
from types import TracebackType
from typing import Any, Self, TypeVar

from lasso_jobs.engine.memory import WorkerMemory
from lasso_jobs.engine.tasks import IN_FLIGHT_PER_THREAD, Items, Tree, run_task, shape_of
from lasso_jobs.progress import StageProgress

Item = TypeVar("Item")
Result = TypeVar("Result")
Task = tuple["Future[Any]", Callable[..., Any], tuple[Any, ...]]


def cores() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Threads:
    """Workers that are threads of this process.

    They are daemons, and no `concurrent.futures.ThreadPoolExecutor`, whose threads Python waits for
    at its end: a command that is interrupted ends at once, and not with the units that are read.

    Parameters
    ----------
    n : int

    Examples
    --------
    >>> from operator import add
    >>> with Threads(2) as threads:
    ...     threads.reduce(len, add, ["ab", "c", "def"])
    6
    """

    def __init__(self, n: int) -> None:
        self._queue: SimpleQueue[Task | None] = SimpleQueue()
        name = "lasso-jobs-{}".format
        self._threads = [Thread(target=self._work, name=name(i), daemon=True) for i in range(n)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        with suppress(Empty):
            while True:
                self._queue.get_nowait()
        for _ in self._threads:
            self._queue.put(None)
        if kind is None or issubclass(kind, Exception):  # nothing runs after a job, unless stopped
            for thread in self._threads:
                thread.join()

    def map(
        self,
        function: Callable[..., Result],
        items: Sequence[Item],
        *arguments: Any,
        progress: StageProgress | None = None,
    ) -> Iterator[tuple[int, Result]]:
        """As `tasks.Workers.map`."""
        done: SimpleQueue[Future[Result]] = SimpleQueue()
        positions: dict[Future[Result], int] = {}
        waiting = iter(range(len(items)))

        def begin(n: int) -> None:
            for position in islice(waiting, n):
                future = self._submit(function, items[position], *arguments)
                positions[future] = position
                future.add_done_callback(done.put)

        def results() -> Iterator[tuple[int, Result]]:
            try:
                for n_done in range(1, len(items) + 1):
                    future = done.get()
                    position, result = positions.pop(future), future.result()
                    del future  # or it would hold its result while the next one is computed
                    begin(1)
                    if progress is not None:
                        progress(n_done, len(items))
                    yield position, result
                    del result
            finally:
                for future in positions:
                    future.cancel()

        begin(IN_FLIGHT_PER_THREAD * len(self._threads))
        return results()

    def reduce(
        self,
        function: Callable[..., Result],
        merge: Callable[..., Result],
        items: Items,
        *,
        progress: StageProgress | None = None,
    ) -> Result:
        """As `tasks.Workers.reduce`; the thread that ends an item merges what waits for it."""
        shape = shape_of(items)
        leaves, tree = [leaf.item for leaf in shape.leaves()], Tree(merge, shape)

        def climb(position: int) -> None:
            tree.add(position, function(_known(leaves[position])))

        for _ in self.map(climb, range(len(leaves)), progress=progress):
            pass
        return tree.root

    def keep(
        self, function: Callable[..., Any], items: Sequence[Item], *arguments: Any
    ) -> "list[Future[Any]]":
        """As `tasks.Workers.keep`."""
        return [self._submit(function, item, *arguments) for item in items]

    def memory(self) -> list[WorkerMemory]:
        """As `tasks.Workers.memory`."""
        return [WorkerMemory(n_threads=len(self._threads), limit_bytes=0)]

    def dashboard(self) -> None:
        """None: threads have none."""

    def _submit(self, function: Callable[..., Result], *arguments: Any) -> "Future[Result]":
        future: Future[Result] = Future()
        self._queue.put((future, function, arguments))
        return future

    def _work(self) -> None:
        while (task := self._queue.get()) is not None:
            future, function, arguments = task
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(run_task(function, *map(_known, arguments)))
                except BaseException as error:  # noqa: BLE001 - it is raised again in the driver
                    future.set_exception(error)
            del task, future, function, arguments  # they would be held until the next task comes


def _known(item: Any) -> Any:
    """What is kept for an item. Whoever waits for it began later, so that nobody waits forever."""
    return item.result() if isinstance(item, Future) else item
