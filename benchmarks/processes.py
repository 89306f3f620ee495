"""Processes, measured from outside, taking turns; and what is printed of them."""

import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

import psutil

SAMPLE_SECONDS = 0.05


@dataclass(frozen=True)
class Run:
    """A finished process: all that it wrote, its time, and the peak memory of it and its children.

    Resident pages of files count, so that readers by memory map look larger than they are. Its
    processor time, with that of children that it waited for, depends less on what else runs, which
    had ``others_seconds`` of the processors meanwhile.
    """

    output: str
    seconds: float
    peak_bytes: int
    cpu_seconds: float
    others_seconds: float
    minor_faults: int
    involuntary_switches: int


Inner = Callable[[Run], float]


def run(arguments: Sequence[str], python: str | None = None) -> Run:
    """Run ``python ARGUMENTS``, with this interpreter if no other is named."""
    peak, done = 0, threading.Event()
    with tempfile.TemporaryFile("w+") as output:
        start, before, busy = time.perf_counter(), _of_children(), _busy_seconds()
        process = subprocess.Popen([python or sys.executable, *arguments], stdout=output)
        parent = psutil.Process(process.pid)

        def watch() -> None:
            nonlocal peak
            while not done.wait(SAMPLE_SECONDS):
                peak = max(peak, _tree_bytes(parent))

        watcher = threading.Thread(target=watch)
        watcher.start()
        status = process.wait()
        seconds = time.perf_counter() - start
        done.set()
        watcher.join()
        if status:
            raise SystemExit(f"{' '.join(arguments)} failed")
        output.seek(0)
        used = _of_children()
        return Run(
            output=output.read(),
            seconds=seconds,
            peak_bytes=peak,
            cpu_seconds=_cpu(used) - _cpu(before),
            others_seconds=max(0.0, _busy_seconds() - busy - _cpu(used) + _cpu(before)),
            minor_faults=used.ru_minflt - before.ru_minflt,
            involuntary_switches=used.ru_nivcsw - before.ru_nivcsw,
        )


def _of_children() -> resource.struct_rusage:
    return resource.getrusage(resource.RUSAGE_CHILDREN)


def _cpu(used: resource.struct_rusage) -> float:
    return used.ru_utime + used.ru_stime


def _busy_seconds() -> float:
    """Processor seconds of the whole machine, but for this process; a few ticks are rounding."""
    times = psutil.cpu_times()
    # Guests are in ``user`` already.
    idle = ("idle", "iowait", "guest", "guest_nice")
    busy = sum(getattr(times, name) for name in times._fields if name not in idle)
    return float(busy) - time.process_time()


def _tree_bytes(parent: psutil.Process) -> int:
    total = 0
    try:
        for process in [parent, *parent.children(recursive=True)]:
            total += process.memory_info().rss
    except psutil.NoSuchProcess:
        pass
    return total


def take_turns(
    cases: Mapping[str, Sequence[str]], repeat: int, pythons: Mapping[str, str] | None = None
) -> dict[str, list[Run]]:
    """Run each case, then each again: what else the machine does hits all of them alike.

    Cases that are named in ``pythons`` have an interpreter of their own.
    """
    runs: dict[str, list[Run]] = {name: [] for name in cases}
    for i in range(repeat):
        for name, arguments in cases.items():
            sys.stderr.write(f"{i + 1} of {repeat}: {name}\n")
            runs[name].append(run(arguments, (pythons or {}).get(name)))
    return runs


def median(runs: Sequence[Run], inner: Inner = lambda run: run.seconds) -> float:
    return statistics.median(inner(run) for run in runs)


def peak(runs: Sequence[Run]) -> float:
    """The largest peak, in MiB."""
    return max(run.peak_bytes for run in runs) / 2**20


def table(*rows: Sequence[object]) -> str:
    """A table in Markdown, its first row the head."""
    head, *body = [[f"{v:.3g}" if isinstance(v, float) else str(v) for v in row] for row in rows]
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *body]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def installed(name: str) -> bool:
    """Whether a peer is there; if not, say so."""
    try:
        version(name)
    except PackageNotFoundError:
        sys.stdout.write(f"{name} is not installed: left out\n")
        return False
    return True
