import dataclasses

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.pipeline import Pipeline

from lasso_jobs.core.fit.predict import Predictor
from lasso_jobs.core.rows.columns import Category, Columns
from lasso_jobs.models.model import Model

RELATIVE = 1e-12


@pytest.fixture(scope="module")
def pipeline(model: Model) -> Pipeline:
    return model.to_sklearn()


def same(pipeline: Pipeline, model: Model, frame: pd.DataFrame) -> None:
    np.testing.assert_allclose(pipeline.predict(frame), model.predict(frame), rtol=RELATIVE)


@pytest.mark.parametrize(
    "change",
    [
        lambda f: f,
        lambda f: f.iloc[:1],
        lambda f: f.dropna(),
        lambda f: f.assign(a=np.nan),
        lambda f: f.assign(a=None),
        lambda f: f.astype({"a": "float32", "noise": "float16"}),
        lambda f: f.assign(**{"city.of'birth": "never seen"}),
        lambda f: f.assign(grade=99),
        lambda f: f.assign(grade=f["grade"].fillna(1).astype("int64")),
        lambda f: f.assign(flag=f["flag"].fillna(True).astype(bool)),
        lambda f: f.astype({"city.of'birth": object}),
        lambda f: f.astype({"city.of'birth": "string"}),
        lambda f: f.astype({"city.of'birth": "category"}),
        lambda f: f.convert_dtypes(),
        lambda f: f.convert_dtypes(dtype_backend="pyarrow"),
        lambda f: f.iloc[:, ::-1].assign(more=1),
        lambda f: f.sample(frac=1.0, random_state=0),
    ],
    ids=[
        "as it is",
        "one row",
        "no nulls",
        "only nulls",
        "only None",
        "short floats",
        "unseen text",
        "unseen integer",
        "integers",
        "booleans",
        "objects",
        "nullable text",
        "categories",
        "nullable",
        "arrow",
        "other order",
        "shuffled",
    ],
)
def test_the_pipeline_predicts_what_the_model_predicts(
    pipeline: Pipeline, model: Model, frame: pd.DataFrame, change
) -> None:
    same(pipeline, model, change(frame))


def test_null_text_may_be_none_or_nan(
    pipeline: Pipeline, model: Model, frame: pd.DataFrame
) -> None:
    text = frame["city.of'birth"].astype(object)
    for null in (None, np.nan, pd.NA):
        same(pipeline, model, frame.assign(**{"city.of'birth": text.where(text.notna(), null)}))


def test_null_booleans_may_be_none_or_nan(
    pipeline: Pipeline, model: Model, frame: pd.DataFrame
) -> None:
    flag = frame["flag"].astype(object)
    for null in (None, np.nan):
        same(pipeline, model, frame.assign(flag=flag.where(flag.notna(), null)))


def test_the_coefficients_are_those_per_deviation(pipeline: Pipeline, model: Model) -> None:
    lasso = pipeline[-1]
    (place,) = [i for i, label in enumerate(model.labels) if label == "a"]
    assert lasso.coef_[place] == pytest.approx(model.coef["a"] * model.deviations[place], rel=1e-12)
    assert lasso.alpha == model.alpha


def test_the_pipeline_can_be_cloned_for_a_fit_of_its_own(
    pipeline: Pipeline, frame: pd.DataFrame
) -> None:
    fresh = clone(pipeline).fit(frame.drop(columns="y"), frame["y"])
    assert fresh.score(frame.drop(columns="y"), frame["y"]) > 0.6


def built(columns: Columns, coef: list[float], model: Model) -> Model:
    """A model by hand, in the units of the data."""
    p, ones = len(coef), np.ones(len(coef))
    numeric = np.arange(len(columns.numeric)) + 0.5
    predictor = Predictor(
        columns=columns, indicators=(), fill=numeric, coef=np.array(coef), intercept=7.0
    )
    return dataclasses.replace(
        model, predictor=predictor, means=np.arange(p) * 0.1, deviations=2 * ones, scales=ones
    )


def test_a_model_of_numbers_only_is_converted(model: Model) -> None:
    numbers = built(Columns(("x", "y"), ()), [1.5, 0.0], model)
    frame = pd.DataFrame({"x": [1.1, np.nan, -3], "y": [1.0, 2, 3]})
    for each in (frame, frame.astype("float32"), frame.convert_dtypes()):
        same(numbers.to_sklearn(), numbers, each)


def test_a_model_of_categories_only_is_converted(model: Model) -> None:
    levels = Category("s", ("a", "b", None), False, "string")
    texts = built(Columns((), (levels,)), [1.0, 2.0, 4.0], model)
    same(texts.to_sklearn(), texts, pd.DataFrame({"s": ["b", "a", None, "unseen"]}))


@pytest.mark.parametrize("other", [True, False])
@pytest.mark.parametrize(
    ("category", "values"),
    [
        (Category("s", ("a", "b"), True, "string"), ["a", "b", "unseen"]),
        (Category("s", ("a", None), True, "string"), ["a", None, "unseen"]),
        (Category("s", ("-1", "2", "10"), True, "integer"), [-1, 2, 10, 3]),
        (Category("s", ("2", None), True, "integer"), [2, np.nan, 3]),
        (Category("s", ("false", "true"), True, "boolean"), [True, False]),
        (Category("s", ("true", None), True, "boolean"), [True, None, False]),
        (Category("s", (None,), True, "string"), ["a", None]),
    ],
    ids=str,
)
def test_levels_of_every_type_are_converted(
    model: Model, category: Category, values: list[object], other: bool
) -> None:
    category = dataclasses.replace(category, other=other)
    coef = [5.0, *(2.0**k for k in range(category.width))]
    mixed = built(Columns(("x",), (category,)), coef, model)
    same(mixed.to_sklearn(), mixed, pd.DataFrame({"x": 1.0, "s": values}))


@pytest.mark.parametrize("name", ["a__b", "numeric", "null indicators", "<b>", "a.b", "two words"])
def test_categories_of_any_name_are_converted(model: Model, name: str) -> None:
    columns = Columns(("x",), (Category(name, ("a", "b"), True, "string"),))
    named = built(columns, [1.0, 2.0, 3.0, 4.0], model)
    same(named.to_sklearn(), named, pd.DataFrame({"x": 1.0, name: ["a", "b", "c"]}))
