import pytest

from lasso_jobs.errors import OutputError
from lasso_jobs.sinks.fence import compare_and_swap

from .changes import change


class Table:
    """Names that a table shows, and rivals that write one version each when their turn comes."""

    def __init__(self, *rivals: set[str]) -> None:
        self.names: set[str] = set()
        self.version = -1
        self.rivals = list(rivals)

    def look(self) -> tuple[int | None, set[str]]:
        return (None if self.version < 0 else self.version), set(self.names)

    def swap(self, state: int | None) -> int | None:
        if self.rivals:
            self.names, self.version = self.rivals.pop(0), self.version + 1
        if self.version != (-1 if state is None else state):
            return None
        self.names, self.version = self.mine, self.version + 1
        return self.version

    def shown_at(self, version: int) -> set[str]:
        return self.before

    def version_of(self, state: int) -> int:
        return state

    def commit(self, mine: set[str], before: set[str] | None = None) -> int:
        self.mine, self.before = mine, before or set()
        looked = change("t", seen_version=None if before is None else 0)
        return compare_and_swap(looked, self, mine)


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
