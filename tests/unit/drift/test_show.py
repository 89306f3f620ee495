"""Which run is shown, what came before it, and what is refused."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from deltalake import DeltaTable, write_deltalake

from lasso_jobs.cli.main import main
from lasso_jobs.drift import show, summary, table
from lasso_jobs.drift.facts import facts_of
from lasso_jobs.drift.page import drift_page, write_page
from lasso_jobs.errors import DataError, JobError, LassoJobsError
from lasso_jobs.outputs import vacuum
from lasso_jobs.storage import files as storage

from ...drift_tables import SCHEMA, a_row, write_nights, write_run


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Five quiet nights and an alarm; no test changes it."""
    root = tmp_path_factory.mktemp("drift") / "table"
    write_nights(root, 6)
    return str(root)


def test_the_last_run_is_shown_with_the_nights_before_it(nights: str) -> None:
    facts = show.drift_of(nights)
    assert (facts.partition, facts.verdict) == ("date=2024-01-06", "alarm")
    price = facts.history["price"]
    assert [then.label for then in price] == [f"2024-01-0{day}" for day in range(1, 7)]
    frame = DeltaTable(nights).to_pyarrow_table().to_pandas()
    frame = frame[(frame.segment == "") & (frame.feature == "price")].sort_values("scored_at")
    assert [then.score_shift for then in price] == frame.score_shift.tolist()
    assert [then.mean for then in price] == frame["mean"].tolist()


def test_a_date_or_the_start_of_an_id_chooses_the_run(nights: str) -> None:
    by_date = show.drift_of(nights, date="2024-01-03")
    assert by_date.partition == "date=2024-01-03"
    assert [then.label for then in by_date.history["price"]][-1] == "2024-01-03"
    assert show.drift_of(nights, run_id="02ab").partition == by_date.partition


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        ({"date": "2025-01-01"}, "of its 6 runs, of 2024-01-01 to 2024-01-06"),
        ({"run_id": "no"}, "no has no run"),
        ({"run_id": "0"}, "0 begins several runs"),
    ],
)
def test_a_run_that_is_not_there(nights: str, chosen: dict[str, str], words: str) -> None:
    with pytest.raises(JobError, match=words):
        show.drift_of(nights, **chosen)


def test_a_night_that_was_scored_again_counts_as_it_was_last(tmp_path: Path) -> None:
    root = str(tmp_path / "drift")
    for index, night, shift in ((0, 1, 1.0), (1, 2, 9.0), (2, 3, 2.0), (4, 2, 0.0)):
        rows = [a_row("price", shift)]
        write_run(root, index, rows, f"date=2024-01-0{night}")
    again = show.drift_of(root)
    assert [(t.label[-1], t.score_shift) for t in again.history["price"]] == [("1", 1), ("2", 0)]
    last = show.drift_of(root, date="2024-01-03")
    assert [t.score_shift for t in last.history["price"]] == [1, 0, 2]
    first = show.drift_of(root, run_id="01")  # what it said then, not what replaced it
    assert [t.score_shift for t in first.history["price"]] == [1, 9]


def test_runs_without_nights_are_ordered_by_their_times(tmp_path: Path) -> None:
    root = str(tmp_path / "drift")
    for index, partition in enumerate(["all", "store=north", "all", "all"]):
        write_run(root, index, [a_row("price", float(index))], partition)
    facts = show.drift_of(root, date="2024-01-04")  # the day that it was scored
    assert [t.score_shift for t in facts.history["price"]] == [0, 2]
    assert facts.history["price"][0].label == "2024-01-02 03:04"


def test_a_day_chooses_its_hours_and_a_compact_day_is_one(tmp_path: Path) -> None:
    root = str(tmp_path / "drift")
    for index, partition in enumerate(
        ["hour=2024-01-01T05", "hour=2024-01-01T06", "hour=2024-01-02T05", "day=20240107"]
    ):
        write_run(root, index, [a_row("price", float(index))], partition)
    facts = show.drift_of(root, date="2024-01-01")
    assert facts.partition == "hour=2024-01-01T06"
    assert [point.label for point in facts.history["price"]] == [
        "2024-01-01T05",
        "2024-01-01T06",
    ]
    assert show.drift_of(root, date="2024-01-02T05").partition == "hour=2024-01-02T05"
    for date in ("2024-01-07", "20240107"):
        assert show.drift_of(root, date=date).partition == "day=20240107"


