"""Says how much memory this process and the workers may use, and gives back what they do not."""

import ctypes
import os
import sys
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pyarrow as pa

CONTAINER_LIMITS = tuple(
    Path("/sys/fs/cgroup", name)
    for name in ("memory.max", "memory.high", "memory/memory.limit_in_bytes")
)
"""Of control groups of the second version, and of the first; at most some of the files exist."""


_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_MOST_MMAP_THRESHOLD = 32 * 2**20
"""What glibc comes to at most, with twice that for the other threshold (``mallopt(3)``)."""


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


@cache
def keep_what_is_freed() -> None:
    """Let this process use freed memory again, up to 64 MB of it, before it goes to the system.

    glibc comes to do so by itself, but not where ``MALLOC_TRIM_THRESHOLD_`` is set, as Dask sets it
    for the workers that its nannies start. Each column of a block was then cleared by the system
    anew: the pass over 2,000,000 rows x 100 columns had 531,000 page faults in two workers, where
    it has 43,000, and took 13.9 processor seconds, where it takes 11.8.
    """
    if sys.platform == "linux" and "MALLOC_TRIM_THRESHOLD_" in os.environ:
        option = getattr(ctypes.CDLL(None), "mallopt", None)  # of glibc
        if option is not None:
            option(_M_MMAP_THRESHOLD, _MOST_MMAP_THRESHOLD)
            option(_M_TRIM_THRESHOLD, 2 * _MOST_MMAP_THRESHOLD)
