import dataclasses
import json
import subprocess
import sys
import textwrap
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from numpy.testing import assert_allclose

from lasso_jobs import LassoJobsError, export_model
from lasso_jobs.core.fit.predict import Predictor
from lasso_jobs.core.rows.columns import Category, Columns
from lasso_jobs.exports.mlflow_loader import LinearModel, _load_pyfunc
from lasso_jobs.models.model import Model

CLOSE = {"rtol": 1e-12, "atol": 1e-9}

ALONE = """
    import sys

    class Blocked:
        def find_spec(self, name, path=None, target=None):
            if name.partition(".")[0] == "lasso_jobs":
                raise ModuleNotFoundError(f"No module named {name!r}")

    sys.meta_path.insert(0, Blocked())
    import joblib
    import numpy as np
    import pandas as pd

    np.save(sys.argv[3], joblib.load(sys.argv[1]).predict(pd.read_pickle(sys.argv[2])))
    assert not [name for name in sys.modules if name.startswith("lasso_jobs")]
"""


@pytest.mark.slow
def test_the_scikit_learn_file_predicts_where_this_package_is_not(
    plain_model: Model, frame: pd.DataFrame, tmp_path: Path
) -> None:
    place = export_model(plain_model, "sklearn", tmp_path / "odd.joblib")
    frame.to_pickle(tmp_path / "rows.pickle")
    arguments = [place, tmp_path / "rows.pickle", tmp_path / "out.npy"]
    command = [sys.executable, "-c", textwrap.dedent(ALONE), *map(str, arguments)]
    subprocess.run(command, check=True, cwd=tmp_path)
    found = np.load(tmp_path / "out.npy")
    assert_allclose(found, plain_model.predict(frame), **CLOSE)


def test_a_scikit_learn_file_of_dates_is_refused(model: Model, tmp_path: Path) -> None:
    with pytest.raises(LassoJobsError, match="vectors in 'vector'"):
        export_model(model, "sklearn", tmp_path / "odd.joblib")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("backend", [None, "numpy_nullable", "pyarrow"])
def test_the_loader_of_the_mlflow_folder_predicts_the_same(
    model: Model, frame: pd.DataFrame, tmp_path: Path, backend: str | None
) -> None:
    place = Path(export_model(model, "mlflow", tmp_path / "odd"))
    predictor = _load_pyfunc(str(place / "coefficients.json"))
    rows = frame if backend is None else frame.convert_dtypes(dtype_backend=backend)
    assert_allclose(predictor.predict(rows), model.predict(frame), **CLOSE)
    text = (place / "code" / "lasso_jobs_coefficients_1.py").read_text()
    assert "import lasso_jobs" not in text
    assert "from lasso_jobs" not in text


@pytest.mark.parametrize("null", [None, float("nan"), np.float64("nan"), pd.NA, pd.NaT])
def test_the_loader_takes_every_null_of_a_column_of_vectors(
    model: Model, frame: pd.DataFrame, null: object
) -> None:
    vectors = [null if i % 3 == 0 else v for i, v in enumerate(frame["vector"])]
    expected = frame.assign(vector=[None if v is null else v for v in vectors])
    found = LinearModel(json.loads(export_model(model, "json"))).predict(
        frame.assign(vector=pd.Series(vectors, dtype=object))
    )
    assert_allclose(found, model.predict(expected), **CLOSE)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"format": "onnx"}, "onnx is not offered: .* single precision"),
        ({"format": "pmml"}, "pmml is not offered: .* Java"),
        ({"format": "excel"}, "is 'excel'; expected sql or sklearn or mlflow or json or csv"),
        ({"format": "sklearn"}, "output: is not given"),
        ({"format": "mlflow"}, "output: is not given"),
        ({"format": "sql", "dialect": "oracle"}, "dialect: is 'oracle'; expected duckdb or"),
    ],
)
def test_options_that_cannot_be_right_are_refused(
    model: Model, options: dict[str, str], message: str
) -> None:
    with pytest.raises(LassoJobsError, match=message):
        export_model(model, **options)


def test_an_mlflow_folder_takes_no_place_of_another(model: Model, tmp_path: Path) -> None:
    place = export_model(model, "mlflow", tmp_path / "deep" / "odd")
    with pytest.raises(LassoJobsError, match="is there already"):
        export_model(model, "mlflow", place)
    with pytest.raises(LassoJobsError, match="is a URI"):
        export_model(model, "mlflow", "s3://bucket/odd")
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["odd"]


def test_an_offset_is_in_every_export_and_its_null_is_no_prediction(
    plain_model: Model, frame: pd.DataFrame, tmp_path: Path
) -> None:
    predictor = dataclasses.replace(
        plain_model.predictor,
        offset="order",
        coef=np.where(np.array(plain_model.labels) == "order", 1.0, plain_model.predictor.coef),
        indicators=(),
    )
    first = predictor.columns.n_columns
    predictor = dataclasses.replace(predictor, coef=predictor.coef[:first])
    own = dataclasses.replace(
        plain_model,
        predictor=predictor,
        means=plain_model.means[:first],
        deviations=plain_model.deviations[:first],
    )
    rows = frame.dropna(subset="order")
    expected = own.predict(rows)
    place = Path(export_model(own, "mlflow", tmp_path / "odd")) / "coefficients.json"
    assert_allclose(_load_pyfunc(str(place)).predict(rows), expected, **CLOSE)
    assert np.isnan(_load_pyfunc(str(place)).predict(frame)[frame["order"].isna()]).all()
    assert_allclose(own.to_sklearn().predict(rows), expected, **CLOSE)
    with duckdb.connect() as connection:
        connection.register("rows", pa.Table.from_pandas(frame, preserve_index=False))
        found = connection.sql(f"SELECT {export_model(own, 'sql')} AS p FROM rows")
        values = found.to_arrow_table()["p"].to_pandas()
    assert (values.isna() == frame["order"].isna()).all()
    assert_allclose(values.dropna(), expected, **CLOSE)


@pytest.mark.parametrize("option", ["table", "dialect"])
def test_an_option_of_sql_is_refused_with_another_format(plain_model: Model, option: str) -> None:
    with pytest.raises(LassoJobsError, match=f"{option}: is given with csv"):
        export_model(plain_model, "csv", **{option: "spark"})


def test_a_model_without_a_column_is_no_pipeline_but_everything_else(
    plain_model: Model, tmp_path: Path
) -> None:
    columns = Columns((), (Category("c", (), True, "string"),))
    predictor = Predictor(
        columns=columns, indicators=(), fill=np.array([]), coef=np.array([0.0]), intercept=7.0
    )
    own = dataclasses.replace(plain_model, predictor=predictor)
    with pytest.raises(LassoJobsError, match="has no numbers, and no levels of categories"):
        export_model(own, "sklearn", tmp_path / "none.joblib")
    assert not any(tmp_path.iterdir())
    rows = pa.table({"c": ["a", None]})
    found = duckdb.sql(f"SELECT {export_model(own, 'sql')} AS p FROM rows").to_arrow_table()
    assert found["p"].to_pylist() == np.asarray(own.predict(rows)).tolist() == [7.0, 7.0]
