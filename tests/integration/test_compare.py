"""A comparison has the training's own errors of the LASSO, and scikit-learn's of the others."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import loguniform
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, PredefinedSplit, RandomizedSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from threadpoolctl import threadpool_limits

from lasso_jobs import TrainJob, train
from lasso_jobs.cli.main import main
from lasso_jobs.comparison.result import Comparison, FamilyResult
from lasso_jobs.comparison.run import compare
from lasso_jobs.comparison.sample import draw
from lasso_jobs.core.rows.buckets import remix
from lasso_jobs.demo.flights import write_flights
from lasso_jobs.engine.cluster import connect
from lasso_jobs.errors import JobError, LassoJobsError
from lasso_jobs.training.gather import gather
from lasso_jobs.training.plan import plan
from lasso_jobs.training.read.rows import read_training_rows

from ..deletion_vectors import delete

pytestmark = pytest.mark.integration

Values = dict[str, Any]
N = 400
SK_LASSO = {
    "estimator": "sklearn.linear_model.Lasso",
    "params": {"tol": 1e-12, "max_iter": 1_000_000},
}


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    """A curve that no line follows, nulls, levels, weights, groups, times and folds."""
    rng = np.random.default_rng(8)
    x, z = rng.normal(size=N), rng.normal(5, 2, N)
    store = rng.choice(["north", "south", "east", "far"], N, p=[0.5, 0.3, 0.15, 0.05])
    frame = pd.DataFrame({"x": x, "z": z, "flat": 1.0, "store": store})
    frame["y"] = 2 * np.sin(2 * x) + 0.5 * z + (store == "north") + rng.normal(0, 0.3, N)
    frame.loc[rng.random(N) < 0.1, "z"] = None
    return frame.assign(
        seats=rng.integers(0, 4, N).astype(float),
        shop=rng.integers(0, 40, N),
        hour=rng.permutation(N),
        fold=rng.integers(0, 4, N),
    )


@pytest.fixture(scope="module")
def folder(frame: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("curve")
    frame[:250].to_parquet(folder / "a.parquet", row_group_size=60)
    frame[250:].to_parquet(folder / "b.parquet", row_group_size=60)
    return folder


def values_of(folder: Path, options: Values) -> Values:
    return {
        "name": "curve",
        "data": {"path": str(folder)},
        "target": "y",
        "features": {"include": ["x", "z", "flat", "store"]},
        "search": {"folds": 4, "alphas": 20},
        "stability": None,
        "registry": str(folder.parent / "models"),
        "cache": False,
        "compare": {"families": [], **options},
    }


def job(folder: Path, options: Values, **more: Any) -> TrainJob:
    return TrainJob.from_values(values_of(folder, options) | more)


def row(found: Comparison, family: str) -> FamilyResult:
    return next(row for row in found.families if row.family == family)


SPLITS: dict[str, Values] = {
    "random": {"search": {"folds": 4, "alphas": 20}},
    "repeats": {"search": {"folds": 3, "alphas": 20, "repeats": 2, "fold_means": "equal"}},
    "group": {
        "search": {"folds": 4, "alphas": 20, "split": {"group": "shop"}, "l1_ratio": [0.5, 1]},
        "preprocess": {"missing": "indicator", "scaling": "minmax", "max_levels": 2},
    },
    "fold": {
        "search": {"alphas": 20, "split": {"fold": "fold"}, "rule": "1se"},
        "preprocess": {"scaling": "robust", "min_count": 40, "drop_first": True},
        "holdout": None,
    },
    "time": {
        "search": {"folds": 3, "alphas": 20, "split": {"time": "hour", "gap": 20}},
        "preprocess": {"missing": "drop", "scaling": "none"},
        "holdout": {"last": 0.2},
    },
}


WEIGHTED = ["group", "time"]  # Both ways for the others take longer than they tell.
OTHERS = [("random", None), ("random", "seats"), ("repeats", None), ("repeats", "seats")]
OTHERS += [(split, None) for split in WEIGHTED]


@pytest.mark.parametrize(
    ("split", "weight"),
    [("fold", None)]  # Its robust scaling is refused with weights.
    + [(split, "seats") for split in WEIGHTED]
    + [pytest.param(*case, marks=pytest.mark.slow) for case in OTHERS],
)
def test_the_lasso_on_all_rows_has_the_errors_of_the_training(
    folder: Path, split: str, weight: str | None
) -> None:
    """And scikit-learn's LASSO, behind the preprocessing of `compare`, has them too."""
    how = {**SPLITS[split], "weight": weight}
    curve = train(job(folder, {"families": ["ridge"]}, **how), workers=1).model.curve
    chosen = {"min": curve.alpha_min, "1se": curve.alpha_1se}[how["search"].get("rule", "min")]
    sk = {**SK_LASSO, "search": {"alpha": [chosen]}}
    found = compare(job(folder, {"estimators": {"sk": sk}}, **how), workers=1)
    lasso, all_rows = found.families[0], found.all_rows
    assert found.sample_rows == found.n_rows
    assert lasso.params["alpha"] == pytest.approx(chosen, rel=1e-9)
    j = all_rows.index
    assert_allclose(all_rows.fold_mse, curve.fold_mse, rtol=1e-12)
    assert_allclose(lasso.fold_mse, curve.fold_mse[:, j], rtol=1e-9)
    assert_allclose([lasso.mse, lasso.mse_se], [curve.mse[j], curve.mse_se[j]], rtol=1e-9)
    _check_the_fits_that_are_shuffled(found)
    if lasso.params["l1_ratio"] == 1.0:
        assert_allclose(row(found, "sk").fold_mse, lasso.fold_mse, rtol=1e-6)
        assert_allclose(row(found, "sk").mse_se, lasso.mse_se, rtol=1e-6)


