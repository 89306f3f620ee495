import inspect
from typing import get_args

import pytest

from lasso_jobs.data.staging import Format, Sink, compare_and_swap, sink, told
from lasso_jobs.errors import OutputError

FUNCTIONS = ("write_files", "commit", "check", "committed", "history", "exists", "read")


@pytest.mark.parametrize("format_", get_args(Format))
def test_every_format_has_a_sink_with_the_functions_of_the_protocol(format_: Format) -> None:
    found = sink(format_)
    for name in FUNCTIONS:
        expected = inspect.signature(getattr(Sink, name)).parameters
        assert list(inspect.signature(getattr(found, name)).parameters) == list(expected)[1:]


class Table:
    """Names that a table shows, and rivals that write one version each when their turn comes."""

    def __init__(self, *rivals: set[str]) -> None:
        self.names: set[str] = set()
        self.version = -1
        self.rivals = list(rivals)

    def look(self) -> tuple[int | None, set[str]]:
        return (None if self.version < 0 else self.version), set(self.names)

    def swap(self, state: int | None, mine: set[str]) -> int | None:
        if self.rivals:
            self.names, self.version = self.rivals.pop(0), self.version + 1
        if self.version != (-1 if state is None else state):
            return None
        self.names, self.version = mine, self.version + 1
        return self.version

    def commit(self, mine: set[str], before: set[str] | None = None) -> int:
        def swap(state: int | None) -> int | None:
            return self.swap(state, mine)

        return compare_and_swap("t", mine, self.look, swap, lambda v: v, before)


def test_whoever_is_alone_writes_the_next_version_once() -> None:
    table = Table()
    assert [table.commit({"a"}), table.commit({"b"}), table.commit({"b"})] == [0, 1, 1]


def test_rivals_that_leave_the_names_alone_are_waited_for() -> None:
    table = Table(set(), set(), set())
    assert table.commit({"a"}) == 3


def test_a_rival_that_changes_the_names_wins() -> None:
    table = Table({"b"})
    with pytest.raises(OutputError, match="another run committed the same partitions meanwhile"):
        table.commit({"a"})
    assert table.names == {"b"}


def test_a_rival_that_writes_the_same_names_has_done_it() -> None:
    assert Table({"a"}).commit({"a"}) == 0


def test_partitions_that_stay_empty_are_committed_after_rivals_too() -> None:
    table = Table()
    assert [table.commit(set()), table.commit(set())] == [0, 1]
    assert Table(set(), set()).commit(set()) == 2


def test_what_has_changed_since_it_was_seen_is_refused_unless_it_is_as_wanted() -> None:
    table = Table()
    table.commit({"a"})
    with pytest.raises(OutputError, match="another run committed the same partitions meanwhile"):
        table.commit({"b"}, before=set())
    assert table.commit(set(), before={"a"}) == 1
    assert table.commit(set(), before={"a"}) == 1  # a second try
    assert table.commit({"c"}, before=set()) == 2


def test_there_is_an_end_to_waiting() -> None:
    with pytest.raises(OutputError, match="too many writers at once"):
        Table(*[set[str]() for _ in range(1000)]).commit({"a"})


@pytest.mark.parametrize("error", [OSError("full"), ValueError("odd"), KeyError("mine")])
def test_failures_are_told_in_one_line(error: Exception) -> None:
    message = r"t: .*; expected a place\. Mend it"
    telling = told("t", "a place", "Mend it", KeyError)
    with pytest.raises(OutputError, match=message) as caught, telling:
        raise error
    assert caught.value.__cause__ is error


def test_other_failures_are_not_swallowed() -> None:
    with pytest.raises(ZeroDivisionError), told("t", "a place", "Mend it"):
        raise ZeroDivisionError
