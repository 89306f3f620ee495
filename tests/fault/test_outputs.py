"""Drivers that are killed while they commit, and two that commit at once."""

import random
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import pytest
import yaml

from lasso_jobs.sinks import protocol

pytestmark = [pytest.mark.fault, pytest.mark.slow]

# A driver that dies by SIGKILL at a given step of its commit; the steps are those of the sink.
DRIVER = """
import os, signal, sys
import pyarrow as pa
from lasso_jobs.sinks import database, protocol
from lasso_jobs.storage import files as storage

format_, root, moment, value = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
step = 0

def deadly(function):
    def wrapped(*arguments, **options):
        global step
        step += 1
        if step == moment:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **options)
    return wrapped

sink = protocol.sink(format_)
table = pa.table({"p": ["a"] * 5 + ["b"] * 3, "x": [value] * 8})
files = sink.write_files(table, root, ["p"], "run")
database.Session.run = deadly(database.Session.run)
for name in ("create", "move", "remove", "write"):
    setattr(storage, name, deadly(getattr(storage, name)))
sink.commit(
    protocol.Change(
        root=root, schema=table.schema, partition_by=["p"], run_id="run", files=files
    )
)
"""


@pytest.fixture(params=["postgresql", "parquet", "delta"])
def output(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[protocol.Format, str]:
    if request.param == "postgresql":
        request.getfixturevalue("postgresql")
        return "postgresql", f"t_{uuid.uuid4().hex[:20]}"
    return request.param, str(tmp_path / "table")


def driver(output: tuple[str, str], moment: int, value: int) -> "subprocess.Popen[bytes]":
    arguments = [*output, str(moment), str(value)]
    return subprocess.Popen([sys.executable, "-c", DRIVER, *arguments], stderr=subprocess.PIPE)


def ended(process: "subprocess.Popen[bytes]") -> None:
    said = process.communicate()[1].decode()
    assert process.returncode == 0, said


def shown(output: tuple[protocol.Format, str]) -> list[tuple[str, int]]:
    rows = protocol.sink(output[0]).read(output[1], ["p", "x"], ()).to_pydict()
    return sorted(zip(rows["p"], rows["x"], strict=True))


def generation(value: int) -> list[tuple[str, int]]:
    return [("a", value)] * 5 + [("b", value)] * 3


def test_killed_at_any_step_a_commit_leaves_the_old_or_the_new_rows(
    output: tuple[protocol.Format, str],
) -> None:
    ended(driver(output, 0, 1))
    now = 1
    for moment in range(1, 100):
        process = driver(output, moment, moment + 1)
        process.communicate()
        if process.returncode == 0:
            assert shown(output) == generation(moment + 1)
            # Delta's steps are in deltalake, below what can be stopped here.
            assert moment > 4 or output[0] == "delta"
            return
        assert process.returncode == -signal.SIGKILL
        assert shown(output) in (generation(now), generation(moment + 1))
        now = shown(output)[0][1]
    raise AssertionError("the commit never came to its end")


# Of a Delta table, test_drivers kills more of them.
@pytest.mark.parametrize("output", ["postgresql", "parquet"], indirect=True)
def test_killed_at_random_moments_a_run_started_again_equals_an_undisturbed_one(
    output: tuple[protocol.Format, str],
    score_values: dict[str, Any],
    tmp_path: Path,
) -> None:
    score_values["output"] = {"path": output[1], "format": output[0], "partition_by": "day"}
    (tmp_path / "score.yaml").write_text(yaml.safe_dump(score_values))
    command = [sys.executable, "-m", "lasso_jobs", "score", "score.yaml", "--quiet"]
    started = time.monotonic()
    assert subprocess.run(command, cwd=tmp_path, check=False).returncode in (0, 3)
    duration = time.monotonic() - started
    sink, columns = protocol.sink(output[0]), ["id", "day", "prediction"]

    def rows() -> list[dict[str, Any]]:
        return sorted(sink.read(output[1], columns, ()).to_pylist(), key=lambda row: row["id"])

    expected, draw = rows(), random.Random(7)
    for _ in range(3):
        process = subprocess.Popen(command, cwd=tmp_path)
        time.sleep(draw.uniform(0.3, 1.0) * duration)
        process.kill()
        process.wait()
        assert rows() == expected
    assert subprocess.run(command, cwd=tmp_path, check=False).returncode in (0, 3)
    assert rows() == expected


def test_of_two_drivers_at_once_both_leave_whole_generations(
    output: tuple[protocol.Format, str],
) -> None:
    ended(driver(output, 0, 1))
    for value in range(2, 10, 2):
        both = [driver(output, 0, value), driver(output, 0, value + 1)]
        said = [process.communicate()[1].decode() for process in both]
        won = [value + i for i, process in enumerate(both) if process.returncode == 0]
        assert won
        for process, text in zip(both, said, strict=True):
            meanwhile = "another run committed the same partitions meanwhile"
            assert process.returncode == 0 or meanwhile in text, text
        assert shown(output) in [generation(v) for v in won]
