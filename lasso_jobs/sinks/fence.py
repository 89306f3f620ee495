"""Refuses a change that does not fit its output, or that another writer has overtaken.

The fence between writers is a table's next version, which one of several can take. `commit` of
each sink hands its `Turn` to `compare_and_swap`, which looks, tries, and looks again.
"""

import dataclasses
from collections.abc import Sequence
from typing import Protocol, TypeVar

from lasso_jobs.errors import OutputError
from lasso_jobs.sinks.partitions import by_columns, columns_of, plain_schema
from lasso_jobs.sinks.protocol import Change

State = TypeVar("State")


class Turn(Protocol[State]):
    """How one commit looks at an output and writes its next version."""

    def look(self) -> tuple[State | None, set[str]]:
        """The output's state, None if it is not there, and the names that it shows now.

        Names are of files or staging tables, of the partitions that the commit replaces.
        """

    def shown_at(self, version: int) -> set[str]:
        """The names that these partitions had in an earlier version."""

    def swap(self, state: State | None) -> int | None:
        """Write the version after a state and return it, or None if another writer took it."""

    def version_of(self, state: State) -> int:
        """The version to return if the output shows already what is wanted."""


def compare_and_swap(change: Change, turn: Turn[State], wanted: set[str]) -> int:
    """Write an output's next version, unless another writer changed the same partitions meanwhile.

    Parameters
    ----------
    change : Change
    turn : Turn
    wanted : set of str
        Names of what the partitions are to show.
    """
    before = shown_when_seen(change, turn)
    for _ in range(100):
        state, live = turn.look()
        changed = before is not None and before != live
        # Partitions that were empty and are to be is no sign of a commit: it has yet to be noted.
        if state is not None and live == wanted and (live or changed):
            return turn.version_of(state)
        refuse_overtaken(change.root, before, live)
        before, version = live, turn.swap(state)
        if version is not None:
            return version
    raise OutputError(change.root, "too many writers at once", "a few", "Run this again later")


def shown_when_seen(change: Change, turn: Turn[State]) -> set[str] | None:
    """The names that the partitions had when the caller looked; None if it did not look."""
    version = change.seen_version
    if version is None:
        return None
    return turn.shown_at(version) if version >= 0 else set()


def refuse_overtaken(root: str, before: set[str] | None, live: set[str]) -> None:
    """Refuse to go on if partitions show other names than they did, where that is known."""
    if before is not None and before != live:
        found, expected = "another run committed the same partitions meanwhile", "one at a time"
        raise OutputError(root, found, expected, "Look at its rows, then run this again")


def refuse_other(where: str, what: str, found: Sequence[str], expected: Sequence[str]) -> None:
    """Refuse a list of names that is not the expected one, and name those that differ.

    Examples
    --------
    >>> refuse_other("scores", "columns", ["x double"], ["x long"])
    Traceback (most recent call last):
    lasso_jobs.errors.OutputError: scores: is to get columns x double; expected columns x long, ...
    """
    if [*found] != [*expected]:
        surplus = ", ".join(name for name in found if name not in expected)
        lacking = ", ".join(name for name in expected if name not in found)
        gets = f"is to get {what} {surplus}" if surplus else f"is to get no {what} {lacking}"
        has = f"{what} {lacking}, as it has them" if lacking else "no others than it has"
        remedy = "Correct the job or its source to that, or name another output"
        raise OutputError(where, gets, has, remedy)


def consistent(change: Change, *, lists: bool = False) -> Change:
    """The change in plain column types, whose `replaced` names every partition that it replaces.

    Raises
    ------
    OutputError
        If a file or a partition does not belong to the change's columns.
    """
    schema = plain_schema(change.schema, change.partition_by, change.root, lists=lists)
    replaced = {*change.replaced, *(file.partition for file in change.files)}
    for partition in replaced:
        by = by_columns(name for name, _ in partition)
        refuse_other(change.root, "partition", [by], [by_columns(change.partition_by)])
    columns = columns_of(schema) if change.files else ()
    for file in change.files:
        refuse_other(f"{change.root}/{file.path}", "columns", file.columns, columns)
    return dataclasses.replace(change, schema=schema, replaced=frozenset(replaced))
