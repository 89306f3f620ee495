"""``lasso-jobs cache``: lists and prunes what trainings have kept of what they read."""

import argparse
from typing import TYPE_CHECKING, Any

from lasso_jobs import cli
from lasso_jobs.cli import terminal, usage
from lasso_jobs.cli.usage import DONE

if TYPE_CHECKING:
    from lasso_jobs.training.read.cache_folder import Entry


def add_command(commands: cli.Commands) -> None:
    """Add ``cache`` and its actions."""
    text = "List or prune what trainings have read, which the registry keeps"
    actions = cli.add_group(commands, "cache", text)
    cli.add(actions, "list", _list, "List the entries, the least recently used first")
    pruned = cli.add(actions, "prune", _prune, "Remove entries")
    which = pruned.add_mutually_exclusive_group(required=True)
    which.add_argument(
        "--days", type=usage.amount, help="remove what was not used for so many days"
    )
    which.add_argument(
        "--max-bytes",
        type=usage.whole(0),
        help="remove the least recently used, until no more than this is left",
    )
    which.add_argument("--all", action="store_true", help="remove every entry")
    for action in actions.choices.values():
        cli.add_registry(action)


def _entries(registry: str) -> "list[Entry]":
    """The entries; where there are none, there must be a registry."""
    from lasso_jobs.models.registry import Registry
    from lasso_jobs.training.read.cache_folder import Cache

    entries = Cache(registry).entries()
    if not entries:
        Registry(registry).as_values()
    return entries


def _list(options: argparse.Namespace) -> int:
    entries = _entries(options.registry)
    values: dict[str, Any] = {
        "entries": [entry.as_values() for entry in entries],
        "bytes": sum(entry.size_bytes for entry in entries),
    }
    if options.json:
        terminal.print_json(values)
    else:
        terminal.table(values["entries"])
        terminal.show({"bytes": values["bytes"]})
    return DONE


def _prune(options: argparse.Namespace) -> int:
    from lasso_jobs.training.read.cache_folder import Cache

    _entries(options.registry)
    cache = Cache(options.registry)
    removed = cache.prune(options.days, 0 if options.all else options.max_bytes)
    values: dict[str, Any] = {
        "removed": len(removed),
        "bytes_removed": sum(entry.size_bytes for entry in removed),
        "bytes_left": sum(entry.size_bytes for entry in cache.entries()),
    }
    terminal.result(values, options.json, options.quiet)
    return DONE
