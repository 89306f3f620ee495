"""However a command ends, it leaves at most one line, no traceback and no process."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from lasso_jobs.cli.usage import DONE, INTERRUPTED, NOBODY_READS

from ..processes import dask_process

pytestmark = [pytest.mark.fault, pytest.mark.slow]

Values = dict[str, Any]
SAID = (
    "lasso-jobs: Interrupted. Each output is as its last commit left it; run the same command "
    "again to continue."
)
MARK = "MARK_OF_THE_COMMAND"
STAGES = ("levels", "moments", "score", "join")
PHASES = {
    "arguments": "lasso_jobs.cli.main.build_parser",
    "plan": "lasso_jobs.scoring.run.plan",
    "threads": "lasso_jobs.engine.cluster.Threads",
    "start": "lasso_jobs.engine.dask_client.LocalCluster",
    "connection": "lasso_jobs.engine.dask_client.Client",
    "rows": "lasso_jobs.scoring.run.stage_rows",
    "commit": "lasso_jobs.scoring.run.commit",
    "page": "lasso_jobs.scoring.run.finish",
}
OF_ONE = {"threads": "local", "start": "local-processes", "connection": "local-processes"}
CASES = [
    (phase, cluster)
    for phase in PHASES
    for cluster in ("local", "local-processes")
    if OF_ONE.get(phase, cluster) == cluster
]
STOPPED = textwrap.dedent(
    """
    import importlib, os, signal, sys, threading

    phase, numbers, *arguments = sys.argv[1:]
    module, name = phase.rsplit(".", 1)
    module = importlib.import_module(module)
    original = getattr(module, name)

    def stopped(*given, **named):
        # To all processes at once, as a terminal and a service manager do.
        for i, number in enumerate(numbers.split(",")):
            threading.Timer(0.05 + 0.3 * i, os.killpg, (os.getpgid(0), int(number))).start()
        return original(*given, **named)

    setattr(module, name, stopped)
    sys.argv[1:] = arguments
    from lasso_jobs.__main__ import run
    run()
    """
)


class Ended:
    """A command that has ended, and what it has left."""

    def __init__(self, *command: str, env: Values, folder: Path) -> None:
        mark = str(folder)
        self.process = subprocess.run(
            command,
            cwd=folder,
            env={**os.environ, MARK: mark, **env},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            start_new_session=True,
        )
        self.status = self.process.returncode
        lines = self.process.stderr.splitlines()
        self.lines = [line for line in lines if not line.startswith(STAGES)]
        deadline = time.monotonic() + 10
        while (left := _left(mark)) and time.monotonic() < deadline:
            time.sleep(0.2)
        self.left = left


def _left(mark: str) -> list[list[str]]:
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get(MARK) == mark:
                found.append(process.cmdline())
    return found


@pytest.fixture
def job(tmp_path: Path, score_values: Values) -> str:
    path = tmp_path / "score.yaml"
    path.write_text(yaml.safe_dump(score_values))
    return str(path)


def stopped(job: str, phase: str, cluster: str, folder: Path, *numbers: int) -> Ended:
    texts = ",".join(str(int(number)) for number in numbers)
    words = ("score", job, "--cluster", cluster)
    return Ended(sys.executable, "-c", STOPPED, phase, texts, *words, env={}, folder=folder)


def check(ended: Ended) -> None:
    assert ended.left == []
    if ended.status == INTERRUPTED:
        assert ended.lines == [SAID]
    else:  # it came too late
        assert (ended.status in (0, 3), ended.lines) == (True, [])


@pytest.mark.parametrize(("phase", "cluster"), CASES)
def test_a_command_that_is_stopped_says_so_in_one_line_and_leaves_no_process(
    job: str, tmp_path: Path, phase: str, cluster: str
) -> None:
    # Each signal meets each phase, with one of the clusters.
    first = [*PHASES].index(phase) + (cluster == "local")
    number = (signal.SIGINT, signal.SIGTERM)[first % 2]
    ended = stopped(job, PHASES[phase], cluster, tmp_path, number)
    check(ended)
    assert phase in ("commit", "page") or ended.status == INTERRUPTED


@pytest.mark.parametrize("cluster", ["local", "local-processes"])
def test_a_second_signal_ends_a_command_at_once(job: str, tmp_path: Path, cluster: str) -> None:
    check(stopped(job, PHASES["rows"], cluster, tmp_path, signal.SIGINT, signal.SIGINT))


def test_a_command_on_a_cluster_of_others_leaves_that_alone(job: str, tmp_path: Path) -> None:
    file = tmp_path / "scheduler.json"
    common = ("--scheduler-file", str(file), "--host", "127.0.0.1", "--no-dashboard")
    with (
        dask_process("scheduler", *common, "--port", "0", folder=tmp_path),
        dask_process("worker", *common, "--nthreads", "1", folder=tmp_path),
    ):
        deadline = time.monotonic() + 60
        while not file.exists() and time.monotonic() < deadline:
            time.sleep(0.2)
        address = yaml.safe_load(file.read_text())["address"]
        options = tmp_path / "cluster.yaml"
        options.write_text(yaml.safe_dump({"address": address}))
        check(stopped(job, PHASES["rows"], address, tmp_path, signal.SIGINT))
        command = (sys.executable, "-m", "lasso_jobs", "score", job, "--cluster", str(options))
        ended = Ended(*command, env={}, folder=tmp_path)
        assert (ended.status in (0, 3), ended.lines, ended.left) == (True, [], [])


@pytest.mark.parametrize("cluster", ["local", "local-processes"])
def test_a_command_that_is_done_says_nothing_more(job: str, tmp_path: Path, cluster: str) -> None:
    command = (sys.executable, "-m", "lasso_jobs", "score", job, "--cluster", cluster)
    ended = Ended(*command, env={}, folder=tmp_path)
    assert (ended.status in (0, 3), ended.lines, ended.left) == (True, [], [])


# Pipes that nobody reads.

READ_BY_NOBODY = [
    "--help",
    "score --help",
    "--version",
    "schema train",
    "models list --registry {registry}",
    "models list --registry {registry} --json",
    "models show sales@v1 --registry {registry} --json",
    "models card sales@v1 --registry {registry}",
    "models report sales@v1 --registry {registry}",
    "cache list --registry {registry}",
    "plan {job} --json",
    "score {job}",
    "drift show {job} --json",
    "verify {output}",
    "vacuum {output} --json",
]


def unread(*words: str, folder: Path, stderr_too: bool = False) -> tuple[int, str]:
    """Run a command whose output nobody reads."""
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "lasso_jobs", *words]
    stderr = writer if stderr_too else subprocess.PIPE
    done = subprocess.run(
        command, stdout=writer, stderr=stderr, text=True, cwd=folder, timeout=120, check=False
    )
    os.close(writer)
    return done.returncode, "" if stderr_too else done.stderr


def test_output_that_nobody_reads_ends_each_command_in_silence(job: str, tmp_path: Path) -> None:
    values = yaml.safe_load(Path(job).read_text())
    places = {"registry": values["registry"], "job": job, "output": values["output"]["path"]}
    wrong = {}
    for line in READ_BY_NOBODY:
        words = [word.format(**places) for word in line.split()]
        status, said = unread(*words, folder=tmp_path)
        lines = [text for text in said.splitlines() if not text.startswith(STAGES)]
        expected = DONE if "--help" in words else NOBODY_READS  # argparse keeps it to itself
        if (status, lines) != (expected, []):
            wrong[line] = (status, lines)
    assert wrong == {}


def test_progress_that_nobody_reads_stops_no_job(job: str, tmp_path: Path) -> None:
    assert unread("score", job, "--json", folder=tmp_path, stderr_too=True)[0] == NOBODY_READS
    values = yaml.safe_load(Path(job).read_text())
    assert (Path(values["output"]["path"]) / "_delta_log").exists()
