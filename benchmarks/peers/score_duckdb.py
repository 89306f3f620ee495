"""DuckDB: COPY of the prediction, and if asked the means, deviations and histograms.

python -m benchmarks.peers.score_duckdb FOLDER MODEL.json OUTPUT [drift]
"""

import json
import sys
import time
from pathlib import Path

import duckdb


def main(folder: str, model: str, output: str, drift: str = "") -> None:
    values = json.loads(Path(model).read_text())
    terms = [f"{coef!r}::DOUBLE * {name}" for name, coef in values["coef"].items() if coef]
    prediction = " + ".join([f"{values['intercept']!r}::DOUBLE", *terms])
    source = f"read_parquet('{folder}/*.parquet')"
    connection = duckdb.connect()
    connection.execute("SET threads = 2; SET preserve_insertion_order = false")
    start = time.perf_counter()
    connection.execute(
        f"COPY (SELECT row_id, {prediction} AS prediction FROM {source}) "
        f"TO '{output}' (FORMAT parquet, COMPRESSION zstd)"
    )
    copied = time.perf_counter() - start
    if drift:
        wanted = [
            f"avg({n}), stddev_pop({n}), count({n}), "
            f"histogram({n}, [{', '.join(f'{e!r}::DOUBLE' for e in edges)}])"
            for n, edges in values["edges"].items()
        ]
        connection.execute(f"SELECT {', '.join(wanted)} FROM {source}").fetchall()
    seconds = {"copy": copied, "total": time.perf_counter() - start}
    sys.stdout.write(json.dumps({"seconds": seconds}))


if __name__ == "__main__":
    main(*sys.argv[1:])
