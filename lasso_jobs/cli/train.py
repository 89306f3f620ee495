"""``lasso-jobs train``: trains a model."""

import argparse

from lasso_jobs import cli
from lasso_jobs.cli import terminal
from lasso_jobs.cli.usage import DONE


def add_command(commands: cli.Commands) -> None:
    """Add ``train``."""
    train = cli.add(commands, "train", _train, "Train a model")
    cli.add_job(train)
    cli.add_settings(train)
    cli.add_cluster(train)


def _train(options: argparse.Namespace) -> int:
    from lasso_jobs.jobs.train import TrainJob
    from lasso_jobs.models import summary
    from lasso_jobs.training.run import train

    job = cli.read_job(TrainJob, options)
    with terminal.progress(options.quiet or options.json) as progress:
        result = train(job, options.cluster, options.workers, progress)
    if options.json:
        terminal.print_json(result.as_values())
    elif not options.quiet:
        terminal.show(result.in_words())
        terminal.heading("Coefficients, the strongest first")
        terminal.table(summary.coefficients(result.model)[:20])
    return DONE
