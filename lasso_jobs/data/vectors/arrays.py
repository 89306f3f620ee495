"""Decodes arrays of vectors, lists of numbers or sparse ones, into their values and places."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lasso_jobs.core.rows.blocks.sparse import SparseColumns
from lasso_jobs.core.rows.vectors import Elements, as_slice
from lasso_jobs.data.columns.kinds import is_list

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Mask = NDArray[np.bool_]

DENSE = 1
"""What Spark writes as the type of a vector whose values are all there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entries:
    """Vectors as their entries, row after row: compressed sparse rows.

    Parameters
    ----------
    starts : ndarray of int64, shape (n + 1,)
        Where the entries of each row begin, and the last end.
    indices : ndarray of int64, shape (n_entries,)
    values : ndarray, shape (n_entries,)
        Null is NaN.
    nulls : ndarray of bool, shape (n,)
        Rows without a vector: every element is null, and no entry says so.
    """

    starts: Integers
    indices: Integers
    values: NDArray[Any]
    nulls: Mask

    def columns(self, wanted: Elements, length: int) -> SparseColumns:
        """Some elements, by their columns."""
        from scipy.sparse import csr_array

        n, (places, indices) = len(self.nulls), wanted
        starts, own, values = self.starts, self.indices, self.values
        if len(indices) < length or (np.diff(indices) != 1).any():
            place = np.full(length, -1, np.intp)
            place[indices] = np.arange(len(indices))
            at = place[own]
            chosen = at >= 0
            starts = np.append(0, np.cumsum(chosen))[starts]
            own, values = at[chosen], values[chosen]
        matrix = csr_array((values, own, starts), shape=(n, len(indices)))
        return SparseColumns.of_matrix(places, matrix, self.nulls)

    def dense(self, wanted: NDArray[np.intp], length: int) -> Floats:
        """Some elements, shape (n_wanted, n); no other element is laid out."""
        place = np.full(length, -1, np.intp)
        place[wanted] = np.arange(len(wanted))
        at = place[self.indices]
        chosen = at >= 0
        row = np.repeat(np.arange(len(self.nulls)), np.diff(self.starts))
        values = np.zeros((len(wanted), len(self.nulls)))
        values[at[chosen], row[chosen]] = self.values[chosen]
        values[:, self.nulls] = np.nan
        return values


@dataclass(frozen=True, slots=True, kw_only=True)
class Lists:
    """Vectors that are lists, in one array.

    Parameters
    ----------
    flat : ndarray
        All their elements.
    starts : ndarray of int64, shape (n,)
        Where each row's begin.
    nulls : ndarray of bool, shape (n,)
    """

    flat: NDArray[Any]
    starts: Integers
    nulls: Mask

    def dense(self, wanted: NDArray[np.intp], length: int) -> NDArray[Any]:
        """Some elements, shape (n_wanted, n), perhaps as a view."""
        n, starts = len(self.starts), self.starts
        regular = n > 0 and bool((np.diff(starts) == length).all()) and not self.nulls.any()
        if regular:
            rows = self.flat[starts[0] : starts[0] + n * length].reshape(n, length)
            return rows[:, as_slice(wanted)].T
        values = np.full((len(wanted), n), np.nan)
        there = np.flatnonzero(~self.nulls)
        values[:, there] = self.flat[starts[there] + wanted[:, None]]
        return values


def decoded(array: pa.Array, length: int) -> tuple[Entries | Lists, Mask]:
    """The vectors of an array, and which rows are not of the length."""
    nulls = _mask(pc.is_null(array))
    if pa.types.is_null(array.type):
        none = np.zeros(0, np.int64)
        starts = np.zeros(len(array) + 1, np.int64)
        return Entries(starts=starts, indices=none, values=np.zeros(0), nulls=nulls), ~nulls
    if not is_list(array.type):
        return _decoded_sparse(array, nulls, length)
    starts, lengths, elements = _list_parts(array)
    wrong = ~nulls & (lengths != length)
    return Lists(flat=_numbers(elements), starts=starts, nulls=nulls | wrong), wrong


def rows_with_nulls(array: pa.Array) -> Mask:
    """The rows without a vector, or with an element that is null, whatever their lengths."""
    nulls = _mask(pc.is_null(array))
    if pa.types.is_null(array.type):
        return nulls
    if pa.types.is_map(array.type):
        (_, _, lengths), items = _bounds(array), _items(array)[1]
    else:
        lists = array if is_list(array.type) else array.field("values")
        _, lengths, items = _list_parts(lists)
    row = np.repeat(np.arange(len(array)), lengths)
    nulls[row[np.isnan(_numbers(items))]] = True
    return nulls


