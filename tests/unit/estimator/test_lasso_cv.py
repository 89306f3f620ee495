"""The estimator keeps scikit-learn's conventions, and finds what its LassoCV finds."""

import pickle
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse as sp
import sklearn
from numpy.typing import NDArray
from sklearn import linear_model
from sklearn.base import clone
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    LeaveOneOut,
    RepeatedKFold,
    ShuffleSplit,
    TimeSeriesSplit,
    cross_val_score,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

from lasso_jobs import LassoCV, LassoJobsError
from lasso_jobs.errors import DataError, JobError

Floats = NDArray[np.float64]
NAMES = ["a", "b", "c", "d", "e"]
TIGHT = {"tol": 1e-14, "max_iter": 1_000_000}
N = 400
rng = np.random.default_rng(1)
X = rng.normal(size=(N, 5)) * [1, 10, 0.1, 3, 1] + [0, 50, -2, 1, 7]
Y = X @ [2.0, -0.5, 10.0, 0.0, 0.0] + rng.normal(size=N) * 3
WEIGHTS = rng.uniform(0, 2, N) * (rng.random(N) > 0.1)
GROUPS = rng.integers(0, 12, N)


def assert_same(ours: Any, theirs: Any) -> None:
    for name in ("mse_path_", "alphas_", "alpha_", "coef_", "intercept_"):
        known = np.asarray(getattr(theirs, name))
        scale = np.abs(known).max()
        found = getattr(ours, name)
        np.testing.assert_allclose(found, known, rtol=1e-8, atol=1e-8 * scale, err_msg=name)


def test_scikit_learn_has_nothing_to_object() -> None:
    results = check_estimator(LassoCV(alphas=3, cv=2), on_skip=None)
    assert {r["check_name"] for r in results if r["status"] != "passed"} <= {
        "check_array_api_input"  # only where SCIPY_ARRAY_API is set
    }
    assert len(results) > 40


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["unweighted", "weighted"])
@pytest.mark.parametrize("positive", [False, True])
@pytest.mark.parametrize(
    "cv",
    [
        None,
        7,
        KFold(4, shuffle=True, random_state=0),
        ShuffleSplit(8, random_state=0),
        RepeatedKFold(n_splits=3, n_repeats=3, random_state=0),
        TimeSeriesSplit(4),
        [(np.arange(100), np.arange(300)), (np.arange(N) % 2 == 0, np.arange(N) % 2 == 1)],
    ],
    ids=["default", "number", "shuffled", "overlapping", "repeated", "time", "of the user"],
)
def test_it_finds_what_scikit_learn_finds(cv: Any, positive: bool, weights: Floats | None) -> None:
    options = {"cv": cv, "positive": positive, "alphas": 30}
    ours = LassoCV(**options).fit(X, Y, weights)
    assert_same(ours, linear_model.LassoCV(**options, **TIGHT).fit(X, Y, weights))
    assert ours.dual_gap_ <= 1e-9 * Y.var()
    assert ours.n_iter_ >= 1


@pytest.mark.parametrize(("positive", "weights"), [(False, None), (True, WEIGHTS)])
def test_without_an_intercept_it_finds_what_scikit_learn_finds(
    positive: bool, weights: Floats | None
) -> None:
    options = {"fit_intercept": False, "positive": positive, "alphas": 10}
    ours = LassoCV(**options).fit(X, Y, weights)
    assert ours.intercept_ == 0
    assert_same(ours, linear_model.LassoCV(**options, **TIGHT).fit(X, Y, weights))


def test_each_row_may_be_a_fold() -> None:
    some = slice(0, 70)
    options = {"cv": LeaveOneOut(), "alphas": 5}
    ours = LassoCV(**options).fit(X[some], Y[some])
    assert ours.mse_path_.shape == (5, 70)
    assert_same(ours, linear_model.LassoCV(**options, **TIGHT).fit(X[some], Y[some]))


def test_alphas_may_be_listed_in_any_order() -> None:
    ours = LassoCV(alphas=[0.01, 1.0, 0.1], eps=0.5).fit(X, Y)
    assert ours.alphas_.tolist() == [1.0, 0.1, 0.01]
    assert_same(ours, linear_model.LassoCV(alphas=[0.01, 1.0, 0.1], **TIGHT).fit(X, Y))


