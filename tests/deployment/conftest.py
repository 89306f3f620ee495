"""A whole deployment, on PostgreSQL, started once."""

import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow.parquet as pq
import pytest
import yaml

from ..conftest import DAYS, a_day, training, write_package_of_the_team, write_shop
from .stack import ROOT, Stack


def other_zone() -> str:
    """A time zone where it is another day than in UTC."""
    today = datetime.now(UTC).date()
    zones = ("Pacific/Kiritimati", "Pacific/Pago_Pago")
    return next(zone for zone in zones if datetime.now(ZoneInfo(zone)).date() != today)


@pytest.fixture(scope="session")
def zone() -> str:
    return other_zone()


@pytest.fixture(scope="session")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that `write_jobs` fills."""
    return tmp_path_factory.mktemp("jobs")


def write_jobs(folder: Path, zone: str) -> None:
    """Write the shop, rows of today and tomorrow in the zone, a champion, the jobs, and what is not
    ours."""
    from lasso_jobs import TrainJob, train

    write_shop(folder / "shop")
    write_package_of_the_team(folder)
    today = datetime.now(ZoneInfo(zone)).date()
    for index in range(2):
        path = folder / "shop" / f"day={today + timedelta(days=index)}" / "sales.parquet"
        path.parent.mkdir()
        pq.write_table(a_day(100 + index), path)
    values = training(folder / "shop", folder / "models")
    values["data"]["where"] = "day < '{date}'"
    train(TrainJob.from_values(values).on(DAYS[8]), workers=1)
    (folder / "train.yaml").write_text(yaml.safe_dump(values))
    score = {
        "model": "sales",
        "data": {"path": "shop"},
        "keys": ["id"],
        "output": {"path": "scores/sales", "partition_by": "day"},
        "drift": {"path": "drift/sales"},
    }
    (folder / "score.yaml").write_text(yaml.safe_dump(score))


@pytest.fixture(scope="session")
def prefect_file(tmp_path_factory: pytest.TempPathFactory, zone: str) -> Path:
    """The files of `deploy/`, with a schedule that fires at once and a cool-down of no days."""
    folder = tmp_path_factory.mktemp("deploy")
    values = yaml.safe_load((ROOT / "deploy" / "prefect.yaml").read_text())
    by_name = {deployed["name"]: deployed for deployed in values["deployments"]}
    by_name["nightly-score"]["schedules"] = [{"interval": 10, "timezone": zone}]
    by_name["nightly-score"]["parameters"]["look_back"] = 0
    by_name["retrain-on-drift"]["parameters"]["cool_down_days"] = 0
    (folder / "prefect.yaml").write_text(yaml.safe_dump(values))
    text = (ROOT / "deploy" / "automations.yaml").read_text()
    (folder / "automations.yaml").write_text(text)
    return folder / "prefect.yaml"


@pytest.fixture(scope="session")
def stack(
    tmp_path_factory: pytest.TempPathFactory,
    postgresql: str,
    jobs: Path,
    prefect_file: Path,
    zone: str,
) -> Iterator[Stack]:
    subprocess.run(["psql", postgresql, "-qc", "CREATE DATABASE prefect"], check=True)
    database = postgresql.replace("postgresql://", "postgresql+asyncpg://")
    database = database.removesuffix("/postgres") + "/prefect"
    stack = Stack(tmp_path_factory.mktemp("stack"), database, jobs)
    try:
        stack.begin_server()
        stack.start_dask()
        write_jobs(jobs, zone)
        stack.wait_for_server()
        done = stack.deploy(prefect_file)
        assert done.returncode == 0, done.stderr
        stack.start_worker("lasso-jobs")
        yield stack
    finally:
        stack.close()


@pytest.fixture(scope="session")
def api(stack: Stack) -> Iterator[Any]:
    """Calls of the server's API, as anybody would make them."""
    import httpx

    with httpx.Client(base_url=f"{stack.api}/", timeout=30) as client:
        yield client
