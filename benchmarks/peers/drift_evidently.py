"""Evidently's default preset: each night against all training rows.

    python benchmarks/peers/drift_evidently.py FOLDER [FOLDER ...]

Prints, for each folder with `training` and `nights`, whether each night is a drifted dataset, and
whether it has a drifted column. Runs with the Python of an environment that has Evidently, pyarrow
and pandas below 3.
"""

import json
import sys
from pathlib import Path

import pandas as pd
from evidently import Report
from evidently.presets import DataDriftPreset

SHARE = 0.5
"""The preset's default: a dataset has drifted if so many of its columns have."""


def main(*folders: str) -> None:
    sys.stdout.write(json.dumps([_compared(Path(folder)) for folder in folders]))


def _compared(folder: Path) -> tuple[list[bool], list[bool]]:
    reference = pd.concat(map(_read, sorted((folder / "training").glob("day=*/*.parquet"))))
    dataset, some = [], []
    for file in sorted((folder / "nights").glob("day=*/*.parquet")):
        result = Report([DataDriftPreset()]).run(_read(file), reference).dict()
        counted = next(m for m in result["metrics"] if "DriftedColumnsCount" in m["metric_name"])
        dataset.append(bool(counted["value"]["share"] >= SHARE))
        some.append(bool(counted["value"]["count"] >= 1))
    sys.stderr.write(f"{folder}: {sum(dataset)}, {sum(some)}\n")
    return dataset, some


def _read(file: Path) -> pd.DataFrame:
    return pd.read_parquet(file, partitioning=None).drop(columns="y")


if __name__ == "__main__":
    main(*sys.argv[1:])