def test_groups_share_a_fold() -> None:
    grouped = LassoCV(cv=4, alphas=10).fit(X, Y, groups=GROUPS)
    folds = list(GroupKFold(4).split(X, Y, GROUPS))
    np.testing.assert_array_equal(
        grouped.mse_path_, LassoCV(cv=folds, alphas=10).fit(X, Y).mse_path_
    )
    same = LassoCV(cv=GroupKFold(4), alphas=10).fit(X, Y, groups=GROUPS)
    np.testing.assert_array_equal(grouped.mse_path_, same.mse_path_)


def test_scaling_is_that_of_a_pipeline_for_each_fold() -> None:
    """GridSearchCV refits scaler and LASSO for each fold, at the alphas that were tried."""
    ours = LassoCV(scaling="standard", alphas=8).fit(X, Y)
    pipeline = make_pipeline(StandardScaler(), linear_model.Lasso(**TIGHT))
    grid = {"lasso__alpha": ours.alphas_}
    theirs = GridSearchCV(pipeline, grid, cv=5, scoring="neg_mean_squared_error").fit(X, Y)
    assert theirs.best_params_["lasso__alpha"] == ours.alpha_
    for k in range(5):
        mse = -theirs.cv_results_[f"split{k}_test_score"]
        np.testing.assert_allclose(ours.mse_path_[:, k], mse, rtol=1e-8)
    np.testing.assert_allclose(ours.predict(X), theirs.predict(X), rtol=1e-8)


def test_missing_values_are_filled_by_fold_if_asked_for() -> None:
    from sklearn.impute import SimpleImputer

    holes = np.where(rng.random(X.shape) < 0.1, np.nan, X)
    with pytest.raises(ValueError, match="Input X contains NaN"):
        LassoCV().fit(holes, Y)
    ours = LassoCV(missing="mean", alphas=8).fit(holes, Y)
    pipeline = make_pipeline(SimpleImputer(), linear_model.Lasso(**TIGHT))
    grid = {"lasso__alpha": ours.alphas_}
    theirs = GridSearchCV(pipeline, grid, cv=5, scoring="neg_mean_squared_error").fit(holes, Y)
    np.testing.assert_allclose(
        ours.mse_path_.mean(axis=1), -theirs.cv_results_["mean_test_score"], rtol=1e-8
    )
    np.testing.assert_allclose(ours.predict(holes), theirs.predict(holes), rtol=1e-8)
    np.testing.assert_allclose(ours.fill_, np.nanmean(holes, axis=0), rtol=1e-12)


TABLE = pa.table({**dict(zip(NAMES, X.T, strict=True)), "y": Y})


