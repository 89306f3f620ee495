"""Settles one schema for the files of a dataset, and how each file that differs from it is read.

The rule: the columns are those of all files, in the order in which the files bring them, or those
of the Delta table. A file that lacks a column, or has it with the type ``null``, has nulls there.
What the names of folders give is text; in a file below such a folder it takes the place of a column
of that name, and a file elsewhere lacks it.
Types that differ are read as `lasso_jobs.data.columns.kinds.common_type` says; where there is none,
the column keeps the type of the first file, and whoever uses it refuses the file that differs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pyarrow as pa

from lasso_jobs.data.columns.kinds import common_type, read_type
from lasso_jobs.data.dataset import SourceFile

Typed = tuple[tuple[str, pa.DataType], ...]
"""Columns, each with a type."""


def settle(
    files: Sequence[SourceFile], table: pa.Schema | None = None
) -> tuple[pa.Schema, tuple[SourceFile, ...]]:
    """The schema of a dataset, with the constants last, and its files, each with how it is read.

    Parameters
    ----------
    files : sequence of SourceFile
    table : pyarrow.Schema, optional
        That of the Delta table, which is the schema.
    """
    # Most files have the schema and the constants' names of another; they share its object then.
    objects = {id(file.schema): file.schema for file in files}
    texts = {number: schema.serialize().to_pybytes() for number, schema in objects.items()}
    keys = [
        (texts[id(file.schema)], tuple(name for name, _ in file.identity.constants))
        for file in files
    ]
    alike = dict(zip(keys, files, strict=True))
    schemas = [file.schema for file in alike.values()]
    constants: dict[str, pa.DataType] = {}
    for file in alike.values():
        for name, value in file.identity.constants:
            constants.setdefault(name, value.type)
    known = _types_of(schemas if table is None else [table])
    types = {name: type_ for name, type_ in known.items() if name not in constants}
    types |= constants
    as_read = {key: _as_read(file, types) for key, file in alike.items()}
    settled = tuple(
        _with(replace(file, schema=alike[key].schema), *as_read[key])
        for key, file in zip(keys, files, strict=True)
    )
    return pa.schema([*types.items()]), settled


def _types_of(schemas: Sequence[pa.Schema]) -> dict[str, pa.DataType]:
    types: dict[str, pa.DataType] = {}
    for schema in schemas:
        for field in schema:
            known = types.setdefault(field.name, field.type)
            if known != field.type:
                types[field.name] = common_type(known, field.type) or known
    return types


def _as_read(file: SourceFile, types: Mapping[str, pa.DataType]) -> tuple[Typed, Typed]:
    """The columns that have no values in files such as this, and those that are converted."""
    own = dict(zip(file.schema.names, file.schema.types, strict=True))
    own |= {name: types[name] for name, _ in file.identity.constants}
    valueless, converted = [], []
    for name, wanted in types.items():
        type_ = own.get(name)
        if type_ == wanted:
            continue
        if type_ is None or pa.types.is_null(type_):
            valueless.append((name, wanted))
        elif common_type(type_, wanted) is not None:
            other = read_type(type_, wanted)
            converted += [] if other is None else [(name, other)]
    return tuple(valueless), tuple(converted)


def _with(file: SourceFile, valueless: Typed, converted: Typed) -> SourceFile:
    if not (valueless or converted):
        return file
    identity = replace(file.identity, valueless=valueless, converted=converted)
    return replace(file, identity=identity)