def test_of_several_partitions_the_gravest_is_shown(tmp_path: Path) -> None:
    root = str(tmp_path / "drift")
    rows = [
        a_row("price", float(day), partition=f"date=2024-01-0{day}/store={store}", verdict=verdict)
        for day, store, verdict in (
            (1, "a", "ok"),
            (2, "a", "watch"),
            (2, "b", "ok"),
            (3, "a", "ok"),
        )
    ]
    write_run(root, 0, rows)
    facts = show.drift_of(root)
    assert facts.partition == "date=2024-01-02/store=a"
    assert [t.score_shift for t in facts.history["price"]] == [1, 2]
    assert show.drift_of(root, date="2024-01-03").partition == "date=2024-01-03/store=a"


def test_old_and_other_tables_are_refused_in_one_line(tmp_path: Path) -> None:
    old = [name for name in SCHEMA.names if name not in ("segment", "raised")]
    root = str(tmp_path / "old")
    write_run(root, 0, [a_row("price")])
    older = DeltaTable(root).to_pyarrow_table().select(old)
    write_deltalake(str(tmp_path / "older"), older, partition_by=["run_id"])
    write_deltalake(str(tmp_path / "scores"), older.select(["run_id", "scored_at"]))
    nearly = DeltaTable(root).to_pyarrow_table().drop_columns(["missing_limit", "ks"])
    write_deltalake(str(tmp_path / "nearly"), nearly, partition_by=["run_id"])
    for path, words in (
        ("older", "lacks the columns segment, raised"),
        ("nearly", "lacks the columns ks, missing_limit"),
        ("scores", "lacks the columns model, model_version, partition, segment, feature"),
        ("nothing", "is no Delta table"),
    ):
        with pytest.raises(LassoJobsError, match=words):
            show.drift_of(str(tmp_path / path))


def test_rows_of_an_older_version_in_a_table_of_this_one_are_passed_over(tmp_path: Path) -> None:
    root = str(tmp_path / "drift")
    write_run(root, 0, [a_row("price", segment=None, raised=None, bins=None, counts=None)])
    with pytest.raises(DataError, match="has no runs"):
        show.drift_of(root)
    write_run(root, 1, [a_row("price")])
    assert [t.label for t in show.drift_of(root).history["price"]] == ["2024-01-02"]


def test_values_that_are_no_numbers_are_none(tmp_path: Path) -> None:
    root = str(tmp_path / "drift")
    write_run(root, 0, [a_row("price", mean=float("nan"), psi=None)])
    facts = show.drift_of(root)
    (row,) = facts.rows
    assert np.isnan([row.drift.mean, row.drift.psi]).all()
    (values,) = summary.as_values(facts)["features"]
    assert (values["mean"], values["psi"]) == (None, None)
    assert summary.as_values(facts)["history"]["price"][0]["mean"] is None


def test_only_the_runs_of_the_same_version_of_the_model_are_its_history(tmp_path: Path) -> None:
    root = str(tmp_path / "drift")
    write_run(root, 0, [a_row("price")], version="v2")
    write_run(root, 1, [a_row("price", model="another")])
    write_run(root, 2, [a_row("price")])
    write_run(root, 3, [a_row("price")])
    labels = [point.label for point in show.drift_of(root).history["price"]]
    assert labels == ["2024-01-03", "2024-01-04"]
    assert [point.label for point in show.drift_of(root, run_id="00").history["price"]] == [
        "2024-01-01"
    ]


def test_what_was_measured_and_what_the_table_says_give_the_same_page(nights: str) -> None:
    run_id = "05" + "ab" * 31
    rows, past = table.rows_of_run(nights, run_id), table.past_rows(nights)
    before = [row for row in past if row.run.id != run_id]
    page = drift_page(facts_of(rows, before, target="sales"))
    assert page == drift_page(show.drift_of(nights, run_id=run_id, target="sales"))
    assert facts_of(rows, past) == facts_of(rows, before)


