"""Where the processor time of a command goes, by samples of its stacks; and its imports.

Each command runs three times: as it is, for its seconds, faults and switches; under py-spy, whose
samples share out the processor seconds of the first run; and with ``-X importtime``. A sample is
*imports* if any frame imports. Else its outermost frame that is known names the stage; one of the
work over rows is divided once more, by its innermost frame that is known.
"""

import argparse
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from benchmarks.bars.case import Case, Command, Setting, Turn, taken
from benchmarks.bars.cases import CASES
from benchmarks.processes import run, table

STANDARD_ROWS = 2_000_000
TRACED = ("train", "retrain", "startup", "score")
RATE = 200
ROWS, OTHER, WAITS = "rows: other", "other", "waits"
SMALLEST = 0.005
"""Classes with a smaller share are told as other."""

IMPORTS = re.compile(r"<frozen importlib|<frozen runpy>.*_get_module_details")
WAITING = re.compile(
    r"\b(_worker \((concurrent|distributed)|(_work|map) \(lasso_jobs/engine|wait \(threading|"
    r"select \(selectors|_wait_for_tstate_lock \(|_try_wait \(|acquire \(threading)"
)
# Frames are "Class.function (path:line)". The first that matches, from the outermost frame on.
STAGES = (
    ("compiled code is loaded", r"\(numba/"),
    ("shutdown", r"\b(_shutdown|_run_exitfuncs|_python_exit) \("),
    ("plan", r"\(lasso_jobs/((training|scoring)/plan|data/discover)"),
    ("cluster", r"\(lasso_jobs/engine/(cluster|dask_client|health)"),
    ("rows: merge", r"\b(merge|merged|merge_all) \(lasso_jobs/"),
    (ROWS, r"\(lasso_jobs/(training/(gather|read/)|scoring/(staging|rows|task))"),
    ("drift", r"\(lasso_jobs/drift/"),
    ("commit", r"\(lasso_jobs/(scoring/(commit|marker|journal|record)|sinks/)"),
    (
        "register, report",
        r"\(lasso_jobs/(training/(build|examine|promotion|report/)|models/|pages/)",
    ),
    ("select", r"\(lasso_jobs/(training/(search|holdout)|core/(fit|inference)/)"),
)
# The first that matches, from the innermost frame on.
PARTS = (
    ("rows: merge", r"\b(merge|merged|merge_all) \(lasso_jobs/"),
    ("rows: centre", r"\b(centre|_of_observed) \(lasso_jobs/core/"),
    ("rows: multiply", r"\b(_of_set|moments) \(lasso_jobs/core/rows/centring"),
    ("rows: lay out, sort", r"\(lasso_jobs/core/rows/(blocks/|columns)|\btake \(numpy/"),
    ("rows: hash, sample", r"\(lasso_jobs/core/rows/(buckets|repeats|sample)"),
    ("rows: check", r"\b_?check\w* \(lasso_jobs/"),
    ("rows: convert", r"\(lasso_jobs/data/arrays"),
    ("rows: drift", r"\(lasso_jobs/(core/drift|drift)/"),
    ("rows: predict", r"\(lasso_jobs/(core/fit/predict|models/predict)"),
    ("rows: write", r"\b_staged \(|\(lasso_jobs/sinks/"),
    ("rows: decode", r"\(lasso_jobs/data/(blocks|parquet_file)|\(pyarrow/"),
    ("rows: journal", r"\(lasso_jobs/scoring/journal"),
)
DASK = ("Dask", r"\((distributed|tornado|asyncio|dask)/")


