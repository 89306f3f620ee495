"""Seeded data: correlated columns of unlike offsets and scales, one coefficient in ten not zero."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

FILES = 8
ROW_GROUP = 125_000


def write(folder: Path, rows: int, features: int) -> None:
    """Write the files that are not there yet; each depends on its number and the shape only."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng([1, features])
    scale = 10 ** rng.uniform(-2, 3, features)
    mean = rng.choice([-1, 1], features) * 10 ** rng.uniform(-1, 3, features)
    coef = rng.uniform(0.3, 2.0, features) * (np.arange(features) % 10 == 0)
    names = [f"f{j:04d}" for j in range(features)]
    for number in range(FILES):
        path = folder / f"part-{number}.parquet"
        if path.exists():
            continue
        staged = path.with_suffix(".staged")
        rng = np.random.default_rng([2, features, number])
        schema = pa.schema([(name, pa.float64()) for name in [*names, "y"]])
        with pq.ParquetWriter(staged, schema, compression="zstd", use_dictionary=False) as writer:
            for start in range(0, rows // FILES, ROW_GROUP):
                n = min(ROW_GROUP, rows // FILES - start)
                shared = rng.normal(size=(features // 10 + 1, n))
                Z = np.sqrt(0.5) * (
                    rng.normal(size=(features, n)) + shared[np.arange(features) // 10]
                )
                y = coef @ Z + 2 * np.sqrt(coef @ coef + 1) / 3 * rng.normal(size=n) + 50
                columns = [pa.array(Z[j] * scale[j] + mean[j]) for j in range(features)]
                writer.write_table(pa.table([*columns, pa.array(y)], schema=schema))
        staged.rename(path)
