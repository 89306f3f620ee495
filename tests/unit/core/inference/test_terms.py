"""Terms of features: their strength is the deviation of what they add, rows by rows."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy.stats import rankdata
from sklearn.linear_model import Lasso
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from lasso_jobs import TrainJob, train
from lasso_jobs.core.inference.terms import Ranks, Terms, ranks_of
from lasso_jobs.core.rows.columns import Category, Columns
from lasso_jobs.models.model import Model

N, FOLDS = 600, 3
STORES = ("east", "north", "south")


def test_terms_have_their_null_indicators_and_no_offset() -> None:
    category = Category(name="store", levels=("a", "b"), other=False, type="string")
    terms = Terms.of(Columns(("x", "z", "o"), (category,)), (1,), "o")
    assert terms.names == ("x", "z", "store")
    assert [places.tolist() for places in terms.places] == [[0], [1, 5], [3, 4]]
    assert np.flatnonzero(terms.mask(1, 6)).tolist() == [1, 5]


def test_ranks_are_those_of_scipy_and_zeros_are_last_together() -> None:
    strengths = np.random.default_rng(0).random(30)
    assert ranks_of(strengths).tolist() == rankdata(-strengths, method="min").tolist()
    assert ranks_of(np.array([0.0, 3.0, 0.0])).tolist() == [2, 1, 2]


def test_ranks_lie_between_quantiles_of_those_of_the_models() -> None:
    terms = Terms(("a", "b", "c"), tuple(np.array([k]) for k in range(3)))
    strengths = np.tile([3.0, 2.0, 0.0], (100, 1))
    strengths[:20, 1] = 4.0
    found = Ranks.of(terms, strengths, 0.9)
    assert found.names == ("a", "b")
    assert (found.low.tolist(), found.high.tolist()) == ([1, 1], [2, 2])


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    rng = np.random.default_rng(4)
    frame = pd.DataFrame({"x": rng.normal(size=N), "store": rng.choice(STORES, N)})
    frame["twin"] = frame["x"] + rng.normal(0, 0.5, N)
    frame["idle"] = rng.normal(size=N)
    effect = frame["store"].map({"east": -1.0, "north": 0.0, "south": 2.0})
    frame["y"] = frame["x"] + effect + rng.normal(size=N)
    return frame.assign(fold=rng.integers(0, FOLDS, N), held=rng.random(N) < 0.25)


@pytest.fixture(scope="module")
def folder(rows: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("terms")
    rows.to_parquet(folder / "rows.parquet")
    return str(folder)


def trained(folder: str, **more: Any) -> Model:
    values = {
        "name": "terms",
        "data": {"path": folder},
        "target": "y",
        "features": {"include": ["x", "twin", "idle", "store"]},
        "search": {"alphas": [0.05], "split": {"fold": "fold"}},
        "registry": f"{folder}-models",
        "stability": None,
        "cache": False,
    }
    return train(TrainJob.from_values({**values, **more}), workers=1).model


def design(rows: pd.DataFrame, without: str | None) -> np.ndarray:
    levels = pd.get_dummies(rows["store"], prefix="store", dtype=float)
    columns = pd.concat([rows[["x", "twin", "idle"]], levels], axis=1)
    if without is not None:
        columns = columns.drop(columns=[c for c in columns if c.startswith(without)])
    return columns.to_numpy()


def mse_without(rows: pd.DataFrame, test: pd.Series, without: str | None) -> float:
    X, y = design(rows, without), rows["y"].to_numpy()
    lasso = make_pipeline(StandardScaler(), Lasso(0.05, tol=1e-12, max_iter=100_000))
    fitted = lasso.fit(X[~test], y[~test])
    return float(np.mean((y[test] - fitted.predict(X[test])) ** 2))


def test_strengths_are_of_the_rows_contributions(folder: str, rows: pd.DataFrame) -> None:
    model = trained(folder, holdout={"where": "held == true"})
    found = model.importance
    assert found is not None
    own = model.contributions(rows).std(ddof=0).sort_values(ascending=False)
    assert list(found.terms) == list(own.index)
    assert_allclose(found.strength, own, rtol=1e-9)
    assert found.terms[:2] == ("store", "x")


@pytest.mark.parametrize("held_out", [True, False])
def test_losses_are_of_refits_without_the_feature(
    folder: str, rows: pd.DataFrame, held_out: bool
) -> None:
    holdout = {"where": "held == true"} if held_out else None
    found = trained(folder, holdout=holdout).importance
    assert found is not None
    assert found.judged_by == ("hold-out" if held_out else "cross-validation")
    tests = [rows["held"]] if held_out else [rows["fold"] == k for k in range(FOLDS)]
    sizes = [test.sum() for test in tests]

    def mse(without: str | None) -> float:
        errors = [mse_without(rows, test, without) for test in tests]
        return float(np.average(errors, weights=sizes))

    assert found.mse == pytest.approx(mse(None), rel=1e-7)
    for name, rise in zip(found.terms, found.mse_rise, strict=True):
        assert rise == pytest.approx(mse(name) - mse(None), rel=1e-5, abs=1e-9)
    by_name = dict(zip(found.terms, found.mse_rise.tolist(), strict=True))
    # A category's levels are left out together; x has a twin that takes over.
    assert by_name["store"] > 1 > by_name["x"] > 0
