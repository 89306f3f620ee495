"""The whole job with all that it reads and writes in a bucket, over HTTP."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from threading import Barrier
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
import yaml
from deltalake import DeltaTable, write_deltalake

from lasso_jobs import ScoreJob, TrainJob, score, train
from lasso_jobs.engine.cluster import connect
from lasso_jobs.errors import LassoJobsError, ModelError
from lasso_jobs.jobs.base import load_yaml
from lasso_jobs.models.alias_log import AliasLog
from lasso_jobs.models.registry import Registry
from lasso_jobs.outputs.rollback import rollback
from lasso_jobs.outputs.vacuum import vacuum
from lasso_jobs.outputs.verify import verify
from lasso_jobs.scoring import nights
from lasso_jobs.scoring import plan as score_plan
from lasso_jobs.scoring.staging import stage_rows
from lasso_jobs.storage import files as storage
from lasso_jobs.training import plan as train_plan

pytestmark = [pytest.mark.integration, pytest.mark.slow]
Values = dict[str, Any]


@pytest.fixture
def uri(bucket: str, shop: Path, upload: Callable[[Path, str], str]) -> str:
    """A bucket with the shop's data."""
    upload(shop, f"{bucket}/data")
    return bucket


def rows_of(table: str) -> list[Values]:
    rows = DeltaTable(table).to_pyarrow_table().to_pylist()
    own = ("run_id", "scored_at")
    return sorted(({k: v for k, v in r.items() if k not in own} for r in rows), key=str)


def test_train_and_score_in_a_bucket_equal_those_on_disk(
    uri: str, train_values: Values, score_values: Values
) -> None:
    there = {**train_values, "registry": f"{uri}/models"}
    there["data"] = {**train_values["data"], "path": f"{uri}/data"}
    planned = train_plan.plan(TrainJob.from_values(there)).as_values()
    assert (planned["files"], planned["rows_before_filter"]) == (8, 8 * 150)
    on_disk = train(TrainJob.from_values(train_values), workers=1)
    in_bucket = train(TrainJob.from_values(there), cluster="local-processes", workers=2)
    assert (in_bucket.model.coef == on_disk.model.coef).all()
    assert in_bucket.model.intercept == on_disk.model.intercept
    again = train(TrainJob.from_values(there), workers=1)
    assert again.registered.version == in_bucket.registered.version == 1
    assert Registry(f"{uri}/models").names() == ["sales"]

    moved = {
        **score_values,
        "data": {"path": f"{uri}/data"},
        "output": {"path": f"{uri}/out/scores", "partition_by": "day"},
        "drift": {"path": f"{uri}/out/drift"},
        "registry": f"{uri}/models",
    }
    moved_plan = score_plan.plan(ScoreJob.from_values(moved))
    assert moved_plan.as_values()["files"] == 12
    for values in (score_values, moved, moved):
        score(ScoreJob.from_values(values), cluster="local-processes", workers=2)
    expected = rows_of(score_values["output"]["path"])
    assert rows_of(f"{uri}/out/scores") == expected
    assert len(expected) == 12 * 150
    assert rows_of(f"{uri}/out/drift") == rows_of(score_values["drift"]["path"])


def test_the_command_line_in_a_bucket(
    uri: str, train_values: Values, cli: Callable[..., Any], tmp_path: Path
) -> None:
    train_values["data"]["path"], train_values["registry"] = f"{uri}/data", f"{uri}/models"
    (tmp_path / "train.yaml").write_text(yaml.safe_dump(train_values))
    assert load_yaml(tmp_path / "train.yaml") == train_values
    assert cli("train", "train.yaml", "--quiet", folder=tmp_path).returncode == 0
    shown = cli("models", "list", "--registry", f"{uri}/models", folder=tmp_path)
    assert "sales" in shown.stdout
    assert "champion = v1" in shown.stdout
    assert [p.name for p in tmp_path.iterdir()] == ["train.yaml"]


