"""Real servers on loopback for tests and the soak: an S3 API (moto's) and PostgreSQL."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote
from urllib.request import Request, urlopen

PASSWORD = "pass@word of/the tests"
S3_SETTINGS = (
    *("AWS_ENDPOINT_URL", "AWS_ALLOW_HTTP", "AWS_REGION"),
    *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
)


@contextmanager
def s3() -> Iterator[dict[str, str]]:
    """An S3 API over HTTP; yields the environment that names it."""
    server = subprocess.Popen(
        [sys.executable, Path(__file__).with_name("s3_server.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert server.stdout is not None
    try:
        yield {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.stdout.readline().strip()}",
            "AWS_ALLOW_HTTP": "true",
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "the-key-id",
            "AWS_SECRET_ACCESS_KEY": "the-secret-of-the-tests",
        }
    finally:
        server.communicate()


def new_bucket(address: str) -> str:
    """Make an empty bucket, and return its URI."""
    name = f"bucket-{uuid.uuid4().hex}"
    urlopen(Request(f"{address}/{name}", method="PUT")).close()
    return f"s3://{name}"


def initdb() -> str | None:
    """Where PostgreSQL's newest ``initdb`` is; None if it is not installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: p.parts[-3])
    return str(found[-1]) if found else shutil.which("initdb")


@contextmanager
def postgresql(program: str) -> Iterator[str]:
    """A server made with this ``initdb``; yields its URI."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = Path(tempfile.mkdtemp())
    # PostgreSQL refuses to run as root.
    user = {"user": "postgres", "group": "postgres"} if os.getuid() == 0 else {}
    if user:
        shutil.chown(folder, **user)

    def run(*command: str) -> None:
        # The server inherits what it writes to: a pipe would never end.
        with (folder.parent / f"{folder.name}.log").open("ab") as log:
            subprocess.run(command, check=True, cwd=folder, stdout=log, stderr=log, **user)

    secret = folder / "password"
    secret.write_text(PASSWORD)
    secret.chmod(0o644)
    control, data = str(Path(program).with_name("pg_ctl")), str(folder / "data")
    run(program, "-D", data, "-U", "lasso", "-A", "scram-sha-256", f"--pwfile={secret}", "-N")
    options = f"-p {port} -h 127.0.0.1 -k '' -F"
    run(control, "-D", data, "-o", options, "-w", "start")
    try:
        yield f"postgresql://lasso:{quote(PASSWORD, safe='')}@127.0.0.1:{port}/postgres"
    finally:
        run(control, "-D", data, "-m", "immediate", "-w", "stop")
        shutil.rmtree(folder)
        (folder.parent / f"{folder.name}.log").unlink()
