"""Reads a job file and refuses what is wrong in it; what all job files have in common."""

import datetime
import hashlib
import re
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self, get_args, get_origin

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from lasso_jobs.data.where import Condition, parse
from lasso_jobs.errors import JobError
from lasso_jobs.storage import yaml_file
from lasso_jobs.storage.failures import waiting_helps
from lasso_jobs.storage.json_text import json_text
from lasso_jobs.storage.remote import checked, is_uri

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)]
Share = Annotated[float, Field(gt=0, lt=1)]
Place = Annotated[str, AfterValidator(checked)]
DATE = "{date}"


def _filter(where: str | None) -> str | None:
    if where is not None:
        try:
            parse(where, "where")
        except JobError as error:
            raise ValueError(error) from error
    return where


Filter = Annotated[str | None, AfterValidator(_filter)]


class Section(BaseModel):
    """A part of a job file; a key that it does not know is refused."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_by_name=True, allow_inf_nan=False
    )


class Data(Section):
    """Where the rows are."""

    path: Place = Field(
        description="Where the rows are: a Parquet file, a folder, a glob or a Delta table, as a "
        "path or a URI"
    )
    version: int | None = Field(
        None, ge=0, description="The version of a Delta table; null is its newest"
    )
    where: Filter = Field(
        None,
        description="A filter for rows, as SQL spells it: date < '2013-10-01' AND \"dep delay\" IS "
        "NOT NULL. Text and dates are in single quotes, column names that are no plain words in "
        "double quotes. A {date} is replaced by the date of the run: date < '{date}'",
    )

    def conditions(self, key: str = "data.where") -> tuple[Condition, ...]:
        """The row filter in its parts.

        Parameters
        ----------
        key : str
            The key of the filter in the job file, for errors.

        Raises
        ------
        JobError
            If it waits for a date.
        """
        if self.where is not None and DATE in self.where:
            remedy = f"Give --date YYYY-MM-DD, or leave {DATE} out of the filter"
            raise JobError(key, f"has a {DATE}", "a date to put in its place", remedy)
        return () if self.where is None else parse(self.where, key)

    def on(self, date: str) -> Self:
        """The same rows as of a date, which takes the place of ``{date}`` in the filter."""
        try:
            if datetime.date.fromisoformat(date).isoformat() != date:
                raise ValueError(date)
        except ValueError as error:
            raise JobError("date", repr(date), "a date, YYYY-MM-DD", "Correct it") from error
        where = None if self.where is None else self.where.replace(DATE, date)
        return self.model_copy(update={"where": where})


def _summarised(schema: dict[str, Any]) -> None:
    """Of a job's docstring, its JSON Schema has the first sentence."""
    schema["description"] = schema["description"].partition("\n\n")[0]


REQUIRED = {
    "train": frozenset({"name", "data", "target"}),
    "score": frozenset({"model", "data", "output"}),
    "monitor": frozenset({"model", "scores", "actuals", "keys", "target", "period"}),
}
"""The keys that a command's job must have. They tell one kind of job file from another."""


def _job_of(command: str) -> str:
    return f"{command.removesuffix('e')}ing job"


