"""Every error that the code can raise says where, what was found and expected, and what to do.

The source is read, not run: what each part of an error may be is followed through the variables of
its function. What cannot be known before it runs is left open, as ``{}``.
"""

import argparse
import ast
import re
from collections.abc import Iterator
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple, get_args

import pytest
from pydantic import BaseModel

from lasso_jobs import errors
from lasso_jobs.cli.main import build_parser
from lasso_jobs.cli.usage import UsageError
from lasso_jobs.errors import LassoJobsError
from lasso_jobs.jobs.monitor import MonitorJob
from lasso_jobs.jobs.score import ScoreJob
from lasso_jobs.jobs.train import TrainJob
from lasso_jobs.redact import redacted

PACKAGE = Path(errors.__file__).parent
PARTS = ("where", "found", "expected", "remedy")
KINDS = {
    name: PARTS
    for name, kind in {**vars(errors), "UsageError": UsageError}.items()
    if isinstance(kind, type) and issubclass(kind, LassoJobsError)
} | {"as_output_error": ("where", "expected", "remedy")}
OPEN = "{}"
VAGUE = re.compile(r"(mend|fix|check|correct|see|look at) (it|that|this|them)", re.IGNORECASE)
"""These say nothing, but for what `LISTS` shows beside them."""
LISTS = ("one of", "such as", OPEN, ", ", "YYYY")


class Raised(NamedTuple):
    """A place where an error of ours is made, and what its parts may be."""

    place: str
    parts: dict[str, list[str]]
    by_star: bool


def functions(tree: ast.Module) -> Iterator[ast.AST]:
    yield tree
    yield from (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


def assigned(scope: ast.AST, name: str) -> list[ast.expr]:
    """What a variable of a function may be."""
    values: list[ast.expr] = []
    for node in ast.walk(scope):
        if isinstance(node, ast.AugAssign) and ast.unparse(node.target) == name:
            values.append(node.value)
        targets = node.targets if isinstance(node, ast.Assign) else []
        for target in targets:
            if isinstance(target, ast.Name) and target.id == name:
                values.append(node.value)
            elif isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                pairs = zip(target.elts, node.value.elts, strict=True)
                values += [v for t, v in pairs if isinstance(t, ast.Name) and t.id == name]
    return values


def texts(node: ast.expr, scope: ast.AST) -> list[str]:
    """The texts that an expression may be."""
    if isinstance(node, ast.Constant):
        return [str(node.value)]
    if isinstance(node, ast.JoinedStr):
        return ["".join(v.value if isinstance(v, ast.Constant) else OPEN for v in node.values)]
    if isinstance(node, ast.IfExp):
        return [*texts(node.body, scope), *texts(node.orelse, scope)]
    if isinstance(node, ast.BinOp):
        return [a + b for a, b in product(texts(node.left, scope), texts(node.right, scope))]
    if isinstance(node, ast.Name):
        found = [text for value in assigned(scope, node.id) for text in texts(value, scope)]
        return found or [OPEN]
    return [OPEN]


def raised() -> Iterator[Raised]:
    for path in sorted(PACKAGE.rglob("*.py")):
        tree = ast.parse(path.read_text())
        innermost: dict[ast.AST, ast.AST] = {}
        for scope in functions(tree):
            innermost |= dict.fromkeys(ast.walk(scope), scope)
        for node in ast.walk(tree):
            name = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
            if not isinstance(node, ast.Call) or name not in KINDS:
                continue
            given = dict(zip(KINDS[name], node.args, strict=False))
            given |= {keyword.arg or "": keyword.value for keyword in node.keywords}
            by_star = any(isinstance(argument, ast.Starred) for argument in node.args)
            parts = {part: texts(value, innermost[node]) for part, value in given.items()}
            place = f"{path.relative_to(PACKAGE)}:{node.lineno}"
            yield Raised(place, parts if not by_star else {}, by_star)


@cache
def stated() -> tuple[Raised, ...]:
    """Made by a test, not by collecting it, which every process of a run does."""
    return tuple(error for error in raised() if not error.by_star)


def test_there_are_errors_to_look_at() -> None:
    assert len(stated()) > 200
    rooms = {error.place.split("/")[0] for error in stated()}
    assert {"cli", "data", "engine", "flows", "jobs", "models", "scoring", "sinks"} <= rooms


def test_each_error_has_all_of_its_parts() -> None:
    incomplete = [
        (error.place, part)
        for error in stated()
        for part in (PARTS if "found" in error.parts else KINDS["as_output_error"])
        if not all(text.strip() for text in error.parts.get(part, [""]))
    ]
    assert incomplete == []


def test_what_to_do_is_an_imperative_that_says_what() -> None:
    wrong = []
    for error in stated():
        expected = error.parts["expected"]
        for remedy in error.parts["remedy"]:
            starts = remedy[0].isupper() or remedy[0] in "{,"
            listed = all(any(mark in text for mark in LISTS) for text in expected)
            if not starts or remedy.endswith(".") or (VAGUE.fullmatch(remedy) and not listed):
                wrong.append((error.place, remedy))
    assert wrong == []


def test_what_an_error_shows_as_the_form_of_a_secret_is_not_taken_for_one() -> None:
    every = [(e.place, text) for e in stated() for part in e.parts.values() for text in part]
    assert [(place, text) for place, text in every if redacted(text) != text] == []
    assert redacted("postgresql://USER:PASSWORD@db/x") == "postgresql://***@db/x"


def keys(model: type[BaseModel], before: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        key = before + (field.alias or name)
        yield key
        inner: list[Any] = [field.annotation]
        while inner:
            kind = inner.pop()
            inner += get_args(kind)
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                yield from keys(kind, f"{key}.")


KEYS = {key for job in (TrainJob, ScoreJob, MonitorJob) for key in keys(job)}
SECTIONS = "|".join(sorted({key.split(".")[0] for key in KEYS if "." in key}))
KEY = re.compile(rf"(?<![\w.{{}}/])(?:{SECTIONS})(?:\.[a-z_0-9]+)+")


def mentions(pattern: re.Pattern[str]) -> Iterator[tuple[str, str]]:
    for error in stated():
        for part in error.parts.values():
            for text in part:
                yield from ((error.place, found) for found in pattern.findall(text))


def test_a_key_that_an_error_names_is_one_of_a_job_file() -> None:
    named = list(mentions(KEY))
    assert len(named) > 20
    assert [(place, key) for place, key in named if key not in KEYS] == []


@pytest.mark.parametrize("room", ["data/discover", "data/listing", "data/delta", "storage/"])
def test_what_reads_any_input_names_no_key_of_one_job(room: str) -> None:
    """Scored rows and outcomes are read there, too, and monitoring has no data.where."""
    wrong = [(place, key) for place, key in mentions(KEY) if place.startswith(room)]
    assert wrong == []


def options(parser: argparse.ArgumentParser) -> Iterator[str]:
    for action in parser._actions:
        yield from action.option_strings
        if isinstance(action, argparse._SubParsersAction):
            for name, inner in action.choices.items():
                yield name
                yield from options(inner)


def test_an_option_or_command_that_an_error_names_is_there() -> None:
    known = set(options(build_parser()))
    named = [*mentions(re.compile(r"(?<![\w-])--[a-z][a-z-]*"))]
    named += mentions(re.compile(r"lasso-jobs ([a-z]+)"))
    assert len(named) > 10
    assert [(place, name) for place, name in named if name not in known] == []
