"""Compares the footer of every file with the columns that a scoring needs, before a row is read.

Where a file deviates, the contract says what becomes of the column (it is widened, converted or
imputed), or names the first file in which nothing mends it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

import pyarrow as pa

from lasso_jobs.core.rows.columns import Columns
from lasso_jobs.data.columns.aside import remedy_of_range
from lasso_jobs.data.columns.column_fates import (
    ColumnFate,
    Fate,
    TypeInFile,
    in_words,
    types_in_files,
)
from lasso_jobs.data.columns.feature_kinds import expected_kinds
from lasso_jobs.data.columns.kinds import Kind, common_type, exact_type, is_kind
from lasso_jobs.data.dataset import Dataset, SourceFile
from lasso_jobs.data.schema import listed
from lasso_jobs.data.vectors.features import check_lengths
from lasso_jobs.errors import DataError


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What a model and a scoring job need of the columns of a dataset.

    Parameters
    ----------
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
    offset : str or None
        The feature that is the model's offset, of which a null is never filled.
    """

    model: str
    features: Columns
    sources: Mapping[str, str]
    carried: Mapping[str, str]
    others: Mapping[str, str]
    imputes: bool
    nulls_allowed: bool
    offset: str | None = None

    def fills(self, name: str) -> bool:
        """Whether a feature may be null."""
        return self.nulls_allowed and name != self.offset

    def role(self, name: str) -> str:
        """What a feature is, for messages."""
        return f"{'the offset' if name == self.offset else 'a feature'} of {self.model}"


@dataclass(frozen=True, slots=True)
class Contract:
    """What becomes of the columns of a dataset.

    Parameters
    ----------
    columns : tuple of ColumnFate
        One for each column that is used.
    extra : tuple of str
        Columns that no part of the job uses: they are not read.
    carried : pyarrow.Schema
        The columns that go to the output, in the widest type that any file has.
    absent : frozenset of str
        Features that a file lacks: their values there are null.
    """

    columns: tuple[ColumnFate, ...]
    extra: tuple[str, ...]
    carried: pa.Schema
    absent: frozenset[str]

    @property
    def summary(self) -> str:
        """One line: the columns that some file has otherwise."""
        return in_words(self.columns)


def contract_of(dataset: Dataset, needs: Needs) -> Contract:
    """Compare every file's footer with what the job and the model need.

    Raises
    ------
    DataError
        Naming the first file that deviates in a way that nothing mends.
    """
    fates: dict[str, ColumnFate] = {}
    absent = set()
    of_tokens = {v.column for v in needs.features.vectors if v.tokens is not None}
    for name, kinds in expected_kinds(needs.features).items():
        column = needs.sources[name]
        types = types_in_files(dataset, column)
        if any(type_ is None for _, type_ in types):
            if not (needs.imputes and needs.fills(name)):
                impute = ", or set missing_columns to impute" if needs.fills(name) else ""
                raise _lacking(dataset, column, needs.role(name), impute)
            absent.add(column)
        kind = "offset" if name == needs.offset else "feature"
        plain = ColumnFate(column, kind if column == name else f"{kind} {name}")
        fate = _of_feature(plain, types, kinds, needs.fills(name) or name in of_tokens)
        lacking = plain.lacking(dataset)
        fates[column] = fate if lacking == plain else lacking
    lengths = {v.column: v.length for v in needs.features.vectors if v.tokens is None}
    check_lengths(dataset, {needs.sources[name]: length for name, length in lengths.items()})
    carried = {}
    for name, role in [*needs.carried.items(), *needs.others.items()]:
        types = types_in_files(dataset, name)
        present = [(file, type_) for file, type_ in types if type_ is not None]
        if len(present) < len(types):
            raise _lacking(dataset, name, role)
        join = exact_type if name in needs.carried else common_type
        carried[name], fate = _widest(ColumnFate(name, role), present, join)
        fates.setdefault(name, fate if fate.fate != "ok" else fate.lacking(dataset))
    there = [name for name in dataset.schema.names if name not in dataset.constants]
    return Contract(
        columns=tuple(fates.values()),
        extra=tuple(name for name in there if name not in fates),
        carried=pa.schema([(name, carried[name]) for name in needs.carried]),
        absent=frozenset(absent),
    )


