"""Says how long the vectors of a file's columns are, as far as its types and its footer tell."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from lasso_jobs.data.columns.kinds import is_list, is_sparse


class VectorLength(NamedTuple):
    """How long the vectors of a column are.

    Parameters
    ----------
    least : int
    most : int or None
        The same where all vectors are known to be of one length. None where they may be longer
        than the least, as with sparse vectors that have no size but a largest index.
    """

    least: int
    most: int | None


def vector_lengths(
    schema: pa.Schema, groups: Sequence[pq.RowGroupMetaData], leaves: Mapping[int, Sequence[int]]
) -> dict[str, VectorLength]:
    """The lengths of the columns of vectors; those that the footer does not tell are left out.

    Parameters
    ----------
    schema : pyarrow.Schema
    groups : sequence of pyarrow.parquet.RowGroupMetaData
    leaves : mapping of int to sequence of int
        The places in the schema of the columns that have leaves of their own, each with them.
    """
    lengths, groups = {}, [group for group in groups if group.num_rows]
    for place in leaves:
        field = schema.field(place)
        if pa.types.is_fixed_size_list(field.type) and is_list(field.type):
            lengths[field.name] = VectorLength(field.type.list_size, field.type.list_size)
        elif is_list(field.type) or is_sparse(field.type):
            columns = [[group.column(leaf) for group in groups] for leaf in leaves[place]]
            if is_list(field.type):
                length = _of_lists(columns[0], [group.num_rows for group in groups])
            else:
                length = _of_sparse(field.type, columns)
            if length is not None:
                lengths[field.name] = length
    return lengths


def _of_lists(chunks: Sequence[pq.ColumnChunkMetaData], rows: Sequence[int]) -> VectorLength | None:
    """As many as there are values for each row, if no null is among them."""
    known = [chunk.statistics for chunk in chunks]
    if not chunks or any(s is None or not s.has_null_count or s.null_count for s in known):
        return None
    counts = [chunk.num_values / n for chunk, n in zip(chunks, rows, strict=True)]
    least, most = int(min(counts)), max(counts)
    return VectorLength(least, int(most) if most.is_integer() else int(most) + 1)


def _of_sparse(
    type_: pa.DataType, columns: Sequence[Sequence[pq.ColumnChunkMetaData]]
) -> VectorLength | None:
    """The size that all of them have; without sizes, what the largest index needs."""
    names = ["indices"] if pa.types.is_map(type_) else [field.name for field in type_]
    if "size" in names:
        sizes = _bounds(columns[names.index("size")])
        return VectorLength(min(sizes), max(sizes)) if sizes else None
    indices = _bounds(columns[names.index("indices")])
    return None if indices is None else VectorLength(max(indices, default=-1) + 1, None)


def _bounds(chunks: Sequence[pq.ColumnChunkMetaData]) -> list[int] | None:
    """The smallest and the largest value of each chunk that has some; None if one is not known."""
    bounds: list[int] = []
    for chunk in chunks:
        known = chunk.statistics
        if known is not None and known.has_min_max:
            bounds += [int(known.min), int(known.max)]
        elif known is None or not known.has_null_count or known.null_count < chunk.num_values:
            return None
    return bounds
