"""Tokens are features: as if the data had a column for each, which scikit-learn counts."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.testing import assert_allclose
from scipy.sparse import issparse
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import Lasso
from sklearn.metrics import mean_squared_error
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from lasso_jobs import ScoreJob, TrainJob, score, train
from lasso_jobs.core.rows.buckets import text_key
from lasso_jobs.errors import DataError, JobError
from lasso_jobs.training.plan import plan

pytestmark = pytest.mark.integration

EXACT = 1e-8
N = 240
ALPHAS = [0.05, 0.02, 0.01]
Values = dict[str, Any]
WORDS = ["Good", "bad", "GREAT", "the", "a_b", "x", "naïve", "Größe", "ok", "слово", "don't", "42"]


def rows(n: int = N) -> pd.DataFrame:
    """Texts, lists and identifiers, some of them null or empty, that explain a target."""
    rng = np.random.default_rng(n)
    share = rng.dirichlet(np.ones(len(WORDS)))
    lists = [[*rng.choice(WORDS, rng.integers(0, 12), p=share)] for _ in range(n)]
    for i in range(0, n, 29):
        lists[i] = None
    shops = rng.integers(0, 40, n)
    good = np.array([sum(word == "Good" for word in each or ()) for each in lists])
    y = 2.0 * good - (shops % 5 == 0) + rng.normal(size=n)
    texts = [None if each is None else "--".join(each) + "!" for each in lists]
    frame = pd.DataFrame({"text": texts, "items": lists, "x": rng.normal(size=n), "y": y})
    return frame.assign(shop=shops, key=np.arange(n), fold=np.arange(n) % 4)


TYPES = {
    "text": (pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())),
    "items": (pa.list_(pa.string()), pa.large_list(pa.large_string()), pa.list_(pa.string())),
    "shop": (pa.int64(), pa.float64(), pa.int16()),
}
MATTERS = {"text": "words", "items": "items", "shop": "value"}


def write(folder: Path, frame: pd.DataFrame, column: str) -> Path:
    """Files of several types that share the rows."""
    (folder / "data").mkdir(parents=True)
    others = ["x", "y", "key", "fold"]
    for number, type_ in enumerate(TYPES[column]):
        part = frame.iloc[number::3]
        table = pa.Table.from_pandas(part[others], preserve_index=False)
        plain = type_.value_type if pa.types.is_dictionary(type_) else type_
        array = pa.array(part[column].tolist(), plain, from_pandas=True)
        array = array if plain == type_ else array.dictionary_encode()
        table = table.append_column(column, array)
        pq.write_table(table, folder / "data" / f"{number}.parquet", row_group_size=30)
    return folder


def job(folder: Path, tokens: Values, **values: Any) -> TrainJob:
    return TrainJob.from_values(
        {
            "name": "m",
            "data": {"path": str(folder / "data")},
            "target": "y",
            "features": {"exclude": ["key"], "tokens": tokens, **values.pop("features", {})},
            "search": {
                "alphas": [0.05, 0.02, 0.01],
                "split": {"fold": "fold"},
                **values.pop("search", {}),
            },
            "holdout": None,
            "stability": None,
            "registry": str(folder / "models"),
            **values,
        }
    )


def counted(frame: pd.DataFrame, column: str, how: Values) -> pd.DataFrame:
    """What scikit-learn makes of it, but for shares, which it does not know."""
    if column == "shop":
        encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
        values = encoder.fit_transform(frame[["shop"]])
        return pd.DataFrame(values, frame.index, [f"shop[{n}]" for n in encoder.categories_[0]])
    items = frame["items"].map(lambda each: each or [])
    options: Values = {"tokenizer": lambda each: each, "lowercase": False, "token_pattern": None}
    counter = CountVectorizer(
        min_df=how.get("min_rows", 1),
        max_df=float(how.get("max_share", 1.0)),
        binary=how.get("count") == "binary",
        **(options if column == "items" else {}),
    )
    values = counter.fit_transform(items if column == "items" else frame["text"].fillna(""))
    assert issparse(values)
    names = [f"{column}[{name}]" for name in counter.get_feature_names_out()]
    found = pd.DataFrame(values.toarray().astype(float), frame.index, names)
    if how.get("count") == "tf":
        every = found.sum(axis=1)
        found = found.div(every.where(every > 0, 1.0), axis=0)
    return found


CASES: dict[str, tuple[str, Values]] = {
    "words": ("text", {}),
    "words in some rows": ("text", {"min_rows": 12, "max_share": 0.5, "count": "binary"}),
    "shares of words": ("text", {"count": "tf"}),
    "items": ("items", {}),
    "values": ("shop", {}),
}


QUICK = {("items", "screened"), ("values", "all")}


@pytest.mark.parametrize(
    ("case", "engine"),
    [
        pytest.param(case, engine, marks=[] if (case, engine) in QUICK else pytest.mark.slow)
        for case in CASES
        for engine in ("screened", "all")
    ],
)
def test_a_model_of_tokens_is_scikit_learns_of_their_columns(
    case: str, engine: str, scheduler: str, tmp_path: Path
) -> None:
    frame, (column, how) = rows(), CASES[case]
    folder = write(tmp_path, frame, column)
    options = {column: {"how": MATTERS[column], **how}}
    model = train(job(folder, options, search={"engine": engine}), cluster=scheduler).model
    X, y = counted(frame, column, how).assign(x=frame["x"]), frame["y"].to_numpy()
    alphas = model.curve.alphas
    assert sorted(model.labels) == sorted(X.columns)
    for k in range(4):
        own = frame["fold"] == k
        fits = (pipeline(alpha).fit(X[~own], y[~own]) for alpha in alphas)
        expected = [mean_squared_error(y[own], fit.predict(X[own])) for fit in fits]
        assert_allclose(model.curve.fold_mse[k], expected, rtol=EXACT)
    final = pipeline(model.alpha).fit(X, y)
    expected_coef = pd.Series(final[-1].coef_ / final[0].scale_, X.columns)
    assert_allclose(model.coef[X.columns], expected_coef, rtol=EXACT, atol=EXACT)
    assert (model.coef != 0).sum() > 1
    predicted = model.predict(frame[["x", column]])
    assert_allclose(predicted, final.predict(X), rtol=EXACT, atol=EXACT)
    assert_allclose(scored(folder, scheduler)["prediction"], predicted, rtol=1e-12)


def pipeline(alpha: float) -> Any:
    return make_pipeline(StandardScaler(), Lasso(alpha, tol=1e-12, max_iter=1_000_000))


def scored(folder: Path, scheduler: str, **values: Any) -> pd.DataFrame:
    result = score(
        ScoreJob.from_values(
            {
                "model": "m",
                "data": {"path": str(folder / "data")},
                "keys": ["key"],
                "output": {"path": str(folder / "scores"), "format": "parquet"},
                "drift": {"features": "all", "path": str(folder / "drift")},
                "registry": str(folder / "models"),
                **values,
            }
        ),
        cluster=scheduler,
    )
    assert {row.drift.feature for row in result.drift} >= {"x", "prediction"}
    return pd.read_parquet(folder / "scores").sort_values("key")


def test_hashed_tokens_are_counts_by_their_hashes(scheduler: str, tmp_path: Path) -> None:
    frame = rows()
    folder = write(tmp_path, frame, "items")
    options = {"items": {"how": "items", "hash": 5}}
    model = train(job(folder, options), cluster=scheduler).model
    X = np.zeros((N, 6))
    X[:, 5] = frame["x"]
    for i, items in enumerate(frame["items"]):
        for item in items or ():
            X[i, text_key(item, 0) % 5] += 1
    X = pd.DataFrame(X, columns=[*(f"items[{k}]" for k in range(5)), "x"])
    final = pipeline(model.alpha).fit(X, frame["y"])
    expected = pd.Series(final[-1].coef_ / final[0].scale_, X.columns)
    assert_allclose(model.coef[X.columns], expected, rtol=EXACT, atol=EXACT)
    scores = scored(folder, scheduler)["prediction"]
    assert_allclose(scores, final.predict(X), rtol=EXACT, atol=EXACT)


# One folder of texts


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("texts"), rows(), "text")


def test_what_is_said_of_a_token_counts(texts: Path, scheduler: str) -> None:
    model = train(
        job(
            texts,
            {"text": "words"},
            features={"exclude": ["key", "text[the]", "text[absent]"]},
            penalty_factors={"text[good]": 0.0, "text": 3.0},
            bounds={"text[bad]": [0.0, 0.1]},
        ),
        cluster=scheduler,
    ).model
    assert "text[the]" not in model.labels
    assert model.coef["text[good]"] > 1.5
    assert 0 <= model.coef["text[bad]"] <= 0.1
    named = train(
        job(texts, {"text": "words"}, features={"include": ["x", "text[good]", "text[ok]"]}),
        cluster=scheduler,
    )
    assert named.model.labels == ("x", "text[good]", "text[ok]")


def test_a_model_keeps_the_tokens_of_its_columns_alone(texts: Path, scheduler: str) -> None:
    registered = train(
        job(texts, {"text": "words"}, features={"include": ["text[good]", "text[bad]"]}),
        cluster=scheduler,
    ).registered
    content = json.loads(
        (texts / "models" / "m" / f"v{registered.version}" / "model.json").read_text()
    )
    (vector,) = content["model"]["predictor"]["columns"]["vectors"]
    assert vector == {
        "column": "text",
        "length": 2,
        "own": ["bad", "good"],
        "at": None,
        "tokens": {"how": "words", "count": "counts"},
    }
    frame = pd.DataFrame({"text": ["good ok Good", None, ""]})
    predicted = registered.model.predict(frame)
    assert predicted[0] - predicted[1] == pytest.approx(2 * registered.model.coef["text[good]"])
    assert predicted[1] == predicted[2] == registered.model.intercept


def test_the_same_model_is_trained_again_without_a_read(texts: Path, scheduler: str) -> None:
    again = [
        train(job(texts, {"text": "words"}, search={"engine": "all"}), cluster=scheduler)
        for _ in range(2)
    ]
    assert again[1].counts.bytes_read == 0
    assert again[0].registered.digest == again[1].registered.digest
    # The same names may be of other numbers: those of another count are read anew.
    shares = {"text": {"how": "words", "count": "tf"}}
    other = train(job(texts, shares, search={"engine": "all"}), cluster=scheduler)
    assert other.counts.bytes_read > 0
    fresh = job(texts, shares, search={"engine": "all"}, cache=False)
    assert train(fresh, cluster=scheduler).registered.digest == other.registered.digest


def test_a_night_of_empty_lists_or_of_nulls_has_no_tokens(scheduler: str, tmp_path: Path) -> None:
    frame = rows()
    folder = write(tmp_path, frame, "items")
    model = train(job(folder, {"items": "items"}), cluster=scheduler).model
    night = folder / "night"
    night.mkdir()
    for name, values in {"empty": pa.array([[], []]), "null": pa.nulls(2)}.items():
        number = 2 * (name == "null")
        table = pa.table({"items": values, "x": [0.5, 1.5], "key": [number, number + 1]})
        pq.write_table(table, night / f"{name}.parquet")
    found = scored(folder, scheduler, data={"path": str(night)})["prediction"].to_numpy()
    expected = model.intercept + model.coef["x"] * np.array([0.5, 1.5])
    assert_allclose(found, [*expected, *expected], rtol=1e-12)


REFUSED: dict[str, tuple[Values, type[Exception], str]] = {
    "a number": ({"x": "words"}, DataError, r"features.tokens 'x': has type double"),
    "items of a text": ({"text": "items"}, DataError, r"has type .*string; expected lists of text"),
    "no column": ({"texd": "words"}, DataError, r"there is no column 'texd'"),
    "values with fractions": ({"x": "value"}, DataError, r"has type double"),
    "rare tokens": ({"text": {"how": "words", "min_rows": 999}}, DataError, r"in 999 rows or more"),
    "hashes with limits": (
        {"text": {"how": "words", "min_rows": 2, "hash": 9}},
        JobError,
        r"features.tokens.text.*hash",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_has_no_tokens_is_refused(case: str, texts: Path, scheduler: str) -> None:
    tokens, kind, message = REFUSED[case]
    with pytest.raises(kind, match=message):
        train(job(texts, tokens), cluster=scheduler)


def test_a_token_that_is_not_there_is_no_feature(texts: Path, scheduler: str) -> None:
    words = {"text": "words"}
    plan(job(texts, words, penalty_factors={"text[god]": 0.0}))
    with pytest.raises(JobError, match=r"penalty_factors: 'text\[god\]' is no feature"):
        train(job(texts, words, penalty_factors={"text[god]": 0.0}), cluster=scheduler)
    with pytest.raises(DataError, match=r"no element text\[god\]"):
        train(job(texts, words, features={"include": ["text[god]"]}), cluster=scheduler)
    assert plan(job(texts, words)).as_values()["token_features"] == {"text": "words"}


# Names of elements


def named(folder: Path, write_names: Callable[[Path], Path], **features: Any) -> TrainJob:
    rng = np.random.default_rng(0)
    (folder / "data").mkdir(exist_ok=True)
    v = rng.normal(size=(60, 3))
    table = pa.table({"v": pa.array(v.tolist(), pa.list_(pa.float64(), 3)), "y": v[:, 1]})
    pq.write_table(table, folder / "data" / "a.parquet")
    options = {"exclude": [], "names": {"v": str(write_names(folder))}, **features}
    return job(folder, {}, features=options, search={"split": "random"})


def as_text(folder: Path) -> Path:
    (folder / "names.txt").write_text("age\r\nheight of [it]\nshoe size\n")
    return folder / "names.txt"


def as_csv(folder: Path) -> Path:
    (folder / "names.csv").write_text("name,more\nage,1\nheight of [it],2\nshoe size,3\n")
    return folder / "names.csv"


def as_parquet(folder: Path) -> Path:
    names = pa.table({"name": ["age", "height of [it]", "shoe size"], "more": [1, 2, 3]})
    pq.write_table(names, folder / "names.parquet")
    return folder / "names.parquet"


@pytest.mark.parametrize("names", [as_text, as_csv, as_parquet])
def test_elements_have_the_names_of_a_file(
    names: Callable[[Path], Path], scheduler: str, tmp_path: Path
) -> None:
    model = train(named(tmp_path, names), cluster=scheduler).model
    assert model.labels == ("v[age]", "v[height of [it]]", "v[shoe size]")
    assert model.coef["v[height of [it]]"] == pytest.approx(1, abs=0.05)
    some = train(named(tmp_path, names, exclude=["v[age]"]), cluster=scheduler).model
    assert some.labels == ("v[height of [it]]", "v[shoe size]")
    frame = pd.DataFrame({"v": [[9.0, 2.0, 9.0], [9.0, 4.0, 9.0]]})
    low, high = some.predict(frame)
    assert high - low == pytest.approx(2 * some.coef["v[height of [it]]"])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a\nb\n", "has vectors of length 3; expected vectors of length 2, as in features.names"),
        ("a\nb\nc\nd", "has vectors of length 3; expected vectors of length 4"),
        ("a\nb\na\n", "has the name 'a' twice"),
        ("a\n\nc\n", "has no name in place 1"),
        ("", "has no name in place 0"),
        (None, "cannot be read"),
    ],
)
def test_names_that_do_not_fit_are_refused(
    content: str | None, message: str, tmp_path: Path
) -> None:
    def write_names(folder: Path) -> Path:
        if content is not None:
            (folder / "names.txt").write_text(content)
        return folder / "names.txt"

    with pytest.raises(DataError, match=message):
        plan(named(tmp_path, write_names))
