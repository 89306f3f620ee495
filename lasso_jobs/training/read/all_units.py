"""Reads all work units of a plan on the cluster, and merges what they leave."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from lasso_jobs.engine.memory import of_this_process
from lasso_jobs.progress import Progress, of_stage
from lasso_jobs.storage.files import is_uri
from lasso_jobs.training.memory import Squares, refuse_too_large
from lasso_jobs.training.plan import TrainPlan
from lasso_jobs.training.read.cached_read import CachedRead, Caching, Spans

if TYPE_CHECKING:
    from lasso_jobs.engine.tasks import Workers

MOST_ALONE = 32
"""So many entries are read and merged without a cluster, whose start takes as long."""
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class AllUnits:
    """Reads all work units of a plan, and merges what they leave."""

    workers: "Callable[[], Workers]"
    planned: TrainPlan
    progress: Progress | None

    @property
    def caching(self) -> Caching | None:
        """How the job uses the cache."""
        registry = self.planned.job.registry
        if not self.planned.job.cache:
            return None
        # Workers of a local cluster may have another working folder.
        registry = registry if is_uri(registry) else str(Path(registry).absolute())
        return Caching(registry, self.planned.dataset.n_rows)

    def merged(
        self, read: CachedRead[Result], stage: str, squares: Squares | None = None
    ) -> Result:
        """The results of all units together, which need memory for these squares.

        A training that finds nodes of the tree of all units in the cache needs no cluster: so one
        that asks only other questions, or of fewer files.
        """
        tree = read.tree(self.planned.work_units)
        cover = read.cover(tree)
        leaves = [leaf.item for leaf in cover.leaves()]
        if len(leaves) <= MOST_ALONE and all(leaf.kept for leaf in leaves):
            result = read.loaded(cover)
            if result is not None:
                return result
        advance = of_stage(self.progress, stage)
        workers = self.workers()
        if squares is not None:
            self._refuse_small_workers(workers, squares, tree)
        return workers.reduce(read, read.merged, cover, progress=advance)

    def _refuse_small_workers(self, workers: "Workers", squares: Squares, tree: Spans) -> None:
        """Refuse what no worker holds; what waits to be merged, workers put on their disks."""
        path = self.planned.dataset.path
        for worker in workers.memory():
            n, limit = worker.n_threads, worker.limit_bytes
            if limit:
                needed, whose = n * squares.thread_bytes, f"in a worker of {n} threads"
            else:
                needed, limit = squares.process_bytes(n, tree), of_this_process()
                whose = f"for {n} threads of one process"
            refuse_too_large(path, needed, limit, whose)
