"""What no implementation can beat, on two threads: read; multiply; write.

    python -m benchmarks.limit read|product|copy FOLDER COLUMNS [TARGET]

``read`` reads the first COLUMNS features and the outcome, ``product`` multiplies them as well, each
column with all others; ``copy`` writes the row's number and one of them to the folder TARGET.
Prints the seconds of the work, without imports.
"""

import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from threadpoolctl import threadpool_limits

WORKERS = 2


def main(mode: str, folder: str, columns: str, target: str = "") -> None:
    files = sorted(Path(folder).glob("*.parquet"))
    groups = [(f, i) for f in files for i in range(pq.ParquetFile(f).num_row_groups)]
    features = [name for name in pq.read_schema(files[0]).names if name not in ("row_id", "y")]
    names = [*features[: int(columns)], "y"]
    local = threading.local()

    def read(group: tuple[Path, int]) -> pa.Table:
        if getattr(local, "path", None) != group[0]:
            local.file = pq.ParquetFile(group[0], memory_map=True, pre_buffer=False)
            local.path = group[0]
        chosen = names if mode != "copy" else ["row_id", *names[:-1]]
        return local.file.read_row_group(group[1], columns=chosen, use_threads=False)

    def product(group: tuple[Path, int]) -> None:
        table = read(group)
        if not hasattr(local, "total"):
            local.total = np.zeros((len(names), len(names)))
        if not hasattr(local, "block") or local.block.shape[1] < table.num_rows:
            local.block = np.empty((len(names), table.num_rows))
        block = local.block[:, : table.num_rows]
        for j in range(len(names)):
            buffer = table.column(j).chunk(0).buffers()[1]
            block[j] = np.frombuffer(buffer, np.float64, count=table.num_rows)
        local.total += block @ block.T

    def copy(group: tuple[Path, int]) -> None:
        path = Path(target) / f"{group[0].stem}-{group[1]}.parquet"
        pq.write_table(read(group).select([0, 1]), path, compression="zstd", use_dictionary=False)

    works: dict[str, Callable[[tuple[Path, int]], object]] = {"product": product, "copy": copy}
    with threadpool_limits(1), ThreadPoolExecutor(WORKERS) as pool:
        start = time.perf_counter()
        for _ in pool.map(works.get(mode, read), groups):
            pass
        sys.stdout.write(f"{time.perf_counter() - start}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
