"""``lasso-jobs score``: scores rows, of one date or of each in a range."""

import argparse
from typing import TYPE_CHECKING

from lasso_jobs import cli
from lasso_jobs.cli import terminal, usage
from lasso_jobs.cli.plan import show_plan
from lasso_jobs.cli.usage import ALARM, DONE, FAILED, WAITING, UsageError

if TYPE_CHECKING:
    from lasso_jobs.scoring import nights as n

_DATE_COLUMNS = (
    *("date", "status", "version", "due"),
    *("was", "fate", "rows_scored", "rows_quarantined", "verdict", "because"),
)
_DRIFT_COLUMNS = ("partition", "feature", "psi", "score_shift", "verdict", "reason")


def add_command(commands: cli.Commands) -> None:
    """Add ``score``."""
    score = cli.add(commands, "score", _score, "Score rows with a model")
    cli.add_job(score)
    score.add_argument(
        "--from",
        type=usage.day,
        metavar="DAY",
        dest="first",
        help="score every date from this one ...",
    )
    score.add_argument(
        "--to",
        type=usage.day,
        metavar="DAY",
        dest="last",
        help="... to this one, each in a run of its own",
    )
    score.add_argument(
        "--only",
        choices=["missing", "failed", "all"],
        help="which dates to score: those that are not committed (missing), those that were "
        "started but not committed (failed), or all. The default is missing for a range, and all "
        "for --date",
    )
    score.add_argument(
        "--newest-first", action="store_true", help="begin with the last date of a range"
    )
    score.add_argument("--dry-run", action="store_true", help="print the plan, and do nothing")
    cli.add_cluster(score)


def _score(options: argparse.Namespace) -> int:
    if dates := _dates(options):
        return _score_dates(dates, options)
    if options.dry_run:
        return show_plan(options)
    from lasso_jobs.jobs.score import ScoreJob
    from lasso_jobs.scoring.run import score

    job = cli.read_job(ScoreJob, options)
    with terminal.progress(options.quiet or options.json) as progress:
        result = score(job, options.cluster, options.workers, progress)
    values = result.as_values()
    if options.json:
        terminal.print_json(values)
    elif not options.quiet:
        terminal.show({k: v for k, v in values.items() if k not in ("drift", "seconds")})
        if whole := [row for row in values["drift"] if not row["segment"]]:
            terminal.heading("Drift")
            terminal.table([{name: row[name] for name in _DRIFT_COLUMNS} for row in whole])
    return ALARM if result.verdict == "alarm" else DONE


def _dates(options: argparse.Namespace) -> tuple[str, ...]:
    """The dates that are scored each by a run of its own; none if one run scores all rows.

    Raises
    ------
    UsageError
        If the options are about dates, and there is none.
    """
    from lasso_jobs.jobs.dates import dates

    days = cli.date_range(options)
    if days and (options.first or options.only):
        return dates(*days, options.newest_first)
    remedy = "Add them, or leave it out"
    if options.only:
        expected = "--date, or --from and --to"
        raise UsageError("--only", "is given without dates", expected, remedy)
    if options.newest_first:
        found = "is given without a range of dates"
        raise UsageError("--newest-first", found, "--from and --to", remedy)
    return ()


def _score_dates(dates: tuple[str, ...], options: argparse.Namespace) -> int:
    """Score dates, or with ``--dry-run`` say which are due."""
    from lasso_jobs.jobs.score import ScoreJob
    from lasso_jobs.scoring import nights

    job = cli.read_job(ScoreJob, options, of_date=False)
    only: n.NightFilter = options.only or "missing"
    results: tuple[n.NightResult, ...] = ()
    if options.dry_run:
        nights.refuse_failed_without_journal(job, only)
        listed = [nights.find_night(job, day) for day in dates]
        rows = [{**night.as_values(), "due": night.is_due(only, job.late)} for night in listed]
    else:
        with terminal.progress(options.quiet or options.json) as progress:
            results = nights.score_nights(
                job,
                dates,
                only,
                cluster=options.cluster,
                workers=options.workers,
                progress=progress,
            )
        rows = [result.as_values() for result in results]
    if options.json:
        terminal.print_json({"dates": rows})
    elif not options.quiet:
        said = any(row["because"] for row in rows)
        names = [n for n in _DATE_COLUMNS if n in rows[0] and (said or n != "because")]
        terminal.table([{name: row.get(name) for name in names} for row in rows])
    failed = [result for result in results if result.error]
    for result in failed:
        terminal.note(f"lasso-jobs: {result.night.date}: {result.error}")
    if failed:
        return FAILED
    alarms = [result for result in results if result.result and result.result.verdict == "alarm"]
    newest = max(results, key=lambda result: result.night.date, default=None)
    if newest is not None and newest.fate == "waiting":
        terminal.note(f"lasso-jobs: {newest.night.date} waits for its data: {newest.night.because}")
        return ALARM if alarms else WAITING
    return ALARM if alarms else DONE
