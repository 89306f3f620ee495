"""Training jobs on the flights with every key at a value that is not its default."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake
from pydantic import BaseModel

from lasso_jobs import TrainJob, load_model, train
from lasso_jobs.demo.flights import write_flights

pytestmark = [pytest.mark.integration, pytest.mark.slow]
Values = dict[str, Any]

COMMON: Values = {
    "target": "arr_delay",
    "features": {
        "include": ["dep_delay", "distance", "carrier", "origin", "wind*", "humid", "month", "at"],
        "exclude": ["wind_dir"],
        "categorical": ["month"],
        "dates": {"leaves": ["weekday", "hour"]},
        "sizes": {"at": 5},
    },
    "weight": "seats",
    "stability": {"pairs": 10, "threshold": 0.8, "expected_false": 2.0, "resamples": 50},
    "penalty_factors": {"distance": 0.0, "carrier": 2.0},
    "bounds": {"wind_gust": [0.0, 0.5], "humid": [-1.0, 0.0]},
    "seed": 17,
    "promote": "always",
    "margin": 0.05,
}
JOBS: dict[str, Values] = {
    "by group": {
        **COMMON,
        "preprocess": {
            "scaling": "minmax",
            "missing": "indicator",
            "max_levels": 6,
            "min_count": 900,
            "drop_first": True,
        },
        "search": {
            "alphas": 40,
            "eps": 1e-4,
            "l1_ratio": [0.5, 1.0],
            "relax": True,
            "adaptive": True,
            "folds": 4,
            "split": {"group": "tailnum"},
            "repeats": 2,
            "rule": "1se",
            "fold_means": "equal",
            "early_stop": True,
        },
        "holdout": {"last": 0.1, "time": "leaves"},
        "intervals": {"by": "carrier", "min_rows": 50},
        "period": "leaves",
    },
    "by time": {
        **COMMON,
        "weight": None,
        "preprocess": {"scaling": "robust", "missing": "drop", "max_levels": 8},
        "search": {
            "engine": "all",
            "alphas": [0.5, 0.05, 5.0],
            "relax": [0.5],
            "folds": 3,
            "split": {"time": "leaves", "window": "rolling", "gap": "36h"},
        },
        "holdout": {"where": "origin == 'LGA' and distance > 1000"},
        "stability": None,
        "cache": False,
    },
    "by a column": {
        **COMMON,
        "offset": "dep_delay",
        "intercept": False,
        "search": {"split": {"fold": "origin"}, "alphas": [1.0]},
        "features": {
            **COMMON["features"],
            "include": ["distance", "at[noon]"],
            "tokens": {"dest": {"how": "value", "count": "binary", "min_rows": 500}},
        },
        "penalty_factors": {},
        "bounds": {},
    },
}
# What it does is told by test_whole_periods.
JOBS["by row"] = {**COMMON, "search": {"split": "random"}}
ALIKE = {"name", "target", "data.path", "registry"}  # of every job, without a default


def keys(model: type[BaseModel], prefix: str = "") -> dict[str, Any]:
    """Dotted keys with their defaults."""
    found = {}
    for name, field in model.model_fields.items():
        default = None if field.is_required() else field.get_default()
        inner = field.annotation if field.is_required() else type(default)
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            found |= keys(inner, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = default
    return found


def value_of(job: TrainJob, key: str) -> object:
    value: object = job
    for name in key.split("."):
        value = getattr(value, name, None)
    return value


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every third day of the flights, with the time of departure and a weight; and as a table."""
    folder = tmp_path_factory.mktemp("flights")
    write_flights(folder / "source")
    (folder / "data").mkdir()
    for path in sorted((folder / "source").glob("date=*"))[::3]:
        table = pq.read_table(path / "flights.parquet", partitioning=None)
        midnight = pa.scalar(path.name.removeprefix("date=")).cast(pa.timestamp("s"))
        minutes = table["sched_dep_minute"].cast(pa.int64())
        seconds = pc.multiply(minutes, 60).cast(pa.duration("s"))
        table = table.append_column("leaves", pc.add(midnight, seconds))
        quarters = pc.max_element_wise(pc.subtract(pc.divide(minutes, 240), 1), 0).to_pylist()
        at = pa.array([[(quarter, 1.0)] for quarter in quarters], pa.map_(pa.int32(), pa.float64()))
        table = table.append_column("at", at)
        seats = pc.add(50, pc.divide(table["distance"], 20))
        pq.write_table(
            table.append_column("seats", seats), folder / "data" / f"{path.name}.parquet"
        )
    write_deltalake(folder / "table", pq.read_table(folder / "data"))
    return folder