def with_arrow_types(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.convert_dtypes(dtype_backend="pyarrow")


def relation(table: pa.Table) -> Any:
    return duckdb.connect().from_arrow(table)


FRAMES: dict[str, tuple[Any, Any]] = {
    "pandas": (pa.Table.to_pandas, pd.Series),
    "pandas of Arrow": (lambda t: with_arrow_types(t.to_pandas()), pd.Series),
    "polars": (pl.from_arrow, pl.Series),
    "polars, lazy": (lambda t: pl.from_arrow(t).lazy(), pl.Series),
    "pyarrow": (lambda t: t, pa.array),
    "duckdb": (relation, lambda y: relation(pa.table({"y": y}))),
}


@pytest.mark.parametrize("kind", FRAMES)
def test_frames_of_any_library_give_the_same_coefficients_bit_for_bit(kind: str) -> None:
    of_matrix = LassoCV(alphas=10).fit(X, Y)
    make, make_y = FRAMES[kind]
    frame, y = make(TABLE.select(NAMES)), make_y(Y)
    found = LassoCV(alphas=10).fit(frame, y)
    np.testing.assert_array_equal(found.coef_, of_matrix.coef_)
    assert found.feature_names_in_.tolist() == NAMES
    assert found.n_features_in_ == 5
    np.testing.assert_allclose(found.predict(frame), of_matrix.predict(X), rtol=1e-13)
    assert found.score(frame, y) == pytest.approx(of_matrix.score(X, Y), rel=1e-13)


@pytest.mark.parametrize("unit", ["datetime64[s]", "timedelta64[s]"])
@pytest.mark.parametrize("kind", [*FRAMES, "numpy"])
def test_times_are_refused(kind: str, unit: str) -> None:
    """By themselves, too, where numpy makes numbers of them without a word."""
    times = np.arange(N).astype(unit)
    for names in (["when"], ["a", "when"]):
        table = TABLE.append_column("when", pa.array(times)).select(names)
        frame = times[:, None] if kind == "numpy" else FRAMES[kind][0](table)
        with pytest.raises(DataError, match="expected numbers or booleans"):
            LassoCV().fit(frame, Y)
    with pytest.raises(DataError, match="expected numbers or booleans"):
        LassoCV().fit(X, times)


def test_weights_of_any_library_weigh_a_score() -> None:
    found = LassoCV(alphas=10).fit(X, Y)
    weights = relation(pa.table({"w": WEIGHTS}))
    assert found.score(X, Y, weights) == found.score(X, Y, WEIGHTS)


def test_sparse_rows_are_laid_out() -> None:
    some = np.where(np.abs(X) < 2, 0.0, X)
    for make in (sp.csr_matrix, sp.csc_array):
        found = LassoCV(alphas=10).fit(make(some), Y)
        np.testing.assert_array_equal(found.coef_, LassoCV(alphas=10).fit(some, Y).coef_)
        np.testing.assert_allclose(found.predict(make(some)), found.predict(some), rtol=1e-12)


@pytest.mark.parametrize(("order", "n_jobs"), [("C", 3), ("F", -1)])
def test_threads_and_the_layout_change_no_bit(order: Any, n_jobs: int) -> None:
    """So many rows that several threads have some."""
    many = np.random.default_rng(0).normal(size=(550_000, 2))
    y = many @ [1.0, -2.0] + 1
    known = LassoCV(alphas=5, cv=3).fit(many, y)
    found = LassoCV(alphas=5, cv=3, n_jobs=n_jobs).fit(np.asarray(many, order=order), y)
    assert found.coef_.tobytes() == known.coef_.tobytes()
    assert found.mse_path_.tobytes() == known.mse_path_.tobytes()


def test_it_is_a_part_of_what_scikit_learn_composes() -> None:
    frame = TABLE.select(NAMES).to_pandas()
    scaler = StandardScaler().set_output(transform="pandas")
    pipeline = make_pipeline(scaler, LassoCV(alphas=10)).fit(frame, Y)
    assert pipeline[-1].feature_names_in_.tolist() == NAMES
    scores = cross_val_score(LassoCV(alphas=10), X, Y, cv=3)
    theirs = cross_val_score(linear_model.LassoCV(alphas=10, **TIGHT), X, Y, cv=3)
    np.testing.assert_allclose(scores, theirs, rtol=1e-8)
    search = GridSearchCV(LassoCV(alphas=10), {"rule": ["min", "1se"]}, cv=3).fit(X, Y)
    assert search.best_estimator_.rule in ("min", "1se")
    fitted = LassoCV(alphas=10, cv=3).fit(X, Y)
    assert clone(fitted).get_params() == fitted.get_params()
    assert not hasattr(clone(fitted), "coef_")
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.predict(X), fitted.predict(X))


def test_metadata_are_routed() -> None:
    from sklearn.model_selection import cross_validate

    with sklearn.config_context(enable_metadata_routing=True):
        estimator = LassoCV(alphas=10).set_fit_request(sample_weight=True, groups=True)
        estimator = estimator.set_score_request(sample_weight=True)
        found = cross_validate(
            estimator,
            X,
            Y,
            cv=GroupKFold(3),
            params={"sample_weight": WEIGHTS, "groups": GROUPS},
            return_estimator=True,
        )
    training, _ = next(GroupKFold(3).split(X, Y, GROUPS))
    first = LassoCV(alphas=10).fit(X[training], Y[training], WEIGHTS[training], GROUPS[training])
    np.testing.assert_array_equal(found["estimator"][0].coef_, first.coef_)


