from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lasso_jobs import load_model
from lasso_jobs.drift.references import PREDICTION
from lasso_jobs.jobs.train import TrainJob
from lasso_jobs.models.model import Model
from lasso_jobs.training.report.store import stored_report
from lasso_jobs.training.run import train

N = 800  # fewer than are sampled, so that the sample is all rows


def rows() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    frame = pd.DataFrame(
        {
            "smooth": rng.normal(5, 2, N),
            "counts": rng.poisson(0.7, N),
            "constant": np.full(N, 4.0),
            "halves": rng.integers(0, 2, N),
            "city": rng.choice(["a", "b", "c", "d"], N, p=[0.5, 0.3, 0.15, 0.05]),
            "flag": pd.array(rng.random(N) < 0.3, "boolean"),
        }
    )
    frame.loc[::8, "smooth"] = np.nan
    frame.loc[::5, "city"] = None
    frame.loc[::20, "flag"] = pd.NA
    y = frame["smooth"].fillna(7) * 2 + (frame["city"] == "a") * 3 + rng.normal(size=N)
    return frame.assign(y=y)


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return rows()


@pytest.fixture(scope="module")
def model(frame: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Model:
    folder = tmp_path_factory.mktemp("training")
    table = pa.Table.from_pandas(frame).append_column("gone", pa.nulls(N, pa.float64()))
    pq.write_table(table, folder / "a.parquet", row_group_size=300)
    job = TrainJob.from_values(
        {
            "name": "m",
            "data": {"path": str(folder / "a.parquet")},
            "target": "y",
            "stability": None,
            "preprocess": {"max_levels": 3, "missing": "indicator"},
            "search": {"alphas": 10},
            "registry": str(folder / "models"),
        }
    )
    return train(job, workers=1).model


def shares_by_hand(values: pd.Series, edges: np.ndarray) -> np.ndarray:
    """Share of all rows in each bin, a value on an edge in the upper one; last, the nulls."""
    bins = pd.cut(values, [-np.inf, *edges, np.inf], right=False, labels=False)
    counts = bins.value_counts(dropna=True).reindex(range(len(edges) + 1), fill_value=0)
    return np.append(counts.to_numpy(), values.isna().sum()) / len(values)


def test_there_is_a_reference_for_each_feature_and_for_the_predictions(model: Model) -> None:
    assert list(model.references) == [*model.columns.features, PREDICTION]


@pytest.mark.parametrize("name", ["smooth", "counts", "constant", "halves"])
def test_the_reference_of_a_number_is_its_distribution_in_training(
    model: Model, frame: pd.DataFrame, name: str
) -> None:
    reference, values = model.references[name], frame[name].astype(float)
    assert reference.mean == pytest.approx(values.mean(), rel=1e-12)
    assert reference.missing_share == pytest.approx(values.isna().mean(), rel=1e-12)
    expected = shares_by_hand(values, reference.edges)
    np.testing.assert_allclose(reference.shares, expected, rtol=1e-12, atol=1e-15)


def test_of_more_features_the_used_and_the_strongest_have_references(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The target depends on x0 and x1, and x7 is all but x0; the others are noise."""
    monkeypatch.setattr("lasso_jobs.drift.references.MOST_REFERENCES", 3)
    X = np.random.default_rng(0).normal(size=(N, 12))
    y = 3 * X[:, 0] - 2 * X[:, 1] + 0.1 * X[:, 2]
    X[:, 7] = X[:, 0] + 0.5 * X[:, 7]
    columns = {f"x{j}": x for j, x in enumerate(X.T)}
    pq.write_table(pa.table({**columns, "y": y}), tmp_path / "a.parquet")
    values = {
        "name": "m",
        "data": {"path": str(tmp_path)},
        "target": "y",
        "stability": None,
        "holdout": None,
    }
    values |= {"search": {"alphas": [0.5]}, "registry": str(tmp_path / "models")}
    trained = train(TrainJob.from_values(values), workers=1)
    model = trained.model
    assert model.predictor.used == ("x0", "x1")
    residuals = y - model.predict(pd.DataFrame(columns))
    likeness = {name: abs(np.corrcoef(x, residuals)[0, 1]) for name, x in columns.items()}
    third = max(set(columns) - {"x0", "x1"}, key=lambda name: likeness[name])
    assert set(model.references) == {"x0", "x1", third, PREDICTION}
    assert load_model(values["registry"], "m@v1").references.keys() == model.references.keys()
    page = stored_report(values["registry"], "m@v1").page.decode()
    assert "The first 3 of 12." in page


def test_a_smooth_number_has_twenty_bins_of_about_equal_shares(
    model: Model, frame: pd.DataFrame
) -> None:
    reference = model.references["smooth"]
    assert len(reference.edges) == 19
    np.testing.assert_allclose(reference.shares[:-1], (1 - 1 / 8) / 20, atol=1 / N)
    assert set(reference.edges) <= set(frame["smooth"])


def test_a_constant_and_two_values_have_a_bin_for_each_of_them(model: Model) -> None:
    np.testing.assert_array_equal(model.references["constant"].shares, [0.0, 1.0, 0.0, 0.0])
    np.testing.assert_allclose(model.references["constant"].places, [4.0] * 3, rtol=1e-12)
    halves = model.references["halves"]
    np.testing.assert_array_equal(halves.edges[[0, 2]], [0.0, 1.0])
    np.testing.assert_array_equal(halves.shares[[0, 2, 4, 5]], np.zeros(4))
    np.testing.assert_allclose(halves.places, [0.0, 0.0, 0.5, 1.0, 1.0], rtol=1e-12, atol=1e-300)


def test_a_column_of_nulls_is_missing_altogether(model: Model) -> None:
    reference = model.references["gone"]
    assert (len(reference.edges), reference.missing_share) == (0, 1.0)
    np.testing.assert_array_equal(reference.shares, [0.0, 1.0])


@pytest.mark.parametrize("name", ["city", "flag"])
def test_the_reference_of_a_category_is_the_shares_of_its_levels(
    model: Model, frame: pd.DataFrame, name: str
) -> None:
    (category,) = [c for c in model.columns.categories if c.name == name]
    text = frame[name].map(lambda v: None if pd.isna(v) else str(v).replace("True", "true"))
    text = text.map(lambda v: v.replace("False", "false") if isinstance(v, str) else None)
    listed = [
        text.isna().mean() if level is None else (text == level).mean() for level in category.levels
    ]
    other = [1 - sum(listed)] if category.other else []
    reference = model.references[name]
    np.testing.assert_allclose(reference.shares, [*listed, *other, 0.0], rtol=1e-12, atol=1e-15)
    assert len(reference.edges) == 0
    assert np.isnan(reference.mean)


def test_the_null_share_of_a_category_is_known(model: Model, frame: pd.DataFrame) -> None:
    assert model.references["city"].missing_share == pytest.approx(frame["city"].isna().mean())


def test_the_null_share_of_a_category_is_known_even_if_null_is_a_rare_level(
    model: Model, frame: pd.DataFrame
) -> None:
    assert model.references["flag"].missing_share == pytest.approx(frame["flag"].isna().mean())


def test_the_reference_of_the_predictions_is_of_the_models_own(
    model: Model, frame: pd.DataFrame
) -> None:
    reference = model.references[PREDICTION]
    predictions = pd.Series(model.predict(frame.assign(gone=np.nan)))
    assert reference.mean == pytest.approx(predictions.mean(), rel=1e-10)
    assert reference.missing_share == 0
    # The sums are taken in another order, so that a prediction on an edge may lie beside it.
    expected = shares_by_hand(predictions, reference.edges - 1e-9)
    np.testing.assert_allclose(reference.shares, expected, rtol=1e-12, atol=1e-15)


def test_shares_add_up_to_one(model: Model) -> None:
    for name, reference in model.references.items():
        assert reference.shares.sum() == pytest.approx(1.0, rel=1e-12), name
        assert (reference.shares >= -1e-15).all(), name


def with_lost_outcomes() -> pd.DataFrame:
    """Of a fifth of the rows there is no outcome, and their features are not as the others'."""
    frame, rng = rows(), np.random.default_rng(9)
    lost = rng.random(N) < 0.2
    away = np.where(rng.random(lost.sum()) < 0.6, np.nan, frame.loc[lost, "smooth"] + 30)
    frame.loc[lost, "smooth"] = away
    frame.loc[lost, "city"] = "z"
    return frame.assign(y=frame["y"].where(~lost), day=np.arange(N) // 50)


def trained_on(folder: Path, frame: pd.DataFrame, where: str | None, **values: object) -> Model:
    folder.mkdir(exist_ok=True)
    pq.write_table(pa.Table.from_pandas(frame), folder / "a.parquet", row_group_size=300)
    job = {
        "name": "m",
        "data": {"path": str(folder / "a.parquet"), "where": where},
        "target": "y",
        "period": "day",
        "features": {"exclude": ["day"]},
        "preprocess": {"missing": "indicator"},
        "search": {"alphas": 10},
        "stability": None,
        "registry": str(folder / "models"),
        **values,
    }
    return train(TrainJob.from_values(job), workers=1).model


@pytest.mark.parametrize(
    "values",
    [
        {},
        pytest.param(
            {"search": {"alphas": 10, "engine": "screened"}, "period": None},
            marks=pytest.mark.slow,
        ),
    ],
)
def test_rows_without_an_outcome_count_in_the_reference_and_in_no_fit(
    tmp_path: Path, values: dict[str, object]
) -> None:
    frame = with_lost_outcomes()
    trained = [
        trained_on(tmp_path / "all", frame, None, **values),
        trained_on(tmp_path / "all", frame, None, **values),  # from the cache
    ]
    labelled = trained_on(tmp_path / "labelled", frame, "y is not null", **values)
    for model in trained:
        assert model.alpha == labelled.alpha
        known = dict(zip(labelled.labels, labelled.predictor.coef.tolist(), strict=True))
        mine = dict(zip(model.labels, model.predictor.coef.tolist(), strict=True))
        assert {name: mine[name] for name in known} == known
        reference, smooth = model.references["smooth"], frame["smooth"]
        assert reference.mean == pytest.approx(smooth.mean(), rel=1e-12)
        assert reference.missing_share == pytest.approx(smooth.isna().mean(), rel=1e-12)
        assert (reference.low, reference.high) == (smooth.min(), smooth.max())
        expected = shares_by_hand(smooth, reference.edges)
        np.testing.assert_allclose(reference.shares, expected, rtol=1e-12, atol=1e-15)
        prediction = model.references[PREDICTION]
        of_all = model.predict(frame.drop(columns="y"))
        assert prediction.mean == pytest.approx(of_all.mean(), rel=1e-10)
        (city,) = [c for c in model.columns.categories if c.name == "city"]
        is_level = [frame["city"].isna() if v is None else frame["city"] == v for v in city.levels]
        expected = [float(rows.mean()) for rows in is_level]
        np.testing.assert_allclose(model.references["city"].shares[: len(expected)], expected)
        if values.get("period", "day"):
            days = smooth.isna().groupby(frame["day"]).mean()
            assert reference.baseline.spans[0].missing == pytest.approx(days.max())
            assert reference.baseline.n_periods == 16


def test_rows_that_are_not_scored_do_not_count(tmp_path: Path) -> None:
    frame = with_lost_outcomes().drop(columns=["city", "flag"])
    dropped = trained_on(tmp_path, frame, None, preprocess={"missing": "drop"})
    complete = frame[frame["smooth"].notna()]
    assert dropped.references["smooth"].mean == pytest.approx(complete["smooth"].mean())
    assert dropped.references["smooth"].missing_share == 0.0
