"""Every command names the file and the column of what it cannot read, in one line."""

import shutil
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
import yaml

from .. import unreadable as u

pytestmark = pytest.mark.integration

Values = dict[str, Any]
Cli = Callable[..., "CompletedProcess[str]"]
FIRST, DAY = "2024-01-01", "2024-01-03"

SPOILED = {
    "text": (u.not_utf8, "store", "has text that is not UTF-8, b'M\\xfcller'"),
    "page": (u.damaged_page, "visits", "cannot be read ("),
    "encrypted": (u.encrypted_column, "noise", "is encrypted"),
}


@pytest.fixture
def jobs(own_shop: Path, score_values: Values, train_values: Values, tmp_path: Path) -> Path:
    """Job files of every kind on data of their own, which two days of scores are of."""
    data = {"path": str(own_shop), "where": f"day < '{DAY}'"}
    files = {
        "train": train_values | {"data": {"path": str(own_shop)}},
        "score": score_values | {"data": {"path": str(own_shop)}},
        "two": score_values | {"data": data},
        "compare": train_values | {"data": {"path": str(own_shop)}},
        "monitor": {
            "scores": {"path": score_values["output"]["path"]},
            "actuals": {"path": str(own_shop)},
            "keys": ["id"],
            "target": "sales",
            "period": "day",
            "segments": ["store"],
            "model": "sales",
            "registry": score_values["registry"],
        },
    }
    for name, values in files.items():
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(values))
    return tmp_path


def spoil(jobs: Path, kind: str, column: str | None = None) -> tuple[Path, str]:
    """Spoil one day, and return its file and how the message starts."""
    how, name, found = SPOILED[kind]
    path = jobs / "shop" / f"day={DAY}" / "sales.parquet"
    how(path, column or name)
    return path, f"{path}, column {column or name!r}: {found}"


def failed(result: "CompletedProcess[str]") -> str:
    assert result.returncode == 1, result.stderr
    assert "unexpected" not in result.stderr
    return result.stderr.splitlines()[-1]


@pytest.mark.parametrize("kind", SPOILED)
@pytest.mark.parametrize("command", ["train", "score", "compare"])
def test_a_command_names_what_it_cannot_read(jobs: Path, cli: Cli, command: str, kind: str) -> None:
    _, expected = spoil(jobs, kind)
    assert expected in failed(cli(command, f"{command}.yaml", folder=jobs))


@pytest.mark.parametrize("command", ["train", "score"])
def test_plan_names_a_column_that_is_encrypted(jobs: Path, cli: Cli, command: str) -> None:
    _, expected = spoil(jobs, "encrypted")
    assert expected in failed(cli("plan", f"{command}.yaml", folder=jobs))


@pytest.mark.parametrize("kind", SPOILED)
def test_monitor_names_what_it_cannot_read(jobs: Path, cli: Cli, kind: str) -> None:
    assert cli("score", "two.yaml", folder=jobs).returncode == 0
    how, _, found = SPOILED[kind]
    path, column = jobs / "shop" / f"day={FIRST}" / "sales.parquet", "sales"
    if kind == "text":
        column = "store"
    how(path, column)
    line = failed(cli("monitor", "monitor.yaml", folder=jobs))
    assert f"{path}, column {column!r}: {found}" in line


@pytest.mark.parametrize(
    "command",
    [
        "train train",
        "score score",
        "compare compare",
        "monitor monitor",
        "plan train",
        "plan score",
    ],
)
def test_a_command_leaves_no_day_out_that_cannot_be_read(
    jobs: Path, cli: Cli, command: str
) -> None:
    if "monitor" in command:  # its scores are there; of the outcomes a day is not
        assert cli("score", "two.yaml", folder=jobs).returncode == 0
    day = jobs / "shop" / f"day={DAY}"
    shutil.rmtree(day)
    day.symlink_to("gone")
    line = failed(cli(*f"{command}.yaml".split(), folder=jobs))
    assert f"{day}: is a link to gone, which does not exist" in line


@pytest.mark.parametrize("kind", SPOILED)
def test_verify_says_that_the_source_has_changed(jobs: Path, cli: Cli, kind: str) -> None:
    assert cli("score", "score.yaml", folder=jobs).returncode in (0, 3)
    spoil(jobs, kind)
    line = failed(cli("verify", jobs / "scores", "--deep", folder=jobs))
    assert "changed" in line or "is encrypted" in line
