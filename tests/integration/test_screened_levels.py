"""Levels of categories that are too many are screened as numbers are, with the same results."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lasso_jobs import ScoreJob, TrainJob, score, train
from lasso_jobs.comparison.run import compare
from lasso_jobs.errors import JobError
from lasso_jobs.models import findings
from lasso_jobs.models.model import Model
from lasso_jobs.models.registry import Registry
from lasso_jobs.training import engine
from lasso_jobs.training.plan import plan
from lasso_jobs.training.screening import rounds, scanner

pytestmark = pytest.mark.integration
Values = dict[str, Any]
N = 600


@pytest.fixture(autouse=True)
def few_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "MOST_OF_ALL", 10)
    monkeypatch.setattr(rounds, "MOST_ENTERING", 12)
    monkeypatch.setattr(rounds, "RIVALS", 4)


def table(seed: int = 0, n: int = N) -> pa.Table:
    rng = np.random.default_rng(seed)
    plane, store = rng.integers(0, 60, n), rng.integers(0, 5, n)
    effect = np.random.default_rng(99).normal(size=60) * (np.arange(60) % 4 == 0) * 3
    x = rng.normal(size=n)
    return pa.table(
        {
            "x": pa.array(x, mask=rng.random(n) < 0.1),
            "plane": [None if v == 7 else f"N{v}" for v in plane.tolist()],
            "store": pa.array([f"s{v}" for v in store.tolist()]).dictionary_encode(),
            "size": rng.integers(0, 30, n),
            "open": rng.random(n) < 0.3,
            "when": pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 400, n), "D"),
            # A level of less weight than a row's would be rare where each fit chooses its levels.
            "w": rng.uniform(1, 3, n),
            "team": rng.integers(0, 40, n),
            "t": np.sort(rng.integers(0, 50, n)),
            "y": effect[plane] + x + 2 * (store == 3) + rng.normal(size=n),
        }
    )


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("levels")
    rows = table()
    for i, (a, b) in enumerate([(0, 1), (1, 250), (250, N)]):
        pq.write_table(rows.slice(a, b - a), folder / f"{i}.parquet", row_group_size=100)
    return folder


def trained(
    files: Path, folder: Path, how: str, options: Values, *, workers: int = 1, name: str = ""
) -> Model:
    values: Values = {
        "name": name or f"levels-{how}",
        "data": {"path": str(files)},
        "target": "y",
        "registry": str(folder / "models"),
        "cache": False,
        "stability": None,
        **options,
        "preprocess": {"max_levels": None, **options.get("preprocess", {})},
        "features": {
            "exclude": ["w", "team", "t"],
            "categorical": ["size"],
            "dates": {"when": ["month", "year"]},
            **options.get("features", {}),
        },
        "search": {"alphas": 20, "eps": 0.05, **options.get("search", {}), "engine": how},
    }
    return train(TrainJob.from_values(values), workers=workers).model


ALONE = {"include": ["plane", "store"], "categorical": [], "dates": {}}
OPTIONS: dict[str, Values] = {
    "default": {},
    "first levels dropped": {"preprocess": {"drop_first": True}},
    "weights": {"weight": "w"},
    "no scaling": {"preprocess": {"scaling": "none"}},
    "minmax": {"preprocess": {"scaling": "minmax"}},
    "indicators": {"preprocess": {"missing": "indicator"}},
    "factors": {"penalty_factors": {"plane": 0.5, "store": 0.0, "size": 2.0}},
    "bounds": {"bounds": {"plane": [0.0, 1.0], "x": [0.0, 0.5]}},
    "elastic net": {"search": {"l1_ratio": [0.5, 1.0]}},
    "relaxed": {"search": {"relax": True}},
    "groups": {"search": {"split": {"group": "team"}}},
    "time": {"search": {"split": {"time": "t"}, "folds": 3}, "holdout": {"last": 0.2}},
    "no hold-out": {"holdout": None},
    "filter": {"data": {"where": "store <> 's1'"}},
    "categories alone": {"features": ALONE},
}
QUICK = ("default", "first levels dropped")


FREE = {"minmax": "open", "factors": "store"}
"""Features of which all levels have a coefficient, and the same may be added to each of them: where
no level is penalised, or there are two and their scales are the same."""


def determined(model: Model, labels: "pd.Index[str]", name: str) -> pd.Series:
    """What the data decide: coefficients and intercept, of a free feature about its mean."""
    coef = model.coef[model.coef != 0].reindex(labels, fill_value=0.0)
    free = coef.index.str.startswith(FREE.get(name, "no feature"))
    assert free.any() == (name in FREE)
    shift = coef[free].mean() if free.any() else 0.0
    coef[free] -= shift
    coef["intercept"] = model.intercept + shift
    return coef


@pytest.mark.parametrize(
    "name",
    [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in OPTIONS],
)
def test_levels_that_are_screened_have_the_coefficients_of_all(
    files: Path, tmp_path: Path, name: str
) -> None:
    options = {**OPTIONS[name]}
    if "data" in options:
        options["data"] = {"path": str(files), **options["data"]}
    screened = trained(files, tmp_path, "screened", options)
    search = {**options.get("search", {}), "early_stop": False}
    whole = trained(files, tmp_path, "all", {**options, "search": search})
    record = screened.certificate.screening
    assert record is not None and record.n_working_set < record.n_columns
    assert findings.n_looked_at(screened) == record.n_columns + len(screened.predictor.indicators)
    assert screened.alpha == pytest.approx(whole.alpha, rel=1e-12)
    n = screened.curve.fold_mse.shape[1]
    if name not in ("elastic net", "relaxed"):
        expected = whole.curve.fold_mse[:, :n]
        np.testing.assert_allclose(screened.curve.fold_mse, expected, rtol=1e-8)
    own = screened.coef[screened.coef != 0].index
    assert not [label for label in own if label.endswith("(other)")]
    np.testing.assert_allclose(
        *(determined(each, whole.coef.index, name) for each in (screened, whole)), atol=1e-9
    )
    if whole.holdout is not None:
        assert screened.holdout is not None
        assert screened.holdout.mse == pytest.approx(whole.holdout.mse, rel=1e-9)
    rows = table(5)
    np.testing.assert_allclose(screened.predict(rows), whole.predict(rows), atol=1e-8)


@pytest.mark.slow
@pytest.mark.parametrize("options", [{}, {"preprocess": {"drop_first": True}}, {"weight": "w"}])
def test_the_same_whether_rows_are_kept_or_read_and_by_how_many(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: Values
) -> None:
    models = [trained(files, tmp_path, "screened", options, workers=n) for n in (1, 3)]
    monkeypatch.setattr(scanner, "SHARE_TO_KEEP", 0.0)
    models.append(trained(files, tmp_path, "screened", options, workers=2))
    for other in models[1:]:
        pd.testing.assert_series_equal(models[0].coef, other.coef, check_exact=True)


def test_rare_levels_have_no_coefficient(files: Path, tmp_path: Path) -> None:
    """The levels are chosen once, by their rows in all of the data; scikit-learn agrees."""
    from sklearn.linear_model import Lasso
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    options = {"features": ALONE, "preprocess": {"max_levels": 12}, "holdout": None}
    model = trained(files, tmp_path, "screened", options)
    frame = table().to_pandas()
    frame["plane"] = frame["plane"].astype(object).where(frame["plane"].notna(), "(null)")
    blocks, names = [], []
    for column in ("plane", "store"):
        counts = (
            frame[column].value_counts().sort_index(key=lambda s: [(v[0] == "(", v) for v in s])
        )
        kept = counts.sort_values(ascending=False, kind="stable").index[:12]
        levels = [level for level in counts.index if level in kept]
        encoder = OneHotEncoder(categories=[levels], handle_unknown="ignore", sparse_output=False)
        blocks.append(encoder.fit_transform(frame[[column]].to_numpy(object)))
        names += [f"{column}={level}" for level in levels]
    scaler = StandardScaler().fit(np.hstack(blocks))
    lasso = Lasso(alpha=model.alpha, tol=1e-14, max_iter=100_000)
    lasso.fit(scaler.transform(np.hstack(blocks)), frame["y"])
    found = model.coef[model.coef != 0].reindex(names, fill_value=0.0)
    np.testing.assert_allclose(found, lasso.coef_ / scaler.scale_, atol=1e-8)


def test_the_engine_is_chosen_by_the_levels_that_a_scan_lists(files: Path, tmp_path: Path) -> None:
    model = trained(files, tmp_path, "auto", {"search": {"alphas": 5}})
    assert model.certificate.screening is not None
    few = {"features": {"include": ["x", "store"], "categorical": [], "dates": {}}}
    assert trained(files, tmp_path, "auto", few).certificate.screening is None
    values = {"name": "a", "data": {"path": str(files)}, "target": "y", "stability": None}
    assert (
        "if the listed levels" in plan(TrainJob.from_values(values)).as_values()["engine_because"]
    )


def test_levels_that_would_be_screened_are_not_compared(files: Path, tmp_path: Path) -> None:
    values = {
        "name": "c",
        "data": {"path": str(files)},
        "target": "y",
        "stability": None,
        "registry": str(tmp_path / "models"),
        "features": ALONE,
        "search": {"alphas": 3},
    }
    with pytest.raises(JobError, match="the levels of the categories would be screened"):
        compare(TrainJob.from_values(values), workers=1)


@pytest.mark.slow
def test_booleans_are_screened(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    flags = rng.random((300, 60)) < rng.uniform(0.02, 0.98, 60)
    y = 2.0 * flags[:, 3] - flags[:, 40] + rng.normal(size=300)
    (tmp_path / "data").mkdir()
    columns = {f"b{j}": flags[:, j] for j in range(60)}
    pq.write_table(pa.table({**columns, "y": y}), tmp_path / "data" / "0.parquet")
    options: Values = {"features": {"exclude": [], "categorical": [], "dates": {}}}
    screened = trained(tmp_path / "data", tmp_path, "auto", options)
    whole = trained(tmp_path / "data", tmp_path, "all", options)
    assert screened.certificate.screening is not None
    # Of false and true, either may have the coefficient.
    rows = pa.table(columns)
    np.testing.assert_allclose(screened.predict(rows), whole.predict(rows), atol=1e-8)


@pytest.mark.slow
def test_a_champion_of_other_levels_is_measured_on_the_same_rows(
    files: Path, tmp_path: Path
) -> None:
    """As it is with all levels, whatever levels the new working set has."""
    comparisons = []
    for how in ("screened", "all"):
        folder = tmp_path / how
        (tmp_path / "first").mkdir(exist_ok=True)
        pq.write_table(table(3), tmp_path / "first" / "0.parquet")
        trained(tmp_path / "first", folder, how, {"promote": "always"}, name="m")
        values = {"alphas": [0.4], "eps": None}
        trained(files, folder, how, {"search": values, "promote": "if_better"}, name="m")
        registry = Registry(str(folder / "models"))
        comparisons.append([move.why for move in registry.moves("m")])
    assert comparisons[0] == comparisons[1]


@pytest.mark.slow
def test_the_same_rows_are_no_drift_and_score_as_the_model_predicts(
    files: Path, tmp_path: Path
) -> None:
    options = {
        "promote": "always",
        "features": {"dates": {}, "exclude": ["when", "w", "team", "t"]},
    }
    model = trained(files, tmp_path, "screened", options, name="m")
    values = {
        "model": "m@champion",
        "data": {"path": str(files)},
        "keys": ["t"],
        "output": {"path": str(tmp_path / "scores"), "format": "parquet"},
        "drift": {"path": str(tmp_path / "drift"), "features": "all"},
        "registry": str(tmp_path / "models"),
    }
    result = score(ScoreJob.from_values(values), workers=1)
    assert result.verdict in ("ok", "unknown")
    scores = pd.read_parquet(tmp_path / "scores")["prediction"]
    rows = pa.concat_tables([pq.read_table(path) for path in sorted(files.glob("*.parquet"))])
    np.testing.assert_allclose(np.sort(scores), np.sort(model.predict(rows)), atol=1e-9)
    frame = rows.to_pandas()
    np.testing.assert_allclose(model.to_sklearn().predict(frame), model.predict(frame), atol=1e-9)
