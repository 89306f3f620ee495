"""The command line's part about a registry: models, their reports, the cache."""

import argparse
import sys
from collections.abc import Callable
from typing import Any

DONE = 0
Command = Callable[[argparse.Namespace], int]


def add_commands(commands: Any, with_common: Callable[[Any, Command], Any]) -> None:
    """``lasso-jobs models`` and ``lasso-jobs cache``."""
    models = commands.add_parser("models", help="Look at models, and move the champion alias")
    actions = models.add_subparsers(required=True, metavar="ACTION")
    with_common(actions.add_parser("list", help="Names, versions, aliases"), _models_list)
    shown = with_common(actions.add_parser("show", help="One version"), _models_show)
    shown.add_argument("model", help="NAME, NAME@vN or NAME@ALIAS")
    _add_report(actions, with_common)
    promoted = with_common(actions.add_parser("promote", help="Make it champion"), _promote)
    promoted.add_argument("model", help="NAME@vN")
    back = with_common(actions.add_parser("rollback", help="The champion before"), _rollback)
    back.add_argument("model", metavar="NAME", help="of the model")
    for action in (promoted, back):
        action.add_argument("--why", default="by hand", help="for the audit log")
    cache = commands.add_parser("cache", help="What trainings have read, kept in the registry")
    kept = cache.add_subparsers(required=True, metavar="ACTION")
    with_common(kept.add_parser("list", help="Entries, the least recently used first"), _cached)
    pruned = with_common(kept.add_parser("prune", help="Remove entries"), _prune)
    which = pruned.add_mutually_exclusive_group(required=True)
    which.add_argument("--days", type=float, help="those that were not used for so long")
    which.add_argument("--max-bytes", type=int, help="the least recently used, down to this")
    which.add_argument("--all", action="store_true", help="every entry")
    for action in (*actions.choices.values(), *kept.choices.values()):
        action.add_argument("--registry", default="models", help="its place (%(default)s)")


def _add_report(actions: Any, with_common: Callable[[Any, Command], Any]) -> None:
    """The commands that read a model's report and its card."""
    report = with_common(actions.add_parser("report", help="The training report"), _show_report)
    report.add_argument("model", help="NAME, NAME@vN or NAME@ALIAS")
    report.add_argument("--html", metavar="FILE", help="write its page")
    card = with_common(actions.add_parser("card", help="The model card, in Markdown"), _show_card)
    card.add_argument("model", help="NAME, NAME@vN or NAME@ALIAS")
    card.add_argument("--output", metavar="FILE", help="write it there")


def _models_list(options: argparse.Namespace) -> int:
    from lasso_jobs import terminal
    from lasso_jobs.artifacts.registry import Registry
    from lasso_jobs.jobs import summary

    rows = summary.of_registry(Registry(options.registry))
    if options.json:
        terminal.print_json({"models": rows})
    else:
        terminal.table(
            [
                {
                    "name": row["name"],
                    "versions": " ".join(row["versions"]),
                    "aliases": ", ".join(f"{a} = {v}" for a, v in row["aliases"].items()),
                }
                for row in rows
            ]
        )
    return DONE


def _models_show(options: argparse.Namespace) -> int:
    from lasso_jobs import terminal
    from lasso_jobs.artifacts.registry import Registry
    from lasso_jobs.jobs import findings, summary

    registry = Registry(options.registry)
    values = summary.of_model(registry, options.model)
    if options.json:
        terminal.print_json(values)
    else:
        hidden = ("coef", "job", "moves", "stability", "diagnostics")
        model = registry.load(options.model).model
        if values["holdout"]:
            long = ("expected", "expected_by", "intervals")
            values["holdout"] = {k: v for k, v in values["holdout"].items() if k not in long}
        terminal.show({k: v for k, v in values.items() if k not in hidden})
        terminal.show(findings.in_words(model))
        terminal.heading("Coefficients, the strongest first")
        terminal.table(summary.coefficients(model))
        terminal.heading("Alias moves")
        terminal.table(values["moves"])
    return DONE


def _promote(options: argparse.Namespace) -> int:
    from lasso_jobs.artifacts.registry import Registry

    return _moved(Registry(options.registry).promote(options.model, options.why), options)


def _rollback(options: argparse.Namespace) -> int:
    from lasso_jobs.artifacts.registry import Registry

    return _moved(Registry(options.registry).rollback(options.model, options.why), options)


def _cached(options: argparse.Namespace) -> int:
    from lasso_jobs import terminal
    from lasso_jobs.artifacts.cache import Cache
    from lasso_jobs.jobs import summary

    values = summary.of_cache(Cache(options.registry).entries())
    if options.json:
        terminal.print_json(values)
    else:
        terminal.table(values["entries"])
        terminal.show({"bytes": values["bytes"]})
    return DONE


def _prune(options: argparse.Namespace) -> int:
    from lasso_jobs import terminal
    from lasso_jobs.artifacts.cache import Cache

    cache = Cache(options.registry)
    removed = cache.prune(options.days, 0 if options.all else options.max_bytes)
    values = {
        "removed": len(removed),
        "bytes_removed": sum(entry.size_bytes for entry in removed),
        "bytes_left": sum(entry.size_bytes for entry in cache.entries()),
    }
    if options.json:
        terminal.print_json(values)
    elif not options.quiet:
        terminal.show(values)
    return DONE


def _moved(move: Any, options: argparse.Namespace) -> int:
    import dataclasses

    from lasso_jobs import terminal

    terminal.result(dataclasses.asdict(move), options.json, options.quiet)
    return DONE


def _show_report(options: argparse.Namespace) -> int:
    from lasso_jobs import terminal
    from lasso_jobs.jobs import report

    found = report.stored(options.registry, options.model)
    if options.html:
        report.save(found.page, options.html)
    values = {"model": found.reference, "page": options.html or found.place, **found.verdicts}
    if options.json:
        terminal.print_json({**values, "checks": found.checks})
    elif not options.quiet:
        terminal.show(values)
    return DONE


def _show_card(options: argparse.Namespace) -> int:
    from lasso_jobs import terminal
    from lasso_jobs.jobs import report

    card = report.stored_card(options.registry, options.model)
    if options.output:
        report.save(card, options.output)
    if options.json:
        terminal.print_json({"model": options.model, "card": card.decode()})
    elif not (options.output or options.quiet):
        sys.stdout.write(card.decode())
    return DONE
