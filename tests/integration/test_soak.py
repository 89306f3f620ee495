"""The soak's oracle notices what it is there for, in outputs that nothing of ours has written."""

import ast
import json
import random
import signal
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake

from benchmarks.soak.nights import Model
from benchmarks.soak.outputs import Output
from benchmarks.soak.world import SoakError, World

pytestmark = pytest.mark.integration

MODELS = [
    Model("v1", 7.0, {"a": 2.0, "b": -0.5, "c": 30.0}),
    Model("v2", 5.0, {"a": 3.0, "b": 0.0, "c": 10.0}),
]
SOAK = Path(__file__).parents[2] / "benchmarks" / "soak"
Change = Callable[[pd.DataFrame], pd.DataFrame]


class Written:
    """A world of three scored nights, whose rows are brute force's."""

    def __init__(self, folder: Path, format_: str) -> None:
        root = folder / "scores"
        output = Output(format_, format_, str(root), str(folder / "scores-quarantine"), {})
        self.root, self.world = root, World(folder, output, MODELS, random.Random(0))
        for _ in range(3):
            date = self.world.nights.add()
            self.world.allowed[date] = {(0, "v1")}
            self.write(date, self.scored(date))
            self.mark(date, self.scored(date))

    def scored(self, date: str) -> pd.DataFrame:
        rows = self.world.nights.expected(date, 0, MODELS[0])
        frame = rows.rename("prediction").rename_axis("id").reset_index()
        return frame.assign(model_version="v1", run_id=f"run of {date}")

    def write(self, date: str, frame: pd.DataFrame) -> None:
        """Give a night these rows."""
        if self.world.output.format == "delta":
            table = pa.Table.from_pandas(frame.assign(date=date), preserve_index=False)
            there = DeltaTable.is_deltatable(str(self.root))
            where = {"predicate": f"date = '{date}'"} if there else {}
            write_deltalake(self.root, table, mode="overwrite", partition_by=["date"], **where)
            return
        place = self.root / f"date={date}" / "rows.parquet"
        place.parent.mkdir(parents=True, exist_ok=True)
        frame.to_parquet(place, index=False)

    def mark(self, date: str, frame: pd.DataFrame, run: str | None = None) -> None:
        place = self.root / "_lasso" / "done" / f"{date}.json"
        place.parent.mkdir(parents=True, exist_ok=True)
        marker = {"rows_scored": len(frame), "run_id": run or f"run of {date}"}
        place.write_text(json.dumps(marker))

    def files(self, date: str) -> Iterable[Path]:
        return (self.root / f"date={date}").glob("*.parquet")

    @property
    def dates(self) -> list[str]:
        return self.world.nights.dates


@pytest.fixture(params=["delta", "parquet"])
def written(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Written]:
    found = Written(tmp_path, request.param)
    found.world.look(quiet=True)
    found.world.check_markers()
    assert found.world.counts["reads"] == 3
    assert found.world.counts["markers"] == 3
    yield found
    found.world.log.close()


def _with(column: str, value: object) -> Change:
    def change(frame: pd.DataFrame) -> pd.DataFrame:
        frame = frame.copy()
        frame.loc[frame.index[-1], column] = value
        return frame

    return change


def _moved(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(prediction=frame["prediction"] * (1 + 1e-6))


def _twice(frame: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([frame, frame.iloc[-1:]])


CHANGES: dict[str, Change] = {
    "no rows": lambda frame: frame.iloc[:0],
    "one row less": lambda frame: frame.iloc[1:],
    "a row twice": _twice,
    "predictions that moved": _moved,
    "another id": _with("id", 10**6),
    "another run in a row": _with("run_id", "of another"),
    "another version in a row": _with("model_version", "v2"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_rows_that_are_no_generation_of_a_night_are_noticed(
    written: Written, change: Change
) -> None:
    date = written.dates[1]
    written.write(date, change(written.scored(date)))
    with pytest.raises(SoakError, match=f"rows of {date}.*none of"):
        written.world.look(quiet=True)


def test_rows_of_a_night_that_was_never_scored_are_noticed(written: Written) -> None:
    written.write("2026-03-01", written.scored(written.dates[0]))
    with pytest.raises(SoakError, match="2026-03-01, which was never scored"):
        written.world.look(quiet=True)


def test_files_of_a_night_that_are_lost_are_noticed(written: Written) -> None:
    for path in written.files(written.dates[1]):
        path.unlink()
    with pytest.raises(SoakError, match=r"sees 0 rows|cannot read"):
        written.world.look(quiet=True)


@pytest.mark.parametrize("damage", ["cut", "changed"])
def test_a_file_that_was_changed_is_noticed(written: Written, damage: str) -> None:
    (path,) = written.files(written.dates[1])
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-9])
    else:
        table = pq.read_table(path, partitioning=None)
        at = table.schema.get_field_index("prediction")
        prediction = pa.array(table["prediction"].to_numpy() + 1e-6)
        pq.write_table(table.set_column(at, "prediction", prediction), path)
    with pytest.raises(SoakError, match=r"none of|cannot read"):
        written.world.look(quiet=True)


def test_a_marker_that_is_false_is_noticed(written: Written) -> None:
    date = written.dates[1]
    rows = written.scored(date)
    for told, run in ((rows.iloc[1:], None), (rows, "of another"), (rows.iloc[:0], None)):
        written.mark(date, told, run)
        with pytest.raises(SoakError, match=f"the marker of {date} says {len(told)} rows"):
            written.world.check_markers()
    written.mark(date, rows)
    written.world.check_markers()
    written.mark("2026-03-01", rows)
    with pytest.raises(SoakError, match=r"the marker of 2026-03-01 .* readers see 0"):
        written.world.check_markers()


@pytest.mark.parametrize("written", ["parquet"], indirect=True)
def test_while_a_commit_is_carried_out_a_folder_may_lack_rows_but_have_no_wrong_ones(
    written: Written,
) -> None:
    date = written.dates[1]
    rows = written.scored(date)
    written.write(date, rows.iloc[1:])
    written.world.look(quiet=False)
    written.write(date, _moved(rows.iloc[1:]))
    with pytest.raises(SoakError, match="none of"):
        written.world.look(quiet=False)


@pytest.mark.parametrize("written", ["parquet"], indirect=True)
def test_a_command_that_hangs_is_noticed_and_ended(
    written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.soak.world.LONGEST_SECONDS", 0.01)
    process = written.world.command("--version")
    with pytest.raises(SoakError, match=r"--version.* has not ended for 0.01 s"):
        written.world.ended(process)
    written.world.abandon()
    assert process.returncode == -signal.SIGKILL


def test_the_oracle_is_not_the_code_under_test() -> None:
    """Drivers are commands; nothing else of the soak may compute or read with our package."""
    for path in [*SOAK.glob("*.py"), SOAK.parents[1] / "tests" / "servers.py"]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import | ast.ImportFrom):
                assert "lasso_jobs" not in ast.unparse(node), path
