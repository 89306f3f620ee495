import datetime

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lasso_jobs.jobs.train import TrainJob
from lasso_jobs.models.model import Model
from lasso_jobs.training.run import train

N = 400
QUOTED = 'it\'s "quoted" `so` [x]'
CITY = "Zürich – 東京"
LEVELS = [
    "o'hara",
    'say "x"',
    "back\\slash",
    "A",
    "a",
    "a ",
    "",
    "select",
    "Ω",
    "new\nline",
    "--",
    "rare",
]


def rows_of(seed: int, n: int) -> pa.Table:
    """Nulls in every column, and names and levels that SQL has a meaning for."""
    rng = np.random.default_rng(seed)
    x, price = rng.normal(size=n), rng.normal(1e5, 3, size=n)
    city, grade = rng.choice(LEVELS, n), rng.integers(-2, 4, n)
    flag, visits = rng.random(n) < 0.4, rng.integers(0, 1000, n)
    sold = np.datetime64("2023-12-20T00:00") + rng.integers(0, 500 * 24, n).astype("m8[h]")
    vector = rng.normal(size=(n, 3))
    effects = dict(zip(LEVELS, rng.normal(scale=5, size=len(LEVELS)), strict=True))
    days = sold.astype("M8[D]").astype(int)
    y = 2 * x - price + 0.01 * visits + 3 * (grade == 2) + 2 * flag + vector[:, 2]
    y += np.array([effects[c] for c in city]) + (days + 3) % 7 + 0.1 * (days % 31)
    y += rng.normal(size=n)

    def nulls(values: object, every: int, type_: pa.DataType | None = None) -> pa.Array:
        return pa.array(values, type_, mask=np.arange(n) % every == 0, from_pandas=True)

    y = y - 4 * (np.arange(n) % 7 == 0) + 6 * (np.arange(n) % 11 == 0)
    return pa.table(
        {
            "x": nulls(x, 7),
            QUOTED: nulls(price, 5),
            "order": nulls(visits, 9, pa.int32()),
            CITY: nulls(city.astype(object), 11, pa.string()),
            "Grade no.": nulls(grade, 13, pa.int16()),
            "flag": nulls(flag, 17, pa.bool_()),
            "sold": nulls(sold.astype("M8[us]"), 19, pa.timestamp("us")),
            "vector": pa.array(
                [None if i % 23 == 0 else row.tolist() for i, row in enumerate(vector)],
                pa.list_(pa.float64()),
            ),
            "y": y,
        }
    )


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return trained(tmp_path_factory.mktemp("training"), vectors=True)


@pytest.fixture(scope="session")
def plain_model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """One without parts of dates and elements of vectors."""
    return trained(tmp_path_factory.mktemp("plain"), vectors=False)


def trained(folder, vectors: bool) -> Model:
    table = rows_of(1, N)
    pq.write_table(table, folder / "a.parquet")
    parts = ["year", "month", "weekday", "hour", "day_of_year"]
    job = TrainJob.from_values(
        {
            "name": "odd",
            "data": {"path": str(folder / "a.parquet")},
            "target": "y",
            "stability": None,
            "features": {
                "categorical": ["Grade no."],
                "exclude": [] if vectors else ["sold", "vector"],
                **({"dates": {"sold": parts}} if vectors else {}),
            },
            "preprocess": {"missing": "indicator", "max_levels": 9},
            "search": {"alphas": [1e-3]},
            "holdout": 0.3,
            "intervals": {"by": CITY, "min_rows": 10},
            "registry": str(folder / "models"),
        }
    )
    return train(job, workers=1).model


@pytest.fixture(scope="session")
def rows() -> pa.Table:
    """Other rows than in training, and values that were never seen."""
    table = rows_of(2, 300)
    strange = {
        CITY: ["never seen", "O'HARA", "a  "],
        "Grade no.": [99, -99, 3],
        "sold": [datetime.datetime(1899, 12, 31, 23, 59), datetime.datetime(2100, 2, 28), None],
        "order": [-(2**31), 2**31 - 1, 0],
    }
    more = table.slice(0, 3)
    for name, values in strange.items():
        place = table.schema.get_field_index(name)
        more = more.set_column(
            place, table.schema.field(name), pa.array(values, table.schema.field(name).type)
        )
    return pa.concat_tables([table, more])


@pytest.fixture(scope="session")
def frame(rows: pa.Table) -> pd.DataFrame:
    return rows.to_pandas()
