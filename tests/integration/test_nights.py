"""Nights: what is done, what is due, late files, and the way back."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from deltalake import DeltaTable

from lasso_jobs import LassoJobsError, ScoreJob, score
from lasso_jobs.errors import JobError, NoDataError, OutputError
from lasso_jobs.jobs.dates import dates
from lasso_jobs.outputs.rollback import rollback
from lasso_jobs.outputs.vacuum import vacuum
from lasso_jobs.outputs.verify import verify
from lasso_jobs.scoring import nights
from lasso_jobs.scoring import run as scoring
from lasso_jobs.scoring.nights import NightResult, find_night, score_nights
from lasso_jobs.sinks import protocol

pytestmark = [pytest.mark.integration, pytest.mark.slow]

Values = dict[str, Any]
Run = Callable[..., "subprocess.CompletedProcess[str]"]
FIRST, SECOND, THIRD = (f"2024-01-{day:02d}" for day in (9, 10, 11))
DAYS = (FIRST, SECOND, THIRD)
N = 150


@pytest.fixture
def values(score_values: Values, own_shop: Path) -> Values:
    """A scoring job of data that the test may change."""
    return {**score_values, "data": {"path": str(own_shop)}}


@pytest.fixture
def job(values: Values) -> ScoreJob:
    return ScoreJob.from_values(values)


def file_of(values: Values, day: str) -> Path:
    return Path(values["data"]["path"]) / f"day={day}" / "sales.parquet"


def rewrite(values: Values, day: str, **columns: object) -> None:
    """Change a file; its time changes with it, as that of a late file does."""
    path = file_of(values, day)
    frame = pd.read_parquet(path, partitioning=None).assign(**columns)
    frame.to_parquet(path, row_group_size=50)


def spoil(values: Values, day: str, rows: int = 1) -> None:
    """Make some rows unfit to be scored."""
    frame = pd.read_parquet(file_of(values, day), partitioning=None)
    rewrite(values, day, visits=frame["visits"].mask(frame.index < rows, np.inf))


def fates(results: tuple[NightResult, ...]) -> dict[str, str]:
    return {result.night.date: result.fate for result in results}


def states(job: ScoreJob, *days: str) -> list[str]:
    return [find_night(job, day).status for day in days or DAYS]


def table(path: str, *by: str) -> pd.DataFrame:
    return DeltaTable(path).to_pandas().sort_values(list(by), ignore_index=True)


def everything(values: Values) -> list[pd.DataFrame]:
    """The three tables, in an order that does not depend on files."""
    root = values["output"]["path"]
    found = [table(root, "id")]
    if DeltaTable.is_deltatable(f"{root}-quarantine"):
        found.append(table(f"{root}-quarantine", "day", "row"))
    return [*found, table(values["drift"]["path"], "run_id", "partition", "feature")]


def same(found: list[pd.DataFrame], expected: list[pd.DataFrame]) -> None:
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        pd.testing.assert_frame_equal(one, other)


# Which dates are done.


def test_dates_are_every_day_of_a_range() -> None:
    assert dates("2024-02-28", "2024-03-01") == ("2024-02-28", "2024-02-29", "2024-03-01")
    assert dates(FIRST, THIRD, newest_first=True) == (THIRD, SECOND, FIRST)
    assert dates(FIRST, FIRST) == (FIRST,)


@pytest.mark.parametrize(
    ("first", "last"), [(THIRD, FIRST), ("9 January", THIRD), ("20240109", THIRD)]
)
def test_dates_that_are_no_range_are_refused(first: str, last: str) -> None:
    with pytest.raises(JobError, match="--from, --to"):
        dates(first, last)


def test_a_range_scores_what_is_missing_once(job: ScoreJob, values: Values) -> None:
    assert states(job) == ["missing"] * 3
    score(job.on(SECOND), workers=1)
    assert states(job) == ["missing", "done", "missing"]
    before = DeltaTable(job.output.path).version()
    assert fates(score_nights(job, DAYS, workers=1)) == {
        FIRST: "scored",
        SECOND: "done",
        THIRD: "scored",
    }
    assert DeltaTable(job.output.path).version() == before + 2
    assert len(everything(values)[0]) == 3 * N
    assert set(fates(score_nights(job, DAYS, workers=1)).values()) == {"done"}
    assert DeltaTable(job.output.path).version() == before + 2


def test_all_scores_what_is_done_too_in_the_order_that_is_asked_for(job: ScoreJob) -> None:
    score(job.on(FIRST), workers=1)
    results = score_nights(job, (SECOND, FIRST), "all", workers=1)
    assert [(r.night.date, r.night.status, r.fate) for r in results] == [
        (SECOND, "missing", "scored"),
        (FIRST, "done", "scored"),
    ]


def test_a_date_that_fails_stops_no_other_and_is_failed_until_it_is_scored(
    job: ScoreJob, values: Values
) -> None:
    path = file_of(values, SECOND)
    whole = path.read_bytes()
    middle = len(whole) // 3
    path.write_bytes(whole[:middle] + b"\xff" * 300 + whole[middle + 300 :])
    results = score_nights(job, DAYS, workers=1)
    assert fates(results) == {FIRST: "scored", SECOND: "failed", THIRD: "scored"}
    assert str(path) in str(results[1].error)
    assert states(job) == ["done", "failed", "done"]
    assert fates(score_nights(job, DAYS, "failed", workers=1)) == {
        FIRST: "done",
        SECOND: "failed",
        THIRD: "done",
    }
    path.write_bytes(whole)
    assert fates(score_nights(job, DAYS, "failed", workers=1))[SECOND] == "scored"
    assert states(job) == ["done"] * 3
    # The journal of the failed attempt is gone with it.
    assert not list(Path(job.output.path, "_lasso", "journal").iterdir())


def test_failed_leaves_dates_alone_that_were_never_started(job: ScoreJob) -> None:
    assert fates(score_nights(job, DAYS, "failed", workers=1)) == dict.fromkeys(DAYS, "missing")
    assert not DeltaTable.is_deltatable(job.output.path)


@pytest.mark.parametrize("path", ["", "/*/*.parquet"])
def test_a_date_without_data_waits_and_fails_nothing(values: Values, path: str) -> None:
    day, away = file_of(values, SECOND).parent, Path(values["data"]["path"], "_away")
    day.rename(away)
    values["data"]["path"] += path
    job = ScoreJob.from_values(values)
    assert states(job) == ["missing", "waiting", "missing"]
    results = score_nights(job, DAYS, workers=1)
    assert fates(results) == {FIRST: "scored", SECOND: "waiting", THIRD: "scored"}
    waiting = results[1].as_values()
    assert (waiting["error"], waiting["rows_scored"]) == (None, None)
    assert "none of its 11 files is left by" in waiting["because"]
    for only in ("all", "failed"):
        assert fates(score_nights(job, (SECOND,), only, workers=1)) == {SECOND: "waiting"}
    with pytest.raises(NoDataError):
        score(job.on(SECOND), workers=1)
    away.rename(day)
    assert fates(score_nights(job, DAYS, workers=1))[SECOND] == "scored"
    assert states(job) == ["done"] * 3
    # Files that are deleted when they are old take no scores with them.
    day.rename(away)
    assert states(job) == ["done"] * 3
    assert fates(score_nights(job, DAYS, workers=1)) == dict.fromkeys(DAYS, "done")


def test_a_date_without_rows_in_a_file_of_all_dates_waits(job: ScoreJob, values: Values) -> None:
    root = Path(values["data"]["path"])
    frame = pd.concat(
        pd.read_parquet(file_of(values, day), partitioning=None).assign(day=day)
        for day in (FIRST, THIRD)
    )
    shutil.rmtree(root)
    root.mkdir()
    frame.to_parquet(root / "all.parquet")
    results = score_nights(job, DAYS, workers=1)
    assert fates(results) == {FIRST: "scored", SECOND: "waiting", THIRD: "scored"}
    assert "none of its 300 rows is left" in results[1].as_values()["because"]


def test_what_is_done_survives_the_loss_of_all_but_the_log(job: ScoreJob) -> None:
    score(job.on(FIRST), workers=1)
    for path in Path(job.output.path, "_lasso").rglob("*.json"):
        path.unlink()
    DeltaTable(job.output.path).create_checkpoint()
    for path in Path(job.output.path, "_delta_log").glob("*.json"):
        path.unlink()
    assert states(job) == ["done", "missing", "missing"]


def test_a_date_without_files_is_told_by_the_filter_that_they_do_not_meet(job: ScoreJob) -> None:
    (result,) = score_nights(job, ["2099-01-01"], workers=1)
    assert (result.fate, result.error) == ("waiting", None)
    because = result.night.because or ""
    assert "is left by data.where: day = '2099-01-01'; expected some; they are of" in because
    assert "Correct the date or" in because


def test_a_new_model_makes_no_date_late(job: ScoreJob, values: Values) -> None:
    score(job.on(FIRST), workers=1)
    other = ScoreJob.from_values({**values, "bad_rows": 7})
    assert other.on(FIRST).digest() != job.on(FIRST).digest()
    assert states(other)[0] == "done"


# Late files.


def test_a_changed_file_is_noticed_and_scored_as_a_new_generation(
    job: ScoreJob, values: Values
) -> None:
    score_nights(job, DAYS, workers=1)
    rewrite(values, SECOND, price=10.0)
    assert states(job) == ["done", "late", "done"]
    assert fates(score_nights(job, DAYS, workers=1)) == {
        FIRST: "done",
        SECOND: "scored",
        THIRD: "done",
    }
    assert states(job) == ["done"] * 3
    verify(job.output.path, deep=True)


def test_a_file_that_comes_late_is_noticed(job: ScoreJob, values: Values) -> None:
    score_nights(job, DAYS, workers=1)
    frame = pd.read_parquet(file_of(values, SECOND), partitioning=None)
    frame.assign(id=frame["id"] + 500).to_parquet(file_of(values, SECOND).with_name("late.parquet"))
    assert states(job) == ["done", "late", "done"]
    score_nights(job, DAYS, workers=1)
    assert len(everything(values)[0]) == 4 * N


def test_a_late_file_is_only_reported_where_the_job_says_so(values: Values) -> None:
    job = ScoreJob.from_values({**values, "late": "report"})
    score_nights(job, DAYS, workers=1)
    before = everything(values)
    rewrite(values, SECOND, price=10.0)
    assert fates(score_nights(job, DAYS, workers=1))[SECOND] == "late"
    same(everything(values), before)
    assert fates(score_nights(job, [SECOND], "all", workers=1)) == {SECOND: "scored"}


def test_a_night_that_has_lost_all_rows_of_a_partition_empties_it(
    job: ScoreJob, values: Values
) -> None:
    output = {"path": values["output"]["path"], "partition_by": ["day", "promo"]}
    job = ScoreJob.from_values({**values, "output": output})
    score_nights(job, [FIRST, SECOND], workers=1)
    frame = pd.read_parquet(file_of(values, FIRST), partitioning=None)
    assert set(frame["promo"]) == {True, False}
    frame[frame["promo"]].to_parquet(file_of(values, FIRST))
    assert fates(score_nights(job, [FIRST], workers=1)) == {FIRST: "scored"}
    found = table(job.output.path, "id")
    assert sorted(found[found["day"] == FIRST]["id"]) == sorted(frame[frame["promo"]]["id"])
    assert (found["day"] == SECOND).sum() == N
    verify(job.output.path, deep=True)
    rollback(job.output.path, FIRST)
    assert len(table(job.output.path, "id")) == 2 * N
    verify(job.output.path)


def test_a_night_leaves_a_partition_alone_that_a_later_run_has_taken(
    job: ScoreJob, values: Values
) -> None:
    output = {"path": values["output"]["path"], "partition_by": ["day", "promo"]}
    job = ScoreJob.from_values({**values, "output": output})
    score_nights(job, [FIRST], workers=1)
    data = {**values["data"], "where": f"day == '{FIRST}' and promo == False"}
    other = score(ScoreJob.from_values({**values, "output": output, "data": data}), workers=1)
    frame = pd.read_parquet(file_of(values, FIRST), partitioning=None)
    frame[frame["promo"]].to_parquet(file_of(values, FIRST))
    score_nights(job, [FIRST], "all", workers=1)
    found = table(job.output.path, "id")
    assert (found["run_id"] == other.run_id).sum() == (~frame["promo"]).sum()
    assert len(found) == N
    verify(job.output.path)


# Completion markers.


def test_the_marker_of_a_date_names_the_versions_that_belong_together(
    job: ScoreJob, values: Values
) -> None:
    marker = Path(job.output.path, "_lasso", "done", f"{FIRST}.json")
    spoil(values, FIRST, 2)
    assert not marker.exists()
    result = score(job.on(FIRST), workers=1)
    said = json.loads(marker.read_text())
    assert said["run_id"] == result.run_id
    assert (said["rows_scored"], said["rows_quarantined"]) == (N - 2, 2)
    output = DeltaTable(job.output.path, said["output_version"]).to_pandas()
    quarantine = f"{job.output.path}-quarantine"
    bad = DeltaTable(quarantine, said["quarantine_version"]).to_pandas()
    drift = DeltaTable(values["drift"]["path"], said["drift_version"]).to_pandas()
    assert len(output) == N - 2
    assert len(bad) == 2
    assert set(drift["run_id"]) == {result.run_id}
    assert [p.name for p in marker.parent.iterdir()] == [marker.name]


@pytest.mark.parametrize("there", [None, "", "{}", '{"output_version": 0}'])
def test_a_marker_that_a_kill_prevented_is_made_by_the_next_run(
    job: ScoreJob, there: str | None
) -> None:
    marker = Path(job.output.path, "_lasso", "done", f"{FIRST}.json")
    score(job.on(SECOND), workers=1)
    score(job.on(FIRST), workers=1)
    whole = marker.read_text()
    marker.unlink() if there is None else marker.write_text(there)
    assert fates(score_nights(job, [FIRST], workers=1)) == {FIRST: "done"}
    assert marker.read_text() == whole


def test_a_marker_of_former_rows_is_corrected_by_whoever_asks(
    job: ScoreJob, values: Values
) -> None:
    """As a driver leaves it that dies between its commit and its marker."""
    marker = Path(job.output.path, "_lasso", "done", f"{FIRST}.json")
    score(job.on(FIRST), workers=1)
    former = marker.read_text()
    spoil(values, FIRST, 2)
    score(job.on(FIRST), workers=1)
    whole = marker.read_text()
    marker.write_text(former)
    assert find_night(job, FIRST).status == "done"
    assert marker.read_text() == whole != former
    # A run may be about to write one that is not there, and a later one is of a later commit.
    marker.unlink()
    find_night(job, FIRST)
    assert not marker.exists()
    later = json.dumps({**json.loads(whole), "output_version": 99})
    marker.write_text(later)
    find_night(job, FIRST)
    assert marker.read_text() == later


def test_a_run_that_fails_leaves_the_marker_of_the_generation_that_is_shown(
    job: ScoreJob, values: Values
) -> None:
    score(job.on(FIRST), workers=1)
    marker = Path(job.output.path, "_lasso", "done", f"{FIRST}.json")
    before = marker.read_text()
    spoil(values, FIRST)
    with pytest.raises(LassoJobsError):
        score(ScoreJob.from_values({**values, "bad_rows": "fail"}).on(FIRST), workers=1)
    assert marker.read_text() == before


# The way back.


@pytest.fixture
def three_generations(job: ScoreJob, values: Values) -> list[list[pd.DataFrame]]:
    """A date scored three times, beside another; what the tables showed after each."""
    score(job.on(SECOND), workers=1)
    found = []
    for rows in (3, 0, 5):
        spoil(values, FIRST, rows)
        if rows == 0:
            rewrite(values, FIRST, visits=30.0)
        score(job.on(FIRST), workers=1)
        found.append(everything(values))
    return found


def of_day(frames: list[pd.DataFrame], day: str, run_id: str) -> list[pd.DataFrame]:
    output, bad, drift = frames
    rows = (output[output["day"] == day], bad[bad["day"] == day], drift[drift["run_id"] == run_id])
    return [frame.reset_index(drop=True) for frame in rows]


def test_a_rollback_shows_rows_quarantine_and_drift_of_the_generation_before(
    job: ScoreJob, values: Values, three_generations: list[list[pd.DataFrame]]
) -> None:
    root = job.output.path
    first, second, third = three_generations
    done = rollback(root, FIRST)
    assert (done.old.number, done.new.number) == (3, 2)
    run_id = done.new.record.run_id
    same(of_day(everything(values), FIRST, run_id), of_day(second, FIRST, run_id))
    verify(root)
    done = rollback(root, FIRST)
    assert (done.old.number, done.new.number) == (2, 1)
    run_id = done.new.record.run_id
    same(of_day(everything(values), FIRST, run_id), of_day(first, FIRST, run_id))
    verify(root)
    output, bad, drift = everything(values)
    # The runs that are shown no more have left the drift; the other date is as it was.
    assert set(drift["run_id"]) == set(output["run_id"])
    assert len(bad) == 3
    assert (output["day"] == SECOND).sum() == N
    with pytest.raises(JobError, match="shows generation 1, its first"):
        rollback(root, FIRST)
    done = rollback(root, FIRST, to=3)
    same(
        of_day(everything(values), FIRST, done.new.record.run_id),
        of_day(third, FIRST, run_id_of(third)),
    )
    verify(root)


def run_id_of(frames: list[pd.DataFrame]) -> str:
    output = frames[0]
    (run_id,) = output[output["day"] == FIRST]["run_id"].unique()
    return str(run_id)


def test_a_rollback_is_a_generation_of_its_own_that_a_run_replaces(
    job: ScoreJob, values: Values, three_generations: list[list[pd.DataFrame]]
) -> None:
    rollback(job.output.path, FIRST, to=1)
    # Its rows are of other files than there are now.
    assert states(job, FIRST) == ["late"]
    marker = Path(job.output.path, "_lasso", "done", f"{FIRST}.json")
    assert json.loads(marker.read_text())["generation"] == 1
    score_nights(job, [FIRST], workers=1)
    same(
        of_day(everything(values), FIRST, "")[1:2],
        of_day([*three_generations[2]], FIRST, "")[1:2],
    )
    assert states(job, FIRST) == ["done"]
    verify(job.output.path, deep=True)


@pytest.mark.usefixtures("three_generations")
def test_a_rollback_to_what_is_not_there_is_refused_and_changes_nothing(
    job: ScoreJob, values: Values
) -> None:
    before = everything(values)
    with pytest.raises(JobError, match="one of 1, 2, 3"):
        rollback(job.output.path, FIRST, to=0)
    with pytest.raises(JobError, match=f"{THIRD} was never committed; expected one of its 2 nig"):
        rollback(job.output.path, THIRD)
    with pytest.raises(JobError, match=r"its first; .*Score the date again to replace its rows"):
        rollback(job.output.path, SECOND)
    with pytest.raises(OutputError, match="no Delta table"):
        rollback(values["data"]["path"], FIRST)
    names = {Path(uri).name for uri in DeltaTable(job.output.path, 2).file_uris()}
    lost = next(p for p in Path(job.output.path).rglob(f"day={FIRST}/*") if p.name in names)
    content = lost.read_bytes()
    lost.write_bytes(content[:-1] + b"\x00")
    with pytest.raises(OutputError, match="does not match the digest"):
        rollback(job.output.path, FIRST, to=2)
    lost.unlink()
    with pytest.raises(OutputError, match="is missing"):
        rollback(job.output.path, FIRST, to=2)
    same(everything(values), before)


def test_an_output_without_partitions_is_rolled_back_whole(values: Values) -> None:
    output = {"path": values["output"]["path"]}
    where = "day == '{date}'"
    data = {**values["data"], "where": where}
    job = ScoreJob.from_values({**values, "output": output, "data": data})
    score(job.on(FIRST), workers=1)
    before = table(job.output.path, "id")
    rewrite(values, FIRST, price=1.0)
    score(job.on(FIRST), workers=1)
    rollback(job.output.path, FIRST)
    pd.testing.assert_frame_equal(table(job.output.path, "id"), before)
    verify(job.output.path)


# Two runs of one date at the same time.


def test_of_two_runs_of_one_date_the_first_to_commit_wins_and_the_other_says_so(
    job: ScoreJob, values: Values, monkeypatch: pytest.MonkeyPatch
) -> None:
    measure = scoring.measure_drift

    def meanwhile(*arguments: Any, **named: Any) -> Any:
        """The other run, of changed rows, commits while this one is at work."""
        monkeypatch.setattr(scoring, "measure_drift", measure)
        spoil(values, FIRST, 2)
        score(job.on(FIRST), workers=1)
        return measure(*arguments, **named)

    monkeypatch.setattr(scoring, "measure_drift", meanwhile)
    with pytest.raises(OutputError, match="another run committed the same partitions meanwhile"):
        score(job.on(FIRST), workers=1)
    output, bad, _ = everything(values)
    assert (len(output), len(bad)) == (N - 2, 2)
    verify(job.output.path)
    assert states(job, FIRST) == ["done"]


def test_a_run_of_another_date_meanwhile_is_no_obstacle(
    job: ScoreJob, values: Values, monkeypatch: pytest.MonkeyPatch
) -> None:
    measure = scoring.measure_drift

    def meanwhile(*arguments: Any, **named: Any) -> Any:
        monkeypatch.setattr(scoring, "measure_drift", measure)
        score(job.on(SECOND), workers=1)
        return measure(*arguments, **named)

    monkeypatch.setattr(scoring, "measure_drift", meanwhile)
    spoil(values, FIRST, 2)
    spoil(values, SECOND, 1)
    score(job.on(FIRST), workers=1)
    assert states(job) == ["done", "done", "missing"]
    verify(job.output.path, deep=True)


def test_a_rollback_that_another_run_overtakes_changes_nothing(
    job: ScoreJob,
    values: Values,
    three_generations: list[list[pd.DataFrame]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from lasso_jobs.outputs import rollback as module

    restore = module._restore_drift

    def meanwhile(*arguments: Any) -> int:
        rewrite(values, FIRST, visits=31.0)
        score(job.on(FIRST), workers=1)
        return restore(*arguments)

    monkeypatch.setattr(module, "_restore_drift", meanwhile)
    with pytest.raises(OutputError, match="another run committed the same partitions meanwhile"):
        rollback(job.output.path, FIRST)
    assert len(everything(values)[0]) == 2 * N


# What is left behind.


def age(path: Path, hours: float) -> None:
    then = time.time() - hours * 3600
    os.utime(path, (then, then))


def test_vacuum_removes_what_no_version_names_after_its_grace(
    job: ScoreJob, values: Values, three_generations: list[list[pd.DataFrame]]
) -> None:
    root = Path(job.output.path)
    spoil(values, THIRD, 1)
    with pytest.raises(LassoJobsError):
        score(ScoreJob.from_values({**values, "bad_rows": 0.001}).on(THIRD), workers=1)
    left = [*root.rglob(f"day={THIRD}/*.parquet")]
    left += Path(f"{root}-quarantine").rglob(f"day={THIRD}/*.parquet")
    (journal,) = root.glob("_lasso/journal/*")
    assert len(left) == 2
    assert vacuum(str(root)).orphans == ()
    for path in (*left, *root.rglob("*.parquet"), *root.rglob("_lasso/done/*")):
        age(path, 30)
    # Its journal is there, so that the run may go on.
    found = vacuum(str(root), remove=True)
    assert (found.orphans, found.journals) == ((), ())
    assert {f.path for f in found.left_alone} == set(map(str, left))
    for path in (*journal.iterdir(), journal):
        age(path, 30)
    listed = vacuum(str(root), remove=True)
    assert (listed.orphans, listed.journals) == ((), (str(journal),))
    assert all(path.exists() for path in left)
    assert not journal.exists()
    listed = vacuum(str(root))
    assert {o.path for o in listed.orphans} == set(map(str, left))
    assert vacuum(str(root), grace_hours=31).orphans == ()
    assert all(path.exists() for path in left)
    removed = vacuum(str(root), remove=True)
    assert removed.removed
    assert not any(path.exists() for path in (*left, journal))
    assert vacuum(str(root), grace_hours=0).orphans == ()
    # Every generation is there still.
    for version in range(DeltaTable(root).version() + 1):
        assert len(DeltaTable(root, version).to_pandas()) >= N
    rollback(str(root), FIRST, to=1)
    verify(str(root))


def test_vacuum_of_a_table_with_checkpoints_alone_spares_what_they_show(job: ScoreJob) -> None:
    score_nights(job, DAYS, workers=1)
    DeltaTable(job.output.path).create_checkpoint()
    for path in Path(job.output.path, "_delta_log").glob("*.json"):
        path.unlink()
    assert vacuum(job.output.path, 0, remove=True).orphans == ()
    assert len(DeltaTable(job.output.path).to_pandas()) == 3 * N


def test_vacuum_refuses_what_is_no_output(values: Values) -> None:
    with pytest.raises(OutputError, match="no Delta table"):
        vacuum(values["data"]["path"])
    with pytest.raises(JobError, match="--grace"):
        vacuum(values["output"]["path"], -1)


# The command line.


@pytest.fixture
def lasso_jobs(cli: Run, tmp_path: Path, values: Values) -> Run:
    (tmp_path / "score.yaml").write_text(yaml.safe_dump(values))
    return lambda *arguments: cli(*arguments, folder=tmp_path)


def test_the_commands_of_a_night(lasso_jobs: Run, values: Values) -> None:
    root = values["output"]["path"]
    period = ("score", "score.yaml", "--from", FIRST, "--to", SECOND, "--json")
    said = json.loads(lasso_jobs(*period, "--dry-run").stdout)
    assert [(row["date"], row["status"], row["due"]) for row in said["dates"]] == [
        (FIRST, "missing", True),
        (SECOND, "missing", True),
    ]
    done = lasso_jobs(*period, "--newest-first")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert [row["date"] for row in said["dates"]] == [SECOND, FIRST]
    assert {row["fate"] for row in said["dates"]} == {"scored"}
    rewrite(values, FIRST, visits=31.0)
    done = lasso_jobs("score", "score.yaml", "--date", FIRST, "--only", "missing", "--json")
    assert json.loads(done.stdout)["dates"][0]["was"] == "late"
    found = json.loads(lasso_jobs("verify", root, "--deep", "--json").stdout)
    assert found["rows_scored"] == 2 * N
    assert found["rows_rescored"] == 2 * N
    back = json.loads(lasso_jobs("rollback", root, "--date", FIRST, "--json").stdout)
    assert (back["old_generation"], back["generation"]) == (2, 1)
    found = json.loads(lasso_jobs("vacuum", root, "--grace", "0", "--json").stdout)
    assert (found["orphans"], found["removed"]) == (0, False)
    deep = lasso_jobs("verify", root, "--deep")
    assert deep.returncode == 1
    assert "its files have changed since they were scored" in deep.stderr
    assert lasso_jobs("verify", root).returncode == 0


@pytest.mark.parametrize(
    "options",
    [["--from", FIRST], ["--only", "all"], ["--from", FIRST, "--to", SECOND, "--date", FIRST]],
)
def test_options_that_do_not_go_together_are_refused(lasso_jobs: Run, options: list[str]) -> None:
    done = lasso_jobs("score", "score.yaml", *options)
    assert done.returncode == 2
    assert done.stderr.startswith("lasso-jobs: --")


def test_the_scored_dates_say_what_failed(lasso_jobs: Run, values: Values) -> None:
    file_of(values, FIRST).write_bytes(b"PAR1 no more")
    done = lasso_jobs("score", "score.yaml", "--from", FIRST, "--to", SECOND, "--json")
    assert done.returncode == 1
    first, second = json.loads(done.stdout)["dates"]
    assert "not readable as Parquet" in first["error"]
    assert second["rows_scored"] == N


def test_a_person_reads_a_line_for_each_date_and_the_errors(
    lasso_jobs: Run, values: Values
) -> None:
    period = ("score", "score.yaml", "--from", FIRST, "--to", THIRD)
    assert lasso_jobs("score", "score.yaml", "--date", FIRST, "--quiet").returncode == 0
    file_of(values, SECOND).write_bytes(b"PAR1 no more")
    done = lasso_jobs(*period)
    assert done.returncode == 1
    lines = [line.split() for line in done.stdout.splitlines()]
    assert lines[0][:3] == ["date", "was", "fate"]
    assert [line[:3] for line in lines[1:]] == [
        [FIRST, "done", "done"],
        [SECOND, "missing", "failed"],
        [THIRD, "missing", "scored"],
    ]
    assert f"lasso-jobs: {SECOND}: " in done.stderr
    assert "not readable as Parquet" in done.stderr
    shown = lasso_jobs(*period, "--dry-run").stdout.splitlines()
    assert [line.split() for line in shown[1:]] == [
        [FIRST, "done", "0", "False"],
        [SECOND, "missing", "-", "True"],
        [THIRD, "done", "1", "False"],
    ]


@pytest.mark.parametrize(("absent", "status"), [(SECOND, 0), (THIRD, 4)])
def test_the_newest_date_without_data_has_an_exit_status(
    lasso_jobs: Run, values: Values, absent: str, status: int
) -> None:
    shutil.rmtree(file_of(values, absent).parent)
    period = ("score", "score.yaml", "--from", FIRST, "--to", THIRD)
    shown = lasso_jobs(*period, "--dry-run", "--json")
    assert shown.returncode == 0
    of_date = {each["date"]: each for each in json.loads(shown.stdout)["dates"]}
    assert (of_date[absent]["status"], of_date[absent]["due"]) == ("waiting", False)
    done = lasso_jobs(*period)
    assert done.returncode == status, done.stderr
    assert f"{absent}  waiting  waiting" in done.stdout
    assert (f"{absent} waits for its data: " in done.stderr) == (status == 4)


def test_nights_are_refused_for_a_job_that_no_date_fits(values: Values) -> None:
    output = {"path": values["output"]["path"]}
    job = ScoreJob.from_values({**values, "output": output})
    with pytest.raises(JobError, match=r"no \{date\}"):
        nights.score_nights(job, DAYS, workers=1)


def test_a_range_shows_what_a_command_for_each_date_does(
    job: ScoreJob, values: Values, tmp_path: Path
) -> None:
    spoil(values, SECOND)
    beside = {"output": {**values["output"], "path": str(tmp_path / "alone")}}
    beside["drift"] = {**values["drift"], "path": str(tmp_path / "drift-alone")}
    alone = {**values, **beside}
    for day in DAYS:
        score(ScoreJob.from_values(alone).on(day), workers=1)
    assert set(fates(score_nights(job, DAYS, workers=2)).values()) == {"scored"}
    of_run, by = ["run_id", "scored_at"], ["partition", "feature"]
    tables = [
        [t.drop(columns=of_run, errors="ignore") for t in everything(v)] for v in (values, alone)
    ]
    for found in tables:
        found[2] = found[2].sort_values(by, ignore_index=True)
    same(*tables)


@pytest.mark.parametrize("format_", ["delta", "parquet"])
def test_dates_that_share_partitions_do_not_overtake_each_other(
    values: Values, format_: str
) -> None:
    # Each date replaces all rows, which the one before has just written.
    output = {**values["output"], "format": format_, "partition_by": []}
    where = {**values["data"], "where": "day = '{date}'"}
    job = ScoreJob.from_values({**values, "data": where, "output": output})
    spoil(values, SECOND)
    results = score_nights(job, DAYS, workers=2)
    assert set(fates(results).values()) == {"scored"}
    assert [result.result.output_version for result in results if result.result] == [0, 1, 2]
    shown = protocol.sink(format_).read(job.output.path, ["run_id"], ())
    (run,) = shown["run_id"].unique().to_pylist()
    assert results[2].result is not None
    assert results[2].result.run_id == run
