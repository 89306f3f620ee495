import dataclasses
from collections.abc import Iterator

import dask
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from lasso_jobs.core.rows.columns import NULL, OTHER
from lasso_jobs.errors import DataError
from lasso_jobs.models.model import Model


@pytest.fixture(autouse=True)
def _threads_of_this_process() -> Iterator[None]:
    with dask.config.set(scheduler="synchronous"):
        yield


def by_hand(model: Model, frame: pd.DataFrame) -> np.ndarray:
    """Predictions from the labels of the coefficients alone, a feature at a time."""
    coef = dict(model.coef)
    fill = dict(zip(model.columns.numeric, model.predictor.fill, strict=True))
    total = np.full(len(frame), model.intercept)
    for name in model.columns.numeric:
        null = frame[name].isna()
        total += coef[name] * frame[name].fillna(fill[name]) + coef.get(f"{name} is null", 0) * null
    for category in model.columns.categories:
        for i, value in enumerate(frame[category.name]):
            if pd.isna(value):
                text = NULL
            elif category.type == "boolean":
                text = "true" if value else "false"
            else:
                text = str(int(value)) if category.type == "integer" else value
            label = f"{category.name}={text}"
            total[i] += coef.get(label, coef.get(f"{category.name}={OTHER}", 0.0))
    return total


def test_the_fixture_has_a_case_of_everything(model: Model) -> None:
    labels = set(model.labels)
    assert {"a is null", "b <script> is null", "flag=(null)", "sure=true"} <= labels
    assert {f"city.of'birth={OTHER}", f"grade={OTHER}"} <= labels
    assert model.coef["constant"] == 0
    assert (model.coef[["a", "b <script>", "a is null", "flag=(null)"]] != 0).all()
    assert (model.coef[[f"city.of'birth={OTHER}", f"grade={OTHER}"]] != 0).any()


def test_predictions_are_the_sum_of_the_labelled_coefficients(
    model: Model, frame: pd.DataFrame
) -> None:
    np.testing.assert_allclose(model.predict(frame), by_hand(model, frame), rtol=1e-12)


def test_the_training_rows_have_the_stated_mean_and_deviation(
    model: Model, frame: pd.DataFrame
) -> None:
    predictions = model.predict(frame)
    assert predictions.mean() == pytest.approx(model.prediction_mean, rel=1e-10)
    assert predictions.std(ddof=0) == pytest.approx(model.prediction_sd, rel=1e-10)
    assert model.prediction_mean == pytest.approx(frame["y"].mean(), rel=1e-12)


def test_pandas_arrow_and_dask_frames_give_the_same_predictions(
    model: Model, rows: pa.Table, frame: pd.DataFrame
) -> None:
    # Dask makes text of columns of objects, such as booleans with nulls.
    frame = frame.astype({"flag": "boolean"})
    expected = model.predict(rows)
    np.testing.assert_array_equal(model.predict(frame), expected)
    np.testing.assert_array_equal(model.predict(rows.slice(100)), expected[100:])
    lazy = model.predict(dd.from_pandas(frame, npartitions=4))
    assert isinstance(lazy, dd.Series)
    np.testing.assert_array_equal(lazy.compute(), expected)


def test_a_dask_prediction_keeps_the_index_and_has_the_stated_meta(
    model: Model, frame: pd.DataFrame
) -> None:
    shuffled = frame.astype({"flag": "boolean"}).set_axis(np.arange(len(frame))[::-1] * 7)
    lazy = model.predict(dd.from_pandas(shuffled, npartitions=3, sort=False))
    found = lazy.compute()
    pd.testing.assert_index_equal(found.index, shuffled.index)
    assert (lazy.name, lazy.dtype, found.name, found.dtype) == ("prediction", "f8") * 2


@pytest.mark.parametrize(
    "convert",
    [
        lambda f: f.convert_dtypes(),
        lambda f: f.astype({"city.of'birth": "category"}),
        lambda f: f.astype({"city.of'birth": object}),
        lambda f: f.astype({"a": "float32"}).astype({"a": "float64"}).assign(a=f["a"]),
        lambda f: f.set_axis(range(7, 7 + len(f))),
        lambda f: f.iloc[:, ::-1],
        lambda f: f.assign(more="x"),
    ],
    ids=["nullable", "category", "object", "float", "index", "order", "more columns"],
)
def test_predictions_do_not_depend_on_how_pandas_holds_the_values(
    model: Model, frame: pd.DataFrame, convert
) -> None:
    np.testing.assert_array_equal(model.predict(convert(frame)), model.predict(frame))