def test_of_twenty_alias_moves_at_once_one_wins_each_step(uri: str, train_values: Values) -> None:
    train_values["registry"] = f"{uri}/models"
    for seed in (0, 1):
        train(TrainJob.from_values({**train_values, "seed": seed, "promote": "never"}), workers=1)
    registry = Registry(f"{uri}/models")
    assert registry.versions("sales") == [1, 2]

    for step in range(4):
        together = Barrier(20)

        def move(number: int, together: Barrier = together) -> bool:
            mine = Registry(f"{uri}/models")
            log = AliasLog(storage.join(mine.path, "sales", "aliases"))
            moves = log.moves()
            together.wait()
            version, reason = 1 + number % 2, f"by {number}"
            try:
                log.append(moves, alias="champion", action="promote", new=version, why=reason)
            except ModelError as error:
                assert "at the same time" in str(error)
                return False
            return True

        with ThreadPoolExecutor(20) as pool:
            won = list(pool.map(move, range(20)))
        assert sum(won) == 1
        assert len(registry.moves("sales")) == step + 1
        assert registry.moves("sales")[-1].why == f"by {won.index(True)}"
    names = [f"0000000{i}.json" for i in range(1, 5)]
    assert storage.names(f"{uri}/models/sales/aliases") == names

    def promote(number: int) -> bool:
        try:
            Registry(f"{uri}/models").promote(f"sales@v{1 + number % 2}", f"{number}")
        except ModelError as error:
            assert "at the same time" in str(error)
            return False
        return True

    with ThreadPoolExecutor(20) as pool:
        won = list(pool.map(promote, range(40)))
    moves = registry.moves("sales")[4:]
    assert len(moves) == sum(won) >= 1
    assert sorted(move.why for move in moves) == sorted(str(i) for i, w in enumerate(won) if w)
    assert all(later.old == earlier.new for earlier, later in pairwise(moves))


def test_a_model_is_trained_on_one_version_of_a_table(
    uri: str, train_values: Values, shop: Path
) -> None:

    rows = ds.dataset(shop, partitioning="hive").to_table()
    for root in (f"{uri}/table", train_values["registry"] + "-table"):
        write_deltalake(root, rows.slice(0, 1000))
        write_deltalake(root, rows.slice(1000), mode="append")
        data = {"path": root, "version": 0}
        values = {**train_values, "data": data}
        planned = train_plan.plan(TrainJob.from_values(values))
        assert (planned.dataset.n_rows, planned.dataset.version) == (1000, 0)
        newest = train_plan.plan(TrainJob.from_values({**values, "data": {"path": root}}))
        assert (newest.dataset.n_rows, newest.dataset.version) == (rows.num_rows, 1)
        assert newest.as_values()["table_version"] == 1
        result = train(TrainJob.from_values(values), workers=1)
        assert result.registered.provenance["data_version"] == 0
        assert result.registered.provenance["rows"] + result.counts.without_target == 1000


FIRST, SECOND = DAYS = ["2024-01-09", "2024-01-10"]


