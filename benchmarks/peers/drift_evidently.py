"""Evidently's default preset: the first days, each against as many training rows of all days.

    python benchmarks/peers/drift_evidently.py TRAINING DAYS MOST

Runs with the Python of an environment that has Evidently and pyarrow.
"""

import json
import sys
from pathlib import Path

import pandas as pd
from evidently import Report
from evidently.presets import DataDriftPreset

SHARE = 0.5
"""The preset calls a dataset drifted if so many of its columns are."""


def main(training: str, days: str, most: str) -> None:
    files = sorted(Path(training).glob("day=*/rows.parquet"))
    every = sorted(Path(days).glob("day=*/rows.parquet"))[: int(most)]
    n = len(pd.read_parquet(every[0], columns=["y"]))
    per_file = n // len(files) + 1
    parts = [pd.read_parquet(f).sample(per_file, random_state=0) for f in files]
    reference = pd.concat(parts).drop(columns="y").sample(n, random_state=0)
    dataset, some = [], []
    for file in every:
        current = pd.read_parquet(file).drop(columns="y")
        result = Report([DataDriftPreset(drift_share=SHARE)]).run(current, reference).dict()
        counted = next(m for m in result["metrics"] if "DriftedColumnsCount" in m["metric_name"])
        dataset.append(counted["value"]["share"] >= SHARE)
        some.append(counted["value"]["count"] >= 1)
    sys.stdout.write(json.dumps({"dataset": dataset, "any": some}))


if __name__ == "__main__":
    main(*sys.argv[1:])
