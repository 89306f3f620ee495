from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lasso_jobs.data.dataset import WorkUnit
from lasso_jobs.data.discover import discover

N = 3000
Write = Callable[..., WorkUnit]


@pytest.fixture
def frame() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(
        {
            "x": rng.normal(size=N),
            "s": rng.choice(["a", "b", "c", "d"], N),
            "y": rng.normal(size=N),
            "w": rng.integers(0, 3, N),
            "g": rng.choice([f"group {i}" for i in range(200)], N),
            "f": rng.integers(0, 4, N),
            "day": pd.to_datetime("2024-01-01") + pd.to_timedelta(rng.integers(0, 30, N), "D"),
        }
    )
    frame.loc[::10, "x"] = None
    frame.loc[::7, "y"] = None
    return frame


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write files of the same rows or of several, and return all as one unit."""

    def write(*frames: pd.DataFrame, rows: int = 500, folder: str = "data") -> WorkUnit:
        (tmp_path / folder).mkdir(exist_ok=True)
        for i, frame in enumerate(frames):
            path = tmp_path / folder / f"{i}.parquet"
            table = pa.Table.from_pandas(frame, preserve_index=False)
            pq.write_table(table, path, row_group_size=rows)
        dataset = discover(str(tmp_path / folder))
        (unit,) = dataset.work_units(dataset.schema.names)
        return unit

    return write
