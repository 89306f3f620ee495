"""Exported models in a real MLflow: its loader, its schema, its server on loopback.

MLflow's server wants versions of fastapi and SQLAlchemy that Prefect's cannot run with, so that it
is installed into an environment of its own, upon ours, which has half of what it needs.
`LASSO_JOBS_MLFLOW` names a folder that keeps it.
"""

import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from benchmarks.environments import python_of
from lasso_jobs import load_model
from lasso_jobs.models.registry import Registry

from ..processes import process

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(1800)]
ROOT = Path(__file__).parents[2]
# Beside MLflow, what the command imports that registers a model.
PACKAGES = ("mlflow>=3.1", "numba>=0.61", "deltalake>=1.6.6", "rich>=13.9.4")


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> str:
    kept = os.environ.get("LASSO_JOBS_MLFLOW")
    folder = Path(kept) if kept else tmp_path_factory.mktemp("mlflow") / "environment"
    found = python_of(folder, PACKAGES, "mlflow", upon_ours=True)
    if found is None:
        pytest.skip("mlflow cannot be installed")
    return found


@pytest.fixture(scope="module")
def server(python: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("server")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [python, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--workers", "1", "--backend-store-uri", f"sqlite:///{folder}/store.sqlite"]
    command += ["--artifacts-destination", str(folder / "artifacts")]
    with process(command, folder, "server"):
        uri = f"http://127.0.0.1:{port}"
        for _ in range(600):
            try:
                urlopen(f"{uri}/health").close()
                break
            except URLError:
                time.sleep(0.5)
        yield uri


def export(python: str, registry: Path, *options: str) -> "subprocess.CompletedProcess[str]":
    command = [python, "-m", "lasso_jobs", "models", "export", "--registry", str(registry)]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [*command, "--format", "mlflow", *options], capture_output=True, text=True, env=env
    )


def loaded(python: str, uri: str, model: str, folder: Path) -> tuple[Any, dict[str, Any]]:
    script = Path(__file__).with_name("by_mlflow.py")
    arguments = [uri, model, str(folder / "rows.pickle"), str(folder / "out.npy")]
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [python, script, *arguments], capture_output=True, text=True, env=env, cwd=folder
    )
    assert done.returncode == 0, done.stderr
    return np.load(folder / "out.npy"), json.loads(done.stdout.splitlines()[-1])


def test_a_version_is_registered_with_its_run_report_and_alias(
    python: str, server: str, registry: Path, shop: Path, tmp_path: Path
) -> None:
    rows = pd.read_parquet(shop / "day=2024-01-09").drop(columns="sales")
    odd = rows.assign(store="never seen", promo=rows["promo"].astype(object).where(rows.index > 5))
    rows = pd.concat([rows, odd], ignore_index=True)
    rows.to_pickle(tmp_path / "rows.pickle")
    done = export(python, registry, "sales", "--register", server, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["registered"] == "models:/sales/1"
    found, facts = loaded(python, server, "models:/sales@champion", tmp_path)
    model = load_model(registry, "sales")
    assert_allclose(found, model.predict(rows), rtol=1e-12)
    registered = Registry(registry).load("sales")
    assert facts["tags"] == {"lasso_jobs_digest": registered.digest}
    assert (facts["version"], facts["status"]) == ("1", "FINISHED")
    assert facts["artifacts"] == ["model", "report.html"]
    assert float(facts["params"]["alpha"]) == model.alpha
    assert facts["params"]["job.target"] == "sales"
    assert model.holdout is not None
    assert facts["metrics"]["holdout_rmse"] == model.holdout.rmse
    again = export(python, registry, "sales@v1", "--register", server, "--alias", "stable")
    assert again.returncode == 0, again.stderr
    assert loaded(python, server, "models:/sales@stable", tmp_path)[1]["version"] == "2"
    assert loaded(python, server, "models:/sales@champion", tmp_path)[1]["version"] == "1"


def test_a_server_that_does_not_answer_is_told_in_one_line(python: str, registry: Path) -> None:
    uri = "http://me:hidden-word@127.0.0.1:9"
    done = export(python, registry, "sales", "--register", uri)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "Start the server" in done.stderr
    assert "hidden-word" not in done.stderr + done.stdout
