"""``lasso-jobs models``: looks at models, their reports and cards, and moves the champion."""

import argparse
from typing import TYPE_CHECKING

from lasso_jobs import cli
from lasso_jobs.cli import terminal, usage
from lasso_jobs.cli.usage import DONE, UsageError
from lasso_jobs.errors import JobError

if TYPE_CHECKING:
    from lasso_jobs.models.alias_log import Move

_REFERENCE = "NAME, NAME@vN or NAME@ALIAS"
_HIDDEN = ("coef", "job", "importance", "moves", "stability", "diagnostics")
_HIDDEN_OF_HOLDOUT = ("expected", "expected_by", "intervals")


def add_command(commands: cli.Commands) -> None:
    """Add ``models`` and its actions."""
    actions = cli.add_group(commands, "models", "Look at models, and move the alias champion")
    cli.add(actions, "list", _list, "List names, versions and aliases")
    shown = cli.add(actions, "show", _show, "Show one version")
    report = cli.add(actions, "report", _report, "Show what the training report says")
    report.add_argument(
        "--html", type=usage.text, metavar="FILE", help="also write its page to this file"
    )
    card = cli.add(actions, "card", _card, "Print the model card, in Markdown")
    card.add_argument(
        "--output", type=usage.text, metavar="FILE", help="write it to this file instead"
    )
    exported = cli.add(
        actions, "export", _export, "Export a version for others, who need not have lasso_jobs"
    )
    _add_export_options(exported)
    for action in (shown, report, card, exported):
        action.add_argument("model", type=usage.text, help=_REFERENCE)
    promoted = cli.add(actions, "promote", _promote, "Make a version the champion")
    promoted.add_argument("model", type=usage.text, help="NAME@vN")
    back = cli.add(
        actions, "rollback", _rollback, "Make the champion before this one the champion again"
    )
    back.add_argument("model", type=usage.text, metavar="NAME", help="the name of the model")
    for action in (promoted, back):
        action.add_argument(
            "--why",
            type=usage.text,
            default="by hand",
            help="the reason, for the audit log (%(default)s)",
        )
    for action in actions.choices.values():
        cli.add_registry(action)


def _add_export_options(exported: argparse.ArgumentParser) -> None:
    exported.add_argument(
        "--format", required=True, type=usage.text, help="sql, sklearn, mlflow, json or csv"
    )
    exported.add_argument(
        "--output",
        type=usage.text,
        metavar="PATH",
        help="the file, or for mlflow the new folder; a text is printed without it",
    )
    exported.add_argument(
        "--dialect",
        type=usage.text,
        help="of sql: duckdb (if not given), postgres, bigquery, snowflake, spark or tsql",
    )
    exported.add_argument(
        "--table",
        type=usage.text,
        help="of sql: write a query of this table, with intervals, and not one expression",
    )
    exported.add_argument(
        "--register",
        type=usage.text,
        metavar="URI",
        help="of mlflow: also log a run to this server, with the model and its report, and "
        "register the version",
    )
    exported.add_argument(
        "--alias",
        type=usage.text,
        help="of --register: the alias that the version gets there, instead of the model's own",
    )


def _list(options: argparse.Namespace) -> int:
    from lasso_jobs.models.registry import Registry

    rows = Registry(options.registry).as_values()
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


def _show(options: argparse.Namespace) -> int:
    from lasso_jobs.models import findings, summary
    from lasso_jobs.models.registry import Registry

    registry = Registry(options.registry)
    values = summary.as_values(registry, options.model)
    if options.json:
        terminal.print_json(values)
    else:
        model = registry.load(options.model).model
        if values["holdout"]:
            values["holdout"] = {
                k: v for k, v in values["holdout"].items() if k not in _HIDDEN_OF_HOLDOUT
            }
        terminal.show({k: v for k, v in values.items() if k not in _HIDDEN})
        terminal.show(findings.in_words(model))
        if model.importance is not None:
            terminal.heading("Features, the strongest first")
            terminal.table(findings.features(model))
        terminal.heading("Coefficients, the strongest first")
        terminal.table(summary.coefficients(model))
        terminal.heading("Alias moves")
        terminal.table(values["moves"])
    return DONE


def _report(options: argparse.Namespace) -> int:
    from lasso_jobs.training.report import store

    stored = store.stored_report(options.registry, options.model)
    if options.html:
        store.save(stored.page, options.html)
    page = options.html or stored.place
    values = {"model": stored.reference, "page": page, **stored.in_words()}
    if options.json:
        terminal.print_json({**values, "checks": stored.as_values()})
    elif not options.quiet:
        terminal.show(values)
    return DONE


def _card(options: argparse.Namespace) -> int:
    from lasso_jobs.training.report import store

    card = store.stored_card(options.registry, options.model)
    if options.output:
        store.save(card, options.output)
    if options.json:
        terminal.print_json({"model": options.model, "card": card.decode()})
    elif not (options.output or options.quiet):
        terminal.lines(card.decode())
    return DONE


def _export(options: argparse.Namespace) -> int:
    from lasso_jobs.exports import export
    from lasso_jobs.models.registry import Registry

    _check_export(options)
    registered, values = Registry(options.registry).load(options.model), {}
    if options.output or not options.register:
        exported = export.export_model(
            registered.model,
            options.format,
            options.output,
            dialect=options.dialect,
            table=options.table,
        )
        if not options.output:
            terminal.exactly(exported)
            return DONE
        values["output"] = exported
    if options.register:
        from lasso_jobs.exports import mlflow_registry

        values["registered"] = mlflow_registry.register(
            options.registry, options.model, options.register, options.alias
        )
    values = {"model": registered.reference, "format": options.format, **values}
    terminal.result(values, options.json, options.quiet)
    return DONE


def _check_export(options: argparse.Namespace) -> None:
    from lasso_jobs.exports.export import check_options

    given = {name: value for name, value in vars(options).items() if value}
    for option, wants in (("register", "mlflow"), ("table", "sql"), ("dialect", "sql")):
        if option in given and options.format != wants:
            found = f"is given with --format {options.format}"
            raise UsageError(f"--{option}", found, wants, "Leave it out")
    if "alias" in given and "register" not in given:
        expected = "--register too, as it is an alias there"
        raise UsageError("--alias", "is given without --register", expected, "Leave it out")
    place = options.output or options.register
    try:
        check_options(options.format, place, options.dialect)
    except JobError as error:
        raise UsageError(f"--{error.where}", *error.args[1:]) from error
    if options.json and not place:
        found, expected = "is given without --output", "the text alone, or a file and facts"
        raise UsageError("--json", found, expected, "Name a file, or leave --json out")


def _promote(options: argparse.Namespace) -> int:
    from lasso_jobs.models.registry import Registry

    return _moved(Registry(options.registry).promote(options.model, options.why), options)


def _rollback(options: argparse.Namespace) -> int:
    from lasso_jobs.models.registry import Registry

    return _moved(Registry(options.registry).rollback(options.model, options.why), options)


def _moved(move: "Move", options: argparse.Namespace) -> int:
    import dataclasses

    terminal.result(dataclasses.asdict(move), options.json, options.quiet)
    return DONE
