"""``lasso-jobs compare``: searches other estimators."""

import argparse

from lasso_jobs import cli
from lasso_jobs.cli import terminal
from lasso_jobs.cli.usage import DONE


def add_command(commands: cli.Commands) -> None:
    """Add ``compare``."""
    text = "Search other estimators on a sample of a training's rows"
    compare = cli.add(commands, "compare", _compare, text)
    cli.add_job(compare)
    cli.add_settings(compare)
    cli.add_cluster(compare)


def _compare(options: argparse.Namespace) -> int:
    from lasso_jobs.comparison.run import compare
    from lasso_jobs.jobs.train import TrainJob

    job = cli.read_job(TrainJob, options)
    with terminal.progress(options.quiet or options.json) as progress:
        comparison = compare(job, options.cluster, options.workers, progress)
    if options.json:
        terminal.print_json(comparison.as_values())
    elif not options.quiet:
        terminal.show(comparison.in_words())
        terminal.heading("Families, in the target's units")
        terminal.table([family.in_words() for family in comparison.families])
        terminal.heading(comparison.conclusion().text)
    return DONE
