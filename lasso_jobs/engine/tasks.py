"""Runs a function on many items on the cluster: so many in flight, a fixed order of merging.

What happens to a task whose worker dies? Dask runs it again on another worker, as often as its
``distributed.scheduler.allowed-failures`` says, and then gives it up. What it gives up `_Attempts`
runs once more with nothing beside it. What a dead worker alone had stored, such as a merged
result, Dask computes again from the tasks that led to it. A result that is lost with the driver is
the business of the use case: scoring has its journal, training its cache of moments.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from itertools import count
from typing import Any, TypeVar

from distributed import Client, Future, KilledWorker, as_completed
from distributed.scheduler import NoValidWorkerError, NoWorkerError

from lasso_jobs.engine.cluster import use_one_blas_thread
from lasso_jobs.engine.health import scheduler_is_gone
from lasso_jobs.errors import ClusterError
from lasso_jobs.progress import StageProgress

Item = TypeVar("Item")
Result = TypeVar("Result")

IN_FLIGHT_PER_THREAD = 2
"""A thread has its next item at hand when it ends one, and the scheduler never has many."""


def bounded_map(
    client: Client,
    function: Callable[..., Result],
    items: Sequence[Item],
    *arguments: Any,
    progress: StageProgress | None = None,
) -> Iterator[tuple[int, Result]]:
    """Apply a function to each item on the cluster, as the results come.

    Parameters
    ----------
    client : distributed.Client
    function : callable
        Called with an item and the arguments. May run more than once for an item, if a worker
        dies.
    items : sequence
    *arguments
        Small: they travel with every task, as what is scattered once dies with its workers.
    progress : callable, optional

    Yields
    ------
    (int, result)
        The position of the item, and its result.

    Raises
    ------
    LassoJobsError
        What the function raises, as it is; or that an item killed its workers.

    Examples
    --------
    >>> from lasso_jobs.engine.cluster import connect
    >>> with connect(workers=1) as client:
    ...     sorted(bounded_map(client, abs, [-2, 3]))
    [(0, 2), (1, 3)]
    """
    for position, future in _Attempts(client, function, items, arguments).completed(progress):
        yield position, result_of(future, str(items[position]))


def tree_reduce(
    client: Client,
    function: Callable[..., Result],
    merge: Callable[[Result, Result], Result],
    items: Sequence[Item],
    *,
    progress: StageProgress | None = None,
) -> Result:
    """Apply a function to each item, and merge the results pairwise on the cluster.

    Results are merged with their neighbours, in a tree whose shape depends on the number of items
    only. So the result is bitwise the same for any number of workers and any order of completion.

    Parameters
    ----------
    client, function, items, progress
        As in `bounded_map`.
    merge : callable
        Of two results, the left one first.

    Examples
    --------
    >>> from operator import add
    >>> from lasso_jobs.engine.cluster import connect
    >>> with connect(workers=1) as client:
    ...     tree_reduce(client, len, add, ["ab", "c", "def"])
    6
    """
    if not items:
        raise ValueError("there is nothing to reduce")
    tree = _Tree(client, merge, len(items))
    for position, future in _Attempts(client, function, items).completed(progress):
        tree.add(0, position, future)
    result: Result = result_of(tree.root, "the merged results")
    return result


class _Tree:
    """Merges two neighbours as soon as both are known."""

    def __init__(self, client: Client, merge: Callable[..., Any], n_leaves: int) -> None:
        self._client = client
        self._merge = merge
        self._widths = [n_leaves]
        while self._widths[-1] > 1:
            self._widths.append((self._widths[-1] + 1) // 2)
        self._waiting: dict[tuple[int, int], Future[Any]] = {}
        self.root: Future[Any]

    def add(self, level: int, position: int, future: "Future[Any]") -> None:
        if level == len(self._widths) - 1:
            self.root = future
            return
        neighbour = position ^ 1
        if neighbour >= self._widths[level]:
            self.add(level + 1, position // 2, future)
        elif (level, neighbour) in self._waiting:
            other = self._waiting.pop((level, neighbour))
            pair = (future, other) if position < neighbour else (other, future)
            merged = self._client.submit(_one_thread, self._merge, *pair, pure=False, priority=1)
            self.add(level + 1, position // 2, merged)
        else:
            self._waiting[level, position] = future


class _Attempts:
    """Runs each item as a task, and once more alone where Dask gives it up.

    Dask blames every task that waits on a worker which dies, the innocent as the guilty. So what it
    gives up is run once more with nothing beside it, and is guilty only if its workers die again.
    """

    def __init__(
        self,
        client: Client,
        function: Callable[..., Any],
        items: Sequence[Any],
        arguments: tuple[Any, ...] = (),
    ) -> None:
        self._client, self._function = client, function
        self._items, self._arguments = items, arguments

    def completed(self, progress: StageProgress | None) -> Iterator[tuple[int, "Future[Any]"]]:
        """Futures of the items as they finish, with the position of each."""
        in_flight = IN_FLIGHT_PER_THREAD * (sum(self._client.nthreads().values()) or 1)
        done = count(1)
        waiting = deque(range(len(self._items)))
        while waiting:
            suspects: deque[int] = deque()
            for queue, bound, given_up in ((waiting, in_flight, suspects), (suspects, 1, None)):
                for position, future in self._of_queue(queue, bound, given_up):
                    if future.status != "finished":
                        result_of(future, str(self._items[position]))
                    if progress is not None:
                        progress(next(done), len(self._items))
                    yield position, future
                    del future

    def _submit(self, position: int) -> "Future[Any]":
        item = self._items[position]
        submit = self._client.submit
        return submit(_one_thread, self._function, item, *self._arguments, pure=False)

    def _of_queue(
        self, queue: deque[int], in_flight: int, given_up: deque[int] | None
    ) -> Iterator[tuple[int, "Future[Any]"]]:
        """At most so many at a time, until the queue is empty or one is given up."""
        running = as_completed(loop=self._client.loop)
        positions: dict[Any, int] = {}

        def fill() -> None:
            while queue and not given_up and len(positions) < in_flight:
                position = queue.popleft()
                future = self._submit(position)
                positions[future.key] = position
                running.add(future)

        fill()
        try:
            for future in running:
                position = positions.pop(future.key)
                killed = future.status == "error" and isinstance(future.exception(), KilledWorker)
                if killed and given_up is not None:
                    given_up.append(position)
                    continue
                fill()
                yield position, future
                del future
        finally:
            self._client.cancel(list(running.futures))


def _one_thread(function: Callable[..., Any], *arguments: Any) -> Any:
    use_one_blas_thread()
    return function(*arguments)


def result_of(future: "Future[Any]", name: str) -> Any:
    """Wait for a result; turn what Dask says of its workers into words."""
    try:
        return future.result()
    except KilledWorker as error:
        raise ClusterError(
            name,
            f"its workers died, {error.allowed_failures + 1} times",
            "workers with enough memory",
            "Give the workers more memory, or write smaller row groups",
        ) from error
    except (CancelledError, NoWorkerError, NoValidWorkerError) as error:
        why = getattr(error, "msg", None) or str(error)
        if str(getattr(error, "reason", "")).startswith("scheduler-"):
            address = str(future.client.scheduler.address) if future.client.scheduler else name
            raise scheduler_is_gone(address, f"while {name} was computed") from error
        raise ClusterError(
            name,
            f"was cancelled ({why})",
            "a running cluster",
            "Look at the scheduler and its workers, and run again",
            transient=True,
        ) from error