def test_the_page_lies_where_no_reader_of_the_table_looks(tmp_path: Path) -> None:
    root = str(tmp_path / "drift")
    run_id = write_nights(root, 3)[-1]
    facts = show.drift_of(root, run_id=run_id, target="sales")
    place = write_page(root, facts)
    assert "mean prediction of sales" in Path(place).read_text()
    assert write_page(root, facts) == place
    everything = DeltaTable(root).vacuum(0, dry_run=True, enforce_retention_duration=False)
    assert everything == []
    assert vacuum.find_leftovers(root, 0).orphans == ()
    assert DeltaTable(root).to_pyarrow_table().num_rows == 3 * 11


@pytest.mark.integration
@pytest.mark.slow
def test_the_page_of_a_table_in_a_bucket(
    tmp_path: Path, bucket: str, upload: Callable[[Path, str], str]
) -> None:
    run_id = write_nights(tmp_path / "drift", 2)[-1]
    root = upload(tmp_path / "drift", f"{bucket}/drift")
    place = write_page(root, show.drift_of(root, target="sales"))
    assert place == f"{bucket}/drift/_pages/{run_id}.html"
    assert b"mean prediction of sales" in storage.read(place)
    assert vacuum.find_leftovers(root, 0).orphans == ()


def test_the_command_shows_the_verdict_first_and_exits_with_it(
    nights: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.html"
    assert main(["drift", "show", nights, "--html", str(page)]) == 3
    shown = capsys.readouterr().out.splitlines()
    assert shown[0].split() == ["verdict", "alarm"]
    assert [line.split()[0] for line in shown[6:9]] == ["feature", "prediction", "price"]
    assert "█" in shown[8]
    assert page.read_text().startswith("<!doctype html>")
    assert main(["drift", "show", nights, "--date", "2024-01-02", "--quiet"]) == 0
    assert capsys.readouterr().out == ""
    assert main(["drift", "show", nights, "--date", "1999-01-01"]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_the_command_takes_a_job_and_prints_json(
    nights: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    job: dict[str, object] = {"model": "m", "data": {"path": "d"}, "output": {"path": "o"}}
    path = tmp_path / "score.yaml"
    path.write_text(yaml.safe_dump({**job, "drift": {"path": nights}, "registry": str(tmp_path)}))
    assert main(["drift", "show", str(path), "--json", "--html", str(tmp_path / "p.html")]) == 3
    values = json.loads(capsys.readouterr().out)
    assert values["verdict"] == "alarm"
    assert values["features"][0]["feature"] == "price"
    assert values["features"][0].keys() == {*SCHEMA.names[6:]}
    assert [part["partition"] for part in values["partitions"]] == ["date=2024-01-06"]
    assert [part["segment"] for part in values["segments"]] == ["region=(null)", "region=coast"]
    path.write_text(yaml.safe_dump(job))
    assert main(["drift", "show", str(path)]) == 1
    assert "has no section drift" in capsys.readouterr().err


def test_alarms_of_other_partitions_are_listed(tmp_path: Path) -> None:
    root = str(tmp_path / "drift")
    rows = [
        a_row("price", partition=f"date=2024-01-0{d}", verdict="alarm", reason=f"day {d}")
        for d in (1, 2)
    ]
    write_run(root, 0, rows)
    (other,) = summary.raised_elsewhere(show.drift_of(root))
    assert (other["partition"], other["reason"]) == ("date=2024-01-01", "day 1")


@pytest.mark.integration
def test_the_target_is_named_where_the_registry_has_the_version(
    registry: Path, tmp_path: Path
) -> None:
    root = str(tmp_path / "drift")
    for index, version in enumerate(["v1", "v9"]):
        of_run = {"model": "sales", "model_version": version}
        write_run(root, index, [a_row("price", **of_run)])
    targets = [
        show.with_target(show.drift_of(root, run_id=f"0{i}"), str(registry)).target for i in (0, 1)
    ]
    assert targets == ["sales", None]
