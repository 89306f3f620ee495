import argparse
import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType
from typing import get_origin

import pytest
from pydantic import BaseModel, Field

EXTENSIONS = Path(__file__).parents[3] / "docs" / "_ext"


def loaded(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXTENSIONS / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


reference = loaded("reference")


def dotted(model: type[BaseModel], within: str = "") -> list[str]:
    """Keys from the fields themselves, not from the schema."""
    found = []
    for name, field in model.model_fields.items():
        key = f"{within}{field.alias or name}"
        found.append(key)
        for section in re.findall(r"[A-Z]\w+", str(field.annotation)):
            inner = next((c for c in sections(BaseModel) if c.__name__ == section), None)
            place = f"{key}.NAME." if get_origin(field.annotation) is dict else f"{key}."
            found += dotted(inner, place) if inner else []
    return found


def sections(base: type[BaseModel]) -> list[type[BaseModel]]:
    return [c for sub in base.__subclasses__() for c in (sub, *sections(sub))]


@pytest.mark.parametrize("name", ["train", "score", "monitor"])
def test_each_key_of_a_job_file_is_there_with_what_it_is(name: str) -> None:
    model = reference.JOBS[name]
    schema = model.model_json_schema()
    found = list(reference.keys(schema, schema["$defs"]))
    assert [key for key, *_ in found] == dotted(model)
    for key, type_, default, description in found:
        assert type_ and default, key
        assert description, f"{key} of {name} has no description"


def test_types_defaults_and_limits_are_those_of_the_model() -> None:
    text = reference.job_file(reference.JOBS["train"])
    assert "`search.folds`\n: The number of folds in cross-validation.  \n" in text
    assert "*an integer at least 2 and at most 1000; default `5`*" in text
    assert "*a number above 0 and below 1, or a section, or null; default `0.2`*" in text
    assert (
        '*`never` \\| `if_better` \\| `if_not_worse` \\| `always`; default `"if_not_worse"`*'
        in text
    )
    assert re.search(r"`target`\n: .*\n  \*text; required\*", text)


def test_a_type_that_it_does_not_know_is_an_error() -> None:
    with pytest.raises(KeyError):
        reference.type_of({"type": "date"}, {})

    class Section(BaseModel):
        pair: tuple[int, float] = Field((1, 2.0), description="Two")

    (found,) = reference.keys(Section.model_json_schema(), {})
    assert found == ("pair", "[an integer, a number]", "default `[1, 2.0]`", "Two")


def test_each_command_and_each_of_its_arguments_has_help() -> None:
    from lasso_jobs.cli.main import build_parser

    found = list(reference.commands(build_parser()))
    text = reference.command_line(build_parser())
    assert len(found) > 15
    for command, help_ in found:
        assert help_ and f"`{command.prog}" in text, command.prog
        for action in command._actions:
            assert action.help, f"{command.prog} {action.option_strings or action.dest}"
    assert text.count("`--json`") == 1
    assert "Exit status: 0 done, 1 failed, 2 wrong usage, 3 done but with an alarm, 4 done" in text


def test_commands_within_commands_are_found(capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser(prog="p")
    within = parser.add_subparsers().add_parser("a", help="A").add_subparsers()
    within.add_parser("b", help="B").add_argument("--n", type=int, default=3, help="(%(default)s)")
    assert [(c.prog, text) for c, text in reference.commands(parser)] == [("p a b", "B")]
    assert "- `--n N`: (3)" in reference.command_line(parser)


@pytest.mark.parametrize(
    ("text", "n"),
    [
        ('<script src="https://cdn.example.org/a.js">', 1),
        ("<link rel='stylesheet' href='//fonts.example.org/css'>", 1),
        ('@import url("https://fonts.example.org/a.css");', 2),
        ("src: url(https://fonts.example.org/a.woff2)", 1),
        ('<img alt="" src="http://example.org/a.png">', 1),
        ('<a href="https://example.org">', 0),
        ('<script src="_static/a.js?v=1">', 0),
        ('<link rel="canonical" href="https://example.org/">', 0),
        ("url(data:image/svg+xml;charset=utf-8,<svg xmlns='http://www.w3.org/2000/svg'/>)", 0),
        (json.dumps("see https://example.org"), 0),
    ],
)
def test_what_a_page_would_load_from_elsewhere_is_found(text: str, n: int) -> None:
    assert len(loaded("offline").loaded_from_elsewhere(text)) == n
