"""The service: latencies at a steady rate, its most requests, large bodies, and its memory.

The load is made by wrk (Debian: apt-get install wrk).
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq

from lasso_jobs import TrainJob, train
from lasso_jobs.models.registry import Registry

PER_SECOND = 500
CONNECTIONS = 10
ROWS = 10_000
_SCRIPT = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
local file = io.open("{body}", "rb")
wrk.body = file:read("*a")
file:close()
{delay}
"""
_UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4}


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What a load found: milliseconds of quantiles, requests a second, and what failed."""

    p50: float
    p99: float
    rate: float
    n: int
    failed: int
    cpu_ms: float

    def row(self, name: str, load: str) -> str:
        return (
            f"| {name} | {self.p50:.2f} | {self.p99:.2f} | {self.rate:,.0f} | {self.cpu_ms:.2f} | "
            f"{self.failed} of {self.n:,} | {load} |\n"
        )


def serve(options: argparse.Namespace) -> None:
    """Ask a service of one process, by wrk on the same machine."""
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is not installed (Debian: apt-get install wrk)")
    folder = Path(options.dir) / f"serve-{options.features}"
    registry, values = _models(folder, options.features)
    one, many = folder / "one.json", folder / "many.json"
    one.write_text(json.dumps(dict(zip(values[0], values[1][0], strict=True))))
    split = {"columns": values[0], "data": values[1]}
    many.write_text(json.dumps({"dataframe_split": split}))
    _say("| | p50 ms | p99 ms | requests/s | CPU ms a request | failed | load of the machine |\n")
    _say("| --- | ---: | ---: | ---: | ---: | ---: | ---: |\n")
    with _service(folder) as (process, port):
        _wrk(process, port, "predict", one, 2)  # to warm up
        load = f"{psutil.getloadavg()[0]:.1f}"
        paced = _wrk(process, port, "predict", one, options.seconds, paced=True)
        _say(paced.row(f"1 row, about {PER_SECOND} a second", load))
        _say(_wrk(process, port, "predict", one, options.seconds).row("1 row, as many as go", load))
        large = _wrk(process, port, "invocations", many, options.seconds, connections=1)
        _say(large.row(f"{ROWS:,} rows", load))
        with _promoting(registry):
            moved = _wrk(process, port, "predict", one, options.seconds)
        _say(moved.row("1 row, while the champion moves", load))
        before, n = process.memory_info().rss, 0
        for part in range(options.soak_seconds // 10):
            n += _wrk(process, port, "predict", one, 10).n
            if part == 0:
                before = process.memory_info().rss
        after = process.memory_info().rss
        _say(f"soak: {n:,} requests, {before / 2**20:.1f} MiB, then {after / 2**20:.1f} MiB\n")


def _say(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def _models(folder: Path, features: int) -> tuple[Registry, tuple[list[str], list[list[float]]]]:
    """A registry of two versions that use every feature, and rows to ask for."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(20_000, features)).round(4)
    y = X @ rng.uniform(0.5, 2, features) + rng.normal(size=len(X))
    names = [f"x{j}" for j in range(features)]
    folder.mkdir(parents=True, exist_ok=True)
    registry = Registry(folder / "models")
    if not registry.names():
        columns = {name: X[:, j] for j, name in enumerate(names)}
        pq.write_table(pa.table({**columns, "y": y}), folder / "data.parquet")
        job = {
            "name": "served",
            "data": {"path": str(folder / "data.parquet")},
            "target": "y",
            "search": {"alphas": [0.001]},
            "registry": registry.path,
        }
        model = train(TrainJob.from_values(job), workers=1).model
        assert len(model.predictor.used) == features
        changed = replace(model.predictor, intercept=model.predictor.intercept + 1)
        registry.register(replace(model, predictor=changed), {})
    return registry, (names, X[:ROWS].tolist())


@contextmanager
def _service(folder: Path) -> Iterator[tuple[psutil.Process, int]]:
    command = [sys.executable, "-m", "lasso_jobs", "serve", "served", "--registry", "models"]
    process = subprocess.Popen(
        [*command, "--port", "0", "--json"], cwd=folder, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        lines = iter(process.stdout.readline, "}\n")
        address = json.loads("".join(lines) + "}")["address"]
        yield psutil.Process(process.pid), int(address.rstrip("/").rpartition(":")[2])
    finally:
        process.terminate()
        process.wait()


@contextmanager
def _promoting(registry: Registry) -> Iterator[None]:
    """The champion moves there and back, twice a second."""
    stop = threading.Event()

    def move() -> None:
        while not stop.wait(0.5):
            registry.promote("served@v2", "benchmark")
            registry.rollback("served", "benchmark")

    thread = threading.Thread(target=move)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _wrk(
    process: psutil.Process,
    port: int,
    path: str,
    body: Path,
    seconds: int,
    *,
    paced: bool = False,
    connections: int = CONNECTIONS,
) -> Load:
    script = body.with_suffix(".lua")
    pause = round(1000 * connections / PER_SECOND) - 1
    delay = f"function delay() return {pause} end" if paced else ""
    script.write_text(_SCRIPT.format(body=body.resolve(), delay=delay))
    address = f"http://127.0.0.1:{port}/{path}"
    options = ["-t", "1", "-c", str(connections), "-d", f"{seconds}s", "--latency"]
    start, cpu = time.monotonic(), sum(process.cpu_times()[:2])
    found = subprocess.run(
        ["wrk", *options, "-s", str(script), address], capture_output=True, text=True, check=True
    ).stdout
    cpu, took = sum(process.cpu_times()[:2]) - cpu, time.monotonic() - start
    n = int(_one(r"(\d+) requests in", found))
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", found)
    cut = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+)", found)
    return Load(
        p50=_milliseconds(r"50%\s+([\d.]+)(\w+)", found),
        p99=_milliseconds(r"99%\s+([\d.]+)(\w+)", found),
        rate=n / took,
        n=n,
        failed=sum(int(count) for kind in (refused, cut) if kind for count in kind.groups()),
        cpu_ms=1000 * cpu / max(n, 1),
    )


def _milliseconds(pattern: str, text: str) -> float:
    found = re.search(pattern, text)
    assert found is not None, text
    return float(found[1]) * _UNITS[found[2]]


def _one(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    assert found is not None, text
    return found[1]
