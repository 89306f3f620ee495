"""Says what the footer of a Parquet file tells of its columns; files that are alike share it."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from threading import Lock

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from lasso_jobs.data.columns.aside import columns_aside
from lasso_jobs.data.columns.kinds import stored_type
from lasso_jobs.data.vectors.footers import VectorLength, vector_lengths
from lasso_jobs.errors import DataError

_WHOLE_SCHEMA = b"ARROW:schema"
"""Where Arrow writes a schema as it is, with the names of nested columns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileColumns:
    """The columns of a file.

    Parameters
    ----------
    schema : pyarrow.Schema
        With the types in which the values are stored.
    owners : tuple of int
        The column of the schema that each leaf of the file belongs to.
    aside : mapping of str to str
        As of a `SourceFile`.
    nested : mapping of int to tuple of int
        The columns that have leaves of their own, by place, each with them.
    """

    schema: pa.Schema
    owners: tuple[int, ...]
    aside: Mapping[str, str]
    nested: Mapping[int, tuple[int, ...]]

    @classmethod
    def of(cls, path: str, schema: pa.Schema) -> "FileColumns":
        """The columns of the file's own schema.

        Raises
        ------
        DataError
            If two have one name.
        """
        twice = [name for name, count in Counter(schema.names).items() if count > 1]
        if twice:
            raise DataError(
                path, f"has several columns {twice[0]!r}", "names that differ", "Rename all but one"
            )
        stored = pa.schema([(field.name, stored_type(field.type)) for field in schema])
        owners = tuple(leaf_owners(schema))
        nested = [place for place, type_ in enumerate(stored.types) if pa.types.is_nested(type_)]
        leaves: dict[int, tuple[int, ...]] = dict.fromkeys(nested, ())
        for leaf, place in enumerate(owners if nested else ()):
            if place in leaves:
                leaves[place] += (leaf,)
        return cls(schema=stored, owners=owners, aside=columns_aside(schema), nested=leaves)

    def vector_lengths(self, metadata: pq.FileMetaData) -> dict[str, VectorLength]:
        """How long the vectors of columns are, where the footer tells."""
        if not self.nested:
            return {}
        groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
        return vector_lengths(self.schema, groups, self.nested)

    def sizes_and_nulls(
        self, metadata: pq.FileMetaData
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The compressed bytes and the nulls of each column, as a `SourceFile` has them."""
        n_groups, n_columns = metadata.num_row_groups, len(self.schema)
        sizes = np.zeros((n_groups, n_columns), np.int64)
        nulls, unknown = np.zeros(n_columns, np.int64), np.zeros(n_columns, bool)
        owners = np.array(self.owners, np.intp)
        for i in range(n_groups):
            group = metadata.row_group(i)
            # Lists: counting in arrays takes twice as long, and a footer may have 100,000 columns.
            leaves = [group.column(j) for j in range(len(owners))]
            np.add.at(sizes[i], owners, [leaf.total_compressed_size for leaf in leaves])
            known = [leaf.statistics for leaf in leaves]
            counts = [-1 if k is None or not k.has_null_count else k.null_count for k in known]
            np.add.at(nulls, owners, counts)
            unknown[owners[np.array(counts, np.int64) < 0]] = True
        # Of vectors the footer counts the elements that are null; no row need be.
        nested = np.array(list(self.nested), np.intp)
        unknown[nested] |= nulls[nested] > 0
        return sizes, np.where(unknown, -1, nulls)


def leaf_owners(schema: pa.Schema) -> list[int]:
    """The column of the schema that each leaf of the file belongs to."""
    types = schema.types
    n = {type_: _n_leaves(type_) for type_ in set(types)}  # of 10,000 columns most are alike
    return [j for j, type_ in enumerate(types) for _ in range(n[type_])]


def _n_leaves(type_: pa.DataType) -> int:
    if isinstance(type_, pa.BaseExtensionType):
        return _n_leaves(type_.storage_type)
    if pa.types.is_dictionary(type_) or not pa.types.is_nested(type_):
        return 1
    return sum(_n_leaves(type_.field(i).type) for i in range(type_.num_fields))


class SharedColumns:
    """The columns of the files that were read before, for those whose footers tell the same.

    Most files of a dataset are alike, and to find out the columns of one takes half as long as to
    read its footer.
    """

    def __init__(self) -> None:
        self._known: dict[frozenset[tuple[bytes, bytes]], tuple[pq.ParquetSchema, FileColumns]] = {}
        # Lest all threads find out the same at once, of the first files.
        self._one_at_a_time = Lock()

    def of(self, path: str, file: pq.ParquetFile) -> FileColumns:
        """The columns of an open file."""
        written = file.metadata.metadata or {}
        # Parquet's own schemas are compared by their leaves: without the whole, a leaf x of a
        # structure is taken for that of another.
        if _WHOLE_SCHEMA not in written:
            return FileColumns.of(path, file.schema_arrow)
        key = frozenset(written.items())
        with self._one_at_a_time:
            schema, columns = self._known.get(key, (None, None))
            if columns is None or not file.schema.equals(schema):
                columns = FileColumns.of(path, file.schema_arrow)
                self._known[key] = file.schema, columns
        return columns
