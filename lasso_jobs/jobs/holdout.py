"""The errors on the held-out rows, without another read.

Squared errors come from the moments. Absolute errors and the quantile of the residuals need rows:
a uniform sample of the held-out ones, and all of them while they are no more than that. An interval
from a sample is as valid as one from all rows (split conformal prediction asks for no more than
exchangeable ones); its coverage varies by about ``sqrt(coverage (1 - coverage) / n_rows)``, 0.3 %
at 10,000 rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lasso_jobs.artifacts.model import Holdout
from lasso_jobs.core import design as d
from lasso_jobs.core.columns import Columns, block_of
from lasso_jobs.core.moments import Floats, Moments
from lasso_jobs.core.predict import Predictor
from lasso_jobs.core.sample import Sample
from lasso_jobs.core.selection import Fit
from lasso_jobs.jobs.config import Intervals
from lasso_jobs.jobs.intervals import group_number, half_width


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The held-out rows, measured.

    Parameters
    ----------
    holdout : Holdout
    sampled_mse : float
        On the sampled rows alone.
    champion_mse : float or None
        Of the champion's own evaluated model, on the same rows.
    """

    holdout: Holdout
    sampled_mse: float
    champion_mse: float | None


def evaluate(
    fit: Fit,
    model: Predictor,
    champion: Predictor | None,
    rows: Moments,
    sample: Sample,
    columns: Columns,
    grouping: Intervals | None = None,
    groups: Sequence[str] = (),
) -> Evaluation:
    """Measure a model, and the champion if it can be, on the held-out rows.

    Parameters
    ----------
    fit : Fit
        To the other rows.
    model : Predictor
        The fit.
    champion : Predictor or None
    rows : Moments
        Of the held-out rows.
    sample : Sample
        Of the held-out rows; its values end with the target, the weight and the group.
    columns : Columns
        Of the moments and the sample.
    grouping : Intervals, optional
        Groups that are to have intervals of their own.
    groups : sequence of str
        Their names.
    """
    *_, target, weights, group = sample.values
    weight = float(weights.sum())
    mine = _residuals(model, columns, sample, target)
    if mine is None:
        raise ValueError("the model is not of these columns")
    theirs = None if champion is None else _residuals(champion, columns, sample, target)
    sampled_mse = float(mine**2 @ weights / weight)
    errors = d.evaluate(fit.design, fit.coef[None], rows)
    mse = sampled_mse if len(target) == rows.n else float(errors.mse[0])
    total = errors.total / rows.weight
    sizes = np.abs(mine)
    enough = np.inf if grouping is None else grouping.min_rows
    chosen = {name: sizes[group == group_number(name)] for name in groups}
    return Evaluation(
        Holdout(
            rows.n,
            mse,
            float(np.sqrt(mse)),
            1.0 - mse / total if total > 0 else float(mse == 0),
            float(sizes @ weights / weight),
            half_width(sizes),
            len(target),
            None if grouping is None else grouping.by,
            {name: half_width(own) for name, own in chosen.items() if len(own) >= enough},
        ),
        sampled_mse,
        None if theirs is None else float(theirs**2 @ weights / weight),
    )


def _residuals(model: Predictor, columns: Columns, sample: Sample, target: Floats) -> Floats | None:
    """None if the model needs what is not among the columns."""
    model = model.only(model.used)
    block = block_of(sample.values, columns, model.columns)
    return None if block is None else target - model.predict(block)
