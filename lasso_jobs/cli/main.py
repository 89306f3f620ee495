"""Runs the command that the arguments name, and turns how it ends into an exit status.

What a command needs is imported when it runs: ``--help`` loads no other package.
"""

import argparse
import os
import select
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from lasso_jobs import escape
from lasso_jobs.cli import (
    cache,
    demo,
    deploy,
    drift,
    models,
    monitor,
    outputs,
    plan,
    score,
    serve,
    terminal,
    train,
)
from lasso_jobs.cli.usage import (
    FAILED,
    INTERRUPTED,
    NOBODY_READS,
    WRONG_USAGE,
    Command,
    Parser,
    UsageError,
    check_cluster,
)
from lasso_jobs.errors import LassoJobsError

INTERRUPTED_TEXT = (
    "lasso-jobs: Interrupted. Each output is as its last commit left it; run the same command "
    "again to continue."
)

# In the order of the help.
GROUPS = (demo, train, score, monitor, plan, outputs, drift, models, serve, cache, deploy)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Returns
    -------
    int
        0 done, 1 failed, 2 wrong usage, 3 done but with an alarm, 4 done but for the newest date,
        which has no data yet.
    """
    debug, ended = False, FAILED
    try:
        options = build_parser().parse_args(arguments)
        debug = options.debug
        terminal.prepare(debug)
        check_cluster(options)
        command: Command = options.command
        status = command(options)
        sys.stdout.flush()
        return status
    except LassoJobsError as error:
        message = str(error)
        ended = WRONG_USAGE if isinstance(error, UsageError) else FAILED
        if debug:
            raise
    except KeyboardInterrupt:
        terminal.note(INTERRUPTED_TEXT)
        return INTERRUPTED
    except Exception as error:
        if isinstance(error, BrokenPipeError) and _nobody_reads():
            return NOBODY_READS
        if debug:
            raise
        what = escape.line(f"{type(error).__name__}: {error}")
        message = f"{what}. This is unexpected: run again with --debug, and report it"
    terminal.note(f"lasso-jobs: {message}")
    return ended


def build_parser() -> argparse.ArgumentParser:
    """The parser of every command."""
    parser = Parser(
        prog="lasso-jobs",
        description="LASSO regression on data larger than memory, as jobs.",
        epilog="Exit status: 0 done, 1 failed, 2 wrong usage, 3 done but with an alarm, 4 done but "
        "for the newest date, which has no data yet.",
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version, and exit")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for group in GROUPS:
        group.add_command(commands)
    return parser


class _Version(argparse.Action):
    """Prints the version; argparse's own action would look it up for every command."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> NoReturn:
        from lasso_jobs import __version__

        terminal.line(f"lasso-jobs {__version__}")
        sys.exit()


def _nobody_reads() -> bool:
    """Tell whether standard output is a pipe whose reader has left, as ``| head`` does."""
    output = select.poll()
    output.register(sys.stdout.fileno(), 0)
    if not output.poll(0):
        return False
    # Python flushes once more when it ends.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return True
