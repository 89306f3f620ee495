"""Says which elements of the columns of vectors are features, and how long the vectors are."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from fnmatch import fnmatchcase

import pyarrow as pa

from lasso_jobs.core.rows.vectors import Tokens, Vector, vector_and_index
from lasso_jobs.data.columns.kinds import is_sparse, kind_of
from lasso_jobs.data.dataset import Dataset, SourceFile
from lasso_jobs.data.parquet_file import first_value
from lasso_jobs.data.vectors.footers import VectorLength
from lasso_jobs.data.vectors.values import length_of
from lasso_jobs.errors import DataError

MOST_ELEMENTS = 20_000_000
"""Twenty times as many as were tried, and more than hashes of 24 bits have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenColumn:
    """A column whose tokens are to be the elements of vectors.

    Parameters
    ----------
    column : str
    tokens : Tokens
    hashed : int or None
        Into how many elements tokens are hashed; None if each has its own.
    min_rows : int
        In how many rows a token is that has an element.
    max_share : float
        In what share of the rows it is at most.
    """

    column: str
    tokens: Tokens
    hashed: int | None = None
    min_rows: int = 1
    max_share: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorOptions:
    """What a job says of the columns of vectors.

    Parameters
    ----------
    sizes : mapping of str to int
        The lengths of vectors, where nothing else tells them.
    names : mapping of str to tuple of str
        Names of all elements.
    tokens : mapping of str to TokenColumn
        The columns whose vectors are made of tokens.
    """

    sizes: Mapping[str, int] = field(default_factory=dict)
    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    tokens: Mapping[str, TokenColumn] = field(default_factory=dict)

    def stated_length(self, column: str) -> tuple[int | None, str]:
        """The length that the job states, if it does, and where."""
        if column in self.names:
            return len(self.names[column]), "features.names"
        return self.sizes.get(column), "features.sizes"


@dataclass(frozen=True, slots=True)
class NamedElements:
    """What a list of the job names, without the elements of vectors in it.

    Parameters
    ----------
    columns : tuple of str
        Columns and patterns.
    elements : mapping of str to set of str
        By the vector's column, the names of those that are named one by one.
    """

    columns: tuple[str, ...]
    elements: Mapping[str, set[str]]

    @classmethod
    def of(cls, schema: pa.Schema, names: Iterable[str], options: VectorOptions) -> "NamedElements":
        """Tell elements, such as ``embedding[3]``, from the patterns that they could be, too."""
        columns: list[str] = []
        elements: dict[str, set[str]] = {}
        for name in names:
            column = _column_in(schema, name, options)
            if column is None or schema.get_field_index(name) >= 0:
                columns.append(name)
            else:
                elements.setdefault(column, set()).add(name)
        return cls(tuple(columns), elements)

    def with_columns(self, columns: Iterable[str]) -> "NamedElements":
        """With some columns, but those of which elements are named."""
        more = (column for column in columns if column not in self.elements)
        return NamedElements((*self.columns, *more), self.elements)

    def of_column(self, column: str) -> set[str] | None:
        """The elements that are named of a vector; None if all are, by the column's name."""
        whole = any(column == name or fnmatchcase(column, name) for name in self.columns)
        return None if whole else self.elements.get(column, set())


def _column_in(schema: pa.Schema, name: str, options: VectorOptions) -> str | None:
    """The column of the vector whose element has a name."""
    for column in (*options.names, *options.tokens):
        if name.startswith(f"{column}[") and name.endswith("]"):
            return column
    element = vector_and_index(name)
    place = schema.get_field_index(element[0]) if element else -1
    is_vector = place >= 0 and kind_of(schema.field(place).type) == "vector"
    return element[0] if element and is_vector else None


def vectors_among(
    dataset: Dataset,
    names: Iterable[str],
    *,
    include: NamedElements,
    exclude: NamedElements,
    options: VectorOptions,
) -> tuple[list[Vector], list[str], list[tuple[str, str]]]:
    """The columns of vectors that have features, and the features' names.

    A column that only a pattern means is left out, with the reason, if its vectors are of several
    lengths: it may be of lists that are no vectors.

    Raises
    ------
    DataError
    """
    vectors, features, left_out = [], [], []
    for name in names:
        try:
            vector = vector_of(dataset, name, options)
            _refuse_too_long(dataset, vector)
        except DataError as error:
            if name in {*include.columns, *include.elements, *options.names, *options.sizes}:
                raise
            left_out.append((name, f"{error.found}; expected {error.expected}"))
            continue
        chosen = chosen_elements(dataset, vector, include, exclude)
        vectors += [vector] if chosen else []
        features += chosen
    return vectors, features, left_out


def chosen_elements(
    dataset: Dataset, vector: Vector, include: NamedElements, exclude: NamedElements
) -> list[str]:
    """The names of the features that a vector is.

    Raises
    ------
    DataError
        If an element that is named is none of the vector's, or a column has the name of one.
    """
    names, column = vector.names, vector.column
    included, excluded = include.of_column(column), exclude.elements.get(column, set())
    alike = {name for name in dataset.schema.names if name.startswith(f"{column}[")}
    named = {*(included or ()), *excluded, *alike}
    known = named.intersection(names) if named else named
    # A token that a training is to leave out need not be there.
    required = (included or set()) if vector.tokens is not None else {*(included or ()), *excluded}
    if beyond := sorted(required - known):
        raise _no_element(dataset, vector, beyond[0])
    if alike & known:
        raise DataError(
            f"{dataset.path}, column {min(alike & known)!r}",
            f"has the name of an element of the vectors in {column!r}",
            "another name",
            f"Rename it, or exclude {column!r}",
        )
    if included is None and not excluded:
        return list(names)
    wanted = names if included is None else included
    return [name for name in names if name in wanted and name not in excluded]


