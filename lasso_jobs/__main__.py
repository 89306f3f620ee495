"""``python -m lasso_jobs`` and ``lasso-jobs``: a command as a process of its own."""

import atexit
import gc
import os
import signal
import sys
import threading
from contextlib import suppress
from typing import NoReturn

from lasso_jobs.cli.main import INTERRUPTED_TEXT, main
from lasso_jobs.cli.usage import DONE, INTERRUPTED, NOBODY_READS

STOPS = (signal.SIGINT, signal.SIGTERM)
AGAIN_SECONDS = 0.02
GARBAGE = 50_000
"""Objects after which Python looks for cycles among them. By its own 700 it does so through all
imports, and through each night's rows of drift: a tenth of the processor time of the imports, and
a twentieth of that of many nights."""
ARROW_POOL = ("ARROW_DEFAULT_MEMORY_POOL", "jemalloc")
"""Arrow's own choice, mimalloc, gives freed memory back after 10 ms, and has it again in pages of
2 MB, which the system clears whole. With jemalloc, which keeps it for a second, the scoring of
2,000,000 rows x 30 columns takes 2.1 processor seconds and not 2.5, and 60 MB less. A program that
calls the package keeps the pool that it has; pyarrow has jemalloc wherever Linux has its wheels."""


def run() -> NoReturn:
    """Run the command that the process was started with, and end the process with its status.

    What has to end at exit is ended here, and the interpreter is not. Up to Python 3.13, a thread
    of pyarrow's that still lets go of a Python file while the interpreter ends aborts the process
    (python/cpython#87135): on a busy machine 2 of some 200 commands that read a bucket had done
    all their work, and left with SIGABRT.
    """
    for number in STOPS:
        signal.signal(number, _stop)
    sys.unraisablehook = _ignored
    gc.set_threshold(GARBAGE)
    if sys.platform == "linux":
        os.environ.setdefault(*ARROW_POOL)
    try:
        status = main()
    except SystemExit as left:  # of the help, the version, and wrong usage
        status = left.code if isinstance(left.code, int) else DONE
    # From here on a signal ends the process at once, and leaves no traceback. The default action
    # would kill it: a command that was stopped twice had another status than 130.
    signal.setitimer(signal.ITIMER_REAL, 0)
    at_once = _end_again if status == INTERRUPTED else _end_at_once
    for number in STOPS:
        signal.signal(number, at_once)
    # As Python does it: first threads and pools, then what was registered, then what is buffered.
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:
            status = NOBODY_READS
    os._exit(status)


def _stop(*_: object) -> NoReturn:
    """Let a command close what is open; a second signal ends the process as it is."""
    for number in STOPS:
        signal.signal(number, _end_at_once)
    raise KeyboardInterrupt


def _ignored(unraisable: "sys.UnraisableHookArgs") -> None:
    """Stop once more where Python has ignored the stop, as in callbacks of the garbage collector.

    Dask has such a callback. Within ten minutes of a soak, two commands that were sent a signal
    went on to their end, and printed a traceback.
    """
    if not isinstance(unraisable.exc_value, KeyboardInterrupt):
        sys.__unraisablehook__(unraisable)
        return
    # What was cut off may complain until the command ends: Dask's callback does.
    sys.unraisablehook = _again
    _again(unraisable)


def _again(unraisable: "sys.UnraisableHookArgs") -> None:
    if isinstance(unraisable.exc_value, KeyboardInterrupt):
        signal.signal(signal.SIGALRM, _stop)
        signal.setitimer(signal.ITIMER_REAL, AGAIN_SECONDS)


def _end_at_once(*_: object) -> NoReturn:
    with suppress(OSError):
        os.write(2, f"{INTERRUPTED_TEXT}\n".encode())
    os._exit(INTERRUPTED)


def _end_again(*_: object) -> NoReturn:
    os._exit(INTERRUPTED)  # that it was interrupted has been said


if __name__ == "__main__":
    run()
