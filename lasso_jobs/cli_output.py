"""The command line's part about an output: dates, verify, rollback, monitor, drift."""

import argparse
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from lasso_jobs.errors import JobError

if TYPE_CHECKING:
    from lasso_jobs.jobs.score_job import ScoreJob

DONE, FAILED, ALARM = 0, 1, 3
_SHOWN = (
    *("date", "status", "version", "due"),
    *("was", "fate", "rows_scored", "rows_quarantined", "verdict"),
)
_MEASURED = (
    *("period", "model_version", "segment", "n_scored", "known_share", "rmse", "expected_rmse"),
    *("bias", "coverage", "verdict", "reason"),
)
Command = Callable[[argparse.Namespace], int]


def add_dates(score: Any) -> None:
    """Options of ``score`` that are about dates."""
    score.add_argument("--from", metavar="DAY", dest="first", help="every date from here ...")
    score.add_argument("--to", metavar="DAY", dest="last", help="... to here, each a run")
    score.add_argument(
        "--only",
        choices=["missing", "failed", "all"],
        help="of the dates: those that are not committed, those that were started and are not, or "
        "all (missing, for a range; all, for --date)",
    )
    score.add_argument("--newest-first", action="store_true", help="of a range")
    score.add_argument("--dry-run", action="store_true", help="plan, and do nothing")


def has_dates(options: argparse.Namespace) -> bool:
    """Whether a range of dates is meant, or one by its state.

    Raises
    ------
    JobError
        If the options are about dates, and there is none.
    """
    if options.first or options.last or (options.only and options.date):
        return True
    if options.only or options.newest_first:
        raise JobError("--only, --newest-first", "no dates", "--date or --from and --to", "Add it")
    return False


def add_commands(add: Callable[[str, Command, str], Any]) -> None:
    """Commands whose argument is an output."""
    verify = add("verify", _verify, "Recount an output against its log, and its source")
    verify.add_argument("--deep", action="store_true", help="score a sample of the source again")
    verify.add_argument("--seed", type=int, default=0, help="of the sample (%(default)s)")
    vacuum = add("vacuum", _vacuum, "List files that no version of an output names")
    vacuum.add_argument("--grace", type=float, metavar="HOURS", help="spare younger ones (24)")
    vacuum.add_argument("--remove", action="store_true", help="remove them")
    back = add("rollback", _rollback, "Show an earlier generation of a date again")
    back.add_argument("--date", required=True, metavar="YYYY-MM-DD", help="the date to take back")
    back.add_argument("--to", type=int, metavar="GENERATION", help="(the one before)")
    for output in (verify, vacuum, back):
        output.add_argument("output", metavar="OUTPUT", help="the path of a scoring job's output")


def add_drift(commands: Any, with_common: Callable[[Any, Command], Any]) -> None:
    """Commands that read a drift table."""
    drift = commands.add_parser("drift", help="Read what scoring runs say of drift")
    actions = drift.add_subparsers(required=True, metavar="ACTION")
    shown = with_common(actions.add_parser("show", help="A run, by default the last"), _show_drift)
    shown.add_argument("source", metavar="JOB.yaml|DRIFT_PATH", help="or the path of its table")
    shown.add_argument("--date", metavar="YYYY-MM-DD", help="the night")
    shown.add_argument("--run", metavar="ID", help="the run, or the start of its id")
    shown.add_argument("--html", metavar="FILE", help="write a page, too")