def test_nights_in_a_bucket(
    uri: str, score_values: Values, cli: Callable[..., Any], tmp_path: Path
) -> None:
    root, drift = f"{uri}/out/scores", f"{uri}/out/drift"
    values = {
        **score_values,
        "data": {"path": f"{uri}/data"},
        "output": {"path": root, "partition_by": "day"},
        "drift": {"path": drift},
    }
    job = ScoreJob.from_values(values)
    with connect("local", 1) as workers:
        stage_rows(workers, score_plan.plan(job.on(FIRST)))
    assert [nights.find_night(job, day).status for day in DAYS] == ["failed", "missing"]
    first, second = nights.score_nights(job, DAYS, workers=1)
    assert (first.fate, second.fate) == ("scored", "scored")
    assert first.result.work_units_resumed == first.result.work_units
    assert [nights.find_night(job, day).status for day in DAYS] == ["done", "done"]
    found = [name for name in storage.names(root) if name.startswith("_lasso/")]
    assert found == [f"_lasso/done/{day}.json" for day in DAYS]
    generation = rows_of(root)
    assert verify(root, deep=True).rows_rescored > 0

    content = storage.read(f"{uri}/data/day={SECOND}/sales.parquet")
    table = pq.read_table(pa.BufferReader(content)).slice(50)
    buffer = pa.BufferOutputStream()
    pq.write_table(table, buffer)
    storage.write(f"{uri}/data/day={SECOND}/sales.parquet", buffer.getvalue().to_pybytes())
    assert nights.find_night(job, SECOND).status == "late"
    with connect("local", 1) as workers:
        left = stage_rows(workers, score_plan.plan(job.on(SECOND)))
    (orphan,) = left.units[0].files
    assert vacuum(root).orphans == ()
    (journal,) = vacuum(root, 0, remove=True).journals
    assert storage.names(journal) == []
    listed = cli("vacuum", root, "--grace", "0", "--json", folder=tmp_path)
    assert json.loads(listed.stdout)["files"][0]["path"] == f"{root}/{orphan.path}"
    vacuum(root, 0, remove=True)
    assert not [n for n in storage.names(root) if n == orphan.path]
    (late,) = nights.score_nights(job, [SECOND], workers=1)
    assert (late.fate, late.result.rows_scored) == ("scored", 100)
    assert len(rows_of(root)) == 250
    assert vacuum(root, 0, remove=True).orphans == ()
    rollback(root, SECOND)
    assert rows_of(root) == generation
    marker = json.loads(storage.read(f"{root}/_lasso/done/{SECOND}.json"))
    assert marker["run_id"] == second.result.run_id
    verify(root)

    shown = DeltaTable(root).file_uris()[0]
    storage.write(shown, b"x" * storage.state(shown).size_bytes)
    told = cli("verify", root, folder=tmp_path)
    assert told.returncode == 1
    assert f"{shown}: does not match the digest in its name" in told.stderr


def test_nights_of_a_table_with_typed_partitions(
    score_values: Values, shop: Path, tmp_path: Path
) -> None:
    rows = ds.dataset(shop, partitioning="hive").to_table()
    day = rows["day"].cast(pa.string()).cast(pa.date32())
    rows = rows.set_column(rows.column_names.index("day"), "day", day)
    source = str(tmp_path / "source")
    for version in (0, 1):
        write_deltalake(source, rows, partition_by=["day"], mode="append")
        data = {"path": source, "version": 0}
        job = ScoreJob.from_values({**score_values, "data": data})
        assert [r.fate for r in nights.score_nights(job, DAYS, workers=1)] == [
            ("scored", "done")[version]
        ] * 2
        assert len(rows_of(score_values["output"]["path"])) == 2 * 150
    assert DeltaTable(score_values["output"]["path"]).schema().to_arrow().field("day").type == (
        pa.date32()
    )
    newest = ScoreJob.from_values({**score_values, "data": {"path": source}})
    assert [nights.find_night(newest, day).status for day in DAYS] == ["late", "late"]
    (result,) = nights.score_nights(newest, DAYS[:1], workers=1)
    assert result.result.rows_scored == 300
    verify(score_values["output"]["path"], deep=True)


SECRET = "do-not-show-me"


@pytest.mark.parametrize("key", ["data", "registry", "output", "drift"])
def test_a_key_in_a_uri_is_refused_and_not_repeated(key: str, score_values: Values) -> None:
    place = f"s3://key:{SECRET}@bucket/x"
    values = {**score_values, key: place if key == "registry" else {"path": place}}
    with pytest.raises(LassoJobsError) as caught:
        ScoreJob.from_values(values)
    assert SECRET not in str(caught.value)
    assert "environment variables" in str(caught.value)


def test_a_wrong_bucket_is_one_clear_line_without_credentials(
    s3_server: str, score_values: Values, monkeypatch: pytest.MonkeyPatch
) -> None:
    for values in (
        {**score_values, "data": {"path": "s3://nowhere/data"}},
        {**score_values, "registry": "s3://nowhere/models"},
        {**score_values, "output": {"path": "s3://nowhere/out", "partition_by": "day"}},
    ):
        with pytest.raises(LassoJobsError) as caught:
            score(ScoreJob.from_values(values), workers=1)
        assert "NoSuchBucket" in str(caught.value)
        assert "the-secret-of-the-tests" not in str(caught.value)
        assert "\n" not in str(caught.value)
        assert caught.value.__cause__ is None or type(caught.value.__cause__) is OSError
