import numpy as np
import pytest
from numpy.testing import assert_allclose
from numpy.typing import NDArray

from lasso_jobs.core.fit import design as d
from lasso_jobs.core.fit import one_alpha
from lasso_jobs.core.fit.predict import Predictor
from lasso_jobs.core.fit.squared_error import explained_alone, mean_squared_error
from lasso_jobs.core.rows.blocks.block import Block
from lasso_jobs.core.rows.blocks.matrix import lay_out
from lasso_jobs.core.rows.centring import of_rows
from lasso_jobs.core.rows.columns import Category, Columns
from lasso_jobs.core.rows.moments import Moments
from lasso_jobs.training.search import predictor_of

N = 400
COLUMNS = Columns(
    ("a", "b", "c"),
    (Category("d", ("x", "y", "z"), False, "string"), Category("e", ("1", "2"), True, "integer")),
)
# a, b, c, d=x, d=y, d=z, e=1, e=2, e=(other), "b is null", "c is null"
COEF = np.array([2.0, -1.0, 0.5, 10.0, 20.0, -5.0, 100.0, 200.0, 300.0, 7.0, -3.0])
MODEL = Predictor(
    columns=COLUMNS, indicators=(1, 2), fill=np.array([1.0, 2.0, 3.0]), coef=COEF, intercept=0.25
)


def held(offset: float = 0.0) -> tuple[Block, NDArray[np.float64], NDArray[np.float64], Moments]:
    """Rows, their target, their weights, and their moments."""
    rng = np.random.default_rng(0)
    numeric = rng.normal(offset, 1, size=(3, N))
    numeric[1:, rng.random(N) < 0.2] = np.nan
    codes = rng.integers(0, [[3], [3]], (2, N)).astype(np.int32)
    block, target = Block(N, tuple(numeric), tuple(codes)), rng.normal(100, 50, N)
    weights, values = rng.uniform(0, 2, N), np.empty((COLUMNS.n_columns + 1, N))
    list(lay_out(values, COLUMNS, block, order=np.arange(N), target=target))
    return block, target, weights, of_rows(values, weights)


def on_rows(model: Predictor, rows: Block, target: NDArray[np.float64], weights: object) -> float:
    return float(np.average((target - model.predict(rows)) ** 2, weights=weights))


@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_it_is_that_of_the_rows(offset: float) -> None:
    rows, target, weights, moments = held(offset)
    found = mean_squared_error(MODEL, COLUMNS, moments)
    assert_allclose(found, on_rows(MODEL, rows, target, weights), rtol=1e-10)


def test_a_model_of_other_columns_levels_and_fills_is_measured() -> None:
    rows, target, weights, moments = held()
    # Of d, y is in (other); of e, 2 has no effect; the matrix's (other) stays in (other).
    categories = (
        Category("e", ("1",), True, "integer"),
        Category("d", ("w", "x"), True, "string"),
    )
    columns = Columns(("c", "a"), categories)
    coef = np.array([3.0, 1.0, 5.0, 50.0, 99.0, 7.0, -2.0, 4.0])  # c, a, e=1, e, d=w, x, d, c null
    model = Predictor(
        columns=columns, indicators=(0,), fill=np.array([-1.0, 0.0]), coef=coef, intercept=2.0
    )
    d, e = rows.codes
    theirs = Block(
        N,
        (rows.numeric[2], rows.numeric[0]),
        (np.where(e == 0, 0, 1).astype(np.int32), np.where(d == 0, 1, 2).astype(np.int32)),
    )
    found = mean_squared_error(model, columns=COLUMNS, rows=moments)
    assert_allclose(found, on_rows(model, theirs, target, weights), rtol=1e-10)


def test_a_model_of_no_columns_is_measured() -> None:
    _, target, weights, moments = held()
    model = Predictor(
        columns=Columns((), ()), indicators=(), fill=np.empty(0), coef=np.empty(0), intercept=90.0
    )
    expected = np.average((target - 90) ** 2, weights=weights)
    assert_allclose(mean_squared_error(model, COLUMNS, moments), expected)


@pytest.mark.parametrize(
    "columns",
    [
        Columns(("f",), ()),
        Columns((), (Category("d", ("x",), False, "boolean"),)),
        Columns((), (Category("a", ("x",), False, "string"),)),
        Columns((), (Category("e", ("3",), False, "integer"),)),  # rows of 3 are in (other)
    ],
)
def test_a_model_that_needs_what_is_not_there_is_not_measured(columns: Columns) -> None:
    model = Predictor(
        columns=columns,
        indicators=(),
        fill=np.zeros(len(columns.numeric)),
        coef=np.ones(1),
        intercept=0.0,
    )
    assert mean_squared_error(model, COLUMNS, held()[-1]) is None


@pytest.mark.parametrize("drop_first", [False, True])
@pytest.mark.parametrize("strong", ["a", "c", "d", "f"])
def test_the_feature_that_explains_most_by_itself(strong: str, drop_first: bool) -> None:
    """Against R2 of least squares on the columns of one feature, by numpy."""
    rng = np.random.default_rng(3)
    columns = Columns(
        ("a", "b", "c"),
        (
            Category("d", ("x", "y", "z"), False, "string"),
            Category("f", ("false", "true"), False, "boolean"),
        ),
    )
    numeric = rng.normal(size=(3, N))
    numeric[2, rng.random(N) < 0.3] = np.nan
    codes = np.array([rng.integers(0, 3, N), rng.integers(0, 2, N)], np.int32)
    effects = {
        "a": numeric[0],
        "c": np.isnan(numeric[2]).astype(float),
        "d": np.array([0.0, 3.0, -1.0])[codes[0]],
        "f": codes[1].astype(float),
    }
    target = 20 * effects[strong] + rng.normal(size=N)
    values = np.empty((columns.n_columns + 1, N))
    block = Block(N, tuple(numeric), tuple(codes))
    list(lay_out(values, columns, block, order=np.arange(N), target=target))
    recipe = d.Recipe(columns=columns, indicators=(2,), drop_first=drop_first)
    rows = of_rows(values)
    fit = one_alpha.fit(recipe, rows, np.array([0.1]))
    found = explained_alone(fit.design, predictor_of(recipe, fit))
    assert found is not None
    name, share = found
    by_itself = {
        "a": numeric[:1],
        "c": np.isnan(numeric[2:]).astype(float),
        "d": np.eye(3)[codes[0]].T,
        "f": codes[1:].astype(float),
    }[strong]
    design = np.vstack([np.ones(N), by_itself]).T
    residuals = target - design @ np.linalg.lstsq(design, target, rcond=None)[0]
    assert name == strong
    if not (drop_first and strong == "d"):  # of three levels one is left out
        assert_allclose(share, 1 - residuals.var() / target.var(), rtol=1e-9)
