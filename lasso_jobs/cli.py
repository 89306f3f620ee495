"""The command line. Heavy imports wait until a command needs them."""

import argparse
import logging
import os
import select
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any

from lasso_jobs import cli_compare, cli_deploy, cli_output, cli_registry
from lasso_jobs.cli_output import ALARM, DONE, FAILED
from lasso_jobs.errors import LassoJobsError

INTERRUPTED = 130
NOBODY_READS = 141
"""As of a program that SIGPIPE ends."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Returns
    -------
    int
        0 done, 1 failed, 2 wrong usage (by `argparse`), 3 done but with an alarm.
    """
    options = _parser().parse_args(arguments)
    if threading.current_thread() is threading.main_thread():
        # As with Ctrl-C, a cluster of our own is closed.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    if options.debug:
        logging.basicConfig(level=logging.INFO)
    command: Callable[[argparse.Namespace], int] = options.command
    try:
        status = command(options)
        sys.stdout.flush()
        return status
    except LassoJobsError as error:
        message = str(error)
        if options.debug:
            raise
    except KeyboardInterrupt:
        sys.stderr.write("lasso-jobs: interrupted; nothing was committed after the last line\n")
        return INTERRUPTED
    except Exception as error:
        if isinstance(error, BrokenPipeError) and _nobody_reads():
            return NOBODY_READS
        if options.debug:
            raise
        what = " ".join(f"{type(error).__name__}: {error}".split())
        message = f"{what}. This is unexpected: run again with --debug, and report it"
    sys.stderr.write(f"lasso-jobs: {message}\n")
    return FAILED


def _nobody_reads() -> bool:
    """Tell whether standard output is a pipe whose reader has left, as ``| head`` does."""
    output = select.poll()
    output.register(sys.stdout.fileno(), 0)
    if not output.poll(0):
        return False
    # Python flushes once more when it ends.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return True


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lasso-jobs",
        description="LASSO regression on data larger than memory, as jobs.",
        epilog="Exit status: 0 done, 1 failed, 2 wrong usage, 3 done but with an alarm.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, command: Callable[[argparse.Namespace], int], text: str) -> Any:
        added = commands.add_parser(name, help=text, description=text)
        return _with_common(added, command)

    demo = add("demo", _demo, "The main job on real data, through the Prefect flows")
    demo.add_argument("--dir", default="lasso-jobs-demo", help="where to write (%(default)s)")
    train = add("train", _train, "Train a model")
    score = add("score", _score, "Score rows with a model")
    cli_output.add_dates(score)
    monitor = add("monitor", cli_output.monitor, "Compare predictions with what happened")
    monitor.add_argument("--from", metavar="DAY", dest="first", help="every period from here ...")
    monitor.add_argument("--to", metavar="DAY", dest="last", help="... to here")
    compare = cli_compare.add_command(add)
    said = "a dotted key of the job file; may be repeated"
    for job in (train, compare):
        job.add_argument(
            "--set", action="append", default=[], metavar="KEY=VALUE", dest="settings", help=said
        )
    on_cluster = (train, score, monitor, compare)
    for job in (*on_cluster, add("plan", _plan, "What a job would read: footers only")):
        job.add_argument("job", metavar="JOB.yaml", help="the job file")
        job.add_argument("--date", metavar="YYYY-MM-DD", help="takes the place of {date}")
    for job in (demo, *on_cluster):
        job.add_argument(
            "--cluster",
            help="local (threads), local-processes, a scheduler's tcp:// or tls:// address, or a "
            "file of options; by default LASSO_JOBS_CLUSTER, or local",
        )
        job.add_argument("--workers", type=int, help="of a local cluster (one for each core)")
    cli_output.add_commands(add)
    cli_deploy.add_command(add)
    cli_output.add_drift(commands, _with_common)
    schema = add("schema", _schema, "The JSON Schema of a job file")
    schema.add_argument("job", choices=["train", "score", "monitor"], help="which")
    cli_registry.add_commands(commands, _with_common)
    return parser


