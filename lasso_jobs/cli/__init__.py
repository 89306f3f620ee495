"""The command line ``lasso-jobs``: a module for each group of commands.

Each of these modules has an ``add_command``, which adds its commands to the parser. What they share
is here: options of several commands, and how these are read.
"""

import argparse
from typing import TYPE_CHECKING, Any, TypeVar

from lasso_jobs.cli import usage
from lasso_jobs.cli.usage import Command, UsageError
from lasso_jobs.errors import JobError

if TYPE_CHECKING:
    from lasso_jobs.jobs.monitor import MonitorJob
    from lasso_jobs.jobs.score import ScoreJob
    from lasso_jobs.jobs.train import TrainJob

AnyJob = TypeVar("AnyJob", "TrainJob", "ScoreJob", "MonitorJob")
# argparse names its type only for itself.
Commands = Any


def add(commands: Commands, name: str, command: Command, text: str) -> argparse.ArgumentParser:
    """Add a command, with the options that every command has."""
    parser: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text)
    parser.set_defaults(command=command)
    parser.add_argument(
        "--json", action="store_true", help="print one JSON object and nothing else"
    )
    parser.add_argument("--quiet", action="store_true", help="print neither progress nor a summary")
    parser.add_argument("--debug", action="store_true", help="print tracebacks and what is logged")
    return parser


def add_group(commands: Commands, name: str, text: str) -> Commands:
    """Add a command that has commands of its own."""
    parser = commands.add_parser(name, help=text, description=text)
    return parser.add_subparsers(required=True, metavar="ACTION")


def add_job(parser: argparse.ArgumentParser) -> None:
    """Add the job file, its date, and changes of its keys."""
    parser.add_argument("job", metavar="JOB.yaml", type=usage.text, help="the job file")
    parser.add_argument(
        "--date",
        type=usage.day,
        metavar="YYYY-MM-DD",
        help="the date that takes the place of {date} in the job file",
    )
    parser.add_argument(
        "--set",
        action="append",
        type=usage.setting,
        default=[],
        metavar="KEY=VALUE",
        dest="settings",
        help="change a key of the job file, by its dotted name; may be repeated",
    )


def add_cluster(parser: argparse.ArgumentParser) -> None:
    """Add the choice of a Dask cluster."""
    parser.add_argument(
        "--cluster",
        type=usage.text,
        help="where to compute: local (threads), local-processes, a scheduler's tcp:// or tls:// "
        "address, or a file of options. The default is LASSO_JOBS_CLUSTER, or local",
    )
    parser.add_argument(
        "--workers",
        type=usage.whole(1),
        help="how many workers a local cluster has; the default is one for each core",
    )


def add_registry(parser: argparse.ArgumentParser) -> None:
    """Add the registry's place."""
    parser.add_argument(
        "--registry",
        type=usage.text,
        default="models",
        help="where models are kept (%(default)s)",
    )


def read_job(kind: type[AnyJob], options: argparse.Namespace, *, of_date: bool = True) -> AnyJob:
    """Read the job file with its settings, and as of the date if one is given and wanted."""
    try:
        job = kind.from_yaml(options.job, options.settings)
    except JobError as error:
        if error.where.startswith("--set"):
            raise UsageError(*error.args) from error
        raise
    return job.on(options.date) if of_date and options.date is not None else job


def date_range(options: argparse.Namespace) -> tuple[str, str] | None:
    """Read the first and the last date of ``--from`` and ``--to``, or ``--date`` for both.

    Raises
    ------
    UsageError
        If there is only one of ``--from`` and ``--to``, or ``--date`` besides, or they are
        no range.
    """
    first, last = options.first, options.last
    expected = "--from and --to, both, or --date alone"
    if options.date and (first or last):
        given = " and ".join(name for name, day in (("--from", first), ("--to", last)) if day)
        raise UsageError("--date", f"is given with {given}", expected, "Leave one of them out")
    if options.date:
        return options.date, options.date
    if not (first or last):
        return None
    if not (first and last):
        alone, other = ("--from", "--to") if first else ("--to", "--from")
        raise UsageError(alone, f"is given without {other}", expected, f"Add {other}")
    from lasso_jobs.jobs.dates import dates

    try:
        dates(first, last)
    except JobError as error:
        raise UsageError(*error.args) from error
    return first, last