def _decoded_sparse(array: pa.Array, nulls: Mask, length: int) -> tuple[Entries, Mask]:
    if pa.types.is_map(array.type):
        _, at, counts = _bounds(array)
        values_at, (keys, items) = at, _items(array)
        wrong, is_dense = np.zeros(len(array), np.bool_), np.zeros(len(array), np.bool_)
    else:
        names = [field.name for field in array.type]
        at, n_indices, keys = _list_parts(array.field("indices"))
        values_at, counts, items = _list_parts(array.field("values"))
        is_dense = _integers(array, "type", names) == DENSE
        size = _integers(array, "size", names)
        size = np.where(is_dense, counts, size)
        lacks = _mask(pc.is_null(array.field("values"))) | (
            ~is_dense & _mask(pc.is_null(array.field("indices")))
        )
        wrong = lacks | ((size >= 0) & (size != length)) | (~is_dense & (counts != n_indices))
    wrong &= ~nulls
    rows = _Rows(np.where(wrong | nulls, 0, counts), at, values_at, is_dense)
    indices, known = rows.indices(keys)
    odd = ~known | (indices < 0) | (indices >= length) | rows.repeated(indices)
    if odd.any():
        bad = np.bincount(rows.row[odd], minlength=len(array)) > 0
        wrong |= bad
        rows = _Rows(np.where(bad, 0, rows.counts), at, values_at, is_dense)
        indices, _ = rows.indices(keys)
    values = _numbers(items)[rows.of(values_at)]
    starts = np.append(0, np.cumsum(rows.counts))
    return Entries(starts=starts, indices=indices, values=values, nulls=nulls | wrong), wrong


class _Rows:
    """Where the entries of rows are in the arrays of their indices and values."""

    def __init__(
        self, counts: Integers, indices_at: Integers, values_at: Integers, is_dense: Mask
    ) -> None:
        self.counts, self._indices_at, self._is_dense = counts, indices_at, is_dense
        self.row = np.repeat(np.arange(len(counts)), counts)
        first = np.cumsum(counts) - counts
        self._within = np.arange(len(self.row)) - first[self.row]

    def of(self, at: Integers) -> Integers:
        """The places of the entries in an array in which each row begins at a place of its own."""
        return np.asarray(at[self.row] + self._within)

    def indices(self, keys: pa.Array) -> tuple[Integers, Mask]:
        """The index of each entry, and whether it is not null."""
        dense = self._is_dense[self.row]
        place = np.where(dense, 0, self.of(self._indices_at))
        if not len(keys):
            return self._within, np.ones(len(place), np.bool_)
        known = _mask(pc.is_valid(keys))[place] | dense
        listed = _raw(pc.fill_null(keys.cast(pa.int64()), -1), np.int64)[place]
        return np.where(dense, self._within, listed), known

    def repeated(self, indices: Integers) -> Mask:
        """Entries whose index their row has before; most vectors have theirs in order."""
        if ((np.diff(indices) > 0) | (np.diff(self.row) > 0)).all():
            return np.zeros(len(indices), np.bool_)
        order = np.lexsort((indices, self.row))
        same = (np.diff(indices[order]) == 0) & (np.diff(self.row[order]) == 0)
        twice = np.zeros(len(indices), np.bool_)
        twice[order[1:]] = same
        return twice


def _list_parts(array: pa.Array) -> tuple[Integers, Integers, pa.Array]:
    """Where each row's elements begin, how many they are, and the array that they are in.

    Of a slice, that is the slice's own part of the array.
    """
    if pa.types.is_fixed_size_list(array.type):
        size = array.type.list_size
        lengths = np.full(len(array), size, np.int64)
        elements = array.values.slice(array.offset * size, len(array) * size)
        return np.arange(len(array)) * size, lengths, elements
    first, starts, lengths = _bounds(array)
    return starts, lengths, array.values.slice(first, int(lengths.sum()))


def _bounds(array: pa.Array) -> tuple[int, Integers, Integers]:
    """Where the elements of a slice begin, and there each row's, and how many these are."""
    ends = _raw(array.offsets.cast(pa.int64()), np.int64)
    if not len(ends):
        return 0, np.zeros(0, np.int64), np.zeros(0, np.int64)
    return int(ends[0]), ends[:-1] - ends[0], np.diff(ends)


def _items(array: pa.MapArray) -> tuple[pa.Array, pa.Array]:
    """The keys and the items of a slice's own rows."""
    first, _, lengths = _bounds(array)
    return tuple(each.slice(first, int(lengths.sum())) for each in (array.keys, array.items))


def _integers(array: pa.Array, name: str, names: Sequence[str]) -> Integers:
    """A part of a struct that is one integer a row; -1 where there is none."""
    if name not in names:
        return np.full(len(array), -1, np.int64)
    return _raw(pc.fill_null(array.field(name).cast(pa.int64()), -1), np.int64)


def _numbers(array: pa.Array) -> NDArray[Any]:
    """Elements as they are stored, if arithmetic has their type and none is null."""
    if pa.types.is_float16(array.type):
        array = array.cast(pa.float32())
    if not (pa.types.is_float32(array.type) or pa.types.is_float64(array.type)):
        array = array.cast(pa.float64(), safe=False)
    if array.null_count:
        array = pc.fill_null(array, np.nan)
    return _raw(array, np.float32 if pa.types.is_float32(array.type) else np.float64)


def _mask(array: pa.Array) -> Mask:
    return _raw(array.cast(pa.uint8()), np.uint8).astype(np.bool_)


def _raw(array: pa.Array, dtype: Any) -> NDArray[Any]:
    # Array.to_numpy() imports pandas, which costs more than many jobs.
    if len(array) == 0:
        return np.empty(0, dtype)
    size = np.dtype(dtype).itemsize
    return np.frombuffer(array.buffers()[1], dtype, len(array), array.offset * size)
