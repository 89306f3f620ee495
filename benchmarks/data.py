"""Seeded data: correlated columns of unlike offsets and scales, one coefficient in ten not zero."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

ROW_GROUP = 125_000
GROUP = 10
"""So many neighbouring columns are correlated, by 0.5."""


def names(features: int) -> list[str]:
    return [f"f{j:04d}" for j in range(features)]


def write(folder: Path, rows: int, features: int, files: int = 8) -> Path:
    """Write the files that are not there yet; each depends on its number and the shape only."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(files):
        path = folder / f"part-{number:03}.parquet"
        if not path.exists():
            staged = path.with_suffix(".staged")
            _write_file(staged, rows // files, features, number)
            staged.rename(path)
    return folder


def _write_file(path: Path, rows: int, features: int, number: int) -> None:
    rng = np.random.default_rng([1, features])
    scale = 10 ** rng.uniform(-2, 3, features)
    mean = rng.choice([-1, 1], features) * 10 ** rng.uniform(-1, 3, features)
    coef = rng.uniform(0.3, 2.0, features) * (np.arange(features) % GROUP == 0)
    group = np.arange(features) // GROUP
    fields = [("row_id", pa.int64()), *((name, pa.float64()) for name in names(features))]
    schema = pa.schema([*fields, ("y", pa.float64())])
    rng = np.random.default_rng([2, features, number])
    # No dictionary: the values are noise, which no compression makes much smaller.
    with pq.ParquetWriter(path, schema, compression="zstd", use_dictionary=False) as writer:
        for start in range(0, rows, ROW_GROUP):
            n = min(ROW_GROUP, rows - start)
            Z = rng.normal(size=(features, n)) + rng.normal(size=(group[-1] + 1, n))[group]
            Z *= np.sqrt(0.5)
            y = coef @ Z + 2 * np.sqrt(coef @ coef + 1) / 3 * rng.normal(size=n) + 50
            row_id = np.arange(n) + number * rows + start
            columns = [row_id, *(Z[j] * scale[j] + mean[j] for j in range(features)), y]
            writer.write_table(pa.table([pa.array(c) for c in columns], schema=schema))
