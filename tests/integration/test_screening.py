"""Screened trainings equal those on all pairs of columns, and scikit-learn's, for every option."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import Lasso
from sklearn.preprocessing import StandardScaler

from lasso_jobs import TrainJob, train
from lasso_jobs.core.fit.choice import has_turned
from lasso_jobs.models import summary
from lasso_jobs.models.model import Model
from lasso_jobs.models.registry import Registry
from lasso_jobs.training.plan import plan
from lasso_jobs.training.screening import rounds

Values = dict[str, Any]
N, Q = 240, 90


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """So few candidates at once that several rounds are needed."""
    monkeypatch.setattr(rounds, "MOST_ENTERING", 8)
    monkeypatch.setattr(rounds, "RIVALS", 4)


def table(seed: int = 0, n: int = N, q: int = Q, dtype: Any = float) -> pa.Table:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(q, n)).astype(dtype).astype(float)
    X[1] += X[0]
    X[2] = X[0] * 0.5 + rng.normal(size=n) * 0.1
    X[2] = X[2].astype(dtype)
    store = rng.choice(["a", "b", "c", "d"], n)
    y = X[0] - 2 * X[1] + 0.5 * X[7] + 3 * (store == "b") + rng.normal(size=n)
    X[3], X[7], X[9] = X[3] + 5, X[7] - 2, X[9] * 0.2 + 30  # what an intercept makes up for
    columns: Values = {f"x{j}": X[j].astype(dtype) for j in range(q)}
    for j in (0, 5, 30):
        columns[f"x{j}"] = pa.array(columns[f"x{j}"], mask=rng.random(n) < 0.15)
    return pa.table(
        {
            **columns,
            "store": store,
            "w": rng.uniform(0, 2, n),
            "team": rng.integers(0, 30, n),
            "fold": rng.integers(0, 3, n),
            "t": np.sort(rng.integers(0, 50, n)),
            "y": y,
        }
    )


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wide")
    rows = table()
    for i, (a, b) in enumerate([(0, 20), (20, 150), (150, N)]):
        pq.write_table(rows.slice(a, b - a), folder / f"{i}.parquet", row_group_size=64)
    return folder


def trained(files: Path, tmp_path: Path, engine: str, options: Values, workers: int = 1) -> Model:
    values: Values = {
        "name": f"wide-{engine}",
        "data": {"path": str(files)},
        "target": "y",
        "registry": str(tmp_path / "models"),
        "cache": False,
        "stability": None,
        "features": {"exclude": ["w", "team", "fold", "t"]},
        **options,
    }
    values["search"] = {"alphas": 30, "eps": 0.05, **options.get("search", {}), "engine": engine}
    result = train(TrainJob.from_values(values), workers=workers)
    return result.model


ROLE = {"exclude": ["w", "team", "fold", "t", "store"]}
LAST: Values = {"early_stop": False}
OPTIONS: dict[str, Values] = {
    "default": {},
    "no hold-out": {"holdout": None},
    "numbers alone": {"features": ROLE},
    "weights": {"weight": "w"},
    "indicators": {"preprocess": {"missing": "indicator"}},
    "rows with nulls dropped": {"preprocess": {"missing": "drop"}},
    "no scaling": {"preprocess": {"scaling": "none"}},
    "minmax": {"preprocess": {"scaling": "minmax"}},
    "penalty factors": {"penalty_factors": {"x0": 0.0, "x9": 0.2, "store": 0.5, "x7": 3.0}},
    "bounds": {"bounds": {"x0": [0.0, 0.3], "x1": [0.0, ".inf"], "x20": ["-.inf", 0.0]}},
    "elastic net": {"search": {"l1_ratio": [0.5, 1.0]}},
    "relaxed": {"search": {"relax": True}},
    "no intercept": {"intercept": False},
    "no intercept, with weights": {"intercept": False, "weight": "w"},
    "no intercept, minmax": {"intercept": False, "preprocess": {"scaling": "minmax"}},
    "no intercept, no scaling": {"intercept": False, "preprocess": {"scaling": "none"}},
    "offset": {"offset": "w"},
    "offset, no intercept, indicators": {
        "offset": "w",
        "intercept": False,
        "search": LAST,
        "preprocess": {"missing": "indicator"},
        "features": {"exclude": ["team", "fold", "t"]},
    },
    "groups": {"search": {"split": {"group": "team"}}},
    "own folds": {"search": {"split": {"fold": "fold"}}},
    "time": {"search": {"split": {"time": "t"}, "folds": 3}, "holdout": {"last": 0.2}},
    "repeats": {"search": {"folds": 3, "repeats": 2, "split": {"group": "team"}}},
    "one standard error": {"search": {"rule": "1se"}},
    "alphas by hand": {"search": {"alphas": [2.0, 0.9, 0.05], "eps": None}},
    "the whole grid": {"search": {"early_stop": False}},
    "beyond the grid": {"search": {"l1_ratio": [0.2, 1.0], "alphas": 8, "eps": None, **LAST}},
    "beyond the grid, relaxed": {"search": {"relax": [0, 1], "alphas": 8, "eps": None, **LAST}},
    "beyond the grid, 1se": {"search": {"rule": "1se", "alphas": 4, "eps": None, **LAST}},
}


QUICK = ("default", "indicators", "time", "offset, no intercept, indicators")


@pytest.mark.parametrize(
    "name",
    [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in OPTIONS],
)
def test_screened_equals_all_pairs_of_columns(files: Path, tmp_path: Path, name: str) -> None:
    options = {**OPTIONS[name]}
    if "bounds" in options:
        infinite = {".inf": np.inf, "-.inf": -np.inf}
        options["bounds"] = {
            key: [infinite.get(side, side) for side in sides]
            for key, sides in options["bounds"].items()
        }
    screened = trained(files, tmp_path, "screened", options)
    search = {**options.get("search", {}), "early_stop": False}
    whole = trained(files, tmp_path, "all", {**options, "search": search})
    assert_same(screened, whole)
    record = screened.certificate.screening
    assert record is not None and whole.certificate.screening is None
    assert record.worst_violation <= 1e-10
    if name == "the whole grid":
        assert (record.n_left_out, record.stopped) == (0, "end")


@pytest.mark.parametrize("gammas", [[0, 1], [0, 0.5]])
def test_a_relaxed_search_stops_when_every_gamma_has_turned(
    files: Path, tmp_path: Path, gammas: list[float]
) -> None:
    options = {"search": {"relax": gammas, "alphas": 40, "eps": 0.01}, "features": ROLE}
    model = trained(files, tmp_path, "screened", options)
    record, curve = model.certificate.screening, model.curve
    assert record is not None and record.stopped == "turned"
    n = len(curve.alphas) // len(gammas)
    by_gamma = curve.fold_mse.reshape(len(curve.fold_mse), len(gammas), n)
    assert has_turned(by_gamma, curve.fold_weight)
    assert curve.alpha_min > curve.alphas.min()


def assert_same(screened: Model, whole: Model) -> None:
    """The same choice, errors at all alphas that were tried, and coefficients."""
    mine, theirs = screened.curve, whole.curve
    place = {
        (round(ratio, 9), round(gamma, 9), float(np.float32(alpha))): i
        for i, (ratio, gamma, alpha) in enumerate(
            zip(theirs.l1_ratios, theirs.gammas, theirs.alphas, strict=True)
        )
    }
    at = [
        place[round(ratio, 9), round(gamma, 9), float(np.float32(alpha))]
        for ratio, gamma, alpha in zip(mine.l1_ratios, mine.gammas, mine.alphas, strict=True)
    ]
    np.testing.assert_allclose(mine.alphas, theirs.alphas[at], rtol=1e-12)
    np.testing.assert_allclose(mine.fold_mse, theirs.fold_mse[:, at], rtol=1e-8)
    np.testing.assert_array_equal(mine.n_nonzero, theirs.n_nonzero[at])
    assert (screened.alpha, screened.l1_ratio, screened.gamma) == pytest.approx(
        (whole.alpha, whole.l1_ratio, whole.gamma), rel=1e-12
    )
    expected = whole.coef
    assert set(screened.coef.index) <= set(expected.index)
    kept = screened.coef.reindex(expected.index, fill_value=0.0)
    np.testing.assert_allclose(kept, expected, atol=1e-9)
    np.testing.assert_allclose(screened.intercept, whole.intercept, atol=1e-9)
    if whole.holdout is not None:
        assert screened.holdout is not None
        np.testing.assert_allclose(screened.holdout.mse, whole.holdout.mse, rtol=1e-9)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_folds_equal_those_that_scikit_learn_fits(tmp_path: Path, dtype: str) -> None:
    n, q = 90, 300
    rows = table(3, n, q, dtype)
    numbers = [f"x{j}" for j in range(q)]
    X = np.column_stack([rows.column(name).to_numpy(zero_copy_only=False) for name in numbers])
    X = np.where(np.isnan(X), 0.5, X).astype(dtype)
    columns = {name: X[:, j] for j, name in enumerate(numbers)}
    fold = rows.column("fold").to_numpy()
    y = rows.column("y").to_numpy()
    (tmp_path / "data").mkdir()
    pq.write_table(pa.table({**columns, "fold": fold, "y": y}), tmp_path / "data" / "0.parquet")
    options = {
        "search": {"split": {"fold": "fold"}, "alphas": 25},
        "holdout": None,
        "features": {"exclude": ["fold"]},
    }
    model = trained(tmp_path / "data", tmp_path, "screened", options)
    for k in range(3):
        training = fold != k
        scaler = StandardScaler().fit(X.astype(float)[training])
        for i, alpha in enumerate(model.curve.alphas):
            lasso = Lasso(alpha=alpha, tol=1e-13, max_iter=200_000)
            lasso.fit(scaler.transform(X.astype(float)[training]), y[training])
            missed = y[~training] - lasso.predict(scaler.transform(X.astype(float)[~training]))
            np.testing.assert_allclose(model.curve.fold_mse[k, i], np.mean(missed**2), rtol=1e-7)
    scaler = StandardScaler().fit(X.astype(float))
    lasso = Lasso(alpha=model.alpha, tol=1e-14, max_iter=200_000).fit(
        scaler.transform(X.astype(float)), y
    )
    expected = lasso.coef_ / scaler.scale_
    found = model.coef.reindex(numbers, fill_value=0.0).to_numpy()
    np.testing.assert_allclose(found, expected, atol=1e-8)


@pytest.mark.parametrize(
    ("kind", "share"),
    [
        ("sparse", 0.4),
        *(
            pytest.param(*each, marks=pytest.mark.slow)
            for each in (("lists", 0.4), ("sparse", 0.05))
        ),
    ],
)
def test_elements_of_vectors_are_screened_as_columns_are(
    tmp_path: Path, kind: str, share: float
) -> None:
    rng = np.random.default_rng(8)
    n, q = 150, 80
    X = rng.normal(size=(n, q)) * (rng.random((n, q)) < share)
    y = X[:, 3] - 2 * X[:, 40] + rng.normal(size=n)
    if kind == "lists":
        vectors = pa.array(X.tolist(), pa.list_(pa.float64()))
    else:
        places = [np.flatnonzero(row) for row in X]
        values = [
            {"indices": at.tolist(), "values": row[at].tolist()}
            for at, row in zip(places, X, strict=True)
        ]
        sparse = pa.struct({"indices": pa.list_(pa.int32()), "values": pa.list_(pa.float64())})
        vectors = pa.array(values, sparse)
    columns = {f"v{j}": X[:, j] for j in range(q)}
    for name, table in (("vector", {"v": vectors, "y": y}), ("columns", {**columns, "y": y})):
        (tmp_path / name).mkdir()
        pq.write_table(pa.table(table), tmp_path / name / "0.parquet")
    sizes = {} if kind == "lists" else {"features": {"sizes": {"v": q}}}
    options: Values = {"features": {}, "holdout": None}
    vector = trained(tmp_path / "vector", tmp_path, "screened", {**options, **sizes})
    plain = trained(tmp_path / "columns", tmp_path, "screened", options)
    blur = 0.0 if share > 0.1 else 1e-11  # sums of few entries are not those of whole columns
    mine, theirs = vector.certificate.screening, plain.certificate.screening
    assert mine is not None and theirs is not None
    assert mine.n_working_set == theirs.n_working_set and mine.n_scans == theirs.n_scans
    np.testing.assert_allclose(vector.curve.fold_mse, plain.curve.fold_mse, rtol=blur)
    names = [name.replace("[", "").replace("]", "") for name in vector.coef.index]
    assert names == list(plain.coef.index)
    np.testing.assert_allclose(vector.coef, plain.coef, rtol=blur, atol=blur)


@pytest.mark.slow
@pytest.mark.parametrize("keep", [0.0, 0.3])
@pytest.mark.parametrize(
    "name",
    [
        "weights",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("default", "indicators", "rows with nulls dropped", "minmax", "time")
        ),
    ],
)
def test_sparse_vectors_with_nulls_are_screened_as_all_pairs_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, keep: float
) -> None:
    """Rows without a vector, entries that are null, columns of many entries, and far offsets."""
    from lasso_jobs.training.screening import scanner

    monkeypatch.setattr(scanner, "SHARE_TO_KEEP", keep)
    rng = np.random.default_rng(5)
    n, q, rows = 300, 70, table(5, 300, 31)
    X = rng.normal(2, 1, (n, q)) * (rng.random((n, q)) < 0.08)
    X[:, 5] = rng.normal(1e5, 1, n)
    X[:, 6] = rng.poisson(0.02, n)
    y = rows.column("y").to_numpy() + 2 * X[:, 3] - X[:, 40] + X[:, 5] - 1e5
    lost = 0.002 if name == "rows with nulls dropped" else 0.1
    entries = [
        [(j, None if rng.random() < lost else X[i, j]) for j in np.flatnonzero(X[i])]
        for i in range(n)
    ]
    vectors = pa.array(
        [None if rng.random() < lost else each for each in entries],
        pa.map_(pa.int32(), pa.float64()),
    )
    wide = rows.set_column(rows.column_names.index("y"), "y", pa.array(y)).append_column(
        "v", vectors
    )
    (tmp_path / "data").mkdir()
    for i in range(3):
        part = wide.slice(100 * i, 100)
        pq.write_table(part, tmp_path / "data" / f"{i}.parquet", row_group_size=40)
    options = {
        **OPTIONS[name],
        "features": {"exclude": ["w", "team", "fold", "t"], "sizes": {"v": q}},
    }
    screened = trained(tmp_path / "data", tmp_path, "screened", options)
    search = {**options.get("search", {}), "early_stop": False}
    whole = trained(tmp_path / "data", tmp_path, "all", {**options, "search": search})
    assert {"v[3]", "v[5]", "v[40]"} <= set(screened.coef[screened.coef != 0].index)
    assert_same(screened, whole)


@pytest.mark.parametrize("keep", [0.0, pytest.param(0.3, marks=pytest.mark.slow)])
def test_any_workers_and_any_memory_give_the_same_model_bit_for_bit(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keep: float
) -> None:
    from lasso_jobs.models.model_file import digest
    from lasso_jobs.training.read import reading
    from lasso_jobs.training.screening import column_scans, scanner

    # Of all columns 16 rows are decoded together, of a working set alone it would be 50.
    monkeypatch.setattr(reading, "MIN_BLOCK_ROWS", 16)
    monkeypatch.setattr(reading, "BLOCK_BYTES", 8 * 16 * (Q + 5))
    monkeypatch.setattr(column_scans, "GROUP_BYTES", 8 * 72 * 25)  # some 25 columns
    first = trained(files, tmp_path, "screened", {})
    monkeypatch.setattr(scanner, "SHARE_TO_KEEP", keep)
    again = trained(files, tmp_path, "screened", {}, workers=2)
    assert digest(again) == digest(first)


def test_the_plan_says_what_screening_will_cost(files: Path, tmp_path: Path) -> None:
    values: Values = {
        "name": "wide",
        "data": {"path": str(files)},
        "target": "y",
        "stability": None,
        "registry": str(tmp_path / "models"),
        "search": {"engine": "screened", "alphas": 5},
    }
    job = TrainJob.from_values(values)
    before = plan(job).as_values()
    assert (before["expected_scans"], before["expected_seconds"]) == (6, None)
    result = train(job, workers=1)
    after = plan(job).as_values()
    record = result.model.certificate.screening
    assert record is not None
    assert (after["engine"], after["expected_scans"]) == ("screened", record.n_scans)
    assert 0 < after["expected_seconds"] <= result.seconds["total"]
    every = plan(TrainJob.from_values({**values, "search": {"engine": "all"}})).as_values()
    assert (every["expected_scans"], every["expected_seconds"]) == (1, None)


@pytest.mark.parametrize(
    ("n", "search", "engine", "because"),
    [
        (1_000, {}, "all", "the numeric columns are 1,000, and at most 1,000 are few"),
        (1_001, {}, "screened", "the numeric columns are 1,001, more than 1,000"),
        (1_001, {"engine": "all"}, "all", "search.engine says so"),
        (1_001, {"adaptive": True}, "all", "search.adaptive is true"),
    ],
)
def test_the_plan_says_why_it_screens(
    tmp_path: Path, n: int, search: Values, engine: str, because: str
) -> None:
    vectors = pa.FixedSizeListArray.from_arrays(np.arange(3.0 * n), n)
    pq.write_table(pa.table({"v": vectors, "y": [1.0, 2.0, 4.0]}), tmp_path / "0.parquet")
    values: Values = {
        "name": "m",
        "data": {"path": str(tmp_path)},
        "target": "y",
        "stability": None,
        "search": search,
    }
    said = plan(TrainJob.from_values({**values, "registry": str(tmp_path / "m")})).as_values()
    assert said["engine"] == engine
    assert said["engine_because"].startswith(because)


@pytest.mark.slow
def test_json_has_the_coefficients_of_a_screened_model_that_are_not_zero(
    files: Path, tmp_path: Path
) -> None:
    values: Values = {
        "name": "wide",
        "data": {"path": str(files)},
        "target": "y",
        "registry": str(tmp_path / "models"),
        "search": {"engine": "screened", "alphas": 20, "eps": 0.05},
    }
    result = train(TrainJob.from_values(values), workers=1)
    model, said = result.model, result.as_values()
    assert model.stability is not None
    stable = {s for s, yes in zip(model.labels, model.stability.stable, strict=True) if yes}
    kept = model.coef[model.coef != 0]
    assert 0 < len(kept) < len(model.labels)
    expected = stable | set(kept.index)
    shown = summary.as_values(Registry(tmp_path / "models"), "wide")
    assert shown["coef"] == said["coef"]
    assert {name: value for name, value in said["coef"].items() if value} == kept.to_dict()
    parts = [said["coef"], said["per_sd"], said["diagnostics"]["vif"]]
    for part in (*parts, said["stability"]["frequency"], said["stability"]["standard_error"]):
        assert set(part) == expected
    values["search"] = {"alphas": 20, "eps": 0.05, "engine": "all"}
    whole = train(TrainJob.from_values(values), workers=1)
    assert list(whole.as_values()["coef"]) == list(whole.model.labels)


def test_a_perfect_fit_ends_the_search_and_people_are_told(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    X = rng.normal(size=(60, 200))
    columns: Values = {f"x{j}": X[:, j] for j in range(200)}
    (tmp_path / "data").mkdir()
    pq.write_table(pa.table({**columns, "y": X[:, 3] - X[:, 4]}), tmp_path / "data" / "0.parquet")
    values: Values = {
        "name": "perfect",
        "data": {"path": str(tmp_path / "data")},
        "target": "y",
        "stability": None,
        "registry": str(tmp_path / "models"),
        "search": {"engine": "screened"},
    }
    result = train(TrainJob.from_values(values), workers=1)
    record = result.model.certificate.screening
    assert record is not None and record.stopped == "saturated"
    said = result.in_words()
    assert "set search.early_stop to false" in said["grid"]
    assert "it stopped where a fit explained 99.9 % of the target's variance" in said["screened"]
    assert said["kept"] == "2 of 200 coefficients"
    html = (tmp_path / "models" / "perfect" / "v1" / "report.html").read_text()
    assert "2 of 200 coefficients are not zero" in html
    assert f"200 (of which the working set has {record.n_working_set})" in html


def adversarial(kind: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Rows in three folds of 40, and columns that make screening hard."""
    rng = np.random.default_rng(11)
    X, y = rng.normal(size=(120, 150)), rng.normal(size=120)
    fold = np.repeat(np.arange(3), 40)
    if kind == "equal columns":
        X[:, 50:] = X[:, [0]]
        y = X[:, 0] + y
    elif kind == "all columns equal":
        X[:] = X[:, [0]]
        y = X[:, 0] + y
    elif kind == "one fold":
        X[fold != 1, 100] = 0.0  # varies in one fold only
        y = y + 5 * X[:, 100]
    elif kind == "constant in a fold's training":
        X[fold != 2, 7] = 3.0
        y = y + X[:, 7] + X[:, 8]
    elif kind == "enters and leaves":
        X[:, 1] = X[:, 2] + X[:, 3] + 0.3 * X[:, 1]
        y = X[:, 2] + X[:, 3] + 0.1 * y
    elif kind == "noise":
        pass
    return X, y


