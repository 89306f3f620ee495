"""The schema contract of a scoring: what each file has for each column, and what becomes of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

import pyarrow as pa

from lasso_jobs.core.columns import Columns
from lasso_jobs.data.dataset import Dataset, SourceFile
from lasso_jobs.data.schema import expected_kinds, kind_of, listed
from lasso_jobs.errors import DataError

Fate = Literal["ok", "widened", "converted", "all null", "imputed"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found for a column.

    Parameters
    ----------
    column : str
        In the source.
    role : str
    fate : {"ok", "widened", "converted", "all null", "imputed"}
    file : str or None
        The first file that deviates.
    detail : str
    """

    column: str
    role: str
    fate: Fate
    file: str | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Contract:
    """The verdict on a dataset.

    Parameters
    ----------
    verdicts : tuple of Verdict
        One for each column that is used.
    extra : tuple of str
        Columns that no part of the job uses: they are not read.
    carried : pyarrow.Schema
        The columns that go to the output, in the widest type that any file has.
    absent : frozenset of str
        Features that a file lacks: their values there are null.
    """

    verdicts: tuple[Verdict, ...]
    extra: tuple[str, ...]
    carried: pa.Schema
    absent: frozenset[str]

    @property
    def summary(self) -> str:
        """One line: what is not plain."""
        odd = [v for v in self.verdicts if v.fate != "ok"]
        found = "; ".join(f"{v.column} {v.fate} ({v.detail}, {v.file})" for v in odd)
        return found or "every file has these columns"


def hold(
    dataset: Dataset,
    model: str,
    features: Columns,
    sources: Mapping[str, str],
    carried: Mapping[str, str],
    others: Mapping[str, str],
    imputes: bool,
    nulls_allowed: bool,
) -> Contract:
    """Hold every file's footer against what the job and the model need.

    Parameters
    ----------
    dataset : Dataset
    model : str
        Its reference, for messages.
    features : Columns
        Of the model.
    sources : mapping of str to str
        The source's column for each feature.
    carried : mapping of str to str
        Columns for the output, and their role.
    others : mapping of str to str
        Columns that are read besides, and their role.
    imputes : bool
        Whether a feature that a file lacks is taken as null.
    nulls_allowed : bool
        Whether the model was trained to fill nulls.

    Raises
    ------
    DataError
        Naming the first file that deviates in a way that nothing mends.
    """
    verdicts: dict[str, Verdict] = {}
    absent = set()
    for name, kinds in expected_kinds(features).items():
        column = sources[name]
        found = _found(dataset, column)
        if any(type_ is None for _, type_ in found):
            if not (imputes and nulls_allowed):
                raise _lacking(dataset, found, column, f"a feature of {model}", nulls_allowed)
            absent.add(column)
        verdict = _feature(column, name, found, kinds, nulls_allowed)
        verdicts[column] = verdict
    types = {}
    for name, role in [*carried.items(), *others.items()]:
        found = _present(dataset, name, role)
        types[name], verdict = _common(name, role, found)
        verdicts.setdefault(name, verdict)
    there = dict.fromkeys(name for file in dataset.files for name in file.schema.names)
    extra = tuple(name for name in there if name not in verdicts)
    schema = pa.schema([(name, types[name]) for name in carried])
    return Contract(tuple(verdicts.values()), extra, schema, frozenset(absent))


Found = list[tuple[SourceFile, pa.DataType | None]]


def _found(dataset: Dataset, column: str) -> Found:
    """The column's type in each file; None where it lacks the column."""
    found: Found = []
    for file in dataset.files:
        place = file.schema.get_field_index(column)
        if place >= 0:
            found.append((file, file.schema.field(place).type))
        else:
            constant = dict(file.identity.constants).get(column)
            found.append((file, None if constant is None else constant.type))
    return found


def _present(dataset: Dataset, column: str, role: str) -> list[tuple[SourceFile, pa.DataType]]:
    found = _found(dataset, column)
    present = [(file, type_) for file, type_ in found if type_ is not None]
    if len(present) < len(found):
        raise _lacking(dataset, found, column, role, imputable=False)
    return present


def _lacking(dataset: Dataset, found: Found, column: str, role: str, imputable: bool) -> DataError:
    """The error of the first file that lacks a column, or of a dataset that does."""
    file = next(file for file, type_ in found if type_ is None)
    names = [*file.schema.names, *(name for name, _ in file.identity.constants)]
    impute = ", or set missing_columns to impute" if imputable else ""
    if any(type_ is not None for _, type_ in found):
        return DataError(
            file.identity.path,
            f"lacks the column {column!r} ({role})",
            "the columns of the other files",
            f"Mend or remove the file{impute}",
        )
    close = get_close_matches(column, names, 1)
    remedy = f"Correct the job file, perhaps with rename{impute}"
    return DataError(
        f"{dataset.path}, {role}",
        f"there is no column {column!r}",
        f"one of {listed(names)}",
        f"Did you mean {close[0]!r}?" if close else remedy,
    )


