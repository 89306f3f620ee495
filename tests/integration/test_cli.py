"""The command line, as a person and a script meet it."""

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import PIPE, CompletedProcess, run
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from deltalake import DeltaTable

from lasso_jobs.cli.main import main
from lasso_jobs.errors import LassoJobsError
from lasso_jobs.models.registry import Registry

pytestmark = pytest.mark.integration

Values = dict[str, Any]
Run = Callable[..., "CompletedProcess[str]"]
N = 200


def rows() -> pa.Table:
    rng = np.random.default_rng(3)
    x = rng.normal(size=(2, N))
    return pa.table(
        {
            "x": x[0],
            "other": x[1],
            "target": 3 * x[0] + rng.normal(size=N),
            "word": rng.choice(["a", "b"], N),
            "same": np.full(N, 4.0),
            "when": pa.array(np.arange(N), pa.timestamp("s")),
        }
    )


def job(**changes: object) -> Values:
    return {
        "name": "simple",
        "data": {"path": "data"},
        "target": "target",
        "search": {"alphas": 10},
        **changes,
    }


def write_job(folder: Path, values: Values, name: str = "job.yaml") -> str:
    (folder / name).write_text(yaml.safe_dump(values))
    return name


@pytest.fixture
def here(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """As `cli`, in this process: a second less for each command."""

    def run_here(*arguments: object, folder: Path) -> "CompletedProcess[str]":
        monkeypatch.chdir(folder)
        capfd.readouterr()
        status = main([str(argument) for argument in arguments])
        return CompletedProcess(arguments, status, *capfd.readouterr())

    return run_here


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two intact files; the test makes of them what it needs."""
    (tmp_path / "data").mkdir()
    for name in ("a", "b"):
        pq.write_table(rows(), tmp_path / "data" / f"{name}.parquet")
    return tmp_path


def the_line(done: "CompletedProcess[str]", status: int = 1) -> str:
    """The one line of a command that failed."""
    assert done.returncode == status, done.stdout + done.stderr
    assert done.stdout == ""
    assert done.stderr.startswith("lasso-jobs: ")
    assert done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.endswith("\n")
    assert "Traceback" not in done.stderr
    assert "unexpected" not in done.stderr
    return done.stderr


# Bad input.


def drop_data(folder: Path) -> None:
    for path in (folder / "data").iterdir():
        path.unlink()


def corrupt_footer(folder: Path) -> None:
    path = folder / "data" / "b.parquet"
    path.write_bytes(path.read_bytes()[:-20])


def not_parquet(folder: Path) -> None:
    (folder / "data" / "b.parquet").write_text("x,target\n1,2\n")


def corrupt_pages(folder: Path) -> None:
    path = folder / "data" / "b.parquet"
    start = pq.read_metadata(path).row_group(0).column(0).data_page_offset
    content = bytearray(path.read_bytes())
    content[start : start + 100] = b"\xff" * 100
    path.write_bytes(content)


def other_type(folder: Path) -> None:
    words = pa.array([str(i) for i in range(N)])
    pq.write_table(rows().set_column(0, "x", words), folder / "data" / "b.parquet")


def lacking_column(folder: Path) -> None:
    pq.write_table(rows().drop_columns(["x"]), folder / "data" / "b.parquet")


def untouched(folder: Path) -> None:
    """The files are as they should be."""


NOT_PARQUET = ["data/b.parquet", "not readable as Parquet", "Replace or remove it"]
BAD_INPUT = {
    "a missing path": (
        untouched,
        job(data={"path": "nowhere"}),
        ["nowhere", "does not exist", "Correct the path"],
    ),
    "an empty folder": (drop_data, job(), ["data", "holds no files", "Correct the path"]),
    "a missing target": (
        untouched,
        job(target="tarjet"),
        ["no column 'tarjet'", "Did you mean 'target'?"],
    ),
    "a constant target": (
        untouched,
        job(target="same"),
        ["'same'", "is constant (4 in all ", "Name another target.\n"],
    ),
    "no feature at all": (
        untouched,
        job(features={"exclude": ["*"]}),
        ["none of its columns is left as a feature", "Widen features.include"],
    ),
    "a truncated file": (
        corrupt_footer,
        job(),
        NOT_PARQUET,
    ),
    "a file with damaged pages": (
        corrupt_pages,
        job(),
        ["data/b.parquet", "cannot be read", "Replace the file"],
    ),
    "a file with another type": (
        other_type,
        job(),
        ["data/b.parquet", "'x'", "string", "double", "Convert the column there, or remove"],
    ),
    "a file without a column": (
        lacking_column,
        job(preprocess={"missing": "error"}),
        [
            "data/b.parquet",
            "lacks the column 'x'",
            "data/a.parquet",
            "Write the file anew with it, or",
        ],
    ),
    "an unknown key": (
        untouched,
        {**job(), "targets": "y"},
        ["job.yaml", "unknown key 'targets'", "Did you mean 'target'?"],
    ),
}
MORE_BAD_INPUT = {
    "an unknown key of a section": (
        untouched,
        job(search={"fold": 5}),
        ["job.yaml", "unknown key 'search.fold'", "Did you mean 'folds'?"],
    ),
    "a file of text": (
        not_parquet,
        job(),
        NOT_PARQUET,
    ),
    "no feature of a usable type": (
        untouched,
        job(features={"include": ["w*"], "exclude": ["word"]}),
        ["when (timestamp[ms])", "Widen features.include, or exclude less"],
    ),
    "a target of text": (
        untouched,
        job(target="word"),
        ["word", "string", "Name a numeric column"],
    ),
    "a value of the wrong type": (
        untouched,
        job(search={"folds": "many"}),
        ["job.yaml", "search.folds = 'many'", "Correct search.folds"],
    ),
    "a missing key": (
        untouched,
        {key: value for key, value in job().items() if key != "target"},
        ["job.yaml", "the key 'target' is missing", "Add target"],
    ),
    "a filter that keeps no row": (
        untouched,
        job(data={"path": "data", "where": "x > 1000"}),
        ["no row is left", "Widen data.where"],
    ),
    "a single time to hold out": (
        untouched,
        job(holdout={"last": 0.2, "time": "same"}),
        ["time 'same'", "at least two, as holdout.last", "or set holdout to null"],
    ),
    "a single time to split by": (
        untouched,
        job(search={"split": {"time": "same"}}),
        ["time 'same'", "at least 6, as search.folds = 5", "Name a column of finer times"],
    ),
    "groups that are too few to split by": (
        untouched,
        job(search={"split": {"group": "word"}}),
        ["search.split.group 'word'", "has 2 groups, of which 1 held out", "of more groups, or"],
    ),
    "folds of one value": (
        untouched,
        job(search={"split": {"fold": "same"}}),
        ["search.split.fold 'same'", "has one value", "Name another column, or split"],
    ),
    "an option of no feature": (
        untouched,
        job(penalty_factors={"othr": 0.0}),
        ["penalty_factors: 'othr' is no feature", "Did you mean 'other'?"],
    ),
    "a version of what has none": (
        untouched,
        job(data={"path": "data", "version": 3}),
        ["data", "is no Delta table, and has no version 3", "Remove the key version"],
    ),
    "a path in another folder": (
        untouched,
        job(data={"path": "dta"}),
        ["dta: does not exist", "Correct the path, which starts in "],
    ),
    "too many folds": (
        untouched,
        job(search={"folds": 1000}),
        ["has 400 rows, of which 80 held out", "search.folds = 1000", "Set search.folds to 320"],
    ),
}


def check_training(
    command: Run,
    folder: Path,
    damage: Callable[[Path], None],
    values: Values,
    words: list[str],
) -> None:
    damage(folder)
    line = the_line(command("train", write_job(folder, values), "--quiet", folder=folder))
    assert [word for word in words if word not in line] == [], line
    assert Registry(str(folder / "models")).names() == []


@pytest.mark.parametrize("case", BAD_INPUT.values(), ids=BAD_INPUT)
def test_training_on_bad_input_ends_with_one_clear_line(
    cli: Run, folder: Path, case: tuple[Any, ...]
) -> None:
    check_training(cli, folder, *case)


@pytest.mark.parametrize("case", MORE_BAD_INPUT.values(), ids=MORE_BAD_INPUT)
def test_training_on_other_bad_input_ends_with_one_clear_line(
    here: Run, folder: Path, case: tuple[Any, ...]
) -> None:
    check_training(here, folder, *case)


def test_an_unknown_model_is_answered_with_those_that_exist(
    cli: Run, folder: Path, score_values: Values
) -> None:
    name = write_job(folder, {**score_values, "model": "sails"})
    line = the_line(cli("score", name, "--date", "2024-01-09", "--json", folder=folder))
    assert "no model 'sails'" in line
    assert "one of: sales" in line
    assert "Did you mean 'sales'?" in line


def test_an_unknown_version_is_answered_with_those_that_exist(
    here: Run, folder: Path, registry: Path
) -> None:
    line = the_line(here("models", "show", "sales@v9", "--registry", registry, folder=folder))
    assert "there is no 'v9'" in line
    assert "one of: champion, v1" in line


def test_scoring_data_without_a_feature_names_the_file_or_column(
    here: Run, folder: Path, score_values: Values
) -> None:
    values = {**score_values, "data": {"path": "data"}, "keys": [], "output": {"path": "out"}}
    line = the_line(here("score", write_job(folder, values), "--quiet", folder=folder))
    assert "no column 'price'" in line
    assert "sales@v1" in line
    assert not (folder / "out").exists()


def test_a_missing_job_file_is_named(here: Run, folder: Path) -> None:
    line = the_line(here("train", "absent.yaml", folder=folder))
    assert "absent.yaml" in line
    assert "Correct the path" in line


def test_a_job_file_that_is_not_yaml_is_one_line(here: Run, folder: Path) -> None:
    (folder / "job.yaml").write_text("name: [unclosed\ntarget: y\n")
    assert "job.yaml" in the_line(here("train", "job.yaml", folder=folder))


def test_a_setting_that_is_not_yaml_is_one_line(here: Run, folder: Path) -> None:
    name = write_job(folder, job())
    line = the_line(here("train", name, "--set", "target=[a", "--quiet", folder=folder), 2)
    assert "target" in line


@pytest.mark.parametrize("setting", ["search.folds=many", "search.folds=1", "search=5", "cash=no"])
def test_an_error_of_a_setting_names_it(here: Run, folder: Path, setting: str) -> None:
    done = here("train", write_job(folder, job()), "--set", setting, folder=folder)
    assert f"--set {setting}: " in the_line(done, 2)


SCORING = {"model": "m@v1", "data": {"path": "data"}, "keys": ["x"], "output": {"path": "scores"}}
ACTUALS: Values = {
    "model": "m",
    "scores": {"path": "scores"},
    "actuals": {"path": "data"},
    "keys": ["x"],
    "target": "target",
    "period": "x",
    "history": {"path": "errors"},
}


@pytest.mark.parametrize(
    ("command", "values"),
    [
        (("plan",), job()),
        (("plan",), SCORING),
        (("compare",), job()),
        (("score",), SCORING),
        (("score", "--from", "2024-01-01", "--to", "2024-01-02"), SCORING),
        (("score", "--date", "2024-01-01", "--only", "all", "--dry-run"), SCORING),
        (("monitor",), ACTUALS),
    ],
)
def test_every_command_of_a_job_takes_settings(
    here: Run, folder: Path, command: tuple[str, ...], values: Values
) -> None:
    name = write_job(folder, values)
    done = here(command[0], name, *command[1:], "--set", "cash=no", folder=folder)
    assert "--set cash=no: " in the_line(done, 2)


def test_a_plan_is_of_the_job_with_its_settings(here: Run, folder: Path) -> None:
    name = write_job(folder, job())
    done = here("plan", name, "--set", "search.engine=screened", "--json", folder=folder)
    assert the_object(done)["engine"] == "screened"


def test_a_scheduler_that_does_not_answer_is_named(
    here: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lasso_jobs.engine.dask_client.CONNECT_SECONDS", 1)
    done = here("train", write_job(folder, job()), "--cluster", "tcp://127.0.0.1:1", folder=folder)
    line = the_line(done)
    assert "tcp://127.0.0.1:1" in line
    assert "dask scheduler" in line


def test_debug_raises_what_went_wrong(here: Run, folder: Path) -> None:
    with pytest.raises(LassoJobsError, match=r"absent\.yaml"):
        here("train", "absent.yaml", "--debug", folder=folder)


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("tran", "job.yaml"),
        ("train",),
        ("train", "job.yaml", "--workers", "many"),
        ("train", "job.yaml", "--colour"),
        ("models",),
        ("models", "show"),
        ("schema", "both"),
    ],
    ids=" ".join,
)
def test_wrong_usage_exits_2(cli: Run, folder: Path, arguments: tuple[str, ...]) -> None:
    done = cli(*arguments, folder=folder)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert "--help" in done.stderr
    assert "Traceback" not in done.stderr


# What good input prints.


def the_object(done: "CompletedProcess[str]", status: int = 0) -> Values:
    """The one JSON object on standard output; nothing is said elsewhere."""
    assert done.returncode == status, done.stderr
    assert done.stderr == ""
    values = json.loads(done.stdout)
    assert isinstance(values, dict)
    return values


@pytest.fixture(scope="module")
def trained(cli: Run, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Values]]:
    """A folder in which two versions were trained, and what that printed."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "data").mkdir()
    pq.write_table(rows(), folder / "data" / "a.parquet")
    # Both on the same grid: one whose end is the user's is not extended.
    name = write_job(folder, job(promote="always"))
    grid = ("--set", "search.eps=0.001")
    first = cli("train", name, "--json", *grid, folder=folder)
    second = cli("train", name, "--json", *grid, "--set", "search.rule=1se", folder=folder)
    return folder, [the_object(first), the_object(second)]


def test_training_prints_what_the_reader_needs(trained: tuple[Path, list[Values]]) -> None:
    values = trained[1][0]
    assert {"model_version", "run_id", "n_rows", "n_features", "alpha", "alpha_min"} <= set(values)
    assert {"alpha_1se", "cv", "intercept", "coef", "holdout", "seconds", "bytes_read"} <= set(
        values
    )
    assert {"alphas", "mse", "mse_se", "n_nonzero"} <= set(values["cv"])
    curves = ("l1_ratios", "gammas", "alphas", "mse", "mse_se", "n_nonzero")
    assert {len(values["cv"][key]) for key in curves} == {10}
    assert (values["cv"]["repeats"], values["cv"]["n_left_out"]) == (1, 0)
    assert {"mse", "rmse", "r2", "mae"} <= set(values["holdout"])
    assert set(values["coef"]) == {"x", "other", "same", "word=a", "word=b"}
    assert (values["model_version"], values["n_rows"], values["n_features"]) == ("v1", N, 4)
    assert values["seconds"]["total"] >= 0


def test_a_setting_overrides_the_job_file(trained: tuple[Path, list[Values]]) -> None:
    first, second = trained[1]
    assert first["alpha"] == first["alpha_min"] == second["alpha_min"]
    assert second["alpha"] == second["alpha_1se"] > first["alpha"]
    assert second["model_version"] == "v2"


def test_the_models_are_listed(here: Run, trained: tuple[Path, list[Values]]) -> None:
    listed = the_object(here("models", "list", "--json", folder=trained[0]))
    assert listed == {
        "models": [{"name": "simple", "versions": ["v1", "v2"], "aliases": {"champion": "v2"}}]
    }
    text = here("models", "list", folder=trained[0]).stdout
    assert "simple" in text
    assert "champion = v2" in text


def test_a_model_is_shown(here: Run, trained: tuple[Path, list[Values]]) -> None:
    shown = the_object(here("models", "show", "simple@v1", "--json", folder=trained[0]))
    printed = trained[1][0]
    for key in ("digest", "alpha", "intercept", "coef", "holdout", "stability", "diagnostics"):
        assert shown[key] == printed[key]
    assert shown["champion"] is False
    assert [move["new"] for move in shown["moves"]] == [1, 2]
    text = here("models", "show", "simple", folder=trained[0]).stdout
    assert "Coefficients, the strongest first" in text
    assert "frequency" in text
    assert "of 100 half-samples" in text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("cache", "list"), "there is no registry"),
        (("cache", "prune", "--all"), "there is no registry"),
        (("models", "list"), "there is no registry"),
        (("verify", "job.yaml"), "is a file; expected the folder or URI of a scoring job's output"),
        (("vacuum", "job.yaml"), "Name what the job has as output.path"),
        (("rollback", "job.yaml", "--date", "2024-01-10"), "Name what the job has as output.path"),
        (("drift", "show", "nowhere"), "Name the drift.path of a scoring job"),
        (("models", "rollback", "simple@v1"), "Give 'simple', or promote a version"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_place_that_is_another_is_told_what_to_name(
    here: Run, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    write_job(tmp_path, job())
    assert said in the_line(here(*arguments, folder=tmp_path))


def test_the_champion_is_moved_and_moved_back(
    here: Run, trained: tuple[Path, list[Values]]
) -> None:
    folder = trained[0]
    back = the_object(here("models", "rollback", "simple", "--json", folder=folder))
    assert (back["action"], back["old"], back["new"]) == ("rollback", 2, 1)
    line = the_line(here("models", "rollback", "simple", folder=folder))
    assert "no version before v1" in line
    why = ("--why", "it is the better one")
    promoted = the_object(here("models", "promote", "simple@v2", *why, "--json", folder=folder))
    assert (promoted["action"], promoted["old"], promoted["new"]) == ("promote", 1, 2)
    assert promoted["why"] == "it is the better one"


def test_the_plan_of_a_training_is_of_footers(cli: Run, folder: Path) -> None:
    corrupt_pages(folder)
    values = the_object(cli("plan", write_job(folder, job()), "--json", folder=folder))
    assert values["job"] == "train"
    assert (values["files"], values["rows_before_filter"], values["work_units"]) == (2, 2 * N, 1)
    assert values["numeric_features"] == ["x", "other", "same"]
    assert values["categorical_features"] == ["word"]
    assert list(values["left_out"]) == ["when"]
    needed = {"x", "other", "same", "word", "target"}
    group = pq.read_metadata(folder / "data" / "a.parquet").row_group(0)
    columns = [group.column(j) for j in range(group.num_columns)]
    size = sum(c.total_compressed_size for c in columns if c.path_in_schema in needed)
    assert values["bytes_to_read"] == 2 * size
    assert Registry(str(folder / "models")).names() == []


def test_the_plan_of_a_scoring_writes_nothing(
    here: Run, tmp_path: Path, score_values: Values
) -> None:
    name = write_job(tmp_path, score_values)
    values = the_object(here("plan", name, "--date", "2024-01-09", "--json", folder=tmp_path))
    assert (values["job"], values["model"], values["rows_before_filter"]) == (
        "score",
        "sales@v1",
        150,
    )
    assert set(values["columns"]) == {"id", "day", "price", "visits", "store", "promo"}
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize(("kind", "keys"), [("train", {"target"}), ("score", {"model", "keys"})])
def test_the_schema_of_a_job_file_is_json_schema(
    here: Run, folder: Path, kind: str, keys: set[str]
) -> None:
    values = the_object(here("schema", kind, folder=folder))
    assert values["type"] == "object"
    assert keys <= set(values["properties"])
    assert values["additionalProperties"] is False


def test_scoring_prints_what_the_reader_needs(
    here: Run, tmp_path: Path, score_values: Values
) -> None:
    name = write_job(tmp_path, score_values)
    values = the_object(here("score", name, "--date", "2024-01-09", "--json", folder=tmp_path))
    assert {"run_id", "model_version", "output_version", "drift", "seconds"} <= set(values)
    counts = (values["rows_in"], values["rows_scored"], values["rows_quarantined"])
    assert counts == (150, 150, 0)
    assert values["verdict"] == "ok"
    assert {"partition", "feature", "n", "missing_share", "mean", "psi"} <= set(values["drift"][0])


def test_an_alarm_exits_3_after_the_rows_were_written(
    cli: Run, tmp_path: Path, score_values: Values
) -> None:
    name = write_job(tmp_path, score_values)
    done = cli("score", name, "--date", "2024-01-12", "--json", folder=tmp_path)
    values = the_object(done, status=3)
    assert values["verdict"] == "alarm"
    assert values["rows_scored"] == 150
    assert (tmp_path / "scores" / "_delta_log").is_dir()


def test_a_person_reads_progress_on_stderr_and_results_on_stdout(
    here: Run, tmp_path: Path, train_values: Values
) -> None:
    done = here("train", write_job(tmp_path, train_values), folder=tmp_path)
    assert done.returncode == 0
    assert "moments: 1 of 1\n" in done.stderr
    assert "sales@v1 (the first champion)" in done.stdout
    assert "Coefficients, the strongest first" in done.stdout


def test_quiet_prints_nothing(here: Run, tmp_path: Path, train_values: Values) -> None:
    done = here("train", write_job(tmp_path, train_values), "--quiet", folder=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


# Help.


@pytest.mark.parametrize("arguments", [("--help",), ("train", "--help"), ("models", "--help")])
def test_help_imports_nothing_heavy(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    done = run(
        [sys.executable, "-X", "importtime", "-m", "lasso_jobs", *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "lasso_jobs.cli.main" in imported
    heavy = {"numpy", "pandas", "pyarrow", "prefect", "distributed", "dask", "pydantic", "sklearn"}
    assert imported & {*heavy, "scipy", "numba", "deltalake", "lasso_jobs.flows"} == set()
    assert "usage: lasso-jobs" in done.stdout


def test_help_names_every_command_and_exit_status(cli: Run, tmp_path: Path) -> None:
    text = cli("--help", folder=tmp_path).stdout
    for command in ("demo", "train", "score", "plan", "schema", "models"):
        assert f"\n    {command} " in text
    expected = (
        "0 done, 1 failed, 2 wrong usage, 3 done but with an alarm, 4 done but for the newest"
    )
    assert expected in " ".join(text.split())


def test_a_reader_that_leaves_ends_a_command_without_a_word(tmp_path: Path) -> None:
    """As in ``lasso-jobs schema train | head``."""
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "lasso_jobs", "schema", "train"]
    done = run(command, cwd=tmp_path, stdout=write, stderr=PIPE)
    os.close(write)
    assert done.returncode == 141
    assert done.stderr == b""


@pytest.mark.slow
def test_a_page_that_cannot_be_written_is_a_warning_of_a_run_that_is_done(
    cli: Callable[..., Any],
    tmp_path: Path,
    score_values: Values,
    caplog: pytest.LogCaptureFixture,
) -> None:
    score_values["drift"]["path"] = "drift"
    (tmp_path / "score.yaml").write_text(yaml.safe_dump(score_values))
    score = ("score", "score.yaml", "--workers", 1, "--json", "--date")
    assert cli(*score, "2024-01-05", folder=tmp_path).returncode == 0
    pages = tmp_path / "drift" / "_pages"
    shutil.rmtree(pages)
    pages.write_text("no folder")
    caplog.clear()
    done = cli(*score, "2024-01-06", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["output_version"] == 1
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith("The run is committed, but its page of drift is missing (drift/_pages/")
    found = DeltaTable(score_values["output"]["path"]).to_pandas()
    assert set(found["day"]) == {"2024-01-05", "2024-01-06"}
    pages.unlink()
    redraw = line.partition("To draw it: lasso-jobs ")[2].split()
    assert cli(*redraw, folder=tmp_path).returncode == 0
    assert [page.suffix for page in pages.iterdir()] == [".html"]
