"""What job files have in common: where data are, and how a file is read and refused."""

import datetime
import hashlib
import json
import re
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Self, get_args, get_origin

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from lasso_jobs.data.remote import checked
from lasso_jobs.data.where import Condition, parse
from lasso_jobs.errors import JobError

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)]
Share = Annotated[float, Field(gt=0, lt=1)]
Place = Annotated[str, AfterValidator(checked)]
DATE = "{date}"


def _filter(where: str | None) -> str | None:
    if where is not None:
        try:
            parse(where, "where")
        except JobError as error:
            raise ValueError(f"{error.expected}, but {error.found}") from error
    return where


Filter = Annotated[str | None, AfterValidator(_filter)]


class Section(BaseModel):
    """A part of a job file: what it does not know is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_by_name=True)


class Data(Section):
    """Where the rows are."""

    path: Place = Field(description="A Parquet file, a folder, a glob, a Delta table; or a URI")
    version: int | None = Field(None, ge=0, description="Of a Delta table; its newest if null")
    where: Filter = Field(
        None, description="Which rows, such as: date < '2013-10-01', or date < '{date}'"
    )

    def conditions(self) -> tuple[Condition, ...]:
        """The row filter in its parts.

        Raises
        ------
        JobError
            If it waits for a date.
        """
        if self.where is not None and DATE in self.where:
            raise JobError("data.where", f"has a {DATE}", "a date", "Give --date YYYY-MM-DD")
        return () if self.where is None else parse(self.where, "data.where")

    def on(self, date: str) -> "Data":
        """The same rows as of a date, which takes the place of ``{date}`` in the filter."""
        try:
            if datetime.date.fromisoformat(date).isoformat() != date:
                raise ValueError(date)
        except ValueError as error:
            raise JobError("date", repr(date), "a date, YYYY-MM-DD", "Correct it") from error
        where = None if self.where is None else self.where.replace(DATE, date)
        return self.model_copy(update={"where": where})


class Job(Section):
    """A job file."""

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
        return cls.from_values(values, str(path))

    @classmethod
    def from_values(cls, values: object, where: str = "job") -> Self:
        """Validate values as a job file has them.

        Raises
        ------
        JobError
            Naming the first key that is wrong.
        """
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise _job_error(cls, error, where) from error

    def digest(self, *more: str) -> str:
        """A hash of the job and of what else determines its result."""
        text = json.dumps([self.model_dump(mode="json", by_alias=True), *more], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def load_yaml(path: str | Path) -> dict[str, Any]:
    """The mapping in a YAML file.

    Raises
    ------
    JobError
    """
    try:
        values = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise JobError(
            str(path), f"cannot be read ({error})", "a job file", "Check the path"
        ) from error
    except yaml.YAMLError as error:
        raise JobError(str(path), f"is not YAML ({error})", "a YAML file", "Mend it") from error
    if not isinstance(values, dict):
        raise JobError(
            str(path), "is not a mapping", "keys and values", "See the README's job file"
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
            raise JobError("--set", f"{parent!r} is no section", "a section", "Check the key")
        values = inner
    try:
        values[last] = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise JobError("--set", f"{setting!r}", "a value in YAML", "Put it in quotes") from error


def _job_error(model: type[BaseModel], error: ValidationError, where: str) -> JobError:
    # A union reports every branch; the error that went deepest is the one that was meant.
    first = max(error.errors(), key=lambda e: (len(e["loc"]), e["type"] == "extra_forbidden"))
    section, place = _section(model, first["loc"])
    key = ".".join(place)
    if first["type"] == "extra_forbidden":
        known = _keys(section)
        close = get_close_matches(place[-1], known, 1, cutoff=0.0)
        return JobError(
            where,
            f"unknown key {key!r}",
            f"one of {', '.join(known)}",
            f"Did you mean {close[0]!r}?" if close else "Remove it",
        )
    if first["type"] == "missing":
        return JobError(where, f"the key {key!r} is missing", "a value", f"Add {key}")
    expected = first["msg"]
    for theirs, ours in _WORDING:
        expected = re.sub(theirs, ours, expected)
    return JobError(where, f"{key} = {first['input']!r}", expected, f"Correct {key}")


_TYPE_LABEL = re.compile(r"constrained-|literal\[|tuple\[")
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
