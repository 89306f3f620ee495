"""What a command loads: the heavy packages that it does without stay where they are."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from benchmarks import data
from benchmarks.train import write_job
from lasso_jobs import TrainJob, train

pytestmark = pytest.mark.integration

CODE = """
import json, sys
{code}
print(json.dumps([name for name in sys.argv[1].split() if name in sys.modules]))
"""


def loaded(code: str, *names: str) -> list[str]:
    """Which of the modules are loaded after some code."""
    command = [sys.executable, "-c", CODE.format(code=code), " ".join(names)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: list[str] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_importing_the_package_loads_no_other() -> None:
    heavy = ("numpy", "pyarrow", "pandas", "dask", "numba", "scipy", "sklearn", "pydantic")
    assert loaded("import lasso_jobs", *heavy) == []
    assert loaded("import numpy", *heavy) == ["numpy"]


def test_a_training_loads_neither_scikit_learn_nor_prefect(tmp_path: Path) -> None:
    job = write_job(tmp_path, data.write(tmp_path / "data", 400, 5, 1))
    code = f"from lasso_jobs.cli.main import main; assert main(['train', {str(job)!r}]) == 0"
    found = loaded(code, "numba", "sklearn", "prefect", "dask_ml", "matplotlib")
    assert found == ["numba"]


def test_a_scoring_loads_neither_numba_nor_pandas(tmp_path: Path) -> None:
    source = data.write(tmp_path / "data", 400, 5, 1)
    train(TrainJob.from_yaml(write_job(tmp_path, source)))
    values = {
        "model": "bench",
        "data": {"path": str(source)},
        "keys": ["row_id"],
        "output": {"path": str(tmp_path / "scores")},
        "registry": str(tmp_path / "models-bench"),
    }
    job = tmp_path / "score.yaml"
    job.write_text(yaml.safe_dump(values))
    code = f"from lasso_jobs.cli.main import main; assert main(['score', {str(job)!r}]) == 0"
    found = loaded(code, "deltalake", "numba", "pandas", "scipy.linalg", "sklearn", "prefect")
    assert found == ["deltalake"]


def test_the_help_loads_no_web_framework() -> None:
    code = """
from lasso_jobs.cli.main import main
try:
    main(['--help'])
except SystemExit:
    pass
"""
    names = ("fastapi", "starlette", "uvicorn", "prometheus_client", "numpy", "pydantic")
    assert loaded(code, *names) == []
