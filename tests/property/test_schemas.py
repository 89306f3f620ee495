"""Random files of one dataset are trained and scored as pandas and scikit-learn do it.

Each column is of one kind, and has a type of its own in each file; some files have no rows, lack a
feature, or have a column without a value. The oracle reads the same files with pandas.
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from numpy.typing import NDArray
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Lasso
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from lasso_jobs import ScoreJob, TrainJob, score, train

Floats = NDArray[np.float64]
Values = dict[str, Any]

INTEGERS = [pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint64()]
NUMBERS = [
    *(*INTEGERS, pa.float16(), pa.float32(), pa.float64()),
    *(pa.decimal128(9, 2), pa.decimal128(38, 10), pa.decimal256(40, 3)),
]
TEXTS = [
    *(pa.string(), pa.large_string(), pa.string_view()),
    *(pa.dictionary(pa.int8(), pa.string()), pa.dictionary(pa.int32(), pa.large_string())),
]
KINDS: dict[str, list[pa.DataType]] = {
    "number": NUMBERS,
    "text": TEXTS,
    "boolean": [pa.bool_(), pa.bool_(), pa.int8(), pa.float64()],
}
DAYS = [[pa.date32(), pa.date64()], [pa.timestamp(unit) for unit in ("s", "ms", "us", "ns")]]
FIRST, LAST = 19_700, 19_760  # days since 1970
FOLDS = 3
ALPHAS = [2.0, 0.05]
N_FEATURES = 4


@dataclass(frozen=True)
class File:
    """How a file has each column: as a type, as none without a value, or not at all."""

    n_rows: int
    types: dict[str, pa.DataType | None]


@dataclass(frozen=True)
class Case:
    """The files of a dataset, and what their columns are."""

    seed: int
    kinds: dict[str, str]
    null_share: float
    files: list[File]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    kinds = {f"x{i}": draw(st.sampled_from([*KINDS])) for i in range(N_FEATURES)}
    days = draw(st.sampled_from(DAYS))
    files = []
    for _ in range(draw(st.integers(2, 4))):
        types: dict[str, pa.DataType | None] = {
            "id": draw(st.sampled_from(INTEGERS[2:4])),
            "y": draw(st.sampled_from(NUMBERS)),
            "fold": draw(st.sampled_from(NUMBERS)),
            "day": draw(st.sampled_from(days)),
        }
        for name, kind in kinds.items():
            fate = draw(st.sampled_from(["typed"] * 6 + ["untyped", "absent"]))
            if fate == "typed":
                types[name] = draw(st.sampled_from(KINDS[kind]))
            elif fate == "untyped":
                types[name] = pa.null()
        files.append(File(draw(st.sampled_from([0, 1, 40, 90])), types))
    null_share = draw(st.sampled_from([0.0, 0.1, 0.4]))
    return Case(draw(st.integers(0, 2**16)), kinds, null_share, files)


def column(values: Floats, kind: str, type_: pa.DataType) -> pa.Array:
    """Whole numbers, of which NaN is null, as a column of some type."""
    if pa.types.is_null(type_):
        return pa.nulls(len(values))
    if kind == "text":
        texts = [None if np.isnan(v) else f"level {v:g}" for v in values]
        if pa.types.is_dictionary(type_):
            return pa.array(texts, type_.value_type).dictionary_encode().cast(type_)
        return pa.array(texts, pa.string()).cast(type_)
    whole = pa.array(values, pa.float64(), from_pandas=True).cast(pa.int64())
    if kind == "day":
        return whole.cast(pa.int32()).cast(pa.date32()).cast(type_)
    if pa.types.is_decimal(type_):
        return whole.cast(pa.decimal128(19, 0)).cast(type_)
    return whole.cast(type_)


def write(case: Case, folder: Path) -> None:
    rng, start = np.random.default_rng(case.seed), 0
    for number, file in enumerate(case.files):
        n, columns, fields = file.n_rows, [], []
        effects: Floats = rng.integers(0, 6, n).astype(float)
        values = {
            "id": np.arange(start, start + n, dtype=float),
            "fold": rng.integers(0, FOLDS, n).astype(float),
            "day": rng.integers(FIRST, LAST, n).astype(float),
        }
        for i, (name, kind) in enumerate(case.kinds.items()):
            drawn: Floats = rng.integers(0, {"number": 60, "text": 4, "boolean": 2}[kind], n) + 0.0
            effects += drawn * [0.5, 6.0, -0.25, 4.0][i]
            drawn[rng.random(n) < case.null_share] = np.nan
            values[name] = drawn
        values["y"] = np.clip(effects.round(), 0, 120)
        values["y"][rng.random(n) < case.null_share / 2] = np.nan
        for name, type_ in file.types.items():
            if type_ is not None:
                kind = case.kinds.get(name, "day" if name == "day" else "number")
                made = column(values[name], kind, type_)
                columns.append(made)
                fields.append(pa.field(name, made.type, nullable=made.null_count > 0 or not n))
        order = rng.permutation(len(fields))  # columns come in any order
        schema = pa.schema([fields[i] for i in order])
        table = pa.table([columns[i] for i in order], schema=schema)
        pq.write_table(table, folder / f"{number}.parquet", row_group_size=50)
        start += n


def read_by_pandas(case: Case, folder: Path) -> tuple[pd.DataFrame, list[str], list[str]]:
    """All rows, numbers as floats and levels as texts; the features that are which."""
    frames = [pd.read_parquet(path) for path in sorted(folder.iterdir())]
    frame = pd.concat([part.astype(object) for part in frames], ignore_index=True)
    present = {name: [t for f in case.files if (t := f.types.get(name))] for name in case.kinds}
    levels = [
        name
        for name, kind in case.kinds.items()
        if set(present[name]) - {pa.null()}
        and (kind == "text" or set(present[name]) <= {pa.bool_(), pa.null()})
    ]
    numbers = [name for name in case.kinds if name not in levels and present[name]]
    for name in ("y", "fold", *numbers):
        known = frame[name][frame[name].notna()]
        frame[name] = known.map(float).reindex(frame.index).astype(float)
    for name in levels:
        frame[name] = frame[name].map(str).where(frame[name].notna(), "(null)")
    frame["day"] = pd.to_datetime(frame["day"])
    return frame, numbers, levels


def pipeline(numbers: list[str], levels: list[str], alpha: float) -> Pipeline:
    columns = make_column_transformer(
        (SimpleImputer(keep_empty_features=True), numbers),
        (OneHotEncoder(handle_unknown="ignore", sparse_output=False), levels),
    )
    lasso = Lasso(alpha, tol=1e-13, max_iter=100_000)
    return make_pipeline(columns, StandardScaler(), lasso)


def is_unique(fitted: Pipeline, X: pd.DataFrame, y: pd.Series) -> bool:
    """Whether no other coefficients have the same objective.

    The columns whose gradient is at its bound have full rank then (Tibshirani 2013, lemma 2). Where
    they have not, as with all levels of two texts in a few rows, scikit-learn's own error on other
    rows depends on the order of its columns.
    """
    Z, lasso = fitted[:-1].transform(X), fitted[-1]
    gradient = np.abs(Z.T @ (y - lasso.predict(Z)).to_numpy()) / len(Z)
    at_bound = Z[:, gradient > lasso.alpha * (1 - 1e-6)]
    return bool(np.linalg.matrix_rank(at_bound) == at_bound.shape[1])


def check(case: Case) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "data").mkdir()
        write(case, root / "data")
        frame, numbers, levels = read_by_pandas(case, root / "data")
        middle = pd.Timestamp((FIRST + LAST) // 2, unit="D")
        kept = frame[frame["day"] < middle]
        rows, features = kept[kept["y"].notna()], [*numbers, *levels]
        assume(features and len(rows) > 15 and rows["y"].nunique() > 2)
        parts = [rows[rows["fold"] == k] for k in range(FOLDS)]
        rest = [rows[rows["fold"] != k] for k in range(FOLDS)]
        assume(all(len(part) > 2 and part["y"].nunique() > 1 for part in (*parts, *rest)))
        data = {"path": str(root / "data"), "where": f"day < '{middle:%Y-%m-%d}'"}
        job: Values = {
            "name": "m",
            "data": data,
            "target": "y",
            "features": {"include": features},
            "search": {"alphas": ALPHAS, "split": {"fold": "fold"}},
            "holdout": None,
            "stability": None,
            "registry": str(root / "models"),
        }
        result = train(TrainJob.from_values(job), workers=1)
        model, scale = result.model, float(rows["y"].std(ddof=0))
        assert (result.counts.rows, result.counts.filtered) == (len(rows), len(frame) - len(kept))
        for j, alpha in enumerate(ALPHAS):
            for k in range(FOLDS):
                fitted = pipeline(numbers, levels, alpha).fit(rest[k][features], rest[k]["y"])
                if not is_unique(fitted, rest[k][features], rest[k]["y"]):
                    continue
                errors = (fitted.predict(parts[k][features]) - parts[k]["y"]) ** 2
                assert_allclose(
                    model.curve.fold_mse[k, j], errors.mean(), rtol=1e-6, atol=1e-9 * scale**2
                )
        fitted = pipeline(numbers, levels, model.alpha).fit(rows[features], rows["y"])
        expected = pd.Series(fitted.predict(kept[features]), kept["id"].astype(int))
        score_job = {
            "model": "m@v1",
            "data": data,
            "keys": ["id"],
            "output": {"path": str(root / "scores"), "format": "parquet"},
            "missing_columns": "impute",
            "registry": str(root / "models"),
        }
        assert score(ScoreJob.from_values(score_job), workers=1).rows_scored == len(kept)
        (path,) = (root / "scores").glob("*.parquet")
        scored = pq.ParquetFile(path).read().to_pandas().set_index("id")["prediction"]
        if is_unique(fitted, rows[features], rows["y"]):
            assert_allclose(scored[expected.index], expected, rtol=1e-6, atol=1e-6 * scale)
        for file in sorted((root / "data").iterdir()):
            table = pq.ParquetFile(file).read()
            if table.num_rows and {*features} <= {*table.column_names}:
                found = pd.Series(np.asarray(model.predict(table)), table["id"].to_pylist())
                both = found.index.intersection(expected.index)
                assert_allclose(found[both], scored[both], rtol=1e-12)


# At the last bits of the gap the oracle says that it has not converged.
unwarned = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@unwarned
@settings(deadline=None, max_examples=6)
@given(cases())
def test_files_of_any_types_are_trained_and_scored_as_the_oracle_does(case: Case) -> None:
    check(case)


@unwarned
@pytest.mark.slow
@settings(deadline=None, max_examples=30)
@given(cases())
def test_many_files_of_any_types_are_trained_and_scored_as_the_oracle_does(case: Case) -> None:
    check(case)
