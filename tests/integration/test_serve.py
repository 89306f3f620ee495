"""The service as people run it: real processes, whose logs other commands take."""

import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml

from ..certificates import write_certificates
from ..services import asked, service

pytestmark = pytest.mark.integration

ROW: dict[str, Any] = {"price": 20.0, "visits": 30.0, "store": "north", "promo": True}
Cli = Callable[..., "subprocess.CompletedProcess[str]"]


def test_it_answers_and_ends_with_success(registry: Path, tmp_path: Path) -> None:
    with service(tmp_path, "sales", "--registry", registry) as running:
        status, answer = running.ask("/predict", ROW)
        assert status == 200 and answer["model_version"] == "v1"
        assert running.ask("/v2/health/ready")[1]["registry"] == "readable"
        assert running.stop() == 0
        assert running.errors == ""


def test_a_request_in_flight_is_answered_before_it_ends(registry: Path, tmp_path: Path) -> None:
    with service(tmp_path, "sales", "--registry", registry) as running:
        assert running.ask("/ping")[0] == 200
        body = json.dumps(ROW).encode()
        with socket.create_connection(("127.0.0.1", running.port)) as connection:
            head = f"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
            connection.sendall(f"{head}Content-Type: application/json\r\n\r\n".encode() + body[:5])
            time.sleep(0.5)
            running.process.send_signal(signal.SIGTERM)
            time.sleep(0.5)
            connection.sendall(body[5:])
            with connection.makefile("rb") as answer:
                assert answer.readline().startswith(b"HTTP/1.1 200")
        assert running.process.wait(60) == 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["nobody"], "there is no model 'nobody'"),
        (["sales", "--host", "0.0.0.0"], "would let other machines ask without a token"),
        (["sales", "--tls-cert", "a.pem"], "--tls-cert: is given alone"),
        (["sales", "--tls-cert", "a.pem", "--tls-key", "b.pem"], "cannot be used"),
        (["sales", "--host", "no.such.host.invalid"], "other machines"),
        (["sales", "--log-requests", "log", "--keys", "prediction"], "a field 'prediction'"),
        (["sales", "--log-requests", "log", "--keys", "id", "id"], "--keys id id: has 'id' twice"),
        (["sales", "--keys", "id"], "--keys id: is given alone"),
    ],
)
def test_what_cannot_begin_says_why(
    cli: Cli, registry: Path, tmp_path: Path, options: list[str], said: str
) -> None:
    done = cli("serve", *options, "--registry", registry, folder=tmp_path)
    assert done.returncode == 1 and said in done.stderr


def test_a_port_that_is_none_is_wrong_usage(cli: Cli, tmp_path: Path) -> None:
    for port in ("99999", "-1", "http"):
        done = cli("serve", "sales", "--port", port, folder=tmp_path)
        assert done.returncode == 2


def test_a_port_that_is_taken_is_refused(cli: Cli, registry: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = cli("serve", "sales", "--registry", registry, "--port", port, folder=tmp_path)
        assert done.returncode == 1 and "cannot be listened on" in done.stderr
    token = {"LASSO_JOBS_SERVE_TOKEN": "short"}
    short = cli("serve", "sales", "--registry", registry, folder=tmp_path, **token)
    assert short.returncode == 1 and "at least 16 characters" in short.stderr


@pytest.mark.slow
def test_workers_share_a_port_and_one_that_dies_is_replaced(registry: Path, tmp_path: Path) -> None:
    options = ("sales", "--registry", registry, "--workers", 2)
    with service(tmp_path, *options) as running:
        assert running.ask("/predict", ROW)[0] == 200
        workers = children(running.process.pid)
        os.kill(workers[-1], signal.SIGKILL)
        for _ in range(20):
            time.sleep(0.2)
            assert running.ask("/predict", ROW)[0] == 200
        until = time.monotonic() + 60
        while len(set(children(running.process.pid)) - {workers[-1]}) < len(workers):
            assert time.monotonic() < until
            time.sleep(0.2)
        text = running.ask("/metrics")[1]
        (line,) = (x for x in text.splitlines() if x.startswith("lasso_jobs_rows_total"))
        assert float(line.split()[-1]) >= 20  # of both workers
        assert running.stop() == 0
    assert all(not Path(f"/proc/{pid}").exists() for pid in workers)


def children(pid: int) -> list[int]:
    """The workers: not the resource tracker."""
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    lines = {int(each): Path(f"/proc/{each}/cmdline").read_bytes() for each in found}
    return [each for each, line in lines.items() if b"spawn_main" in line]


@pytest.mark.slow
def test_https_with_a_token(registry: Path, tmp_path: Path) -> None:
    files = write_certificates(tmp_path)
    certificates = ("--tls-cert", files["cert_file"], "--tls-key", files["key_file"])
    token = "a token that is long enough"
    options = ("sales", "--registry", registry, "--host", "0.0.0.0", *certificates)
    with service(tmp_path, *options, LASSO_JOBS_SERVE_TOKEN=token) as running:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        connection = http.client.HTTPSConnection("127.0.0.1", running.port, context=context)
        assert asked(connection, "/predict", ROW)[0] == 401
        bearer = {"Authorization": f"Bearer {token}"}
        assert asked(connection, "/predict", ROW, **bearer)[0] == 200
        connection.close()


def test_monitor_and_drift_take_the_request_log(
    cli: Cli, shop: Path, registry: Path, tmp_path: Path
) -> None:
    table = pq.ParquetFile(shop / "day=2024-01-10" / "sales.parquet").read()
    rows = table.to_pylist()
    sent = [{k: row[k] for k in (*ROW, "id", "noise")} for row in rows]
    options = ("--registry", registry, "--log-requests", "log", "--keys", "id")
    with service(tmp_path, "sales", *options) as running:
        for start in range(0, len(sent), 50):
            assert running.ask("/predict", sent[start : start + 50])[0] == 200
        answer = running.ask("/predict", {**sent[0], "id": -1, "price": 1e300})[1]
        assert answer["error"]["reason"] == "too_large"
        assert running.stop() == 0
    assert pq.read_table(tmp_path / "log").num_rows == len(rows)
    pq.write_table(table, tmp_path / "actuals.parquet")
    monitor = {
        "model": "sales",
        "scores": {"path": "log"},
        "actuals": {"path": "actuals.parquet"},
        "keys": ["id"],
        "target": "sales",
        "period": "scored_on",
        "min_rows": 20,
        "registry": str(registry),
    }
    (tmp_path / "monitor.yaml").write_text(yaml.safe_dump(monitor))
    done = cli("monitor", "monitor.yaml", "--json", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    (period,) = (row for row in json.loads(done.stdout)["rows"] if not row["segment"])
    assert period["n_scored"] == len(rows) and period["verdict"] == "ok"
    score = {
        "model": "sales",
        "data": {"path": "log"},
        "keys": ["id"],
        "output": {"path": "scores", "partition_by": "scored_on"},
        "drift": {"path": "drift"},
        "registry": str(registry),
    }
    (tmp_path / "score.yaml").write_text(yaml.safe_dump(score))
    done = cli("score", "score.yaml", "--json", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    values = json.loads(done.stdout)
    assert values["rows_scored"] == len(rows) and values["drift"]
    again = {row["id"]: row["prediction"] for row in pq.read_table(tmp_path / "log").to_pylist()}
    from deltalake import DeltaTable

    scored = DeltaTable(tmp_path / "scores").to_pyarrow_table().to_pylist()
    assert {str(row["id"]): row["prediction"] for row in scored} == again
