"""``lasso-jobs train`` and ``compare``: a model, and other estimators beside it."""

import argparse

from lasso_jobs import cli
from lasso_jobs.cli import terminal
from lasso_jobs.cli.usage import DONE


def add_command(commands: cli.Commands) -> None:
    """Add ``train`` and ``compare``."""
    text = "Search other estimators on a sample of a training's rows"
    for name, command, said in (("train", _train, "Train a model"), ("compare", _compare, text)):
        parser = cli.add(commands, name, command, said)
        cli.add_job(parser)
        cli.add_cluster(parser)


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
        terminal.heading(
            "Importance: how much the MSE rises, as its share, if a feature is shuffled"
        )
        terminal.table(comparison.importances())
        terminal.heading(comparison.conclusion().text)
    return DONE
