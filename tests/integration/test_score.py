"""What scoring leaves behind: rows, quarantine, drift; after any number of runs."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from numpy.testing import assert_allclose, assert_array_equal

from lasso_jobs import LassoJobsError, ScoreJob, TrainJob, load_model, score, train
from lasso_jobs.drift.page import drift_page
from lasso_jobs.drift.show import drift_of
from lasso_jobs.models.model import Model
from lasso_jobs.models.registry import Registry
from lasso_jobs.outputs.verify import verify
from lasso_jobs.scoring.plan import plan
from lasso_jobs.scoring.run import ScoreResult

pytestmark = pytest.mark.integration

Values = dict[str, Any]
DAY, NEXT, AFTER, SHIFTED = (f"2024-01-{day:02d}" for day in (9, 10, 11, 12))
TRAINED = [f"2024-01-{day:02d}" for day in range(1, 9)]
N = 150


def run(values: Values, where: str | None = None, workers: int = 1) -> ScoreResult:
    """Score a day, or the rows of a filter."""
    if where is not None:
        where = where if " " in where else f"day == '{where}'"
        values = {**values, "data": {**values["data"], "where": where}}
    return score(ScoreJob.from_values(values), workers=workers)


def scored(values: Values) -> pd.DataFrame:
    return DeltaTable(values["output"]["path"]).to_pandas().sort_values("id", ignore_index=True)


def quarantined(values: Values) -> pd.DataFrame:
    return DeltaTable(values["output"]["path"] + "-quarantine").to_pandas()


def drift_table(values: Values) -> pd.DataFrame:
    return DeltaTable(values["drift"]["path"]).to_pandas()


def source(data: Path, *days: str) -> pd.DataFrame:
    frames = [pd.read_parquet(data / f"day={day}" / "sales.parquet") for day in days]
    return pd.concat(frames, ignore_index=True).sort_values("id", ignore_index=True)


def rewrite(data: Path, day: str, change: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
    path = data / f"day={day}" / "sales.parquet"
    frame = change(pd.read_parquet(path, partitioning=None))
    frame.to_parquet(path, row_group_size=50)


def put(name: str, rows: list[int], value: object) -> Callable[[pd.DataFrame], pd.DataFrame]:
    return lambda frame: frame.assign(**{name: frame[name].mask(frame.index.isin(rows), value)})


@pytest.fixture
def own_values(score_values: Values, own_shop: Path) -> Values:
    """A scoring job of data that the test may change."""
    return {**score_values, "data": {"path": str(own_shop)}}


@pytest.fixture
def model(registry: Path) -> Model:
    return load_model(registry, "sales")


def test_the_model_of_these_tests_keeps_all_features_but_the_noise(model: Model) -> None:
    assert set(model.predictor.used) == {"price", "visits", "store", "promo"}


# Each row once.


def test_a_day_scored_twice_is_there_once(score_values: Values, shop: Path) -> None:
    first, second = run(score_values, DAY), run(score_values, DAY)
    assert scored(score_values)["id"].tolist() == source(shop, DAY)["id"].tolist()
    assert first.run_id == second.run_id
    assert first.rows_scored == second.rows_scored == N


def test_a_day_scored_anew_replaces_its_rows(score_values: Values, own_values: Values) -> None:
    run(own_values, DAY)
    before = scored(own_values)
    rewrite(Path(own_values["data"]["path"]), DAY, lambda frame: frame.iloc[40:])
    run(own_values, DAY)
    after = scored(own_values)
    assert after["id"].tolist() == before["id"].tolist()[40:]
    assert set(before["run_id"]).isdisjoint(after["run_id"])


def test_overlapping_runs_leave_each_row_once(score_values: Values, shop: Path) -> None:
    run(score_values, f"day in ('{DAY}', '{NEXT}')")
    last = run(score_values, f"day in ('{NEXT}', '{AFTER}')")
    table = scored(score_values)
    assert table["id"].tolist() == source(shop, DAY, NEXT, AFTER)["id"].tolist()
    runs = table.groupby("day")["run_id"].unique()
    assert runs[NEXT].tolist() == runs[AFTER].tolist() == [last.run_id]
    assert runs[DAY].tolist() != [last.run_id]


@pytest.mark.usefixtures("small_work_units")
def test_several_partitions_of_several_days_make_one_commit(
    score_values: Values, shop: Path
) -> None:
    result = run(score_values, f"day >= '{DAY}'", workers=2)
    assert result.output_version == 0
    assert (
        scored(score_values)["id"].tolist()
        == source(shop, DAY, NEXT, AFTER, SHIFTED)["id"].tolist()
    )
    assert [entry["version"] for entry in DeltaTable(score_values["output"]["path"]).history()] == [
        0
    ]


def test_an_output_without_partitions_is_replaced_whole(score_values: Values, shop: Path) -> None:
    values = {**score_values, "output": {"path": score_values["output"]["path"]}}
    run(values, f"day in ('{DAY}', '{NEXT}')")
    run(values, AFTER)
    assert scored(values)["id"].tolist() == source(shop, AFTER)["id"].tolist()
    assert "day" not in scored(values)
    assert set(drift_table(values)["partition"]) == {"all"}


def test_an_output_may_have_neither_keys_nor_partitions(own_values: Values, model: Model) -> None:
    values = {**own_values, "keys": [], "output": {"path": own_values["output"]["path"]}}
    data = Path(values["data"]["path"])
    rewrite(data, DAY, put("visits", [3, 70], np.inf))
    result = run(values, DAY)
    rows = source(data, DAY)
    kept = model.predict(rows.drop([3, 70]))
    found = DeltaTable(values["output"]["path"]).to_pandas()
    assert_array_equal(np.sort(found["prediction"]), np.sort(kept))
    assert (result.rows_scored, result.rows_quarantined) == (N - 2, 2)
    assert sorted(quarantined(values)["row"]) == [3, 70]
    assert verify(values["output"]["path"], deep=True).rows_rescored == N


def test_a_filter_inside_a_day_is_accounted_for(score_values: Values, shop: Path) -> None:
    result = run(score_values, f"day == '{DAY}' and promo == True")
    promoted = source(shop, DAY).query("promo")
    assert scored(score_values)["id"].tolist() == promoted["id"].tolist()
    assert (result.rows_in, result.rows_scored) == (N, len(promoted))
    assert result.rows_filtered == N - len(promoted)


def test_a_filter_that_keeps_no_row_does_not_empty_an_output_without_partitions(
    score_values: Values, shop: Path
) -> None:
    values = {**score_values, "output": {"path": score_values["output"]["path"]}}
    run(values, DAY)
    with pytest.raises(LassoJobsError, match=r"data\.where"):
        run(values, f"day == '{DAY}' and visits > 1e6")
    assert scored(values)["id"].tolist() == source(shop, DAY)["id"].tolist()


# What a row says.


def test_predictions_are_those_of_the_model_and_of_scikit_learn(
    score_values: Values, shop: Path, model: Model
) -> None:
    run(score_values, f"day in ('{DAY}', '{NEXT}')")
    rows = source(shop, DAY, NEXT)
    found = scored(score_values)["prediction"]
    assert_array_equal(found, model.predict(rows))
    pipeline = model.to_sklearn()
    rows = rows.assign(promo=rows["promo"].astype(object), store=rows["store"].astype(object))
    assert_allclose(found, pipeline.predict(rows), rtol=1e-12)


def test_intervals_have_the_width_that_the_holdout_showed(
    score_values: Values, model: Model
) -> None:
    run(score_values, DAY)
    rows = scored(score_values)
    assert model.holdout is not None
    assert_allclose(rows["prediction"] - rows["prediction_low"], model.holdout.interval, rtol=1e-9)
    assert_allclose(rows["prediction_high"] - rows["prediction"], model.holdout.interval, rtol=1e-9)


def test_every_row_names_its_model_run_and_time(score_values: Values) -> None:
    result = run(score_values, DAY)
    rows = scored(score_values)
    assert list(rows) == [
        *("id", "day", "prediction", "prediction_low", "prediction_high"),
        *("model_version", "run_id", "scored_at"),
    ]
    assert set(rows["model_version"]) == {"v1"}
    assert set(rows["run_id"]) == {result.run_id}
    assert rows["scored_at"].nunique() == 1
    assert str(rows["scored_at"].dt.tz) == "UTC"


def test_the_commit_names_the_run_and_the_model(score_values: Values, registry: Path) -> None:
    result = run(score_values, DAY)
    newest = DeltaTable(score_values["output"]["path"]).history(1)[0]
    assert newest["run_id"] == result.run_id
    assert newest["model"] == "sales@v1"
    assert newest["digest"] == Registry(registry).load("sales").digest


def by_duckdb(uris: list[str]) -> pd.DataFrame:
    found = duckdb.read_parquet(uris, hive_partitioning=True)
    return pd.DataFrame(found.fetchall(), columns=found.columns)


@pytest.mark.parametrize(
    "read",
    [
        by_duckdb,
        lambda uris: pd.read_parquet(uris, partitioning="hive"),
        lambda uris: ds.dataset(uris, format="parquet", partitioning="hive").to_table().to_pandas(),
    ],
    ids=["duckdb", "pandas", "pyarrow"],
)
def test_other_tools_read_the_files(
    score_values: Values, read: Callable[[list[str]], pd.DataFrame]
) -> None:
    run(score_values, f"day in ('{DAY}', '{NEXT}')")
    expected = scored(score_values)
    found = read(DeltaTable(score_values["output"]["path"]).file_uris())
    found = found.sort_values("id", ignore_index=True)
    assert_array_equal(found["id"], expected["id"])
    assert_array_equal(found["prediction"], expected["prediction"])
    # DuckDB and others take the folder's name for a date.
    assert found["day"].astype(str).str[:10].tolist() == expected["day"].tolist()


# One read, of what is needed.


@pytest.mark.parametrize(
    ("features", "needed"),
    [
        (None, {"id", "price", "visits", "store", "promo"}),
        ("selected", {"id", "price", "visits", "store", "promo"}),
        (["noise"], {"id", "price", "visits", "store", "promo", "noise"}),
        ("all", {"id", "price", "visits", "store", "promo", "noise"}),
    ],
)
def test_only_the_needed_columns_are_read(
    score_values: Values, shop: Path, features: object, needed: set[str]
) -> None:
    drift = features and {"path": score_values["drift"]["path"], "features": features}
    result = run({**score_values, "drift": drift}, DAY)
    footer = pq.read_metadata(shop / f"day={DAY}" / "sales.parquet")
    groups = [footer.row_group(i) for i in range(footer.num_row_groups)]
    columns = [group.column(j) for group in groups for j in range(group.num_columns)]
    sizes = [c.total_compressed_size for c in columns if c.path_in_schema in needed]
    assert len(sizes) == 3 * len(needed)
    assert result.bytes_read == sum(sizes)


def test_the_plan_foretells_the_bytes_that_are_read_for_a_filter(score_values: Values) -> None:
    data = {**score_values["data"], "where": f"day == '{DAY}' and noise > 0"}
    values = {**score_values, "data": data}
    planned = plan(ScoreJob.from_values(values))
    assert run(values).bytes_read == planned.n_bytes


# Rows that cannot be scored.


def test_infinite_values_are_quarantined_and_all_rows_accounted_for(own_values: Values) -> None:
    data = Path(own_values["data"]["path"])
    rewrite(data, DAY, put("visits", [3, 70], np.inf))
    rewrite(data, DAY, put("price", [70, 149], -np.inf))
    result = run(own_values, f"day in ('{DAY}', '{NEXT}')")
    bad = quarantined(own_values).sort_values("row", ignore_index=True)
    assert bad["row"].tolist() == [3, 70, 149]
    assert bad["id"].tolist() == source(data, DAY)["id"].iloc[[3, 70, 149]].tolist()
    assert set(bad["reason"]) == {"infinite"}
    assert bad["column"][0] == "visits"
    assert bad["column"][1] in ("visits", "price")
    assert bad["column"][2] == "price"
    assert sum(result.reasons.values()) == 3
    assert set(bad["file"]) == {f"day={DAY}/sales.parquet"}
    assert set(bad["day"]) == {DAY}
    assert set(bad["run_id"]) == {result.run_id}
    assert (result.rows_in, result.rows_scored, result.rows_quarantined) == (2 * N, 2 * N - 3, 3)
    assert set(scored(own_values)["id"]).isdisjoint(bad["id"])
    assert len(scored(own_values)) + len(bad) == 2 * N


def test_nulls_are_filled_where_the_model_was_trained_so(score_values: Values, shop: Path) -> None:
    result = run(score_values, DAY)
    assert source(shop, DAY)["price"].isna().any()
    assert result.rows_quarantined == 0
    assert scored(score_values)["prediction"].notna().all()


@pytest.mark.parametrize("missing", ["error", "drop"])
def test_nulls_are_quarantined_where_the_model_was_trained_without(
    own_values: Values, train_values: Values, missing: str
) -> None:
    chosen = " and price is not None" if missing == "error" else ""
    complete = {
        **train_values,
        "features": {"include": ["price", "visits"]},
        "data": {**train_values["data"], "where": f"day < '{DAY}'{chosen}"},
        "preprocess": {"missing": missing},
        "holdout": None,
        "penalty_factors": {},
    }
    train(TrainJob.from_values(complete), workers=1)
    values = {**own_values, "registry": train_values["registry"]}
    data = Path(values["data"]["path"])
    rewrite(data, DAY, put("visits", [5], None))
    result = run(values, DAY)
    expected = source(data, DAY).query("price.isna() or visits.isna()")
    bad = quarantined(values)
    assert len(expected) > 5
    assert sorted(bad["id"]) == expected["id"].tolist()
    assert set(bad["reason"]) == {"null"}
    assert set(bad["column"]) == {"price", "visits"}
    assert result.rows_quarantined == len(expected)
    assert result.rows_scored == N - len(expected)
    assert scored(values)["prediction_low"].isna().all()


def _spoil(values: Values, day: str, rows: int) -> None:
    rewrite(Path(values["data"]["path"]), day, put("visits", list(range(rows)), np.inf))


@pytest.mark.parametrize("bad_rows", ["quarantine", 0.999, 10 * N])
@pytest.mark.parametrize("days", [(DAY,), (DAY, NEXT, AFTER)])
def test_a_night_that_loses_every_row_keeps_its_former_ones(
    own_values: Values, bad_rows: object, days: tuple[str, ...]
) -> None:
    values = {**own_values, "bad_rows": bad_rows}
    run(values, f"day in {(DAY, NEXT, AFTER)}")
    before = scored(values)
    _spoil(values, DAY, N)
    with pytest.raises(LassoJobsError, match=f"{N} of {N} rows cannot be scored") as caught:
        run(values, f"day in {(*days, 'none')}")
    assert "Nothing was committed, and earlier rows are still shown" in str(caught.value)
    pd.testing.assert_frame_equal(scored(values), before)
    assert not DeltaTable.is_deltatable(values["output"]["path"] + "-quarantine")
    assert len(drift_table(values)["run_id"].unique()) == 1
    verify(values["output"]["path"])


def test_a_night_may_lose_half_of_its_rows_and_not_more(own_values: Values) -> None:
    run(own_values, DAY)
    _spoil(own_values, DAY, N // 2 + 1)
    expected = f"at most {N // 2}, as bad_rows is quarantine, which is 50% of the rows"
    with pytest.raises(LassoJobsError, match=expected):
        run(own_values, DAY)
    assert len(scored(own_values)) == N
    result = run({**own_values, "bad_rows": 0.9}, DAY)
    assert (result.rows_scored, result.rows_quarantined) == (N // 2 - 1, N // 2 + 1)
    assert len(scored(own_values)) == N // 2 - 1


def test_mended_rows_leave_the_quarantine(own_values: Values) -> None:
    data = Path(own_values["data"]["path"])
    for day in (DAY, NEXT):
        rewrite(data, day, put("visits", [3], np.inf))
        run(own_values, day)
    rewrite(data, DAY, put("visits", [3], 1.0))
    run(own_values, DAY)
    assert quarantined(own_values)["day"].tolist() == [NEXT]
    assert len(scored(own_values)) == 2 * N - 1


def test_bad_rows_fail_commits_nothing(own_values: Values) -> None:
    values = {**own_values, "bad_rows": "fail"}
    rewrite(Path(values["data"]["path"]), DAY, put("visits", [3], np.inf))
    with pytest.raises(LassoJobsError, match=r"1 row cannot be scored \(infinite visits: 1\)"):
        run(values, f"day in ('{DAY}', '{NEXT}')")
    for path in (values["output"]["path"], values["drift"]["path"]):
        assert not DeltaTable.is_deltatable(path)
        assert not DeltaTable.is_deltatable(path + "-quarantine")


@pytest.mark.parametrize("name", ["reason", "file", "row", "run_id", "prediction"])
def test_a_key_with_the_name_of_a_written_column_is_refused_when_planning(
    own_values: Values, name: str
) -> None:
    data = Path(own_values["data"]["path"])
    rewrite(data, DAY, lambda frame: frame.rename(columns={"note": name}))
    data = {"path": str(data), "where": f"day == '{DAY}'"}
    with pytest.raises(LassoJobsError, match=f"'{name}' is a column that scoring writes"):
        plan(ScoreJob.from_values({**own_values, "keys": [name], "data": data}))


def test_unseen_levels_are_scored_as_none_of_the_known(own_values: Values, model: Model) -> None:
    data = Path(own_values["data"]["path"])
    rewrite(data, DAY, put("store", [0], "moon"))
    run(own_values, DAY)
    row = source(data, DAY).iloc[:1]
    known = model.coef[[name for name in model.coef.index if not name.startswith("store=")]]
    expected = model.intercept + row["visits"][0] * known["visits"]
    price = row["price"].fillna(float(model.predictor.fill[0]))[0]
    expected += price * known["price"] + known[f"promo={str(row['promo'][0]).lower()}"]
    assert_allclose(scored(own_values)["prediction"][0], expected, rtol=1e-12)


# A run that fails.


@pytest.fixture
def damaged(own_values: Values) -> Values:
    """Two scored days, then a file whose footer is intact and whose pages are not."""
    run(own_values, f"day in ('{DAY}', '{NEXT}')")
    path = Path(own_values["data"]["path"]) / f"day={NEXT}" / "sales.parquet"
    start = pq.read_metadata(path).row_group(1).column(2).data_page_offset
    content = bytearray(path.read_bytes())
    content[start : start + 200] = b"\xff" * 200
    path.write_bytes(content)
    return own_values


def test_a_failed_run_leaves_the_old_generation(damaged: Values) -> None:
    before, drift = scored(damaged), drift_table(damaged)
    with pytest.raises(LassoJobsError, match=rf"day={NEXT}/sales.parquet.*cannot be read"):
        run(damaged, f"day in ('{DAY}', '{NEXT}')")
    pd.testing.assert_frame_equal(scored(damaged), before)
    pd.testing.assert_frame_equal(drift_table(damaged), drift)


def test_a_run_after_a_failed_one_is_whole(damaged: Values, shop: Path) -> None:
    with pytest.raises(LassoJobsError):
        run(damaged, NEXT)
    data = Path(damaged["data"]["path"])
    (data / f"day={NEXT}" / "sales.parquet").write_bytes(
        (shop / f"day={NEXT}" / "sales.parquet").read_bytes()
    )
    result = run(damaged, NEXT)
    table = scored(damaged)
    assert table["id"].tolist() == source(shop, DAY, NEXT)["id"].tolist()
    assert set(table[table["day"] == NEXT]["run_id"]) == {result.run_id}


# Drift.


def test_drift_has_a_row_for_each_partition_and_feature(score_values: Values) -> None:
    result = run(score_values, f"day in ('{DAY}', '{NEXT}')")
    table = drift_table(score_values)
    expected = {
        (result.run_id, f"day={day}", feature)
        for day in (DAY, NEXT)
        for feature in ("price", "visits", "store", "promo", "prediction")
    }
    assert len(table) == len(expected)
    assert set(zip(table["run_id"], table["partition"], table["feature"], strict=True)) == expected
    assert set(table["n"]) == {N}


def test_a_run_writes_a_page_of_its_drift_beside_the_table(score_values: Values) -> None:
    runs = [run(score_values, day) for day in (DAY, NEXT, SHIFTED, SHIFTED)]
    pages = {p.stem: p for p in Path(score_values["drift"]["path"], "_pages").iterdir()}
    assert {*pages} == {result.run_id for result in runs}
    page = pages[runs[-1].run_id].read_text()
    assert "mean prediction of sales" in page
    assert f"{DAY} to {SHIFTED}" in page  # the history of a feature
    assert "Alarm" in page.split("<main>")[0]
    for result in runs:  # what was measured and what the table says give the same page
        facts = drift_of(score_values["drift"]["path"], run_id=result.run_id, target="sales")
        assert pages[result.run_id].read_text() == drift_page(facts)


def test_drift_of_a_repeated_run_is_there_once(score_values: Values) -> None:
    run(score_values, DAY)
    once = drift_table(score_values)
    run(score_values, NEXT)
    run(score_values, DAY)
    table = drift_table(score_values)
    assert len(table) == 2 * len(once)
    assert not table.duplicated(["run_id", "partition", "feature"]).any()


@pytest.mark.parametrize("features", ["selected", "all"])
@pytest.mark.usefixtures("small_work_units")
def test_score_shifts_sum_to_the_change_of_the_mean_prediction(
    score_values: Values, shop: Path, model: Model, features: str
) -> None:
    values = {**score_values, "drift": {**score_values["drift"], "features": features}}
    result = run(values, f"day >= '{AFTER}'")
    trained = source(shop, *TRAINED)  # with those without an outcome
    for day in (AFTER, SHIFTED):
        rows = [row.drift for row in result.drift if row.partition == f"day={day}"]
        parts = {row.feature: row.score_shift for row in rows}
        whole = parts.pop("prediction")
        change = model.predict(source(shop, day)).mean() - model.predict(trained).mean()
        assert_allclose(whole, change, rtol=1e-9)
        assert_allclose(sum(parts.values()), change, rtol=1e-9)


def test_score_shifts_sum_with_null_indicators_and_unseen_levels(
    own_values: Values, train_values: Values
) -> None:
    job = {**train_values, "preprocess": {"missing": "indicator"}}
    model = train(TrainJob.from_values(job), workers=1).model
    assert model.coef["price is null"] != 0
    values = {**own_values, "registry": train_values["registry"]}
    data = Path(values["data"]["path"])
    rewrite(data, DAY, put("price", list(range(60)), None))
    rewrite(data, DAY, put("store", list(range(30)), "moon"))
    result = run(values, DAY)
    parts = {row.drift.feature: row.drift.score_shift for row in result.drift}
    trained = source(data, *TRAINED)
    change = model.predict(source(data, DAY)).mean() - model.predict(trained).mean()
    assert_allclose(parts["prediction"], change, rtol=1e-9)
    assert_allclose(sum(parts.values()) - parts["prediction"], change, rtol=1e-9)


def psi(reference: np.ndarray, counts: np.ndarray) -> float:
    """As `lasso_jobs.core.drift.drift.psi` states it: half a row more in every bin."""
    n, bins = counts.sum(), len(counts)
    q = (counts + 0.5) / (n + bins / 2)
    p = (reference * n + 0.5) / (n + bins / 2)
    return float(((q - p) * np.log(q / p)).sum())


@pytest.mark.usefixtures("small_work_units")
def test_psi_is_that_of_the_models_own_bins(score_values: Values, shop: Path, model: Model) -> None:
    result = run(score_values, f"day >= '{AFTER}'")
    for day in (AFTER, SHIFTED):
        rows = source(shop, day)
        rows["prediction"] = model.predict(rows)
        found = {r.drift.feature: r.drift for r in result.drift if r.partition == f"day={day}"}
        for name in ("price", "visits", "prediction"):
            edges = [-np.inf, *model.references[name].edges, np.inf]
            counts = np.histogram(rows[name].dropna(), edges)[0]
            counts = np.append(counts, rows[name].isna().sum())
            assert_allclose(found[name].psi, psi(model.references[name].shares, counts), rtol=1e-9)
            assert_allclose(found[name].mean, rows[name].mean(), rtol=1e-9)
            assert found[name].missing_share == rows[name].isna().mean()
        levels = rows["store"].astype(object).where(rows["store"].notna(), None).tolist()
        category = next(c for c in model.columns.categories if c.name == "store")
        counts = np.array([*(levels.count(level) for level in category.levels), 0])
        assert counts.sum() == N
        assert_allclose(
            found["store"].psi, psi(model.references["store"].shares, counts), rtol=1e-9
        )


def test_the_references_are_the_training_rows_distribution(
    model: Model, shop: Path, train_values: Values
) -> None:
    rows = source(shop, *TRAINED)
    assert rows["sales"].isna().any()
    for name in ("price", "visits", "noise"):
        reference = model.references[name]
        counts = np.histogram(rows[name].dropna(), [-np.inf, *reference.edges, np.inf])[0]
        assert_allclose(reference.shares[:-1], counts / len(rows), rtol=1e-12)
        assert_allclose(reference.shares[-1], rows[name].isna().mean(), atol=1e-12)
        assert len(reference.edges) == 19


def test_a_stable_day_is_ok_and_a_shifted_day_alarms_for_its_feature(
    score_values: Values,
) -> None:
    assert run(score_values, DAY).verdict == "ok"
    result = run(score_values, SHIFTED)
    assert result.verdict == "alarm"
    alarms = {row.drift.feature for row in result.drift if row.drift.verdict == "alarm"}
    assert alarms == {"price", "prediction"}


def test_an_unused_feature_that_moves_does_not_alarm(own_values: Values) -> None:
    rewrite(Path(own_values["data"]["path"]), DAY, put("noise", list(range(N)), 99.0))
    result = run({**own_values, "drift": {**own_values["drift"], "features": "all"}}, DAY)
    noise = next(row.drift for row in result.drift if row.drift.feature == "noise")
    assert noise.psi > 1
    assert noise.score_shift == 0
    assert result.verdict == "ok"
