"""Without an intercept, and with an offset, every number is that of scikit-learn's refits."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.testing import assert_allclose
from numpy.typing import NDArray
from sklearn.linear_model import ElasticNet
from sklearn.preprocessing import RobustScaler, StandardScaler

from lasso_jobs import TrainJob, train
from lasso_jobs.comparison.run import compare
from lasso_jobs.errors import DataError
from lasso_jobs.training.result import TrainResult

pytestmark = pytest.mark.integration

Values = dict[str, Any]
Floats = NDArray[np.float64]
N, FOLDS = 400, 4
EXACT = 1e-8
NAMES = ["x0", "x1", "x2", "x3", "x4"]


def table(seed: int = 0) -> pa.Table:
    """Columns far from zero, one with nulls, levels, an offset of the target's size."""
    rng = np.random.default_rng(seed)
    X = rng.normal([3.0, -2.0, 0.5, 40.0, 0.0], [1.0, 2.0, 0.1, 3.0, 1.0], (N, 5))
    exposure = rng.gamma(4.0, 5.0, N)
    store = rng.choice(["a", "b", "c"], N)
    y = exposure + X @ [1.5, -1.0, 0.0, 0.3, 0.0] + 2.0 * (store == "b") + rng.normal(size=N)
    columns: Values = {name: X[:, j] for j, name in enumerate(NAMES)}
    columns["x1"] = pa.array(columns["x1"], mask=rng.random(N) < 0.2)
    return pa.table(
        {
            **columns,
            "store": store,
            "exposure": exposure,
            "w": rng.uniform(0.2, 2, N),
            "fold": rng.integers(0, FOLDS, N),
            "y": y,
        }
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("offset")
    pq.write_table(table(), folder / "rows.parquet")
    return folder


def trained(folder: Path, **keys: Any) -> TrainResult:
    job: Values = {
        "name": "m",
        "data": {"path": str(folder / "rows.parquet")},
        "target": "y",
        "features": {"exclude": [name for name in ("w", "exposure") if name not in keys.values()]},
        "holdout": None,
        "stability": None,
        "registry": str(folder / "registry"),
        **keys,
    }
    job["search"] = {"split": {"fold": "fold"}, "alphas": 30, **keys.get("search", {})}
    return train(TrainJob.from_values(job), workers=1)


class Oracle:
    """scikit-learn's own imputation, scaling and fit, with the penalty by hand."""

    def __init__(
        self,
        *,
        intercept: bool = False,
        offset: bool = False,
        weighted: bool = False,
        scaling: str = "standard",
        indicator: bool = False,
        factors: dict[str, float] | None = None,
    ) -> None:
        rows = table().to_pandas()
        levels = np.stack([rows["store"] == level for level in "abc"], axis=1).astype(float)
        self.X = np.hstack([rows[NAMES].to_numpy(), levels])
        self.nulls = np.isnan(self.X[:, [1]]).astype(float)
        self.y, self.fold = rows["y"].to_numpy(), rows["fold"].to_numpy()
        self.offset = rows["exposure"].to_numpy() if offset else np.zeros(N)
        self.w = rows["w"].to_numpy() if weighted else np.ones(N)
        self.intercept, self.scaling, self.indicator = intercept, scaling, indicator
        named = [*NAMES, *["store"] * 3]
        self.factors = np.array([(factors or {}).get(name, 1.0) for name in named])

    def design(self, rows: Any) -> tuple[Floats, Floats]:
        """All rows as a fit to some has them, and the scales."""
        w, X = self.w[rows], self.X.copy()
        seen = ~np.isnan(X[rows, 1])
        X[np.isnan(X[:, 1]), 1] = np.average(X[rows, 1][seen], weights=w[seen])
        X = np.hstack([X, self.nulls]) if self.indicator else X
        if self.scaling == "standard":
            return X, StandardScaler(with_mean=False).fit(X[rows], sample_weight=w).scale_
        if self.scaling == "robust":
            return X, RobustScaler(with_centering=False).fit(X[rows]).scale_
        return X, np.ptp(X[rows], axis=0) if self.scaling == "minmax" else np.ones(X.shape[1])

    def fit(self, rows: Any, alpha: float, ratio: float = 1.0) -> tuple[Floats, float, Floats]:
        """Coefficients in original units, the intercept, and predictions of all rows."""
        X, scale = self.design(rows)
        assert ratio == 1 or (self.factors == 1).all()
        scale = scale * np.append(self.factors, np.ones(X.shape[1] - len(self.factors)))
        lasso = ElasticNet(
            alpha, l1_ratio=ratio, fit_intercept=self.intercept, tol=1e-14, max_iter=10**6
        )
        weights = self.w[rows] / self.w[rows].mean()
        lasso.fit(X[rows] / scale, (self.y - self.offset)[rows], sample_weight=weights)
        predicted = lasso.predict(X / scale) + self.offset
        return lasso.coef_ / scale, float(lasso.intercept_), predicted

    def fold_mse(self, alphas: Any, ratio: float = 1.0) -> Floats:
        errors = []
        for k in range(FOLDS):
            own = self.fold == k
            fits = [self.fit(~own, alpha, ratio)[2] for alpha in alphas]
            errors.append([np.average((self.y - p)[own] ** 2, weights=self.w[own]) for p in fits])
        return np.array(errors)


CASES: dict[str, tuple[Values, Values]] = {
    "no intercept": ({"intercept": False}, {}),
    "offset": ({"offset": "exposure"}, {"intercept": True, "offset": True}),
    "both": ({"intercept": False, "offset": "exposure"}, {"offset": True}),
    "weights": (
        {"intercept": False, "offset": "exposure", "weight": "w"},
        {"offset": True, "weighted": True},
    ),
    "penalty factors": (
        {"intercept": False, "penalty_factors": {"x3": 0.3, "store": 2.0}},
        {"factors": {"x3": 0.3, "store": 2.0}},
    ),
    "no scaling": (
        {"intercept": False, "preprocess": {"scaling": "none"}},
        {"scaling": "none"},
    ),
    "robust": (
        {"intercept": False, "offset": "exposure", "preprocess": {"scaling": "robust"}},
        {"offset": True, "scaling": "robust"},
    ),
    "minmax": (
        {"intercept": False, "preprocess": {"scaling": "minmax"}},
        {"scaling": "minmax"},
    ),
    "indicator": (
        {"intercept": False, "offset": "exposure", "preprocess": {"missing": "indicator"}},
        {"offset": True, "indicator": True},
    ),
    "elastic net": (
        {"intercept": False, "offset": "exposure", "search": {"l1_ratio": 0.5}},
        {"offset": True},
    ),
    "ridge": (
        {"intercept": False, "search": {"l1_ratio": 0.0, "alphas": [10.0, 1.0, 0.1]}},
        {},
    ),
    "least squares": (
        {"intercept": False, "offset": "exposure", "search": {"alphas": [1.0, 0.0]}},
        {"offset": True},
    ),
}


QUICK = ("no intercept", "weights", "indicator", "robust")


@pytest.mark.parametrize(
    "case",
    [case if case in QUICK else pytest.param(case, marks=pytest.mark.slow) for case in CASES],
)
@pytest.mark.filterwarnings("ignore:With alpha=0", "ignore:Coordinate descent", "ignore:Objective")
def test_each_fold_and_the_model_are_those_of_refits(folder: Path, case: str) -> None:
    keys, how = CASES[case]
    model = trained(folder, **keys).model
    oracle, ratio = Oracle(**how), model.l1_ratio
    alphas = model.curve.alphas
    few = slice(None, None, max(1, len(alphas) // 6))
    assert_allclose(model.curve.fold_mse[:, few], oracle.fold_mse(alphas[few], ratio), rtol=EXACT)
    coef, intercept, predicted = oracle.fit(np.ones(N, bool), model.alpha, ratio)
    expected = dict(zip([*NAMES, *(f"store={s}" for s in "abc"), "x1 is null"], coef, strict=False))
    if keys.get("offset"):
        expected["exposure"] = 1.0
    found = model.coef.to_dict()
    assert found.keys() == expected.keys()
    size = np.abs(coef).max()
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, rel=1e-7, abs=1e-8 * size), name
    assert model.intercept == pytest.approx(intercept, rel=1e-7, abs=1e-12)
    assert_allclose(model.predict(table()), predicted, rtol=1e-7)


def test_compare_holds_other_estimators_against_the_same_errors(folder: Path) -> None:
    job = {
        "name": "m",
        "data": {"path": str(folder / "rows.parquet")},
        "target": "y",
        "features": {"exclude": ["w"]},
        "offset": "exposure",
        "intercept": False,
        "search": {"split": {"fold": "fold"}, "alphas": 20, "l1_ratio": 0.5},
        "holdout": None,
        "stability": None,
        "registry": str(folder / "registry"),
        "compare": {
            "families": [],
            "estimators": {
                "net": {
                    "estimator": "sklearn.linear_model.ElasticNet",
                    "params": {"l1_ratio": 0.5, "fit_intercept": False, "tol": 1e-12},
                    "search": {"alpha": [0.05]},
                }
            },
        },
    }
    found = {each.family: each for each in compare(TrainJob.from_values(job), workers=1).families}
    oracle = Oracle(offset=True)
    own = found["lasso"]
    assert_allclose(own.fold_mse, oracle.fold_mse([own.params["alpha"]], 0.5)[:, 0], rtol=EXACT)
    assert_allclose(found["net"].fold_mse, oracle.fold_mse([0.05], 0.5)[:, 0], rtol=1e-6)


def test_what_a_training_with_an_offset_has_read_misleads_no_other(tmp_path: Path) -> None:
    rows = table().to_pandas()
    rows.loc[:49, "exposure"] = np.nan
    rows.to_parquet(tmp_path / "rows.parquet")
    keys: Values = {"features": {"exclude": ["w"]}}
    trained(tmp_path, **keys, offset="exposure")
    for offset, n in ((None, N), ("exposure", N - 50), ("x0", N)):
        cached = trained(tmp_path, **keys, offset=offset)
        fresh = trained(tmp_path, **keys, offset=offset, cache=False)
        assert cached.model.n_rows == n
        assert cached.registered.digest == fresh.registered.digest


@pytest.mark.parametrize(
    ("values", "says"),
    [
        (np.nan, "no row is left to train on; expected rows with a target and the offset 'exp"),
        (np.inf, "Mend the file, or filter the rows with data.where\\.$"),
    ],
)
def test_an_offset_that_is_no_number_is_refused(tmp_path: Path, values: float, says: str) -> None:
    table().to_pandas().assign(exposure=values).to_parquet(tmp_path / "rows.parquet")
    with pytest.raises(DataError, match=says):
        trained(tmp_path, offset="exposure")


def test_an_offset_alone_is_no_feature(tmp_path: Path) -> None:
    table().select(["exposure", "fold", "y"]).to_pandas().to_parquet(tmp_path / "rows.parquet")
    with pytest.raises(DataError, match="none of its columns is left as a feature"):
        trained(tmp_path, offset="exposure", features={"include": ["*"]})
