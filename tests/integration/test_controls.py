"""The keys of the search, from the job file to the stored model, against scikit-learn."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from sklearn.datasets import load_diabetes
from sklearn.linear_model import Lasso, LinearRegression, Ridge
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from statsmodels.datasets import longley

from lasso_jobs import TrainJob, load_model, train
from lasso_jobs.core.fit import relaxed
from lasso_jobs.core.fit.lasso import solve_path
from lasso_jobs.core.fit.problem import Path as Fits
from lasso_jobs.training.result import TrainResult

pytestmark = pytest.mark.integration

EXACT = 1e-8


def trained(frame: pd.DataFrame, folder: Path, **keys: Any) -> TrainResult:
    frame.to_parquet(folder / "rows.parquet")
    values = {
        "name": "m",
        "data": {"path": str(folder / "rows.parquet")},
        "target": "target",
        "stability": None,
        "registry": str(folder / "models"),
        "holdout": None,
        **keys,
    }
    return train(TrainJob.from_values(values), workers=1)


def diabetes() -> pd.DataFrame:
    """With a column of the ten folds of an unshuffled KFold."""
    data = load_diabetes(scaled=False)
    frame = pd.DataFrame(data.data, columns=data.feature_names).assign(target=data.target)
    for k, (_, test) in enumerate(KFold(10).split(frame)):
        frame.loc[test, "fold"] = f"fold {k}"
    return frame


def wide() -> pd.DataFrame:
    """So many useless columns that small alphas are clearly worse."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 50))
    frame = pd.DataFrame(X, columns=[f"x{j}" for j in range(50)])
    return frame.assign(target=3 * X[:, 0] + rng.normal(size=60))


def test_the_longley_slopes_at_alpha_zero_are_nists_to_ten_digits(tmp_path: Path) -> None:
    rows = longley.load_pandas()
    result = trained(
        rows.exog.astype(float).assign(target=rows.endog.astype(float)),
        tmp_path,
        search={"alphas": [0], "folds": 2},
    )
    certified = [
        15.0618722713733,
        -0.0358191792925910,
        -2.02022980381683,
        -1.03322686717359,
        -0.0511041056535807,
        1829.15146461355,
    ]
    assert result.model.certificate.converged
    assert_allclose(result.model.coef[list(rows.exog)], certified, rtol=1e-10)
    assert_allclose(result.model.intercept, -3482258.63459582, rtol=1e-10)


def test_without_any_key_of_the_search_diabetes_has_the_published_choices(tmp_path: Path) -> None:
    values = trained(diabetes(), tmp_path, search={"split": {"fold": "fold"}}).as_values()
    curve = values["cv"]
    best = curve["alphas"].index(values["alpha"])
    assert len(curve["alphas"]) == 100
    assert (values["l1_ratio"], values["gamma"], curve["n_left_out"]) == (1.0, 1.0, 0)
    assert_allclose(curve["alphas"][0], 45.160030, atol=5e-7)
    assert_allclose(values["alpha"], 1.199490, atol=5e-7)
    assert_allclose(curve["mse"][best], 2986.17286, atol=5e-6)
    assert_allclose(curve["mse_se"][best], 215.56287, atol=5e-6)
    assert_allclose(values["alpha_1se"], 8.462165, atol=5e-7)


def test_equal_fold_means_are_the_means_of_refits_over_the_folds(tmp_path: Path) -> None:
    frame = diabetes()
    frame["fold"] = np.where(np.arange(442) < 300, "a", np.where(np.arange(442) < 420, "b", "c"))
    search = {"split": {"fold": "fold"}, "fold_means": "equal", "alphas": [4, 1, 0.2]}
    values = trained(frame, tmp_path, search=search).as_values()
    X, y, fold = frame.drop(columns=["target", "fold"]), frame["target"], frame["fold"]
    errors = np.empty((3, 3))
    for k, name in enumerate("abc"):
        own = fold == name
        for i, alpha in enumerate([4, 1, 0.2]):
            model = make_pipeline(StandardScaler(), Lasso(alpha, tol=1e-12, max_iter=10**6))
            model.fit(X[~own], y[~own])
            errors[k, i] = np.mean((y[own] - model.predict(X[own])) ** 2)
    assert_allclose(values["cv"]["mse"], errors.mean(axis=0), rtol=EXACT)
    expected = errors.std(axis=0, ddof=1) / np.sqrt(3)
    assert_allclose(values["cv"]["mse_se"], expected, rtol=1e-6)


