import pickle
import sys

import dask
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from dask_ml.wrappers import ParallelPostFit
from sklearn.base import clone

from lasso_jobs.errors import DataError, ModelError
from lasso_jobs.models.model import Model

RELATIVE = 1e-10


@pytest.fixture(scope="module")
def typed(frame: pd.DataFrame) -> pd.DataFrame:
    """Dask makes text of booleans with nulls unless they have a type."""
    return frame.astype({"flag": "boolean"})


@pytest.fixture(scope="module")
def wrapped(model: Model) -> ParallelPostFit:
    return model.to_dask()


def test_it_predicts_what_model_and_pipeline_predict(
    wrapped: ParallelPostFit, model: Model, typed: pd.DataFrame
) -> None:
    shuffled = typed.set_axis(np.arange(len(typed))[::-1] * 7)
    lazy = wrapped.predict(dd.from_pandas(shuffled, npartitions=3, sort=False))
    assert isinstance(lazy, dd.Series)
    with dask.config.set(scheduler="synchronous"):
        found = lazy.compute()
    np.testing.assert_allclose(found, model.predict(typed), rtol=RELATIVE)
    np.testing.assert_allclose(found, model.to_sklearn().predict(typed), rtol=1e-14)
    pd.testing.assert_series_equal(found, wrapped.predict(shuffled), rtol=1e-14)
    pd.testing.assert_index_equal(found.index, shuffled.index)
    assert (lazy.name, lazy.dtype, found.name, found.dtype) == ("prediction", "f8") * 2


@pytest.mark.parametrize(
    "convert",
    [
        lambda f: f.convert_dtypes(),
        lambda f: f.convert_dtypes(dtype_backend="pyarrow"),
        lambda f: f.astype({"city.of'birth": "category", "grade": "category"}),
        lambda f: f.iloc[:, ::-1].assign(more=1),
        lambda f: f.assign(**{"city.of'birth": "never seen", "grade": 99}),
    ],
    ids=["nullable", "arrow", "category", "order and more columns", "unseen levels"],
)
def test_it_takes_the_frames_that_predict_takes(
    wrapped: ParallelPostFit, model: Model, typed: pd.DataFrame, convert
) -> None:
    changed = convert(typed)
    np.testing.assert_allclose(wrapped.predict(changed), model.predict(changed), rtol=RELATIVE)


def test_partitions_without_rows_have_no_predictions(
    wrapped: ParallelPostFit, model: Model, typed: pd.DataFrame
) -> None:
    source = dd.from_pandas(typed, npartitions=5)
    with dask.config.set(scheduler="synchronous"):
        some = wrapped.predict(source[source["noise"] > typed["noise"].iloc[:100].max()]).compute()
        none = wrapped.predict(source[source["noise"] > np.inf]).compute()
    expected = typed[typed["noise"] > typed["noise"].iloc[:100].max()]
    np.testing.assert_allclose(some, model.predict(expected), rtol=RELATIVE)
    assert (len(none), none.dtype) == (0, "f8")
    assert len(wrapped.predict(typed.iloc[:0])) == 0


@pytest.mark.parametrize(
    ("convert", "said"),
    [
        (lambda f: f.drop(columns="flag"), "^frame: lacks the column 'flag'"),
        (lambda f: f.assign(a="1.5"), "^frame, column 'a': has type large_string; expected number"),
        (lambda f: f.assign(flag="x"), "^frame, column 'flag': has type .*string; expected bool"),
        (lambda f: f.assign(**{"city.of'birth": 7}), "^frame, column .* has type int64; expected "),
        (pa.Table.from_pandas, "^frame: is a Table; expected a frame of pandas or dask"),
        (pd.DataFrame.to_numpy, "^frame: is a ndarray; expected a frame of pandas or dask"),
        (lambda f: None, "^frame: is a NoneType; "),
    ],
)
def test_other_frames_than_in_training_are_refused_as_by_predict(
    wrapped: ParallelPostFit, typed: pd.DataFrame, convert, said: str
) -> None:
    with pytest.raises(DataError, match=said):
        wrapped.predict(convert(typed))


def test_a_call_computes_nothing(wrapped: ParallelPostFit, typed: pd.DataFrame) -> None:
    def refuse(part: pd.DataFrame) -> pd.DataFrame:
        raise AssertionError("computed")

    source = dd.from_pandas(typed, npartitions=2)
    lazy = wrapped.predict(source.map_partitions(refuse, meta=source._meta))
    with dask.config.set(scheduler="synchronous"), pytest.raises(AssertionError, match="computed"):
        lazy.compute()


def test_it_can_be_sent_to_workers_cloned_and_scored(
    wrapped: ParallelPostFit, typed: pd.DataFrame
) -> None:
    sent = pickle.loads(pickle.dumps(wrapped))
    pd.testing.assert_series_equal(sent.predict(typed), wrapped.predict(typed))
    assert type(clone(wrapped).estimator) is type(wrapped.estimator)
    y = typed["y"]
    r2 = 1 - ((y - wrapped.predict(typed)) ** 2).sum() / ((y - y.mean()) ** 2).sum()
    assert wrapped.score(typed, y) == pytest.approx(r2, rel=1e-12)


def test_without_dask_ml_it_says_what_to_install(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "dask_ml.wrappers", None)
    with pytest.raises(ModelError, match=r"pip install 'lasso_jobs\[compare\]'"):
        model.to_dask()