class Job(Section):
    """A job file."""

    model_config = ConfigDict(json_schema_extra=_summarised)
    command: ClassVar[str]

    @classmethod
    def from_yaml(cls, path: str | Path, settings: Sequence[str] = ()) -> Self:
        """Read a job file.

        Parameters
        ----------
        path : str or Path
        settings : sequence of str
            ``KEY=VALUE`` with dotted keys; they override the file.

        Raises
        ------
        JobError
        """
        values = load_yaml(path)
        for setting in settings:
            _override(values, setting)
        return cls._validated(values, str(path), settings)

    @classmethod
    def from_values(cls, values: object, where: str = "job") -> Self:
        """Validate values as a job file has them.

        Raises
        ------
        JobError
            Naming the first key that is wrong.
        """
        return cls._validated(values, where, ())

    @classmethod
    def _validated(cls, values: object, where: str, settings: Sequence[str]) -> Self:
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            other = _other_kind(cls.command, values)
            if other is not None:
                found, expected = f"is a {_job_of(other)}", f"a {_job_of(cls.command)}"
                remedy = f"Give it to lasso-jobs {other}, or name another file"
                raise JobError(where, found, expected, remedy) from error
            raise _job_error(cls, error, where, settings) from error

    def digest(self, *more: str) -> str:
        """A hash of the job and of what else determines its result."""
        text = json_text([self.model_dump(mode="json", by_alias=True), *more], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def _other_kind(command: str, values: object) -> str | None:
    """The command whose job the values are, by their keys, if that is another."""
    keys = set(map(str, values)) if isinstance(values, dict) else set()
    if not keys or REQUIRED[command] <= keys:
        return None
    return next((other for other, required in REQUIRED.items() if required <= keys), None)


def is_same_place(one: str, other: str) -> bool:
    """Whether two places of a job file are one folder or table."""
    places = {p.rstrip("/") if is_uri(p) else str(Path(p).resolve()) for p in (one, other)}
    return len(places) == 1


def load_yaml(
    path: str | Path, expected: str = "a job file", remedy: str = "Correct the path"
) -> dict[str, Any]:
    """The mapping in a YAML file.

    Parameters
    ----------
    path : str or Path
    expected, remedy : str
        What an error says if there is no such file.

    Raises
    ------
    JobError
    """
    try:
        values = yaml_file.read(path)
    except (OSError, UnicodeDecodeError) as error:
        helps = waiting_helps(error)
        raise JobError(
            str(path), f"cannot be read ({error})", expected, remedy, transient=helps
        ) from error
    except ValueError as error:
        raise JobError(str(path), str(error), yaml_file.EXPECTED, "Correct the file") from error
    if not isinstance(values, dict):
        raise JobError(
            str(path), "is not a mapping", f"{expected}, KEY: VALUE in its lines", "Write it so"
        )
    return values


def _override(values: dict[str, Any], setting: str) -> None:
    key, equals, text = setting.partition("=")
    if not equals or not key:
        raise JobError("--set", f"{setting!r}", "KEY=VALUE", "Write, say, --set search.folds=10")
    *parents, last = key.split(".")
    for parent in parents:
        inner = values.setdefault(parent, {})
        if not isinstance(inner, dict):
            found = f"{key!r}, whose {parent!r} is no section"
            raise JobError("--set", found, "a dotted key of the job file", "Correct the key")
        values = inner
    try:
        values[last] = yaml_file.parse(text)
    except ValueError as error:
        found = f"{setting!r}, where {error}"
        raise JobError(
            "--set", found, "a value in YAML", "Correct it, or quote the text"
        ) from error


def _job_error(
    model: type[BaseModel], error: ValidationError, where: str, settings: Sequence[str]
) -> JobError:
    # A union reports every branch; the error that went deepest is the one that was meant.
    first = max(error.errors(), key=lambda e: (len(e["loc"]), e["type"] == "extra_forbidden"))
    section, place = _section(model, first["loc"])
    key = ".".join(place)
    for setting in settings:
        if f"{key}.".startswith(f"{setting.partition('=')[0]}.") and first["type"] != "missing":
            where = f"--set {setting}"
    if first["type"] == "extra_forbidden":
        known = _keys(section)
        close = get_close_matches(place[-1], known, 1, cutoff=0.5)
        return JobError(
            where,
            f"unknown key {key!r}",
            f"one of {', '.join(known)}",
            f"Did you mean {close[0]!r}?" if close else "Remove it",
        )
    if first["type"] == "missing":
        return JobError(where, f"the key {key!r} is missing", "a value", f"Add {key}")
    reason = first.get("ctx", {}).get("error")
    if isinstance(reason, ValueError) and isinstance(reason.__cause__, JobError):
        told = reason.__cause__
        return JobError(f"{where}, {key}", told.found, told.expected, told.remedy)
    expected = first["msg"]
    for theirs, ours in _WORDING:
        expected = re.sub(theirs, ours, expected)
    return JobError(where, f"{key} = {first['input']!r}", expected, f"Correct {key}")


_TYPE_LABEL = re.compile(r"constrained-|literal\[|tuple\[|(float|int|str|bool)$")
_WORDING = (
    ("^Value error, ", ""),
    ("^Input should be a valid dictionary or instance of .*", "a section of keys and values"),
    ("^Input should be ", ""),
    ("^String should match pattern", "text that matches"),
)


def _section(
    model: type[BaseModel], location: Sequence[int | str]
) -> tuple[type[BaseModel], list[str]]:
    """The section that an error is in, and the key's parts without the names of types."""
    place: list[str] = []
    of_mapping = False
    for i, part in enumerate(location):
        fields = {field.alias or name: field for name, field in model.model_fields.items()}
        last = i == len(location) - 1 and not _TYPE_LABEL.match(str(part))
        if part in fields or isinstance(part, int) or last or of_mapping:
            place.append(str(part))
        of_mapping = part in fields and get_origin(fields[str(part)].annotation) is dict
        if part in fields:
            annotation = fields[str(part)].annotation
            inner = [t for t in (annotation, *get_args(annotation)) if isinstance(t, type)]
            model = next((t for t in inner if issubclass(t, BaseModel)), model)
    return model, place


def _keys(model: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]
