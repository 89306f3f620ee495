"""Says how much memory this process and the workers may use."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from distributed import Client


@dataclass(frozen=True, slots=True)
class WorkerMemory:
    """The memory of a worker.

    Parameters
    ----------
    n_threads : int
    limit_bytes : int
        Beyond which Dask restarts it; 0 for the threads of this process.
    """

    n_threads: int
    limit_bytes: int


def of_this_process() -> int:
    """The machine's memory, or less if a container's limit or a resource limit says so."""
    from distributed.system import MEMORY_LIMIT

    return int(MEMORY_LIMIT)


def of_workers(client: "Client") -> list[WorkerMemory]:
    """The workers that there are now."""
    workers = client.scheduler_info(n_workers=-1)["workers"].values()
    return [WorkerMemory(int(w["nthreads"]), int(w["memory_limit"] or 0)) for w in workers]
