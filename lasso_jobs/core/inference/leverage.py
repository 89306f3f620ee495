"""Computes how far rows lie from the training rows, by the columns that a model selects."""

import numpy as np
from numpy.typing import NDArray

from lasso_jobs.core.fit.design import Design
from lasso_jobs.core.fit.predict import Predictor
from lasso_jobs.core.rows.blocks.block import Block
from lasso_jobs.core.rows.moments import Floats

Places = NDArray[np.intp]


def leverage(design: Design, selected: Places, predictor: Predictor, block: Block) -> Floats:
    """The rows' leverages times the number of training rows.

    Parameters
    ----------
    design : Design
    selected : ndarray of intp, shape (k,)
        The coefficients that are not zero.
    predictor : Predictor
    block : Block
        The rows, with the predictor's columns.
    """
    gram = design.gram(selected)
    z = _columns(predictor, block, selected)
    if design.intercept:
        z -= design.location[design.position[selected], None]
    z /= design.unit[selected, None]
    # Of dependent columns any solution gives the same leverage.
    weighed = np.linalg.lstsq(gram, z, rcond=None)[0]
    return np.asarray(design.intercept + (z * weighed).sum(axis=0))


def _columns(predictor: Predictor, block: Block, selected: Places) -> Floats:
    """The selected coefficients' columns, shape (k, n), nulls filled."""
    spans = dict(predictor.columns.spans())
    starts = [spans[category.name].start for category in predictor.columns.categories]
    n_numeric, first = len(predictor.columns.numeric), predictor.columns.n_columns
    columns = np.empty((len(selected), block.n_rows))
    for i, j in enumerate(selected.tolist()):
        if j < n_numeric:
            nulls = np.isnan(block.numeric[j])
            columns[i] = np.where(nulls, predictor.fill[j], block.numeric[j])
        elif j >= first:
            columns[i] = np.isnan(block.numeric[predictor.indicators[j - first]])
        else:
            k = int(np.searchsorted(starts, j, side="right")) - 1
            columns[i] = block.codes[k] == j - starts[k]
    return columns