@pytest.mark.parametrize(
    "kind",
    [
        "equal columns",
        "one fold",
        *(
            pytest.param(kind, marks=pytest.mark.slow)
            for kind in (
                "all columns equal",
                "constant in a fold's training",
                "enters and leaves",
                "noise",
            )
        ),
    ],
)
def test_hard_columns_give_the_errors_of_all_pairs(tmp_path: Path, kind: str) -> None:
    X, y = adversarial(kind)
    (tmp_path / "data").mkdir()
    columns: Values = {f"x{j}": X[:, j] for j in range(X.shape[1])}
    rows = pa.table({**columns, "fold": np.repeat(np.arange(3), 40), "y": y})
    pq.write_table(rows, tmp_path / "data" / "0.parquet")
    options: Values = {
        "search": {"split": {"fold": "fold"}},
        "holdout": None,
        "features": {"exclude": ["fold"]},
    }
    screened = trained(tmp_path / "data", tmp_path, "screened", options)
    options["search"]["early_stop"] = False
    whole = trained(tmp_path / "data", tmp_path, "all", options)
    n = len(screened.curve.alphas)
    np.testing.assert_allclose(screened.curve.alphas, whole.curve.alphas[:n], rtol=1e-12)
    np.testing.assert_allclose(screened.curve.fold_mse, whole.curve.fold_mse[:, :n], rtol=1e-7)


