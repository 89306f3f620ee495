"""How a command ends becomes an exit status, and at most one line."""

import argparse
import os
import sys
from collections.abc import Callable
from contextlib import suppress

import pytest

import lasso_jobs
from lasso_jobs.cli import date_range, plan, terminal
from lasso_jobs.cli.main import GROUPS, main
from lasso_jobs.cli.usage import FAILED, INTERRUPTED
from lasso_jobs.errors import JobError

Raise = Callable[[BaseException], None]


@pytest.fixture
def ends_with(monkeypatch: pytest.MonkeyPatch) -> Raise:
    """Let ``lasso-jobs schema train`` raise an error."""

    def let(error: BaseException) -> None:
        def fail(options: argparse.Namespace) -> int:
            raise error

        monkeypatch.setattr(plan, "_schema", fail)

    return let


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["--version"])
    assert left.value.code in (None, 0)
    assert capsys.readouterr().out == f"lasso-jobs {lasso_jobs.__version__}\n"


def test_an_interrupted_command_says_what_to_do(
    ends_with: Raise, capsys: pytest.CaptureFixture[str]
) -> None:
    ends_with(KeyboardInterrupt())
    assert main(["schema", "train"]) == INTERRUPTED
    assert capsys.readouterr().err == (
        "lasso-jobs: Interrupted. Each output is as its last commit left it; run the same "
        "command again to continue.\n"
    )


def test_an_error_of_ours_and_any_other_are_one_line(
    ends_with: Raise, capsys: pytest.CaptureFixture[str]
) -> None:
    ends_with(JobError("here", "this", "that", "Mend it"))
    assert main(["schema", "train"]) == FAILED
    assert capsys.readouterr().err == "lasso-jobs: here: this; expected that. Mend it.\n"
    ends_with(ZeroDivisionError("division\nby zero"))
    assert main(["schema", "train"]) == FAILED
    said = capsys.readouterr().err
    assert said.startswith("lasso-jobs: ZeroDivisionError: division by zero. This is unexpected")
    assert said.count("\n") == 1
    with pytest.raises(ZeroDivisionError):
        main(["schema", "train", "--debug"])


def test_each_group_of_commands_has_one_way_to_add_them() -> None:
    assert all(callable(group.add_command) for group in GROUPS)
    assert len({group.__name__ for group in GROUPS}) == len(GROUPS)


@pytest.mark.parametrize(
    ("first", "last", "date", "expected"),
    [
        ("2024-01-01", "2024-01-03", None, ("2024-01-01", "2024-01-03")),
        (None, None, "2024-01-02", ("2024-01-02", "2024-01-02")),
        (None, None, None, None),
        ("2024-01-01", None, None, "refused"),
        (None, "2024-01-03", None, "refused"),
        ("2024-01-01", "2024-01-03", "2024-01-02", "refused"),
    ],
)
def test_a_range_of_dates_is_whole_or_one_date(
    first: str | None, last: str | None, date: str | None, expected: object
) -> None:
    options = argparse.Namespace(first=first, last=last, date=date)
    if expected == "refused":
        with pytest.raises(JobError, match="both, or --date alone"):
            date_range(options)
    else:
        assert date_range(options) == expected


@pytest.mark.parametrize(
    ("verdict", "colour"), [("ok", 32), ("unknown", 35), ("watch", 33), ("alarm", 31)]
)
def test_a_verdict_has_a_colour_of_its_own_on_a_terminal(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    verdict: str,
    colour: int,
) -> None:
    def shown() -> str:
        terminal.show({"verdict": verdict, "model": verdict})
        terminal.table([{"verdict": verdict, "feature": verdict}])
        return capsys.readouterr().out

    plain = shown()
    assert "\x1b" not in plain
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    coloured = shown()
    assert coloured.count(f"\x1b[{colour}m{verdict}") == 2
    assert coloured.replace(f"\x1b[{colour}m", "").replace("\x1b[0m", "") == plain
    monkeypatch.setenv("NO_COLOR", "1")
    assert shown() == plain


def test_progress_that_nobody_reads_ends_no_command(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w") as unread:  # noqa: PTH123 - a number, not a path
        monkeypatch.setattr(sys, "stderr", unread)
        for done in range(3):
            terminal.note(f"score: {done} of 2")
        sys.stderr.close()
        with suppress(BrokenPipeError):
            unread.close()
