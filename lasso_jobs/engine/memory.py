"""Says how much memory this process and the workers may use, and gives back what they do not."""

import ctypes
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

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


def give_back() -> None:
    """Give the system the memory that this process has freed.

    Arrow and the C library keep it for the next time, in a pool for each thread: of a screening
    that is some 300 MB.
    """
    pa.default_memory_pool().release_unused()
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # of glibc alone
        if trim is not None:
            trim(0)


def of_workers(client: "Client") -> list[WorkerMemory]:
    """The workers that there are now."""
    workers = client.scheduler_info(n_workers=-1)["workers"].values()
    return [WorkerMemory(int(w["nthreads"]), int(w["memory_limit"] or 0)) for w in workers]
