"""A model with an offset and without an intercept, through scoring, drift, exports and the gate."""

import warnings
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_allclose

from lasso_jobs import ScoreJob, TrainJob, score, train
from lasso_jobs.engine.cluster import connect
from lasso_jobs.errors import DataError, JobError
from lasso_jobs.exports.linear_form import linear_form
from lasso_jobs.exports.sql import sql
from lasso_jobs.models.model import Model
from lasso_jobs.models.registry import Registry
from lasso_jobs.models.summary import as_values
from lasso_jobs.scoring import plan as scoring
from lasso_jobs.scoring.tables import quarantine_place
from lasso_jobs.serving.app import Service
from lasso_jobs.serving.options import ServeOptions
from lasso_jobs.serving.run import _follower
from lasso_jobs.training import plan as training
from lasso_jobs.training import run
from lasso_jobs.training.examine import examine
from lasso_jobs.training.gather import gather
from lasso_jobs.training.report.store import stored_card

with warnings.catch_warnings():
    # It would rather have a package that Prefect does not bring.
    warnings.simplefilter("ignore")
    from starlette.testclient import TestClient

pytestmark = pytest.mark.integration

Values = dict[str, Any]
DAYS = [f"2024-01-{day:02d}" for day in range(1, 11)]
NEW = "2024-01-11"
BAD = {3: np.nan, 5: np.inf, 8: 1e200}
"""The offsets of rows of the new day that have no prediction."""


