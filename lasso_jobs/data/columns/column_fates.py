"""Says what becomes of a column whose type differs between the files, or that some of them lack."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import pyarrow as pa

from lasso_jobs.data.columns.kinds import NUMBERS, kind_of
from lasso_jobs.data.dataset import Dataset, SourceFile

Fate = Literal["ok", "widened", "converted", "all null", "imputed"]
TypeInFile = tuple[SourceFile, pa.DataType | None]
"""A file, and the type that a column has there; None where the file lacks it."""


@dataclass(frozen=True, slots=True)
class ColumnFate:
    """What becomes of a column, as its type differs between the files, or not.

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
    fate: Fate = "ok"
    file: str | None = None
    detail: str = ""

    def deviating(self, fate: Fate, file: SourceFile, detail: str) -> "ColumnFate":
        """The fate, and the first file that brings it about."""
        return replace(self, fate=fate, file=file.identity.path, detail=detail)

    def lacking(self, dataset: Dataset) -> "ColumnFate":
        """The fate of a column that is null in the files that lack it; if none does, as it is."""
        files = [file for file in dataset.files if _lacks(file, self.column)]
        detail = f"missing in {len(files)} of {len(dataset.files)} files: taken as null"
        return self.deviating("imputed", files[0], detail) if files else self

    def of_types(self, types: Sequence[TypeInFile]) -> "ColumnFate":
        """How types that differ between the files, or that arithmetic has not, are read."""
        present = [type_ for _, type_ in types if not pa.types.is_null(type_)]
        first = present[0] if present else pa.null()
        for file, type_ in types:
            if type_ != first and not pa.types.is_null(type_):
                number = kind_of(type_) in NUMBERS and not pa.types.is_dictionary(type_)
                fate: Fate = "widened" if number else "converted"
                return self.deviating(fate, file, f"{type_} beside {first}")
        if pa.types.is_decimal(first):
            return self.deviating("converted", types[0][0], f"{first} is read as double")
        return self


def types_in_files(dataset: Dataset, column: str) -> list[TypeInFile]:
    """The type of a column in each file; what a file of a Delta table lacks, the table knows."""
    place = dataset.schema.get_field_index(column)
    is_table = dataset.version is not None and place >= 0
    otherwise = dataset.schema.field(place).type if is_table else None
    types: list[TypeInFile] = []
    for file in dataset.files:
        constant = dict(file.identity.constants).get(column)
        place = file.schema.get_field_index(column)
        if constant is not None:
            types.append((file, constant.type))
        else:
            types.append((file, file.schema.field(place).type if place >= 0 else otherwise))
    return types


def _lacks(file: SourceFile, column: str) -> bool:
    constant = any(name == column for name, _ in file.identity.constants)
    return not constant and file.schema.get_field_index(column) < 0


def odd_columns(dataset: Dataset, roles: Mapping[str, str]) -> tuple[ColumnFate, ...]:
    """The columns that some file has otherwise than another; nothing of it is in the way.

    Parameters
    ----------
    dataset : Dataset
    roles : mapping of str to str
        The columns that are read, and what as.
    """
    names = {name for file in dataset.files for name, _ in file.identity.valueless}
    common = dict(zip(dataset.schema.names, dataset.schema.types, strict=True))
    schemas = {id(file.schema): file.schema for file in dataset.files}
    for schema in schemas.values():
        own = zip(schema.names, schema.types, strict=True)
        names |= {name for name, type_ in own if common.get(name, type_) != type_}
    fates = []
    for name, role in roles.items():
        if name in names:
            types, plain = types_in_files(dataset, name), ColumnFate(name, role)
            absent = plain.lacking(dataset)
            fates.append(plain.of_types(types) if absent == plain else absent)
            empty = [file for file, type_ in types if type_ == pa.null()]
            if fates[-1].fate == "ok" and empty:
                detail = f"in {len(empty)} of {len(types)} files"
                fates[-1] = plain.deviating("all null", empty[0], detail)
    return tuple(fate for fate in fates if fate.fate != "ok")


def in_words(fates: Iterable[ColumnFate]) -> str:
    """One line: the columns that some file has otherwise."""
    odd = [c for c in fates if c.fate != "ok"]
    said = "; ".join(f"{c.column} {c.fate} ({c.detail}, {c.file})" for c in odd)
    return said or "every file has these columns"


def as_values(fates: Iterable[ColumnFate]) -> list[dict[str, Any]]:
    """The same for JSON."""
    return [asdict(fate) for fate in fates]