def _feature(
    column: str, name: str, found: Found, kinds: Sequence[str], nulls_allowed: bool
) -> Verdict:
    role = "feature" if column == name else f"feature {name}"
    lacking = [file for file, type_ in found if type_ is None]
    for file, type_ in found:
        if type_ is not None and kind_of(type_) not in (*kinds, "null"):
            raise DataError(
                f"{file.identity.path}, column {column!r}",
                f"has type {type_}",
                f"{' or '.join(kinds)}, as in training",
                "Convert it, or retrain",
            )
    if lacking:
        detail = f"missing in {len(lacking)} of {len(found)} files: taken as null"
        return Verdict(column, role, "imputed", lacking[0].identity.path, detail)
    return _nulls(column, role, found, nulls_allowed) or _types(column, role, found)


def _nulls(column: str, role: str, found: Found, nulls_allowed: bool) -> Verdict | None:
    empty = [file for file, _ in found if file.rows.sum() and _all_null(file, column)]
    if not empty:
        return None
    if len(empty) == len(found) and not nulls_allowed:
        raise DataError(
            f"{empty[0].identity.path}, column {column!r}",
            "holds nothing but nulls, in every file",
            "values, as the model was trained without nulls",
            "Mend the files, or retrain with preprocess.missing: mean",
        )
    detail = f"in {len(empty)} of {len(found)} files"
    return Verdict(column, role, "all null", empty[0].identity.path, detail)


def _all_null(file: SourceFile, column: str) -> bool:
    place = file.schema.get_field_index(column)
    if place < 0:
        return False
    return pa.types.is_null(file.schema.field(place).type) or bool(
        file.nulls[place] == file.rows.sum()
    )


def _types(column: str, role: str, found: Found) -> Verdict:
    """How types that differ between the files, or that arithmetic has not, are read."""
    types = [type_ for _, type_ in found if not pa.types.is_null(type_)]
    first = types[0] if types else pa.null()
    for file, type_ in found:
        if type_ != first and not pa.types.is_null(type_):
            plain = kind_of(type_) in ("integer", "number") and not pa.types.is_dictionary(type_)
            detail = f"{type_} beside {first}"
            return Verdict(
                column, role, "widened" if plain else "converted", file.identity.path, detail
            )
    if pa.types.is_decimal(first):
        path = found[0][0].identity.path
        return Verdict(column, role, "converted", path, f"{first} is read as double")
    return Verdict(column, role, "ok")


def _common(
    column: str, role: str, found: Sequence[tuple[SourceFile, pa.DataType]]
) -> tuple[pa.DataType, Verdict]:
    """The type that holds every file's values exactly."""
    common, verdict = found[0][1], Verdict(column, role, "ok")
    for file, type_ in found:
        both = _both(common, type_)
        if both is None:
            raise DataError(
                f"{file.identity.path}, column {column!r} ({role})",
                f"has type {type_}",
                f"{common} as in the other files, or a type that one type can hold beside it",
                "Convert the file",
            )
        if type_ != common and not pa.types.is_null(type_) and verdict.fate == "ok":
            zones = pa.types.is_timestamp(type_) or pa.types.is_dictionary(common)
            fate: Fate = "converted" if zones or pa.types.is_dictionary(type_) else "widened"
            path = file.identity.path
            verdict = Verdict(column, role, fate, path, f"{type_} beside {common}")
        common = both
    return common, verdict


def _both(a: pa.DataType, b: pa.DataType) -> pa.DataType | None:
    """The type for two, if there is one: nothing is rounded, and no zone is guessed."""
    if a == b or pa.types.is_null(b):
        return a
    if pa.types.is_null(a):
        return b
    a, b = _decoded(a), _decoded(b)
    if pa.types.is_timestamp(a) and pa.types.is_timestamp(b):
        if (a.tz is None) != (b.tz is None):
            return None
        return pa.timestamp("ns" if "ns" in (a.unit, b.unit) else "us", a.tz and "UTC")
    exact = all(pa.types.is_integer(t) or pa.types.is_decimal(t) for t in (a, b))
    floats = all(pa.types.is_floating(t) for t in (a, b))
    texts = all(kind_of(t) == "string" for t in (a, b))
    if not (exact or floats or texts or a == b):
        return None
    try:
        fields = [pa.schema([("x", t)]) for t in (a, b)]
        return pa.unify_schemas(fields, promote_options="permissive").field("x").type
    except pa.ArrowException:
        return None


def _decoded(type_: pa.DataType) -> pa.DataType:
    type_ = type_.value_type if pa.types.is_dictionary(type_) else type_
    return pa.string() if pa.types.is_string_view(type_) else type_
