"""Says what workers do: they run a function on many items, and merge results in a fixed order."""

from collections.abc import Callable, Iterator, Sequence
from threading import Lock
from typing import Any, Generic, Protocol, TypeVar

from lasso_jobs.core.merge_tree import MergeTree, balanced
from lasso_jobs.engine.blas import use_one_blas_thread
from lasso_jobs.engine.memory import WorkerMemory, keep_what_is_freed
from lasso_jobs.progress import StageProgress

Item = TypeVar("Item")
Result = TypeVar("Result")
Items = Sequence[Any] | MergeTree[Any]

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
        """Apply a function to each item, as the results come; it begins at once.

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
        merge: Callable[..., Result],
        items: Items,
        *,
        progress: StageProgress | None = None,
    ) -> Result:
        """Apply a function to each item, and merge the results pairwise on the workers.

        Results are merged with their neighbours, in a `Tree`. So the result is bitwise the same for
        any number of workers and any order of completion.

        Parameters
        ----------
        function, progress
            As in `map`.
        merge : callable
            Of two results, the left one first; and of the item of both, if the tree has one.
        items : sequence or MergeTree
            What is in a sequence is merged in a shape that its length decides.
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


def shape_of(items: Items) -> MergeTree[Any]:
    """The tree in which items are merged."""
    if isinstance(items, MergeTree):
        return items
    if not items:
        raise ValueError("there is nothing to merge")
    return balanced(items, lambda *_: None)


class Tree(Generic[Result]):
    """Merges two neighbours as soon as both are known.

    Parameters
    ----------
    merge : callable
    shape : MergeTree

    Attributes
    ----------
    root : result
        Of all leaves, once all were added.

    Examples
    --------
    >>> tree = Tree("({} {})".format, shape_of("abc"))
    >>> for position, leaf in [(2, "c"), (1, "b"), (0, "a")]:
    ...     tree.add(position, leaf)
    >>> tree.root
    '((a b) c)'
    """

    root: Result

    def __init__(self, merge: Callable[..., Result], shape: MergeTree[Any]) -> None:
        self._merge = merge
        self._leaves: list[int] = []
        # Of each node, which node is above it, and whether it is the left half of that.
        self._above: list[tuple[int, bool]] = []
        self._items: list[Any] = []
        self._number(shape, (-1, False))
        self._waiting: dict[int, Result] = {}
        self._lock = Lock()

    def _number(self, shape: MergeTree[Any], above: tuple[int, bool]) -> None:
        own = len(self._above)
        self._above.append(above)
        self._items.append(shape.item)
        if not shape.halves:
            self._leaves.append(own)
        for i, half in enumerate(shape.halves):
            self._number(half, (own, i == 0))

    def add(self, position: int, result: Result) -> None:
        """Add a leaf, and merge as far up as neighbours wait; threads may do so at once."""
        node, is_left = self._above[self._leaves[position]]
        while node >= 0:
            with self._lock:
                if node not in self._waiting:
                    self._waiting[node] = result
                    return
                other = self._waiting.pop(node)
            pair = (result, other) if is_left else (other, result)
            item = self._items[node]
            result = self._merge(*pair) if item is None else self._merge(*pair, item)
            del other, pair
            node, is_left = self._above[node]
        self.root = result


def run_task(function: Callable[..., Result], *arguments: Any) -> Result:
    """Run a function on one BLAS thread, as every task does."""
    use_one_blas_thread()
    keep_what_is_freed()
    return function(*arguments)