@pytest.mark.parametrize(
    "type_", [pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string())], ids=str
)
def test_predictions_do_not_depend_on_how_arrow_holds_text(
    model: Model, rows: pa.Table, type_: pa.DataType
) -> None:
    place = rows.schema.get_field_index("city.of'birth")
    cast = rows.column(place).cast(type_)
    same = rows.set_column(place, "city.of'birth", cast)
    np.testing.assert_array_equal(model.predict(same), model.predict(rows))


def test_unseen_levels_get_the_effect_of_other(model: Model, frame: pd.DataFrame) -> None:
    unseen = frame.assign(**{"city.of'birth": "never seen", "grade": 99})
    np.testing.assert_allclose(model.predict(unseen), by_hand(model, unseen), rtol=1e-12)
    shift = model.predict(unseen) - model.predict(unseen.assign(grade=-77))
    np.testing.assert_array_equal(shift, 0)


def test_only_columns_with_an_effect_are_needed(model: Model, frame: pd.DataFrame) -> None:
    used = list(model.predictor.used)
    assert "constant" not in used
    np.testing.assert_array_equal(model.predict(frame[used]), model.predict(frame))


def test_a_missing_column_is_refused_by_name(model: Model, frame: pd.DataFrame) -> None:
    with pytest.raises(DataError) as caught:
        model.predict(frame.drop(columns="a"))
    assert str(caught.value).startswith("frame: lacks the column 'a'; expected the columns ")
    with pytest.raises(DataError):
        model.predict(pa.table({"a": [1.0]}))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("a", "text"),
        ("a", "1.5"),
        ("flag", "True"),
        ("city.of'birth", 5),
        ("city.of'birth", True),
        ("grade", "2"),
    ],
)
def test_a_column_of_another_type_than_in_training_is_refused_by_name(
    model: Model, frame: pd.DataFrame, name: str, value: object
) -> None:
    with pytest.raises(DataError) as caught:
        model.predict(frame.assign(**{name: value}))
    assert f"{name!r}" in str(caught.value)


def test_a_column_of_mixed_types_is_refused_by_name(model: Model, frame: pd.DataFrame) -> None:
    mixed = pd.Series([1, "a"] * (len(frame) // 2), dtype=object)
    with pytest.raises(DataError, match="'a'"):
        model.predict(frame.assign(a=mixed))


def test_no_rows_give_no_predictions(model: Model, rows: pa.Table, frame: pd.DataFrame) -> None:
    assert len(model.predict(rows.slice(0, 0))) == 0
    assert len(model.predict(frame.iloc[:0])) == 0


def test_a_model_without_any_effect_predicts_its_intercept(
    model: Model, frame: pd.DataFrame
) -> None:
    zero = dataclasses.replace(model.predictor, coef=np.zeros_like(model.predictor.coef))
    empty = dataclasses.replace(model, predictor=zero)
    expected = np.full(len(frame), model.intercept)
    np.testing.assert_array_equal(empty.predict(frame[[]]), expected)
    np.testing.assert_array_equal(empty.predict(pa.Table.from_pandas(frame)), expected)
    np.testing.assert_array_equal(empty.predict(dd.from_pandas(frame, npartitions=2)), expected)


def test_coefficients_come_by_label(model: Model) -> None:
    coef = model.coef
    assert list(coef.index) == list(model.labels)
    assert coef.index.is_unique
    np.testing.assert_array_equal(coef, model.predictor.coef)


def test_predicting_does_not_change_the_frame(model: Model, frame: pd.DataFrame) -> None:
    before = frame.copy(deep=True)
    model.predict(frame)
    pd.testing.assert_frame_equal(frame, before)


def test_the_model_gives_its_correlations_by_label(model: Model) -> None:
    frame = model.correlation
    assert frame is not None
    assert list(frame.index) == list(frame.columns) == list(model.labels)
    assert frame.loc["a", "a"] == pytest.approx(1)
    assert np.isnan(frame.loc["constant", "a"])
    many = dataclasses.replace(model.diagnostics.collinearity, correlation=None)
    diagnostics = dataclasses.replace(model.diagnostics, collinearity=many)
    assert dataclasses.replace(model, diagnostics=diagnostics).correlation is None
