"""Compares the correlations of columns with those at training, and says what it does to scores."""

import numpy as np

from lasso_jobs.core.drift.drift import Drift
from lasso_jobs.core.rows.columns import Columns
from lasso_jobs.core.rows.moments import Moments
from lasso_jobs.models.model import Model

MOST_PAIRS = 20


def correlation_shifts(model: Model, columns: Columns, rows: Moments) -> list[Drift]:
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
    of_model = {identity: j for j, identity in enumerate(model.columns.identities)}
    place = [of_model[identity] for identity in columns.identities]
    labels = [model.labels[j] for j in place]
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
        Drift(
            feature=f"{labels[a]} ~ {labels[b]}",
            kind="correlation",
            n=rows.n,
            mean=float(now[a, b]),
            reference_mean=float(past[a, b]),
            variance_shift=float(effect[a, b]),
            reason=f"not judged: the correlation is {now[a, b]:.3f}, and was "
            f"{past[a, b]:.3f} at training",
        )
        for a, b in pairs
    ]
