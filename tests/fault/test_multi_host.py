"""Machines of their own, as far as the network goes: each process in a network namespace.

Needs the right to make namespaces (root, or CAP_NET_ADMIN and CAP_SYS_ADMIN) and iproute2.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable

from ..conftest import DAYS, training
from ..processes import process

pytestmark = [pytest.mark.fault, pytest.mark.slow]

HOSTS = ("scheduler", "first", "second", "driver")
# A link that is cut says nothing: these are how soon its silence is taken for an end.
PATIENCE = {
    "DASK_DISTRIBUTED__COMM__TIMEOUTS__TCP": "12s",
    "DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": "4s",
}
JOB = """
import json, subprocess, sys
from lasso_jobs import ScoreJob, TrainJob, score, train
from lasso_jobs.data import dataset

dataset.UNIT_ROWS = 50  # every row group is a work unit
values = json.load(sys.stdin)

def cut(stage, done, total):
    if stage == "moments" and done == 4:
        subprocess.run(values["cut"], check=True)

train(TrainJob.from_values(values["train"]), values["cluster"], progress=cut)
job = ScoreJob.from_values(values["score"]).on(values["day"])
scored = score(job, values["cluster"])
print(scored.rows_scored)
"""


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)


class Network:
    """A switch, and hosts on it with addresses of their own."""

    def __init__(self) -> None:
        # Named by the process, so that two runs of the tests do not meet.
        self.prefix = f"lasso{os.getpid()}"
        self.switch = self.host("switch")
        self.addresses = {name: f"10.77.0.{i + 1}" for i, name in enumerate(HOSTS)}

    def host(self, name: str) -> str:
        return f"{self.prefix}-{name}"

    def open(self) -> None:
        ip("netns", "add", self.switch)
        ip("-n", self.switch, "link", "add", "br0", "type", "bridge")
        ip("-n", self.switch, "link", "set", "br0", "up")
        for number, (name, address) in enumerate(self.addresses.items()):
            host, port = self.host(name), f"port{number}"
            ip("netns", "add", host)
            ends = ("link", "add", port, "netns", self.switch, "type", "veth")
            ip(*ends, "peer", "name", "eth0", "netns", host)
            ip("-n", self.switch, "link", "set", port, "master", "br0", "up")
            ip("-n", host, "addr", "add", f"{address}/24", "dev", "eth0")
            for device in ("lo", "eth0"):
                ip("-n", host, "link", "set", device, "up")

    def close(self) -> None:
        for name in (*HOSTS, "switch"):
            subprocess.run(["ip", "netns", "del", self.host(name)], capture_output=True)

    def on(self, name: str, *command: str) -> list[str]:
        return ["ip", "netns", "exec", self.host(name), *command]


@pytest.fixture
def network() -> Iterator[Network]:
    if shutil.which("ip") is None:
        pytest.skip("iproute2 is not installed (Debian: apt-get install iproute2)")
    network = Network()
    try:
        try:
            network.open()
        except subprocess.CalledProcessError as error:
            pytest.skip(f"there is no right to make network namespaces: {error.stderr.strip()}")
        yield network
    finally:
        network.close()


def test_a_job_completes_on_machines_of_which_one_is_cut_off(
    network: Network, shop: Path, tmp_path: Path, small_work_units: None
) -> None:
    from lasso_jobs import TrainJob, load_model, train

    address = f"tcp://{network.addresses['scheduler']}:8786"
    dask = (sys.executable, "-m", "dask")
    values: dict[str, Any] = {
        "cluster": address,
        "cut": ["ip", "-n", network.switch, "link", "set", "port1", "down"],
        "train": training(shop, tmp_path / "models"),
        "day": DAYS[9],
        "score": {
            "model": "sales",
            "data": {"path": str(shop)},
            "keys": ["id"],
            "output": {"path": str(tmp_path / "scores"), "partition_by": "day"},
            "registry": str(tmp_path / "models"),
        },
    }
    with ExitStack() as stack:
        host = ("--host", network.addresses["scheduler"], "--port", "8786", "--no-dashboard")
        command = network.on("scheduler", *dask, "scheduler", *host)
        stack.enter_context(process(command, tmp_path, "scheduler", **PATIENCE))
        for name in ("first", "second"):
            host = ("--host", network.addresses[name], "--nthreads", "1", "--no-dashboard")
            command = network.on(name, *dask, "worker", address, *host)
            stack.enter_context(process(command, tmp_path, name, **PATIENCE))
        wait_for_two(tmp_path / "scheduler.log")
        done = subprocess.run(
            network.on("driver", sys.executable, "-c", JOB),
            input=json.dumps(values),
            env={**os.environ, **PATIENCE},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        # So that the worker can take its leave at once.
        ip("-n", network.switch, "link", "set", "port1", "up")
    assert done.returncode == 0, done.stderr
    assert f"worker tcp://{network.addresses['first']}" in done.stderr
    assert "is gone; its" in done.stderr
    train(TrainJob.from_values(training(shop, tmp_path / "alone")), workers=1)
    here, there = (load_model(str(tmp_path / name), "sales") for name in ("alone", "models"))
    assert here.coef.to_dict() == there.coef.to_dict()
    assert here.intercept == there.intercept
    assert done.stdout.strip() == "150"
    scored = DeltaTable(tmp_path / "scores").to_pandas()
    assert len(scored) == scored["id"].nunique() == 150


def wait_for_two(log: Path) -> None:
    """Wait for both workers, as the scheduler's own log tells of them."""
    deadline = time.monotonic() + 60
    while log.read_text().count("Register worker") < 2:
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.2)