def score_nights(job: "ScoreJob", options: argparse.Namespace) -> int:
    """Score the dates that the options name, or say what they are."""
    from lasso_jobs import terminal
    from lasso_jobs.jobs import nights, summary

    first, last = options.first or options.date, options.last or options.date
    if not (first and last) or (options.date and (options.first or options.last)):
        raise JobError("--from, --to", "one of them", "both, or --date alone", "Correct it")
    days = nights.dates(first, last, options.newest_first)
    only: nights.Only = options.only or "missing"
    if options.dry_run:
        nights.refuse_unknown(job, only)
        rows = [summary.of_night(nights.status(job, day), only, job.late) for day in days]
        results: tuple[nights.NightResult, ...] = ()
    else:
        with terminal.progress(options.quiet or options.json) as report:
            cluster = (options.cluster, options.workers)
            results = nights.score_nights(job, days, only, *cluster, report)
        rows = [summary.of_night_result(result) for result in results]
    if options.json:
        terminal.print_json({"dates": rows})
    elif not options.quiet:
        names = [name for name in _SHOWN if name in rows[0]]
        terminal.table([{name: row.get(name) for name in names} for row in rows])
    failed = [result for result in results if result.error]
    for result in failed:
        sys.stderr.write(f"lasso-jobs: {result.night.date}: {result.error}\n")
    if failed:
        return FAILED
    alarms = [result for result in results if result.result and result.result.verdict == "alarm"]
    return ALARM if alarms else DONE


def monitor(options: argparse.Namespace) -> int:
    """Compare the predictions of the options' periods with what happened."""
    from lasso_jobs import terminal
    from lasso_jobs.jobs.monitor import monitor
    from lasso_jobs.jobs.monitor_job import MonitorJob

    job = MonitorJob.from_yaml(options.job)
    first, last = options.first or options.date, options.last or options.date
    if (first is None) != (last is None) or (options.date and (options.first or options.last)):
        raise JobError("--from, --to", "one of them", "both, or --date alone", "Correct it")
    job = job.on(options.date) if options.date else job
    with terminal.progress(options.quiet or options.json) as report:
        result = monitor(job, first, last, options.cluster, options.workers, report)
    if options.json:
        terminal.print_json(result.values())
    elif not options.quiet:
        terminal.table([{n: row.values()[n] for n in _MEASURED} for row in result.rows])
    return ALARM if result.verdict == "alarm" else DONE


def _show_drift(options: argparse.Namespace) -> int:
    from lasso_jobs import terminal
    from lasso_jobs.jobs import drift_show, drift_summary

    job = drift_show.job_of(options.source)
    facts = drift_show.drift_of(job.path, options.date, options.run)
    if options.html:
        drift_show.save_page(options.html, drift_show.with_target(facts, job.registry))
    if options.json:
        terminal.print_json(drift_summary.of_drift_run(facts))
    elif not options.quiet:
        terminal.show(drift_summary.in_words(facts))
        terminal.heading("Features, by how much they moved the mean prediction")
        terminal.table(drift_summary.of_features(facts))
        if others := drift_summary.of_raised_elsewhere(facts):
            terminal.heading("Other partitions")
            terminal.table(others)
    return ALARM if facts.verdict == "alarm" else DONE


def _verify(options: argparse.Namespace) -> int:
    import dataclasses

    from lasso_jobs import terminal
    from lasso_jobs.jobs.verify import verify

    found = verify(options.output, options.deep, options.seed)
    terminal.result(dataclasses.asdict(found), options.json, options.quiet)
    return DONE


def _vacuum(options: argparse.Namespace) -> int:
    from lasso_jobs import terminal
    from lasso_jobs.jobs import summary
    from lasso_jobs.jobs.vacuum import GRACE_HOURS, vacuum

    grace = GRACE_HOURS if options.grace is None else options.grace
    found = vacuum(options.output, grace, remove=options.remove)
    if not (options.json or options.quiet):
        for path in (*(orphan.path for orphan in found.orphans), *found.journals):
            sys.stdout.write(f"{path}\n")
    values = summary.of_vacuum(found, every=options.json)
    terminal.result(values, options.json, options.quiet)
    return DONE


def _rollback(options: argparse.Namespace) -> int:
    from lasso_jobs import terminal
    from lasso_jobs.jobs import summary
    from lasso_jobs.jobs.rollback import rollback

    found = rollback(options.output, options.date, options.to)
    terminal.result(summary.of_rollback(found), options.json, options.quiet)
    return DONE