def _with_common(parser: Any, command: Callable[[argparse.Namespace], int]) -> Any:
    parser.set_defaults(command=command)
    parser.add_argument("--json", action="store_true", help="one JSON object, nothing else")
    parser.add_argument("--quiet", action="store_true", help="no progress, no summary")
    parser.add_argument("--debug", action="store_true", help="tracebacks and warnings")
    return parser


def _demo(options: argparse.Namespace) -> int:
    from flows.demo import run

    return run(options.dir, options.cluster, options.workers, options.json, options.quiet)


def _train(options: argparse.Namespace) -> int:
    from lasso_jobs import terminal
    from lasso_jobs.jobs import summary
    from lasso_jobs.jobs.train import train
    from lasso_jobs.jobs.train_job import TrainJob

    job = TrainJob.from_yaml(options.job, options.settings)
    job = job if options.date is None else job.on(options.date)
    with terminal.progress(options.quiet or options.json) as report:
        result = train(job, options.cluster, options.workers, report)
    if options.json:
        terminal.print_json(summary.of_training(result))
    elif not options.quiet:
        terminal.show(summary.metrics(result))
        terminal.heading("Coefficients, the strongest first")
        terminal.table(summary.coefficients(result.model)[:20])
    return DONE


def _score(options: argparse.Namespace) -> int:
    from lasso_jobs import terminal
    from lasso_jobs.jobs import summary
    from lasso_jobs.jobs.score import score
    from lasso_jobs.jobs.score_job import ScoreJob

    job = ScoreJob.from_yaml(options.job)
    if cli_output.has_dates(options):
        return cli_output.score_nights(job, options)
    if options.dry_run:
        return _plan(options)
    job = job if options.date is None else job.on(options.date)
    with terminal.progress(options.quiet or options.json) as report:
        result = score(job, options.cluster, options.workers, report)
    values = summary.of_scoring(result)
    if options.json:
        terminal.print_json(values)
    elif not options.quiet:
        terminal.show({k: v for k, v in values.items() if k not in ("drift", "seconds")})
        terminal.heading("Drift")
        names = ("partition", "feature", "psi", "score_shift", "verdict", "reason")
        whole = [row for row in values["drift"] if not row["segment"]]
        terminal.table([{name: row[name] for name in names} for row in whole])
    return ALARM if result.verdict == "alarm" else DONE


def _plan(options: argparse.Namespace) -> int:
    from lasso_jobs import terminal
    from lasso_jobs.jobs import score_plan, summary, train_plan
    from lasso_jobs.jobs.job_file import load_yaml
    from lasso_jobs.jobs.score_job import ScoreJob
    from lasso_jobs.jobs.train_job import TrainJob

    if "model" in load_yaml(options.job):
        scoring = ScoreJob.from_yaml(options.job)
        scoring = scoring if options.date is None else scoring.on(options.date)
        values = summary.of_score_plan(score_plan.plan(scoring))
    else:
        training = TrainJob.from_yaml(options.job)
        training = training if options.date is None else training.on(options.date)
        values = summary.of_train_plan(train_plan.plan(training))
    if not options.json:
        odd = [row for row in values.pop("schema_verdicts", []) if row["fate"] != "ok"]
        values |= {"extra_columns": ", ".join(values.pop("extra_columns", [])) or "none"}
        terminal.result(values, False, options.quiet)
        if odd and not options.quiet:
            terminal.heading("Columns that deviate")
            terminal.table(odd)
        return DONE
    terminal.result(values, options.json, options.quiet)
    return DONE


def _schema(options: argparse.Namespace) -> int:
    from lasso_jobs import terminal
    from lasso_jobs.jobs.monitor_job import MonitorJob
    from lasso_jobs.jobs.score_job import ScoreJob
    from lasso_jobs.jobs.train_job import TrainJob

    jobs: dict[str, Any] = {"train": TrainJob, "score": ScoreJob, "monitor": MonitorJob}
    terminal.print_json(jobs[options.job].model_json_schema())
    return DONE
