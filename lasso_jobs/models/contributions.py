"""Says what each feature adds to a prediction, relative to the mean prediction in training."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lasso_jobs.core.fit.predict import Predictor
from lasso_jobs.core.rows.blocks.block import Block
from lasso_jobs.data.arrays import array, repeated
from lasso_jobs.models.frames import block_of

if TYPE_CHECKING:
    import pandas as pd

    from lasso_jobs.models.model import Model


def contributions(model: "Model", frame: Any) -> "pd.DataFrame":
    """The contributions of a frame's rows; see `Model.contributions`."""
    import pandas as pd

    means, predictor = model.mean_terms, model.predictor.only(model.mean_terms)
    if not means:
        return pd.DataFrame(index=_index(frame, len(frame)))
    block = block_of(frame, predictor.columns, predictor.offset)
    terms = {name: term - means[name] for name, term in predictor.terms(block)}
    return pd.DataFrame(terms, index=_index(frame, block.n_rows))


def _index(frame: Any, n_rows: int) -> Any:
    return frame.index if hasattr(frame, "index") else range(n_rows)


@dataclass(frozen=True, slots=True)
class TopContributions:
    """Finds the contributions of each row that are the largest by amount.

    Parameters
    ----------
    n : int
        How many of them.
    means : mapping of str to float
        What each feature adds on average, in training.
    """

    n: int
    means: Mapping[str, float]

    def of(self, predictor: Predictor, block: Block) -> pa.Table:
        """``top_feature_1``, ``top_contribution_1`` and so on of some rows; null beyond the last.

        Of equal amounts, the feature that comes first in the model is first.
        """
        if not self.n:  # Most nights ask for none.
            return top_columns(0).empty_table()
        names: list[str] = []
        which = np.full((self.n, block.n_rows), -1)
        top = np.full((self.n, block.n_rows), np.nan)
        # One feature at a time: all contributions of a block may be larger than memory.
        for name, term in predictor.terms(block):
            values, index = term - self.means[name], np.full(block.n_rows, len(names))
            names.append(name)
            for rank in range(self.n):
                larger = (which[rank] < 0) | (np.abs(values) > np.abs(top[rank]))
                larger &= index >= 0
                values, top[rank] = _swapped(larger, values, top[rank])
                index, which[rank] = _swapped(larger, index, which[rank])
        # Each by itself: pyarrow.array would load pandas.
        known = pa.concat_arrays([pa.nulls(0, pa.string()), *(repeated(n, 1) for n in names)])
        columns: list[pa.Array] = []
        for rank in range(self.n):
            index = array(which[rank])
            there = pc.greater_equal(index, 0)
            columns.append(known.take(_or_null(there, index)))
            columns.append(_or_null(there, array(top[rank])))
        return pa.table(columns, schema=top_columns(self.n))


def top_columns(n: int) -> pa.Schema:
    """The columns of the n largest contributions.

    Examples
    --------
    >>> top_columns(2).names
    ['top_feature_1', 'top_contribution_1', 'top_feature_2', 'top_contribution_2']
    """
    kinds = (("top_feature", pa.string()), ("top_contribution", pa.float64()))
    return pa.schema([(f"{name}_{k}", type_) for k in range(1, n + 1) for name, type_ in kinds])


def _or_null(there: pa.Array, values: pa.Array) -> pa.Array:
    return pc.if_else(there, values, pa.scalar(None, values.type))


def _swapped(
    chosen: NDArray[np.bool_], a: NDArray[Any], b: NDArray[Any]
) -> tuple[NDArray[Any], NDArray[Any]]:
    return np.where(chosen, b, a), np.where(chosen, a, b)
