"""What no training can beat: read every column, and one symmetric product of them.

    python -m benchmarks.limit FOLDER

Prints the seconds of the work, without imports.
"""

import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from threadpoolctl import threadpool_limits

WORKERS = 2


def main(folder: str) -> None:
    files = sorted(Path(folder).glob("*.parquet"))
    groups = [(f, i) for f in files for i in range(pq.ParquetFile(f).num_row_groups)]
    width = len(pq.read_schema(files[0]).names)
    local = threading.local()

    def product(group: tuple[Path, int]) -> None:
        if getattr(local, "path", None) != group[0]:
            local.file = pq.ParquetFile(group[0], memory_map=True, pre_buffer=False)
            local.path = group[0]
        table = local.file.read_row_group(group[1], use_threads=False)
        block = np.empty((width, table.num_rows))
        for j in range(width):
            buffer = table.column(j).chunk(0).buffers()[1]
            block[j] = np.frombuffer(buffer, np.float64, count=table.num_rows)
        if not hasattr(local, "total"):
            local.total = np.zeros((width, width))
        local.total += block @ block.T

    with threadpool_limits(1), ThreadPoolExecutor(WORKERS) as pool:
        start = time.perf_counter()
        list(pool.map(product, groups))
        print(time.perf_counter() - start)


if __name__ == "__main__":
    main(sys.argv[1])
