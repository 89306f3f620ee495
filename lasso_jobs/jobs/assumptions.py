"""What is looked at in a trained model's errors: held-out rows, periods, and the checks of them."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lasso_jobs.artifacts.model import Model
from lasso_jobs.core import checks as c
from lasso_jobs.core import design as d
from lasso_jobs.core.columns import Block, block_of
from lasso_jobs.core.moments import Floats
from lasso_jobs.core.period_means import Series, mean_residuals
from lasso_jobs.core.predict import Predictor
from lasso_jobs.core.residuals import Held, inflation
from lasso_jobs.core.selection import Fit
from lasso_jobs.core.squared_error import evaluate

if TYPE_CHECKING:
    from lasso_jobs.jobs.gather import Gathered
    from lasso_jobs.jobs.train_job import TrainJob
    from lasso_jobs.jobs.train_plan import TrainPlan

MOST_FEATURES = 9


@dataclass(frozen=True, slots=True)
class Examined:
    """What was looked at.

    Parameters
    ----------
    held : Held or None
        None without held-out rows.
    series : Series or None
        None without a column of periods, or of more periods than are kept.
    vif : ndarray, shape (k,)
        Variance inflation factors of the selected columns among themselves.
    checks : tuple of Check
    """

    held: Held | None
    series: Series | None
    vif: Floats
    checks: tuple[c.Check, ...]


def examine(
    planned: "TrainPlan", gathered: "Gathered", model: Model, final: Fit, evaluated: Fit | None
) -> Examined:
    """Look at the errors of a model, and check the assumptions.

    Parameters
    ----------
    planned : TrainPlan
    gathered : Gathered
    model : Model
        Of the two fits.
    final : Fit
        To all rows.
    evaluated : Fit or None
        Without the held-out rows.
    """
    held = None
    if evaluated is not None and model.evaluated is not None:
        held = held_rows(evaluated, model.evaluated, gathered)
    series = None
    if planned.period is not None and len(gathered.periods.keys):
        series = mean_residuals(planned.period, model.predictor, final.design, gathered.periods)
    selected = np.flatnonzero(final.standardised)
    vif = inflation(selected_gram(final.design, selected))
    n = 0 if held is None else len(held.actual)
    on_held = {
        "linearity": c.linearity,
        "homoscedasticity": c.homoscedasticity,
        "outliers and leverage": c.outliers,
    }
    linear, spread, outliers = (
        c.too_few(name, n) if held is None or n < c.MIN_ROWS else check(held)
        for name, check in on_held.items()
    )
    apart = c.independence(_groups(planned.job, final, gathered, series), series)
    together = c.multicollinearity([model.labels[j] for j in selected], vif)
    return Examined(held, series, vif, (linear, apart, spread, together, outliers))


def held_rows(fit: Fit, predictor: Predictor, gathered: "Gathered") -> Held:
    """The sampled held-out rows, predicted by the fit to the others.

    Parameters
    ----------
    fit : Fit
        Without the held-out rows.
    predictor : Predictor
        The fit.
    gathered : Gathered
    """
    *_, target, weights, _, _ = gathered.held.values
    rows = np.flatnonzero(weights > 0)
    block = block_of(gathered.held.values[:, rows], gathered.columns, predictor.columns)
    if block is None:
        raise ValueError("the sample is not of the model's columns")
    n_numeric = len(predictor.columns.numeric)
    used = np.flatnonzero(fit.standardised[:n_numeric])
    used = used[np.argsort(-np.abs(fit.standardised[used]), kind="stable")][:MOST_FEATURES]
    numbers = [block.numeric[j] for j in used.tolist()]
    values = [
        np.where(np.isnan(x), predictor.fill[j], x) for x, j in zip(numbers, used, strict=True)
    ]
    before = range(gathered.folds.n_before_holdout)
    n = sum(gathered.moments.buckets[i].n for i in before)
    return Held(
        predictor.predict(block),
        target[rows],
        [predictor.columns.numeric[j] for j in used],
        np.array(values).reshape(len(used), len(rows)),
        fit.coef[used],
        _leverage(fit.design, np.flatnonzero(fit.standardised), predictor, block, n),
        (np.count_nonzero(fit.standardised) + 1) / n,
    )


def _leverage(
    design: d.Design, selected: Any, predictor: Predictor, block: Block, n: int
) -> Floats:
    gram = selected_gram(design, selected)
    columns = _columns(predictor, block, selected)
    z = (columns - design.location[design.position[selected], None]) / design.deviation[
        selected, None
    ]
    # Of dependent columns any solution gives the same leverage.
    weighed = np.linalg.lstsq(gram, z, rcond=None)[0]
    return np.asarray((1 + (z * weighed).sum(axis=0)) / n)


def _columns(predictor: Predictor, block: Block, selected: Any) -> Floats:
    """The selected coefficients' columns, shape (k, n), nulls filled."""
    spans = dict(predictor.columns.spans())
    starts = [spans[category.name].start for category in predictor.columns.categories]
    n_numeric, first = len(predictor.columns.numeric), predictor.columns.n_columns
    found = np.empty((len(selected), block.n_rows))
    for i, j in enumerate(selected.tolist()):
        if j < n_numeric:
            nulls = np.isnan(block.numeric[j])
            found[i] = np.where(nulls, predictor.fill[j], block.numeric[j])
        elif j >= first:
            found[i] = np.isnan(block.numeric[predictor.indicators[j - first]])
        else:
            k = int(np.searchsorted(starts, j, side="right")) - 1
            found[i] = block.codes[k] == j - starts[k]
    return found


def selected_gram(design: d.Design, selected: Any) -> Floats:
    """Correlations of the selected columns in training."""
    place = (np.cumsum(design.usable) - 1)[selected]
    return np.asarray(design.problem.gram[np.ix_(place, place)])


def _groups(
    job: "TrainJob", final: Fit, gathered: "Gathered", series: Series | None
) -> list[c.Groups]:
    """What may err alike: rows of a period, and those that the split keeps together."""
    split, buckets = job.search.split, gathered.moments.buckets
    kind = split.group or split.fold or split.time
    # The mean of weighted rows varies by their weights, too, which moments do not tell apart.
    if job.weight is not None or (kind is None and series is None):
        return []
    errors = [evaluate(final.design, final.coef[None], rows) for rows in buckets]
    mse = float(sum(e.sse[0] for e in errors) / sum(e.weight for e in errors))
    found = []
    # A period of a single row says nothing of its own.
    if series is not None and series.n.sum() > len(series.n):
        found.append(c.Groups(series.name, series.mean, series.n.astype(float), mse))
    if kind is not None and (series is None or kind != series.name):
        weight = np.array([e.weight for e in errors[:-1]])
        bias = np.array([e.bias[0] for e in errors[:-1]])
        found.append(c.Groups(kind, bias, weight, mse))
    return found
