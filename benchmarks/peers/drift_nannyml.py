"""NannyML's univariate drift: nights by day, after a reference of the training days.

    python benchmarks/peers/drift_nannyml.py FOLDER [FOLDER ...]

Prints, for each folder with `training` and `nights`, whether each night has an alert of a column.
The methods (Jensen-Shannon) and the thresholds (three standard deviations of the reference's days
above their mean) are the calculator's defaults. Runs with the Python of an environment that has
NannyML, statsmodels and pyarrow.
"""

import json
import sys
from pathlib import Path

import nannyml
import pandas as pd


def main(*folders: str) -> None:
    nannyml.disable_usage_logging()
    sys.stdout.write(json.dumps([[_compared(Path(folder))] for folder in folders]))


def _compared(folder: Path) -> list[bool]:
    training, nights = _read(folder / "training"), _read(folder / "nights")
    columns = [name for name in training.columns if name not in ("y", "time")]
    calculator = nannyml.UnivariateDriftCalculator(
        column_names=columns, timestamp_column_name="time", chunk_period="D"
    )
    found = calculator.fit(training).calculate(nights).filter(period="analysis").to_df()
    alerts = found.loc[:, [column[-1] == "alert" for column in found.columns]]
    some: list[bool] = alerts.any(axis=1).tolist()
    sys.stderr.write(f"{folder}: {sum(some)}\n")
    return some


def _read(folder: Path) -> pd.DataFrame:
    parts = []
    for file in sorted(folder.glob("day=*/*.parquet")):
        part = pd.read_parquet(file, partitioning=None)
        parts.append(part.assign(time=pd.Timestamp(file.parent.name.removeprefix("day="))))
    return pd.concat(parts, ignore_index=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
