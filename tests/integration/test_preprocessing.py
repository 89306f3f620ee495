"""What each fold fits to its own training rows, against scikit-learn refitted for it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Lasso
from sklearn.model_selection import TimeSeriesSplit
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, RobustScaler, StandardScaler

from lasso_jobs import ScoreJob, TrainJob, load_model, score, train
from lasso_jobs.errors import JobError, ModelError
from lasso_jobs.models.model import Model

pytestmark = pytest.mark.integration

EXACT = 1e-8
N = 1200
CITIES = [f"city {chr(97 + i)}" for i in range(12)]
Values = dict[str, Any]


def rows() -> pd.DataFrame:
    """Folds of very different sizes; which cities are rare differs between them."""
    rng = np.random.default_rng(23)
    fold = rng.choice(4, N, p=[0.4, 0.3, 0.2, 0.1])
    city = np.empty(N, object)
    for k in range(4):
        shares = np.geomspace(1, 0.02, 12)
        shares[4:8] = np.roll(shares[4:8], k)
        chosen = fold == k
        city[chosen] = rng.choice(CITIES, chosen.sum(), p=shares / shares.sum())
    city[(fold == 2) & (city == "city l")] = "city a"
    size, age = rng.lognormal(3, 0.6, N), rng.normal(1e4, 10, N)
    effect = pd.Series(city).map({c: 7 * (-1) ** i * (i % 5) for i, c in enumerate(CITIES)})
    y = 2 * size - age + effect + rng.normal(0, 5, N)
    frame = pd.DataFrame({"size": size, "age": age, "city": city, "fold": fold, "y": y})
    frame.loc[rng.random(N) < 0.15, "size"] = np.nan
    return frame.assign(w=rng.integers(0, 4, N))


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return rows()


Trained = tuple[Values, Model]
Train = Callable[..., Trained]


@pytest.fixture
def trained(tmp_path: Path) -> Train:
    def run(rows: pd.DataFrame | pa.Table, preprocess: Values, **job: Any) -> Trained:
        data = tmp_path / "rows.parquet"
        if not isinstance(rows, pa.Table):
            rows = pa.Table.from_pandas(rows, preserve_index=False)
        pq.write_table(rows, data, row_group_size=250)
        values = {
            "name": "homes",
            "data": {"path": str(data)},
            "target": "y",
            "stability": None,
            "features": {"include": ["size", "age", "city"]},
            "preprocess": preprocess,
            "search": {"alphas": 25, "eps": 1e-3, "split": {"fold": "fold"}},
            "holdout": None,
            "registry": str(tmp_path / "models"),
        }
        found = train(TrainJob.from_values({**values, **job}), workers=1).as_values()
        return found, load_model(tmp_path / "models", "homes")

    return run


def pipeline(
    encoder: OneHotEncoder, alpha: float, scaler: Any = None, numbers: tuple[str, ...] = ()
) -> Pipeline:
    steps = [
        ("numbers", SimpleImputer(), [*(numbers or ("size", "age"))]),
        ("levels", encoder, ["city"]),
    ]
    lasso = Lasso(alpha, tol=1e-13, max_iter=1_000_000)
    return make_pipeline(ColumnTransformer(steps), scaler or StandardScaler(), lasso)


def fold_errors(
    model: Callable[[float], Pipeline], frame: pd.DataFrame, alphas: Any, repeat: Any = None
) -> np.ndarray:
    """Squared error of each fold (a row) at each alpha (a column), refitted without the fold."""
    times = np.ones(len(frame), int) if repeat is None else repeat.to_numpy()
    errors = []
    for k in sorted(set(frame["fold"])):
        repeated = frame.loc[frame.index.repeat(times)]
        fit, test = repeated[repeated["fold"] != k], repeated[repeated["fold"] == k]
        errors.append(
            [np.mean((test["y"] - model(a).fit(fit, fit["y"]).predict(test)) ** 2) for a in alphas]
        )
    return np.array(errors)


def encoder(frame: pd.DataFrame, **options: Any) -> OneHotEncoder:
    # Of equally frequent levels scikit-learn keeps the last, and here it is the first.
    order = sorted(set(frame["city"]), reverse=True)
    return OneHotEncoder(
        categories=[order],
        handle_unknown="infrequent_if_exist",
        sparse_output=False,
        **options,
    )


LEVELS = [
    ({"max_levels": 6}, {"max_categories": 7}),
    ({"min_count": 60}, {"min_frequency": 60}),
    ({"max_levels": 8, "min_count": 50}, {"max_categories": 9, "min_frequency": 50}),
    ({"max_levels": 30}, {}),
]
levels = pytest.mark.parametrize(("ours", "theirs"), LEVELS, ids=lambda o: "-".join(o))


@levels
def test_each_fold_keeps_the_frequent_levels_of_its_own_training_rows(
    trained: Train, frame: pd.DataFrame, ours: Values, theirs: Values
) -> None:
    found, model = trained(frame, ours)
    expected = fold_errors(
        lambda a: pipeline(encoder(frame, **theirs), a), frame, found["cv"]["alphas"]
    )
    assert_allclose(found["cv"]["fold_mse"], expected, rtol=EXACT)
    refit = pipeline(encoder(frame, **theirs), found["alpha"]).fit(frame, frame["y"])
    assert_allclose(model.predict(frame), refit.predict(frame), rtol=EXACT)


def test_the_folds_of_these_tests_keep_different_levels(frame: pd.DataFrame) -> None:
    kept = {
        tuple(sorted(frame[frame["fold"] != k]["city"].value_counts().index[:6])) for k in range(4)
    }
    assert len(kept) > 1


def test_levels_chosen_inside_a_fold_differ_from_those_of_all_rows(
    trained: Train, frame: pd.DataFrame
) -> None:
    """The oracle tells them apart: levels that all rows choose give other errors."""
    found, _ = trained(frame, {"max_levels": 6})
    top = frame["city"].value_counts().index[:6]
    leaky = frame.assign(city=frame["city"].where(frame["city"].isin(top), "other"))
    expected = fold_errors(lambda a: pipeline(encoder(leaky), a), leaky, found["cv"]["alphas"][-1:])
    assert not np.allclose(np.array(found["cv"]["fold_mse"])[:, -1:], expected, rtol=1e-6)


@pytest.mark.slow
@levels
def test_the_first_level_of_each_fold_can_be_dropped(
    trained: Train, frame: pd.DataFrame, ours: Values, theirs: Values
) -> None:
    found, model = trained(frame, {**ours, "drop_first": True})

    def dropped(alpha: float) -> Pipeline:
        one_hot = OneHotEncoder(
            handle_unknown="infrequent_if_exist" if theirs else "ignore",
            sparse_output=False,
            drop="first",
            **theirs,
        )
        return pipeline(one_hot, alpha)

    assert_allclose(
        found["cv"]["fold_mse"], fold_errors(dropped, frame, found["cv"]["alphas"]), rtol=EXACT
    )
    assert found["coef"]["city=city a"] == 0.0
    refit = dropped(found["alpha"]).fit(frame, frame["y"])
    assert_allclose(model.predict(frame), refit.predict(frame), rtol=EXACT)


def test_rows_count_by_their_weight_where_levels_are_chosen(
    trained: Train, frame: pd.DataFrame
) -> None:
    found, _ = trained(frame, {"max_levels": 7, "min_count": 80}, weight="w")
    expected = fold_errors(
        lambda a: pipeline(encoder(frame, max_categories=8, min_frequency=80), a),
        frame,
        found["cv"]["alphas"],
        repeat=frame["w"],
    )
    assert_allclose(found["cv"]["fold_mse"], expected, rtol=EXACT)


def test_rare_and_unseen_levels_share_other(trained: Train, frame: pd.DataFrame) -> None:
    _, model = trained(frame, {"min_count": 60})
    counts = frame["city"].value_counts()
    shown = [f"city={name}" for name in sorted(counts.index[counts >= 60])] + ["city=(other)"]
    assert [label for label in model.coef.index if label.startswith("city=")] == shown
    assert model.coef["city=(other)"] != 0
    asked = frame[:3].assign(city=["city l", "never seen", None], size=5.0, age=0.0)
    predicted = model.predict(asked)
    other = model.intercept + 5 * model.coef["size"] + model.coef["city=(other)"]
    assert_allclose(predicted, [other] * 3, rtol=1e-12)
    assert_allclose(model.to_sklearn().predict(frame), model.predict(frame), rtol=EXACT)


def test_a_category_whose_levels_are_all_rare_has_no_effect(
    trained: Train, frame: pd.DataFrame
) -> None:
    for weight in (None, "w"):
        found, model = trained(frame, {"min_count": 10 * N}, weight=weight, promote="always")
        assert [label for label in found["coef"] if "city" in label] == ["city=(other)"]
        assert found["coef"]["city=(other)"] == 0.0
        assert_array_equal(model.predict(frame), model.predict(frame.assign(city="new")))
        assert_allclose(model.to_sklearn().predict(frame), model.predict(frame), rtol=EXACT)


def test_the_model_without_the_held_out_rows_has_levels_of_its_own(
    trained: Train, frame: pd.DataFrame
) -> None:
    last = frame.assign(city=frame["city"].where(frame["fold"] != 0, "city l"))
    found, model = trained(
        last, {"max_levels": 3}, holdout={"where": "fold == 0"}, search={"alphas": 25}
    )
    assert "city=city l" in found["coef"]
    assert model.evaluated is not None
    assert "city l" not in model.evaluated.columns.categories[0].levels
    fit, held = last.query("fold != 0"), last.query("fold == 0")
    one_hot = encoder(last, max_categories=4)
    refit = pipeline(one_hot, found["alpha"]).fit(fit, fit["y"])
    mse = np.mean((held["y"] - refit.predict(held)) ** 2)
    assert_allclose(found["holdout"]["mse"], mse, rtol=EXACT)


@pytest.mark.parametrize("missing", ["mean", pytest.param("drop", marks=pytest.mark.slow)])
def test_robust_scaling_takes_the_quartiles_of_each_folds_training_rows(
    trained: Train, frame: pd.DataFrame, missing: str
) -> None:
    """Heavy tails on either side of a shift, so that folds have quartiles of their own."""
    frame = frame.assign(size=frame["size"] ** 2 * (1 + frame["fold"]))
    found, model = trained(frame, {"scaling": "robust", "missing": missing, "max_levels": 6})
    if missing == "drop":
        frame = frame.dropna(subset="size")

    def robust(alpha: float) -> Pipeline:
        return pipeline(encoder(frame, max_categories=7), alpha, RobustScaler())

    expected = fold_errors(robust, frame, found["cv"]["alphas"])
    assert_allclose(found["cv"]["fold_mse"], expected, rtol=EXACT)
    refit = robust(found["alpha"]).fit(frame, frame["y"])
    assert_allclose(model.predict(frame), refit.predict(frame), rtol=EXACT)
    assert_allclose(model.scales, refit["robustscaler"].scale_, rtol=1e-12)


def test_robust_scaling_never_sees_the_held_out_rows(trained: Train, frame: pd.DataFrame) -> None:
    frame = frame.assign(size=frame["size"].where(frame["fold"] != 0, frame["size"] * 50))
    found, _ = trained(
        frame,
        {"scaling": "robust"},
        holdout={"where": "fold == 0"},
        search={"alphas": [3.0]},
    )
    fit, held = frame.query("fold != 0"), frame.query("fold == 0")
    refit = pipeline(encoder(frame), 3.0, RobustScaler()).fit(fit, fit["y"])
    mse = np.mean((held["y"] - refit.predict(held)) ** 2)
    assert_allclose(found["holdout"]["mse"], mse, rtol=EXACT)


@pytest.mark.parametrize("window", ["expanding", "rolling"])
def test_robust_scaling_of_folds_by_time_has_the_quartiles_of_the_past(
    trained: Train, frame: pd.DataFrame, window: str
) -> None:
    t = np.arange(N)
    frame = frame.assign(size=frame["size"] * (1 + t / N), t=t, city="one")
    how = {"alphas": 25, "folds": 3, "split": {"time": "t", "window": window, "gap": 20}}
    found, _ = trained(frame, {"scaling": "robust"}, search=how)
    size = N // 4 if window == "rolling" else None
    splits = TimeSeriesSplit(3, gap=20, max_train_size=size and size - 20).split(frame)
    expected = []
    for rows, held in splits:
        fit, test = frame.iloc[rows], frame.iloc[held]
        models = [pipeline(encoder(frame), a, RobustScaler()) for a in found["cv"]["alphas"]]
        predicted = [model.fit(fit, fit["y"]).predict(test) for model in models]
        expected.append([np.mean((test["y"] - values) ** 2) for values in predicted])
    assert_allclose(found["cv"]["fold_mse"], expected, rtol=EXACT)


def test_beyond_the_sample_quartiles_are_within_the_stated_rank_error(
    trained: Train, frame: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = 300
    monkeypatch.setattr("lasso_jobs.core.rows.sample.sample_size", lambda n_columns: size)
    _, model = trained(frame, {"scaling": "robust"}, search={"alphas": 5})
    ranks = np.sqrt(np.log(200) / (2 * size)) * np.array([-1, 1])
    age = frame["age"]
    low, high = (np.quantile(age, [0.25, 0.75] + sign * ranks) for sign in (1, -1))
    (note,) = [n for n in model.diagnostics.notes if "robust" in n]
    assert f"sample of {size} rows" in note
    assert f"less than {ranks[1]:.1%} (with probability 99%)" in note
    found = model.scales[model.labels.index("age")]
    assert found != np.subtract(*np.quantile(age, [0.75, 0.25]))
    assert np.diff(high) < found < np.diff(low)


def test_robust_scaling_is_refused_with_weights(trained: Train, frame: pd.DataFrame) -> None:
    with pytest.raises(JobError, match=r"preprocess\.scaling: is robust, with the weight 'w'"):
        trained(frame, {"scaling": "robust"}, weight="w")


# Dates

PARTS = ["month", "weekday", "hour"]


def with_times(frame: pd.DataFrame) -> pd.DataFrame:
    rng = np.random.default_rng(31)
    when = pd.Series(pd.Timestamp("2022-03-01") + pd.to_timedelta(rng.integers(0, 12_000, N), "h"))
    effect = 9 * (when.dt.month == 5) - 6 * (when.dt.day_of_week == 6) + when.dt.hour
    when = when.mask(rng.random(N) < 0.05)
    return frame.assign(when=when.dt.tz_localize("UTC"), y=frame["y"] + effect)


def with_parts(frame: pd.DataFrame) -> pd.DataFrame:
    when = frame["when"].dt
    parts = {"month": when.month, "weekday": when.day_of_week, "hour": when.hour}
    texts = {part: parts[part].map("{:.0f}".format) for part in ("month", "weekday")}
    return frame.assign(hour=parts["hour"], **texts)


def of_dates(alpha: float) -> Pipeline:
    one_hot = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    steps = [
        ("numbers", SimpleImputer(), ["hour", "size"]),
        ("levels", one_hot, ["month", "weekday"]),
    ]
    lasso = Lasso(alpha, tol=1e-13, max_iter=1_000_000)
    return make_pipeline(ColumnTransformer(steps), StandardScaler(), lasso)


DATED = {"include": ["size"], "dates": {"when": PARTS}}


@pytest.mark.parametrize("missing", ["mean", "drop"])
def test_parts_of_dates_are_features_like_others(
    trained: Train, frame: pd.DataFrame, missing: str
) -> None:
    frame = with_times(frame)
    found, model = trained(frame, {"missing": missing}, features=DATED)
    assert model.columns.features == ("when.hour", "size", "when.month", "when.weekday")
    used = with_parts(frame.dropna(subset=["size", "when"]) if missing == "drop" else frame)
    assert found["rows_with_nulls"] == N - len(used)
    expected = fold_errors(of_dates, used, found["cv"]["alphas"])
    assert_allclose(found["cv"]["fold_mse"], expected, rtol=EXACT)
    refit = of_dates(found["alpha"]).fit(used, used["y"])
    assert_allclose(model.predict(used[["size", "when"]]), refit.predict(used), rtol=EXACT)
    assert model.coef["when.month=5"] != 0
    with pytest.raises(ModelError, match=r"has the feature 'when\.month', a part of a date"):
        model.to_sklearn()


def test_parts_of_dates_are_measured_and_scored_from_the_stored_dates(
    trained: Train, frame: pd.DataFrame, tmp_path: Path
) -> None:
    frame = with_times(frame)
    options: Values = {
        "features": DATED,
        "holdout": {"where": "fold == 0"},
        "search": {"alphas": [0.05]},
    }
    trained(frame, {"missing": "drop"}, **options)
    # The champion needs the parts too, to be compared.
    found, model = trained(frame, {"missing": "drop"}, seed=1, **options)
    assert "hold-out MSE" in found["promotion"]["reason"]
    complete = with_parts(frame.dropna(subset=["size", "when"]))
    fit, held = complete.query("fold != 0"), complete.query("fold == 0")
    mse = np.mean((held["y"] - of_dates(0.05).fit(fit, fit["y"]).predict(held)) ** 2)
    assert_allclose(found["holdout"]["mse"], mse, rtol=EXACT)
    assert found["holdout"]["n_rows"] == len(held)

    values = {
        "model": "homes",
        "data": {"path": str(tmp_path / "rows.parquet")},
        "keys": ["fold"],
        "output": {"path": str(tmp_path / "scores")},
        "drift": {"features": "all", "path": str(tmp_path / "drift")},
        "registry": str(tmp_path / "models"),
    }
    result = score(ScoreJob.from_values(values), workers=1)
    scored = DeltaTable(tmp_path / "scores").to_pandas()
    assert_allclose(np.sort(scored["prediction"]), np.sort(model.predict(complete)), rtol=1e-12)
    assert result.rows_quarantined == N - len(complete)
    bad = DeltaTable(f"{tmp_path}/scores-quarantine").to_pandas()
    assert set(zip(bad["reason"], bad["column"], strict=True)) == {
        ("null", "when.hour"),
        ("null", "size"),
    }
    assert {row.drift.feature for row in result.drift} >= set(model.columns.features)


# Types


def retyped(frame: pd.DataFrame, number: pa.DataType, text: pa.DataType) -> pa.Table:
    """Whole numbers, so that each type has the same values."""
    table = pa.Table.from_pandas(frame, preserve_index=False)
    sizes = pa.array(np.round(frame["size"]), from_pandas=True)
    whole = pa.types.is_integer(number) or pa.types.is_decimal(number)
    sizes = (sizes.cast(pa.int64()) if whole else sizes).cast(number)
    table = table.set_column(table.column_names.index("size"), "size", sizes)
    city = table["city"].combine_chunks()
    city = city.dictionary_encode() if pa.types.is_dictionary(text) else city.cast(text)
    return table.set_column(table.column_names.index("city"), "city", city)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (pa.decimal128(25, 2), pa.large_string()),
        (pa.uint64(), pa.dictionary(pa.int32(), pa.string())),
        (pa.uint16(), pa.string_view()),
        (pa.float16(), pa.string()),
        (pa.float32(), pa.string()),
    ],
    ids=str,
)
@pytest.mark.parametrize("missing", ["indicator", "drop"])
def test_every_type_of_the_same_values_gives_the_same_model(
    trained: Train, frame: pd.DataFrame, number: pa.DataType, text: pa.DataType, missing: str
) -> None:
    options: Values = {"search": {"alphas": [0.5]}}
    plain, table = retyped(frame, pa.float64(), pa.string()), retyped(frame, number, text)
    expected, _ = trained(plain, {"missing": missing}, **options)
    found, model = trained(table, {"missing": missing}, promote="always", **options)
    assert found["coef"] == expected["coef"]
    assert found["cv"] == expected["cv"]
    assert found["rows_with_nulls"] == expected["rows_with_nulls"]
    assert_array_equal(model.predict(table), model.predict(plain))


def test_booleans_are_the_same_as_text_of_two_levels(trained: Train, frame: pd.DataFrame) -> None:
    flag = frame["size"] > 20
    features = {"include": ["age", "flag"]}
    found, _ = trained(frame.assign(flag=flag), {}, features=features)
    texts = flag.map({True: "true", False: "false"})
    expected, _ = trained(frame.assign(flag=texts), {}, features=features)
    assert found["coef"] == expected["coef"]
    assert "flag=true" in found["coef"]
