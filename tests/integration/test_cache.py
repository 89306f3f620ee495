"""Trainings that find in the cache what others have read, against trainings from nothing."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lasso_jobs import TrainJob, train
from lasso_jobs.cli.main import main
from lasso_jobs.storage import files as storage
from lasso_jobs.training.read.cache_folder import Cache
from lasso_jobs.training.result import TrainResult

pytestmark = pytest.mark.integration
Values = dict[str, Any]
DAYS = 12


def day(number: int, n: int = 150) -> pd.DataFrame:
    """Cities differ from day to day; some values are null."""
    rng = np.random.default_rng(number)
    frame = pd.DataFrame(rng.normal(size=(n, 9)) + 3, columns=[f"x{j}" for j in range(9)])
    frame["city"] = rng.choice(["a", "b", f"only on {number}"], n, p=[0.5, 0.4, 0.1])
    frame["shop"] = rng.integers(0, 40, n)
    frame["w"] = rng.integers(0, 3, n)
    frame["number"] = number
    frame["at"] = pd.Timestamp("2024-03-01") + pd.to_timedelta(number * 86_400 + np.arange(n), "s")
    frame["y"] = frame["x0"] - 2 * frame["x3"] + (frame["city"] == "a") + rng.normal(size=n)
    frame.loc[rng.random(n) < 0.1, "x1"] = None
    frame.loc[rng.random(n) < 0.1, "x2"] = None
    return frame


def add(folder: Path, number: int) -> None:
    path = folder / "data" / f"day=2024-03-{number:02}" / "rows.parquet"
    path.parent.mkdir(parents=True)
    table = pa.Table.from_pandas(day(number), preserve_index=False)
    pq.write_table(table, path, row_group_size=100)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Files so large, in terms of a partition, that each has its own or shares it with few."""
    monkeypatch.setattr("lasso_jobs.data.dataset.UNIT_BYTES", 30_000)
    monkeypatch.setattr("lasso_jobs.data.dataset.MOST_STATIC_BYTES", 30_000)
    for number in range(1, DAYS + 1):
        add(tmp_path, number)
    return tmp_path


def trained(folder: Path, registry: str = "models", **more: Any) -> TrainResult:
    features = {"exclude": ["w", "shop", "at", "number"]}
    values = {
        "name": "found",
        "data": {"path": str(folder / "data")},
        "target": "y",
        "features": features,
        "search": {"alphas": 12},
        "stability": {"pairs": 2},
        "registry": str(folder / registry),
        "promote": "never",
    }
    return train(TrainJob.from_values({**values, **more}), workers=2)


def from_nothing(folder: Path, **more: Any) -> TrainResult:
    """Of the same name and registry, which are in the model; but without the cache."""
    return trained(folder, cache=False, **more)


def check(folder: Path, *, reads: bool = False, **more: Any) -> TrainResult:
    found, expected = trained(folder, **more), from_nothing(folder, **more)
    assert found.registered.digest == expected.registered.digest
    assert expected.counts.bytes_read > 0
    assert expected.counts.cached == 0
    assert (found.counts.bytes_read > 0) is reads
    assert found.counts.rows == expected.counts.rows
    return found


WHAT_IFS: dict[str, Values] = {
    "the same": {},
    "folds": {"search": {"alphas": 12, "folds": 4, "repeats": 2}},
    "alphas": {"search": {"alphas": [0.1, 0.01], "l1_ratio": [0.5, 1.0], "rule": "1se"}},
    "relaxed, adaptive": {"search": {"alphas": 12, "relax": True, "adaptive": True}},
    "penalties": {"penalty_factors": {"x0": 0.0}, "bounds": {"x3": [-1, 0]}},
    "scaling": {"preprocess": {"scaling": "robust", "missing": "indicator"}},
    "levels": {"preprocess": {"max_levels": 7, "min_count": 40, "drop_first": True}},
    "features": {"features": {"include": ["x*", "city"], "exclude": ["x0", "x2", "x8"]}},
    "another order": {"features": {"include": ["x5", "x1", "x3"]}},
    "one feature": {"features": {"include": ["x1"]}},
    "a category": {"features": {"include": ["city"]}},
}


@pytest.mark.parametrize("what_if", WHAT_IFS)
def test_what_was_read_is_not_read_again_and_the_model_is_that_from_nothing(
    folder: Path, what_if: str
) -> None:
    first = trained(folder)
    assert first.counts.bytes_read > 0
    found = check(folder, **WHAT_IFS[what_if])
    assert found.counts.cached >= 6