def _check_the_fits_that_are_shuffled(found: Comparison) -> None:
    """A column that is constant is worth nothing, and the others something."""
    shares = found.reference.shares()
    assert set(shares) >= {"z", "flat", "store"}
    assert shares["flat"] == 0
    assert shares["z"] > 0.1


BOOSTING = "sklearn.ensemble.HistGradientBoostingRegressor"


@pytest.fixture(scope="module")
def searched(folder: Path) -> Comparison:
    options = {
        "families": ["ridge"],
        "estimators": {
            "boosting": {
                "estimator": BOOSTING,
                "params": {"max_iter": 20},
                "search": {"learning_rate": {"loguniform": [0.05, 0.5]}, "max_leaf_nodes": [4, 8]},
                "iterations": 3,
            },
        },
    }
    return compare(
        job(folder, options, search={"split": {"fold": "fold"}}, holdout=None, seed=3), workers=2
    )


@pytest.mark.parametrize("how", ["types", "deleted"])
def test_a_comparison_is_of_the_values_of_the_rows_that_are_left(
    frame: pd.DataFrame, tmp_path: Path, how: str
) -> None:
    """Whatever types the files have, and whatever rows a table had before."""
    frame = frame.drop(columns="hour")
    columns: Values = {"features": {"include": ["x", "z", "store", "seats"]}, "holdout": None}
    options = columns | {"search": {"alphas": 8, "split": {"fold": "fold"}}, "weight": "shop"}
    frame["shop"] += 1
    pq.write_table(pa.Table.from_pandas(frame), tmp_path / "plain.parquet")
    if how == "types":
        (tmp_path / "other").mkdir()
        types = {"seats": "int8", "shop": "float32", "store": "category", "fold": "float64"}
        frame[:150].astype(types).to_parquet(tmp_path / "other" / "a.parquet")
        frame[150:].to_parquet(tmp_path / "other" / "b.parquet")
    else:
        noise = frame.sample(60, random_state=1).assign(y=1e6, z=-50.0)
        write_deltalake(str(tmp_path / "other"), pd.concat([frame, noise], ignore_index=True))
        (path,) = tmp_path.glob("other/*.parquet")
        # Two batches of rows: deltalake writes either first.
        noisy = np.flatnonzero(pq.read_table(path)["y"].to_numpy() == 1e6)
        delete(tmp_path / "other", {path.name: noisy.tolist()})
    found, expected = (
        compare(job(tmp_path / name, {"families": ["ridge"]}, **options), workers=1)
        for name in ("other", "plain.parquet")
    )
    assert (found.sample_rows, found.n_rows) == (N, N)
    for one, other in zip(found.families, expected.families, strict=True):
        assert_allclose(one.fold_mse, other.fold_mse, rtol=1e-9)
        assert one.params == pytest.approx(other.params, rel=1e-9)