def test_the_1se_rule_is_that_of_jobs() -> None:
    fitted = LassoCV(rule="1se").fit(X, Y)
    mean, folds = fitted.mse_path_.mean(axis=1), fitted.mse_path_.shape[1]
    best = mean.argmin()
    error = fitted.mse_path_[best].std(ddof=1) / np.sqrt(folds)
    assert fitted.alpha_ == fitted.alphas_[mean <= mean[best] + error].max()
    assert fitted.alpha_ > LassoCV().fit(X, Y).alpha_


def test_awkward_rows_have_a_fit() -> None:
    constant = np.column_stack([X, np.full(N, 3.0)])
    found = LassoCV(alphas=10).fit(constant, Y)
    assert found.coef_[-1] == 0
    np.testing.assert_allclose(found.coef_[:-1], LassoCV(alphas=10).fit(X, Y).coef_, rtol=1e-10)
    flat = LassoCV(alphas=10).fit(X, np.full(N, 5.0))
    assert flat.coef_.tolist() == [0.0] * 5
    assert flat.intercept_ == 5
    wide = LassoCV(alphas=10, cv=3, eps=0.1).fit(X[:4], Y[:4])
    assert np.isfinite(wide.coef_).all()


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ({"eps": 0}, r"LassoCV, eps: is 0; expected a number between 0 and 1"),
        ({"eps": "small"}, r"LassoCV, eps: is 'small'"),
        ({"alphas": 0}, r"LassoCV, alphas: is 0; expected a number of alphas"),
        ({"alphas": []}, r"LassoCV, alphas: is \[\]"),
        ({"alphas": [1.0, -1.0]}, r"LassoCV, alphas: is \[1.0, -1.0\]"),
        ({"alphas": "auto"}, r"LassoCV, alphas: is 'auto'"),
        ({"rule": "max"}, r"LassoCV, rule: is 'max'; expected one of min, 1se"),
        ({"scaling": True}, r"LassoCV, scaling: is True; expected one of none"),
        ({"missing": "drop"}, r"LassoCV, missing: is 'drop'; expected one of error, mean"),
        ({"fit_intercept": "no"}, r"LassoCV, fit_intercept: is 'no'; expected one of True, False"),
        ({"positive": None}, r"LassoCV, positive: is None; expected one of True, False"),
    ],
)
def test_wrong_parameters_are_refused_by_name(options: dict[str, Any], found: str) -> None:
    with pytest.raises(JobError, match=f"^{found}"):
        LassoCV(**options).fit(X, Y)


@pytest.mark.parametrize(
    ("cv", "found"),
    [
        ([(np.arange(10), np.arange(10, 20))], "has 1 fold; expected at least two"),
        ([([], [1]), ([1], [2])], "fold 1 fits to no row"),
        ([([1], [2]), ([1], [])], "fold 2 is measured on no row"),
        ([([1, 1], [2]), ([1], [2])], "fold 1 fits to a row twice"),
    ],
)
def test_folds_that_are_none_are_refused(cv: Any, found: str) -> None:
    with pytest.raises(DataError, match=found):
        LassoCV(cv=cv).fit(X, Y)


def test_what_cannot_be_computed_with_is_refused() -> None:
    huge = X.copy()
    huge[3, 2] = 1e300
    with pytest.raises(DataError, match=r"^column 'x2': has the value 1e\+300"):
        LassoCV().fit(huge, Y)
    with pytest.raises(ValueError, match="infinity"):
        LassoCV().fit(np.where(huge == 1e300, np.inf, huge), Y)
    with pytest.raises(ValueError, match="Negative values"):
        LassoCV().fit(X, Y, -WEIGHTS)
    with pytest.raises(LassoJobsError, match="a fold has no row whose weight is above zero"):
        LassoCV().fit(X, Y, np.repeat([0.0, 1.0], N // 2))
    with pytest.raises(ValueError, match="could not convert string to float"):
        LassoCV().fit(pd.DataFrame({"a": ["x"] * N}), Y)


def test_too_many_columns_are_refused_before_they_are_summed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("lasso_jobs.estimator.search.of_this_process", lambda: 2**30)
    wide = np.zeros((20, 3_000))
    with pytest.raises(DataError, match=r"of 3,000 columns and 5 folds: needs 1.\d GiB"):
        LassoCV().fit(wide, np.arange(20.0))
