"""What a command loads: the heavy packages that it does without stay where they are."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from benchmarks import data
from benchmarks.train import write_job

pytestmark = pytest.mark.integration

CODE = """
import json, sys
from lasso_jobs.cli.main import main
try:
    status = main(sys.argv[2:])
except SystemExit as left:
    status = left.code
assert not status, status
print(json.dumps([name for name in sys.argv[1].split() if name in sys.modules]))
"""
NEVER = (
    "dask", "distributed", "dask_ml", "sklearn", "prefect", "matplotlib", "scipy.stats",
    "scipy.optimize", "scipy.sparse", "fastapi", "starlette", "uvicorn", "prometheus_client",
    "cryptography", "duckdb", "polars",
)  # fmt: skip
"""No command below loads them: workers are threads."""
NO_NUMBERS = ("pandas", "numba", "scipy.linalg", "scipy.special", "jinja2", "rich")
COMMANDS = {
    "--help": ("numpy", "pyarrow", "pydantic", "yaml", *NO_NUMBERS),
    "schema train": ("deltalake", *NO_NUMBERS),
    "plan train.yaml": ("deltalake", *NO_NUMBERS),
    "train train.yaml": ("pandas", "rich", "deltalake"),
    # From the cache.
    "train train.yaml --set search.folds=4": ("pandas", "rich", "deltalake"),
    "models list --registry models-bench": ("deltalake", *NO_NUMBERS),
    "plan score.yaml": NO_NUMBERS,
    "score score.yaml": NO_NUMBERS,
    # Of an output that there is.
    "score score.yaml --json": NO_NUMBERS,
    # Arrow loads pandas to read the history of drift.
    "score drift.yaml": ("numba", "scipy.linalg", "rich"),
}
"""Commands in the order in which they are run, and what else each does without."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the job files of the commands."""
    folder = tmp_path_factory.mktemp("startup")
    source = data.write(folder / "data", 400, 5, 1)
    write_job(folder, source, cache=True).rename(folder / "train.yaml")
    values = {
        "model": "bench",
        "data": {"path": str(source)},
        "keys": ["row_id"],
        "registry": str(folder / "models-bench"),
    }
    for name, drift in (("score", None), ("drift", {"path": str(folder / "statistics")})):
        job = values | {"output": {"path": str(folder / name)}, "drift": drift}
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(job))
    return folder


def loaded(names: tuple[str, ...], *words: str, folder: Path, code: str = CODE) -> list[str]:
    """Which of the modules a command has loaded at its end."""
    command = [sys.executable, "-c", code, " ".join(names), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    assert done.returncode == 0, done.stderr
    found: list[str] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_no_command_loads_what_it_does_without(folder: Path) -> None:
    found = {
        command: loaded((*NEVER, *others), *command.split(), folder=folder)
        for command, others in COMMANDS.items()
    }
    assert {command: names for command, names in found.items() if names} == {}


def test_importing_the_package_loads_no_other(tmp_path: Path) -> None:
    names = ("numpy", "pyarrow", "pandas", "dask", "numba", "scipy", "sklearn", "pydantic")
    told = "print(json.dumps([name for name in sys.argv[1].split() if name in sys.modules]))"
    code = f"import {{}}, json, sys; {told}"
    assert loaded(names, folder=tmp_path, code=code.format("lasso_jobs")) == []
    assert loaded(names, folder=tmp_path, code=code.format("numpy")) == ["numpy"]
