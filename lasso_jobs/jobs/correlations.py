"""Which pairs of columns are correlated otherwise than at training, and what it does to scores."""

import numpy as np

from lasso_jobs.artifacts.model import Model
from lasso_jobs.core import drift as d
from lasso_jobs.core.columns import Columns
from lasso_jobs.core.moments import Moments

MOST_PAIRS = 20


def correlation_shifts(model: Model, columns: Columns, rows: Moments) -> list[d.Drift]:
    """The pairs whose correlations moved most, as rows of the drift table.

    The variance of the predictions is the sum over pairs of ``coef_a coef_b cov(a, b)``, each pair
    twice: ``variance_shift`` is the change of this term. Nulls are filled as the model fills them.

    Parameters
    ----------
    model : Model
        That keeps its correlations.
    columns : Columns
        Of the rows.
    rows : Moments
    """
    before = model.diagnostics.collinearity.correlation
    if before is None or rows.n == 0:
        return []
    labels = columns.labels
    place = [model.labels.index(label) for label in labels]
    scatter, _ = rows.restated(model.means[place])
    covariance = scatter[: len(place), : len(place)] / rows.weight
    sd, past_sd = np.sqrt(np.maximum(np.diag(covariance), 0.0)), model.deviations[place]
    with np.errstate(invalid="ignore", divide="ignore"):
        now = covariance / np.outer(sd, sd)
    past = before[np.ix_(place, place)]
    coef = model.predictor.coef[place]
    change = covariance - np.where(np.isnan(past), 0.0, past) * np.outer(past_sd, past_sd)
    effect = 2 * np.outer(coef, coef) * change
    first, second = np.triu_indices(len(place), 1)
    moved = np.abs(now - past)[first, second]
    order = np.argsort(-np.where(np.isfinite(moved), moved, -1.0), kind="stable")
    pairs = [(first[i], second[i]) for i in order[:MOST_PAIRS] if np.isfinite(moved[i])]
    return [
        _row(
            f"{labels[a]} ~ {labels[b]}", rows.n, *map(float, (now[a, b], past[a, b], effect[a, b]))
        )
        for a, b in pairs
    ]


def _row(pair: str, n: int, now: float, past: float, effect: float) -> d.Drift:
    nan = d.NAN
    return d.Drift(
        pair,
        "correlation",
        n,
        *(nan, nan, 0, nan, nan, now, nan, past, nan),
        *(nan,) * 8,
        variance_shift=effect,
        bins=(),
        counts=(),
        reference_shares=(),
        reason=f"the correlation is {now:.3f}, and was {past:.3f} at training",
    )
