"""Measures the cases, writes their table, and judges it.

The record is a JSON object: when and on what machine, and each case as `case.measured` returns it.
"""

import argparse
import json
import os
import platform
import statistics
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil

from benchmarks.bars.case import Case, Setting, measured
from benchmarks.bars.cases import CASES
from benchmarks.bars.judge import FAILED, KNOWN, MISSED, NOISE, UNJUDGED, Judgement, judged
from benchmarks.processes import table

VERSIONS = ("numpy", "numba", "pyarrow", "dask", "scikit-learn", "dask-ml", "duckdb", "polars")
STANDARD_ROWS = 2_000_000
UNJUDGED_STATUS = 3


def machine() -> str:
    """The machine and the versions of what is measured, in one line."""
    found = []
    for name in VERSIONS:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    memory = psutil.virtual_memory().total / 2**30
    cores = f"{os.cpu_count()} cores, {memory:.0f} GiB"
    return f"{cores}; Python {platform.python_version()}, {', '.join(found)}"


def one_case(options: argparse.Namespace) -> None:
    """Measure one case, and print it."""
    case: Case = options.case
    setting = Setting(
        folder=Path(options.dir),
        rows=options.rows,
        features=options.features,
        peers=getattr(options, "peers", None),
    )
    record = measured(case, setting, options.repeat, sys.stderr.write)
    sys.stdout.write(f"{_of_commands(case, record)}\n\n{_of_bars(judged(case, record))}\n")
    if "failed" in record:
        raise SystemExit(record["failed"])


def all_cases(options: argparse.Namespace) -> dict[str, Any]:
    """Measure all cases; write their numbers as JSON, and the table as Markdown."""
    folder = Path(options.dir)
    folder.mkdir(parents=True, exist_ok=True)
    record: dict[str, Any] = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "load": os.getloadavg()[0],
        "repeat": options.repeat,
        "cases": {},
    }
    for name in options.only or CASES:
        case = CASES[name]
        rows = max(1, case.rows * options.rows // STANDARD_ROWS)
        setting = Setting(folder=folder, rows=rows, features=case.features)
        record["cases"][name] = measured(case, setting, options.repeat, sys.stderr.write)
        # After each case, so that an interruption loses one.
        text = as_markdown(record)
        (folder / "bars.json").write_text(json.dumps(record, indent=1))
        (folder / "bars.md").write_text(text)
    sys.stdout.write(f"{text}\n{folder / 'bars.md'} and bars.json are written\n")
    return record


def check(options: argparse.Namespace) -> None:
    """Judge all bars, of a file or of a run: status 1 if one is missed, 3 if one is not judged."""
    if options.file is None:
        record = all_cases(options)
    else:
        record = json.loads(Path(options.file).read_text())
        sys.stdout.write(as_markdown(record))
    verdicts = [
        judgement
        for case in CASES.values()
        for judgement in judged(case, record["cases"].get(case.name))
    ]
    sys.stdout.write("\n")
    for verdict in (MISSED, FAILED, KNOWN, NOISE, UNJUDGED):
        for found in (each for each in verdicts if each.verdict == verdict):
            sys.stdout.write(f"{verdict}: {found.bar.name}{_reason(found)}\n")
    reached = {found.verdict for found in verdicts}
    if reached & {MISSED, FAILED}:
        raise SystemExit(1)
    if UNJUDGED in reached:
        raise SystemExit(UNJUDGED_STATUS)
    sys.stdout.write("no bar is missed\n")


def as_markdown(record: dict[str, Any]) -> str:
    """The table of bars, then of each case's commands."""
    judgements = [
        judgement
        for name, found in record["cases"].items()
        for judgement in judged(CASES[name], found)
    ]
    head = (
        f"{record['machine']}\n\n{record['date']}, load {record['load']:.2f} at the start, "
        f"medians of {record['repeat']} turns.\n"
    )
    parts = [head, _of_bars(judgements)]
    parts += [f"\n{_of_commands(CASES[name], found)}" for name, found in record["cases"].items()]
    return "\n".join(parts) + "\n"


def _of_bars(judgements: list[Judgement]) -> str:
    head = ("case", "ours", "beside", "ratio", "noise", "bar", "verdict")
    rows = [
        (
            found.bar.name,
            _number(found.of),
            _number(found.beside),
            _number(found.ratio),
            "" if found.noise is None else " to ".join(_number(end) for end in found.noise),
            found.bar.at_most,
            f"{found.verdict}{_reason(found)}",
        )
        for found in judgements
    ]
    return table(head, *rows)


def _reason(found: Judgement) -> str:
    if found.because:
        return f": {found.because}"
    if found.verdict in (MISSED, NOISE):
        return f": {_number(found.ratio)}, at most {found.bar.at_most}"
    return ""


def _of_commands(case: Case, record: dict[str, Any]) -> str:
    """Medians of each command, and how far its slowest turn is from its fastest."""
    rows = []
    for name, turns in record["turns"].items():
        middle = {what: statistics.median(turn[what] for turn in turns) for what in turns[0]}
        whole = [turn["whole"] for turn in turns]
        spread = (max(whole) - min(whole)) / middle["whole"]
        work = middle.get(record["work"][name])
        peak = max(turn["peak"] for turn in turns)
        numbers = (_number(work), middle["whole"], f"{spread:.0%}", middle["processor"])
        read = f"{middle['bytes']:,.0f}" if "bytes" in middle else ""
        rows.append((name, *numbers, f"{peak:,.0f}", read))
    size = f"{case.name}, {record['rows']:,} x {record['features']:,}"
    if "failed" in record:
        return f"{size}: {record['failed']}"
    head = (size, "work s", "whole s", "spread", "processor s", "peak MB", "bytes read")
    others = f"Load {record['load']:.2f} before; others used {record['others']:.2f} cores."
    return "\n\n".join(filter(None, (table(head, *rows), others, record.get("also"))))


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"
