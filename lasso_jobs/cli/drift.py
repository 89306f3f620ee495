"""``lasso-jobs drift``: shows what a scoring run says of drift, and acknowledges it."""

import argparse

from lasso_jobs import cli
from lasso_jobs.cli import terminal, usage
from lasso_jobs.cli.usage import ALARM, DONE


def add_command(commands: cli.Commands) -> None:
    """Add ``drift`` and its actions."""
    actions = cli.add_group(commands, "drift", "Show what scoring runs say of drift")
    shown = cli.add(actions, "show", _show, "Show the drift of a run, by default the last")
    known = cli.add(
        actions,
        "acknowledge",
        _acknowledge,
        "Take a feature's drift as known: no alarm until it moves on",
    )
    for action in (shown, known):
        action.add_argument(
            "source",
            type=usage.text,
            metavar="JOB.yaml|DRIFT_PATH",
            help="a scoring job's file, or the path of a drift table",
        )
        action.add_argument(
            "--date", type=usage.night, metavar="YYYY-MM-DD", help="the date of the run"
        )
        action.add_argument(
            "--run", type=usage.text, metavar="ID", help="the id of the run, or the start of it"
        )
    shown.add_argument(
        "--html", type=usage.text, metavar="FILE", help="also write a page to this file"
    )
    known.add_argument(
        "--feature", type=usage.text, required=True, help="the feature, or prediction"
    )
    known.add_argument(
        "--until",
        type=usage.day,
        metavar="YYYY-MM-DD",
        help="the last day that it holds for; by default for as long as the version predicts",
    )
    known.add_argument(
        "--why", type=usage.text, required=True, help="the reason, for the audit log"
    )


def _show(options: argparse.Namespace) -> int:
    from lasso_jobs.drift import page, show, summary

    source = show.source_of(options.source)
    facts = show.drift_of(source.path, options.date, options.run)
    if options.html:
        page.save_page(options.html, show.with_target(facts, source.registry))
    if options.json:
        terminal.print_json(summary.as_values(facts))
    elif not options.quiet:
        terminal.show(summary.in_words(facts))
        terminal.heading("Features, by how much they moved the mean prediction")
        terminal.table(summary.feature_rows(facts))
        if others := summary.raised_elsewhere(facts):
            terminal.heading("Other partitions")
            terminal.table(others)
    return ALARM if facts.verdict == "alarm" else DONE


def _acknowledge(options: argparse.Namespace) -> int:
    from lasso_jobs.drift.acknowledge import acknowledge_drift

    acknowledgement = acknowledge_drift(
        options.source,
        options.feature,
        options.why,
        date=options.date,
        run=options.run,
        until=options.until,
    )
    if options.json:
        terminal.print_json(acknowledgement.as_values())
    elif not options.quiet:
        terminal.show(acknowledgement.in_words())
    return DONE
