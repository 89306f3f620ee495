"""Intervals per group: their widths, and their coverage of rows that nobody has seen."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from deltalake import DeltaTable
from numpy.testing import assert_allclose

from lasso_jobs import (
    LassoJobsError,
    MonitorJob,
    ScoreJob,
    TrainJob,
    load_model,
    monitor,
    score,
    train,
)
from lasso_jobs.errors import JobError
from lasso_jobs.models.model import Model

pytestmark = pytest.mark.integration

Values = dict[str, Any]
SPREAD = {"calm": 1.0, "wild": 6.0, "rare": 3.0}


def rows(seed: int, n: int, region: str | None) -> pd.DataFrame:
    rng = np.random.default_rng([seed, n])
    x, z = rng.normal(size=n), rng.normal(size=n)
    noise = SPREAD.get(str(region), 2.0) * rng.standard_t(5, n)
    y = 10 + 3 * x - 2 * z + noise
    return pd.DataFrame({"x": x, "z": z, "region": region, "n": rng.integers(0, 3, n), "y": y})


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("regions") / "data"
    for role, seed in (("train", 1), ("held", 2), ("new", 3)):
        parts = [rows(seed, 4000, "calm"), rows(seed, 4000, "wild"), rows(seed, 60, "rare")]
        parts += [rows(seed, 500, None)] + ([rows(seed, 50, "moon")] if role == "new" else [])
        frame = pd.concat(parts, ignore_index=True).sample(frac=1, random_state=seed)
        path = folder / f"role={role}" / "rows.parquet"
        path.parent.mkdir(parents=True)
        frame.assign(id=np.arange(len(frame))).to_parquet(path, row_group_size=1000)
    return folder


def training(data: Path, registry: Path, **keys: object) -> Values:
    return {
        "name": "regions",
        "data": {"path": str(data), "where": "role != 'new'"},
        "target": "y",
        "stability": None,
        "features": {"include": ["x", "z"]},
        "search": {"alphas": 5},
        "holdout": {"where": "role == 'held'"},
        "intervals": {"by": "region"},
        "registry": str(registry),
        **keys,
    }


@pytest.fixture(scope="module")
def registry(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("registry") / "models"
    train(TrainJob.from_values(training(data, path)), workers=2)
    return path


@pytest.fixture
def model(registry: Path) -> Model:
    return load_model(registry, "regions")


def source(data: Path, role: str) -> pd.DataFrame:
    return pd.read_parquet(data / f"role={role}" / "rows.parquet", partitioning=None)


def scoring(data: Path, registry: Path, folder: Path) -> Values:
    return {
        "model": "regions",
        "data": {"path": str(data), "where": "role == 'new'"},
        "keys": ["id", "region"],
        "output": {"path": str(folder / "scores")},
        "registry": str(registry),
    }


def residuals(model: Model, data: Path) -> pd.Series:
    """Of the held-out rows, of the model that has not seen them; by hand."""
    held, fit = source(data, "held"), model.evaluated
    assert fit is not None
    assert fit.columns.numeric == ("x", "z")
    predicted = fit.intercept + held[["x", "z"]].to_numpy() @ fit.coef
    return pd.Series(np.abs(held["y"].to_numpy() - predicted), index=held["region"])


def test_each_group_has_the_conformal_quantile_of_its_own_residuals(
    model: Model, data: Path
) -> None:
    found = model.holdout
    assert found is not None
    assert found.by == "region"
    # Neither the group with too few rows nor the nulls.
    assert set(found.intervals) == {"calm", "wild"}
    sizes = residuals(model, data)
    assert found.n_sampled == len(sizes)
    for name, width in found.intervals.items():
        exact = np.sort(sizes[sizes.index == name])[int(np.ceil(4001 * 0.9)) - 1]
        assert_allclose(width, exact, rtol=1e-10)
    whole = np.sort(sizes)[int(np.ceil((len(sizes) + 1) * 0.9)) - 1]
    assert_allclose(found.interval, whole, rtol=1e-10)


def test_a_sample_of_the_held_out_rows_has_nearly_the_quantiles_of_all(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = 1500
    monkeypatch.setattr("lasso_jobs.core.rows.sample.sample_size", lambda n_columns: size)
    model = train(TrainJob.from_values(training(data, tmp_path)), workers=2).model
    found, sizes = model.holdout, residuals(model, data)
    assert found is not None
    assert found.n_sampled == size
    assert found.n_rows == len(sizes)
    assert_allclose(found.mse, np.mean(sizes**2), rtol=1e-8)
    assert abs(found.mae - sizes.mean()) < 3 * sizes.std() / np.sqrt(size)
    for name, width in [*found.intervals.items(), (None, found.interval)]:
        own = sizes if name is None else sizes[sizes.index == name]
        n = size * len(own) / len(sizes)
        assert abs(np.mean(own <= width) - 0.9) < 3.5 * np.sqrt(0.09 / n)


def test_each_group_is_covered_and_would_not_be_by_one_width(
    data: Path, registry: Path, tmp_path: Path, model: Model
) -> None:
    values = scoring(data, registry, tmp_path)
    score(ScoreJob.from_values(values), workers=2)
    scored = DeltaTable(values["output"]["path"]).to_pandas().set_index("id").sort_index()
    truth = source(data, "new").set_index("id").sort_index()["y"]
    inside = (truth >= scored["prediction_low"]) & (truth <= scored["prediction_high"])
    error = (truth - scored["prediction"]).abs()
    assert model.holdout is not None
    for region in ("calm", "wild"):
        chosen = scored["region"] == region
        # Three standard errors of both the 4000 new rows and the 4000 held-out ones.
        assert abs(inside[chosen].mean() - 0.9) < 3 * np.sqrt(2 * 0.09 / 4000)
        by_one_width = (error[chosen] <= model.holdout.interval).mean()
        assert abs(by_one_width - 0.9) > 0.05
    half = (scored["prediction_high"] - scored["prediction_low"]) / 2
    for region, rows_of_region in half.groupby(scored["region"], dropna=False):
        expected = model.holdout.intervals.get(str(region), model.holdout.interval)
        assert_allclose(rows_of_region, expected, rtol=1e-9)


def test_monitoring_sees_the_coverage(data: Path, registry: Path, tmp_path: Path) -> None:
    values = {**scoring(data, registry, tmp_path), "keys": ["id", "role"]}
    score(ScoreJob.from_values(values), workers=2)
    job = {
        "model": "regions",
        "scores": {"path": values["output"]["path"], "where": "role == 'new'"},
        "actuals": {"path": str(data)},
        "keys": ["id", "role"],
        "target": "y",
        "period": "role",
        "segments": "region",
        "registry": str(registry),
    }
    rows = {row.segment: row for row in monitor(MonitorJob.from_values(job), workers=2).rows}
    assert set(rows) == {"", *(f"region={name}" for name in (*SPREAD, "moon", "(null)"))}
    for segment in ("", "region=calm", "region=wild"):
        assert abs(rows[segment].tally.coverage - 0.9) < 0.02
        assert rows[segment].verdict == "ok", rows[segment].reason
    assert (
        "the hold-out has no errors of this segment: train with intervals.by"
        in rows["region=moon"].reason
    )


def test_groups_do_not_depend_on_the_workers_and_survive_the_registry(
    data: Path, registry: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lasso_jobs.data.dataset.UNIT_ROWS", 1000)
    job = TrainJob.from_values(training(data, tmp_path, cache=False))
    digests = {train(job, workers=n).registered.digest for n in (1, 2)}
    assert len(digests) == 1


def test_integers_make_groups_too(data: Path, tmp_path: Path) -> None:
    job = training(data, tmp_path, intervals={"by": "n", "min_rows": 10})
    holdout = train(TrainJob.from_values(job), workers=2).model.holdout
    assert holdout is not None
    assert set(holdout.intervals) == {"0", "1", "2"}


def test_a_source_without_the_groups_is_refused(data: Path, registry: Path, tmp_path: Path) -> None:
    path = tmp_path / "data" / "role=new" / "rows.parquet"
    path.parent.mkdir(parents=True)
    frame = source(data, "new")
    frame.drop(columns="region").to_parquet(path)
    values = {**scoring(tmp_path / "data", registry, tmp_path), "keys": ["id"]}
    with pytest.raises(LassoJobsError, match=r"groups of the model's intervals.*'region'"):
        score(ScoreJob.from_values(values), workers=1)
    frame.rename(columns={"region": "area"}).to_parquet(path)
    values["rename"] = {"area": "region"}
    assert score(ScoreJob.from_values(values), workers=1).rows_scored == len(frame)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"intervals": {"by": "regions"}}, "Did you mean 'region'"),
        ({"intervals": {"by": "x"}}, "text, integers or booleans"),
        ({"intervals": {"by": "id", "min_rows": 10}}, "more than 200 values"),
        ({"intervals": {"by": "region", "min_rows": 9}}, "greater than or equal to 10"),
        ({"holdout": None}, "null where holdout is null"),
    ],
)
def test_groups_that_cannot_be_are_refused(
    data: Path, tmp_path: Path, keys: Values, said: str
) -> None:
    with pytest.raises((LassoJobsError, JobError), match=said):
        train(TrainJob.from_values(training(data, tmp_path, **keys)), workers=1)
