"""The examples of the docstrings run, as a user would type them, in a folder of their own.

The folder has the job files of a shop with 60 sales, a trained model and scored rows; a module's
examples share a copy of it.
"""

import doctest
import shutil
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

import lasso_jobs
from lasso_jobs import ScoreJob, TrainJob, score, train

PACKAGE = Path(lasso_jobs.__file__).parent
MODULES = [
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
    for path in sorted(PACKAGE.rglob("*.py"))
    if ">>> " in path.read_text(encoding="utf-8")
]
DAYS = ("2024-03-01", "2024-03-02", "2024-03-03")
JOBS: Mapping[str, Mapping[str, object]] = {
    "train.yaml": {
        "name": "sales",
        "data": {"path": "data"},
        "target": "sales",
        "features": {"exclude": ["id"]},
    },
    "score.yaml": {
        "model": "sales",
        "data": {"path": "data"},
        "keys": ["id"],
        "output": {"path": "scores", "partition_by": "day"},
    },
    "monitor.yaml": {
        "model": "sales",
        "scores": {"path": "scores"},
        "actuals": {"path": "data"},
        "keys": ["day", "id"],
        "target": "sales",
        "period": "day",
        "min_rows": 20,
    },
}


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shop")
    rng = np.random.default_rng(0)
    for k, day in enumerate(DAYS):
        price, visitors = rng.normal(20, 2, 20), rng.normal(100, 10, 20)
        sales = 50 - 2 * price + visitors + rng.normal(0, 1, 20)
        columns = {"id": 20 * k + np.arange(20), "price": price, "visitors": visitors}
        (folder / "data" / f"day={day}").mkdir(parents=True)
        path = folder / "data" / f"day={day}" / "sales.parquet"
        pq.write_table(pa.table({**columns, "sales": sales}), path)
    for name, job in JOBS.items():
        (folder / name).write_text(yaml.safe_dump(job))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        train(TrainJob.from_yaml("train.yaml"), workers=1)
        score(ScoreJob.from_yaml("score.yaml"), workers=1)
    return folder


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_do_what_they_say(
    name: str, shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(shutil.copytree(shop, tmp_path / "shop"))
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    failed, tried = doctest.testmod(import_module(name), optionflags=flags)
    assert tried > 0
    assert failed == 0, "the captured output has the differences"