def preprocessed(estimator: Any) -> Pipeline:
    columns = ColumnTransformer(
        [
            ("numbers", SimpleImputer(), ["x", "z", "flat"]),
            ("levels", OneHotEncoder(sparse_output=False), ["store"]),
        ]
    )
    return make_pipeline(columns, StandardScaler(), estimator)


@pytest.mark.parametrize("family", ["ridge", "boosting"])
def test_another_family_has_the_errors_of_scikit_learns_own_search(
    searched: Comparison, frame: pd.DataFrame, family: str
) -> None:
    common = {"cv": PredefinedSplit(frame["fold"]), "scoring": "neg_mean_squared_error"}
    if family == "ridge":
        grid = {"ridge__alpha": N * np.geomspace(1e-6, 1, 10)}
        search: Any = GridSearchCV(preprocessed(Ridge()), grid, **common)
    else:
        model = HistGradientBoostingRegressor(max_iter=20, random_state=3)
        name = "histgradientboostingregressor__"
        grid = {name + "learning_rate": loguniform(0.05, 0.5), name + "max_leaf_nodes": [4, 8]}
        search = RandomizedSearchCV(preprocessed(model), grid, n_iter=3, random_state=3, **common)
    with threadpool_limits(1, user_api="openmp"):
        search.fit(frame, frame["y"])
    scores = np.array([search.cv_results_[f"split{k}_test_score"] for k in range(4)])
    sizes = frame["fold"].value_counts().sort_index()
    means = np.average(-scores, axis=0, weights=sizes)
    best, found = int(np.argmin(means)), row(searched, family)
    assert found.settings == scores.shape[1]
    assert_allclose(found.fold_mse, -scores[:, best], rtol=1e-6)
    assert found.mse == pytest.approx(means[best], rel=1e-6)
    expected = search.cv_results_["params"][best]
    assert found.params == pytest.approx({k.split("__")[1]: v for k, v in expected.items()})
    reference = searched.reference.fold_mse
    paired = found.fold_mse - reference
    mean = np.average(paired, weights=sizes)
    variance = np.average((paired - mean) ** 2, weights=sizes) * 4 / 3
    ratio = np.mean(sizes / (N - sizes))
    assert searched.test_to_train == pytest.approx(ratio, rel=1e-12)
    error = np.sqrt(variance * (1 / 4 + ratio))
    assert_allclose([found.paired.mean, found.paired.standard_error], [mean, error], rtol=1e-9)


def test_a_curve_is_found_by_boosting_and_by_no_linear_family(searched: Comparison) -> None:
    values = searched.as_values()
    assert {r["family"] for r in values["families"] if r["linear"]} >= {"lasso", "ridge"}
    assert values["earns_its_keep"]
    assert values["best_nonlinear"] == "boosting"
    assert values["conclusion"].startswith(
        "A non-linear model earns its keep: boosting has an RMSE"
    )
    # The curve is in x, and only boosting sees it.
    of_lasso, of_boosting = (f.shares() for f in (searched.reference, row(searched, "boosting")))
    assert of_boosting["x"] > 10 * of_lasso["x"]
    assert searched.importances()[0]["feature"] == "x"
    assert row(searched, "boosting").refit.size_bytes > 5 * row(searched, "ridge").refit.size_bytes
    assert row(searched, "ridge").refit.seconds > 0


