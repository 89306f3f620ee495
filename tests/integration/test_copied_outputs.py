"""Outputs that are copied, moved or seen from another folder, and folders of several owners."""

import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from deltalake import DeltaTable

from lasso_jobs import ScoreJob, score
from lasso_jobs.engine.cluster import connect
from lasso_jobs.errors import OutputError
from lasso_jobs.outputs.rollback import rollback
from lasso_jobs.outputs.vacuum import vacuum
from lasso_jobs.outputs.verify import verify
from lasso_jobs.scoring import plan
from lasso_jobs.scoring import run as scoring
from lasso_jobs.scoring.nights import find_night
from lasso_jobs.scoring.staging import stage_rows

from ..conftest import a_day

pytestmark = [pytest.mark.integration, pytest.mark.slow]
DAY, NEXT = "2024-01-09", "2024-01-10"
Files = dict[str, bytes]


def write_day(folder: Path, day: str, index: int, bad_rows: int) -> None:
    frame = a_day(index, 40).to_pandas()
    path = folder / "data" / f"day={day}" / "sales.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    frame["visits"] = frame["visits"].mask(frame.index < bad_rows, np.inf)
    frame.to_parquet(path)


@pytest.fixture(scope="module")
def of_two_generations(
    tmp_path_factory: pytest.TempPathFactory, registry: Path
) -> tuple[Path, dict[str, Any]]:
    """A folder with an output, its quarantine and its drift; no test changes it."""
    folder = tmp_path_factory.mktemp("original")
    values = {
        "model": "sales",
        "data": {"path": "data"},
        "keys": ["id"],
        "output": {"path": "out/scores", "partition_by": "day"},
        "drift": {"path": "drift"},
        "registry": str(registry),
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for generation in (1, 2):
            write_day(folder, DAY, generation, bad_rows=generation)
            score(ScoreJob.from_values(values).on(DAY), workers=1)
    return folder, values


@pytest.fixture
def original(of_two_generations: tuple[Path, dict[str, Any]], tmp_path: Path) -> Path:
    """The same, for a test to change."""
    return Path(shutil.copytree(of_two_generations[0], tmp_path / "original"))


@pytest.fixture
def job(of_two_generations: tuple[Path, dict[str, Any]]) -> ScoreJob:
    return ScoreJob.from_values(of_two_generations[1])


def files_of(folder: Path) -> Files:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def shown(folder: Path) -> list[list[str]]:
    """The runs that output, quarantine and drift show to pandas."""
    places = (folder / "out/scores", folder / "out/scores-quarantine", folder / "drift")
    return [sorted(DeltaTable(str(p)).to_pandas()["run_id"].unique()) for p in places]


@pytest.mark.parametrize("where", [".", "out", "/"])
def test_from_any_folder_a_rollback_finds_the_drift_of_its_output(
    original: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    monkeypatch.chdir(original / where)
    root = (
        os.path.relpath(original / "out/scores") if where != "/" else str(original / "out/scores")
    )
    done = rollback(root, DAY)
    assert shown(original) == [[done.new.record.run_id]] * 3
    assert verify(root).rows_quarantined == 1


def test_a_copy_of_the_whole_is_rolled_back_and_the_original_is_not(
    original: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, runs = files_of(original), shown(original)
    copy = Path(shutil.copytree(original, tmp_path / "copy"))
    monkeypatch.chdir(original)  # where the paths of its job are those of the original
    rollback(str(copy / "out/scores"), DAY)
    assert files_of(original) == before
    assert shown(copy) != runs
    assert shown(copy)[0] == shown(copy)[1] == shown(copy)[2]
    verify(str(copy / "out/scores"), deep=False)
    shutil.rmtree(original)
    verify(str(copy / "out/scores"))


def copied_beside(original: Path) -> Path:
    shutil.copytree(original / "out/scores", original / "out/copy")
    shutil.copytree(original / "out/scores-quarantine", original / "out/copy-quarantine")
    return original / "out/copy"


def copied_away(original: Path) -> Path:
    shutil.copytree(original / "out", original.parent / "away" / "out")
    return original.parent / "away" / "out" / "scores"


def without_its_quarantine(original: Path) -> Path:
    shutil.copytree(original / "out/scores", original / "out/copy")
    return original / "out/copy"


def with_another_drift(original: Path) -> Path:
    root = copied_away(original)
    place = root.parent.parent / "drift"
    DeltaTable(str(original / "drift")).to_pyarrow_table()
    from deltalake import write_deltalake

    write_deltalake(str(place), DeltaTable(str(original / "drift")).to_pyarrow_table())
    return root


@pytest.mark.parametrize(
    ("copied", "message"),
    [
        (copied_beside, "drift: is the drift table of .*/out/scores; expected that of .*/out/copy"),
        (copied_away, "away/drift: is no Delta table; expected the drift table of"),
        (with_another_drift, "away/drift: is another table than it was"),
        (without_its_quarantine, "copy-quarantine: is no Delta table; expected the quarantine of"),
    ],
)
def test_an_output_without_the_tables_that_belong_to_it_is_told_from_the_original(
    original: Path, copied: Callable[[Path], Path], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = copied(original)
    before = files_of(original.parent)
    monkeypatch.chdir(original)
    for act in (verify, lambda place: rollback(place, DAY)):
        with pytest.raises(OutputError, match=message):
            act(str(root))
    for path in before:
        os.utime(original.parent / path, (0, 0))
    vacuum(str(root), 0, remove=True)
    assert files_of(original.parent) == before


def test_a_log_without_references_is_asked_for_a_new_run_and_then_served(
    original: Path, job: ScoreJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As an older version wrote it."""
    for path in (original / "out/scores/_delta_log").glob("*.json"):
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        for line in lines:
            if "commitInfo" in line:
                record = json.loads(line["commitInfo"]["lasso_jobs"])
                del record["drift_table"], record["quarantine_id"]
                line["commitInfo"]["lasso_jobs"] = json.dumps(record)
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    monkeypatch.chdir(original)
    before = files_of(original)
    for act in (verify, lambda place: rollback(place, DAY)):
        with pytest.raises(
            OutputError, match=r"notes no place of its drift table but drift.*Score"
        ):
            act("out/scores")
    assert files_of(original) == before
    write_day(original, NEXT, 3, bad_rows=0)
    score(job.on(NEXT), workers=1)
    verify("out/scores")
    rollback("out/scores", DAY)
    assert len(shown(original)[2]) == 2
    verify("out/scores")


def test_a_run_with_another_drift_table_does_not_hide_that_of_the_others(
    original: Path, of_two_generations: tuple[Path, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(original)
    write_day(original, NEXT, 3, bad_rows=0)
    other = ScoreJob.from_values({**of_two_generations[1], "drift": {"path": "new/drift"}})
    score(other.on(NEXT), workers=1)
    verify("out/scores")
    done = rollback("out/scores", DAY)
    assert shown(original)[2] == [done.new.record.run_id]
    verify("out/scores", deep=False)


# Vacuum.

FOREIGN = (
    "out/scores/notes.txt",
    "out/scores/day=2024-01-09/extra.parquet",
    "out/scores/lasso-by-hand.parquet",
    "out/scores-quarantine/mine.parquet",
    "drift/run_id=a/part-0.parquet",
)


def test_vacuum_leaves_what_it_does_not_know_and_says_why(
    original: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cli: Callable[..., Any]
) -> None:
    for name in FOREIGN:
        (original / name).parent.mkdir(exist_ok=True)
        (original / name).write_bytes(b"precious")
    ours = next((original / "out/scores/day=2024-01-09").glob("lasso-*.parquet"))
    orphan = ours.with_name(ours.name.replace("lasso-", "lasso-killed-"))
    shutil.copy(ours, orphan)
    before = files_of(original)
    listed = vacuum(str(original / "out/scores"), 0)
    assert [o.path for o in listed.orphans] == [str(orphan)]
    assert {f.path: f.why for f in listed.left_alone} == {
        str(original / name): "scoring gives no such name" for name in FOREIGN
    }
    young = vacuum(str(original / "out/scores"), 1).left_alone
    assert [f.path for f in young if f.why.startswith("is younger than 1 h")] == [str(orphan)]
    done = cli("vacuum", "out/scores", "--grace", "0", "--remove", folder=original)
    assert "left alone: out/scores/notes.txt: scoring gives no such name" in done.stdout
    assert f"{os.path.relpath(orphan, original)}\n" in done.stdout
    del before[str(orphan.relative_to(original))]
    assert files_of(original) == before


def test_vacuum_looks_for_no_table_in_the_present_folder(
    original: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where it stands, ``./drift`` is a source, and beside a table is a folder of someone else."""
    shutil.rmtree(original / "out/scores-quarantine")
    elsewhere = tmp_path / "elsewhere"
    for place in (elsewhere / "drift", original / "out/scores-quarantine"):
        place.mkdir(parents=True)
        a_day(1, 5).to_pandas().to_parquet(place / "source.parquet")
        name = next((original / "drift").rglob("lasso-*.parquet")).name
        shutil.copy(place / "source.parquet", place / name.replace("lasso-", "lasso-other-"))
    before = files_of(elsewhere), files_of(original)
    monkeypatch.chdir(elsewhere)
    found = vacuum(str(original / "out/scores"), 0, remove=True)
    assert (files_of(elsewhere), files_of(original)) == before
    (left,) = found.left_alone
    assert left.path == str(original / "out/scores-quarantine")
    assert "is no Delta table" in left.why


def test_an_output_that_never_committed_is_cleaned_and_its_neighbours_are_not(
    original: Path, job: ScoreJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(original)
    for name in ("out/scores", "out/scores-quarantine"):
        shutil.rmtree(original / name)
    with connect("local", 1) as workers:
        stage_rows(workers, plan.plan(job.on(DAY)))
    mine = original / "out/scores-quarantine" / "mine.parquet"
    shutil.copy(next(mine.parent.rglob("*.parquet")), mine)
    vacuum("out/scores", 0, remove=True)  # the journal
    assert list((original / "out/scores").rglob("*.parquet"))
    vacuum("out/scores", 0, remove=True)
    assert not list((original / "out/scores").rglob("*.parquet"))
    assert len(list(mine.parent.rglob("*.parquet"))) == 2


def test_a_driver_that_stopped_for_days_loses_nothing_to_vacuum_or_is_told(
    original: Path, job: ScoreJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(original)
    write_day(original, NEXT, 3, bad_rows=1)
    measure = scoring.measure_drift

    def stopped(times: int) -> Callable[..., Any]:
        def wait(*arguments: Any, **named: Any) -> Any:
            monkeypatch.setattr(scoring, "measure_drift", measure)
            days_ago = time.time() - 3 * 86400
            for path in original.rglob("*"):
                os.utime(path, (days_ago, days_ago))
            for _ in range(times):
                vacuum("out/scores", remove=True)
            return measure(*arguments, **named)

        return wait

    monkeypatch.setattr(scoring, "measure_drift", stopped(2))
    missing = (
        "is missing; expected the file that a worker wrote.*name the output by an absolute path"
    )
    with pytest.raises(OutputError, match=missing):
        score(job.on(NEXT), workers=1)
    assert find_night(job, NEXT).status == "missing"
    assert len(DeltaTable("out/scores").to_pandas()) == 38
    monkeypatch.setattr(scoring, "measure_drift", stopped(1))
    score(job.on(NEXT), workers=1)
    frame = DeltaTable("out/scores").to_pandas()
    assert len(frame) == 38 + 39
    assert len(pd.unique(frame["id"])) == len(frame)
    verify("out/scores")
