"""A command as a process: what Python does at exit is done, and its status is the command's."""

import os
import subprocess
import sys
import textwrap

import pytest

from lasso_jobs.cli.usage import INTERRUPTED

CHILD = textwrap.dedent(
    """
    import atexit, sys, threading
    from lasso_jobs import __main__

    def main():
        atexit.register(lambda: sys.stdout.write("registered\\n"))
        release = threading.Event()
        thread = threading.Thread(target=lambda: (release.wait(), sys.stdout.write("thread\\n")))
        thread.start()
        release.set()
        sys.stdout.write("command\\n")
        return STATUS

    __main__.main = main
    __main__.run()
    """
)

POOL = textwrap.dedent(
    """
    from lasso_jobs import __main__

    def main():
        import pyarrow
        print(pyarrow.default_memory_pool().backend_name)
        return 0

    __main__.main = main
    __main__.run()
    """
)

SIGNALS = textwrap.dedent(
    """
    import signal
    from lasso_jobs import __main__

    def main():
        try:
            signal.raise_signal(signal.SIGTERM)
        except KeyboardInterrupt:
            signal.raise_signal(signal.SIGINT)

    __main__.main = main
    __main__.run()
    """
)

IN_A_CALLBACK = textwrap.dedent(
    """
    import gc, signal, time
    from lasso_jobs import __main__

    starts = []

    def deaf(phase, info):
        if phase == "start":
            starts.append(info)
            if len(starts) < 3:
                signal.raise_signal(signal.SIGTERM if len(starts) == 1 else signal.SIGALRM)
            raise ValueError("what was cut off complains")

    def main():
        gc.callbacks.append(deaf)
        try:
            for _ in range(3):
                gc.collect()
            time.sleep(60)
        except KeyboardInterrupt:
            return 7

    __main__.main = main
    __main__.run()
    """
)


@pytest.mark.parametrize("status", [0, 1, 3])
def test_threads_and_registered_functions_end_before_the_process(status: int) -> None:
    code = CHILD.replace("STATUS", str(status))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (status, "")
    lines = done.stdout.splitlines()
    assert sorted(lines[:2]) == ["command", "thread"]
    assert lines[2:] == ["registered"]


def test_signals_stop_a_command_and_a_second_one_ends_the_process() -> None:
    command = [sys.executable, "-c", SIGNALS]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == INTERRUPTED
    assert done.stderr.startswith("lasso-jobs: Interrupted. Each output is as its last commit")
    assert done.stdout == ""


def test_a_signal_whose_exception_python_ignores_stops_the_command_all_the_same() -> None:
    command = [sys.executable, "-c", IN_A_CALLBACK]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)
    assert (done.returncode, done.stderr) == (7, "")


@pytest.mark.skipif(sys.platform != "linux", reason="pyarrow has jemalloc on few others")
@pytest.mark.parametrize(("asked", "found"), [(None, "jemalloc"), ("system", "system")])
def test_arrow_has_the_pool_that_keeps_memory_unless_another_is_asked_for(
    asked: str | None, found: str
) -> None:
    others = {k: v for k, v in os.environ.items() if k != "ARROW_DEFAULT_MEMORY_POOL"}
    env = others if asked is None else {**others, "ARROW_DEFAULT_MEMORY_POOL": asked}
    command = [sys.executable, "-c", POOL]
    done = subprocess.run(command, env=env, check=True, capture_output=True, text=True)
    assert done.stdout.split() == [found]
