"""Numbers groups of rows by their names, so that a matrix can say which group a row is in."""

import numpy as np
import pyarrow as pa

from lasso_jobs.core.rows.buckets import text_key
from lasso_jobs.core.rows.moments import Floats
from lasso_jobs.data import arrays


def group_number(name: str) -> float:
    """A number for a group, of its name alone: 53 bits, as a float64 holds."""
    return float(text_key(name, 0) >> 11)


def group_numbers(column: pa.ChunkedArray) -> Floats:
    """The group of each row; -1 for a null, which is in no group.

    Examples
    --------
    >>> numbers = group_numbers(pa.chunked_array([["east", None, "west", "east"]]))
    >>> numbers == group_number("east")
    array([ True, False, False,  True])
    """
    texts, index = arrays.levels(column)
    numbers = [-1.0 if text is None else group_number(text) for text in texts]
    return np.array(numbers or [-1.0])[index]