def test_a_weighted_ridge_has_the_errors_of_refits_by_hand(
    folder: Path, frame: pd.DataFrame
) -> None:
    how = {"search": {"split": {"fold": "fold"}}, "holdout": None, "weight": "seats"}
    ridge = {"estimator": "sklearn.linear_model.Ridge", "search": {"alpha": [3.0]}}
    features = {"include": ["x", "store"]}
    found = compare(job(folder, {"estimators": {"r": ridge}}, features=features, **how), workers=1)
    X = pd.get_dummies(frame[["x", "store"]], dtype=float).to_numpy()
    y, w, errors = frame["y"].to_numpy(), frame["seats"].to_numpy(), []
    for k in range(4):
        own = (frame["fold"] == k).to_numpy()
        fitted = make_pipeline(StandardScaler(), Ridge(3.0)).fit(
            X[~own],
            y[~own],
            standardscaler__sample_weight=w[~own],
            ridge__sample_weight=w[~own] / w[~own].mean(),
        )
        errors.append(np.average((y[own] - fitted.predict(X[own])) ** 2, weights=w[own]))
    assert_allclose(row(found, "r").fold_mse, errors, rtol=1e-9)


def test_the_sample_is_the_rows_of_the_smallest_hashes_that_are_in_folds(folder: Path) -> None:
    planned = plan(job(folder, {"families": ["ridge"]}))
    with connect("local", 2) as workers:
        gathered = gather(lambda: workers, planned)
        found = draw(workers, planned, gathered, most=50)
    parts = [
        (remix(rows.hashes), rows.buckets, rows.target)
        for unit in planned.work_units
        for rows in read_training_rows(unit, gathered.reading)
    ]
    draws, buckets, target = map(np.concatenate, zip(*parts, strict=True))
    kept = np.flatnonzero(buckets < gathered.reading.n_buckets)
    first = kept[np.argsort(draws[kept])][:50]
    assert found.n_rows == len(kept) < N
    assert_array_equal(found.rows.hashes, draws[first])
    assert_array_equal(found.y, target[first])
    tested = np.concatenate([test for _, test in found.splits()])
    assert_array_equal(np.sort(tested), np.arange(50))
    for training, test in found.splits():
        assert not set(training) & set(test)


def test_errors_are_the_same_for_one_worker_and_for_four(folder: Path) -> None:
    forest = "sklearn.ensemble.RandomForestRegressor"
    options = {
        "rows": 150,
        "families": ["ridge"],
        "estimators": {
            "forest": {"estimator": forest, "params": {"n_estimators": 5}},
            "boosting": {"estimator": BOOSTING, "params": {"max_iter": 5}},
        },
    }
    one, four = (compare(job(folder, options), "local", n) for n in (1, 4))
    assert one.sample_rows == 150
    for left, right in zip(one.families, four.families, strict=True):
        assert left.params == right.params
        assert_array_equal(left.fold_mse, right.fold_mse)


def test_the_section_is_no_part_of_what_a_training_is(folder: Path) -> None:
    plain, other = job(folder, {"families": ["ridge"]}), job(folder, named(BOOSTING))
    assert plain.compare != other.compare
    assert plain.digest() == other.digest()
    assert plan(plain).run_id == plan(other).run_id
    assert "compare" not in other.model_dump(mode="json")


KNN = "sklearn.neighbors.KNeighborsRegressor"


def named(path: str, **more: Any) -> Values:
    return {"estimators": {"it": {"estimator": path, **more}}}


