import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lasso_jobs.jobs.train import TrainJob
from lasso_jobs.models.model import Model
from lasso_jobs.training.run import train

N = 500


def with_nulls(values: object, every: int, type_: pa.DataType | None = None) -> pa.Array:
    mask = np.arange(N) % every == 0
    return pa.array(values, type_, mask=mask, from_pandas=True)


def training_rows() -> pa.Table:
    """Nulls, constants, rare levels, booleans, integer categories, odd names."""
    rng = np.random.default_rng(42)
    a, b = rng.normal(size=N), rng.normal(50, 3, size=N)
    city = rng.choice(["u", "v", "w", "x", "rare"], N, p=[0.4, 0.3, 0.2, 0.07, 0.03])
    grade, flag = rng.integers(-1, 5, N), rng.random(N) < 0.4
    target = 2 * a - b + 4 * (city == "u") + (city == "rare") * 9 + 3 * (grade == 2) + 2 * flag
    target = (
        target - 5 * (np.arange(N) % 6 == 0) + 7 * (np.arange(N) % 11 == 0) + rng.normal(size=N)
    )
    return pa.table(
        {
            "a": with_nulls(a, 6),
            "b <script>": with_nulls(b, 5),
            "constant": np.full(N, 3.0),
            "noise": rng.normal(size=N),
            "city.of'birth": with_nulls(city, 7, pa.string()),
            "grade": with_nulls(grade, 9, pa.int16()),
            "flag": with_nulls(flag, 11, pa.bool_()),
            "sure": flag[::-1],
            "y": target,
        }
    )


@pytest.fixture(scope="session")
def rows() -> pa.Table:
    return training_rows()


@pytest.fixture(scope="session")
def frame(rows: pa.Table) -> pd.DataFrame:
    return rows.to_pandas()


@pytest.fixture(scope="session")
def model(rows: pa.Table, tmp_path_factory: pytest.TempPathFactory) -> Model:
    """Trained on `rows`, with null indicators and rare levels merged; no test changes it."""
    folder = tmp_path_factory.mktemp("training")
    pq.write_table(rows, folder / "a.parquet", row_group_size=120)
    job = TrainJob.from_values(
        {
            "name": "births",
            "data": {"path": str(folder / "a.parquet")},
            "target": "y",
            "features": {"categorical": ["grade"]},
            "preprocess": {"missing": "indicator", "max_levels": 4},
            "search": {"alphas": 20},
            "registry": str(folder / "models"),
        }
    )
    return train(job, workers=1).model
