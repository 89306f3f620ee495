"""Drift: what a model keeps of its days, and what runs make of it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from numpy.testing import assert_allclose
from scipy.spatial.distance import jensenshannon
from scipy.stats import ks_2samp, wasserstein_distance

from lasso_jobs import LassoJobsError, ScoreJob, TrainJob, score, train
from lasso_jobs.drift import measure, observe
from lasso_jobs.drift.references import PREDICTION
from lasso_jobs.models.model import Model
from lasso_jobs.scoring.run import ScoreResult
from lasso_jobs.sinks import run_table

pytestmark = pytest.mark.integration

Values = dict[str, Any]
TRAINING, N = 24, 200


def day(index: int) -> str:
    return str(np.datetime64("2024-01-01") + index)


def rows(index: int, price: float = 0.0) -> pd.DataFrame:
    """A day whose visits have an effect of their own, with nulls and levels."""
    rng = np.random.default_rng([5, index])
    frame = pd.DataFrame(
        {
            "price": rng.normal(20 + price, 4, N),
            "visits": rng.normal(rng.normal(0, 2), 5, N),
            "noise": rng.normal(size=N),
            "store": rng.choice(["north", "south", "east"], N, p=[0.5, 0.3, 0.2]),
            "at": pd.Timestamp(day(index)) + pd.to_timedelta(rng.integers(0, 86_400, N), "s"),
        }
    )
    frame["sales"] = 50 - 2 * frame["price"] + frame["visits"] + 6 * (frame["store"] == "north")
    frame["sales"] += rng.normal(0, 3, N)
    frame.loc[rng.random(N) < 0.1, "price"] = np.nan
    frame["kind"] = np.where(rng.random(N) < 0.05 * (1 + index % 3), None, "plain")
    return frame


def write(data: Path, index: int, frame: pd.DataFrame) -> None:
    path = data / f"day={day(index)}" / "rows.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), path, row_group_size=70)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Training days, and after them: one like them, four with another price, one far off."""
    folder = tmp_path_factory.mktemp("days") / "data"
    for index in range(TRAINING + 1):
        write(folder, index, rows(index))
    for index in range(TRAINING + 1, TRAINING + 5):
        write(folder, index, rows(index, price=1.7))
    write(folder, TRAINING + 5, rows(TRAINING + 5, price=40))
    return folder


def training(path: Path, registry: Path, **more: Any) -> Values:
    return {
        "name": "days",
        "data": {"path": str(path), "where": f"day < '{day(TRAINING)}'"},
        "target": "sales",
        "features": {"exclude": ["at"]},
        "preprocess": {"missing": "indicator"},
        "search": {"alphas": 20},
        "penalty_factors": {"noise": 1000.0},
        "stability": None,
        "registry": str(registry),
        **more,
    }


