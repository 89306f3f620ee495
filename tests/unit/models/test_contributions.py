import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from numpy.testing import assert_allclose

from lasso_jobs.core.fit.predict import Predictor
from lasso_jobs.core.rows.blocks.block import Block
from lasso_jobs.core.rows.columns import Category, Columns
from lasso_jobs.errors import DataError
from lasso_jobs.models.contributions import TopContributions
from lasso_jobs.models.model import Model


def test_contributions_and_the_base_value_add_up_to_the_prediction(
    model: Model, frame: pd.DataFrame
) -> None:
    odd = frame.assign(grade=99, **{"city.of'birth": "never seen"})
    for rows in (frame, frame.iloc[::-2], frame.assign(a=np.nan), odd, frame.iloc[:0]):
        parts = model.contributions(rows)
        assert list(parts.columns) == list(model.predictor.used)
        assert parts.index.equals(rows.index)
        total = model.base_value + parts.sum(axis=1)
        assert_allclose(total, model.predict(rows), rtol=1e-12, atol=1e-12)


def test_the_training_rows_contribute_nothing_on_average(model: Model, frame: pd.DataFrame) -> None:
    parts = model.contributions(frame)
    assert_allclose(parts.mean(), 0, atol=1e-11)
    assert model.base_value == pytest.approx(model.prediction_mean, rel=1e-10)
    assert model.base_value == pytest.approx(model.predict(frame).mean(), rel=1e-12)


def test_a_contribution_is_the_change_when_the_feature_alone_is_replaced_by_training_rows(
    model: Model, frame: pd.DataFrame
) -> None:
    """The Shapley value of a feature of an additive model, by its definition."""
    for name in ("a", "city.of'birth", "grade", "flag"):
        row = frame.iloc[[17]]
        others = pd.concat([row] * len(frame), ignore_index=True)
        others[name] = frame[name].to_numpy()
        expected = model.predict(row).iloc[0] - model.predict(others).mean()
        assert model.contributions(row)[name].iloc[0] == pytest.approx(expected, abs=1e-9)


def test_arrow_rows_have_the_same_contributions(
    model: Model, rows: pa.Table, frame: pd.DataFrame
) -> None:
    pd.testing.assert_frame_equal(model.contributions(rows), model.contributions(frame))


def test_a_missing_column_is_refused(model: Model, frame: pd.DataFrame) -> None:
    with pytest.raises(DataError, match="lacks the column 'a'"):
        model.contributions(frame.drop(columns="a"))


def test_the_largest_contributions_come_first(model: Model, frame: pd.DataFrame) -> None:
    from lasso_jobs.models.frames import block_of

    predictor = model.predictor.only(model.predictor.used)
    n = len(predictor.used) + 1
    top = TopContributions(n, model.mean_terms).of(predictor, block_of(frame, predictor.columns))
    parts = model.contributions(frame)
    for k, row in enumerate(top.to_pylist()):
        expected = parts.iloc[k].sort_values(key=lambda s: -s.abs(), kind="stable")
        found = {row[f"top_feature_{r}"]: row[f"top_contribution_{r}"] for r in range(1, n)}
        assert list(found) == list(expected.index)
        assert list(found.values()) == list(expected)
        assert row[f"top_feature_{n}"] is None
        assert row[f"top_contribution_{n}"] is None


def test_of_equal_contributions_the_first_feature_is_first() -> None:
    columns = Columns(("x", "y"), (Category("c", ("u",), False, "string"),))
    predictor = Predictor(
        columns=columns, indicators=(), fill=np.zeros(2), coef=np.array([1.0, -1, 1]), intercept=0.0
    )
    block = Block(2, (np.array([2.0, 1]), np.array([2.0, 1])), (np.array([0, 1]),))
    top = TopContributions(2, {"x": 0.0, "y": 0.0, "c": 0.0}).of(predictor, block)
    assert top.to_pylist() == [
        {
            "top_feature_1": "x",
            "top_contribution_1": value,
            "top_feature_2": "y",
            "top_contribution_2": -value,
        }
        for value in (2.0, 1.0)
    ]
