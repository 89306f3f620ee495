"""``lasso-jobs monitor``: compares predictions with what happened."""

import argparse

from lasso_jobs import cli
from lasso_jobs.cli import terminal, usage
from lasso_jobs.cli.usage import ALARM, DONE

_COLUMNS = (
    *("period", "model_version", "segment", "n_scored", "known_share", "rmse", "expected_rmse"),
    *("bias", "coverage", "verdict", "reason"),
)


def add_command(commands: cli.Commands) -> None:
    """Add ``monitor``."""
    monitor = cli.add(commands, "monitor", _monitor, "Compare predictions with what happened")
    cli.add_job(monitor)
    monitor.add_argument(
        "--from",
        type=usage.day,
        metavar="DAY",
        dest="first",
        help="measure every period from this day ...",
    )
    monitor.add_argument("--to", type=usage.day, metavar="DAY", dest="last", help="... to this day")
    cli.add_cluster(monitor)


def _monitor(options: argparse.Namespace) -> int:
    from lasso_jobs.jobs.monitor import MonitorJob
    from lasso_jobs.monitoring.run import monitor

    first, last = cli.date_range(options) or (None, None)
    job = cli.read_job(MonitorJob, options)
    with terminal.progress(options.quiet or options.json) as progress:
        result = monitor(
            job, first, last, cluster=options.cluster, workers=options.workers, progress=progress
        )
    if options.json:
        terminal.print_json(result.as_values())
    elif not options.quiet:
        terminal.table([{n: row.as_values()[n] for n in _COLUMNS} for row in result.rows])
        terminal.show({"verdict": result.verdict, "because": result.because})
    return ALARM if result.verdict == "alarm" else DONE
