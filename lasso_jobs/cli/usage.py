"""What a command is, the exit statuses, and the values of options that are wrong usage.

A value is refused here, in one line, if it fits no job. What it means for a job, its data and its
tables is found out later, and then the job has failed.
"""

import argparse
import math
from collections.abc import Callable
from datetime import date
from typing import NoReturn

from lasso_jobs import escape
from lasso_jobs.errors import JobError

DONE, FAILED, WRONG_USAGE, ALARM, WAITING = 0, 1, 2, 3, 4
INTERRUPTED = 130
NOBODY_READS = 141
"""As of a program that SIGPIPE ends."""

Command = Callable[[argparse.Namespace], int]
"""Does what the options say, and returns an exit status."""


class UsageError(JobError):
    """Options that do not fit each other, or a value that fits no job."""


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line; the whole usage is in the help."""

    def error(self, message: str) -> NoReturn:
        """Print the message, and exit."""
        line = f"{self.prog}: {escape.line(message)}. See '{self.prog} --help'."
        self.exit(WRONG_USAGE, f"{line}\n")


def _refused(value: str, expected: str) -> argparse.ArgumentTypeError:
    return argparse.ArgumentTypeError(f"{value!r}; expected {expected}")


def text(value: str) -> str:
    """Any text but an empty one, which a shell makes of a variable that is not set."""
    if not value.strip():
        raise _refused(value, "a text that is not empty")
    return value


def day(value: str) -> str:
    """A date."""
    try:
        if date.fromisoformat(value).isoformat() == value:
            return value
    except ValueError:
        pass
    raise _refused(value, "a date, YYYY-MM-DD")


def night(value: str) -> str:
    """A day, month or hour, as a partition may be named."""
    from lasso_jobs.drift.table import night as in_iso_form

    if in_iso_form(value) is None:
        raise _refused(value, "a day, month or hour, such as 2013-10-01, 2013-10 or 2013-10-01T05")
    return value


def whole(least: int, most: int | None = None) -> Callable[[str], int]:
    """A whole number, at least and at most so large."""

    def read(value: str) -> int:
        try:
            number = int(value)
        except ValueError:
            number = least - 1
        if most is not None and not least <= number <= most:
            raise _refused(value, f"a whole number from {least} to {most}")
        if number < least:
            raise _refused(value, f"a whole number, at least {least}")
        return number

    return read


def amount(value: str) -> float:
    """A finite number, zero or more."""
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not 0 <= number < math.inf:
        raise _refused(value, "a number, zero or more")
    return number


def seconds(value: str) -> float:
    """A finite number of seconds, more than zero."""
    number = amount(value)
    if number == 0:
        raise _refused(value, "a number of seconds, more than zero")
    return number


def setting(value: str) -> str:
    """A key and its value."""
    if not value.partition("=")[0].strip() or "=" not in value:
        raise _refused(value, "KEY=VALUE, such as search.folds=10")
    return value


def address(value: str) -> str:
    """An address on the web."""
    if not value.startswith(("http://", "https://")):
        raise _refused(value, "an address such as http://127.0.0.1:4200/api")
    return value


def check_cluster(options: argparse.Namespace) -> None:
    """Check where a command is to compute, before it begins: it may connect much later, or never.

    Raises
    ------
    UsageError
    """
    cluster, workers = getattr(options, "cluster", None), getattr(options, "workers", None)
    if cluster is None and workers is None:
        return
    from lasso_jobs.engine.cluster_options import Cluster
    from lasso_jobs.errors import ClusterError

    try:
        Cluster.of(cluster, workers)
    except ClusterError as error:
        raise UsageError(*error.args) from error