@pytest.mark.parametrize(
    ("options", "key"),
    [
        ({"search": {"adaptive": True}}, "search.adaptive"),
        ({"search": {"l1_ratio": [0, 1]}}, "search.l1_ratio"),
        ({"preprocess": {"scaling": "robust"}}, "preprocess.scaling"),
    ],
)
def test_what_needs_all_columns_is_refused_by_name(
    files: Path, tmp_path: Path, options: Values, key: str
) -> None:
    from lasso_jobs.errors import JobError

    with pytest.raises(JobError, match=key):
        trained(files, tmp_path, "screened", options)


def test_a_champion_of_other_columns_is_measured_on_the_same_rows(
    files: Path, tmp_path: Path
) -> None:
    other = {
        "features": {"include": ["x5*", "x8*"]},
        "promote": "always",
        "search": {"engine": "screened", "alphas": [0.01]},
    }
    base: Values = {
        "name": "wide",
        "data": {"path": str(files)},
        "target": "y",
        "registry": str(tmp_path / "models"),
        "cache": False,
        "stability": None,
        "search": {"engine": "screened", "alphas": 20, "eps": 0.2},
    }
    champion = train(TrainJob.from_values({**base, **other}), workers=1).model
    assert champion.evaluated is not None and champion.evaluated.used
    numbers = {"features": {"exclude": ["w", "team", "fold", "t", "store"]}}
    result = train(TrainJob.from_values({**base, **numbers}), workers=1)
    assert not set(champion.evaluated.used) <= set(result.model.columns.features)
    assert result.promotion.promoted, result.promotion.reason
    assert champion.holdout is not None and result.model.holdout is not None
    said = f"{champion.holdout.mse:.6g}"
    assert said in result.promotion.reason, result.promotion.reason


@pytest.mark.parametrize(
    ("name", "column", "said"),
    [
        ("x60", pa.array(np.where(np.arange(N) == 3, np.inf, 1.0)), "infinite"),
        ("x60", pa.array(np.arange(N) * 1e300), "beyond the range"),
        ("x60", pa.array(np.arange(N) * 1e-200), "too little for their squares"),
        ("y", pa.array(np.ones(N)), "is constant"),
        ("y", pa.array([None] * N, pa.float64()), "no row is left"),
        ("w", pa.array(np.zeros(N)), "is zero everywhere"),
    ],
)
def test_rows_that_cannot_be_trained_on_are_refused_in_one_line(
    tmp_path: Path, name: str, column: pa.Array, said: str
) -> None:
    from lasso_jobs.errors import DataError

    rows = table()
    rows = rows.set_column(rows.column_names.index(name), name, column)
    (tmp_path / "data").mkdir()
    pq.write_table(rows, tmp_path / "data" / "0.parquet")
    with pytest.raises(DataError, match=said) as caught:
        trained(tmp_path / "data", tmp_path, "screened", {"weight": "w"})
    assert name in str(caught.value) or said == "no row is left"
    assert "\n" not in str(caught.value)
