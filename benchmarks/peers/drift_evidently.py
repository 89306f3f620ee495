"""Evidently's default preset: the first days, each against as many training rows of all days.

    python benchmarks/peers/drift_evidently.py MOST TRAINING DAYS [TRAINING DAYS ...]

MOST days of each folder DAYS are compared. Runs with the Python of an environment that has
Evidently, pyarrow and pandas below 3.
"""

import json
import sys
from pathlib import Path

import pandas as pd
from evidently import Report
from evidently.presets import DataDriftPreset

SHARE = 0.5
"""The preset calls a dataset drifted if so many of its columns are."""


def main(most: str, *folders: str) -> None:
    found = []
    for training, days in zip(folders[::2], folders[1::2], strict=True):
        found.append(_compared(training, sorted(Path(days).glob("day=*/*.parquet"))[: int(most)]))
        sys.stderr.write(f"{days}: {json.dumps(found[-1])}\n")
    sys.stdout.write(json.dumps(found))


def _compared(training: str, days: list[Path]) -> dict[str, list[bool]]:
    """By what counts as an alarm, whether each day is one."""
    files = sorted(Path(training).glob("day=*/*.parquet"))
    n = len(pd.read_parquet(days[0], columns=["y"]))
    parts = [pd.read_parquet(f).sample(n // len(files) + 1, random_state=0) for f in files]
    reference = pd.concat(parts).drop(columns="y").sample(n, random_state=0)
    dataset, some = [], []
    for file in days:
        current = pd.read_parquet(file).drop(columns="y")
        result = Report([DataDriftPreset(drift_share=SHARE)]).run(current, reference).dict()
        counted = next(m for m in result["metrics"] if "DriftedColumnsCount" in m["metric_name"])
        dataset.append(bool(counted["value"]["share"] >= SHARE))
        some.append(bool(counted["value"]["count"] >= 1))
    return {"dataset": dataset, "any": some}


if __name__ == "__main__":
    main(*sys.argv[1:])