@pytest.mark.parametrize("rule", ["min", "1se"])
def test_several_ratios_have_one_table_and_one_choice(rule: str, tmp_path: Path) -> None:
    search = {
        "split": {"fold": "fold"},
        "alphas": 8,
        "l1_ratio": [0, 0.5, 1],
        "rule": rule,
    }
    result = trained(diabetes(), tmp_path, search=search)
    values, curve = result.as_values(), result.as_values()["cv"]
    assert curve["l1_ratios"] == [0.0] * 8 + [0.5] * 8 + [1.0] * 8
    columns = ("l1_ratios", "gammas", "alphas", "mse", "mse_se", "n_nonzero")
    assert {len(curve[key]) for key in columns} == {24}
    mse, se, ratios = (np.array(curve[key]) for key in ("mse", "mse_se", "l1_ratios"))
    best = int(mse.argmin())
    near = (mse <= mse[best] + se[best]) & (ratios == ratios[best])
    assert values["l1_ratio"] == ratios[best]
    assert values["alpha_min"] == curve["alphas"][best]
    assert values["alpha_1se"] == np.array(curve["alphas"])[near].max()
    assert values["alpha"] == values["alpha_min" if rule == "min" else "alpha_1se"]


def test_ridge_has_the_coefficients_of_scikit_learns(tmp_path: Path) -> None:
    frame = diabetes().drop(columns="fold")
    model = trained(frame, tmp_path, search={"alphas": [0.3], "l1_ratio": 0}).model
    X = frame.drop(columns="target")
    scaler = StandardScaler().fit(X)
    expected = Ridge(alpha=0.3 * len(X)).fit(scaler.transform(X), frame["target"])
    assert_allclose(model.coef[list(X)], expected.coef_ / scaler.scale_, rtol=EXACT)


def test_an_adaptive_relaxed_bounded_weighted_job_has_the_model_of_a_fit_by_hand(
    tmp_path: Path,
) -> None:
    frame = diabetes().assign(w=np.random.default_rng(0).uniform(0.5, 2, 442))
    features = list(frame.columns[:10])
    search = {
        "split": {"fold": "fold"},
        "alphas": 20,
        "relax": [0.25],
        "adaptive": True,
        "rule": "1se",
    }
    result = trained(
        frame,
        tmp_path,
        search=search,
        weight="w",
        penalty_factors={"bmi": 0.5},
        bounds={name: [0, float("inf")] for name in features},
    )
    y, w = frame["target"], frame["w"]
    Z = StandardScaler().fit_transform(frame[features], sample_weight=w)
    size = np.abs(Ridge(alpha=0.01 * w.sum()).fit(Z, y, sample_weight=w).coef_)
    factor = size.mean() / size * np.where(np.array(features) == "bmi", 0.5, 1)
    penalised = Lasso(result.model.alpha, positive=True, tol=1e-13, max_iter=10**6)
    penalised.fit(Z / factor, y, sample_weight=w)
    active = penalised.coef_ != 0
    free = LinearRegression(positive=True).fit(Z[:, active], y, sample_weight=w)
    expected = 0.25 * penalised.predict(Z / factor) + 0.75 * free.predict(Z[:, active])
    assert 2 <= active.sum() < 10
    assert result.model.gamma == 0.25
    assert_allclose(result.model.predict(frame), expected, rtol=EXACT)


def test_an_early_stop_is_recorded_wherever_the_search_is(tmp_path: Path) -> None:
    search = {"alphas": 60, "early_stop": True, "relax": [0.5, 1]}
    result = trained(wide(), tmp_path, search=search)
    curve = result.as_values()["cv"]
    assert curve["n_left_out"] == 120 - len(curve["alphas"]) > 0
    assert load_model(tmp_path / "models", "m").curve.n_left_out == curve["n_left_out"]
    assert result.in_words()["left out"].startswith(f"{curve['n_left_out']} of the search")


def test_the_stored_model_holds_the_whole_search_and_its_choice(tmp_path: Path) -> None:
    search = {"alphas": 6, "eps": 1e-3, "l1_ratio": [1, 0.5], "relax": True, "adaptive": True}
    result = trained(diabetes().drop(columns="fold"), tmp_path, search=search, holdout=0.2)
    values, model = result.as_values(), load_model(tmp_path / "models", "m")
    json.dumps(values, allow_nan=False)
    assert (model.l1_ratio, model.gamma) == (values["l1_ratio"], values["gamma"])
    for name in ("l1_ratios", "gammas", "alphas", "mse", "n_nonzero"):
        assert getattr(model.curve, name).tolist() == values["cv"][name]
        assert len(values["cv"][name]) == 2 * 5 * 6
    i = int(np.argmin(values["cv"]["mse"]))
    chosen = [values["cv"][name][i] for name in ("l1_ratios", "gammas", "alphas")]
    assert chosen == [model.l1_ratio, model.gamma, model.alpha]
    assert model.certificate.converged
    assert values["holdout"]["r2"] > 0.3


def test_a_relaxed_fit_that_did_not_converge_is_no_champion(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut_short(problem: Any, alphas: Any) -> Fits:
        path = solve_path(problem, alphas)
        return Fits(path.coef, path.dual_gap + 1e-3, path.kkt, path.n_iter)

    monkeypatch.setattr(relaxed, "solve_path", cut_short)
    result = trained(diabetes().drop(columns="fold"), tmp_path, search={"alphas": 5, "relax": True})
    assert not result.model.certificate.converged
    assert (result.promotion.promoted, result.promotion.champion) == (False, None)
    assert result.promotion.reason.startswith("the fit did not converge. ")
