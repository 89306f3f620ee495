"""The mean squared error of a linear model on rows that only their moments are left of."""

import numpy as np

from lasso_jobs.core.columns import Columns, lookup_of
from lasso_jobs.core.moments import Floats, Moments
from lasso_jobs.core.predict import Predictor


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
        `lasso_jobs.core.columns.block_of`.
    """
    model = model.only(model.used)
    place, q = dict(columns.spans()), rows.n_values
    wanted = model.columns
    if not set(wanted.features) <= set(place) or not set(wanted.dates) <= set(columns.dates):
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
        own = known.get(category.name)
        if own is None or own.type != category.type:
            return None
        span = place[own.name]
        hidden = own.other and rows.high[span.stop - 1] > 0
        if hidden and not set(category.levels) <= set(own.levels):
            return None
        effects = np.append(model.coef[start : start + category.width], 0.0)
        found = effects[lookup_of(own, category)]
        direction[span] = found[-1] - found[:-1]
        total += float(found[-1])
        start += category.width
    return total
