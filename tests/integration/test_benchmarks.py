"""The benchmark command on tiny data: it measures the right things. Not how long they take."""

import io
import shutil
import subprocess
import sys
import tarfile
import time
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake

from benchmarks import data, score, train
from benchmarks.bars import case
from benchmarks.bars.case import Setting, Turn, measured
from benchmarks.bars.cases import CASES
from benchmarks.bars.judge import UNJUDGED, judged
from benchmarks.environments import python_of
from benchmarks.processes import Run, installed, run, table
from benchmarks.published import PACKAGES
from lasso_jobs.cli.main import main

pytestmark = pytest.mark.integration
ROOT = Path(__file__).parents[2]


def measured_by(*arguments: str) -> tuple[str, dict[str, list[str]]]:
    """What a benchmark prints, and the rows of its tables."""
    command = [sys.executable, "-m", "benchmarks", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = [line.split("|")[1:-1] for line in done.stdout.splitlines() if line.startswith("|")]
    return done.stdout, {line[0].strip(): [v.strip() for v in line[1:]] for line in lines}


def in_this_process(arguments: Sequence[str], python: str | None = None) -> Run:
    """A run without a process: each would import for seconds what this one has imported."""
    assert python is None
    output, argv, start = io.StringIO(), list(arguments), time.perf_counter()
    with redirect_stdout(output):
        if argv[:2] == ["-m", "lasso_jobs"]:
            assert main(argv[2:]) == 0
        elif argv[0] == "-m":
            import_module(argv[1]).main(*argv[2:])
    seconds = time.perf_counter() - start
    return Run(output.getvalue(), seconds, 1, seconds, 0.0, 1, 1)


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Setting:
    for module in (case, train, score):
        monkeypatch.setattr(module, "run", in_this_process)
    return Setting(folder=tmp_path, rows=2_000, features=5)


def turns_of(name: str, setting: Setting) -> dict[str, Turn]:
    """The one turn of each command of a case, each side of whose bars is measured."""
    record = measured(CASES[name], setting, 1, lambda text: None)
    assert "failed" not in record
    turns = {command: found[0] for command, found in record["turns"].items()}
    for bar in CASES[name].bars:
        for command, what in filter(None, (bar.of, bar.beside)):
            assert turns[command][what] > 0
    assert all(found.verdict == UNJUDGED for found in judged(CASES[name], record))
    return turns


@pytest.mark.slow
def test_train_compares_with_the_limit_and_finds_scikit_learns_coefficients(
    tiny: Setting,
) -> None:
    commands = CASES["train"].commands(tiny)
    runs = {name: in_this_process(commands[name].arguments) for name in ("scikit-learn", "product")}
    assert float(runs["product"].output) > 0
    also = CASES["train"].also
    assert also is not None
    assert 0 < float(also(tiny, runs).split()[-1]) < 1e-3


@pytest.mark.slow
def test_score_predicts_what_duckdb_computes(tiny: Setting) -> None:
    turns = turns_of("score", tiny)
    assert {"read some + write", "read all"} < set(turns)
    scores = tiny.folder / "train-2000x5" / "scores"
    predicted = DeltaTable(scores / "lasso-jobs").to_pandas().sort_values("row_id")
    computed = pq.read_table(scores / "duckdb.parquet").to_pandas().sort_values("row_id")
    assert predicted["row_id"].tolist() == computed["row_id"].tolist() == list(range(2000))
    np.testing.assert_allclose(predicted["prediction"], computed["prediction"], rtol=1e-12)


@pytest.mark.slow
def test_retrain_trains_on_32_files_on_33_on_the_last_32_and_counts_what_is_read(
    tiny: Setting,
) -> None:
    turns = turns_of("retrain", replace(tiny, rows=3_300))
    assert turns["33 files"]["bytes"] <= turns["33 files, anew"]["bytes"]
    assert turns["33 files, first gone"]["bytes"] <= turns["32 files"]["bytes"]
    assert turns["33 files, 10 folds"]["bytes"] == 0
    assert 31 < turns["32 files"]["bytes"] / (turns["33 files, anew"]["bytes"] / 33) < 33


@pytest.mark.slow
def test_days_reads_little_where_the_window_moves(tiny: Setting) -> None:
    turns = turns_of("days", replace(tiny, rows=7_300))
    # Of files as small as these up to 64 are a work unit.
    assert turns["the next day"]["bytes"] < 0.6 * turns["the next day, anew"]["bytes"]


@pytest.mark.slow
def test_memory_trains_on_all_rows_and_on_a_tenth(tiny: Setting) -> None:
    turns = turns_of("memory", tiny)
    assert turns["a tenth"]["bytes"] < turns["all rows"]["bytes"]


@pytest.mark.slow
def test_all_writes_the_table_and_check_judges_nothing_of_another_size(tmp_path: Path) -> None:
    options = ["--only", "startup", "--rows", "200000", "--repeat", "1", "--dir", str(tmp_path)]
    _, rows = measured_by("all", *options)
    assert {"import lasso_jobs", "lasso-jobs --help", "lasso-jobs train"} <= set(rows)
    assert float(rows["lasso-jobs train"][-2].replace(",", "")) > 10
    assert "training of 10,000 x 20, seconds" in (tmp_path / "bars.md").read_text()
    check = [sys.executable, "-m", "benchmarks", "check", "--from", str(tmp_path / "bars.json")]
    done = subprocess.run(check, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 3
    bars = [bar.name for case in CASES.values() for bar in case.bars]
    assert all(f"not judged: {name}: " in done.stdout for name in bars)


@pytest.mark.slow
def test_many_partitions_have_the_rows_of_few_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.partitions.PARTITIONS", 20)
    monkeypatch.setattr("benchmarks.partitions.FILES", 4)
    record = measured(
        CASES["partitions"],
        Setting(folder=tmp_path, rows=4_000, features=3),
        1,
        lambda text: None,
    )
    assert {"few", "many"} < set(record["turns"]["remote"][0])
    parts = [pq.read_table(tmp_path / "partitions-4000x3" / name) for name in ("few", "many")]
    assert parts[0].equals(parts[1].drop_columns("region"))


@pytest.mark.slow
def test_traces_tell_where_processor_time_goes(tmp_path: Path) -> None:
    text, rows = measured_by(
        "traces", "--only", "startup", "--rows", "200000", "--dir", str(tmp_path)
    )
    assert float(rows["processor seconds"][0]) > 0
    assert float(rows["imports"][0]) > 0
    assert "Imports, lasso-jobs train: " in text


@pytest.mark.slow
def test_scheduler_plans_and_runs_as_many_partitions_as_asked_for() -> None:
    text, rows = measured_by("scheduler", "--units", "100", "--features", "20", "--workers", "2")
    assert "100 units of 20 features, 199 tasks" in text
    assert {"plan", "map and reduce"} <= set(rows)


def test_each_file_of_the_data_is_the_same_whenever_it_is_written(tmp_path: Path) -> None:
    first = data.write(tmp_path / "a", 40, 12, 4)
    path = first / "part-002.parquet"
    expected = pq.read_table(path)
    path.unlink()
    assert pq.read_table(data.write(first, 40, 12, 4) / path.name).equals(expected)
    assert pq.read_table(first)["row_id"].to_pylist() == list(range(40))


def test_the_data_is_correlated_within_groups_and_explained_by_one_column_in_ten(
    tmp_path: Path,
) -> None:
    found = pq.read_table(data.write(tmp_path, 20_000, 20, 1)).to_pandas()
    X, y = found[data.names(20)], found["y"]
    correlation = X.corr().to_numpy()
    np.testing.assert_allclose(correlation[0, 1:10], 0.5, atol=0.03)
    np.testing.assert_allclose(correlation[0, 10:], 0, atol=0.03)
    Z = (X - X.mean()) / X.std()
    coef = np.linalg.lstsq(Z, y - y.mean(), rcond=None)[0]
    assert set(np.flatnonzero(np.abs(coef) > 0.2)) == {0, 10}


def test_the_peak_memory_is_that_of_all_processes_together() -> None:
    child = "x = bytearray(2**27); import time; time.sleep(1)"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    assert run(["-c", code]).peak_bytes > 2**27


def test_a_process_that_fails_ends_the_benchmark() -> None:
    with pytest.raises(SystemExit, match="failed"):
        run(["-c", "raise SystemExit(3)"])


def test_a_peer_that_is_not_there_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert not installed("no-such-peer")
    assert "no-such-peer is not installed" in capsys.readouterr().out


def test_a_peer_has_an_interpreter_if_it_can_be_imported(tmp_path: Path) -> None:
    assert python_of(tmp_path, [], "numpy") == sys.executable
    assert python_of(tmp_path, [], "no_such_module") is None


@pytest.mark.slow
def test_wide_gives_peers_our_alphas_and_compares_coefficients(tmp_path: Path) -> None:
    shape = ["--rows", "200", "--features", "1200", "--true", "3", "--repeat", "1"]
    _, rows = measured_by("wide", *shape, "--dir", str(tmp_path), "--peers", "scikit-learn")
    assert {"lasso-jobs", "scikit-learn"} < set(rows)
    assert float(rows["scikit-learn"][-1]) < 1e-3


def test_a_table_is_markdown_with_three_digits() -> None:
    assert table(("a", "b"), ("x", 1.23456)) == "| a | b |\n| --- | ---: |\n| x | 1.23 |"


@pytest.mark.slow
def test_published_files_are_equal_to_an_oracle_or_refused(tmp_path: Path) -> None:
    """On archives that are there already, so that nothing is fetched."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=50)
    for package in PACKAGES:
        folder = tmp_path / f"{package}-1.0"
        folder.mkdir()
        numbers = {"x": x, "text": ["a", "b"] * 25, "y": 2 * x + rng.normal(size=50)}
        pq.write_table(pa.table(numbers), folder / "good.parquet")
        (folder / "bad.parquet").write_bytes(b"PAR1")
        write_deltalake(str(folder / "table"), pa.table({"x": x, "y": -x}))
        with tarfile.open(tmp_path / f"{package}-1.0.tar.gz", "w:gz") as archive:
            archive.add(folder, folder.name)
        shutil.rmtree(folder)
    command = [sys.executable, "-m", "benchmarks.published", "--dir", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    # The table, its file and the good file of each; the bad one.
    assert done.stdout.splitlines()[-1] == "{'equal': 9, 'refused': 3}"
    assert done.returncode == 0


@pytest.mark.slow
def test_plan_times_three_widths_of_three_jobs(tmp_path: Path) -> None:
    options = ["--columns", "40", "--files", "2", "--repeat", "1", "--dir", str(tmp_path)]
    _, rows = measured_by("plan", *options)
    assert set(rows) == {"columns", "---", "10", "20", "40"}
    assert rows["columns"] == ["train", "score", "monitor"]
    assert all(float(seconds) >= 0 for width in ("10", "20", "40") for seconds in rows[width])
