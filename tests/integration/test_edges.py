"""Awkward data, through a whole training, against scikit-learn refitted to each fold."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.testing import assert_allclose
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Lasso
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from lasso_jobs import TrainJob, train
from lasso_jobs.errors import LassoJobsError
from lasso_jobs.models.registry import Registry

pytestmark = pytest.mark.integration
Values = dict[str, Any]
N, FOLDS = 240, 4


def rows(n: int = N, p: int = 4) -> pd.DataFrame:
    rng = np.random.default_rng(41)
    X = rng.normal(size=(n, p)) + 3
    y = X[:, :3] @ [2.0, -1.0, 0.5] + rng.normal(size=n)
    frame = pd.DataFrame(X, columns=[f"x{j}" for j in range(p)])
    return frame.assign(fold=np.arange(n) % FOLDS, y=y)


def trained(folder: Path, frame: pd.DataFrame, **more: Any) -> Values:
    table = pa.Table.from_pandas(frame, preserve_index=False)
    pq.write_table(table, folder / "rows.parquet", row_group_size=50)
    values = {
        "name": "edges",
        "data": {"path": str(folder / "rows.parquet")},
        "target": "y",
        "stability": None,
        "features": {"exclude": ["fold"]},
        "search": {"alphas": [0.3, 0.1, 0.03], "split": {"fold": "fold"}},
        "holdout": None,
        "registry": str(folder / "models"),
    }
    return train(TrainJob.from_values({**values, **more}), workers=1).as_values()


def refits(frame: pd.DataFrame, alphas: Any, weight: np.ndarray | None = None) -> np.ndarray:
    X = frame.drop(columns=["y", "fold", "w"], errors="ignore")
    X = pd.get_dummies(X.astype({c: str for c in X if X[c].dtype == object}), dtype=float)
    weight = np.ones(len(frame)) if weight is None else weight
    errors = []
    for k in sorted(set(frame["fold"])):
        fit, test = (frame["fold"] != k) & (weight > 0), (frame["fold"] == k) & (weight > 0)
        row = []
        for alpha in alphas:
            imputer = SimpleImputer(keep_empty_features=True)
            lasso = Lasso(alpha, tol=1e-14, max_iter=1_000_000)
            model = make_pipeline(imputer, StandardScaler(), lasso).fit(
                X[fit],
                frame["y"][fit],
                standardscaler__sample_weight=weight[fit],
                lasso__sample_weight=weight[fit],
            )
            squares = (frame["y"][test] - model.predict(X[test])) ** 2
            row.append(np.average(squares, weights=weight[test]))
        errors.append(row)
    return np.array(errors)


def constant(frame: pd.DataFrame) -> None:
    frame["x3"] = 7.25


def all_null(frame: pd.DataFrame) -> None:
    frame["x3"] = np.nan


def null_in_one_fold_only(frame: pd.DataFrame) -> None:
    frame.loc[frame["fold"] == 2, "x0"] = np.nan


def observed_in_one_fold_only(frame: pd.DataFrame) -> None:
    frame.loc[frame["fold"] != 2, "x0"] = np.nan


def a_level_in_one_fold_only(frame: pd.DataFrame) -> None:
    frame["s"] = np.where(np.arange(N) % 3, "common", "often")
    frame.loc[frame.index[frame["fold"] == 1][::5], "s"] = "here only"


def duplicated(frame: pd.DataFrame) -> None:
    frame["again"] = frame["x0"]


def scales_from_tiny_to_huge(frame: pd.DataFrame) -> None:
    for j, scale in enumerate([1e-9, 1e-4, 1e4, 1e9]):
        frame[f"x{j}"] *= scale


def target_constant_in_a_fold(frame: pd.DataFrame) -> None:
    frame.loc[frame["fold"] == 3, "y"] = 1.5


CASES = [
    constant,
    all_null,
    null_in_one_fold_only,
    observed_in_one_fold_only,
    a_level_in_one_fold_only,
    duplicated,
    scales_from_tiny_to_huge,
    target_constant_in_a_fold,
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_awkward_columns_have_the_errors_of_refits(
    case: Callable[[pd.DataFrame], None], tmp_path: Path
) -> None:
    frame = rows()
    case(frame)
    found = trained(tmp_path, frame)
    assert found["certificate"]["converged"]
    assert_allclose(found["cv"]["fold_mse"], refits(frame, found["cv"]["alphas"]), rtol=1e-8)
    named = {constant: "constant", all_null: "constant", duplicated: "duplicates"}
    if case in named:
        assert found["diagnostics"][named[case]] in (["x3"], {"again": "x0"})


def test_a_column_of_type_null_has_no_effect(tmp_path: Path) -> None:
    frame = rows().assign(nothing=None)
    found = trained(tmp_path, frame)
    assert found["coef"].get("nothing", 0.0) == 0.0
    expected = refits(frame.drop(columns="nothing"), found["cv"]["alphas"])
    assert_allclose(found["cv"]["fold_mse"], expected, rtol=1e-8)


def test_a_large_offset_costs_digits_by_its_size_and_no_more(tmp_path: Path) -> None:
    """Moved back exactly, the rows have the same errors: an offset of 1e9 keeps seven digits."""
    frame = rows().round(3)
    moved = frame.assign(x0=frame["x0"] + 1e9, x1=frame["x1"] - 1e9)
    back = frame.assign(x0=moved["x0"] - 1e9, x1=moved["x1"] + 1e9)
    found = trained(tmp_path, moved)
    assert_allclose(found["cv"]["fold_mse"], refits(back, found["cv"]["alphas"]), rtol=1e-6)


def test_more_columns_than_rows_have_the_errors_of_refits(tmp_path: Path) -> None:
    frame = rows(60, 90)
    found = trained(tmp_path, frame)
    assert found["certificate"]["converged"]
    assert_allclose(found["cv"]["fold_mse"], refits(frame, found["cv"]["alphas"]), rtol=1e-8)


def test_rows_of_weight_zero_are_as_if_absent(tmp_path: Path) -> None:
    weight = np.random.default_rng(3).integers(0, 3, N).astype(float)
    frame = rows().assign(w=weight)
    frame.loc[weight == 0, ["x0", "y"]] = 1e30
    found = trained(tmp_path, frame, weight="w")
    expected = refits(frame, found["cv"]["alphas"], weight)
    assert_allclose(found["cv"]["fold_mse"], expected, rtol=1e-8)


REFUSED: dict[str, tuple[Callable[[pd.DataFrame], pd.DataFrame], Values, str]] = {
    "one group": (
        lambda frame: frame.assign(shop="one"),
        {"search": {"split": {"group": "shop"}}, "features": {"exclude": ["fold"]}},
        "search.split.group 'shop': has 1 group; expected at least 5",
    ),
    "fewer rows than folds": (
        lambda frame: frame[:3],
        {"search": {"folds": 5}},
        "has 3 rows; expected at least 5",
    ),
    "one row": (lambda frame: frame[:1], {"search": {"folds": 2}}, "has 1 row; expected"),
    "a constant target": (lambda frame: frame.assign(y=2.0), {}, "target 'y': is constant"),
    "an infinite feature": (
        lambda frame: frame.assign(x1=frame["x1"].where(frame.index != 77, np.inf)),
        {},
        "column 'x1': has an infinite value",
    ),
    "an infinite target": (
        lambda frame: frame.assign(y=frame["y"].where(frame.index != 77, -np.inf)),
        {},
        "'y': has an infinite value",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_trained_on_is_refused_in_one_line(case: str, tmp_path: Path) -> None:
    change, more, words = REFUSED[case]
    with pytest.raises(LassoJobsError, match=words) as caught:
        trained(tmp_path, change(rows()), **more)
    assert "\n" not in str(caught.value)
    assert Registry(tmp_path / "models").names() == []
