"""Says what workers do: they run a function on many items, and merge results in a fixed order."""

from collections.abc import Callable, Iterator, Sequence
from threading import Lock
from typing import Any, Generic, Protocol, TypeVar

from lasso_jobs.engine.blas import use_one_blas_thread
from lasso_jobs.engine.memory import WorkerMemory, keep_what_is_freed
from lasso_jobs.progress import StageProgress

Item = TypeVar("Item")
Result = TypeVar("Result")

IN_FLIGHT_PER_THREAD = 2
"""A thread has its next item at hand when it ends one, and results never wait in numbers."""


class Workers(Protocol):
    """What runs a job's tasks: `threads.Threads`, or `dask_workers.DaskWorkers`."""

    def map(
        self,
        function: Callable[..., Result],
        items: Sequence[Item],
        *arguments: Any,
        progress: StageProgress | None = None,
    ) -> Iterator[tuple[int, Result]]:
        """Apply a function to each item, as the results come.

        Parameters
        ----------
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
        ...

    def reduce(
        self,
        function: Callable[..., Result],
        merge: Callable[[Result, Result], Result],
        items: Sequence[Item],
        *,
        progress: StageProgress | None = None,
    ) -> Result:
        """Apply a function to each item, and merge the results pairwise on the workers.

        Results are merged with their neighbours, in a `Tree`. So the result is bitwise the same for
        any number of workers and any order of completion.

        Parameters
        ----------
        function, items, progress
            As in `map`.
        merge : callable
            Of two results, the left one first.
        """
        ...

    def keep(
        self, function: Callable[..., Any], items: Sequence[Item], *arguments: Any
    ) -> list[Any]:
        """Start to compute what is kept where it is computed, and used as items later."""
        ...

    def memory(self) -> list[WorkerMemory]:
        """The memory of each of the workers that there are now."""
        ...

    def dashboard(self) -> str | None:
        """The address of the cluster's dashboard, if it has one."""
        ...


class Tree(Generic[Result]):
    """Merges two neighbours as soon as both are known, in a shape that their number decides.

    Parameters
    ----------
    merge : callable
    n_leaves : int

    Attributes
    ----------
    root : result
        Of all leaves, once all were added.

    Examples
    --------
    >>> tree = Tree("({} {})".format, 3)
    >>> for position, leaf in [(2, "c"), (1, "b"), (0, "a")]:
    ...     tree.add(position, leaf)
    >>> tree.root
    '((a b) c)'
    """

    root: Result

    def __init__(self, merge: Callable[[Result, Result], Result], n_leaves: int) -> None:
        if not n_leaves:
            raise ValueError("there is nothing to merge")
        self._merge, self._n_leaves = merge, n_leaves
        self._waiting: dict[tuple[int, int], Result] = {}
        self._lock = Lock()

    def add(self, position: int, result: Result) -> None:
        """Add a leaf, and merge as far up as neighbours wait; threads may do so at once."""
        level, width = 0, self._n_leaves
        while width > 1:
            neighbour = position ^ 1
            if neighbour < width:
                with self._lock:
                    if (level, neighbour) not in self._waiting:
                        self._waiting[level, position] = result
                        return
                    other = self._waiting.pop((level, neighbour))
                pair = (result, other) if position < neighbour else (other, result)
                result = self._merge(*pair)
                del other, pair
            level, position, width = level + 1, position // 2, (width + 1) // 2
        self.root = result


def run_task(function: Callable[..., Result], *arguments: Any) -> Result:
    """Run a function on one BLAS thread, as every task does."""
    use_one_blas_thread()
    keep_what_is_freed()
    return function(*arguments)