def job(folder: Path, case: str) -> TrainJob:
    values = JOBS[case]
    place: Values = {"path": str(folder / "data")}
    if case == "by time":  # of the times of the split; wider than the year
        place["window"] = "400d"
    if case == "by a column":
        place = {"path": str(folder / "table"), "version": 0}
        (folder / "quarters.txt").write_text("early\nmorning\nnoon\nevening\nlate\n")
        names = {"at": str(folder / "quarters.txt")}
        values = {**values, "features": {**values["features"], "names": names}}
    return TrainJob.from_values(
        {
            "name": "delay-" + case.replace(" ", "-"),
            "data": {**place, "where": "carrier != 'HA'"},
            "registry": str(folder / "registry"),
            **values,
        }
    )


def test_together_the_jobs_have_every_key_at_a_value_of_its_own(folder: Path) -> None:
    jobs = [job(folder, case) for case in JOBS]
    for key, default in keys(TrainJob).items():
        # What a comparison searches is no part of a training; test_compare has its keys.
        if key not in ALIKE and not key.startswith("compare."):
            values = [value_of(each, key) for each in jobs]
            assert any(v != default for v in values), key


def test_a_job_with_every_key_does_what_each_says(folder: Path) -> None:
    what = job(folder, "by group")
    result = train(what, workers=2)
    found, model = result.as_values(), load_model(what.registry, what.name)
    coef, cv = found["coef"], found["cv"]
    assert found["certificate"]["converged"]
    assert found["rows_filtered"] > 0
    # Features: patterns, the parts of a date, levels, and an indicator for the nulls of gusts.
    assert {"leaves.hour", "wind_speed", "wind_gust is null", "at[4]"} <= set(coef)
    assert "wind_dir" not in coef
    assert sum(label.startswith("carrier=") for label in coef) == 7
    assert "carrier=(other)" in coef
    assert [coef[label] for label in ("month=1", "carrier=AA", "origin=EWR")] == [0, 0, 0]
    assert found["diagnostics"]["constant"] == []
    # The search.
    assert set(cv["l1_ratios"]) == {0.5, 1.0}
    assert len(set(cv["gammas"])) == 5
    assert np.shape(cv["fold_mse"])[0] == 8
    assert model.alpha == model.curve.alpha_1se
    # Unpenalised and bounded coefficients.
    assert coef["distance"] != 0
    assert 0 <= coef["wind_gust"] <= 0.5
    assert -1 <= coef["humid"] <= 0
    assert found["stability"]["pairs"] == 10
    assert 1.0 < found["stability"]["bound"] <= found["stability"]["expected_false"] == 2.0
    assert found["stability"]["bootstrap"]["resamples"] == 50
    assert found["promotion"]["promoted"]
    assert found["holdout"]["r2"] > 0.5
    assert found["holdout"]["by"] == "carrier"
    assert len(found["holdout"]["intervals"]) > 3
    # Timestamps are periods by their days: every third of the year.
    assert model.references["distance"].baseline.n_periods == 122


def test_folds_by_time_and_dropped_rows_compose(folder: Path) -> None:
    what = job(folder, "by time")
    found = train(what, workers=2).as_values()
    assert found["certificate"]["converged"]
    assert found["rows_with_nulls"] > 0
    assert found["stability"] is None
    assert sorted(set(found["cv"]["alphas"])) == [0.05, 0.5, 5.0]
    assert np.shape(found["cv"]["fold_mse"]) == (3, 3)


def test_folds_of_a_column_are_its_values(folder: Path) -> None:
    found = train(job(folder, "by a column"), workers=2).as_values()
    assert np.shape(found["cv"]["fold_mse"]) == (3, 1)
    assert (found["coef"]["dep_delay"], found["intercept"]) == (1.0, 0.0)
    assert found["certificate"]["converged"] and found["holdout"]["r2"] > 0.7


def test_elements_and_tokens_have_names(folder: Path) -> None:
    model = train(job(folder, "by a column"), workers=2).model
    assert "at[noon]" in model.labels
    flights = pq.read_table(folder / "data", columns=["dest", "carrier"]).to_pandas()
    counts = flights["dest"][flights["carrier"] != "HA"].value_counts()
    frequent = {f"dest[{name}]" for name in counts.index[counts >= 500]}
    assert {label for label in model.labels if label.startswith("dest[")} == frequent
