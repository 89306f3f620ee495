"""The strongest features of each row, in the scored table as its readers see it."""

import uuid
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pytest
from deltalake import DeltaTable

from lasso_jobs import LassoJobsError, ScoreJob, load_model, score
from lasso_jobs.outputs.verify import verify

pytestmark = pytest.mark.integration

Values = dict[str, Any]


def with_top(values: Values, n: int, **output: object) -> ScoreJob:
    return ScoreJob.from_values(
        {**values, "output": {**values["output"], "contributions": n, **output}}
    )


def from_source(values: Values, n: int) -> pd.DataFrame:
    """The n strongest features by row, from all contributions of the source's rows."""
    parts = [pd.read_parquet(path) for path in sorted(Path(values["data"]["path"]).rglob("*.p*"))]
    frame = pd.concat(parts).sort_values("id", ignore_index=True)
    table = load_model(values["registry"], values["model"]).contributions(frame)
    order = np.argsort(-table.abs().to_numpy(), axis=1, kind="stable")
    found: dict[str, Any] = {}
    for k in range(min(n, table.shape[1])):
        found[f"top_feature_{k + 1}"] = table.columns.to_numpy()[order[:, k]]
        found[f"top_contribution_{k + 1}"] = table.to_numpy()[np.arange(len(table)), order[:, k]]
    return pd.DataFrame(found)


def shown(frame: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    ordered = frame.sort_values("id", ignore_index=True)[names]
    return ordered.astype({name: object for name in names if "feature" in name})


def by_duckdb(pattern: str) -> pd.DataFrame:
    # Not by .df(), whose pandas deprecates what it does.
    return duckdb.read_parquet(pattern).to_arrow_table().to_pandas()


def same(frame: pd.DataFrame, expected: pd.DataFrame) -> None:
    found = shown(frame, list(expected.columns))
    pd.testing.assert_frame_equal(
        found, shown(expected.assign(id=range(len(expected))), list(expected.columns))
    )


def test_every_reader_of_a_delta_table_sees_them(score_values: Values) -> None:
    score(with_top(score_values, 3), workers=1)
    expected, path = from_source(score_values, 3), score_values["output"]["path"]
    same(DeltaTable(path).to_pandas(), expected)
    same(pl.read_delta(path).to_pandas(), expected)
    same(by_duckdb(f"{path}/*/*.parquet"), expected)
    assert verify(path, deep=True).rows_rescored > 0


def test_a_folder_and_a_database_have_them(score_values: Values, postgresql: str) -> None:
    expected = from_source(score_values, 2)
    for format_ in ("parquet", "postgresql"):
        name = f"scores_{uuid.uuid4().hex}"
        folder = Path(score_values["output"]["path"]).parent / name
        path = name if format_ == "postgresql" else str(folder)
        score(with_top(score_values, 2, format=format_, path=path), workers=1)
        if format_ == "postgresql":
            same(
                pl.read_database_uri(
                    f'SELECT * FROM "{path}"', postgresql, engine="adbc"
                ).to_pandas(),
                expected,
            )
        else:
            same(by_duckdb(f"{path}/*/*.parquet"), expected)


@pytest.mark.slow
def test_more_than_the_model_has_are_null(score_values: Values) -> None:
    score(with_top(score_values, 6), workers=1)
    frame = DeltaTable(score_values["output"]["path"]).to_pandas()
    same(frame, from_source(score_values, 6))
    last = frame[["top_feature_5", "top_contribution_5", "top_feature_6", "top_contribution_6"]]
    assert last.isna().all().all()
    assert frame["top_contribution_4"].notna().all()


@pytest.mark.slow
def test_rows_in_the_quarantine_take_none_along(score_values: Values, own_shop: Path) -> None:
    path = own_shop / "day=2024-01-03" / "sales.parquet"
    frame = pd.read_parquet(path, partitioning=None)
    frame.loc[[0, 7], "price"] = np.inf
    frame.to_parquet(path)
    values = {**score_values, "data": {"path": str(own_shop)}}
    assert score(with_top(values, 2), workers=1).rows_quarantined == 2
    whole = from_source(score_values, 2)
    expected = whole.drop(index=[2 * 150, 2 * 150 + 7]).reset_index(drop=True)
    same(DeltaTable(score_values["output"]["path"]).to_pandas(), expected)


@pytest.mark.slow
def test_an_output_keeps_its_columns(score_values: Values) -> None:
    score(with_top(score_values, 0), workers=1)
    with pytest.raises(LassoJobsError, match=r"top_feature_1 .*name another output"):
        score(with_top(score_values, 1), workers=1)


def test_a_key_may_not_have_the_name_of_one(score_values: Values) -> None:
    job = with_top({**score_values, "keys": ["top_feature_1"]}, 1)
    with pytest.raises(LassoJobsError, match="'top_feature_1' is a column that scoring writes"):
        score(job, workers=1)


@pytest.mark.parametrize("n", [-1, 51, 2.5, True, "3"])
def test_what_is_no_number_of_features_is_refused(score_values: Values, n: object) -> None:
    with pytest.raises(LassoJobsError, match=r"output\.contributions"):
        with_top(score_values, n)  # type: ignore[arg-type]
