"""Runs tasks on the workers of a Dask cluster.

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

from distributed import Client, Future, KilledWorker, LocalCluster, as_completed
from distributed.scheduler import NoValidWorkerError, NoWorkerError

from lasso_jobs.engine.health import scheduler_is_gone
from lasso_jobs.engine.memory import WorkerMemory
from lasso_jobs.engine.tasks import IN_FLIGHT_PER_THREAD, Items, Tree, run_task, shape_of
from lasso_jobs.errors import ClusterError
from lasso_jobs.progress import StageProgress

Item = TypeVar("Item")
Result = TypeVar("Result")


class DaskWorkers:
    """The workers of a Dask cluster.

    Parameters
    ----------
    client : distributed.Client
    """

    def __init__(self, client: Client) -> None:
        self.client = client

    def map(
        self,
        function: Callable[..., Result],
        items: Sequence[Item],
        *arguments: Any,
        progress: StageProgress | None = None,
    ) -> Iterator[tuple[int, Result]]:
        """As `tasks.Workers.map`."""
        completed = _Attempts(self.client, function, items, arguments).completed(progress)
        return ((at, result_of(future, str(items[at]))) for at, future in completed)

    def reduce(
        self,
        function: Callable[..., Result],
        merge: Callable[..., Result],
        items: Items,
        *,
        progress: StageProgress | None = None,
    ) -> Result:
        """As `tasks.Workers.reduce`; a merge is a task, which a worker runs before other tasks."""

        def merged(left: "Future[Any]", right: "Future[Any]", *item: Any) -> "Future[Any]":
            halves = (left, right, *item)
            return self.client.submit(run_task, merge, *halves, pure=False, priority=1)

        shape = shape_of(items)
        leaves, tree = [leaf.item for leaf in shape.leaves()], Tree(merged, shape)
        for position, future in _Attempts(self.client, function, leaves).completed(progress):
            tree.add(position, future)
        result: Result = result_of(tree.root, "the merged results")
        return result

    def keep(
        self, function: Callable[..., Any], items: Sequence[Item], *arguments: Any
    ) -> "list[Future[Any]]":
        """As `tasks.Workers.keep`."""
        submit = self.client.submit
        return [submit(run_task, function, item, *arguments, pure=False) for item in items]

    def memory(self) -> list[WorkerMemory]:
        """As `tasks.Workers.memory`."""
        workers = self.client.scheduler_info(n_workers=-1)["workers"].values()
        return [WorkerMemory(int(w["nthreads"]), int(w["memory_limit"] or 0)) for w in workers]

    def dashboard(self) -> str | None:
        """As `tasks.Workers.dashboard`; None for a cluster of this machine."""
        local = isinstance(self.client.cluster, LocalCluster)
        has_one = "dashboard" in self.client.scheduler_info()["services"]
        return None if local or not has_one else self.client.dashboard_link


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
        """Futures of the items as they finish, with the position of each; the first begin now."""
        in_flight = IN_FLIGHT_PER_THREAD * (sum(self._client.nthreads().values()) or 1)
        waiting, suspects = deque(range(len(self._items))), deque[int]()
        begun = self._of_queue(waiting, in_flight, suspects)

        def in_turn() -> Iterator[tuple[int, "Future[Any]"]]:
            yield from begun
            yield from self._of_queue(suspects, 1, None)
            while waiting:
                yield from self._of_queue(waiting, in_flight, suspects)
                yield from self._of_queue(suspects, 1, None)

        return self._finished(in_turn(), progress)

    def _finished(
        self, results: Iterator[tuple[int, "Future[Any]"]], progress: StageProgress | None
    ) -> Iterator[tuple[int, "Future[Any]"]]:
        done = count(1)
        for position, future in results:
            if future.status != "finished":
                result_of(future, str(self._items[position]))
            if progress is not None:
                progress(next(done), len(self._items))
            yield position, future
            del future

    def _submit(self, position: int) -> "Future[Any]":
        item = self._items[position]
        submit = self._client.submit
        return submit(run_task, self._function, item, *self._arguments, pure=False)

    def _of_queue(
        self, queue: deque[int], in_flight: int, given_up: deque[int] | None
    ) -> Iterator[tuple[int, "Future[Any]"]]:
        """Begin; at most so many at a time, until the queue is empty or one is given up."""
        running = as_completed(loop=self._client.loop)
        positions: dict[Any, int] = {}

        def fill() -> None:
            while queue and not given_up and len(positions) < in_flight:
                position = queue.popleft()
                future = self._submit(position)
                positions[future.key] = position
                running.add(future)

        def results() -> Iterator[tuple[int, "Future[Any]"]]:
            try:
                for future in running:
                    position = positions.pop(future.key)
                    failed = future.status == "error"
                    killed = failed and isinstance(future.exception(), KilledWorker)
                    if killed and given_up is not None:
                        given_up.append(position)
                        continue
                    fill()
                    yield position, future
                    del future
            finally:
                # A job that ends in an error may close the client before this is collected.
                if self._client.status == "running":
                    self._client.cancel(list(running.futures))

        fill()
        return results()


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
