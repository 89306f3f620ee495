"""What is said of an alpha at the end of those that were tried."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lasso_jobs import TrainJob, train
from lasso_jobs.errors import ModelError
from lasso_jobs.training.result import TrainResult

pytestmark = pytest.mark.integration


def trained(folder: Path, noise: float, n: int = 200, p: int = 3, **keys: Any) -> TrainResult:
    r = np.random.default_rng(1)
    frame = pd.DataFrame(r.normal(size=(n, p)), columns=[f"x{j}" for j in range(p)])
    frame["y"] = 2 * frame.x0 - frame.x1 + noise * r.normal(size=n)
    frame.to_parquet(folder / "rows.parquet")
    values = {
        "name": "m",
        "data": {"path": str(folder / "rows.parquet")},
        "target": "y",
        "stability": None,
    }
    job = TrainJob.from_values({**values, "registry": str(folder / "models"), **keys})
    return train(job, workers=1)


@pytest.mark.parametrize(
    ("search", "noise", "end", "said"),
    [
        ({}, 1e-9, "smallest", "set search.eps below 1e-06, or add 0"),
        ({"alphas": [1.0, 0.5]}, 0.1, "smallest", "add smaller ones to search.alphas"),
        ({"alphas": [0.5, 0.0]}, 0.1, None, None),
        (
            {"alphas": [5.0, 1e-4], "rule": "1se"},
            100.0,
            "largest",
            "list larger ones in search.alphas",
        ),
        ({"rule": "1se", "alphas": 20}, 100.0, "largest", "no penalised feature is used"),
        ({"rule": "1se", "alphas": 20}, 1.0, None, None),
    ],
)
def test_the_end_of_the_grid_is_told(
    search: dict[str, Any], noise: float, end: str | None, said: str | None, tmp_path: Path
) -> None:
    result = trained(tmp_path, noise, search=search)
    line = result.in_words().get("grid")
    assert result.as_values()["alpha_at_end"] == end
    assert (line is None) == (said is None)
    assert said is None or said in str(line)


def test_more_columns_than_rows_have_a_champion_by_default(tmp_path: Path) -> None:
    result = trained(tmp_path, 1.0, n=60, p=300, stability=None)
    curve = result.model.curve
    assert curve.alphas.min() / curve.alphas.max() == pytest.approx(1e-2)
    assert result.promotion.champion == 1


@pytest.mark.parametrize(
    ("search", "advice"),
    [({}, "Set search.eps above"), ({"alphas": [0.5, 0.1]}, "Take the smallest out of")],
)
def test_a_fit_that_did_not_converge_gets_advice_that_can_be_followed(
    search: dict[str, Any], advice: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lasso_jobs.core.fit.walk.curves.GAP_TOLERANCE", -1.0)
    result = trained(tmp_path, 1.0, search=search)
    assert result.promotion.reason.startswith(f"the fit did not converge. {advice}")
    with pytest.raises(ModelError, match=advice):
        trained(tmp_path, 1.0, search=search, promote="always")