def test_what_all_partitions_left_together_needs_no_cluster(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained(folder)

    def none(*_: object) -> None:
        raise AssertionError("a cluster was asked for")

    monkeypatch.setattr("lasso_jobs.engine.cluster.connect", none)
    assert trained(folder, search={"alphas": 12, "folds": 4}).counts.bytes_read == 0
    with pytest.raises(AssertionError, match="a cluster"):
        trained(folder, features={"exclude": ["w", "shop", "at"]})


@pytest.mark.slow
def test_every_what_if_differs_from_the_first(folder: Path) -> None:
    digests = {from_nothing(folder, **what_if).registered.digest for what_if in WHAT_IFS.values()}
    assert len(digests) == len(WHAT_IFS)


KINDS: dict[str, Values] = {
    "weights": {"weight": "w"},
    "groups": {"search": {"alphas": 12, "split": {"group": "shop"}}},
    "rows without nulls": {"preprocess": {"missing": "drop"}},
    "a filter of rows": {"holdout": {"where": "x0 > 3.5"}},
    "parts of dates": {"features": {"include": ["x*"], "dates": {"at": ["weekday", "hour"]}}},
    "times": {"search": {"alphas": 12, "folds": 3, "split": {"time": "at"}}, "holdout": None},
    "no hold-out": {"holdout": None},
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_reading_can_be_cached(folder: Path, kind: str) -> None:
    trained(folder, **KINDS[kind])
    check(folder, **KINDS[kind])


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["weights", "groups", "rows without nulls", "a filter of rows"])
def test_another_kind_of_reading_is_not_taken_for_it(folder: Path, kind: str) -> None:
    trained(folder)
    check(folder, reads=True, **KINDS[kind])
    other = {**KINDS[kind], "seed": 5}
    check(folder, reads=True, **other)


def test_a_training_reads_its_columns_once(folder: Path) -> None:
    found = trained(folder, features={"include": ["x*"]})
    expected = 0
    for path in (folder / "data").rglob("*.parquet"):
        metadata = pq.ParquetFile(path).metadata
        for i in range(metadata.num_row_groups):
            columns = [metadata.row_group(i).column(j) for j in range(metadata.num_columns)]
            used = [c for c in columns if c.path_in_schema in {"y", *(f"x{j}" for j in range(9))}]
            expected += sum(c.total_compressed_size for c in used)
    assert found.counts.bytes_read == expected
    assert found.registered.provenance["bytes_read"] == expected


def test_more_features_are_read(folder: Path) -> None:
    trained(folder, features={"include": ["x1", "x2"]})
    check(folder, reads=True, features={"include": ["x1", "x2", "x3"]})


def test_after_a_new_file_only_what_is_near_it_is_read(folder: Path) -> None:
    first = trained(folder)
    add(folder, 13)
    found = check(folder, reads=True)
    assert found.counts.bytes_read < 0.35 * first.counts.bytes_read
    assert found.counts.cached >= 5


def test_a_file_before_all_others_does_not_move_them(folder: Path) -> None:
    trained(folder)
    add(folder, 0)
    assert check(folder, reads=True).counts.cached >= 5


def test_files_that_left_the_window_take_nothing_with_them(folder: Path) -> None:
    # By this seed the same share of ten days is held out as of twelve.
    first = trained(folder, seed=5)
    window = {"path": str(folder / "data"), "where": "day >= '2024-03-03'"}
    found = trained(folder, data=window, seed=5)
    expected = from_nothing(folder, data=window, seed=5)
    assert found.registered.digest == expected.registered.digest
    assert found.counts.bytes_read < 0.35 * first.counts.bytes_read
    later = {"path": str(folder / "data"), "where": "day >= '2024-03-01'"}
    assert trained(folder, data=later, seed=5).counts.bytes_read == 0


def test_a_filter_of_rows_is_part_of_what_was_read(folder: Path) -> None:
    trained(folder)
    data = {"path": str(folder / "data"), "where": "day >= '2024-03-01' and x0 > 2"}
    check(folder, reads=True, data=data)
    check(folder, data=data, search={"alphas": 5})


def test_a_file_that_changed_is_read(folder: Path) -> None:
    trained(folder)
    path = folder / "data" / "day=2024-03-05" / "rows.parquet"
    pq.write_table(pa.Table.from_pandas(day(99), preserve_index=False), path, row_group_size=100)
    check(folder, reads=True)


@pytest.mark.parametrize(
    "damage",
    [
        "a bit",
        *(
            pytest.param(each, marks=pytest.mark.slow)
            for each in ("the end", "all", "a header", "a name")
        ),
    ],
)
def test_a_damaged_entry_is_found_out_removed_and_made_anew(folder: Path, damage: str) -> None:
    trained(folder)
    entries = Cache(folder / "models").entries()
    for entry in entries:
        path = Path(entry.path)
        data = bytearray(path.read_bytes())
        if damage == "a bit":
            data[len(data) // 2] ^= 1
        elif damage == "a header":
            data[3] ^= 255
        elif damage == "a name":  # valid JSON, but not what was written
            data = data.replace(b'"numeric"', b'"nvmeric"', 1)
        path.write_bytes(data[: {"the end": len(data) - 40, "all": 0}.get(damage, len(data))])
    check(folder, reads=True)
    assert {e.path for e in Cache(folder / "models").entries()} == {e.path for e in entries}
    check(folder)


@pytest.mark.slow
def test_small_samples_are_whole_although_only_part_of_them_is_kept(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lasso_jobs.core.rows.sample.sample_size", lambda n_columns: 60)
    trained(folder)
    check(folder, preprocess={"scaling": "robust"})


@pytest.mark.slow
def test_where_too_little_of_a_sample_was_kept_the_rows_are_read_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lasso_jobs.core.rows.sample.sample_size", lambda n_columns: 60)
    data = {"path": str(folder / "data"), "where": "number == 3"}
    check(folder, reads=True, data=data)
    check(folder, data=data)  # of all files together the whole sample was kept
    (folder / "data" / "day=2024-03-12" / "rows.parquet").unlink()
    check(folder, reads=True, data=data)
    assert check(folder, data=data).counts.cached > 0


@pytest.mark.slow
def test_of_a_filter_that_passes_few_rows_enough_of_the_sample_is_kept(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lasso_jobs.core.rows.sample.sample_size", lambda n_columns: 60)
    data = {"path": str(folder / "data"), "where": "x0 > 4.2"}
    check(folder, reads=True, data=data)
    check(folder, data=data)


def test_a_training_that_fails_leaves_only_whole_entries(folder: Path) -> None:
    path = folder / "data" / "day=2024-03-12" / "rows.parquet"
    frame = day(12).assign(x4=np.inf)
    pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), path)
    with pytest.raises(Exception, match="infinite"):
        trained(folder)
    pq.write_table(pa.Table.from_pandas(day(12), preserve_index=False), path, row_group_size=100)
    check(folder, reads=True)


def test_the_cache_can_be_listed_and_pruned(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trained(folder)
    registry = ["--registry", str(folder / "models")]
    assert main(["cache", "list", *registry, "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    kinds = {entry["kind"] for entry in listed["entries"]}
    assert kinds == {"levels", "merged-levels", "merged-moments", "moments"}
    assert listed["bytes"] == sum(
        p.stat().st_size for p in (folder / "models").rglob("*.entry") if "_cache" in p.parts
    )
    assert main(["cache", "list", *registry]) == 0
    assert "moments" in capsys.readouterr().out
    assert main(["cache", "prune", "--days", "1", *registry, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["removed"] == 0
    half = listed["bytes"] // 2
    assert main(["cache", "prune", "--max-bytes", str(half), *registry, "--json"]) == 0
    pruned = json.loads(capsys.readouterr().out)
    assert 0 < pruned["removed"] < len(listed["entries"])
    assert pruned["bytes_left"] <= half
    check(folder, reads=True)
    assert main(["cache", "prune", "--all", *registry, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["bytes_left"] == 0
    assert not list((folder / "models" / "_cache").rglob("*.entry"))
    assert main(["models", "list", *registry]) == 0


@pytest.mark.parametrize("where", ["local", pytest.param("s3", marks=pytest.mark.slow)])
def test_a_file_replaced_by_one_of_its_size_and_time_is_read_again(
    where: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    path, plain = tmp_path / "rows.parquet", {"compression": "none", "use_dictionary": False}
    data = str(path)

    def put(seed: int) -> int:
        rng = np.random.default_rng(seed)
        x = rng.normal(size=300)
        pq.write_table(pa.table({"x": x, "y": seed * x + rng.normal(size=300)}), path, **plain)
        os.utime(path, ns=(0, 10**18))
        if where == "s3":
            storage.write(data, path.read_bytes())
        return path.stat().st_size

    if where == "s3":
        data = f"{request.getfixturevalue('bucket')}/rows.parquet"
    job = {
        "name": "m",
        "data": {"path": data},
        "target": "y",
        "stability": None,
        "registry": str(tmp_path / "m"),
    }
    found = []
    for seed in (1, 1, 5) if where == "s3" else (1, 5):
        size = put(seed)
        found.append(train(TrainJob.from_values(job), workers=1))
        assert size == path.stat().st_size
    nothing = train(TrainJob.from_values({**job, "cache": False}), workers=1)
    assert found[-1].counts.cached == 0
    assert found[-1].model.coef.tolist() == nothing.model.coef.tolist()
    assert abs(found[-1].model.coef.iloc[0] - found[0].model.coef.iloc[0]) > 3
    if where == "s3":  # the same content has the same entity tag
        assert found[1].counts.bytes_read == 0
