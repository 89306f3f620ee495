"""What integration and fault tests share: an environment of their own, commands, and a shop."""

import contextlib
import io
import os
import subprocess
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import settings

from lasso_jobs.storage import files as storage

from . import servers

# Prefect reads these when it is imported.
os.environ["DO_NOT_TRACK"] = "1"
os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"] = "false"
os.environ["PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS"] = "180"
os.environ.pop("PREFECT_API_URL", None)

# Tests assert on results; how long they take depends on what else the machine does.
settings.register_profile("tests", deadline=None)
settings.load_profile("tests")

ROWS_PER_DAY = 150
DAYS = tuple(f"2024-01-{day:02d}" for day in range(1, 13))
SHIFTED = DAYS[-1]

Values = dict[str, Any]


def pytest_addoption(parser: pytest.Parser) -> None:
    told = "kill a run at each of its operations, not at one in seven"
    parser.addoption("--every-crash-point", action="store_true", help=told)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Of slow tests alone, a quarter of the files has any; each process would import all others."""
    only_slow = config.option.markexpr == "slow" and collection_path.match("test_*.py")
    return True if only_slow and b"slow" not in collection_path.read_bytes() else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # Files begin in this order. The longest test of all is a property's, and must not be the last.
    items.sort(key=lambda item: "property" not in item.path.parts)


@pytest.fixture(scope="session", autouse=True)
def prefect_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """No test reads or writes the user's own Prefect settings and database."""
    home = tmp_path_factory.mktemp("prefect")
    os.environ["PREFECT_HOME"] = str(home)
    return home


@pytest.fixture(scope="session")
def cli() -> Callable[..., "subprocess.CompletedProcess[str]"]:
    """Run ``lasso-jobs`` in a folder, in this process: starts of Python would take minutes."""

    def run(*arguments: object, folder: Path, **env: str) -> "subprocess.CompletedProcess[str]":
        from lasso_jobs.cli.main import main

        told, failed = io.StringIO(), io.StringIO()
        with (
            pytest.MonkeyPatch.context() as patch,
            contextlib.redirect_stdout(told),
            contextlib.redirect_stderr(failed),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("default")
            patch.chdir(folder)
            for name, value in env.items():
                patch.setenv(name, value)
            try:
                status: int = main([str(argument) for argument in arguments])
            except SystemExit as left:
                status = left.code if isinstance(left.code, int) else 1
        return subprocess.CompletedProcess(arguments, status, told.getvalue(), failed.getvalue())

    return run


def a_day(index: int, n_rows: int = ROWS_PER_DAY, shift: float = 0.0) -> pa.Table:
    """Sales of a day: nulls, text, booleans, and columns that no model needs."""
    rng = np.random.default_rng([7, index])
    price, visits = rng.normal(20, 4, n_rows) + shift, rng.gamma(3, 10, n_rows)
    noise, promo = rng.normal(size=n_rows), rng.random(n_rows) < 0.3
    store = rng.choice(["north", "south", "east", "west"], n_rows, p=[0.4, 0.3, 0.2, 0.1])
    sales = 50 - 2 * price + 0.5 * visits + 9 * promo + 6 * (store == "north")
    return pa.table(
        {
            "id": pa.array(index * 10_000 + np.arange(n_rows)),
            "price": pa.array(price, mask=rng.random(n_rows) < 0.1),
            "visits": pa.array(visits),
            "noise": pa.array(noise),
            "store": pa.array(store, mask=rng.random(n_rows) < 0.05),
            "promo": pa.array(promo),
            "note": pa.array([f"note {i} of day {index}" for i in range(n_rows)]),
            "sales": pa.array(sales + rng.normal(0, 3, n_rows), mask=rng.random(n_rows) < 0.05),
        }
    )


def write_shop(folder: Path) -> Path:
    """A folder for each day; on the last day the prices are other than ever before."""
    for index, day in enumerate(DAYS):
        path = folder / f"day={day}" / "sales.parquet"
        path.parent.mkdir(parents=True)
        table = a_day(index, shift=25.0 if day == SHIFTED else 0.0)
        pq.write_table(table, path, row_group_size=50)
    return folder


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shop's data; no test changes it."""
    return write_shop(tmp_path_factory.mktemp("shop") / "data")


@pytest.fixture
def own_shop(tmp_path: Path) -> Path:
    """The same data, for a test to change."""
    return write_shop(tmp_path / "shop")


def write_package_of_the_team(folder: Path) -> None:
    """A package named flows, as a team's own repository often has it; ours must not look in it."""
    (folder / "flows").mkdir()
    text = 'raise ImportError("these are the flows of the team")\n'
    (folder / "flows" / "__init__.py").write_text(text)


def training(data: Path, registry: Path) -> Values:
    return {
        "name": "sales",
        "data": {"path": str(data), "where": f"day < '{DAYS[8]}'"},
        "target": "sales",
        "stability": None,
        "features": {"exclude": ["id", "note"]},
        "search": {"alphas": 20},
        # Out of every model, so that there is a feature which scoring need not read.
        "penalty_factors": {"noise": 1000.0},
        "registry": str(registry),
    }


@pytest.fixture(scope="session")
def registry(shop: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A registry with the champion ``sales``; no test changes it."""
    from lasso_jobs import TrainJob, train

    path = tmp_path_factory.mktemp("registry") / "models"
    train(TrainJob.from_values(training(shop, path)), workers=1)
    return path


@pytest.fixture
def train_values(shop: Path, tmp_path: Path) -> Values:
    """A training job as its file has it, with a registry of its own."""
    return training(shop, tmp_path / "models")


@pytest.fixture
def score_values(shop: Path, registry: Path, tmp_path: Path) -> Values:
    """A scoring job as its file has it, with outputs of its own."""
    return {
        "model": "sales",
        "data": {"path": str(shop)},
        "keys": ["id"],
        "output": {"path": str(tmp_path / "scores"), "partition_by": "day"},
        "drift": {"features": "selected", "path": str(tmp_path / "drift")},
        "registry": str(registry),
    }


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """The address of an S3 API over HTTP, which the environment names."""
    with servers.s3() as settings, pytest.MonkeyPatch.context() as patch:
        for name, value in settings.items():
            patch.setenv(name, value)
        yield settings["AWS_ENDPOINT_URL"]


@pytest.fixture
def bucket(s3_server: str) -> str:
    """The URI of an empty bucket."""
    return servers.new_bucket(s3_server)


@pytest.fixture(scope="session")
def upload() -> Callable[[Path, str], str]:
    """Copy the files of a folder below a URI."""

    def copy(folder: Path, uri: str) -> str:
        for path in (p for p in folder.rglob("*") if p.is_file()):
            storage.write(f"{uri}/{path.relative_to(folder).as_posix()}", path.read_bytes())
        return uri

    return copy


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """The URI of a PostgreSQL server on loopback, which the environment names."""
    program = servers.initdb()
    if program is None:
        pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql-15)")
    with servers.postgresql(program) as uri, pytest.MonkeyPatch.context() as patch:
        patch.setenv("LASSO_JOBS_POSTGRESQL_URI", uri)
        yield uri


@pytest.fixture
def small_work_units(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every row group of the shop is a unit of work."""
    monkeypatch.setattr("lasso_jobs.data.dataset.UNIT_ROWS", 50)
