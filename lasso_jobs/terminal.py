"""What a person sees in a terminal: progress on standard error, results on standard output."""

import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from lasso_jobs.jobs.clock import Report

SECONDS_BETWEEN_LINES = 10.0


@contextmanager
def progress(quiet: bool) -> Iterator[Report | None]:
    """A bar on a terminal, plain lines elsewhere, nothing if quiet."""
    if quiet:
        yield None
    elif sys.stderr.isatty():
        with _bars() as report:
            yield report
    else:
        yield _Lines()


class _Lines:
    """A line when a stage ends, and every ten seconds before."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def __call__(self, stage: str, done: int, total: int) -> None:
        now = time.monotonic()
        if done == total or now - self._last >= SECONDS_BETWEEN_LINES:
            self._last = now
            sys.stderr.write(f"{stage}: {done} of {total}\n")
            sys.stderr.flush()


@contextmanager
def _bars() -> Iterator[Report]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description:>10}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bars:
        tasks: dict[str, Any] = {}

        def report(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=total)
            bars.update(tasks[stage], completed=done)

        yield report


def show(lines: Mapping[str, object]) -> None:
    """Print names and values, one to a line."""
    width = max(map(len, lines), default=0)
    for name, value in lines.items():
        sys.stdout.write(f"{name:>{width}}  {value}\n")
    sys.stdout.flush()


def print_json(values: Any) -> None:
    """Print one JSON object."""
    sys.stdout.write(json.dumps(values, indent=2, allow_nan=False) + "\n")


def result(values: Mapping[str, object], as_json: bool, quiet: bool) -> None:
    """Print the values of a result in the way that was asked for."""
    if as_json:
        print_json(values)
    elif not quiet:
        show(values)


def table(rows: Sequence[Mapping[str, object]]) -> None:
    """Print rows under their column names; numbers are short and flush right."""
    if not rows:
        return
    names = list(rows[0])
    cells = [[_text(row[name]) for name in names] for row in rows]
    numeric = [all(isinstance(row[name], int | float | None) for row in rows) for name in names]
    widths = [max(len(n), *(len(row[j]) for row in cells)) for j, n in enumerate(names)]
    for row in [names, *cells]:
        parts = [
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(row, widths, numeric, strict=True)
        ]
        sys.stdout.write("  ".join(parts).rstrip() + "\n")
    sys.stdout.flush()


def heading(text: str) -> None:
    """Print a heading."""
    sys.stdout.write(f"\n{text}\n")
    sys.stdout.flush()


def _text(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
