"""Source files that change under a run, and readers that look at a table while it changes."""

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from lasso_jobs import ScoreJob, score
from lasso_jobs.data import blocks
from lasso_jobs.engine.cluster import connect
from lasso_jobs.errors import DataError
from lasso_jobs.progress import Stages
from lasso_jobs.scoring.plan import plan
from lasso_jobs.scoring.run import run_stages
from lasso_jobs.sinks import delta
from lasso_jobs.sinks.protocol import Change

pytestmark = [pytest.mark.fault, pytest.mark.slow]

Values = dict[str, Any]
FIRST, SECOND = "2024-01-09", "2024-01-10"


@pytest.fixture
def job(score_values: Values, own_shop: Path) -> ScoreJob:
    """Two days, of which one is scored already."""
    where = f"day in ('{FIRST}', '{SECOND}')"
    first = {"path": str(own_shop), "where": f"day == '{FIRST}'"}
    score(ScoreJob.from_values({**score_values, "data": first}), workers=1)
    return ScoreJob.from_values({**score_values, "data": {"path": str(own_shop), "where": where}})


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def replace(path: Path) -> None:
    pd.read_parquet(path, partitioning=None).head(149).to_parquet(path)


def damage_pages(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[100:600] = b"\xff" * 500
    path.write_bytes(bytes(content))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (truncate, "has changed since the plan"),
        (replace, "has changed since the plan"),
        (Path.unlink, "has disappeared"),
        (damage_pages, "has changed since the plan"),
    ],
)
def test_a_file_that_changes_after_the_plan_is_named_and_nothing_is_committed(
    job: ScoreJob, change: Callable[[Path], None], said: str
) -> None:
    before = DeltaTable(job.output.path).to_pandas()
    path = Path(job.data.path) / f"day={SECOND}" / "sales.parquet"
    content, planned = path.read_bytes(), plan(job)
    change(path)
    with connect("local", 1) as workers, pytest.raises(DataError) as caught:
        run_stages(workers, planned, Stages())
    assert str(caught.value).startswith(f"{path}: {said}")
    table = DeltaTable(job.output.path)
    assert table.version() == 0
    pd.testing.assert_frame_equal(table.to_pandas(), before)
    assert DeltaTable(job.drift.path).version() == 0
    path.write_bytes(content)
    assert score(job, workers=1).rows_scored == 300


def write_over(path: Path, content: bytes) -> None:
    """Another content of the same size, in place, by a program that sets the time back."""
    before = path.stat()
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def cut_short(path: Path, content: bytes) -> None:
    os.truncate(path, len(content) // 3)


@pytest.mark.usefixtures("small_work_units")
@pytest.mark.parametrize("change", [write_over, cut_short])
@pytest.mark.parametrize("n_read", [1, 2])
def test_a_file_that_changes_while_it_is_read_is_named_and_old_and_new_are_not_mixed(
    job: ScoreJob,
    change: Callable[[Path, bytes], None],
    n_read: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = Path(job.data.path) / f"day={SECOND}" / "sales.parquet"
    table, read, seen = pq.read_table(path, partitioning=None), blocks.read_columns, []
    pq.write_table(table, path, row_group_size=50, compression="none", use_dictionary=False)
    content = path.read_bytes()
    new = content.replace(table["id"][0].as_py().to_bytes(8, "little"), b"\0" * 8)
    assert new != content

    def change_then_read(place: str, *rest: Any) -> pa.Table:
        if place == str(path):
            seen.append(place)
            if len(seen) == n_read + 1:
                change(path, new)
        return read(place, *rest)

    monkeypatch.setattr(blocks, "read_columns", change_then_read)
    with pytest.raises(DataError, match=f"^{path}: has changed since the plan"):
        score(job, workers=1)
    assert DeltaTable(job.output.path).version() == 0


@pytest.mark.parametrize("change", [truncate, damage_pages])
def test_a_file_that_is_damaged_before_the_plan_is_named_and_nothing_is_committed(
    job: ScoreJob, change: Callable[[Path], None]
) -> None:
    path = Path(job.data.path) / f"day={SECOND}" / "sales.parquet"
    change(path)
    with pytest.raises(DataError, match=r"not readable as Parquet|cannot be read") as caught:
        score(job, workers=1)
    assert str(path) in str(caught.value)
    assert DeltaTable(job.output.path).version() == 0


def test_a_reader_never_sees_a_partial_or_doubled_partition(tmp_path: Path) -> None:
    """50 commits, each of several files for some partitions, under a reader that never stops."""
    root, names, rows = str(tmp_path / "table"), ("a", "b", "c", "d"), 40
    schema = pa.schema([("p", pa.string()), ("row", pa.int64()), ("generation", pa.int64())])

    def write(generation: int, partitions: tuple[str, ...]) -> None:
        files = [
            file
            for start in range(0, rows, 10)
            for file in delta.write_files(
                pa.table(
                    {
                        "p": [p for p in partitions for _ in range(10)],
                        "row": [*range(start, start + 10)] * len(partitions),
                        "generation": [generation] * 10 * len(partitions),
                    },
                    schema,
                ),
                root,
                ["p"],
                str(generation),
            )
        ]
        delta.commit(
            Change(
                root=root,
                schema=schema,
                partition_by=["p"],
                run_id=f"run {generation}",
                files=files,
            )
        )

    seen: set[tuple[tuple[str, int], ...]] = set()
    wrong: list[str] = []
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            frame = DeltaTable(root).to_pandas()
            for name, part in frame.groupby("p"):
                whole = sorted(part["row"]) == list(range(rows))
                if not whole or part["generation"].nunique() != 1:
                    wrong.append(f"{name}: {len(part)} rows of {set(part['generation'])}")
            if set(frame["p"]) != set(names):
                wrong.append(f"only {set(frame['p'])}")
            seen.add(tuple(sorted(frame.groupby("p")["generation"].max().items())))

    write(0, names)
    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    expected = {tuple((name, 0) for name in names)}
    last = dict.fromkeys(names, 0)
    for generation in range(1, 51):
        chosen = names[generation % 3 : generation % 3 + 2]
        write(generation, chosen)
        last |= dict.fromkeys(chosen, generation)
        expected.add(tuple(last.items()))
    stop.set()
    for reader in readers:
        reader.join()
    assert not wrong
    assert len(seen) > 5
    assert seen <= expected
