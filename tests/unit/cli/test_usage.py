"""Rubbish for any option of any command is refused in one line, with the status of wrong usage."""

import argparse
from collections.abc import Iterator

import pytest

from lasso_jobs.cli.main import build_parser, main
from lasso_jobs.cli.usage import WRONG_USAGE

Command = tuple[tuple[str, ...], argparse.ArgumentParser]


def commands(parser: argparse.ArgumentParser, *names: str) -> Iterator[Command]:
    """Each command that does something, with its names."""
    groups = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
    if not groups:
        yield names, parser
    for group in groups:
        for name, inner in group.choices.items():
            yield from commands(inner, *names, name)


COMMANDS = dict(commands(build_parser()))
OPTIONS = [
    (names, action)
    for names, parser in COMMANDS.items()
    for action in parser._actions
    if action.nargs != 0
]


def usual(names: tuple[str, ...], but: argparse.Action | None = None) -> list[str]:
    """A command with what it requires; it is wrong in nothing but what a test adds."""
    needs = [a for a in COMMANDS[names]._actions if a is not but and a.nargs != 0]
    values = {
        **{"--date": "2024-01-10", "--format": "sql"},
        **{"--feature": "price", "--why": "known"},
    }
    given = [*names]
    for action in needs:
        if action.required and action.option_strings:
            given += [action.option_strings[0], values[action.option_strings[0]]]
        elif action.required:
            given.append(action.choices[0] if isinstance(action.choices, list) else "x.yaml")
    return given


def refusal(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The one line that says why a command is refused."""
    try:
        status: object = main(arguments)
    except SystemExit as left:
        status = left.code
    told = capsys.readouterr()
    assert status == WRONG_USAGE, (arguments, told)
    assert told.out == ""
    assert told.err.count("\n") == 1
    assert told.err.startswith("lasso-jobs")
    return told.err


def named(names: tuple[str, ...], action: argparse.Action) -> str:
    return " ".join([*names, (action.option_strings or [action.dest])[0]])


@pytest.mark.parametrize(
    ("names", "action"), OPTIONS, ids=[named(names, action) for names, action in OPTIONS]
)
def test_no_option_takes_nothing_for_a_value(
    names: tuple[str, ...], action: argparse.Action, capsys: pytest.CaptureFixture[str]
) -> None:
    option = action.option_strings[:1]
    line = refusal([*usual(names, action), *option, ""], capsys)
    assert (option or [action.metavar or action.dest])[0] in line
    assert "expected" in line or "choose from" in line


NUMBERS = ("-1", "x", "nan", "inf", "1e999", "1 2")
RUBBISH = {
    "--workers": (*NUMBERS, "0", "1.5"),
    "--days": NUMBERS,
    "--grace": NUMBERS,
    "--max-bytes": (*NUMBERS, "1.5"),
    "--seed": (*NUMBERS, "1.5"),
    "--to": (*NUMBERS, "1.5"),
    "--from": ("yesterday", "2024-1-1", "20240101", "2024-02-30", "2024-W01-1", "01.02.2024"),
    "--date": ("yesterday", "2024-1-1", "2024-02-30", "2024-W01-1", "01.02.2024", "{date}"),
    "--cluster": ("here", "http://host:1", "tcp:/host:1", "host:8786", "absent.yaml", " "),
    "--set": ("folds", "=3", "search.folds", " =3"),
    "--only": ("late", "missing,failed"),
    "--prefect-api": ("localhost", "127.0.0.1:4200", "ftp://host/api"),
}


@pytest.mark.parametrize(
    ("names", "option", "value"),
    [
        (names, option, value)
        for names, action in OPTIONS
        for option in action.option_strings
        for value in RUBBISH.get(option, ())
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_rubbish_is_refused(
    names: tuple[str, ...], option: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    line = refusal([*usual(names), f"{option}={value}"], capsys)
    assert option in line or value in line


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("score x.yaml --from 2024-01-10", "Add --to"),
        ("score x.yaml --to 2024-01-10", "Add --from"),
        ("monitor x.yaml --from 2024-01-10 --to 2024-01-05", "Swap them"),
        ("score x.yaml --from 2024-01-10 --to 2024-01-05", "ends before it begins"),
        ("score x.yaml --from 1024-01-10 --to 2024-01-05", "at most 3,660"),
        ("score x.yaml --date 2024-01-10 --to 2024-01-10", "is given with --to"),
        ("score x.yaml --only missing", "--only: is given without dates"),
        ("score x.yaml --newest-first", "without a range"),
        ("score x.yaml --date 2024-01-10 --newest-first", "without a range"),
        ("train x.yaml --workers 2 --cluster tcp://host:8786", "Leave it out"),
        ("cache prune", "--days --max-bytes --all"),
        ("cache prune --days 3 --all", "not allowed with"),
        ("train", "JOB.yaml"),
        ("train x.yaml --colour", "--colour"),
        ("models", "ACTION"),
        ("tran x.yaml", "tran"),
    ],
)
def test_options_that_do_not_fit_each_other_are_refused(
    arguments: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said in refusal(arguments.split(), capsys)