def _lacking(dataset: Dataset, column: str, role: str, impute: str = "") -> DataError:
    """The error of the first file that lacks a column, or of a dataset that does."""
    types = types_in_files(dataset, column)
    file = next(file for file, type_ in types if type_ is None)
    in_range = remedy_of_range(file.aside, column)
    if any(type_ is not None for _, type_ in types):
        return DataError(
            file.identity.path,
            f"lacks the column {column!r} ({role})",
            "the columns of the other files",
            in_range or f"Write the file anew with it, or remove the file{impute}",
        )
    names = [*file.schema.names, *(name for name, _ in file.identity.constants)]
    close = get_close_matches(column, names, 1)
    remedy = "Correct the job file, or add the column"
    if role.startswith(("a feature", "the offset")):
        remedy = f"Add it to the source, or name its column there with rename{impute}"
    return DataError(
        f"{dataset.path}, {role}",
        f"there is no column {column!r}",
        f"one of {listed(names)}",
        in_range or (f"Did you mean {close[0]!r}?" if close else remedy),
    )


def _of_feature(
    plain: ColumnFate, types: Sequence[TypeInFile], kinds: Sequence[Kind], nulls_allowed: bool
) -> ColumnFate:
    for file, type_ in types:
        if type_ is not None and not is_kind(type_, kinds):
            raise DataError(
                f"{file.identity.path}, column {plain.column!r}",
                f"has type {type_}",
                f"{' or '.join(kinds)}, as in training",
                "Convert it, or retrain",
            )
    if any(type_ is None for _, type_ in types):
        return plain
    empty = [file for file, _ in types if file.rows.sum() and _all_null(file, plain.column)]
    if not empty:
        return plain.of_types(types)
    if len(empty) == len(types) and not nulls_allowed:
        raise DataError(
            f"{empty[0].identity.path}, column {plain.column!r}",
            "holds nothing but nulls, in every file",
            "values, as it is the model's offset"
            if plain.role.startswith("offset")
            else "values, as the model was trained without nulls",
            "Mend the files"
            if plain.role.startswith("offset")
            else "Mend the files, or retrain with preprocess.missing: mean",
        )
    return plain.deviating("all null", empty[0], f"in {len(empty)} of {len(types)} files")


def _all_null(file: SourceFile, column: str) -> bool:
    if column in dict(file.identity.constants):
        return False
    place = file.schema.get_field_index(column)
    if place < 0:  # A table says that it has none.
        return True
    return pa.types.is_null(file.schema.field(place).type) or bool(
        file.nulls[place] == file.rows.sum()
    )


def _widest(
    plain: ColumnFate,
    types: Sequence[tuple[SourceFile, pa.DataType]],
    join: Callable[[pa.DataType, pa.DataType], pa.DataType | None],
) -> tuple[pa.DataType, ColumnFate]:
    """The type in which every file's values are written, or compared."""
    common, result = types[0][1], plain
    for file, type_ in types:
        both = join(common, type_)
        if both is None:
            raise DataError(
                f"{file.identity.path}, column {plain.column!r} ({plain.role})",
                f"has type {type_}",
                f"{common} as in the other files, or a type that one type can hold beside it",
                "Convert the file",
            )
        if type_ != common and not pa.types.is_null(type_) and result.fate == "ok":
            zones = pa.types.is_timestamp(type_) or pa.types.is_dictionary(common)
            fate: Fate = "converted" if zones or pa.types.is_dictionary(type_) else "widened"
            result = plain.deviating(fate, file, f"{type_} beside {common}")
        common = both
    return common, result
