"""Every number of a training equals scikit-learn's, refitted fold by fold."""

import json
from collections.abc import Callable
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from numpy.testing import assert_allclose
from scipy.stats import chi2
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_diabetes
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.linear_model import Lasso
from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from lasso_jobs import TrainJob, load_model, train
from lasso_jobs.engine.cluster import connect
from lasso_jobs.training.gather import gather
from lasso_jobs.training.plan import plan
from lasso_jobs.training.read.rows import read_training_rows

pytestmark = pytest.mark.integration

EXACT = 1e-8
FOLDS = ["spring", "summer", "autumn", "winter", "leap"]
Values = dict[str, Any]


def lasso(alpha: float) -> Lasso:
    return Lasso(alpha, tol=1e-12, max_iter=1_000_000)


def fold_errors(
    model: Callable[[float], Pipeline], X: pd.DataFrame, y: np.ndarray, fold: Any, alphas: Any
) -> np.ndarray:
    """Squared error of each fold (a row) at each alpha (a column), refitted without the fold."""
    errors = []
    for k in sorted(set(fold)):
        own = fold == k
        fits = (model(alpha).fit(X[~own], y[~own]) for alpha in alphas)
        errors.append([mean_squared_error(y[own], fit.predict(X[own])) for fit in fits])
    return np.array(errors)


@pytest.fixture(scope="module")
def diabetes() -> pd.DataFrame:
    """In original units, with folds of very different sizes."""
    data = load_diabetes(scaled=False)
    frame = pd.DataFrame(data.data, columns=data.feature_names)
    fold = np.random.default_rng(5).choice(FOLDS, len(frame), p=[0.4, 0.3, 0.15, 0.1, 0.05])
    return frame.assign(target=data.target, fold=fold)


