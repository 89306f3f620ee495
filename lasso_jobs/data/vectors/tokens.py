"""Splits texts and lists of texts into tokens, and counts them as the entries of sparse vectors.

Words are what scikit-learn's CountVectorizer takes for words: the text in lower case, letter by
letter, and in it the longest runs of at least two letters, digits or underscores of any script. A
row without a text or a list has no tokens: it is all zeros, and no null.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lasso_jobs.core.rows.buckets import text_key
from lasso_jobs.core.rows.vectors import Tokens, TokensHow, Vector
from lasso_jobs.data.arrays import levels, values_of
from lasso_jobs.data.vectors.arrays import Entries, Integers

BETWEEN_WORDS = r"[^\pL\pN_]+"
SHORTEST_WORD = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class TokensOfRows:
    """The tokens of some rows.

    Parameters
    ----------
    distinct : pyarrow.Array of large_string
        Each token once.
    token : ndarray of int64, shape (n_tokens,)
        Which of these each token is.
    row : ndarray of int64, shape (n_tokens,)
        The row that it is in, ascending.
    n_rows : int
    """

    distinct: pa.Array
    token: Integers
    row: Integers
    n_rows: int

    @classmethod
    def of(cls, array: pa.Array, how: TokensHow) -> "TokensOfRows":
        """Split the values of a column.

        Examples
        --------
        >>> found = TokensOfRows.of(pa.array(["To be, or not to BE!", None]), "words")
        >>> found.distinct.to_pylist(), found.token.tolist()
        (['to', 'be', 'or', 'not'], [0, 1, 2, 3, 0, 1])
        """
        if how == "value":
            return cls._of_values(array)
        if how == "words":
            text = pc.utf8_lower(array.cast(pa.large_string()))
            array = pc.split_pattern_regex(text, BETWEEN_WORDS)
        elif pa.types.is_null(array.type):
            array = array.cast(pa.list_(pa.large_string()))
        items = pc.list_flatten(array).cast(pa.large_string())
        row = values_of(pc.list_parent_indices(array).cast(pa.int64()), np.int64)
        kept = pc.is_valid(items)
        if how == "words":
            kept = pc.greater_equal(pc.utf8_length(items), SHORTEST_WORD)
        items, row = items.filter(kept), row[_mask(kept)]
        encoded = pc.dictionary_encode(items)
        token = values_of(encoded.indices.cast(pa.int64()), np.int64)
        return cls(distinct=encoded.dictionary, token=token, row=row, n_rows=len(array))

    @classmethod
    def _of_values(cls, array: pa.Array) -> "TokensOfRows":
        texts, index = levels(pa.chunked_array([array]))
        n = len(texts) - (None in texts)
        row = np.flatnonzero(index < n)  # The null, if there is one, is the last.
        distinct = pa.array(texts[:n], pa.large_string())
        return cls(distinct=distinct, token=index[row], row=row, n_rows=len(array))

    def rows_with(self) -> Integers:
        """How many rows have each of the distinct tokens."""
        n = len(self.distinct)
        once = np.unique(self.row * n + self.token)
        return np.bincount(once % max(n, 1), minlength=n)


def entries_of(array: pa.Array, vector: Vector, tokens: Tokens) -> Entries:
    """The tokens of some rows that are elements of a vector, counted."""
    rows = TokensOfRows.of(array, tokens.how)
    index = _indices_of(rows.distinct, vector)[rows.token]
    kept = index >= 0
    cells, counts = np.unique(rows.row[kept] * vector.length + index[kept], return_counts=True)
    row, indices = np.divmod(cells, vector.length)
    values = counts.astype(float)
    if tokens.count == "binary":
        values[:] = 1.0
    elif tokens.count == "tf":
        values /= np.bincount(rows.row, minlength=rows.n_rows)[row]
    starts = np.append(0, np.cumsum(np.bincount(row, minlength=rows.n_rows)))
    return Entries(
        starts=starts, indices=indices, values=values, nulls=np.zeros(rows.n_rows, np.bool_)
    )


def _indices_of(tokens: pa.Array, vector: Vector) -> Integers:
    """The element that each token is, -1 where it is none."""
    if vector.own is None:
        return np.array([text_key(t, 0) % vector.length for t in tokens.to_pylist()], np.int64)
    found = pc.index_in(tokens, value_set=_vocabulary(vector))
    return values_of(pc.fill_null(found.cast(pa.int64()), -1), np.int64)


@lru_cache(maxsize=4)
def _vocabulary(vector: Vector) -> pa.Array:
    return pa.array(vector.own, pa.large_string())


def _mask(array: pa.Array) -> NDArray[Any]:
    return values_of(array.cast(pa.uint8()), np.uint8) > 0  # type: ignore[type-var]
