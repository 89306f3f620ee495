import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.linear_model import Lasso
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from lasso_jobs.core.fit.predict import Predictor
from lasso_jobs.core.rows.blocks.block import Block
from lasso_jobs.core.rows.columns import Category, Columns

COLUMNS = Columns(
    ("a", "b", "c"),
    (Category("d", ("x",), True, "string"), Category("e", ("1", "2"), True, "integer")),
)
# a, b, c, d=x, d=(other), e=1, e=2, e=(other), "b is null", "c is null"
COEF = np.array([2.0, -1.0, 0.5, 10.0, 20.0, 100.0, 200.0, 300.0, 7.0, -3.0])
MODEL = Predictor(
    columns=COLUMNS, indicators=(1, 2), fill=np.array([1.0, 2.0, 3.0]), coef=COEF, intercept=0.25
)
FEATURES = ("a", "b", "c", "d", "e")


def block(n: int = 200, seed: int = 0) -> Block:
    rng = np.random.default_rng(seed)
    numeric = rng.normal(size=(3, n))
    numeric[rng.random((3, n)) < 0.2] = np.nan
    codes = rng.integers(-1, [[2], [3]], (2, n)).astype(np.int32)
    return Block(n, tuple(numeric), tuple(codes))


def by_hand(model: Predictor, rows: Block) -> NDArray[np.float64]:
    """Row by row, term by term."""
    predictions = []
    for i in range(rows.n_rows):
        total = model.intercept
        for j, values in enumerate(rows.numeric):
            null = bool(np.isnan(values[i]))
            total += model.coef[j] * (model.fill[j] if null else values[i])
            if null and j in model.indicators:
                total += model.coef[model.columns.n_columns + model.indicators.index(j)]
        start = len(rows.numeric)
        for category, codes in zip(model.columns.categories, rows.codes, strict=True):
            if codes[i] >= 0:
                total += model.coef[start + codes[i]]
            start += category.width
        predictions.append(total)
    return np.array(predictions)


def part(rows: Block, features: tuple[str, ...]) -> Block:
    return Block(
        rows.n_rows,
        tuple(v for name, v in zip("abc", rows.numeric, strict=True) if name in features),
        tuple(v for name, v in zip("de", rows.codes, strict=True) if name in features),
    )


def test_a_prediction_is_the_sum_of_its_terms() -> None:
    assert_allclose(MODEL.predict(block()), by_hand(MODEL, block()), rtol=1e-12, atol=1e-12)


def test_a_null_is_filled_and_its_indicator_counts() -> None:
    nothing = np.array([-1], np.int32)
    rows = Block(1, (np.zeros(1), np.full(1, np.nan), np.zeros(1)), (nothing, nothing))
    assert MODEL.predict(rows).tolist() == [0.25 - 1.0 * 2.0 + 7.0]


def test_a_null_without_an_indicator_is_filled() -> None:
    nothing = np.array([-1], np.int32)
    rows = Block(1, (np.full(1, np.nan), np.zeros(1), np.zeros(1)), (nothing, nothing))
    assert MODEL.predict(rows).tolist() == [0.25 + 2.0 * 1.0]


def test_a_level_without_an_indicator_adds_nothing() -> None:
    zero, nothing, other = np.zeros(1), np.array([-1], np.int32), np.array([2], np.int32)
    assert MODEL.predict(Block(1, (zero, zero, zero), (nothing, nothing))).tolist() == [0.25]
    assert MODEL.predict(Block(1, (zero, zero, zero), (nothing, other))).tolist() == [300.25]


def test_an_indicator_counts_where_its_column_has_no_coefficient() -> None:
    coef = np.where(np.arange(10) == 1, 0.0, COEF)
    model = Predictor(
        columns=COLUMNS, indicators=(1, 2), fill=MODEL.fill, coef=coef, intercept=0.25
    )
    assert_allclose(model.predict(block()), by_hand(model, block()), rtol=1e-12, atol=1e-12)


