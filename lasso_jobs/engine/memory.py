"""Says how much memory this process and the workers may use, and gives back what they do not."""

import ctypes
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

CONTAINER_LIMITS = tuple(
    Path("/sys/fs/cgroup", name)
    for name in ("memory.max", "memory.high", "memory/memory.limit_in_bytes")
)
"""Of control groups of the second version, and of the first; at most some of the files exist."""


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
    import psutil  # 10 ms, and few jobs are so large that they ask

    limits = [int(psutil.virtual_memory().total)]
    for file in CONTAINER_LIMITS:
        with suppress(OSError, ValueError):  # no such file, or "max"
            limits.append(int(file.read_text()))
    if sys.platform != "win32":
        import resource

        limits.append(resource.getrlimit(resource.RLIMIT_RSS)[0])
    return min(limit for limit in limits if limit > 0)


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
