"""Prints what a person sees: progress on standard error, results on standard output.

No other module of the command line prints. What a terminal would obey is escaped here.
"""

import io
import logging
import os
import sys
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from lasso_jobs import escape
from lasso_jobs.progress import Progress
from lasso_jobs.redact import redacted_values

SECONDS_BETWEEN_LINES = 10.0
_COLOURS = {"ok": 32, "unknown": 35, "watch": 33, "alarm": 31}
"""Of verdicts, on a terminal: green, magenta, yellow, red."""


@contextmanager
def progress(quiet: bool) -> Iterator[Progress | None]:
    """A bar on a terminal, plain lines elsewhere, nothing if quiet."""
    if quiet:
        yield None
    elif sys.stderr.isatty():
        with _bars() as progress:
            yield progress
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
            note(f"{stage}: {done} of {total}")


@contextmanager
def _bars() -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.description:>10}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Bars(*columns, console=Console(stderr=True)) as bars:
        tasks: dict[str, Any] = {}

        def show(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(escape.line(stage), total=total)
            bars.update(tasks[stage], completed=done, total=total)

        yield show


def show(lines: Mapping[str, object]) -> None:
    """Print names and values, one to a line."""
    shown = {escape.shown(name): escape.shown(str(value)) for name, value in lines.items()}
    width = max(map(len, shown), default=0)
    for name, value in shown.items():
        sys.stdout.write(f"{name:>{width}}  {_coloured(name, value)}\n")
    sys.stdout.flush()


def print_json(values: Any) -> None:
    """Print one JSON object, in ASCII; what is not defined is null, and secrets are taken out."""
    from lasso_jobs.storage.json_text import json_text

    sys.stdout.write(json_text(redacted_values(values), indent=2) + "\n")


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
    heads = [escape.shown(name) for name in names]
    widths = [max(len(n), *(len(row[j]) for row in cells)) for j, n in enumerate(heads)]
    for row in [heads, *cells]:
        parts = [
            _coloured(name, cell.rjust(width) if right else cell.ljust(width))
            for name, cell, width, right in zip(heads, row, widths, numeric, strict=True)
        ]
        sys.stdout.write("  ".join(parts).rstrip() + "\n")
    sys.stdout.flush()


def heading(text: str) -> None:
    """Print a heading."""
    line()
    line(text)


def line(text: str = "") -> None:
    """Print a line."""
    escape.write(sys.stdout, f"{escape.shown(text)}\n")


def lines(text: str) -> None:
    """Print a text of several lines, each of which ends with a line end."""
    escape.write(sys.stdout, text)


def exactly(text: str) -> None:
    """Print a text for another program, in UTF-8 and not escaped, unless a person reads it.

    A level that looks like a password, or has a control character, is part of the program.
    """
    if sys.stdout.isatty():
        lines(text)
    else:
        sys.stdout.flush()
        sys.stdout.buffer.write(text.encode())
        sys.stdout.buffer.flush()


def note(text: str) -> None:
    """Print a line on standard error; that nobody reads it ends no job."""
    try:
        escape.write(sys.stderr, f"{escape.shown(text)}\n")
    except BrokenPipeError:
        sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115 - until the process ends


def prepare(debug: bool) -> None:
    """Escape what Python itself would print: log lines, and with ``--debug`` tracebacks.

    A character that the terminal's encoding lacks is written as its escape, too.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    if logging.lastResort is not None:
        logging.lastResort.setFormatter(_Escaped())
    if debug:
        handler = logging.StreamHandler()
        handler.setFormatter(_Escaped(logging.BASIC_FORMAT))
        logging.basicConfig(level=logging.INFO, handlers=[handler])
        sys.excepthook = _print_traceback


class _Escaped(logging.Formatter):
    """Formats a record as one line, and its traceback as lines of its own."""

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        return "\n".join(map(escape.shown, text.split("\n")))


def _print_traceback(
    kind: type[BaseException], error: BaseException, where: TracebackType | None
) -> None:
    escape.write(sys.stderr, "".join(traceback.format_exception(kind, error, where)))


def _coloured(name: str, text: str) -> str:
    """A verdict in its colour, on a terminal; other text, and all text elsewhere, as it is."""
    colour = _COLOURS.get(text.strip()) if name == "verdict" else None
    if colour is None or not sys.stdout.isatty() or os.environ.get("NO_COLOR"):
        return text
    return f"\x1b[{colour}m{text}\x1b[0m"


def _text(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else escape.shown(str(value))
