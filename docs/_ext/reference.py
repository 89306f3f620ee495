"""The reference of the job files and of the command line, from the models and from argparse."""

import argparse
import json
from collections.abc import Iterator, Mapping
from typing import Any

from lasso_jobs.cli.main import build_parser
from lasso_jobs.jobs.base import Job
from lasso_jobs.jobs.monitor import MonitorJob
from lasso_jobs.jobs.score import ScoreJob
from lasso_jobs.jobs.train import TrainJob

Schema = Mapping[str, Any]
JOBS: dict[str, type[Job]] = {"train": TrainJob, "score": ScoreJob, "monitor": MonitorJob}
_WORDS = {
    "string": "text",
    "boolean": "true or false",
    "integer": "an integer",
    "number": "a number",
    "null": "null",
}
_BOUNDS = (
    ("minimum", "at least {}"),
    ("exclusiveMinimum", "above {}"),
    ("maximum", "at most {}"),
    ("exclusiveMaximum", "below {}"),
    ("maxLength", "of at most {} characters"),
    ("pattern", "that matches `{}`"),
)


def pages() -> dict[str, str]:
    """Markdown by the name that a page has in double braces."""
    return {name: job_file(model) for name, model in JOBS.items()} | {
        "commands": command_line(build_parser())
    }


def job_file(model: type[Job]) -> str:
    """A definition for each key, sections first, in the order of the model."""
    schema = model.model_json_schema()
    return "\n".join(_definition(*key) for key in keys(schema, schema["$defs"]))


def keys(
    schema: Schema, shared: Mapping[str, Schema], within: str = ""
) -> Iterator[tuple[str, str, str, str]]:
    """Each key of a section and of those in it: dotted name, type, default, description."""
    for name, found in schema["properties"].items():
        default = f"default `{json.dumps(found.get('default'))}`"
        sections, values = _sections(found), found.get("additionalProperties")
        if name in schema.get("required", ()):
            default = "required"
        elif sections and isinstance(found["default"], dict):
            default = "by default as below"
        yield f"{within}{name}", type_of(found, shared), default, found.get("description", "")
        for place, inside in (("", sections), ("NAME.", _sections(values))):
            for section in inside:
                yield from keys(shared[section], shared, f"{within}{name}.{place}")


def _sections(schema: Schema | bool | None) -> list[str]:
    """The names of the sections that a value, or one branch of it, is."""
    if not isinstance(schema, Mapping):
        return []
    branches = (schema, *schema.get("anyOf", ()))
    return [branch["$ref"].rpartition("/")[2] for branch in branches if "$ref" in branch]


def type_of(schema: Schema | bool, shared: Mapping[str, Schema]) -> str:
    """A JSON Schema in words."""
    if schema is True or not schema:
        return "any value"
    if "$ref" in schema:
        return "a section"
    if "anyOf" in schema:
        return ", or ".join(dict.fromkeys(type_of(branch, shared) for branch in schema["anyOf"]))
    if "enum" in schema or "const" in schema:
        return " \\| ".join(f"`{value}`" for value in schema.get("enum", [schema.get("const")]))
    if schema.get("type") == "array":
        if "prefixItems" in schema:
            return f"[{', '.join(type_of(item, shared) for item in schema['prefixItems'])}]"
        return f"a list, each {type_of(schema['items'], shared)}"
    if schema.get("type") == "object":
        values = schema.get("additionalProperties", {})
        return f"a mapping of names, each to {type_of(values, shared)}"
    limits = [text.format(schema[bound]) for bound, text in _BOUNDS if bound in schema]
    return " ".join([_WORDS[schema["type"]], " and ".join(limits)]).rstrip()


def command_line(parser: argparse.ArgumentParser) -> str:
    """A definition for each command, with its arguments; options of all of them once."""
    every = list(commands(parser))
    common = set.intersection(
        *({o for a in c._actions for o in a.option_strings} for c, _ in every)
    )
    first, _ = every[0]
    of_all = [_argument(a) for a in first._actions if common.intersection(a.option_strings)]
    shown = [_command(command, text, common) for command, text in every]
    return "\n".join(
        ["Every command takes these:", "", *of_all, "", *shown, "", parser.epilog or ""]
    )


def commands(
    parser: argparse.ArgumentParser, text: str = ""
) -> Iterator[tuple[argparse.ArgumentParser, str]]:
    """Each command that does something, with its one-line help."""
    groups = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
    if not groups:
        yield parser, text
    for group in groups:
        helps = {choice.dest: choice.help or "" for choice in group._choices_actions}
        for name, command in group.choices.items():
            yield from commands(command, helps[name])


def _command(parser: argparse.ArgumentParser, text: str, common: set[str]) -> str:
    own = [a for a in parser._actions if not common.intersection(a.option_strings)]
    own.sort(key=lambda action: bool(action.option_strings))
    usage = " ".join([parser.prog, *(_metavar(a) for a in own if not a.option_strings)])
    return "\n".join([f"`{usage}`", f": {text}.", "", *(f"  {_argument(a)}" for a in own), ""])


def _argument(action: argparse.Action) -> str:
    name = ", ".join(action.option_strings) or _metavar(action)
    value = f" {_metavar(action)}" if action.option_strings and action.nargs != 0 else ""
    told = (action.help or "") % vars(action)
    return f"- `{name}{value}`{': ' if told else ''}{told}"


def _metavar(action: argparse.Action) -> str:
    if action.choices:
        return "|".join(map(str, action.choices))
    return str(action.metavar or action.dest.upper())


def _definition(name: str, type_: str, default: str, description: str) -> str:
    return f"`{name}`\n: {description}.  \n  *{type_}; {default}*\n"
