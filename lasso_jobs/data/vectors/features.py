"""Says which elements of the columns of vectors are features, and how long the vectors are."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import pyarrow as pa

from lasso_jobs.core.rows.vectors import Vector, vector_and_index
from lasso_jobs.data.columns.kinds import is_sparse, kind_of
from lasso_jobs.data.dataset import Dataset, SourceFile
from lasso_jobs.data.parquet_file import first_value
from lasso_jobs.data.vectors.footers import VectorLength
from lasso_jobs.data.vectors.values import length_of
from lasso_jobs.errors import DataError


@dataclass(frozen=True, slots=True)
class NamedElements:
    """What a list of the job names, without the elements of vectors in it.

    Parameters
    ----------
    columns : tuple of str
        Columns and patterns.
    elements : mapping of str to set of int
        By the vector's column, those that are named one by one.
    """

    columns: tuple[str, ...]
    elements: Mapping[str, set[int]]

    @classmethod
    def of(cls, schema: pa.Schema, names: Iterable[str]) -> "NamedElements":
        """Tell elements, such as ``embedding[3]``, from the patterns that they could be, too."""
        columns: list[str] = []
        elements: dict[str, set[int]] = {}
        for name in names:
            element = None if schema.get_field_index(name) >= 0 else vector_and_index(name)
            place = schema.get_field_index(element[0]) if element else -1
            if element and place >= 0 and kind_of(schema.field(place).type) == "vector":
                elements.setdefault(element[0], set()).add(element[1])
            else:
                columns.append(name)
        return cls(tuple(columns), elements)

    def of_column(self, column: str) -> set[int] | None:
        """The elements that are named of a vector; None if all are, by the column's name."""
        whole = any(column == name or fnmatchcase(column, name) for name in self.columns)
        return None if whole else self.elements.get(column, set())


def vectors_among(
    dataset: Dataset,
    names: Iterable[str],
    *,
    include: NamedElements,
    exclude: NamedElements,
    sizes: Mapping[str, int],
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
            vector = vector_of(dataset, name, sizes)
        except DataError as error:
            if name in include.columns or name in include.elements:
                raise
            left_out.append((name, error.found))
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
        If an index is beyond the vector, or a column has the name of an element.
    """
    included, excluded = (
        include.of_column(vector.column),
        exclude.elements.get(vector.column, set()),
    )
    beyond = [i for i in sorted({*(included or ()), *excluded}) if i >= vector.length]
    if beyond:
        raise DataError(
            f"{dataset.path}, features",
            f"there is no element {vector.column}[{beyond[0]}]",
            f"elements up to {vector.column}[{vector.length - 1}]",
            "Correct the job file",
        )
    for name in dataset.schema.names:
        element = vector_and_index(name)
        if element is not None and element[0] == vector.column and element[1] < vector.length:
            raise DataError(
                f"{dataset.path}, column {name!r}",
                f"has the name of an element of the vectors in {vector.column!r}",
                "another name",
                f"Rename it, or exclude {vector.column!r}",
            )
    wanted = range(vector.length) if included is None else sorted(included)
    names = vector.names
    return [names[index] for index in wanted if index not in excluded]


def vector_of(dataset: Dataset, name: str, sizes: Mapping[str, int]) -> Vector:
    """A column of vectors, with the length that the types, the footers or the job tell.

    Where none of them does, as of lists with nulls, the first vector does.

    Raises
    ------
    DataError
        If the vectors are of several lengths, or none tells theirs.
    """
    files = [file for file in dataset.files if file.rows.sum() and _has_vectors(file, name)]
    known = [(file, file.vectors[name]) for file in files if name in file.vectors]
    length, source = sizes.get(name), "features.sizes"
    for file, (least, most) in known:
        if length is None and least == most:
            length, source = least, file.identity.path
        if length is None and most is not None:
            raise _several_lengths(file, name, f"{least:,} and more", "one length")
        if length is not None and not _is_of(length, least, most):
            raise _several_lengths(file, name, f"{least:,}", f"length {length:,}, as in {source}")
    if length is not None:
        return Vector(name, length)
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
                raise _several_lengths(
                    file, name, f"{least:,}", f"length {length:,}, as in training"
                )


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


def _several_lengths(file: SourceFile, name: str, found: str, expected: str) -> DataError:
    return DataError(
        f"{file.identity.path}, column {name!r}",
        f"has vectors of length {found}",
        f"vectors of {expected}",
        "Write them with one length, or exclude the column",
    )