REFUSED: dict[str, tuple[Values, str]] = {
    "nothing": ({"families": []}, "some families or estimators"),
    "twice": ({"families": ["ridge", "ridge"]}, "families that differ"),
    "no path": (named("Ridge"), "String should match pattern|text that matches"),
    "no module": (named("no.such.Thing"), "cannot be imported"),
    "no name": (named("sklearn.linear_model.Ridges"), "cannot be imported"),
    "a function": (named("sklearn.metrics.r2_score"), "is no estimator"),
    "a classifier": (named("sklearn.linear_model.LogisticRegression"), "is no regressor"),
    "needs one": (named("sklearn.multioutput.MultiOutputRegressor"), "without arguments"),
    "params": (named(KNN, params={"k": 3}), "has no parameter 'k'; expected one of algorithm"),
    "search": (named(KNN, search={"k": [3]}), r"it\.search: .* no parameter 'k'"),
    "equal": (named(KNN, search={"n_neighbors": [1, 1.0]}), "has equal values"),
    "no iterations": (named(KNN, search={"p": {"uniform": [1, 2]}}), "iterations, as search.p"),
    "range": (
        named(KNN, search={"p": {"uniform": [2, 1]}}, iterations=2),
        "list of values or {uniform",
    ),
    "log of 0": (named(KNN, search={"p": {"loguniform": [0, 1]}}, iterations=2), "LOW above 0"),
    "a taken name": ({"estimators": {"ridge": {"estimator": KNN}}}, "another name than 'ridge'"),
    "no range": (named(KNN, search={"p": {"unifrm": [1, 2]}}, iterations=2), "list of values or"),
    "no values": (named(KNN, search={"p": []}), "list of values or"),
    "unknown key": ({"row": 3, "families": ["ridge"]}, "unknown key 'compare.row'"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_searched_is_refused_before_anything_is_read(
    tmp_path: Path, case: str
) -> None:
    options, message = REFUSED[case]
    with pytest.raises(JobError, match=message):
        compare(job(tmp_path / "nothing is here", options))


def test_columns_that_would_be_screened_are_refused(folder: Path) -> None:
    screened = {"search": {"engine": "screened", "alphas": 20}}
    with pytest.raises(JobError, match=r"search\.engine: the 3 numeric columns would be screened"):
        compare(job(folder, {"families": ["ridge"]}, **screened))


ODD_ESTIMATORS = """
from threading import Lock
from sklearn.base import BaseEstimator
from sklearn.dummy import DummyRegressor

class Bare:
    fit = predict = get_params = set_params = None

class NeedsLicence(DummyRegressor):
    def __init__(self): raise RuntimeError("no licence")

class Locked(DummyRegressor):
    def fit(self, X, y): self.lock_ = Lock(); return super().fit(X, y)

class Small(DummyRegressor):
    def fit(self, X, y):
        if len(X) > 300: raise MemoryError("too many rows")
        return super().fit(X, y)
"""


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("broken_module.Thing", r"cannot be imported \(ZeroDivisionError: "),
        ("odd_estimators.Bare", "is no estimator; expected a class with .*__sklearn_tags__"),
        ("odd_estimators.NeedsLicence", r"without arguments \(RuntimeError: no licence\)"),
        ("odd_estimators.Locked", r"compare, it: the fit to all sampled rows failed \(TypeError"),
        ("odd_estimators.Small", r"compare, it: the fit to all sampled rows failed \(MemoryError"),
    ],
)
def test_whatever_an_estimator_raises_is_told_in_one_line(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, message: str
) -> None:
    (tmp_path / "broken_module.py").write_text("1 / 0")
    (tmp_path / "odd_estimators.py").write_text(ODD_ESTIMATORS)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(JobError, match=message):
        compare(job(folder, named(path)), workers=1)


def test_an_estimator_without_weights_is_refused_where_rows_have_them(tmp_path: Path) -> None:
    with pytest.raises(JobError, match="KNeighborsRegressor takes no weights"):
        compare(job(tmp_path, named(KNN), weight="seats"))


