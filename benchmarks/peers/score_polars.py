"""Polars, streaming: the prediction, and if asked means, deviations and counts above each edge.

python -m benchmarks.peers.score_polars FOLDER MODEL.json OUTPUT [drift]
"""

import json
import sys
import time
from pathlib import Path

import polars as pl


def main(folder: str, model: str, output: str, drift: str = "") -> None:
    values = json.loads(Path(model).read_text())
    frame = pl.scan_parquet(f"{folder}/*.parquet")
    terms = [pl.col(name) * coef for name, coef in values["coef"].items() if coef]
    start = time.perf_counter()
    frame.select(
        "row_id", (pl.sum_horizontal(terms) + values["intercept"]).alias("prediction")
    ).sink_parquet(output, compression="zstd", engine="streaming")
    copied = time.perf_counter() - start
    if drift:
        wanted = []
        for name, edges in values["edges"].items():
            column = pl.col(name)
            wanted += [column.mean().alias(f"{name} mean"), column.std(ddof=0).alias(f"{name} sd")]
            wanted += [column.null_count().alias(f"{name} nulls")]
            wanted += [(column >= e).sum().alias(f"{name} {k}") for k, e in enumerate(edges)]
        frame.select(wanted).collect(engine="streaming")
    seconds = {"copy": copied, "total": time.perf_counter() - start}
    sys.stdout.write(json.dumps({"seconds": seconds}))


if __name__ == "__main__":
    main(*sys.argv[1:])