def traces(options: argparse.Namespace) -> None:
    """Print where the processor time of each case's commands goes, as tables."""
    sampler = Path(sys.executable).with_name("py-spy")
    if not sampler.exists():
        sys.stdout.write("py-spy is not installed: no shares of processor time\n")
    for name in options.only or TRACED:
        case = CASES[name]
        rows = max(1, case.rows * options.rows // STANDARD_ROWS)
        setting = Setting(folder=Path(options.dir), rows=rows, features=case.features, peers=())
        sys.stdout.write(f"\n{_of_case(case, setting, sampler if sampler.exists() else None)}\n")


def _of_case(case: Case, setting: Setting, sampler: Path | None) -> str:
    ours = {
        name: command
        for name, command in case.commands(setting).items()
        if list(command.arguments[:2]) == ["-m", "lasso_jobs"] and "--json" in command.arguments
    }
    # Each after those before it, as a cache is filled by the first for the next.
    plain = {name: _started(command) for name, command in ours.items()}
    found = {name: _sampled(command, sampler) for name, command in ours.items() if sampler}
    imports = [f"Imports, {name}: {_imports(command)}" for name, command in ours.items()]
    head = (f"{case.name}, {setting.rows:,} x {setting.features:,}", *ours)
    return "\n\n".join((table(head, *_lines(plain, found)), *imports))


def _lines(
    plain: Mapping[str, Turn], found: Mapping[str, Counter[str]]
) -> Iterable[tuple[object, ...]]:
    """The lines of a table, a column for each command."""
    yield "processor seconds", *(turn["processor"] for turn in plain.values())
    shared = {name: shares(samples) for name, samples in found.items()}
    classes = sorted({each for of in shared.values() for each in of}, key=_place)
    for each in classes:
        seconds = [of.get(each, 0.0) * plain[n]["processor"] for n, of in shared.items()]
        yield each, *seconds
    yield "whole seconds", *(turn["whole"] for turn in plain.values())
    known = {"whole", "processor", "peak", "faults", "switches", "bytes", "total"}
    stages = dict.fromkeys(stage for turn in plain.values() for stage in turn)
    for stage in (stage for stage in stages if stage not in known):
        yield f"stage {stage}, seconds", *(turn.get(stage, "") for turn in plain.values())
    yield "minor page faults", *(f"{turn['faults']:,}" for turn in plain.values())
    yield "involuntary switches", *(f"{turn['switches']:,}" for turn in plain.values())


def _place(name: str) -> tuple[bool, str]:
    return (name == OTHER, name)


def shares(samples: Mapping[str, int]) -> dict[str, float]:
    """Shares of the samples that do not wait; small ones are one."""
    total = sum(n for name, n in samples.items() if name != WAITS)
    found: Counter[str] = Counter()
    for name, n in samples.items():
        if name != WAITS:
            found[name if n >= SMALLEST * total else OTHER] += n
    return {name: n / total for name, n in found.items()}


def _started(command: Command) -> Turn:
    if command.before is not None:
        command.before()
    return taken(run(command.arguments))


def _sampled(command: Command, sampler: Path) -> Counter[str]:
    if command.before is not None:
        command.before()
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder) / "raw"
        options = ["record", "--rate", str(RATE), "--format", "raw", "--subprocesses"]
        spied = [str(sampler), *options, "-o", str(raw), "--", sys.executable, *command.arguments]
        done = subprocess.run(
            spied, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        if not raw.exists():
            raise SystemExit(f"py-spy: {done.stderr}")
        return classified(raw.read_text().splitlines())


def classified(lines: Iterable[str]) -> Counter[str]:
    """Samples by class, of lines ``frame;frame;frame N``, the outermost frame first.

    >>> work = "train (lasso_jobs/training/run.py:3);gather (lasso_jobs/training/gather.py:1)"
    >>> classified([f"{work};read (lasso_jobs/data/blocks.py:9) 4", f"{work} 1"])
    Counter({'rows: decode': 4, 'rows: other': 1})
    >>> classified(
    ...     ["plan (lasso_jobs/training/plan.py:5);_load (<frozen importlib._bootstrap>:7) 2"]
    ... )
    Counter({'imports': 2})
    """
    found: Counter[str] = Counter()
    for line in lines:
        stack, _, n = line.rpartition(" ")
        found[_class_of(stack.split(";"))] += int(n)
    return found


def _class_of(frames: Sequence[str]) -> str:
    if WAITING.search(frames[-1]):
        return WAITS
    if any(IMPORTS.search(frame) for frame in frames):
        return "imports"
    if len(frames) == 1 and frames[0].startswith("process "):
        return "interpreter"
    stage = _first(frames, STAGES)
    if stage == ROWS:
        return _first(frames[::-1], PARTS) or ROWS
    return stage or _first(frames, (DASK,)) or OTHER


def _first(frames: Sequence[str], classes: Sequence[tuple[str, str]]) -> str | None:
    for frame in frames:
        for name, pattern in classes:
            if re.search(pattern, frame):
                return name
    return None


def _imports(command: Command) -> str:
    """The seconds that the first process imports, and the largest of its packages."""
    if command.before is not None:
        command.before()
    timed = [sys.executable, "-X", "importtime", *command.arguments]
    done = subprocess.run(timed, check=True, capture_output=True, text=True)
    seconds: Counter[str] = Counter()
    for own, package in re.findall(r"import time: +(\d+) \| +\d+ \| +([\w]+)", done.stderr):
        seconds[package] += int(own)
    largest = ", ".join(f"{name} {own / 1e6:.2f}" for name, own in seconds.most_common(6))
    return f"{seconds.total() / 1e6:.2f} s: {largest}"