def rows(seed: int, n: int = 150, moved: float = 0.0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"x": rng.normal(4, 1, n), "z": rng.normal(-2, 0.5, n)})
    frame["store"] = rng.choice(["a", "b"], n)
    frame["plan"] = rng.gamma(9, 10, n) + moved
    effect = 2 * frame["x"] - frame["z"] + 3 * (frame["store"] == "b")
    frame["y"] = frame["plan"] + effect + rng.normal(0, 0.5, n)
    frame.loc[frame.index % 10 == 1, "x"] = np.nan
    return frame.assign(id=np.arange(n))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten days, and one on which the offset has moved and is missing in some rows."""
    folder = tmp_path_factory.mktemp("offset")
    for k, day in enumerate([*DAYS, NEW]):
        frame = rows(k, moved=25.0 if day == NEW else 0.0)
        if day == NEW:
            frame.loc[list(BAD), "plan"] = list(BAD.values())
        else:
            frame.loc[0, "plan"] = np.nan
        (folder / f"data/day={day}").mkdir(parents=True)
        frame.to_parquet(folder / f"data/day={day}/rows.parquet")
    return folder


def job(folder: Path, **keys: Any) -> TrainJob:
    values: Values = {
        "name": "sales",
        "data": {"path": str(folder / "data"), "where": f"day < '{NEW}'"},
        "target": "y",
        "features": {"exclude": ["id"]},
        "search": {"alphas": 20},
        "offset": "plan",
        "intercept": False,
        "stability": {"pairs": 5},
        "registry": str(folder / "models"),
        **keys,
    }
    return TrainJob.from_values(values)


@pytest.fixture(scope="module")
def model(folder: Path) -> Model:
    result = train(job(folder), workers=1)
    assert result.counts.with_nulls == len(DAYS)
    assert result.model.n_rows == 149 * len(DAYS)
    return result.model


def expected(model: Model, frame: pd.DataFrame) -> np.ndarray:
    """offset + X b, by hand."""
    coef = model.coef
    x = frame["x"].fillna(model.predictor.fill[list(model.columns.numeric).index("x")])
    levels = coef[[f"store={store}" for store in frame["store"]]].to_numpy()
    return np.asarray(frame["plan"] + coef["x"] * x + coef["z"] * frame["z"] + levels)


def score_job(folder: Path, **keys: Any) -> ScoreJob:
    values: Values = {
        "model": "sales@v1",
        "data": {"path": str(folder / "data"), "where": f"day == '{NEW}'"},
        "keys": ["id"],
        "output": {"path": str(folder / "scores"), "partition_by": "day"},
        "drift": {"path": str(folder / "drift")},
        "registry": str(folder / "models"),
        **keys,
    }
    return ScoreJob.from_values(values)


@pytest.fixture(scope="module")
def scored(folder: Path, model: Model) -> pd.DataFrame:
    result = score(score_job(folder), workers=1)
    assert result.as_values()["rows_quarantined"] == len(BAD)
    table: pd.DataFrame = pl.read_delta(str(folder / "scores")).to_pandas()
    return table.set_index("id").sort_index()


def test_the_model_says_that_it_has_an_offset_and_no_intercept(folder: Path, model: Model) -> None:
    assert (model.predictor.offset, model.intercept, model.coef["plan"]) == ("plan", 0.0, 1.0)
    shown = as_values(Registry(str(folder / "models")), "sales@v1")
    assert (shown["offset"], shown["intercept"], shown["coef"]["plan"]) == ("plan", 0.0, 1.0)
    assert model.stability is not None
    frequency, error = (
        shown["stability"][name]["plan"] for name in ("frequency", "standard_error")
    )
    assert (frequency, error, "plan" in shown["stability"]["stable"]) == (None, None, False)
    assert shown["job"]["intercept"] is False
    card = stored_card(str(folder / "models"), "sales@v1").decode()
    assert "No intercept. plan is the offset: its coefficient is fixed." in card
    assert "| 1 | plan | +" in card and "+1.000 | – | – | – |" in card


def test_a_row_has_offset_and_x_b_for_every_reader(
    folder: Path, model: Model, scored: pd.DataFrame
) -> None:
    frame = rows(len(DAYS), moved=25.0).drop(index=list(BAD))
    assert_allclose(scored["prediction"], expected(model, frame), rtol=1e-12)
    assert_allclose(model.predict(frame), scored["prediction"], rtol=1e-12)
    assert_allclose(model.to_sklearn().predict(frame), scored["prediction"], rtol=1e-10)
    told = model.contributions(frame)
    assert_allclose(told.sum(axis=1) + model.base_value, scored["prediction"], rtol=1e-10)
    places = f"{folder}/scores/day={NEW}/*.parquet"
    by_duckdb = duckdb.sql(f"SELECT prediction FROM '{places}' ORDER BY id").df()
    by_pandas = pd.read_parquet(folder / f"scores/day={NEW}").sort_values("id")
    assert by_duckdb["prediction"].tolist() == scored["prediction"].tolist()
    assert by_pandas["prediction"].tolist() == scored["prediction"].tolist()


def test_rows_whose_offset_is_no_number_are_quarantined_with_the_reason(
    folder: Path, scored: pd.DataFrame
) -> None:
    assert not {*BAD} & {*scored.index}
    bad = (
        pl.read_delta(quarantine_place(str(folder / "scores"), "delta"))
        .to_pandas()
        .set_index("id")
        .sort_index()
    )
    told = list(zip(bad["reason"], bad["column"], strict=True))
    assert told == [("null", "plan"), ("infinite", "plan"), ("too_large", "plan")]


def test_the_movement_of_the_offset_is_that_of_the_prediction(
    folder: Path, model: Model, scored: pd.DataFrame
) -> None:
    drift = pl.read_delta(str(folder / "drift")).to_pandas().set_index("feature")
    new = rows(len(DAYS), moved=25.0).drop(index=list(BAD))
    old = pd.concat([rows(k).iloc[1:] for k in range(len(DAYS))])
    moved = new["plan"].mean() - old["plan"].mean()
    assert drift.loc["plan", "score_shift"] == pytest.approx(moved, rel=1e-9)
    assert drift.loc["plan", "verdict"] in ("watch", "alarm")
    total = drift.drop(index="prediction")["score_shift"].sum()
    assert total == pytest.approx(drift.loc["prediction", "score_shift"], rel=1e-9)
    reference = model.references["prediction"]
    assert reference.mean == pytest.approx(model.predict(old).mean(), rel=1e-9)
    assert reference.sd == pytest.approx(np.std(np.asarray(model.predict(old))), rel=1e-9)
    assert model.prediction_sd == pytest.approx(reference.sd, rel=1e-12)


def test_a_source_without_the_offset_is_refused_by_the_plan(folder: Path, tmp_path: Path) -> None:
    train(job(folder, registry=str(tmp_path / "models"), stability=None), workers=1)
    place = tmp_path / "data" / f"day={NEW}"
    place.mkdir(parents=True)
    rows(0).drop(columns="plan").to_parquet(place / "rows.parquet")
    without = {
        "registry": str(tmp_path / "models"),
        "data": {"path": str(tmp_path / "data"), "where": f"day == '{NEW}'"},
        "output": {"path": str(tmp_path / "scores"), "partition_by": "day"},
        "drift": None,
    }
    for missing in ("error", "impute"):
        with pytest.raises(DataError, match=r"the offset of sales@v1: there is no column 'plan'"):
            scoring.plan(score_job(folder, **without, missing_columns=missing))
    rows(0).assign(plan=np.nan).to_parquet(place / "rows.parquet")
    with pytest.raises(DataError, match="values, as it is the model's offset"):
        scoring.plan(score_job(folder, **without))


def test_a_frame_with_a_null_offset_has_no_prediction(model: Model) -> None:
    frame = rows(1)
    frame.loc[7, "plan"] = np.nan
    for of in (model.predict, model.contributions):
        with pytest.raises(DataError, match="column 'plan': has 1 nulls, the first in row 7"):
            of(frame)
    with pytest.raises(ValueError, match="contains NaN"):
        model.to_sklearn().predict(frame)
    with pytest.raises(DataError, match="lacks the column 'plan'"):
        model.predict(frame.drop(columns="plan"))


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ({"offset": "y"}, "offset: is 'y', which is also target"),
        ({"offset": "plan", "weight": "plan"}, "offset: is 'plan', which is also weight"),
        ({"offset": "store"}, "offset"),
        ({"offset": "plam"}, "Did you mean 'plan'"),
        ({"penalty_factors": {"plan": 0.0}}, "penalty_factors: 'plan' is no feature"),
        ({"bounds": {"plan": [0, 1]}}, "bounds: 'plan' is no feature"),
    ],
)
def test_an_offset_that_cannot_be_one_is_refused(folder: Path, keys: Values, says: str) -> None:
    with pytest.raises((DataError, JobError), match=says):
        training.plan(job(folder, **keys))


def test_every_form_of_the_model_and_the_service_have_the_offset(
    folder: Path, model: Model
) -> None:
    frame = rows(2).drop(columns="y")
    wanted = model.predict(frame)
    duckdb.register("frame", frame.assign(x=pd.array(frame["x"], dtype="Float64")))
    text = sql(linear_form(model), "duckdb", "frame")
    assert_allclose(duckdb.sql(text).df()["prediction"], wanted, rtol=1e-10)
    sent = frame[["x", "z", "store", "plan"]]
    batch = sent.astype(object).where(sent.notna(), None).to_dict("records")
    batch[4]["plan"] = None
    options = ServeOptions(
        model="sales@v1", registry=str(folder / "models"), missing_columns="impute"
    )
    service = Service(options, _follower(options), None, "http://127.0.0.1:1/")
    with TestClient(service.app(None), base_url="http://127.0.0.1:1") as client:
        answer = client.post("/predict", json=batch).json()
        answers = answer["predictions"]
        assert "plan is null" in str(answers[4]) and answers[4].get("prediction") is None
        assert "is taken for it" not in str(answers[4])
        own = [each["prediction"] for k, each in enumerate(answers) if k != 4]
        assert_allclose(own, np.delete(wanted, 4), rtol=1e-12)
        without = client.post("/predict", json={k: v for k, v in batch[0].items() if k != "plan"})
        row = client.get("/openapi.json").json()["components"]["schemas"]["Row"]
    assert without.status_code == 422, without.text
    assert row["required"] == ["plan"]


def test_the_plan_tells_the_offset_from_the_features(folder: Path) -> None:
    values = training.plan(job(folder)).as_values()
    assert (values["offset"], values["intercept"]) == ("plan", False)
    assert values["numeric_features"] == ["x", "z"]
    one, other = (training.plan(job(folder, offset=o)).run_id for o in ("plan", "z"))
    assert one != other


@pytest.mark.parametrize(
    "champion",
    [
        {"offset": "z", "intercept": True},
        pytest.param({"offset": None}, marks=pytest.mark.slow),
        pytest.param({"offset": None, "intercept": True}, marks=pytest.mark.slow),
    ],
)
def test_the_gate_compares_models_of_other_offsets_on_the_same_rows(
    folder: Path, tmp_path: Path, champion: Values
) -> None:
    held = {"holdout": {"where": f"day >= '{DAYS[7]}'"}, "registry": str(tmp_path / "models")}
    before = train(job(folder, **held, **champion, stability=None), workers=1)
    after = train(job(folder, **held, stability=None), workers=1)
    frame = pd.concat([rows(7 + k).iloc[1:] for k in range(3)])
    of_old, of_new = before.model.evaluated, after.model.evaluated
    assert of_old is not None and of_new is not None and after.model.holdout is not None
    errors = []
    for predictor in (of_old, of_new):
        values = frame.assign(**{f"store={s}": frame["store"] == s for s in ("a", "b")})
        fills = dict(zip(predictor.columns.numeric, predictor.fill, strict=True))
        X = values[list(predictor.columns.labels)].fillna(fills).astype(float)
        predicted = X.to_numpy() @ predictor.coef + predictor.intercept
        errors.append(float(np.mean((frame["y"] - predicted) ** 2)))
    assert after.model.holdout.mse == pytest.approx(errors[1], rel=1e-9)
    said = after.promotion.reason
    assert f"hold-out MSE {errors[1]:.6g} against {errors[0]:.6g} of v1" in said


def test_checks_see_the_residuals_of_a_model_without_an_intercept(
    folder: Path, tmp_path: Path
) -> None:
    planned = training.plan(job(folder, registry=str(tmp_path / "models"), stability=None))
    with connect(workers=1) as workers:
        data = gather(lambda: workers, planned)
    selected = run.select(planned, data)
    evaluation = run.evaluate(planned, data, selected)
    model = run.build(planned.job, data, selected, evaluation)
    found = examine(planned, data, selected, model)
    frame = pd.concat([rows(k).iloc[1:].assign(day=day) for k, day in enumerate(DAYS)])
    residual = frame["y"] - np.asarray(model.predict(frame))
    assert found.series is not None and found.held is not None
    assert_allclose(found.series.mean, residual.groupby(frame["day"]).mean(), rtol=1e-8)
    fit = selected.evaluated
    assert fit is not None
    held = data.held_out
    places = {label: j for j, label in enumerate(data.columns.labels)}
    X = np.stack([held.X[places[model.labels[j]]] for j in fit.selected], axis=1)
    means = fit.design.location[fit.design.position[fit.selected]]
    X = np.where(np.isnan(X), means, X)
    before = data.moments.merged(range(data.folds.n_before_holdout))
    at = fit.design.position[fit.selected]
    squares = before.scatter[np.ix_(at, at)] + before.weight * np.outer(means, means)
    leverage = np.einsum("ij,ij->i", X @ np.linalg.inv(squares), X)
    assert_allclose(found.held.leverage, leverage, rtol=1e-8)
    assert found.held.mean_leverage == pytest.approx(len(fit.selected) / before.n)