def test_a_missing_package_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dask_ml.model_selection", None)
    with pytest.raises(JobError, match=r"dask-ml.*pip install 'lasso_jobs\[compare\]'"):
        compare(job(folder, {"families": ["ridge"]}))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (named(KNN, search={"n_neighbors": [-1]}), "compare, it: a fit failed .*n_neighbors"),
        (named(KNN, params={"n_neighbors": 5_000}), "compare, it: a fit failed"),
        ({"families": ["ridge"], "rows": 10}, "of the 10 sampled rows, fold"),
    ],
)
def test_a_search_that_fails_says_so_in_one_line(
    folder: Path, options: Values, message: str
) -> None:
    search = {"search": {"folds": 20, "alphas": 3}} if "rows" in options else {}
    with pytest.raises(LassoJobsError, match=message):
        compare(job(folder, options, **search), workers=1)


def test_the_command_prints_a_table_and_a_conclusion(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "job.yaml"
    path.write_text(json.dumps(values_of(folder, {"families": ["ridge"]})))
    options = ["compare", str(path), "--set", "compare.rows=100", "--workers", "1"]
    assert main(options) == 0
    shown = capsys.readouterr()
    assert "100 of" in shown.out
    assert shown.out.endswith("\nNo non-linear model was searched.\n")
    assert "ridge (1 of 1): 40 of 40\n" in shown.err
    assert main([*options, "--json"]) == 0
    shown = capsys.readouterr()
    values = json.loads(shown.out)
    assert shown.err == ""
    assert [r["family"] for r in values["families"]] == ["lasso", "ridge"]
    assert main(["compare", str(path), "--set", "compare.families=[lasso]"]) == 2
    assert "compare.families" in capsys.readouterr().err


@pytest.mark.slow
def test_a_remote_cluster_finds_what_threads_find(
    folder: Path, tmp_path: Path, scheduler: str, cli: Callable[..., Any]
) -> None:
    path = tmp_path / "job.yaml"
    path.write_text(json.dumps(values_of(folder, {"families": ["ridge"]})))
    families = "compare.families=[ridge, random_forest]"
    common = ("compare", path, "--json", "--set", families, "--set", "compare.iterations=2")
    there = cli(*common, "--cluster", scheduler, folder=tmp_path)
    assert there.returncode == 0, there.stderr
    quiet = cli("compare", path, "--quiet", "--cluster", scheduler, folder=tmp_path)
    assert (quiet.returncode, quiet.stdout, quiet.stderr) == (0, "", "")
    here = compare(TrainJob.from_yaml(path, [families, "compare.iterations=2"]), "local")
    values = json.loads(there.stdout)
    assert values["conclusion"]
    for theirs, ours in zip(values["families"], here.families, strict=True):
        assert theirs["fold_mse"] == ours.fold_mse.tolist()
        assert theirs["params"] == dict(ours.params)


@pytest.mark.slow
def test_four_families_on_the_flights(tmp_path: Path) -> None:
    write_flights(tmp_path / "flights")
    values = {
        "name": "flights",
        "data": {"path": str(tmp_path / "flights"), "where": "date < '2013-04-01'"},
        "target": "arr_delay",
        "features": {"include": ["dep_delay", "distance", "sched_block_minutes", "carrier", "w*"]},
        "search": {"split": {"group": "date"}},
        "registry": str(tmp_path / "models"),
        "compare": {"rows": 4_000, "iterations": 2},
    }
    training = TrainJob.from_values(values)
    curve = train(training).model.curve
    found = compare(training)
    assert found.sample_rows == 4_000
    families = [row.family for row in found.families]
    assert families == ["lasso", "elastic_net", "ridge", "random_forest", "gradient_boosting"]
    assert_array_equal(found.all_rows.mse, curve.mse)
    best = int(np.argmin(curve.mse))
    lasso = found.families[0]
    # Errors of 4,000 rows in 5 folds are those of all rows but for their own standard error.
    assert lasso.mse == pytest.approx(curve.mse[best], abs=2 * lasso.mse_se)
    assert all(np.isfinite(row.fold_mse).all() and row.refit.seconds > 0 for row in found.families)
