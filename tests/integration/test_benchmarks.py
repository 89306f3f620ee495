"""The benchmark command on tiny data: it measures the right things. Not how long they take."""

import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake

from benchmarks import data
from benchmarks.environments import python_of
from benchmarks.processes import installed, run, table
from benchmarks.published import PACKAGES

pytestmark = pytest.mark.integration
ROOT = Path(__file__).parents[2]


def measured(*arguments: str) -> tuple[str, dict[str, list[str]]]:
    """What a benchmark prints, and the rows of its tables."""
    command = [sys.executable, "-m", "benchmarks", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = [line.split("|")[1:-1] for line in done.stdout.splitlines() if line.startswith("|")]
    return done.stdout, {line[0].strip(): [v.strip() for v in line[1:]] for line in lines}


@pytest.fixture
def tiny(tmp_path: Path) -> list[str]:
    return ["--rows", "2000", "--features", "5", "--repeat", "1", "--dir", str(tmp_path)]


@pytest.mark.slow
def test_train_compares_with_the_limit_and_finds_scikit_learns_coefficients(
    tiny: list[str],
) -> None:
    text, rows = measured("train", *tiny, "--peers", "scikit-learn")
    assert float(rows["read + symmetric product"][1]) == 1
    assert float(rows["pass, local threads"][1]) > 1
    assert float(rows["pass, local processes"][1]) > 1
    assert float(rows["scikit-learn"][2].replace(",", "")) > 0
    (line,) = [line for line in text.splitlines() if line.startswith("largest difference")]
    assert 0 < float(line.split()[-1]) < 1e-3


@pytest.mark.slow
def test_score_runs_the_limits_ours_and_the_peers_and_predicts_what_duckdb_computes(
    tiny: list[str], tmp_path: Path
) -> None:
    _, rows = measured("score", *tiny)
    ours = {"read 1 + write", "read all", "lasso-jobs", "lasso-jobs, drift"}
    peers = {f"{p}{d}" for p in ("duckdb", "polars") if installed(p) for d in ("", ", drift")}
    assert set(rows) - {"", "---"} == ours | peers
    scores = tmp_path / "train-2000x5" / "scores"
    predicted = DeltaTable(scores / "lasso-jobs").to_pandas().sort_values("row_id")
    computed = pq.read_table(scores / "duckdb.parquet").to_pandas().sort_values("row_id")
    assert predicted["row_id"].tolist() == computed["row_id"].tolist() == list(range(2000))
    np.testing.assert_allclose(predicted["prediction"], computed["prediction"], rtol=1e-12)


@pytest.mark.slow
def test_retrain_trains_on_32_files_then_on_33_and_counts_what_is_read(tmp_path: Path) -> None:
    options = ["--rows", "3300", "--features", "5", "--repeat", "1", "--dir", str(tmp_path)]
    _, rows = measured("retrain", *options)
    first, second, anew = (
        int(rows[name][2].replace(",", "")) for name in ("32 files", "33 files", "33 files, anew")
    )
    assert second <= anew
    assert rows["33 files, 10 folds"][2] == "0"
    assert 31 < first / (anew / 33) < 33


@pytest.mark.slow
def test_startup_and_memory_measure_whole_processes(tiny: list[str], tmp_path: Path) -> None:
    _, rows = measured("startup", *tiny)
    assert {"import lasso_jobs", "lasso-jobs --help", "lasso-jobs train, 2,000 x 5"} <= set(rows)
    _, rows = measured("memory", *tiny)
    assert all(float(rows[name][2].replace(",", "")) > 10 for name in ("200 rows", "2,000 rows"))


@pytest.mark.slow
def test_scheduler_plans_and_runs_as_many_partitions_as_asked_for() -> None:
    text, rows = measured("scheduler", "--units", "100", "--features", "20", "--workers", "2")
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
    _, rows = measured("wide", *shape, "--dir", str(tmp_path), "--peers", "scikit-learn")
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
    _, rows = measured("plan", *options)
    assert set(rows) == {"columns", "---", "10", "20", "40"}
    assert rows["columns"] == ["train", "score", "monitor"]
    assert all(float(seconds) >= 0 for width in ("10", "20", "40") for seconds in rows[width])