@pytest.fixture(scope="module")
def registry(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models")
    train(TrainJob.from_values(training(data, path)), workers=1)
    return path


@pytest.fixture(scope="module")
def model(registry: Path) -> Model:
    from lasso_jobs import load_model

    return load_model(registry, "days")


@pytest.fixture
def values(data: Path, registry: Path, tmp_path: Path) -> Values:
    return {
        "model": "days",
        "data": {"path": str(data)},
        "output": {"path": str(tmp_path / "scores"), "partition_by": "day"},
        "drift": {"features": "all", "path": str(tmp_path / "drift")},
        "registry": str(registry),
    }


def run(values: Values, *indices: int, **drift: Any) -> ScoreResult:
    where = f"day >= '{day(indices[0])}' and day <= '{day(indices[-1])}'"
    values = {**values, "drift": {**values["drift"], **drift}}
    values["data"] = {**values["data"], "where": where}
    return score(ScoreJob.from_values(values), workers=1)


def stored(values: Values) -> pd.DataFrame:
    return DeltaTable(values["drift"]["path"]).to_pandas()


def source(data: Path, *indices: int) -> pd.DataFrame:
    frames = [
        pd.read_parquet(data / f"day={day(i)}" / "rows.parquet", partitioning=None) for i in indices
    ]
    return pd.concat(frames, ignore_index=True)


# What a model keeps of its days.


def test_a_model_knows_how_its_days_differ(model: Model, data: Path) -> None:
    every = source(data, *range(TRAINING)).drop(columns="at")
    place = model.predictor.positions("visits")
    coef = model.predictor.coef[place][0]
    shifts = np.array(
        [
            coef * (source(data, i)["visits"].mean() - every["visits"].mean())
            for i in range(TRAINING)
        ]
    )
    known, variance = model.references["visits"].baseline, coef**2 * every["visits"].var(ddof=0)
    between = (np.mean(shifts**2) - variance / N) / (1 - 1 / N)
    assert (known.n_periods, known.rows, len(known.spans)) == (TRAINING, N, 2)
    one, two = known.spans
    assert_allclose(known.variance, variance, rtol=1e-9)
    # At least what 24 independent days ask for, and somewhat more if neighbours are alike.
    assert between * 25 / 23 * 0.99 < one.between < between * 1.6
    spread = np.sqrt(one.between + (variance - one.between) / N)
    assert_allclose(one.extreme, np.abs(shifts).max() / spread, rtol=1e-9)
    pairs = (shifts[::2] + shifts[1::2]) / 2
    of_two = (np.mean(pairs**2) - variance / N / 2) / (1 - 1 / N / 2)
    assert of_two < two.between < of_two * 2
    share = max(source(data, i)["price"].isna().mean() for i in range(TRAINING))
    price = model.references["price"].baseline.spans[0]
    assert price.missing == pytest.approx(share)
    share = max(source(data, i)["kind"].isna().mean() for i in range(TRAINING))
    assert model.references["kind"].baseline.spans[0].missing == pytest.approx(share)
    assert one.psi > 0.05 > price.psi


def test_the_predictions_days_are_those_of_all_features_together(model: Model, data: Path) -> None:
    means = np.array([model.predict(source(data, i)).mean() for i in range(TRAINING)])
    shifts, known = means - model.prediction_mean, model.references[PREDICTION].baseline
    variance = model.prediction_sd**2
    assert_allclose(known.variance, variance, rtol=1e-9)
    between = (np.mean(shifts**2) - variance / N) / (1 - 1 / N)
    assert between * 25 / 23 * 0.99 < known.spans[0].between < between * 1.6


@pytest.mark.parametrize(
    ("more", "periods"),
    [
        ({"period": "at", "data": "plain"}, TRAINING),
        ({"period": "store", "data": "plain"}, 3),
        ({"data": "plain"}, 0),
        ({"data": "plain", "search": {"alphas": 5, "split": {"time": "at"}}}, TRAINING),
    ],
)
def test_periods_are_a_folders_days_or_the_splits_or_the_jobs_own(
    data: Path, tmp_path: Path, more: Values, periods: int
) -> None:
    pq.write_table(
        pa.Table.from_pandas(source(data, *range(TRAINING)), preserve_index=False),
        tmp_path / "plain.parquet",
    )
    more = {**more, "data": {"path": str(tmp_path / "plain.parquet")}}
    result = train(TrainJob.from_values(training(data, tmp_path / "m", **more)), workers=1)
    found = {reference.baseline.n_periods for reference in result.model.references.values()}
    assert found == {periods}


@pytest.mark.parametrize(
    ("period", "message"),
    [("nothing", "nothing"), ("price", "period 'price': has type double; expected dates")],
)
def test_a_period_that_is_none_is_refused(
    data: Path, tmp_path: Path, period: str, message: str
) -> None:
    with pytest.raises(LassoJobsError, match=message):
        train(TrainJob.from_values(training(data, tmp_path, period=period)), workers=1)


def test_a_model_of_cached_reads_is_the_same(data: Path, tmp_path: Path) -> None:
    digests = [
        train(TrainJob.from_values(training(data, tmp_path, **more)), workers=1).registered.digest
        for more in ({}, {}, {"cache": False})
    ]
    assert len(set(digests)) == 1


# Statistics.


def test_the_table_has_the_statistics_of_the_rows(values: Values, model: Model, data: Path) -> None:
    run(values, TRAINING)
    now, past = source(data, TRAINING), source(data, *range(TRAINING))
    table = stored(values).set_index("feature")
    for name in ("price", "visits", "noise"):
        row, edges = table.loc[name], model.references[name].edges
        x, z = now[name].dropna(), past[name].dropna()
        cuts = [-np.inf, *edges, np.inf]
        bins, old = (np.digitize(part, edges) for part in (x, z))
        counts = [*np.histogram(x, cuts)[0], now[name].isna().sum()]
        assert list(row["counts"]) == counts
        assert_allclose([row["mean"], row["sd"]], [x.mean(), x.std(ddof=0)], rtol=1e-12)
        assert_allclose(
            [row["reference_mean"], row["reference_sd"]], [z.mean(), z.std(ddof=0)], rtol=1e-9
        )
        assert (row["minimum"], row["maximum"]) == (x.min(), x.max())
        assert_allclose(row["ks"], ks_2samp(old, bins).statistic, atol=1e-12)
        q = np.array([*np.histogram(z, cuts)[0], past[name].isna().sum()]) / len(past)
        assert_allclose(row["reference_shares"], q, atol=1e-12)
        assert_allclose(row["js"], jensenshannon(q, counts, base=2), rtol=1e-12)
        places = z.groupby(old).mean().to_numpy()[old], x.groupby(bins).mean()
        distance = wasserstein_distance(places[0], places[1].loc[bins])
        assert_allclose(row["wasserstein"], distance / z.std(ddof=0), rtol=1e-9)
        outside = ((x < z.min()) | (x > z.max())).sum() / N
        assert row["out_of_range_share"] == pytest.approx(outside)
    row = table.loc["store"]
    p, q = (frame["store"].value_counts(normalize=True).sort_index() for frame in (now, past))
    assert list(row["bins"]) == ["east", "north", "south", "unseen", "missing"]
    assert_allclose(row["chi2"], ((p - q) ** 2 / (p + q)).sum() / 2, rtol=1e-9)
    assert np.isnan(row["mean"])
    assert (table["n"] == N).all()
    assert set(table["model"]) == {"days"}


def test_variance_shifts_sum_to_the_change_of_the_predictions_variance(
    values: Values, model: Model, data: Path
) -> None:
    for index in (TRAINING, TRAINING + 5):
        parts = {r.drift.feature: r.drift.variance_shift for r in run(values, index).drift}
        change = model.predict(source(data, index)).var(ddof=0) - model.prediction_sd**2
        whole = parts.pop(PREDICTION)
        assert parts["noise"] == 0
        assert_allclose([whole, sum(parts.values())], change, rtol=1e-8)


@pytest.mark.parametrize("workers", [1, 2])
def test_statistics_do_not_depend_on_the_cut_of_the_work(
    values: Values, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    whole = run(values, TRAINING, TRAINING + 5)
    monkeypatch.setattr("lasso_jobs.data.dataset.UNIT_BYTES", 1)
    values = {**values, "drift": {**values["drift"], "path": values["drift"]["path"] + "2"}}
    where = f"day >= '{day(TRAINING)}' and day <= '{day(TRAINING + 5)}'"
    job = {**values, "data": {**values["data"], "where": where}}
    cut = score(ScoreJob.from_values(job), workers=workers)
    assert cut.work_units > whole.work_units
    for a, b in zip(whole.drift, cut.drift, strict=True):
        assert (a.partition, a.drift.feature, a.drift.counts) == (
            b.partition,
            b.drift.feature,
            b.drift.counts,
        )
        assert a.drift.verdict == b.drift.verdict
        for name in ("mean", "sd", "score_shift", "variance_shift", "wasserstein", "psi"):
            scale = max(1.0, abs(getattr(a.drift, name)))
            found = getattr(b.drift, name)
            assert_allclose(found, getattr(a.drift, name), atol=1e-11 * scale, equal_nan=True)


# Verdicts.


def test_an_innocent_day_is_ok_and_a_gross_one_alarms_at_once(values: Values) -> None:
    assert run(values, TRAINING).verdict == "ok"
    result = run(values, TRAINING + 5)
    assert {r.drift.feature for r in result.drift if r.drift.raised == "alarm"} == {
        "price",
        PREDICTION,
    }


def price(result: ScoreResult) -> tuple[str, str]:
    found = next(r.drift for r in result.drift if r.drift.feature == "price")
    return found.raised, found.verdict


@pytest.fixture
def moderate(values: Values) -> tuple[Values, list[int]]:
    return values, list(range(TRAINING + 1, TRAINING + 5))


def test_what_is_beyond_the_limit_alarms_when_it_persists_and_a_repeated_run_says_the_same(
    moderate: tuple[Values, list[int]],
) -> None:
    values, days = moderate
    first = [price(run(values, index)) for index in days]
    assert first == [("watch", "watch"), ("watch", "watch"), ("watch", "alarm"), ("watch", "alarm")]
    assert [price(run(values, index)) for index in days] == first
    table = stored(values)
    assert not table.duplicated(["run_id", "partition", "segment", "feature"]).any()


def test_days_of_one_run_count_as_runs(moderate: tuple[Values, list[int]]) -> None:
    values, days = moderate
    result = run(values, days[0], days[-1])
    found = [r.drift.verdict for r in result.drift if r.drift.feature == "price"]
    assert found == ["watch", "watch", "alarm", "alarm"]


def test_persistence_is_the_jobs(moderate: tuple[Values, list[int]]) -> None:
    values, days = moderate
    found = [price(run(values, index, persistence=[2, 2])) for index in days[:2]]
    assert found == [("watch", "watch"), ("watch", "alarm")]


def test_another_version_begins_anew(
    moderate: tuple[Values, list[int]], data: Path, tmp_path: Path
) -> None:
    values, days = moderate
    registry = tmp_path / "m"
    for seed in (0, 1):
        job = training(data, registry, seed=seed, promote="always")
        train(TrainJob.from_values(job), workers=1)
    values = {**values, "registry": str(registry)}
    found = [price(run({**values, "model": "days@v1"}, index)) for index in days[:2]]
    found.append(price(run({**values, "model": "days@v2"}, days[2])))
    assert [verdict for _, verdict in found] == ["watch"] * 3


def test_a_table_without_partitions_goes_by_its_runs(moderate: tuple[Values, list[int]]) -> None:
    values, days = moderate
    values = {**values, "output": {"path": values["output"]["path"]}}
    assert [price(run(values, index))[1] for index in days[:3]] == ["watch", "watch", "alarm"]


def test_a_table_of_an_earlier_version_gets_the_new_columns(values: Values) -> None:
    path = values["drift"]["path"]
    at = pd.Timestamp("2024-01-01", tz="UTC")
    old = pa.table(
        {
            "run_id": ["old"],
            "scored_at": pa.array([at], pa.timestamp("us", "UTC")),
            "model_version": ["v1"],
            "partition": [f"day={day(0)}"],
            "feature": ["price"],
            "n": [1],
            **{name: [0.5] for name in ("missing_share", "mean", "psi", "score_shift")},
            "verdict": ["alarm"],
            "reason": ["why"],
        }
    )
    run_table.replace_rows(path, old, "run_id", "old")
    assert run(values, TRAINING).verdict == "ok"
    table = stored(values).set_index("run_id")
    assert table.loc["old", "verdict"] == "alarm"
    assert pd.isna(table.loc["old", "raised"])
    assert len(table) == 7


def test_a_job_without_drift_measures_none(values: Values) -> None:
    result = score(ScoreJob.from_values({**values, "drift": None}), workers=1)
    assert (result.drift, result.verdict) == ((), "unknown")
    assert result.because == "not judged: the job has no drift"


# Segments and correlations.


def test_segments_are_shown_and_not_judged(
    values: Values, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measure, "MOST_SEGMENTS", 2)
    result = run(values, TRAINING + 5, segment="store")
    now = source(data, TRAINING + 5)
    table = stored(values).set_index(["segment", "feature"])
    assert set(table.index.get_level_values(0)) == {
        "",
        "store=north",
        "store=south",
        "store=(other)",
    }
    for segment, kept in (
        ("", now["store"] != ""),
        ("store=north", now["store"] == "north"),
        ("store=(other)", now["store"] == "east"),
    ):
        row = table.loc[segment, "price"]
        assert row["n"] == kept.sum()
        assert_allclose(row["mean"], now.loc[kept, "price"].mean(), rtol=1e-12)
        assert row["verdict"] == ("unknown" if segment else "alarm")
        assert np.isnan(row["shift_limit"]) == bool(segment)
    assert result.verdict == "alarm"


def test_a_segment_that_is_no_group_is_refused(
    values: Values, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(observe, "MOST_VALUES", 2)
    with pytest.raises(LassoJobsError, match=r"'store', drift\.segment: has more than 2 values"):
        run(values, TRAINING, segment="store")
    with pytest.raises(LassoJobsError, match="nowhere"):
        run(values, TRAINING, segment="nowhere")


def filled(model: Model, frame: pd.DataFrame) -> pd.DataFrame:
    columns = {
        name: frame[name].fillna(model.predictor.fill[j])
        for j, name in enumerate(model.columns.numeric)
    }
    levels = {
        f"store={level}": (frame["store"] == level) * 1.0 for level in sorted(set(frame["store"]))
    }
    null = frame["kind"].isna() * 1.0
    return pd.DataFrame({**columns, "kind=(null)": null, "kind=plain": 1 - null, **levels})


def test_correlations_that_moved_are_listed_with_what_they_do(
    values: Values, model: Model, data: Path
) -> None:
    index = TRAINING + 6
    frame = rows(index)
    frame["visits"] = frame["visits"] + frame["price"].fillna(20)
    own = Path(values["drift"]["path"]).parent / "own"
    write(own, index, frame)
    values = {**values, "data": {"path": str(own)}}
    found = [r.drift for r in run(values, index, correlation=True).drift]
    pairs = [drift for drift in found if drift.kind == "correlation"]
    assert pairs[0].feature == "price ~ visits"
    now, past = (filled(model, part) for part in (frame, source(data, *range(TRAINING))))
    coef = model.coef
    for pair in pairs:
        a, b = pair.feature.split(" ~ ")
        assert_allclose(pair.mean, now.corr().loc[a, b], atol=1e-10)
        assert_allclose(pair.reference_mean, past.corr().loc[a, b], atol=1e-10)
        change = now.cov(ddof=0).loc[a, b] - past.cov(ddof=0).loc[a, b]
        assert_allclose(pair.variance_shift, 2 * coef[a] * coef[b] * change, atol=1e-8)
    moved = [abs(pair.mean - pair.reference_mean) for pair in pairs]
    assert moved == sorted(moved, reverse=True)
    assert len(stored(values)) == len(found)


def test_correlations_of_a_model_that_keeps_none_are_refused(
    values: Values, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lasso_jobs.models.registry import Registry

    load: Callable[..., Any] = Registry.load
    without = replace(
        model,
        diagnostics=replace(
            model.diagnostics,
            collinearity=replace(model.diagnostics.collinearity, correlation=None),
        ),
    )
    monkeypatch.setattr(Registry, "load", lambda *args: replace(load(*args), model=without))
    with pytest.raises(LassoJobsError, match=r"drift\.correlation: days keeps no correlations"):
        run(values, TRAINING, correlation=True)
