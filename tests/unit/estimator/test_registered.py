"""A fit becomes a version of a model, and a model a fitted estimator."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lasso_jobs import LassoCV, ScoreJob, TrainJob, load_model, score, train
from lasso_jobs.errors import JobError, LassoJobsError, ModelError
from lasso_jobs.models import summary
from lasso_jobs.models.registry import Registry

N = 500
rng = np.random.default_rng(2)
FRAME = pd.DataFrame(rng.normal(size=(N, 3)), columns=["price", "visitors", "noise"])
SALES = pd.Series(50 - 2 * FRAME["price"] + FRAME["visitors"] + rng.normal(size=N), name="sales")


def test_a_fit_becomes_a_version_that_is_loaded_shown_and_scored_with(tmp_path: Path) -> None:
    fitted = LassoCV(alphas=20).fit(FRAME, SALES)
    registry = tmp_path / "models"
    registered = fitted.to_model(registry, "shop")
    assert registered.reference == "shop@v1"
    model = load_model(registry, "shop@v1")
    assert (model.target, model.n_rows, model.alpha) == ("sales", N, fitted.alpha_)
    np.testing.assert_array_equal(model.coef, fitted.coef_)
    np.testing.assert_array_equal(model.curve.fold_mse.T, fitted.mse_path_)
    np.testing.assert_allclose(np.asarray(model.predict(FRAME)), fitted.predict(FRAME), rtol=1e-12)
    assert summary.as_values(Registry(registry), "shop@v1")["holdout"] is None
    pq.write_table(pa.Table.from_pandas(FRAME), tmp_path / "rows.parquet")
    job = ScoreJob.from_values(
        {
            "model": "shop@v1",
            "data": {"path": str(tmp_path / "rows.parquet")},
            "keys": ["noise"],
            "output": {"path": str(tmp_path / "scores"), "format": "parquet"},
            "drift": {"path": str(tmp_path / "drift")},
            "registry": str(registry),
        }
    )
    assert score(job, workers=1).rows_scored == N
    # The same fit is the same version.
    again = LassoCV(alphas=20).fit(FRAME, SALES).to_model(registry, "shop")
    assert again.reference == "shop@v1"


@pytest.mark.parametrize(
    ("scaling", "missing", "fit_intercept"),
    [("none", "error", True), ("standard", "mean", False), ("minmax", "mean", True)],
)
def test_there_and_back_it_predicts_the_same(
    tmp_path: Path, scaling: Any, missing: Any, fit_intercept: bool
) -> None:
    how = {"fit_intercept": fit_intercept, "scaling": scaling, "missing": missing}
    fitted = LassoCV(alphas=20, positive=True, **how)
    fitted.fit(FRAME, SALES)
    model = fitted.to_model(tmp_path, "shop", "turnover").model
    assert model.target == "turnover"
    again = LassoCV.from_model(model)
    for name in ("coef_", "alphas_", "mse_path_", "feature_names_in_"):
        np.testing.assert_array_equal(getattr(again, name), getattr(fitted, name))
    np.testing.assert_array_equal(again.predict(FRAME), fitted.predict(FRAME))
    assert {**how, "alphas": 20}.items() <= again.get_params().items()
    with pytest.raises(ModelError, match="the estimator was made of a model"):
        again.to_model(tmp_path, "shop")


def test_a_trained_model_becomes_an_estimator(tmp_path: Path) -> None:
    holes = FRAME.mask(rng.random(FRAME.shape) < 0.1)
    pq.write_table(pa.Table.from_pandas(holes.assign(sales=SALES)), tmp_path / "rows.parquet")
    values = {
        "name": "shop",
        "data": {"path": str(tmp_path / "rows.parquet")},
        "target": "sales",
        "stability": None,
        "registry": str(tmp_path / "models"),
    }
    model = train(TrainJob.from_values(values), workers=1).model
    fitted = LassoCV.from_model(model)
    np.testing.assert_allclose(fitted.predict(holes), np.asarray(model.predict(holes)), rtol=1e-12)
    with_nulls = {**values, "preprocess": {"missing": "indicator"}}
    other = train(TrainJob.from_values(with_nulls), workers=1).model
    with pytest.raises(ModelError, match=r"^shop: has indicators of nulls; expected a LASSO"):
        LassoCV.from_model(other)


def test_folds_may_be_listed_row_by_row_and_signs_come_back(tmp_path: Path) -> None:
    rows = np.arange(N)
    fitted = LassoCV(alphas=5, cv=[(rows[:250], rows[250:]), (rows[250:], rows[:250])])
    model = fitted.fit(FRAME, SALES).to_model(tmp_path, "shop").model
    assert not LassoCV.from_model(model).positive
    model = LassoCV(alphas=5, positive=True).fit(FRAME, SALES).to_model(tmp_path, "shop").model
    assert LassoCV.from_model(model).positive


def test_names_that_cannot_be_are_refused(tmp_path: Path) -> None:
    fitted = LassoCV(alphas=5).fit(FRAME, SALES)
    with pytest.raises(JobError, match="name"):
        fitted.to_model(tmp_path, "../elsewhere")
    with pytest.raises(LassoJobsError, match="'price' is a feature"):
        fitted.to_model(tmp_path, "shop", "price")
    assert not any(tmp_path.iterdir())