def test_the_values_of_a_feature_that_is_not_used_do_not_matter() -> None:
    coef = np.where(np.isin(np.arange(10), [0, 3, 4]), 0.0, COEF)
    model = Predictor(
        columns=COLUMNS,
        indicators=(1, 2),
        fill=np.array([np.inf, 2.0, 3.0]),
        coef=coef,
        intercept=0.25,
    )
    rows = block()
    other = Block(
        200, (np.full(200, np.nan), *rows.numeric[1:]), (rows.codes[0] * 0, rows.codes[1])
    )
    assert np.isfinite(model.predict(rows)).all()
    assert_array_equal(model.predict(other), model.predict(rows))


def test_no_rows_have_no_predictions() -> None:
    assert MODEL.predict(block(0)).shape == (0,)


def test_predicting_leaves_the_block_as_it_was() -> None:
    rows, before = block(), block()
    MODEL.predict(rows)
    assert_array_equal(rows.numeric, before.numeric)


def test_predictions_are_those_of_a_pipeline_with_the_same_coefficients() -> None:
    rows = block()
    y = np.nan_to_num(rows.numeric[0]) + rows.codes[0] + np.random.default_rng(1).normal(size=200)
    frame = np.column_stack([*rows.numeric, *rows.codes])
    levels = OneHotEncoder(
        categories=[range(2), range(3)], handle_unknown="ignore", sparse_output=False
    )
    columns = ColumnTransformer(
        [
            ("fill", SimpleImputer(), [0, 1, 2]),
            ("level", levels, [3, 4]),
            ("null", MissingIndicator(), [1, 2]),
        ]
    )
    pipeline = make_pipeline(columns, Lasso(alpha=1e-3, max_iter=10**5)).fit(frame, y)
    lasso = pipeline[-1]
    fill = pipeline[0].named_transformers_["fill"].statistics_
    model = Predictor(
        columns=COLUMNS,
        indicators=(1, 2),
        fill=fill,
        coef=lasso.coef_,
        intercept=float(lasso.intercept_),
    )
    assert_allclose(model.predict(rows), pipeline.predict(frame), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("feature", "places"),
    [("a", [0]), ("b", [1, 8]), ("c", [2, 9]), ("d", [3, 4]), ("e", [5, 6, 7])],
)
def test_a_feature_has_the_coefficients_of_its_columns_and_its_indicator(
    feature: str, places: list[int]
) -> None:
    assert MODEL.positions(feature) == places


@pytest.mark.parametrize(
    ("nonzero", "used"),
    [([], ()), ([0], ("a",)), ([9], ("c",)), ([4, 7], ("d", "e")), (range(10), FEATURES)],
)
def test_a_feature_is_used_if_any_of_its_coefficients_is_not_zero(
    nonzero: list[int], used: tuple[str, ...]
) -> None:
    coef = np.where(np.isin(np.arange(10), nonzero), COEF, 0.0)
    assert (
        Predictor(
            columns=COLUMNS, indicators=(1, 2), fill=MODEL.fill, coef=coef, intercept=0.25
        ).used
        == used
    )


@pytest.mark.parametrize(
    "features", [(), ("b",), ("c", "a"), ("e",), ("a", "d"), ("c", "d", "e"), FEATURES]
)
def test_the_model_of_some_features_is_the_model_with_the_other_coefficients_zero(
    features: tuple[str, ...],
) -> None:
    rows, kept = block(), [j for name in features for j in MODEL.positions(name)]
    coef = np.where(np.isin(np.arange(10), kept), COEF, 0.0)
    expected = by_hand(
        Predictor(columns=COLUMNS, indicators=(1, 2), fill=MODEL.fill, coef=coef, intercept=0.25),
        rows,
    )
    found = MODEL.only(features)
    assert found.columns.features == tuple(name for name in FEATURES if name in features)
    assert_allclose(found.predict(part(rows, features)), expected, rtol=1e-12, atol=1e-12)
