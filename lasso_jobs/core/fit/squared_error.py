"""Measures squared errors of linear models on rows of which only the moments are left."""

from dataclasses import dataclass

import numpy as np

from lasso_jobs.core.fit.design import Design
from lasso_jobs.core.fit.predict import Predictor
from lasso_jobs.core.rows.blocks.matrix import lookup_of
from lasso_jobs.core.rows.columns import Columns
from lasso_jobs.core.rows.moments import Floats, Moments


@dataclass(frozen=True, slots=True, kw_only=True)
class Errors:
    """Squared errors of several models on one set of rows.

    Parameters
    ----------
    weight : float
        Weight of the rows.
    sse : ndarray, shape (n_models,)
    total : float
        Squared deviations of the target from its own mean.
    bound : ndarray, shape (n_models,)
        Relative rounding error of ``sse``, at most 1: ``eps |v|' |S| |v| / sse``, and what the
        rounding of the means adds.
    bias : ndarray, shape (n_models,)
        Mean residual.
    """

    weight: float
    sse: Floats
    total: float
    bound: Floats
    bias: Floats

    @property
    def mse(self) -> Floats:
        """Mean squared errors."""
        return self.sse / self.weight


def evaluate(design: Design, coef: Floats, rows: Moments) -> Errors:
    """Squared errors on rows other than (or the same as) the training rows, from their moments.

    With ``v = [-coef, 1]``, ``S`` and ``u`` the parts of ``rows`` restated around the training
    means, and c the mean residual in training (zero with an intercept), the sum of squared
    residuals is ``v'Sv + weight (u'v + c)^2``.

    Parameters
    ----------
    design : Design
    coef : ndarray, shape (n_models, p)
        In original units.
    rows : Moments
    """
    rows = design.grouping.moments(rows)
    rows = rows.with_nulls(np.union1d(rows.nulls, design.nulls))
    q = rows.n_values
    # Where the design's columns lie among the rows' columns, which may have more indicators.
    place = np.concatenate([np.arange(q), q + np.searchsorted(rows.nulls, design.nulls)])
    location = np.zeros(len(rows.mean))
    location[place] = design.location
    active = np.flatnonzero(coef.any(axis=0))
    used = place[np.append(design.position[active], design.target)]
    direction = np.hstack([-coef[:, active], np.ones((len(coef), 1))])
    scatter, shift = rows.restated(location)
    scatter, shift = scatter[np.ix_(used, used)], shift[used]
    within = np.einsum("ij,ij->i", direction @ scatter, direction)
    bias = direction @ shift
    if not design.intercept:
        bias += design.location[design.target] - design.mean_prediction(coef)
    between = rows.weight * bias**2
    size = np.abs(direction)
    rounding = np.einsum("ij,ij->i", size @ np.abs(scatter, out=scatter), size)
    rounding += rows.weight * (size @ np.abs(shift)) ** 2
    # The means themselves are rounded, which large offsets turn into an error of each residual.
    eps = np.finfo(float).eps
    blur = eps * (size @ (np.abs(rows.mean) + np.abs(location))[used])
    error = eps * rounding + rows.weight * (2 * np.abs(bias) * blur + blur**2)
    sse = np.maximum(within + between, 0.0)
    bound = error / np.where(error > 0, np.maximum(sse, error), 1.0)
    total = float(rows.scatter[q - 1, q - 1])
    return Errors(weight=rows.weight, sse=sse, total=total, bound=bound, bias=bias)


def mean_squared_error(model: Predictor, columns: Columns, rows: Moments) -> float | None:
    """Measure a model, which may be of other columns, as exactly as on the rows themselves.

    The residual is ``c + v'd``, with d the deviations from the model's own fills (which a null
    has none from) and of the other columns from their means. So the mean squared error is
    ``v'Sv / weight + (c + u'v)^2``, with S and u the parts of the moments restated there.

    Parameters
    ----------
    model : Predictor
    columns : Columns
        Of the moments, whose last value is the target.
    rows : Moments

    Returns
    -------
    float or None
        None where the model needs what is not among the columns, as for
        `lasso_jobs.core.rows.blocks.matrix.block_of`, or its offset has nulls.
    """
    model = model.only(model.used)
    place, q = dict(columns.spans()), rows.n_values
    wanted = model.columns
    if not columns.has(wanted):
        return None
    if model.offset is not None and place[model.offset].start in rows.nulls:
        return None
    location, direction = rows.mean.copy(), np.zeros(len(rows.mean))
    for j, name in enumerate(wanted.numeric):
        location[place[name].start], direction[place[name].start] = model.fill[j], -model.coef[j]
    indicator = {int(column): q + k for k, column in enumerate(rows.nulls)}
    for k, j in enumerate(model.indicators):
        column = indicator.get(place[wanted.numeric[j]].start)
        if column is not None:
            direction[column] = -model.coef[wanted.n_columns + k]
    rest = _of_levels(model, columns, rows, direction)
    if rest is None:
        return None
    direction[q - 1] = 1.0
    constant = float(direction @ location) - model.intercept - rest
    scatter, shift = rows.restated(location)
    within = float(direction @ scatter @ direction) / rows.weight
    return max(within, 0.0) + (constant + float(direction @ shift)) ** 2


def _of_levels(
    model: Predictor, columns: Columns, rows: Moments, direction: Floats
) -> float | None:
    """Enter the levels' effects, less that of a row without a level; return the sum of those.

    None if a category is not the same.
    """
    place, known = dict(columns.spans()), {c.name: c for c in columns.categories}
    start, total = len(model.columns.numeric), 0.0
    for category in model.columns.categories:
        own, span = known.get(category.name), place[category.name]
        if own is None:
            return None
        hidden = own.other and rows.high[span.stop - 1] > 0
        lookup = lookup_of(own, category, hidden=bool(hidden))
        if lookup is None:
            return None
        effects = np.append(model.coef[start : start + category.width], 0.0)
        of_indicators = effects[lookup]
        direction[span] = of_indicators[-1] - of_indicators[:-1]
        total += float(of_indicators[-1])
        start += category.width
    return total


def explained_alone(design: Design, model: Predictor) -> tuple[str, float] | None:
    """The feature that explains most of the target by itself, and the share of the variance.

    That of a number, or of its null indicator if that is more, is the squared correlation with the
    target. That of a category is the share between its levels: of a level with the share p and the
    squared correlation r2 of its indicator it is ``r2 (1 - p)``, and they sum (one-way analysis of
    variance; each row has one level). The offset is no candidate.

    Parameters
    ----------
    design : Design
        Of the training rows.
    model : Predictor
        Fitted to it.

    Returns
    -------
    (str, float) or None
        None if no column varies.
    """
    problem = design.problem
    if not problem.variance > 0:
        return None
    shares, means = np.zeros(len(design.usable)), design.location[design.position]
    # On the correlation scale; without an intercept, both are around zero.
    shares[design.usable] = problem.covariance**2 / problem.variance
    numeric, alone = frozenset(model.columns.numeric), {}
    for name, places in model.by_feature().items():
        alone[name] = float(shares[places].max(initial=0.0))
        if name not in numeric:  # of a level that is dropped, the others say as much
            alone[name] = max(alone[name], float(shares[places] @ (1 - means[places])))
    if model.offset is not None:
        del alone[model.offset]
    best = max(alone, key=alone.__getitem__, default=None)
    return None if best is None or not alone[best] > 0 else (best, min(alone[best], 1.0))