@pytest.fixture(scope="module")
def diabetes_folder(diabetes: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("diabetes")
    diabetes.to_parquet(folder / "diabetes.parquet")
    job = {
        "name": "diabetes",
        "data": {"path": "diabetes.parquet"},
        "target": "target",
        "stability": None,
        "search": {"split": {"fold": "fold"}},
        "holdout": None,
    }
    (folder / "train.yaml").write_text(yaml.safe_dump(job))
    return folder


@pytest.fixture(scope="module")
def from_python(diabetes_folder: Path) -> Values:
    job = TrainJob.from_yaml(
        diabetes_folder / "train.yaml",
        [f"data.path={diabetes_folder}/diabetes.parquet", f"registry={diabetes_folder}/in-python"],
    )
    return train(job, workers=1).as_values()


@pytest.fixture(scope="module")
def from_shell(diabetes_folder: Path, cli: Callable[..., Any]) -> Values:
    done = cli("train", "train.yaml", "--json", folder=diabetes_folder)
    assert done.returncode == 0, done.stderr
    values: Values = json.loads(done.stdout)
    return values


@pytest.fixture(scope="module", params=["python", "shell"])
def trained(request: pytest.FixtureRequest) -> Values:
    values: Values = request.getfixturevalue(f"from_{request.param}")
    return values


@pytest.fixture(scope="module")
def reference(diabetes: pd.DataFrame, from_python: Values) -> np.ndarray:
    """scikit-learn's error of each fold at each alpha that was tried."""
    X, y = diabetes.drop(columns=["target", "fold"]), diabetes["target"].to_numpy()
    alphas = from_python["cv"]["alphas"]
    return fold_errors(
        lambda alpha: make_pipeline(StandardScaler(), lasso(alpha)), X, y, diabetes["fold"], alphas
    )


def test_each_fold_of_diabetes_has_the_error_of_a_refit_at_each_of_100_alphas(
    trained: Values, reference: np.ndarray
) -> None:
    assert reference.shape == (5, 100)
    assert_allclose(trained["cv"]["fold_mse"], reference, rtol=EXACT)


def test_the_cv_error_of_diabetes_is_the_mean_of_its_folds_weighted_by_their_rows(
    trained: Values, reference: np.ndarray, diabetes: pd.DataFrame
) -> None:
    sizes = diabetes["fold"].value_counts().sort_index()
    assert trained["cv"]["fold_weight"] == sizes.tolist()
    assert_allclose(trained["cv"]["mse"], np.average(reference, axis=0, weights=sizes), rtol=EXACT)


def test_the_standard_error_of_diabetes_is_that_of_the_weighted_mean_of_its_folds(
    trained: Values, reference: np.ndarray, diabetes: pd.DataFrame
) -> None:
    sizes = diabetes["fold"].value_counts().sort_index()
    mean = np.average(reference, axis=0, weights=sizes)
    variance = np.average((reference - mean) ** 2, axis=0, weights=sizes)
    assert_allclose(trained["cv"]["mse_se"], np.sqrt(variance / 4), rtol=EXACT)


def test_the_alphas_of_diabetes_descend_from_the_smallest_that_selects_nothing(
    trained: Values, diabetes: pd.DataFrame
) -> None:
    X = StandardScaler().fit_transform(diabetes.drop(columns=["target", "fold"]))
    y = diabetes["target"] - diabetes["target"].mean()
    top = np.abs(X.T @ y).max() / len(y)
    assert_allclose(trained["cv"]["alphas"], np.geomspace(top, top * 1e-3, 100), rtol=EXACT)


def test_the_chosen_alphas_of_diabetes_follow_from_its_curve(trained: Values) -> None:
    alphas, mse, se = (np.array(trained["cv"][key]) for key in ("alphas", "mse", "mse_se"))
    best = mse.argmin()
    assert trained["alpha"] == trained["alpha_min"] == alphas[best]
    assert trained["alpha_1se"] == alphas[mse <= mse[best] + se[best]].max()


def test_the_model_of_diabetes_has_the_coefficients_and_intercept_of_a_refit(
    trained: Values, diabetes: pd.DataFrame
) -> None:
    X, y = diabetes.drop(columns=["target", "fold"]), diabetes["target"]
    scaler = StandardScaler().fit(X)
    fit = lasso(trained["alpha"]).fit(scaler.transform(X), y)
    expected = fit.coef_ / scaler.scale_
    assert list(trained["coef"]) == list(X)
    assert_allclose(list(trained["coef"].values()), expected, rtol=EXACT)
    assert_allclose(trained["intercept"], fit.intercept_ - expected @ scaler.mean_, rtol=EXACT)
    assert_allclose(list(trained["per_sd"].values()), fit.coef_, rtol=EXACT)


def test_shell_and_python_train_bitwise_the_same_numbers(
    from_shell: Values, from_python: Values
) -> None:
    for key in ("cv", "coef", "intercept", "alpha"):
        assert from_shell[key] == from_python[key]


# A harder set: nulls, text, booleans, rare levels, groups, rows without a target, a hold-out.

NUMERIC = ["size", "age", "speed"]
LEVELS = {"city": 4, "grade": 4, "open": 4}
N = 900


def homes() -> pa.Table:
    rng = np.random.default_rng(11)
    size, age = rng.lognormal(4, 0.4, N), rng.uniform(0, 80, N)
    city = rng.choice(["a", "b", "c", "d", "e", "f"], N, p=[0.35, 0.3, 0.2, 0.08, 0.04, 0.03])
    grade, is_open = rng.integers(1, 4, N), rng.random(N) < 0.5
    price = 3 * size - age + 40 * (city == "b") + 15 * grade + 20 * is_open
    return pa.table(
        {
            "size": pa.array(size, mask=rng.random(N) < 0.1),
            "age": pa.array(age, mask=rng.random(N) < 0.2),
            "speed": pa.array(1e5 + rng.normal(size=N)),
            "city": pa.array(city, mask=rng.random(N) < 0.1),
            "grade": pa.array(grade, mask=rng.random(N) < 0.1),
            "open": pa.array(is_open, mask=rng.random(N) < 0.1),
            "street": pa.array(rng.integers(0, 60, N)),
            "sold": pa.array(rng.integers(2000, 2020, N)),
            "price": pa.array(price + rng.normal(0, 30, N), mask=rng.random(N) < 0.05),
        }
    )


def recipe(missing: str) -> ColumnTransformer:
    steps = [
        ("numbers", SimpleImputer(), NUMERIC),
        ("levels", OneHotEncoder(handle_unknown="ignore", sparse_output=False), list(LEVELS)),
    ]
    if missing == "indicator":
        steps.append(("nulls", MissingIndicator(features="all"), NUMERIC))
    return ColumnTransformer(steps)


def encoded(frame: pd.DataFrame) -> pd.DataFrame:
    """Nulls of categories are a level, and so are together all but the most frequent levels."""
    texts = frame[list(LEVELS)].astype(object).where(frame[list(LEVELS)].notna(), "null")
    for name, most in LEVELS.items():
        kept = texts[name].value_counts().index[:most]
        texts[name] = texts[name].where(texts[name].isin(kept), "other").astype(str)
    return pd.concat([frame[NUMERIC], texts], axis=1)


@pytest.fixture(scope="module", params=["mean", "indicator", "drop"])
def sold(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Values:
    """The training, and the rows with the fold that each is in; -1 is held out."""
    folder = tmp_path_factory.mktemp("homes")
    table = homes()
    pq.write_table(table, folder / "homes.parquet", row_group_size=200)
    job = TrainJob.from_values(
        {
            "name": "homes",
            "data": {"path": str(folder / "homes.parquet"), "where": "sold >= 2002"},
            "target": "price",
            "stability": None,
            "features": {"exclude": ["sold"], "categorical": ["grade"]},
            "preprocess": {"missing": request.param, "max_levels": 4},
            "search": {"alphas": 15, "folds": 4, "split": {"group": "street"}},
            "holdout": 0.25,
            "registry": str(folder / "models"),
        }
    )
    planned = plan(job)
    with connect(workers=1) as workers:
        data = gather(lambda: workers, planned)
    reading = data.reading
    read = [rows for part in planned.work_units for rows in read_training_rows(part, reading)]
    bucket = np.concatenate([rows.buckets for rows in read])
    frame = table.to_pandas()
    frame = frame[(frame["sold"] >= 2002) & frame["price"].notna()]
    if request.param == "drop":
        frame = frame.dropna(subset=NUMERIC)
    return {
        "missing": request.param,
        "frame": frame,
        "X": encoded(frame),
        "y": frame["price"].to_numpy(),
        "fold": sum(k * np.isin(bucket, test) for k, (_, test) in enumerate(data.folds.splits()))
        - 1 * (bucket == reading.n_buckets),
        "trained": train(job, workers=2).as_values(),
        "model": load_model(folder / "models", "homes"),
    }


def refit(sold: Values, alpha: float, rows: Any = slice(None)) -> Pipeline:
    model = make_pipeline(recipe(sold["missing"]), StandardScaler(), lasso(alpha))
    return model.fit(sold["X"][rows], sold["y"][rows])


def test_groups_are_wholly_in_one_fold_or_held_out(sold: Values) -> None:
    assert set(sold["fold"]) == {-1, 0, 1, 2, 3}
    assert (sold["frame"].assign(fold=sold["fold"]).groupby("street")["fold"].nunique() == 1).all()


def test_folds_with_nulls_and_categories_have_the_errors_of_refits(sold: Values) -> None:
    used = sold["fold"] >= 0
    curve = sold["trained"]["cv"]
    expected = fold_errors(
        lambda a: make_pipeline(recipe(sold["missing"]), StandardScaler(), lasso(a)),
        sold["X"][used],
        sold["y"][used],
        sold["fold"][used],
        curve["alphas"],
    )
    assert_allclose(curve["fold_mse"], expected, rtol=EXACT)
    sizes = np.bincount(sold["fold"][used])
    assert_allclose(curve["mse"], np.average(expected, axis=0, weights=sizes), rtol=EXACT)


def test_the_holdout_is_measured_with_a_model_that_never_saw_it(sold: Values) -> None:
    held = sold["fold"] < 0
    y = sold["y"][held]
    predicted = refit(sold, sold["trained"]["alpha"], ~held).predict(sold["X"][held])
    found = sold["trained"]["holdout"]
    assert found["n_rows"] == held.sum()
    assert_allclose(found["mse"], mean_squared_error(y, predicted), rtol=EXACT)
    assert_allclose(found["rmse"], mean_squared_error(y, predicted) ** 0.5, rtol=EXACT)
    assert_allclose(found["r2"], r2_score(y, predicted), rtol=EXACT)
    assert_allclose(found["mae"], mean_absolute_error(y, predicted), rtol=EXACT)


def test_nine_tenths_of_the_holdout_and_a_new_street_are_inside_the_interval(
    sold: Values,
) -> None:
    held = sold["fold"] < 0
    predicted = refit(sold, sold["trained"]["alpha"], ~held).predict(sold["X"][held])
    errors = np.abs(sold["y"][held] - predicted)
    n, streets = len(errors), sold["frame"]["street"][held].to_numpy()
    inside = pd.Series(errors <= np.sort(errors)[ceil(0.9 * (n + 1)) - 1])
    houses = inside.groupby(streets).agg(["sum", "size"])
    away = houses["sum"] - inside.mean() * houses["size"]
    k = len(houses)
    variance = (away**2).sum() / n**2 * k / (k - 1) * (k - 1) / chi2.ppf(0.1, k - 1)
    # Streets count at least as a house each, and houses of streets at most as houses.
    effective = np.clip(0.09 / variance, n**2 / (houses["size"] ** 2).sum(), n)
    assert k >= 6
    exact = np.sort(errors)[ceil(0.9 * n * (1 + 1 / effective)) - 1]
    assert_allclose(sold["trained"]["holdout"]["interval"], exact, rtol=1e-10)


def test_the_final_model_is_a_refit_on_all_rows_with_a_target(sold: Values) -> None:
    expected = refit(sold, sold["trained"]["alpha"])
    assert sold["trained"]["n_rows"] == len(sold["y"])
    assert_allclose(sold["model"].predict(sold["frame"]), expected.predict(sold["X"]), rtol=EXACT)
    scale = expected["standardscaler"].scale_[: len(NUMERIC)]
    coef = expected["lasso"].coef_[: len(NUMERIC)] / scale
    assert_allclose(sold["model"].coef[NUMERIC], coef, rtol=EXACT, atol=1e-12)


def test_rows_without_a_target_and_filtered_rows_are_counted(sold: Values) -> None:
    frame = homes().to_pandas()
    kept = frame["sold"] >= 2002
    assert sold["trained"]["rows_filtered"] == (~kept).sum()
    assert sold["trained"]["rows_without_target"] == frame[kept]["price"].isna().sum()


def test_rows_with_nulls_are_counted_where_they_are_left_out(sold: Values) -> None:
    frame = homes().to_pandas().query("sold >= 2002").dropna(subset="price")
    left_out = frame[NUMERIC].isna().any(axis=1).sum() if sold["missing"] == "drop" else 0
    assert sold["trained"]["rows_with_nulls"] == left_out


def test_fits_that_held_out_rows_measure_know_nothing_of_them(tmp_path: Path) -> None:
    """Where columns are equal in all rows but the last, only those could tell which of them."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 12))
    X[:160, 6:] = X[:160, :6]
    effects = rng.integers(0, 2, 6)
    y = X[:, np.arange(6) + 6 * effects].sum(axis=1) + 0.3 * rng.normal(size=200)

    def trained(name: str, y: np.ndarray) -> Any:
        frame = pd.DataFrame(X, columns=[f"x{j}" for j in range(12)])
        frame = frame.assign(t=pd.date_range("2024-01-01", periods=200, freq="h"), y=y)
        frame.to_parquet(tmp_path / "rows.parquet")
        values = {
            "name": name,
            "data": {"path": str(tmp_path / "rows.parquet")},
            "target": "y",
            "features": {"exclude": ["t"]},
            "registry": str(tmp_path / "models"),
            "search": {"alphas": [0.05]},
            "holdout": {"last": 0.2, "time": "t"},
        }
        return train(TrainJob.from_values(values), workers=1).model

    other = y.copy()
    other[160:] = -X[160:, :6].sum(axis=1)
    models = [trained("one", y), trained("other", other)]
    fits = [model.evaluated for model in models]
    assert fits[0].coef.tobytes() == fits[1].coef.tobytes()
    curves = [model.diagnostics.learning for model in models]
    assert curves[0].train_mse.tobytes() == curves[1].train_mse.tobytes()
