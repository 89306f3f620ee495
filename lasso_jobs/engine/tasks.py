"""Running many tasks: a bounded number in flight, results in an order that never varies."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from itertools import count
from typing import Any, TypeVar

from distributed import Client, Future, KilledWorker, as_completed
from distributed.scheduler import NoValidWorkerError, NoWorkerError

from lasso_jobs.engine.cluster import use_one_blas_thread
from lasso_jobs.errors import ClusterError

Item = TypeVar("Item")
Result = TypeVar("Result")
Progress = Callable[[int, int], None]
"""Called with the number of items done and the number of all items."""

IN_FLIGHT_PER_THREAD = 2


def bounded_map(
    client: Client,
    function: Callable[..., Result],
    items: Sequence[Item],
    *arguments: Any,
    progress: Progress | None = None,
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
    """
    for position, future in _completed(client, function, items, arguments, progress):
        yield position, result_of(future, str(items[position]))


def tree_reduce(
    client: Client,
    function: Callable[..., Result],
    merge: Callable[[Result, Result], Result],
    items: Sequence[Item],
    *arguments: Any,
    progress: Progress | None = None,
) -> Result:
    """Apply a function to each item, and merge the results pairwise on the cluster.

    Results are merged with their neighbours, in a tree whose shape depends on the number of items
    only. So the result is bitwise the same for any number of workers and any order of completion.

    Parameters
    ----------
    client, function, items, arguments, progress
        As in `bounded_map`.
    merge : callable
        Of two results, the left one first.
    """
    if not items:
        raise ValueError("there is nothing to reduce")
    tree = _Tree(client, merge, len(items))
    for position, future in _completed(client, function, items, arguments, progress):
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


def _completed(
    client: Client,
    function: Callable[..., Any],
    items: Sequence[Any],
    arguments: tuple[Any, ...],
    progress: Progress | None,
) -> Iterator[tuple[int, "Future[Any]"]]:
    """Futures of the items as they finish.

    Dask blames every task that waits on a worker which dies, the innocent as the guilty. So what it
    gives up is run once more with nothing beside it, and is guilty only if its workers die again.
    """
    in_flight = IN_FLIGHT_PER_THREAD * (sum(client.nthreads().values()) or 1)
    done = count(1)

    def submit(position: int) -> "Future[Any]":
        return client.submit(_one_thread, function, items[position], *arguments, pure=False)

    waiting = deque(range(len(items)))
    while waiting:
        suspects: deque[int] = deque()
        for queue, bound, given_up in ((waiting, in_flight, suspects), (suspects, 1, None)):
            for position, future in _of_queue(client, submit, queue, bound, given_up):
                if future.status != "finished":
                    result_of(future, str(items[position]))
                if progress is not None:
                    progress(next(done), len(items))
                yield position, future
                del future


def _of_queue(
    client: Client,
    submit: Callable[[int], "Future[Any]"],
    queue: deque[int],
    in_flight: int,
    given_up: deque[int] | None,
) -> Iterator[tuple[int, "Future[Any]"]]:
    """At most so many at a time, until the queue is empty or one is given up."""
    running = as_completed(loop=client.loop)
    positions: dict[Any, int] = {}

    def fill() -> None:
        while queue and not given_up and len(positions) < in_flight:
            position = queue.popleft()
            future = submit(position)
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
        client.cancel(list(running.futures))


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
        raise ClusterError(
            name,
            f"was cancelled ({why})",
            "a running cluster",
            "Look at the scheduler and its workers, and run again",
        ) from error
