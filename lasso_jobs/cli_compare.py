"""The command line's part that compares other estimators."""

import argparse
from collections.abc import Callable
from typing import Any

DONE = 0


def add_command(add: Callable[[str, Callable[[argparse.Namespace], int], str], Any]) -> Any:
    """``lasso-jobs compare``."""
    return add("compare", _compare, "Search other estimators on a sample of a training's rows")


def _compare(options: argparse.Namespace) -> int:
    from lasso_jobs import terminal
    from lasso_jobs.jobs import compare_verdict as v
    from lasso_jobs.jobs.compare import compare
    from lasso_jobs.jobs.train_job import TrainJob

    job = TrainJob.from_yaml(options.job, options.settings)
    job = job if options.date is None else job.on(options.date)
    with terminal.progress(options.quiet or options.json) as report:
        found = compare(job, options.cluster, options.workers, report)
    if options.json:
        terminal.print_json(v.of_comparison(found))
    elif not options.quiet:
        terminal.show(v.in_words(found))
        terminal.heading("Families, in the target's units")
        terminal.table(v.table(found))
        terminal.heading(v.verdict(found).text)
    return DONE
