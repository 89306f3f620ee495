"""A work unit whose rows do not add up is refused, as are more bad rows than a job allows."""

from pathlib import Path

import pyarrow as pa
import pytest

from lasso_jobs import ScoreJob
from lasso_jobs.data.dataset import FileIdentity, Piece, WorkUnit
from lasso_jobs.errors import DataError, OutputError
from lasso_jobs.scoring.bad_rows import refuse_too_many
from lasso_jobs.scoring.scored_unit import RowFates, ScoredUnit, reconcile
from lasso_jobs.sinks import delta

FILE = FileIdentity(path="/a", name="a", size_bytes=1, stamp="1", constants=())
UNIT = WorkUnit((Piece(FILE, row_groups=(0,), first_row=0, rows=10),))


def scored(folder: Path, fates: RowFates, n_written: int) -> ScoredUnit:
    return ScoredUnit(
        files=delta.write_files(pa.table({"x": range(n_written)}), str(folder), [], "run"),
        quarantined_files=(),
        fates=(fates,),
        bytes_read=7,
        observations={},
        reasons={},
    )


def test_rows_that_add_up_are_accepted(tmp_path: Path) -> None:
    unit = scored(tmp_path, RowFates(scored=8, filtered=2), 8)
    reconcile(UNIT, unit)
    assert (unit.rows.kept, unit.rows.total) == (8, 10)


def test_rows_of_the_footer_that_have_no_fate_are_missed(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"9 rows scored, .* expected the 10 rows of its footer"):
        reconcile(UNIT, scored(tmp_path, RowFates(scored=8, filtered=1), 8))


def test_scored_rows_that_are_in_no_file_are_missed(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="7 rows written; expected 8 scored and 0 quarantined"):
        reconcile(UNIT, scored(tmp_path, RowFates(scored=8, filtered=2), 7))


@pytest.mark.parametrize(
    ("bad_rows", "allowed"),
    [("quarantine", True), (2, True), (0.2, True), (1, False), (0.1, False)],
)
def test_two_bad_rows_of_ten_are_too_many_or_not(bad_rows: object, allowed: bool) -> None:
    values = {"model": "m", "data": {"path": "a"}, "output": {"path": "b"}, "bad_rows": bad_rows}
    job, rows = ScoreJob.from_values(values), RowFates(scored=8, quarantined=2, filtered=90)
    if allowed:
        refuse_too_many(job, "a", rows, {"null x": 2})
    else:
        with pytest.raises(DataError, match=r"2 of 10 rows cannot be scored \(null x: 2\)"):
            refuse_too_many(job, "a", rows, {"null x": 2})


@pytest.mark.parametrize("bad_rows", ["quarantine", "fail", 0.999, 1, 1_000])
@pytest.mark.parametrize("n_rows", [1, 2, 10])
def test_no_job_allows_all_rows_to_be_bad(bad_rows: object, n_rows: int) -> None:
    values = {"model": "m", "data": {"path": "a"}, "output": {"path": "b"}, "bad_rows": bad_rows}
    with pytest.raises(DataError, match="cannot be scored"):
        refuse_too_many(ScoreJob.from_values(values), "a", RowFates(quarantined=n_rows), {})
    refuse_too_many(ScoreJob.from_values(values), "a", RowFates(filtered=n_rows), {})