def _no_element(dataset: Dataset, vector: Vector, name: str) -> DataError:
    expected = f"elements up to {vector.names[-1]}"
    close: list[str] = []
    if vector.own is not None:
        expected = f"one of the {len(vector.own):,} elements, such as {vector.names[0]}"
        close = get_close_matches(name, vector.names[:10_000], 1)
    return DataError(
        f"{dataset.path}, features",
        f"there is no element {name}",
        expected,
        f"Did you mean {close[0]!r}?" if close else "Correct the job file",
    )


def _refuse_too_long(dataset: Dataset, vector: Vector) -> None:
    """Each element is a feature with a name: one index of 2^31, and there is no memory left."""
    if vector.length > MOST_ELEMENTS:
        raise DataError(
            f"{dataset.path}, column {vector.column!r}",
            f"has vectors of length {vector.length:,}",
            f"at most {MOST_ELEMENTS:,} elements",
            "Mend the index that is so large, hash the indices into fewer, or exclude the column",
        )


def check_names_differ(dataset: Dataset, vectors: Sequence[Vector]) -> None:
    """Check that elements of two vectors have not one name, as ``a[b`` and ``c]`` may bring about.

    Raises
    ------
    DataError
    """
    if sum(vector.own is not None for vector in vectors) and len(vectors) > 1:
        names = [name for vector in vectors for name in vector.names]
        if len(set(names)) < len(names):
            columns = ", ".join(repr(vector.column) for vector in vectors)
            found = f"elements of {columns} have one name"
            raise DataError(dataset.path, found, "names that differ", "Rename a column")


def vector_of(dataset: Dataset, name: str, options: VectorOptions) -> Vector:
    """A column of vectors, with the length that the types, the footers or the job tell.

    Where none of them does, as of lists with nulls, the first vector does.

    Raises
    ------
    DataError
        If the vectors are of several lengths, or none tells theirs.
    """
    if name in options.tokens:
        column = options.tokens[name]
        return Vector(name, column.hashed or 0, tokens=column.tokens)
    files = [file for file in dataset.files if file.rows.sum() and _has_vectors(file, name)]
    known = [(file, file.vectors[name]) for file in files if name in file.vectors]
    length, source = options.stated_length(name)
    for file, (least, most) in known:
        if length is None and least == most:
            length, source = least, file.identity.path
        if length is None and most is not None:
            raise _several_lengths(file, name, _lengths(least, most), "one length")
        if length is not None and not _is_of(length, least, most):
            expected = f"length {length:,}, as in {source}"
            raise _several_lengths(file, name, _lengths(least, most), expected)
    if length is not None:
        return Vector(name, length, options.names.get(name))
    largest = max((least for _, (least, _) in known), default=0)
    if is_sparse(dataset.schema.field(name).type) and len(known) == len(files) and largest:
        return Vector(name, largest)
    return Vector(name, _first_length(files, dataset.path, name))


def _has_vectors(file: SourceFile, name: str) -> bool:
    place = file.schema.get_field_index(name)
    return place >= 0 and kind_of(file.schema.field(place).type) == "vector"


def _is_of(length: int, least: int, most: int | None) -> bool:
    return least <= length if most is None else least == most == length


def check_lengths(dataset: Dataset, vectors: Mapping[str, int]) -> None:
    """Check that vectors are as long as in training, as far as types and footers tell.

    Parameters
    ----------
    dataset : Dataset
    vectors : mapping of str to int
        The lengths by the source's column.

    Raises
    ------
    DataError
        Naming the first file that deviates.
    """
    for file in dataset.files if vectors else ():
        for name, length in vectors.items():
            least, most = file.vectors.get(name, VectorLength(0, None))
            if file.rows.sum() and most is not None and not least <= length <= most:
                expected = f"length {length:,}, as in training"
                raise _several_lengths(file, name, _lengths(least, most), expected)


def _first_length(files: Sequence[SourceFile], path: str, name: str) -> int:
    for file in files:
        value = first_value(file.identity.path, file.identity.state, name)
        length = None if value is None else length_of(value)
        if length is not None:
            return length
    raise DataError(
        f"{path}, column {name!r}",
        "has vectors whose length nothing tells",
        "a size, or vectors with values",
        f"State it in features.sizes, such as {{{name}: 1000}}, or exclude the column",
    )


def _lengths(least: int, most: int | None) -> str:
    """The lengths of a file's vectors, as far as its footer tells them."""
    if most is None:
        return f"{least:,} and more"
    return f"{least:,}" if least == most else f"{least:,} to {most:,}"


def _several_lengths(file: SourceFile, name: str, found: str, expected: str) -> DataError:
    return DataError(
        f"{file.identity.path}, column {name!r}",
        f"has vectors of length {found}",
        f"vectors of {expected}",
        "Write them with one length, or exclude the column",
    )
