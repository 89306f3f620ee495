import json
from pathlib import Path

import pytest

from lasso_jobs import export_model, load_model
from lasso_jobs.cli.main import main
from lasso_jobs.cli.usage import DONE, FAILED, WRONG_USAGE


def export(registry: Path, *options: object) -> int:
    command = ["models", "export", "--registry", str(registry), *map(str, options)]
    return main(command)


@pytest.mark.parametrize("format_", ["sql", "json", "csv"])
def test_a_text_is_printed_as_it_is(
    registry: Path, capfdbinary: pytest.CaptureFixture[bytes], format_: str
) -> None:
    assert export(registry, "sales", "--format", format_) == DONE
    assert capfdbinary.readouterr().out.decode() == export_model(
        load_model(registry, "sales"), format_
    )


def test_a_file_is_written_and_told(
    registry: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "sales.sql"
    options = ("--format", "sql", "--dialect", "spark", "--table", "a.b", "--output", place)
    assert export(registry, "sales@v1", *options, "--json") == DONE
    facts = json.loads(capsys.readouterr().out)
    assert facts == {"model": "sales@v1", "format": "sql", "output": str(place)}
    assert place.read_text().rstrip().endswith("FROM `a`.`b`")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--format", "onnx"], "--format: onnx is not offered"),
        (["--format", "xml"], "--format: is 'xml'; expected sql or sklearn or mlflow"),
        (["--format", "sklearn"], "--output: is not given; expected a file, for sklearn"),
        (["--format", "sql", "--dialect", "oracle"], "--dialect: is 'oracle'"),
        (["--format", "csv", "--dialect", "spark"], "--dialect: is given with --format csv"),
        (["--format", "csv", "--table", "t"], "--table: is given with --format csv"),
        (["--format", "csv", "--register", "http://x"], "--register: is given with --format csv"),
        (["--format", "mlflow", "--output", "x", "--alias", "a"], "without --register"),
        (["--format", "json", "--json"], "--json: is given without --output"),
    ],
)
def test_options_that_do_not_fit_are_refused_before_anything_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], said: str
) -> None:
    assert export(tmp_path / "no registry", "sales", *options) == WRONG_USAGE
    error = capsys.readouterr().err
    assert said in error
    assert len(error.splitlines()) == 1


def test_a_folder_that_is_there_is_left_alone(
    registry: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "there"
    place.mkdir()
    (place / "mine").write_text("")
    assert export(registry, "sales", "--format", "mlflow", "--output", place) == FAILED
    assert "is there already" in capsys.readouterr().err
    assert [path.name for path in place.iterdir()] == ["mine"]
