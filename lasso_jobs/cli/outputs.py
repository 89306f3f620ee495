"""``lasso-jobs verify``, ``vacuum`` and ``rollback``: the upkeep of an output."""

import argparse

from lasso_jobs import cli
from lasso_jobs.cli import terminal, usage
from lasso_jobs.cli.usage import DONE


def add_command(commands: cli.Commands) -> None:
    """Add ``verify``, ``vacuum`` and ``rollback``."""
    text = "Recount an output against its log and its source"
    verify = cli.add(commands, "verify", _verify, text)
    verify.add_argument(
        "--deep", action="store_true", help="also score a sample of the source again, and compare"
    )
    verify.add_argument(
        "--seed", type=usage.whole(0), default=0, help="the seed of that sample (%(default)s)"
    )
    text = "List the files that no version of an output names"
    vacuum = cli.add(commands, "vacuum", _vacuum, text)
    vacuum.add_argument(
        "--grace",
        type=usage.amount,
        metavar="HOURS",
        help="leave files alone that are younger than this (24)",
    )
    vacuum.add_argument("--remove", action="store_true", help="remove the files")
    text = "Show an earlier generation of a date again"
    rollback = cli.add(commands, "rollback", _rollback, text)
    rollback.add_argument(
        "--date",
        required=True,
        type=usage.day,
        metavar="YYYY-MM-DD",
        help="the date to take back",
    )
    rollback.add_argument(
        "--to",
        type=usage.whole(0),
        metavar="GENERATION",
        help="the generation to show; the default is the one before",
    )
    for command in (verify, vacuum, rollback):
        command.add_argument(
            "output", metavar="OUTPUT", type=usage.text, help="the path of a scoring job's output"
        )


def _verify(options: argparse.Namespace) -> int:
    from lasso_jobs.outputs.verify import verify

    result = verify(options.output, options.deep, options.seed)
    terminal.result(result.as_values(), options.json, options.quiet)
    return DONE


def _vacuum(options: argparse.Namespace) -> int:
    from lasso_jobs.outputs import vacuum

    grace = vacuum.GRACE_HOURS if options.grace is None else options.grace
    result = vacuum.vacuum(options.output, grace, remove=options.remove)
    if not (options.json or options.quiet):
        for path in (*(orphan.path for orphan in result.orphans), *result.journals):
            terminal.line(path)
        for file in result.left_alone:
            terminal.line(f"left alone: {file.path}: {file.why}")
    values = result.as_values() if options.json else result.in_words()
    terminal.result(values, options.json, options.quiet)
    return DONE


def _rollback(options: argparse.Namespace) -> int:
    from lasso_jobs.outputs import rollback

    result = rollback.rollback(options.output, options.date, options.to)
    terminal.result(result.as_values(), options.json, options.quiet)
    return DONE
